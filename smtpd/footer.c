/*
 * footer.c - what an administrator adds to every refusal, for instance whom
 * to call.
 *
 * Called by replies.c. A template is text with $client_address, $client_port,
 * $server_name and $localtime; \n begins a line, \c at its start joins it to
 * the reply. Each line gets the codes of the reply (RFC 5321 4.2.1, RFC 2034
 * 4). A template that cannot be looked up is left out: the refusal counts.
 */

#include "smtpd/footer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"
#include "common/param/site.h"

#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/table.h"

enum { TEMPLATE_MAX = 4096 };

const struct param footer_params[] = {
	PARAM_RAW("smtpd_reject_footer", set.reject_footer, "", 0,
	    TEMPLATE_MAX, "Text behind each refusal, with $client_address, "
	    "$client_port, $localtime and $server_name; \\n begins a line, \\c "
	    "at its start adds to the same line."),
	PARAM_STRING("smtpd_reject_footer_maps", set.reject_footer_maps, "", 0,
	    10000, "Tables that say by the whole refusal what counts in place "
	    "of smtpd_reject_footer."),
	PARAM_END
};

bool
footer_is_wanted(void)
{
	return set.reject_footer[0] != '\0' ||
	    set.reject_footer_maps[0] != '\0';
}

/* The template for this refusal; "" when there is none. */
WAITS static const char *
find_template(struct pool *pool, const char *line)
{
	struct found	found;

	if (set.reject_footer_maps[0] == '\0')
		return set.reject_footer;
	table_ask(pool, "smtpd_reject_footer_maps", LOOKUP_KEYS, line, &found);
	if (found.result == LOOKUP_FOUND)
		return found.value;
	if (found.result == LOOKUP_TEMPORARY)
		log_warning("smtpd_reject_footer_maps: %s", found.text);
	return set.reject_footer;
}

/* The value of a name in the template; "" of one that has none. */
static const char *
value_of(const struct session *s, struct pool *pool, const char *name,
    size_t len)
{
	char		text[32];
	struct tm	tm;
	time_t		now = time(NULL);

	if (text_equal_mem("client_address", name, len))
		return s->address_text;
	if (text_equal_mem("client_port", name, len))
		return pool_printf(pool, "%u", (unsigned)s->address.port);
	if (text_equal_mem("server_name", name, len))
		return site.myhostname;
	if (!text_equal_mem("localtime", name, len))
		return "";
	strftime(text, sizeof(text), "%b %d %H:%M:%S",
	    localtime_r(&now, &tm));
	return pool_strdup(pool, text);
}

/* $name, ${name} or $(name): its value, and move behind it. */
static void
add_value(const struct session *s, struct pool *pool, const char **at,
    struct str *to)
{
	const char	*name = *at + 1;
	bool		 is_braced = *name == '{' || *name == '(';
	size_t		 len = 0;

	name += is_braced;
	while (is_alnum(name[len]) || name[len] == '_')
		len++;
	str_add(to, value_of(s, pool, name, len));
	*at = name + len;
	if (is_braced && (**at == '}' || **at == ')'))
		(*at)++;
}

/* The template with its values; lines end with \n. */
static const char *
expand(const struct session *s, struct pool *pool, const char *template)
{
	struct str	text;

	str_init(&text, pool, TEMPLATE_MAX);
	while (*template != '\0') {
		if (*template == '$' && template[1] != '\0')
			add_value(s, pool, &template, &text);
		else if (template[0] == '\\' && template[1] == 'n') {
			str_add_char(&text, '\n');
			template += 2;
		} else {
			str_add_char(&text, is_control((unsigned char)
			    *template) || is_8bit(*template) ? '_' :
			    *template);
			template++;
		}
	}
	return text.data;
}

size_t
footer_add(const struct session *s, struct pool *pool, const char *line,
    const char *lines[FOOTER_LINES])
{
	const char	*text = find_template(pool, line);
	size_t		 codes = 4 + dsn_find(line + 4, 0), len, n = 0, i;
	bool		 is_joined = strncmp(text, "\\c", 2) == 0;

	text = expand(s, pool, text + (is_joined ? 2 : 0));
	if (*text == '\0') {
		lines[0] = line;
		return 1;
	}
	if (is_joined) {
		len = strcspn(text, "\n");
		lines[n++] = pool_printf(pool, "%s%.*s", line, (int)len, text);
		text += len + (text[len] != '\0');
	} else
		lines[n++] = pool_strdup(pool, line);
	for (; *text != '\0' && n < FOOTER_LINES;
	    text += len, text += *text == '\n') {
		len = strcspn(text, "\n");
		lines[n++] = pool_printf(pool, "%.*s%s%.*s", (int)codes, line,
		    codes > 4 ? " " : "", (int)len, text);
	}
	for (i = 0; i < n; i++)
		lines[i] = pool_printf(pool, "%.3s%c%.*s", lines[i],
		    i + 1 < n ? '-' : ' ', REPLY_LINE - 5, lines[i] + 4);
	return n;
}
