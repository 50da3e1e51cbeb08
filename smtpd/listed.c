/*
 * listed.c - tables of recipients, as one line of master.cf changes them.
 *
 * Called by envelope.c. The tables are resolve's, who knows those of main.cf
 * only. A service that gets mail back from a filter sets them to nothing ("-o
 * local_recipient_maps="), so that each recipient is taken; that is done here.
 *
 * P1  A line that names other tables than main.cf is not ignored: its
 *     recipients hear 451.
 */

#include "smtpd/listed.h"

#include <stddef.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"

static struct own {
	const char	*parameter, *class;
	bool		 is_off;
} tables[] = {
	{ "local_recipient_maps",	"local",		false },
	{ "relay_recipient_maps",	"relay",		false },
	{ "virtual_mailbox_maps",	"virtual-mailbox",	false },
	{ "virtual_alias_maps",		NULL,			false }
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

static bool	is_broken;

/* Is it this service that sets it, and not main.cf? */
static const struct setting *
find_own(struct maincf *mc, const char *parameter)
{
	const struct setting	*s = maincf_find(mc, parameter);

	return s != NULL && text_starts(maincf_where(maincf_pool(mc), s),
	    "master.cf") ? s : NULL;
}

void
listed_prepare(void)
{
	const struct setting	*s;
	struct own		*t;

	for (t = tables; t < tables + TABLES; t++) {
		if ((s = find_own(daemon_maincf(), t->parameter)) == NULL)
			continue;
		t->is_off = s->value[strspn(s->value, " \t")] == '\0';
		if (t->is_off)
			continue;
		is_broken = true;
		log_error("%s: -o %s = %s: only main.cf can name these tables; "
		    "every recipient is answered with 451",
		    daemon_service(), t->parameter, s->value);
	}
	if (is_broken && daemon_is_checking())
		die("some settings of this service cannot be acted upon");
}

bool
listed_is_wanted(const struct recipient_answer *to)
{
	const struct own	*t;

	for (t = tables; t < tables + TABLES; t++)
		if (t->is_off && t->class != NULL &&
		    strcmp(t->class, to->address_class) == 0)
			return false;
	return true;
}

bool
listed_is_broken(void)
{
	return is_broken;
}
