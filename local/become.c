/*
 * become.c - from helper's child to the program mailbox as a recipient.
 *
 * Runs in a process of its own between fork and exec, as root until the
 * middle of it, with CAP_SETUID, CAP_SETGID, CAP_CHOWN and CAP_SYS_CHROOT. It
 * reads the user database and no mail. What it has to say goes to helper
 * through a pipe that closes itself at exec.
 *
 * B1  The program starts with the user's id in all three places, with his
 *     group, and a recipient with those whose member he is; only its real
 *     group is the spool's, which it may take up for making and locking files
 *     there. The ids are read back, and taking root's again must fail.
 * B2  Nothing is inherited: descriptors 0 to 2 are /dev/null, 3 and 4 are the
 *     channel and the log, the rest is closed; the environment is made anew;
 *     signals and limits are as in a fresh login.
 * B3  A missing mailbox is made for its user, never an existing file given to
 *     him: O_EXCL, no links, and the descriptor that was made is what changes
 *     its owner.
 * B4  For root there are no capabilities left, and none can be had by exec.
 * B5  Nobody becomes a user of the mail system's own: an owned local reads no
 *     queue.
 * B6  Only a recipient may be root, and he is one for whom mailbox does
 *     nothing but to store; so is whoever has his ids from a table. They are
 *     at least virtual_minimum_uid. A group beside the user's own is had by
 *     a line of master.cf only (permits.c).
 * B7  The process keeps one capability, that of chroot(2), if a line of
 *     master.cf says chroot=; it is told where at its start and gives it up
 *     before a command runs (running.c).
 */
#include "local/become.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fresh.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon/daemon.h"
#include "common/daemon/roles.h"
#include "common/daemon/handover.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"

#include "local/permits.h"
#include "local/spool.h"

enum {
	REPORT_FD = 5,
	GROUPS = 1024,			/* whose member a user may be */
	NO_ID = -1
};

static struct {
	char	*default_privs;
	int64_t	 virtual_minimum_uid;
	bool	 require_home_directory;
} set;

const struct param	become_params[] = {
	PARAM_STRING("default_privs", set.default_privs, "nobody", 1, 64,
	    "The user as whom commands and files of /etc/aliases are run and "
	    "written when the table belongs to root."),
	PARAM_INT("virtual_minimum_uid", set.virtual_minimum_uid, "100", 1,
	    INT32_MAX, "The least number of a user that virtual_uid_maps may "
	    "give."),
	PARAM_BOOL("require_home_directory", set.require_home_directory, "no",
	    "Mail for users whose home directory is not there waits."),
	PARAM_END
};

static struct {
	bool		 has_log;
	bool		 has_group;	/* the spool's, for making files */
	gid_t		 spool_group;
	const struct become *who;	/* in the child, as all of these */
	gid_t		*groups;
	int		 group_count;
	struct pool	*pool;
	struct report	*report;
	int		 pipe;
} self;

/* --- before any request -------------------------------------------------- */

/*
 * The spool's group, when it can make files there and root owns the spool. With
 * no_new_privs, before Linux 6.16, exec would make the real group the effective
 * one; then mailboxes do without lock files.
 */
void
become_prepare(void)
{
	struct stat	st;

	self.has_log = fcntl(HANDOVER_LOG, F_GETFD) != -1;
	permits_read();
	if (stat(spool.directory, &st) == -1) {
		if (spool.home_mailbox[0] == '\0')
			log_warning("mail_spool_directory %s: %s",
			    spool.directory, strerror(errno));
		return;
	}
	self.has_group = site.is_root && st.st_uid == 0 && st.st_gid != 0 &&
	    (st.st_mode & S_IWGRP) != 0 &&
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
	self.spool_group = st.st_gid;
}

/* --- what is said -------------------------------------------------------- */

/* Send the report to helper. */
static void
tell(void)
{
	(void)fs_write(self.pipe, self.report, sizeof(*self.report));
}

