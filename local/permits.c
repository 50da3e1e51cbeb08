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

static struct permit {
	char	*user;
	int64_t	 gid;
	char	*root;			/* or NULL */
} permits[PERMITS_MAX];
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

/* "NAME" or "NAME:GROUP" */
static void
set_user(struct permit *p, const char *value)
{
	char	*group;

	free(p->user);
	p->user = mem_strdup(value);
	p->gid = -1;
	if ((group = strchr(p->user, ':')) != NULL) {
		*group = '\0';
		p->gid = group_of(group + 1);
	}
}

/* A line of pipe: what stands in front of the command. */
static void
add(const struct service *s)
{
	struct permit	 p = { NULL, -1, NULL };
	const char	*word;
	size_t		 i;

	for (i = s->option_words; i < s->argument_count; i++) {
		word = s->arguments[i];
		if (strncmp(word, "argv=", 5) == 0)
			break;
		if (strncmp(word, "user=", 5) == 0)
			set_user(&p, word + 5);
		if (strncmp(word, "chroot=", 7) == 0) {
			free(p.root);
			p.root = mem_strdup(word + 7);
		}
	}
	if (p.user != NULL && count < PERMITS_MAX) {
		permits[count++] = p;
		return;
	}
	free(p.user);
	free(p.root);
}

/* Read the lines. */
void
permits_read(void)
{
	struct pool	*pool = pool_new("permits", 0);
	struct mastercf	*file;
	char		*why;
	size_t		 i;

	file = mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site.config_directory), &why);
	if (file == NULL)
		log_warning("nothing is piped: %s", why);
	for (i = 0; file != NULL && i < file->count; i++)
		if (strcmp(file->services[i].command, "pipe") == 0)
			add(&file->services[i]);
	pool_free(pool);
}

/* The same root, or none for both? */
static bool
is_root_of(const struct permit *p, const char *root)
{
	if (p->root == NULL || root == NULL)
		return p->root == root;
	return strcmp(p->root, root) == 0;
}

/* Is there a line with this user, this group and this root? */
bool
permits_pipe(const char *user, int64_t gid, const char *root)
{
	size_t	i;

	for (i = 0; i < count; i++)
		if (permits[i].gid == gid &&
		    strcmp(permits[i].user, user) == 0 &&
		    is_root_of(&permits[i], root))
			return true;
	return false;
}
