/*
 * permits.c - as whom commands of the service pipe may run.
 *
 * Read by helper before any request, from master.cf itself, because local may
 * have fallen into wrong hands: a user together with a group like "disk"
 * would be as good as root. A changed master.cf acts after a reload, which
 * starts helper anew.
 */
#include "local/permits.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/param/mastercf.h"
#include "common/param/site.h"

enum { PERMITS_MAX = 500 };

static struct permit { char *user; int64_t gid; } permits[PERMITS_MAX];
static size_t	count;

/* The number of a group; 0, which nobody gets, when there is none. */
static int64_t
group_of(const char *name)
{
	const struct group	*gr;
	int64_t			 gid;

	if (text_integer(name, 1, INT32_MAX, &gid) == NULL)
		return gid;
	gr = getgrnam(name);
	return gr != NULL ? (int64_t)gr->gr_gid : 0;
}

/* "user=NAME" or "user=NAME:GROUP" */
static void
add(const char *word)
{
	struct permit	*p = &permits[count];
	char		*group;

	if (strncmp(word, "user=", 5) != 0 || count == PERMITS_MAX)
		return;
	p->user = mem_strdup(word + 5);
	p->gid = -1;
	if ((group = strchr(p->user, ':')) != NULL) {
		*group = '\0';
		p->gid = group_of(group + 1);
	}
	count++;
}

/* Read the lines. */
void
permits_read(void)
{
	struct pool		*pool = pool_new("permits", 0);
	struct mastercf		*file;
	const struct service	*s;
	char			*why;
	size_t			 i, k;

	file = mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site.config_directory), &why);
	if (file == NULL)
		log_warning("nothing is piped: %s", why);
	for (i = 0; file != NULL && i < file->count; i++) {
		s = &file->services[i];
		for (k = s->option_words; strcmp(s->command, "pipe") == 0 &&
		    k < s->argument_count; k++) {
			if (strncmp(s->arguments[k], "argv=", 5) == 0)
				break;
			add(s->arguments[k]);
		}
	}
	pool_free(pool);
}

/* Is there a line with this user and this group? */
bool
permits_pipe(const char *user, int64_t gid)
{
	size_t	i;

	for (i = 0; i < count; i++)
		if (permits[i].gid == gid && strcmp(permits[i].user, user) == 0)
			return true;
	return false;
}
