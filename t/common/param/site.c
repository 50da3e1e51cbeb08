/*
 * site.c - claims about what every program of an instance knows.
 */
#include "files.h"

#include <fcntl.h>
#include <grp.h>

#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/param/site.h"

/* Load a main.cf with this text; problems are "" when it is good. */
static struct maincf *
try(const char *text, const char **problems)
{
	struct str	 lines;
	struct maincf	*mc;

	write_file("main.cf", text);
	str_init(&lines, pool, 0);
	mc = site_try(pool, directory, &lines);
	*problems = lines.data;
	return mc;
}

/* Load it; it is good. */
static struct maincf *
load(const char *text)
{
	const char	*problems;
	struct maincf	*mc = try(text, &problems);

	if (mc == NULL)
		fail_msg("%s", problems);
	assert_string_equal(problems, "");
	return mc;
}

/* Load it; it is an error that says so. */
static void
expect_error(const char *text, const char *part)
{
	const char	*problems;

	assert_null(try(text, &problems));
	if (strstr(problems, part) == NULL)
		fail_msg("\"%s\" in \"%s\"", part, problems);
}

static void
empty_file_has_good_defaults(void **state)
{
	(void)state;
	load("");
	assert_string_equal(site.config_directory, directory);
	assert_string_equal(site.queue_directory, DEFAULT_QUEUE_DIRECTORY);
	assert_string_equal(site.daemon_directory, DEFAULT_DAEMON_DIRECTORY);
	assert_string_equal(site.myorigin, site.myhostname);
	assert_non_null(strchr(site.myhostname, '.'));
	assert_string_equal(site.mynetworks, "127.0.0.0/8 [::1]/128");
	assert_string_equal(site.inet_interfaces, "all");
	assert_string_equal(site.syslog_name, "postrider");
	assert_string_equal(site.maillog_file, "");
	assert_string_equal(site.setgid_group, "postrider-drop");
	assert_int_equal(site.message_size_limit, 10240000);
	assert_int_equal(site.line_length_limit, 2048);
	assert_int_equal(site.default_process_limit, 1000);
	assert_int_equal(site.ipc_timeout, 60000);
	assert_int_equal(site.is_root, geteuid() == 0);
}

static void
domain_comes_from_the_host(void **state)
{
	(void)state;
	load("myhostname = mail.example.com\n");
	assert_string_equal(site.mydomain, "example.com");
	assert_string_equal(site.mydestination, "mail.example.com, "
	    "localhost.example.com, localhost");
	load("myhostname = mail\n");
	assert_string_equal(site.mydomain, "localdomain");
}

static void
host_may_come_from_the_domain(void **state)
{
	(void)state;
	load("mydomain = example.com\nmyhostname = mail.$mydomain\n");
	assert_string_equal(site.myhostname, "mail.example.com");
	load("myhostname = mail.$mydomain\n");
	assert_non_null(strstr(site.myhostname, "mail."));
	assert_string_equal(site.mydomain, site.myhostname + 5);
}

static void
loop_of_names_is_told(void **state)
{
	(void)state;
	expect_error("mydomain = $myhostname\nmyhostname = a.$mydomain\n",
	    "used in its own value");
}

static void
origin_may_be_a_file(void **state)
{
	const char	*path;

	(void)state;
	path = write_file("mailname", "  example.org \nsecond\n");
	load(pool_printf(pool, "myorigin = %s\n"
	    "mydestination = $myorigin, localhost\n", path));
	assert_string_equal(site.myorigin, "example.org");
	assert_string_equal(site.mydestination, "example.org, localhost");
	expect_error("myorigin = /no/such/file\n",
	    "main.cf:1: myorigin = /no/such/file: No such file");
	write_file("mailname", "\n");
	expect_error(pool_printf(pool, "myorigin = %s\n", path),
	    "expected a domain");
}

static void
paths_begin_with_a_slash(void **state)
{
	(void)state;
	expect_error("\nqueue_directory = spool\n",
	    "main.cf:2: queue_directory = spool: expected a path that begins "
	    "with /");
	expect_error("maillog_file = log\n", "maillog_file = log: expected");
}

static void
failed_load_changes_nothing(void **state)
{
	const char	*problems;

	(void)state;
	load("myhostname = a.example.com\n");
	assert_null(try("myhostname = b.example.com\n"
	    "default_process_limit = many\n", &problems));
	assert_null(try("myhostname = b.example.com\n"
	    "queue_directory = spool\n", &problems));
	assert_string_equal(site.myhostname, "a.example.com");
	assert_string_equal(site.queue_directory, DEFAULT_QUEUE_DIRECTORY);
}

static void
overrides_are_applied(void **state)
{
	struct maincf	*mc;
	struct str	 problems;

	(void)state;
	mc = load("myhostname = a.example.com\n");
	maincf_set(mc, "myhostname", "b.example.net", "-o");
	str_init(&problems, pool, 0);
	assert_int_equal(site_apply(mc, &problems), 0);
	assert_string_equal(site.myorigin, "b.example.net");
	assert_string_equal(site.mydomain, "example.net");
	assert_string_equal(site.config_directory, directory);
}

