/*
 * dns.c - dns: hosts of a domain, names of an address.
 *
 * The only program that reads what name servers say. It has no files and no
 * mail; what it makes of an answer leaves it as checked names and addresses.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/idn.h"
#include "common/param/site.h"
#include "resolve/dns.h"

struct dns_settings	dns_set;

static const struct param dns_params[] = {
	PARAM_STRING("dns_servers", dns_set.servers, "", 0, 1000,
	    "Name servers to ask, as address or address@port; empty: those "
	    "of /etc/resolv.conf."),
	PARAM_STRING("dns_trust_anchor_file", dns_set.trust_anchor_file, "",
	    0, 1000, "A file with the DNSSEC keys of the root, for answers "
	    "that we validate ourselves; empty: no validation."),
	PARAM_STRING("dns_hosts_file", dns_set.hosts_file, "/etc/hosts", 0,
	    1000, "Names and addresses that count before DNS where no MX "
	    "record is asked for, and where smtp_host_lookup says so; empty: "
	    "none."),
	PARAM_TIME("dns_timeout", dns_set.timeout, "20s", 1, 600,
	    "How long one question to DNS may take."),
	PARAM_BOOL("disable_dns_lookups", dns_set.disable_dns_lookups, "no",
	    "Look up no MX records: a domain is the host that receives for "
	    "it."),
	PARAM_STRING("smtp_dns_support_level", dns_set.support, "", 0, 32,
	    "disabled: look up no MX records for mail that goes out, as "
	    "disable_dns_lookups does."),
	PARAM_STRING("smtp_dns_resolver_options", dns_set.resolver_options,
	    "", 0, 100, "For short names of next hops: res_defnames completes "
	    "them by the first domain of /etc/resolv.conf, res_dnsrch tries "
	    "all of them."),
	PARAM_BOOL("ignore_mx_lookup_error", dns_set.ignores_mx_error, "no",
	    "When nobody could tell a domain's MX records, take the domain "
	    "for the host that receives for it."),
	PARAM_END
};

/* RFC 6531 3.2: DNS knows names by their A-labels only. False: this one has
 * none, and the answer says so. */
static bool
spell(struct pool *pool, struct ask_hosts *ask, struct hosts *answer)
{
	const char	*why;
	char		*ascii;

	if ((why = idn_to_ascii(pool, ask->name, &ascii)) == NULL) {
		ask->name = ascii;
		return true;
	}
	memset(answer, 0, sizeof(*answer));
	answer->result = HOSTS_NO_DOMAIN;
	answer->text = pool_printf(pool, "Host or domain name not found. "
	    "%.255s: %s", ask->name, why);
	answer->hosts = pool_array(pool, 1, sizeof(*answer->hosts));
	answer->ttl = INT32_MAX;
	return false;
}

/* ASK_HOSTS, from resolve, smtp and smtpd. */
static WAITS void
on_hosts(struct request *r)
{
	struct hosts	answer;

	if (!spell(r->pool, r->object, &answer))
		/* it is said */;
	else if (strcmp(r->peer, "smtpd") == 0)
		hosts_find(r->pool, r->object, false, &answer);
	else
		hosts_search(r->pool, r->object, &answer);
	(void)channel_reply(r, PACKET_HOSTS, &answer);
}

/* ASK_REVERSE, from smtpd. */
static WAITS void
on_reverse(struct request *r)
{
	const struct ask_reverse	*ask = r->object;
	struct reverse			 answer;

	reverse_find(r->pool, ask->address, &answer);
	(void)channel_reply(r, PACKET_REVERSE, &answer);
}

static const struct peer peers[] = {
	{ "resolve",	PACKET_ASK_HOSTS,	on_hosts,	ON_A_FIBER },
	{ "smtp",	PACKET_ASK_HOSTS,	on_hosts,	ON_A_FIBER },
	{ "smtpd",	PACKET_ASK_HOSTS,	on_hosts,	ON_A_FIBER },
	{ "smtpd",	PACKET_ASK_REVERSE,	on_reverse,	ON_A_FIBER },
	{ "smtp",	PACKET_ASK_REVERSE,	on_reverse,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* Which addresses are of any use. */
static void
choose_protocols(void)
{
	const char	*list = site.inet_protocols;
	bool		 all = text_equal(list, "all");
	char		*copy = mem_strdup(list), *at = copy, *word;

	dns_set.wants_ipv4 = dns_set.wants_ipv6 = all;
	while ((word = text_next_word(&at)) != NULL) {
		if (text_equal(word, "ipv4"))
			dns_set.wants_ipv4 = true;
		if (text_equal(word, "ipv6"))
			dns_set.wants_ipv6 = true;
	}
	if (!dns_set.wants_ipv4 && !dns_set.wants_ipv6)
		dns_set.wants_ipv4 = true;
	free(copy);
}

/* While the files are in sight. */
static void
before(void)
{
	choose_protocols();
	local_read();
	search_read(dns_set.resolver_options, "/etc/resolv.conf");
	backend_prepare();
}

/* The dns program. */
int
main(int argc, char **argv)
{
	static const struct param *const	params[] = {
		dns_params, NULL
	};
	static const struct daemon		dns = {
		.name = "dns", .params = params, .peers = peers,
		.before = before, .start = backend_start
	};

	return daemon_run(argc, argv, &dns);
}
