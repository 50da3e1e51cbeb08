/*
 * daemon.c - a daemon starts, serves, drains and ends as master expects.
 *
 * The daemon here has the role of smtpd (jail, calls, sandbox) and two ways
 * in: a session that tells about the process, and a question by packet.
 */
#include "common/daemon/daemon.h"

#include <sys/prctl.h>

#include "common/param/site.h"
#include "t/common/daemon/instance.h"

static struct instance	instance;
static int64_t		setting;
static unsigned		sessions;

static const struct param	params[] = {
	PARAM_INT("test_setting", setting, "7", 0, 100, "A number."),
	PARAM_END
};
static const struct param *const	tables[] = { params, NULL };

static void
on_control(struct request *r)
{
	struct control_line	 line = { r->pool != NULL ? "heard" : "" };

	if (strcmp(((struct control *)r->object)->verb, "slow") == 0)
		fiber_sleep(100);
	(void)channel_reply(r, PACKET_CONTROL_LINE, &line);
}

static const struct peer	peers[] = {
	{ "tester",	PACKET_CONTROL,	on_control,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Tell about the process; stay while the client does not close. */
static void
session(int fd)
{
	char		 text[512];
	struct loop_fd	*watch = mem_alloc(sizeof(*watch));
	char		 byte;

	sessions++;
	snprintf(text, sizeof(text), "service=%s worker=%u limit=%u "
	    "setting=%d number=%s lang=%s path=%s uid=%u file=%s\n",
	    daemon_service(), daemon_worker(), daemon_limit(), (int)setting,
	    log_number % 10000000 == (uint64_t)getpid() ? "good" : "bad",
	    getenv("LANG"), getenv("PATH") == NULL ? "none" : "kept",
	    getuid(), access("/etc/passwd", F_OK) == 0 ? "seen" : "hidden");
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) == -1 ||
	    loop_add(watch, fd) == -1)
		abort();
	while (!daemon_is_stopping() && recv(fd, &byte, 1, 0) == -1 &&
	    errno == EAGAIN)
		(void)loop_wait_readable(watch, clock_now() + 20);
	loop_remove(watch);
	free(watch);
	close(fd);
	sessions--;
}

static unsigned
busy(void)
{
	return sessions;
}

static const struct daemon	tester = {
	.name = "smtpd", .params = tables, .peers = peers, .session = session,
	.busy = busy
};

static int
set_up(void **state)
{
	(void)state;
	instance_make(&instance, "");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	instance_end(&instance);
	return 0;
}

/* HELLO and READY have come. */
static void
expect_ready(void)
{
	struct hello	hello;

	assert_int_equal(hear(&instance, instance.master, &hello),
	    PACKET_HELLO);
	assert_string_equal(hello.service, "tester");
	assert_int_equal(hello.version, IPC_VERSION);
	assert_int_equal(hear(&instance, instance.master, NULL),
	    PACKET_READY);
}

static void
drain(void)
{
	struct empty	nothing = { 0 };

	say(&instance, instance.master, PACKET_DRAIN, &nothing);
}

static void
a_daemon_serves_sessions_and_packets(void **state)
{
	struct control		control = { "verb" };
	struct control_line	line;
	char			text[512];
	int			fd;

	(void)state;
	instance_start(&instance, &tester, false, "test_setting=42");
	expect_ready();

	fd = connect_inet(&instance);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "service=tester worker=2 limit=3 "
	    "setting=42 number=good lang=C path=none"));
	close(fd);

	fd = connect_unix(&instance);
	say(&instance, fd, PACKET_CONTROL, &control);
	assert_int_equal(hear(&instance, fd, &line), PACKET_CONTROL_LINE);
	assert_string_equal(line.text, "heard");
	close(fd);

	drain();
	assert_int_equal(instance_status(&instance), 0);
}

static void
master_is_told_the_status(void **state)
{
	struct empty	nothing = { 0 };
	struct status	status;
	char		text[512];
	int		fd;

	(void)state;
	instance_start(&instance, &tester, false, NULL);
	expect_ready();
	fd = connect_inet(&instance);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	say(&instance, instance.master, PACKET_ASK_STATUS, &nothing);
	assert_int_equal(hear(&instance, instance.master, &status),
	    PACKET_STATUS);
	assert_int_equal(status.sessions, 1);
	assert_int_equal(status.malformed, 0);
	close(fd);
	drain();
	assert_int_equal(instance_status(&instance), 0);
}

/* Is this daemon still there? */
static bool
is_alive(void)
{
	return waitpid(instance.pid, NULL, WNOHANG) == 0;
}

