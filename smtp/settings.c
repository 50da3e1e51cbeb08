/*
 * settings.c - what main.cf says, under the names of the program we are.
 *
 * smtp and lmtp are one program with two names, and so are its parameters.
 * Rows are written once, beside their users, as "smtp_x"; lmtp has the same
 * as "lmtp_x", but for the few that are listed here.
 */
#include "smtp/settings.h"

#include <string.h>

#include "common/daemon/daemon.h"

struct settings	 set = { .skips_4xx = true };

/* What is not just another prefix: lmtp's name (NULL: it has none), and its
 * own default (NULL: the same). */
static const struct {
	const char	*smtp, *lmtp, *standard;
} differences[] = {
	{ "smtp_helo_name",		"lmtp_lhlo_name",	NULL },
	{ "smtp_helo_timeout",		"lmtp_lhlo_timeout",	NULL },
	{ "smtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords", NULL },
	{ "smtp_discard_ehlo_keyword_address_maps",
	    "lmtp_discard_lhlo_keyword_address_maps",		NULL },
	{ "smtp_connect_timeout",	"lmtp_connect_timeout",	"0s" },
	{ "smtp_skip_quit_response",	"lmtp_skip_quit_response", "no" },
	{ "smtp_tcp_port",		"lmtp_tcp_port",	"24" },
	{ "smtp_fallback_relay",	"lmtp_fallback_relay",	"" },
	{ "smtp_tls_secure_cert_match",	"lmtp_tls_secure_cert_match",
	    "nexthop" },
	{ "smtp_always_send_ehlo",	NULL,			NULL },
	{ "smtp_never_send_ehlo",	NULL,			NULL },
	{ "smtp_skip_4xx_greeting",	NULL,			NULL },
	{ NULL, NULL, NULL }
};

static struct pool	*pool;		/* of names; never freed */

/* "$smtp_x" in a text becomes "$lmtp_x", "smtp_x" at its start too. */
static char *
rename_all(const char *text)
{
	char	*copy = pool_strdup(pool, text), *at;

	if (strncmp(copy, "smtp_", 5) == 0)
		copy[0] = 'l', memcpy(copy + 1, "mtp", 3);
	for (at = copy; (at = strchr(at, '$')) != NULL; ) {
		at += at[1] == '{' ? 2 : 1;
		if (strncmp(at, "smtp_", 5) == 0)
			memcpy(at, "lmtp", 4);
	}
	return copy;
}

/* lmtp's row for smtp's. False: it has none. */
static bool
translate(const struct param *from, struct param *to)
{
	size_t	i;

	*to = *from;
	for (i = 0; differences[i].smtp != NULL; i++) {
		if (strcmp(differences[i].smtp, from->name) != 0)
			continue;
		if (differences[i].lmtp == NULL)
			return false;
		to->name = differences[i].lmtp;
		to->standard = differences[i].standard != NULL ?
		    differences[i].standard : rename_all(from->standard);
		return true;
	}
	to->name = rename_all(from->name);
	to->standard = rename_all(from->standard);
	return true;
}

/* One table for lmtp. */
static struct param *
translate_table(const struct param *from)
{
	struct param	*to;
	size_t		 n;

	for (n = 0; from[n].name != NULL; n++)
		continue;
	to = pool_array(pool, n + 1, sizeof(*to));
	for (n = 0; from->name != NULL; from++)
		if (translate(from, &to[n]))
			n++;
	to[n] = (struct param)PARAM_END;
	return to;
}

/* All tables for the program that we are. */
const struct param *const *
settings_rows(const struct param *const *tables, bool is_lmtp)
{
	const struct param	**to;
	size_t			  i, n;

	if (pool == NULL)
		pool = pool_new("settings", 0);
	set.is_lmtp = is_lmtp;
	if (!is_lmtp)
		return tables;
	for (n = 0; tables[n] != NULL; n++)
		continue;
	to = pool_array(pool, n + 2, sizeof(*to));
	for (i = 0; i < n; i++)
		to[i] = translate_table(tables[i]);
	to[n] = lmtp_params;
	return to;
}

/* The name of one parameter. */
const char *
settings_name(const char *smtp_name)
{
	size_t	i;

	if (!set.is_lmtp)
		return smtp_name;
	for (i = 0; differences[i].smtp != NULL; i++)
		if (strcmp(differences[i].smtp, smtp_name) == 0)
			return differences[i].lmtp;
	return rename_all(smtp_name);
}

/* Our line in master.cf. */
const char *
settings_service(void)
{
	static const char	*line;

	if (line == NULL)
		line = pool_printf(pool, "%s/unix", daemon_service());
	return line;
}