/* Say why it does not work, and be gone. */
_Noreturn static void __attribute__((format(printf, 2, 3)))
fail(enum route_result result, const char *format, ...)
{
	va_list	ap;

	self.report->result = result;
	va_start(ap, format);
	vsnprintf(self.report->text, sizeof(self.report->text), format, ap);
	va_end(ap);
	tell();
	_exit(1);
}

/* --- who ----------------------------------------------------------------- */

/* Is this a user's entry that somebody may become? (B5, B6) */
static const struct passwd *
check_user(const struct passwd *pw, const char *name)
{
	bool	may_be_root = self.who->kind == BECOME_USER;

	if (!spool_is_name(pw->pw_name) ||
	    (site.is_root && daemon_is_own_user(pw->pw_uid)) ||
	    pw->pw_uid == (uid_t)NO_ID || pw->pw_gid == (gid_t)NO_ID)
		fail(may_be_root ? ROUTE_IMPOSSIBLE : ROUTE_TEMPORARY,
		    "unknown user: \"%s\"", name);
	if (!may_be_root && (pw->pw_uid == 0 || pw->pw_gid == 0))
		fail(ROUTE_TEMPORARY, "nothing is delivered as user \"%s\"",
		    name);
	if (!site.is_root && pw->pw_uid != geteuid())
		fail(ROUTE_TEMPORARY, "this instance runs without root and "
		    "cannot deliver to user \"%s\"", pw->pw_name);
	return pw;
}

/* Is one of ours in the user database, who is always there? Not root, whom
 * some sources make up. */
static bool
is_database_there(void)
{
	return site.is_root ? getpwnam(role_find("local")->user) != NULL :
	    getpwuid(geteuid()) != NULL;
}

/* The user's entry, or why there is none: 0, or an error of now. libc says
 * that there is no such user, too, when a source could not be read (out of
 * descriptors, a bad block) and the next one has no such name. So who is not
 * there is looked for once more, after somebody who must be. */
static const struct passwd *
ask_user(const char *name, int *error)
{
	const struct passwd	*pw;
	int			 i;

	for (i = 0; i < 2; i++) {
		errno = 0;
		pw = getpwnam(name);
		*error = errno == ENOENT || errno == ESRCH ? 0 : errno;
		if (pw != NULL || *error != 0)
			return pw;
		if (!is_database_there()) {
			*error = EIO;
			return NULL;
		}
	}
	return NULL;
}

/* The user's entry; what is no entry for sure and what only failed now are
 * two things: the first returns the mail. */
static const struct passwd *
find_user(const char *name)
{
	const struct passwd	*pw;
	int			 error;

	pw = ask_user(name, &error);
	if (pw == NULL && error == 0)
		fail(ROUTE_IMPOSSIBLE, "unknown user: \"%s\"", name);
	if (pw == NULL)
		fail(ROUTE_TEMPORARY, "cannot look up user \"%s\": %s", name,
		    strerror(error));
	return check_user(pw, name);
}

/* The owner of a file. */
static const struct passwd *
find_owner(void)
{
	char			*name = pool_printf(self.pool, "%lld",
				    (long long)self.who->uid);
	const struct passwd	*pw = getpwuid((uid_t)self.who->uid);

	if (pw == NULL)
		fail(ROUTE_TEMPORARY, "there is no user with the number %s",
		    name);
	return check_user(pw, name);
}

/* Nobody of the user database: numbers from a table. */
static const struct passwd *
make_virtual(void)
{
	const struct become	*who = self.who;
	struct passwd		*pw = pool_alloc(self.pool, sizeof(*pw));
	static char		 root[] = "/", nothing[1];

	if (who->uid < set.virtual_minimum_uid || who->uid >= UINT32_MAX)
		fail(ROUTE_TEMPORARY, "user %lld is below virtual_minimum_uid "
		    "or no user", (long long)who->uid);
	if (who->gid <= 0 || who->gid >= UINT32_MAX)
		fail(ROUTE_TEMPORARY, "group %lld cannot own a mailbox",
		    (long long)who->gid);
	pw->pw_name = pool_printf(self.pool, "%lld", (long long)who->uid);
	pw->pw_uid = (uid_t)who->uid;
	pw->pw_gid = (gid_t)who->gid;
	pw->pw_dir = root;
	pw->pw_shell = nothing;
	return check_user(pw, pw->pw_name);
}

