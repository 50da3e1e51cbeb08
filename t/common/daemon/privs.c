/*
 * privs.c - root is given up for good, and only what is needed is kept.
 *
 * The user database of these tests is their own: a child puts a passwd and a
 * group file over the system's in a mount namespace that ends with it. That
 * takes root; without it the tests are skipped.
 */
#include "t/common/daemon/child.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/daemon/inside.h"
#include "common/param/site.h"

static char	directory[64];

/* Write a file below the directory. */
static void
put(const char *name, const char *text)
{
	char	path[128];
	FILE	*file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0)
		abort();
}

/* Put a file over one of the system's, for this process alone. */
static int
cover(const char *name, const char *system_file)
{
	char	path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return mount(path, system_file, NULL, MS_BIND, NULL);
}

static int
set_up(void **state)
{
	(void)state;
	strlcpy(directory, "/tmp/postrider-privs-XXXXXX", sizeof(directory));
	if (mkdtemp(directory) == NULL || chmod(directory, 0755) == -1)
		return -1;
	put("passwd", "root:x:0:0::/:/bin/sh\n"
	    "postrider:x:4001:4001::/:/bin/false\n"
	    "postrider-smtpd:x:4002:4002::/:/bin/false\n"
	    "postrider-log:x:0:0::/:/bin/false\n");
	put("group", "root:x:0:\npostrider:x:4001:\npostrider-smtpd:x:4002:\n"
	    "postrider-to-cleanup:x:4011:\npostrider-to-resolve:x:4012:\n"
	    "postrider-to-dns:x:4013:\npostrider-to-qmgr:x:4014:\n"
	    "postrider-to-bounce:x:4015:\npostrider-to-keys:x:4016:\n");
	return 0;
}

static int
tear_down(void **state)
{
	char	path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/passwd", directory);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/group", directory);
	(void)unlink(path);
	return rmdir(directory);
}

/* Our own user database; false where namespaces are forbidden. */
static bool
own_users(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    cover("passwd", "/etc/passwd") == 0 &&
	    cover("group", "/etc/group") == 0;
}

/* Become this role, in a directory of its own as jail. */
static void
become(const char *program)
{
	struct identity		 id;
	const struct role	*role = role_find(program);

	if (!own_users())
		_exit(77);
	site.is_root = true;
	site.queue_directory = directory;
	privs_find(role, &id);
	privs_learn_users();
	privs_limits();
	if (role->jail != JAIL_PRIVATE)
		privs_jail(role);
	privs_drop(role, &id);
}

/* The mask of capabilities that /proc shows on a line, open before a jail. */
static unsigned long long
caps(FILE *status, const char *name)
{
	char			line[256];
	unsigned long long	mask = ~0ULL;

	rewind(status);
	while (fgets(line, sizeof(line), status) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			mask = strtoull(line + strlen(name), NULL, 16);
	return mask;
}

static int
be_smtpd(void)
{
	FILE		*status = fopen("/proc/self/status", "r");
	struct rlimit	 limit;
	gid_t		 groups[16];
	uid_t		 r, e, s;

	become("smtpd");
	if (getresuid(&r, &e, &s) == -1 || r != 4002 || e != 4002 || s != 4002)
		return 1;
	if (getegid() != 4002)
		return 2;
	if (getgroups(16, groups) != 6 || groups[0] != 4011 ||
	    groups[1] != 4012 || groups[2] != 4013 || groups[3] != 4014 ||
	    groups[4] != 4015 || groups[5] != 4016)
		return 3;
	if (setuid(0) != -1 || setgid(0) != -1 || setgroups(0, NULL) != -1)
		return 4;
	if (caps(status, "CapPrm:") != 0 || caps(status, "CapEff:") != 0 ||
	    caps(status, "CapInh:") != 0 || caps(status, "CapAmb:") != 0 ||
	    caps(status, "CapBnd:") != 0)
		return 5;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 6;
#ifndef SANITIZED
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 7;
#endif
	if (getrlimit(RLIMIT_CORE, &limit) == -1 || limit.rlim_max != 0)
		return 8;
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    limit.rlim_cur != limit.rlim_max)
		return 9;
	return 0;
}

/* Tell the story; skip where the kernel or the container forbids it. */
static void
tell(int (*story)(void), int expected)
{
	int	status = geteuid() == 0 ? in_child(story) : 77;

	if (status == 77)
		skip();
	assert_int_equal(status, expected);
}

static void
smtpd_keeps_nothing_of_root(void **state)
{
	(void)state;
	tell(be_smtpd, 0);
}

static int
be_helper(void)
{
	FILE			*status = fopen("/proc/self/status", "r");
	const unsigned long long wanted = 1ULL << 0 | 1ULL << 5 | 1ULL << 6 |
				    1ULL << 7 | 1ULL << 18;
	/* CHOWN KILL SETGID SETUID SYS_CHROOT */

	become("helper");
	if (getuid() != 0)
		return 1;
	if (caps(status, "CapEff:") != wanted ||
	    caps(status, "CapPrm:") != wanted ||
	    caps(status, "CapBnd:") != wanted)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
		return 3;
	if (setuid(4001) == -1 || setuid(0) != -1)
		return 4;
	return 0;
}

static void
helper_can_become_users_and_little_else(void **state)
{
	(void)state;
	tell(be_helper, 0);
}

static int
be_spawn(void)
{
	FILE			*status = fopen("/proc/self/status", "r");
	const unsigned long long wanted = 1ULL << 5 | 1ULL << 6 | 1ULL << 7;

	become("spawn");
	if (getuid() != 0)
		return 1;
	return caps(status, "CapEff:") == wanted &&
	    caps(status, "CapBnd:") == wanted ? 0 : 2;
}

static void
spawn_can_become_users_and_end_their_commands(void **state)
{
	(void)state;
	tell(be_spawn, 0);
}

static int
be_cleanup(void)
{
	become("cleanup");
	if (access("/etc/passwd", F_OK) == 0 || access("/passwd", F_OK) != 0)
		return 1;
	return chroot("/") == -1 && errno == EPERM ? 0 : 2;
}

static void
the_jail_is_the_queue_directory(void **state)
{
	(void)state;
	tell(be_cleanup, 0);
}

static int
be_dns(void)
{
	become("dns");
	return 0;
}

static int
be_log(void)
{
	become("log");
	return 0;
}

static void
a_missing_user_or_one_that_is_root_is_fatal(void **state)
{
	(void)state;
	tell(be_dns, 1);	/* not in our passwd */
	tell(be_log, 1);	/* user id 0 there */
}

static int
know_users(void)
{
	become("cleanup");
	return privs_is_user_of("smtpd", 4002) &&
	    privs_is_user_of("qmgr", 4001) &&
	    !privs_is_user_of("smtpd", 4001) &&
	    !privs_is_user_of("dns", 0) &&
	    !privs_is_user_of("stranger", 4001) &&
	    daemon_is_own_user(4001) && daemon_is_own_user(4002) &&
	    !daemon_is_own_user(0) && !daemon_is_own_user(9999) ? 0 : 1;
}

static void
a_service_is_known_by_its_user(void **state)
{
	(void)state;
	tell(know_users, 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(smtpd_keeps_nothing_of_root),
		TEST(helper_can_become_users_and_little_else),
		TEST(spawn_can_become_users_and_end_their_commands),
		TEST(the_jail_is_the_queue_directory),
		TEST(a_missing_user_or_one_that_is_root_is_fatal),
		TEST(a_service_is_known_by_its_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
