/*
 * privs.c - from root to a user who can do one thing.
 *
 * What is looked up in /etc is looked up first; then the jail, the groups,
 * the user, the capabilities, in this order, and every step is verified: a
 * daemon that could not drop its rights does not serve.
 *
 * P1  After privs_drop() the real, effective and saved ids are the role's,
 *     the groups are its own and those of the sockets it calls, and asking
 *     for root again fails.
 * P2  helper and spawn alone stay root, with the capabilities to become a user
 *     and to end their children, helper also to give a new mailbox away and
 *     to chroot a command of pipe; they
 *     have no CAP_DAC_OVERRIDE: what happens in a home is done as its owner,
 *     and /var/mail belongs to root anyway.
 * P3  Nothing is started with more rights than its parent, except by these
 *     two, whose users may call set-gid programs (postdrop) from their
 *     .forward or their command.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/inside.h"
#include "common/param/site.h"

enum { LAST_CAP = 63, USERS = 32 };

/* Who runs which program, read while /etc is in sight. */
static struct { const char *program; uid_t uid; } users[USERS];
static size_t	user_count;

/* A system user that must exist. */
static const struct passwd *
find_user(const char *name)
{
	const struct passwd	*pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		die("user %s: %s", name, errno != 0 ? strerror(errno) :
		    "there is no such user (make install creates it)");
	return pw;
}

/* A system group that must exist. */
static gid_t
find_group(const char *name)
{
	const struct group	*gr;

	errno = 0;
	if ((gr = getgrnam(name)) == NULL)
		die("group %s: %s", name, errno != 0 ? strerror(errno) :
		    "there is no such group (make install creates it)");
	return gr->gr_gid;
}

/* The ids of the role's user, and the groups of the sockets it calls. */
void
privs_find(const struct role *role, struct identity *id)
{
	const struct passwd	*pw;
	const char		*group;
	size_t			 i;

	*id = (struct identity){ 0 };
	if (role->user == NULL)
		return;
	pw = find_user(role->user);
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	if (id->uid == 0)
		die("user %s must not be root", role->user);
	for (i = 0; i < sizeof(role->calls) / sizeof(role->calls[0]) &&
	    role->calls[i] != NULL; i++)
		if ((group = role_socket_group(role->calls[i])) != NULL)
			id->groups[id->group_count++] = find_group(group);
}

/* A system user, or NULL if there is none. Who cannot find out for want of
 * something must not live: he would refuse the user for as long as he does.
 * Other errors are what some name services say of users that are not there. */
static const struct passwd *
look_for_user(const char *name)
{
	const struct passwd	*pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL && (errno == ENOMEM ||
	    errno == EMFILE || errno == ENFILE || errno == EIO ||
	    errno == EINTR || errno == EAGAIN))
		die("user %s: %s", name, strerror(errno));
	return pw;
}

/* Remember the users of all programs. One that is missing stays out: then
 * nobody can come by its name. */
void
privs_learn_users(void)
{
	const struct role	*r;
	const struct passwd	*pw;

	for (r = role_all(); r->program != NULL && user_count < USERS; r++) {
		if (r->user == NULL || (pw = look_for_user(r->user)) == NULL)
			continue;
		users[user_count].program = r->program;
		users[user_count++].uid = pw->pw_uid;
	}
}

/* Is this the user that runs the program? */
bool
privs_is_user_of(const char *service, uid_t uid)
{
	size_t	i;

	for (i = 0; i < user_count; i++)
		if (strcmp(users[i].program, service) == 0)
			return users[i].uid == uid;
	return false;
}

/* Does any program of ours run as this user? */
bool
daemon_is_own_user(uid_t uid)
{
	size_t	i;

	for (i = 0; i < user_count; i++)
		if (uid != 0 && users[i].uid == uid)
			return true;
	return false;
}

/* No core files with other people's mail, and all descriptors we may have. */
void
privs_limits(void)
{
	struct rlimit	limit = { 0, 0 };

	if (getenv("POSTRIDER_ALLOW_CORES") == NULL &&
	    setrlimit(RLIMIT_CORE, &limit) == -1)
		die("setrlimit: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
			log_warning("the limit of open files stays low: %s",
			    strerror(errno));
	}
}