/* A user of the administrator's choice, with a group of his choice. */
static const struct passwd *
find_piped(void)
{
	const struct passwd	*found = find_user(self.who->user);
	struct passwd		*pw = pool_alloc(self.pool, sizeof(*pw));

	if (!permits_pipe(self.who->user, self.who->gid, self.who->root))
		fail(ROUTE_TEMPORARY, "no line of master.cf runs commands as "
		    "user \"%s\" with this group and root",
		    self.who->user);
	*pw = *found;
	if (self.who->gid != NO_ID)
		pw->pw_gid = (gid_t)self.who->gid;
	return check_user(pw, self.who->user);
}

/* Whom we are asked to become. */
static const struct passwd *
find(void)
{
	switch (self.who->kind) {
	case BECOME_USER:
		return find_user(self.who->user);
	case BECOME_DEFAULT:
		return find_user(set.default_privs);
	case BECOME_OWNER:
		return find_owner();
	case BECOME_VIRTUAL:
		return make_virtual();
	case BECOME_PIPE:
		return find_piped();
	default:
		fail(ROUTE_TEMPORARY, "nobody knows whom to become");
	}
}

/* Note down whom we become. */
static void
describe(const struct passwd *pw)
{
	struct report	*r = self.report;

	r->result = ROUTE_OK;
	r->uid = pw->pw_uid;
	r->gid = pw->pw_gid;
	if (strlcpy(r->user, pw->pw_name, sizeof(r->user)) >=
	    sizeof(r->user) ||
	    strlcpy(r->home, pw->pw_dir, sizeof(r->home)) >=
	    sizeof(r->home) ||
	    strlcpy(r->shell, pw->pw_shell[0] != '\0' ? pw->pw_shell :
	    "/bin/sh", sizeof(r->shell)) >= sizeof(r->shell))
		fail(ROUTE_TEMPORARY, "the entry of user \"%.64s\" is too long",
		    pw->pw_name);
}

/* --- his mailbox in the spool (B3) --------------------------------------- */

/* A new file, or directory, and its descriptor; -1 when there is one, or when
 * it cannot be made, which the delivery will notice. */
static int
make_in_spool(const char *path, bool is_maildir)
{
	int	fd;

	if (!is_maildir)
		return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
		    O_CLOEXEC, 0600);
	if (mkdir(path, 0700) == -1)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

/* Make the user's mailbox if it is missing: user:mail, 0660, as Debian does;
 * a Maildir is his alone. */
static void
make_mailbox(const struct passwd *pw)
{
	bool		 is_maildir = spool_is_maildir(spool.directory);
	char		*path = spool_path(self.pool, pw->pw_name);
	size_t		 len = strlen(path);
	gid_t		 group = self.has_group && !is_maildir ?
			    self.spool_group : pw->pw_gid;
	struct stat	 st;
	int		 fd;

	if (is_maildir)
		path[len - 1] = '\0';
	if ((fd = make_in_spool(path, is_maildir)) == -1) {
		if (errno != EEXIST)
			log_warning("cannot make mailbox %s: %s", path,
			    strerror(errno));
		return;
	}
	if (fstat(fd, &st) == -1 || st.st_uid != geteuid() ||
	    (!is_maildir && fchmod(fd, 0660) == -1) ||
	    fchown(fd, pw->pw_uid, group) == -1)
		log_warning("cannot give mailbox %s to its user: %s", path,
		    strerror(errno));
	close(fd);
}

/* --- becoming (B1, B4) --------------------------------------------------- */