static void
a_drain_lets_sessions_end_and_takes_no_new_ones(void **state)
{
	struct empty	nothing = { 0 };
	struct status	status = { .note = "" };
	char		text[512];
	int		fd;

	(void)state;
	instance_start(&instance, &tester, false, NULL);
	expect_ready();
	fd = connect_inet(&instance);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	drain();
	while (strcmp(status.note, "draining") != 0) {
		say(&instance, instance.master, PACKET_ASK_STATUS, &nothing);
		assert_int_equal(hear(&instance, instance.master, &status),
		    PACKET_STATUS);
	}
	assert_true(is_alive());
	assert_int_equal(connect(socket(AF_INET, SOCK_STREAM, 0),
	    (struct sockaddr *)&instance.inet, sizeof(instance.inet)), -1);
	close(fd);
	assert_int_equal(instance_status(&instance), 0);
}

static void
a_drain_waits_for_requests_and_says_goodbye(void **state)
{
	struct control		control = { "slow" };
	struct control_line	line;
	struct empty		nothing = { 0 };
	int			fd;

	(void)state;
	instance_start(&instance, &tester, false, NULL);
	expect_ready();
	fd = connect_unix(&instance);
	say(&instance, fd, PACKET_CONTROL, &control);
	control.verb = "quick";
	say(&instance, fd, PACKET_CONTROL, &control);
	assert_int_equal(hear(&instance, fd, &line), PACKET_CONTROL_LINE);
	drain();
	assert_int_equal(hear(&instance, fd, NULL), PACKET_GOODBYE);
	say(&instance, fd, PACKET_GOODBYE, &nothing);
	assert_int_equal(hear(&instance, fd, &line), PACKET_CONTROL_LINE);
	assert_int_equal(instance_status(&instance), 0);
	close(fd);
}

static void
sigterm_ends_sessions(void **state)
{
	char	text[512];
	int	fd;

	(void)state;
	instance_start(&instance, &tester, false, NULL);
	expect_ready();
	fd = connect_inet(&instance);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	assert_int_equal(kill(instance.pid, SIGTERM), 0);
	read_all(fd, text, sizeof(text));
	assert_int_equal(instance_status(&instance), 0);
	close(fd);
}

static void
a_daemon_without_master_leaves(void **state)
{
	(void)state;
	instance_start(&instance, &tester, false, NULL);
	expect_ready();
	close(instance.master);
	instance.master = -1;
	assert_int_equal(instance_status(&instance), 0);
}

static void
a_bad_setting_ends_the_start(void **state)
{
	(void)state;
	instance_start(&instance, &tester, false, "test_setting=101");
	assert_int_equal(hear(&instance, instance.master, NULL), 0);
	assert_int_equal(instance_status(&instance), 1);
}

/* Run it alone with one long option, output to a file. */
static int
run_alone(const char *option, char *text, size_t size)
{
	char	*argv[] = { "smtpd", (char *)(uintptr_t)option, "-c",
		    instance.directory, NULL };
	FILE	*file = tmpfile();
	pid_t	 child;
	int	 status;

	assert_non_null(file);
	fflush(NULL);
	if ((child = fork()) == 0) {
		dup2(fileno(file), STDOUT_FILENO);
		dup2(fileno(file), STDERR_FILENO);
		log_to_stderr();
		status = daemon_run(4, argv, &tester);
		fflush(NULL);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
	return WEXITSTATUS(status);
}

static void
parameters_are_printed_for_the_manual(void **state)
{
	char	text[512];

	(void)state;
	assert_int_equal(run_alone("--parameters", text, sizeof(text)), 0);
	assert_string_equal(text,
	    "test_setting\tinteger\t7\t0\t100\tA number.\n");
}

static void
a_check_tells_every_problem(void **state)
{
	char	text[1024];

	(void)state;
	assert_int_equal(run_alone("--check", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	instance_end(&instance);
	instance_make(&instance, "test_setting = many\n");
	assert_int_equal(run_alone("--check", text, sizeof(text)), 1);
	assert_non_null(strstr(text, "main.cf:2: test_setting"));
}

static void
root_becomes_the_user_of_the_role(void **state)
{
	const struct passwd	*pw = getpwnam("postrider-smtpd");
	char			 text[512], uid[32];
	int			 fd;

	(void)state;
	if (geteuid() != 0 || pw == NULL)
		skip();
	instance_start(&instance, &tester, true, NULL);
	expect_ready();
	fd = connect_inet(&instance);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	snprintf(uid, sizeof(uid), "uid=%u file=hidden", pw->pw_uid);
	assert_non_null(strstr(text, uid));
	close(fd);
	drain();
	assert_int_equal(instance_status(&instance), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_daemon_serves_sessions_and_packets),
		TEST(master_is_told_the_status),
		TEST(a_drain_lets_sessions_end_and_takes_no_new_ones),
		TEST(a_drain_waits_for_requests_and_says_goodbye),
		TEST(sigterm_ends_sessions),
		TEST(a_daemon_without_master_leaves),
		TEST(a_bad_setting_ends_the_start),
		TEST(parameters_are_printed_for_the_manual),
		TEST(a_check_tells_every_problem),
		TEST(root_becomes_the_user_of_the_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
