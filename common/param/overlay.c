/*
 * overlay.c - main.cf as one line of master.cf sees it.
 */
#include "common/param/overlay.h"

#include <string.h>

#include "common/param/known.h"

/* main.cf once more, for one service to add its own to. */
static struct maincf *
copy_settings(struct pool *pool, struct maincf *from)
{
	struct maincf		*to = maincf_empty(pool);
	const struct setting	*s;
	const struct known	*k;
	const char		*text;
	size_t			 i;

	for (i = 0; (s = maincf_at(from, i)) != NULL; i++)
		maincf_set(to, s->name, s->value, maincf_where(pool, s));
	for (i = 0; (k = known_at(i)) != NULL; i++)
		if (*known_name(k) != '*' &&
		    maincf_find(from, known_name(k)) == NULL &&
		    (text = maincf_text(from, known_name(k))) != NULL)
			maincf_default(to, known_name(k), text);
	return to;
}

/* postscreen's clients get the settings of the smtpd behind it. */
const struct service *
overlay_line(const struct mastercf *file, const struct service *line)
{
	const struct service	*smtpd = NULL;

	if (strcmp(line->command, "postscreen") == 0)
		smtpd = mastercf_find(file, "smtpd", "pass");
	return smtpd != NULL ? smtpd : line;
}

/* main.cf as this line of master.cf changes it. */
struct maincf *
overlay_settings(struct pool *pool, struct maincf *mc,
    const struct mastercf *file, const struct service *line)
{
	struct maincf	*to = copy_settings(pool, mc);
	size_t		 i;

	line = overlay_line(file, line);
	for (i = 0; i < line->option_count; i++)
		maincf_set(to, line->options[i].name, line->options[i].value,
		    pool_printf(pool, "%s:%u", line->file, line->line));
	known_translate(to);
	return to;
}

/* By what name its program asks. master makes a socket of a fifo, which
 * pickup is in old files. */
char *
overlay_name(struct pool *pool, const struct service *line)
{
	return pool_printf(pool, "%s/%s", line->name,
	    strcmp(line->type, "fifo") == 0 ? "unix" : line->type);
}