/* Are we this user and nobody else, for good? */
static bool
is_user(const struct passwd *pw, gid_t real_group)
{
	uid_t	ru, eu, su;
	gid_t	rg, eg, sg;

	if (getresuid(&ru, &eu, &su) == -1 || getresgid(&rg, &eg, &sg) == -1)
		return false;
	if (ru != pw->pw_uid || eu != pw->pw_uid || su != pw->pw_uid ||
	    rg != real_group || eg != pw->pw_gid || sg != pw->pw_gid ||
	    getgroups(0, NULL) != self.group_count)
		return false;
	return pw->pw_uid == 0 || (setresuid(0, 0, 0) == -1 &&
	    setuid(0) == -1 && setresgid(0, 0, 0) == -1);
}

/* No capabilities now, and none by exec. */
static void
drop_capabilities(void)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	none[2] = { { 0 } };

	if (syscall(SYS_capset, &head, none) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fail(ROUTE_TEMPORARY, "cannot drop capabilities: %s",
		    strerror(errno));
}

/* Has this process a root to go to for its commands (B7)? */
static bool
has_root(void)
{
	return self.who->kind == BECOME_PIPE && self.who->root != NULL;
}

/* No capability but that of chroot(2), and that beyond exec (B7). */
static void
keep_chroot(void)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	one[2] = { { 0 } };

	one[0].permitted = one[0].effective = one[0].inheritable =
	    1U << CAP_SYS_CHROOT;
	if (syscall(SYS_capset, &head, one) == -1 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0,
	    0) == -1)
		fail(ROUTE_TEMPORARY, "cannot keep the right to chroot: %s",
		    strerror(errno));
}

/* His groups: a recipient's are those of a login. */
static void
find_groups(const struct passwd *pw)
{
	self.groups = pool_array(self.pool, GROUPS, sizeof(*self.groups));
	self.groups[0] = pw->pw_gid;
	self.group_count = 1;
	if (self.who->kind != BECOME_USER || pw->pw_uid == 0)
		return;
	self.group_count = GROUPS;
	if (getgrouplist(pw->pw_name, pw->pw_gid, self.groups,
	    &self.group_count) == -1)
		fail(ROUTE_TEMPORARY, "user \"%s\" is in more than %d groups",
		    pw->pw_name, GROUPS);
}

/* Does he get the group of the spool in reserve? */
static bool
has_reserve(const struct passwd *pw)
{
	return self.has_group && self.who->kind == BECOME_USER &&
	    pw->pw_uid != 0;
}