/* Into the jail, so that all names of sockets are short and relative. */
void
privs_jail(const struct role *role)
{
	char	path[PATH_MAX / 4];
	int	n;

	n = snprintf(path, sizeof(path), "%s%s", site.queue_directory,
	    role->jail == JAIL_PRIVATE ? "/private" : "");
	if (n < 0 || (size_t)n >= sizeof(path))
		die("queue_directory is too long");
	if (chdir(path) == -1)
		die("chdir %s: %s", path, strerror(errno));
	if (!site.is_root || role->jail == JAIL_NONE)
		return;
	if (chroot(".") == -1 || chdir("/") == -1)
		die("chroot %s: %s", path, strerror(errno));
}

/* The capabilities of a role, as a mask. */
static uint64_t
wanted_caps(const struct role *role)
{
	uint64_t	caps = UINT64_C(1) << CAP_SETUID |
			    UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_KILL;

	if (role->user != NULL || !(role->needs & NEEDS_BECOME))
		return 0;
	if (role->needs & NEEDS_FILES_WRITE)
		caps |= UINT64_C(1) << CAP_CHOWN |
		    UINT64_C(1) << CAP_SYS_CHROOT;
	return caps;
}

/* Take the rest out of the bounding set; where that is forbidden (some
 * containers) the sets themselves are still emptied. */
static void
bound_caps(uint64_t wanted)
{
	int	cap;

	for (cap = 0; cap <= LAST_CAP; cap++)
		if (!(wanted >> cap & 1) &&
		    prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1) {
			log_debug("capability %d stays in the bounding set: "
			    "%s", cap, strerror(errno));
			return;
		}
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* Have these capabilities and no others, and see that it is so. */
static void
set_caps(uint64_t wanted)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	sets[2], now[2];
	int				i;

	if (syscall(SYS_capget, &head, now) == -1)
		die("capget: %s", strerror(errno));
	for (i = 0; i < 2; i++) {
		sets[i].permitted = (uint32_t)(wanted >> 32 * i) &
		    now[i].permitted;
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, sets) == -1)
		die("capset: %s", strerror(errno));
	if (syscall(SYS_capget, &head, now) == -1 ||
	    memcmp(sets, now, sizeof(sets)) != 0)
		die("capabilities could not be dropped");
}

/* Are all ids of this process the wanted ones, for good? (P1) */
static void
verify(const struct identity *id)
{
	uid_t	ru, eu, su;
	gid_t	rg, eg, sg;

	if (getresuid(&ru, &eu, &su) == -1 || getresgid(&rg, &eg, &sg) == -1)
		die("getresuid: %s", strerror(errno));
	if (ru != id->uid || eu != id->uid || su != id->uid ||
	    rg != id->gid || eg != id->gid || sg != id->gid)
		die("the user could not be changed");
	if (setresuid(0, 0, 0) != -1 || setuid(0) != -1 ||
	    setresgid(0, 0, 0) != -1)
		die("root could be had again");
}

/* Groups, user; root no more. */
static void
change_user(const struct identity *id)
{
	if (setgroups(id->group_count, id->groups) == -1)
		die("setgroups: %s", strerror(errno));
	if (setresgid(id->gid, id->gid, id->gid) == -1)
		die("setresgid: %s", strerror(errno));
	if (setresuid(id->uid, id->uid, id->uid) == -1)
		die("setresuid: %s", strerror(errno));
}

/* Neither other processes of this user nor a core file see our memory. A
 * build with sanitizers needs to look at itself. */
static void
hide_memory(void)
{
	int	is_dumpable = getenv("POSTRIDER_ALLOW_CORES") != NULL;

#ifdef SANITIZED
	is_dumpable = 1;
#endif
	if (prctl(PR_SET_DUMPABLE, is_dumpable, 0, 0, 0) == -1)
		die("PR_SET_DUMPABLE: %s", strerror(errno));
}

/* Become the user for good. */
void
privs_drop(const struct role *role, const struct identity *id)
{
	uint64_t	caps = wanted_caps(role);

	if (site.is_root) {
		bound_caps(caps);
		if (role->user != NULL)
			change_user(id);
		set_caps(caps);
		if (role->user != NULL)
			verify(id);
	}
	if (!(role->needs & NEEDS_BECOME) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		die("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	hide_memory();
}