static void
environment_names_a_directory_and_the_option_wins(void **state)
{
	(void)state;
	assert_int_equal(setenv("MAIL_CONFIG", "/tmp/elsewhere", 1), 0);
	assert_string_equal(site_directory(NULL), "/tmp/elsewhere");
	assert_string_equal(site_directory("/tmp/here"), "/tmp/here");
	assert_int_equal(unsetenv("MAIL_CONFIG"), 0);
	assert_string_equal(site_directory(NULL), DEFAULT_CONFIG_DIRECTORY);
}

static void
missing_file_is_told(void **state)
{
	struct str	problems;

	(void)state;
	str_init(&problems, pool, 0);
	assert_null(site_try(pool, "/no/such", &problems));
	assert_string_equal(problems.data,
	    "/no/such/main.cf: No such file or directory\n");
}

static void
obsolete_names_mean_new_ones(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = load("smtpd_use_tls = yes\nvirtual_maps = hash:/etc/virtual\n");
	assert_string_equal(maincf_text(mc, "smtpd_tls_security_level"),
	    "may");
	assert_string_equal(maincf_text(mc, "virtual_alias_maps"),
	    "hash:/etc/virtual");
}

static void
defaults_of_others_can_be_used(void **state)
{
	char	*why;

	(void)state;
	assert_string_equal(maincf_value(load("x = $virtual_transport "
	    "$mail_name\n"), pool, "x", &why), "virtual Postrider");
}

static void
processes_are_known_by_program(void **state)
{
	(void)state;
	load("smtpd_processes = 7\n");
	assert_int_equal(site_processes("smtpd"), 7);
	assert_int_equal(site_processes("cleanup"), 2);
	assert_int_equal(site_processes("dns"), 1);
	assert_int_equal(site_processes("qmgr"), 1);
}

static void
shipped_file_is_good(void **state)
{
	struct str	problems;

	(void)state;
	str_init(&problems, pool, 0);
	assert_non_null(site_try(pool, "conf", &problems));
	assert_string_equal(problems.data, "");
}

/* A copy of this very program in the test's directory, with this mode. */
static const char *
copy_of_self(mode_t mode)
{
	const char	*path = path_of("link");
	struct stat	 st;
	int		 from, to;

	unlink(path);
	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	assert_int_not_equal(from, -1);
	assert_int_not_equal(to, -1);
	assert_int_equal(fstat(from, &st), 0);
	while (sendfile(to, from, NULL, (size_t)st.st_size) > 0)
		continue;
	close(from);
	assert_int_equal(fchown(to, 0, 65534), 0);
	assert_int_equal(fchmod(to, mode), 0);
	close(to);
	return path;
}

/* Run it as nobody in particular; the exit status. */
static int
run_as_nobody(const char *path)
{
	pid_t	pid = fork();
	int	status;

	if (pid == 0) {
		if (setgroups(0, NULL) == 0 && setgid(12345) == 0 &&
		    setuid(12345) == 0)
			execl(path, path, "--try", directory, NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
S1_set_gid_program_reads_no_directory_of_its_callers_choice(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	write_file("main.cf", "");
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(run_as_nobody(copy_of_self(0755)), 0);
	assert_int_equal(run_as_nobody(copy_of_self(02755)), 3);
}

/* What the copy does: 0 when it could load the directory, 3 if it may not. */
static int
try_directory(const char *path)
{
	struct str	problems;

	pool = pool_new("test", 0);
	str_init(&problems, pool, 0);
	if (site_try(pool, path, &problems) != NULL)
		return 0;
	return strstr(problems.data, "alternate_config_directories") != NULL ?
	    3 : 4;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(empty_file_has_good_defaults),
		CLAIM_OF(domain_comes_from_the_host),
		CLAIM_OF(host_may_come_from_the_domain),
		CLAIM_OF(loop_of_names_is_told),
		CLAIM_OF(origin_may_be_a_file),
		CLAIM_OF(paths_begin_with_a_slash),
		CLAIM_OF(failed_load_changes_nothing),
		CLAIM_OF(overrides_are_applied),
		CLAIM_OF(environment_names_a_directory_and_the_option_wins),
		CLAIM_OF(missing_file_is_told),
		CLAIM_OF(obsolete_names_mean_new_ones),
		CLAIM_OF(defaults_of_others_can_be_used),
		CLAIM_OF(processes_are_known_by_program),
		CLAIM_OF(shipped_file_is_good),
		CLAIM_OF(
	    S1_set_gid_program_reads_no_directory_of_its_callers_choice),
	};

	if (argc == 3 && strcmp(argv[1], "--try") == 0)
		_exit(try_directory(argv[2]));

	return cmocka_run_group_tests(tests, NULL, NULL);
}