/* Groups, user, home. */
static void
change_user(const struct passwd *pw)
{
	gid_t	group = pw->pw_gid;
	gid_t	real = has_reserve(pw) ? self.spool_group : group;

	if ((has_root() && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1) ||
	    setgroups((size_t)self.group_count, self.groups) == -1 ||
	    setresgid(real, group, group) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		fail(ROUTE_TEMPORARY, "cannot become user \"%s\": %s",
		    pw->pw_name, strerror(errno));
	if (pw->pw_uid == 0)
		drop_capabilities();
	if (has_root())
		keep_chroot();
	if (!is_user(pw, real))
		fail(ROUTE_TEMPORARY, "becoming user \"%s\" did not work",
		    pw->pw_name);
}

/* --- a clean slate (B2) -------------------------------------------------- */

/* Channel, log, pipe where they are expected; nothing else. */
static void
set_descriptors(int channel, int report)
{
	int	null = open("/dev/null", O_RDWR);

	if (null == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1 ||
	    (self.has_log && dup2(null, 2) == -1) ||
	    dup2(channel, HANDOVER_MASTER) == -1 ||
	    (report != REPORT_FD &&
	    dup3(report, REPORT_FD, O_CLOEXEC) == -1))
		fail(ROUTE_TEMPORARY, "cannot arrange descriptors: %s",
		    strerror(errno));
	self.pipe = REPORT_FD;
	if (self.has_log)
		(void)fs_set_cloexec(HANDOVER_LOG, false);
	else
		close(HANDOVER_LOG);
	if (close_range(REPORT_FD + 1, ~0U, 0) == -1)
		fail(ROUTE_TEMPORARY, "cannot close descriptors: %s",
		    strerror(errno));
}

/* Add NAME=VALUE. */
static void
add(char **envp, size_t *n, const char *name, const char *value)
{
	if (value != NULL)
		envp[(*n)++] = pool_printf(self.pool, "%s=%s", name, value);
}

/* The program's environment. */
static char **
environment(const struct passwd *pw)
{
	char	**envp = pool_array(self.pool, 12, sizeof(*envp));
	size_t	 n = 0;

	add(envp, &n, "PATH", "/usr/bin:/bin");
	add(envp, &n, "LANG", "C");
	add(envp, &n, "HOME", pw->pw_dir);
	add(envp, &n, "USER", pw->pw_name);
	add(envp, &n, "LOGNAME", pw->pw_name);
	add(envp, &n, "SHELL", pw->pw_shell[0] != '\0' ? pw->pw_shell :
	    "/bin/sh");
	add(envp, &n, "TZ", getenv("TZ"));
#ifdef SANITIZED
	add(envp, &n, "ASAN_OPTIONS", getenv("ASAN_OPTIONS"));
	add(envp, &n, "LSAN_OPTIONS", getenv("LSAN_OPTIONS"));
	add(envp, &n, "UBSAN_OPTIONS", getenv("UBSAN_OPTIONS"));
#endif
	return envp;
}

/* Be the program. */
_Noreturn static void
run(const struct passwd *pw)
{
	char	*program = pool_printf(self.pool, "%s/mailbox",
		    site.daemon_directory);
	char	*group = pool_printf(self.pool, "%d", has_reserve(pw) ?
		    (int)self.spool_group : 0);
	char	*manner = self.who->kind == BECOME_VIRTUAL ? "-x" :
		    self.who->kind == BECOME_PIPE ||
		    self.who->kind == BECOME_DEFAULT ? "-r" : NULL;
	char	*argv[] = { (char *)(uintptr_t)"mailbox", (char *)(uintptr_t)
		    "-n", site.syslog_name, (char *)(uintptr_t)"-H",
		    site.myhostname, (char *)(uintptr_t)"-s", spool.directory,
		    (char *)(uintptr_t)"-g", group, (char *)(uintptr_t)"-c",
		    has_root() ? self.who->root : (char *)(uintptr_t)"",
		    (char *)(uintptr_t)"-u",
		    pool_strdup(self.pool, pw->pw_name),
		    manner, NULL };

	execve(program, argv, environment(pw));
	fail(ROUTE_TEMPORARY, "cannot run %s: %s", program, strerror(errno));
}

/* To his home, root to nowhere. */
static void
go_home(const struct passwd *pw)
{
	bool	must = self.who->kind == BECOME_USER &&
		    set.require_home_directory;

	if (pw->pw_uid != 0 && chdir(pw->pw_dir) == 0)
		return;
	if (pw->pw_uid != 0 && must)
		fail(ROUTE_TEMPORARY, "home directory of user \"%s\": %s",
		    pw->pw_name, strerror(errno));
	(void)!chdir("/");
}

/* The whole way, from root to the recipient. */
void
become(const struct become *who, int channel, int report)
{
	const struct passwd	*pw;

	self.pool = pool_new("become", 0);
	self.report = pool_alloc(self.pool, sizeof(*self.report));
	self.pipe = report;
	self.who = who;

	fresh_login();
	pw = find();
	describe(pw);
	find_groups(pw);
	if (site.is_root && who->kind == BECOME_USER &&
	    (spool.home_mailbox[0] == '\0' || pw->pw_uid == 0))
		make_mailbox(pw);
	set_descriptors(channel, report);
	if (has_root() && !site.is_root)
		fail(ROUTE_TEMPORARY, "this instance runs without root and "
		    "cannot chroot");
	if (site.is_root)
		change_user(pw);
	umask(077);
	go_home(pw);
	tell();
	run(pw);
}
