/*
 * account.c - as whom commands of the administrator's run.
 *
 * Used by spawn.c and token.c, which have root's rights and give none away.
 * What main.cf and master.cf say is read at the start; the change is made in
 * the child, between fork and exec.
 */
#include "local/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/daemon/roles.h"
#include "common/param/site.h"

/* May a command have this group? By some of them one speaks to our daemons. */
static bool
is_group_of_ours(gid_t gid)
{
	const struct role	*r;
	const struct group	*gr;
	const char		*name;

	if (gid == 0 || gid == (gid_t)-1)
		return true;
	gr = getgrnam(site.setgid_group);
	if (gr != NULL && gr->gr_gid == gid)
		return true;
	for (r = role_all(); r->program != NULL; r++) {
		if ((name = role_socket_group(r->program)) == NULL)
			continue;
		gr = getgrnam(name);
		if (gr != NULL && gr->gr_gid == gid)
			return true;
	}
	return false;
}

/* The number of the group named; false: there is none. */
static bool
find_group(const char *name, gid_t *gid)
{
	const struct group	*gr;
	int64_t			 number;

	if (text_integer(name, 1, INT32_MAX, &number) == NULL) {
		*gid = (gid_t)number;
		return true;
	}
	if ((gr = getgrnam(name)) == NULL)
		return false;
	*gid = gr->gr_gid;
	return true;
}

/* Is he root or one of us? */
static bool
is_user_of_ours(const struct account *a)
{
	return a->uid == 0 || a->uid == (uid_t)-1 ||
	    strcmp(a->name, site.mail_owner) == 0 ||
	    (site.is_root && daemon_is_own_user(a->uid));
}

/* Who is it? */
const char *
account_find(struct account *a, struct pool *pool, const char *value)
{
	size_t			 len = strcspn(value, ":");
	const struct passwd	*pw;

	a->name = pool_strndup(pool, value, len);
	if ((pw = getpwnam(a->name)) == NULL)
		return pool_printf(pool, "there is no user \"%s\"", a->name);
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
	if (value[len] == ':' && !find_group(value + len + 1, &a->gid))
		return pool_printf(pool, "there is no group %s",
		    value + len + 1);
	if (is_user_of_ours(a))
		return "commands do not run as root or as a user of the mail "
		    "system";
	if (is_group_of_ours(a->gid))
		return "commands do not run with this group";
	if (!site.is_root && a->uid != geteuid())
		return "this instance runs without root and cannot become "
		    "another user";
	return NULL;
}

/* The ids are read back, and taking root's again must fail. */
int
account_become(const struct account *a)
{
	uid_t	ru, eu, su;
	gid_t	rg, eg, sg;

	if (!site.is_root)
		return 0;
	if (setgroups(1, &a->gid) == -1 ||
	    setresgid(a->gid, a->gid, a->gid) == -1 ||
	    setresuid(a->uid, a->uid, a->uid) == -1 ||
	    getresuid(&ru, &eu, &su) == -1 || getresgid(&rg, &eg, &sg) == -1)
		return -1;
	errno = EPERM;
	return ru == a->uid && eu == a->uid && su == a->uid &&
	    rg == a->gid && eg == a->gid && sg == a->gid &&
	    setresuid(0, 0, 0) == -1 && setuid(0) == -1 &&
	    setresgid(0, 0, 0) == -1 ? 0 : -1;
}

/* The commands' environment. */
char **
account_environment(struct pool *pool, const char *list)
{
	size_t		  count, i, n = 0;
	char		**words = text_words(pool, list, &count), **envp;
	const char	 *value;

	envp = pool_array(pool, count + 2, sizeof(*envp));
	envp[n++] = pool_strdup(pool, "PATH=/usr/bin:/bin");
	for (i = 0; i < count; i++) {
		value = strcmp(words[i], "MAIL_CONFIG") == 0 ?
		    site.config_directory : getenv(words[i]);
		if (text_starts(words[i], "PATH="))
			envp[0] = words[i];
		else if (strchr(words[i], '=') != NULL)
			envp[n++] = words[i];
		else if (value != NULL)
			envp[n++] = pool_printf(pool, "%s=%s", words[i],
			    value);
	}
	return envp;
}
