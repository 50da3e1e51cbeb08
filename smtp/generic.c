/*
 * generic.c - addresses as others may see them: smtp_generic_maps.
 *
 * Rewritten are sender and recipients of the envelope and the addresses in
 * the fields below, once (a result is not looked up again). Everything around
 * an address in a field stays as its author wrote it.
 */
#include "smtp/generic.h"

#include <string.h>

#include "common/base/text.h"
#include "common/ipc/tables.h"
#include "common/mail/mapping.h"
#include "common/param/site.h"

#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/tables.h"

static const char *const	fields[] = {
	"Apparently-To", "Bcc", "Cc", "Disposition-Notification-To",
	"Errors-To", "From", "Mail-Followup-To", "Reply-To", "Resent-Bcc",
	"Resent-Cc", "Resent-From", "Resent-Reply-To", "Resent-Sender",
	"Resent-To", "Return-Path", "Return-Receipt-To", "Sender", "To"
};

/* A field made of addresses of people. */
bool
generic_is_field(const struct header_field *f)
{
	size_t	i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (header_is(f, fields[i]))
			return true;
	return false;
}

/* Is the word among those of propagate_unmatched_extensions? */
static bool
propagates(void)
{
	const char	*at = content_set.propagate;
	size_t		 len;

	for (;; at += len) {
		at += strspn(at, ", \t\r\n");
		if ((len = strcspn(at, ", \t\r\n")) == 0)
			return false;
		if (text_equal_mem("generic", at, len))
			return true;
	}
}

/* What the table says, as an address. */
const char *
generic_result(struct pool *pool, const char *address, const char *value,
    const char *extension)
{
	const struct naming	naming = {
		content_set.append_at_myorigin ? site.myorigin : NULL,
		content_set.append_dot_mydomain ? site.mydomain : NULL
	};

	return mapping_result(pool, address, value,
	    propagates() ? extension : "", &naming);
}

/* The tables' answers for up to KEYS_MAX addresses: results[i], NULL for who
 * stays. -1 when the table does not answer. */
WAITS static int
ask(struct pool *pool, struct key_row *keys, size_t count,
    const char **results, const char **why)
{
	struct found	 found;
	size_t		 i = 0;

	while (i < count) {
		table_ask(pool, TABLE_GENERIC, LOOKUP_ADDRESS, keys + i,
		    count - i, &found);
		if (found.result == LOOKUP_NOT_FOUND)
			break;
		if (found.result != LOOKUP_FOUND) {
			*why = pool_printf(pool, "%s: %s",
			    table_name(TABLE_GENERIC), found.text);
			return -1;
		}
		i += (size_t)found.which;
		results[i] = generic_result(pool, keys[i].key, found.value,
		    found.extension);
		i++;
	}
	return 0;
}

/* All addresses of a value; how many are changed, or -1. */
WAITS static int
ask_all(struct pool *pool, const struct span *spans, size_t count,
    const char **results, const char **why)
{
	struct key_row	*keys = pool_array(pool, KEYS_MAX, sizeof(*keys));
	size_t		 done, n, i;
	int		 changed = 0;

	for (done = 0; done < count; done += n) {
		for (n = 0; n < KEYS_MAX && done + n < count; n++)
			keys[n].key = spans[done + n].address;
		if (ask(pool, keys, n, results + done, why) == -1)
			return -1;
	}
	for (i = 0; i < count; i++) {
		if (results[i] != NULL && strcmp(results[i],
		    spans[i].address) == 0)
			results[i] = NULL;
		changed += results[i] != NULL;
	}
	return changed;
}

/* A field's value. */
WAITS int
generic_value(struct pool *pool, const char *value, size_t len,
    struct str *to, const char **why)
{
	struct span	*spans;
	const char     **results;
	size_t		 count, i, copied = 0;
	int		 changed;

	spans_find(pool, value, len, &spans, &count);
	results = pool_array(pool, count + 1, sizeof(*results));
	if ((changed = ask_all(pool, spans, count, results, why)) <= 0)
		return changed;
	for (i = 0; i < count; i++) {
		if (results[i] == NULL)
			continue;
		str_add_mem(to, value + copied, spans[i].at - copied);
		str_add(to, results[i]);
		if (spans[i].comments != NULL)
			str_add(to, spans[i].comments);
		copied = spans[i].at + spans[i].len;
	}
	str_add_mem(to, value + copied, len - copied);
	return 1;
}

/* An address of the envelope. */
const char *
content_address(struct delivery *d, const char *address, const char **dsn,
    const char **why)
{
	struct key_row	 key = { pool_strdup(d->pool, address) };
	const char	*result = NULL;

	if (*address == '\0' || !table_is_set(TABLE_GENERIC))
		return address;
	if (ask(d->pool, &key, 1, &result, why) == -1) {
		*dsn = "4.3.0";
		return NULL;
	}
	return result != NULL ? result : address;
}
