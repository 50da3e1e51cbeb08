/*
 * records.c - smtp_dns_reply_filter: DNS records that are to be ignored.
 *
 * Called by hosts.c. Each record is written as in a zone file ("example.com.
 * 3600 IN MX 10 mx.example.com.") and looked up in the tables, which are
 * resolve's to read, as many in one question as a packet takes.
 */
#include "smtp/records.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/lookup.h"
#include "common/net/inetaddr.h"

#include "smtp/delivery.h"
#include "smtp/settings.h"

enum { KEYS_AT_ONCE = 50, PATIENCE = 30 * 1000 };

/* Ask from one key on. 1: one of them is unwanted, its place in *which; 0:
 * none is; -1: nobody knows. */
WAITS static int
ask(struct pool *pool, struct key_row *keys, size_t count, size_t *which)
{
	struct ask_lookup	question = {
		.service = (char *)(uintptr_t)settings_service(),
		.parameter = (char *)(uintptr_t)settings_name(
		    "smtp_dns_reply_filter"),
		.how = LOOKUP_KEYS, .keys = keys, .count = count
	};
	struct found		found;

	if (lookup_ask(to_resolve, &question, clock_now() + PATIENCE, pool,
	    &found) == -1 || found.result == LOOKUP_TEMPORARY)
		return -1;
	if (found.result == LOOKUP_NOT_FOUND)
		return 0;
	*which = (size_t)found.which;
	if (text_equal(found.value, "IGNORE"))
		return 1;
	log_warning("%s: \"%s\" for \"%s\" is no action: expected IGNORE",
	    question.parameter, found.value, keys[*which].key);
	return -1;
}

/* Which of the records are unwanted? -1: nobody knows. */
WAITS static int
find_unwanted(struct pool *pool, struct key_row *keys, size_t count,
    bool *is_unwanted)
{
	size_t	at = 0, n, which;

	while (at < count) {
		n = count - at < KEYS_AT_ONCE ? count - at : KEYS_AT_ONCE;
		switch (ask(pool, keys + at, n, &which)) {
		case -1:
			return -1;
		case 0:
			at += n;
			break;
		default:
			is_unwanted[at + which] = true;
			log_info("ignoring DNS RR: %s", keys[at + which].key);
			at += which + 1;
		}
	}
	return 0;
}

/* The record that made a host of the answer. */
static char *
host_record(struct pool *pool, const char *name, const struct hosts *hosts,
    const struct host_row *host)
{
	if (host->port != 0)
		return pool_printf(pool, "%s. %lld IN SRV %lld 0 %lld %s.",
		    name, (long long)hosts->ttl, (long long)host->preference,
		    (long long)host->port, host->name);
	return pool_printf(pool, "%s. %lld IN MX %lld %s.", name,
	    (long long)hosts->ttl, (long long)host->preference, host->name);
}

static char *
address_record(struct pool *pool, const struct hosts *hosts,
    const struct host_row *host, const char *address)
{
	return pool_printf(pool, "%s. %lld IN %s %s", host->name,
	    (long long)hosts->ttl, strchr(address, ':') != NULL ? "AAAA" : "A",
	    address);
}

/* Drop hosts. */
WAITS static int
filter_hosts(struct pool *pool, const char *name, struct hosts *hosts)
{
	struct key_row	*keys;
	bool		*is_unwanted;
	size_t		 i, n = 0;

	keys = pool_array(pool, hosts->count + 1, sizeof(*keys));
	is_unwanted = pool_array(pool, hosts->count + 1,
	    sizeof(*is_unwanted));
	for (i = 0; i < hosts->count; i++)
		keys[i].key = host_record(pool, name, hosts,
		    &hosts->hosts[i]);
	if (find_unwanted(pool, keys, hosts->count, is_unwanted) == -1)
		return -1;
	for (i = 0; i < hosts->count; i++)
		if (!is_unwanted[i])
			hosts->hosts[n++] = hosts->hosts[i];
	hosts->count = n;
	return 0;
}

/* Drop addresses of one host. */
WAITS static int
filter_addresses(struct pool *pool, struct hosts *hosts,
    struct host_row *host)
{
	struct key_row	*keys;
	bool		*is_unwanted;
	size_t		 i, n = 0;

	keys = pool_array(pool, host->count + 1, sizeof(*keys));
	is_unwanted = pool_array(pool, host->count + 1, sizeof(*is_unwanted));
	for (i = 0; i < host->count; i++)
		keys[i].key = address_record(pool, hosts, host,
		    host->addresses[i].address);
	if (find_unwanted(pool, keys, host->count, is_unwanted) == -1)
		return -1;
	for (i = 0; i < host->count; i++)
		if (!is_unwanted[i])
			host->addresses[n++] = host->addresses[i];
	host->count = n;
	return 0;
}

/* All of the answer. What was written as an address is no record. */
enum records_result
records_filter(struct pool *pool, const char *name, int64_t flags,
    struct hosts *hosts)
{
	struct inetaddr	literal;
	size_t		i, left = 0;

	if (inetaddr_parse(&literal, name))
		return RECORDS_LEFT;
	if (hosts->had_mx && (flags & (HOSTS_WITH_MX | HOSTS_WITH_SRV)) != 0 &&
	    filter_hosts(pool, name, hosts) == -1)
		return RECORDS_UNKNOWN;
	for (i = 0; i < hosts->count; i++) {
		if (filter_addresses(pool, hosts, &hosts->hosts[i]) == -1)
			return RECORDS_UNKNOWN;
		left += hosts->hosts[i].count;
	}
	return left > 0 ? RECORDS_LEFT : RECORDS_NONE;
}
