/*
 * link.c - a service is reached by name, again after a loss, and in turn.
 */
#include "common/ipc/link.h"

#include <sys/un.h>

#include "t/common/ipc/pair.h"

enum { WORKERS = 2 };

/* A small daemon in this process: accepts on NAME.N and answers. */
struct server {
	struct loop_fd	 watch;
	int		 listener;
	struct channel	*last;
	unsigned	 accepted, asked;
};

static struct server	 servers[WORKERS];
static char		 directory[64];
static struct link	*link_to;
static int		 result, error;
static char		 text[64];

static void
on_control(struct request *r)
{
	const char		*verb = ((struct control *)r->object)->verb;
	struct server		*s = channel_context(r->channel);
	struct control_line	 line = { (char *)(uintptr_t)verb };

	s->asked++;
	if (strcmp(verb, "break once") == 0 && s->asked == 1)
		channel_close(r->channel);
	else
		(void)channel_reply(r, PACKET_CONTROL_LINE, &line);
}

static const struct peer	peers[] = {
	{ "tester",	PACKET_CONTROL,	on_control,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Its last channel is gone. */
static void
on_end(struct channel *c, void *context)
{
	struct server	*s = context;

	if (s->last == c)
		s->last = NULL;
}

static void
serve(void *arg)
{
	struct server	*s = arg;
	int		 fd;

	while (s->listener != -1) {
		fd = accept4(s->listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			s->accepted++;
			s->last = channel_new(fd, true, peers, on_end, s);
		} else if (loop_wait_readable(&s->watch, NEVER) == -1)
			break;
	}
}

/* Listen as worker `i`. */
static void
start(unsigned i, int backlog)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	struct server		*s = &servers[i];

	*s = (struct server){ .listener = -1 };
	snprintf(at.sun_path, sizeof(at.sun_path), "%stest.%u", directory,
	    i + 1);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (s->listener == -1 ||
	    bind(s->listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(s->listener, backlog) == -1 ||
	    loop_add(&s->watch, s->listener) == -1)
		abort();
}

/* Stop listening, and leave no name behind. */
static void
stop(unsigned i)
{
	char	path[128];

	if (servers[i].listener == -1)
		return;
	loop_remove(&servers[i].watch);
	close(servers[i].listener);
	servers[i].listener = -1;
	snprintf(path, sizeof(path), "%stest.%u", directory, i + 1);
	unlink(path);
}

/* Ask through the link; the outcome goes to result, error and text. */
static void
ask(const char *verb, int64_t milliseconds, bool is_repeatable)
{
	struct pool		*pool = pool_new("asker", 0);
	struct control		 control = { (char *)(uintptr_t)verb };
	struct control_line	 line;

	result = link_ask(link_to, PACKET_CONTROL, &control,
	    PACKET_CONTROL_LINE, &line, pool, clock_now() + milliseconds,
	    is_repeatable);
	error = errno;
	strlcpy(text, result == 0 ? line.text : "", sizeof(text));
	pool_free(pool);
}

/* Close what is open on the servers' side, which ends the clients' too. */
static void
finish(void)
{
	unsigned	i;

	for (i = 0; i < WORKERS; i++) {
		if (servers[i].last != NULL)
			channel_close(servers[i].last);
		stop(i);
	}
}

static int
set_up(void **state)
{
	(void)state;
	loop_open();
	strlcpy(directory, "/tmp/postrider-link-XXXXXX", sizeof(directory));
	if (mkdtemp(directory) == NULL)
		return -1;
	strlcat(directory, "/", sizeof(directory));
	servers[0] = servers[1] = (struct server){ .listener = -1 };
	link_identity("tester", directory);
	link_to = link_new("test", WORKERS, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(link_to);		/* links live as long as a process */
	directory[strlen(directory) - 1] = '\0';
	return rmdir(directory);
}

static void
ask_both(void *unused)
{
	int	i;

	(void)unused;
	start(0, 16);
	start(1, 16);
	fiber_start(serve, &servers[0]);
	fiber_start(serve, &servers[1]);
	for (i = 0; i < 4; i++)
		ask("hello", 5000, false);
	finish();
}

static void
workers_are_asked_in_turn_over_one_channel_each(void **state)
{
	(void)state;
	run(ask_both);
	assert_int_equal(result, 0);
	assert_string_equal(text, "hello");
	assert_int_equal(servers[0].accepted, 1);
	assert_int_equal(servers[1].accepted, 1);
	assert_int_equal(servers[0].asked, 2);
	assert_int_equal(servers[1].asked, 2);
}

static struct channel	*busy_one, *free_one;

static void
hold_one_worker(void *unused)
{
	int64_t	deadline = clock_now() + 5000;

	(void)unused;
	start(0, 16);
	start(1, 16);
	fiber_start(serve, &servers[0]);
	fiber_start(serve, &servers[1]);
	busy_one = link_channel(link_to, 0, deadline);
	channel_hold(busy_one);
	free_one = link_channel(link_to, 0, deadline);
	if (free_one == busy_one ||
	    link_channel(link_to, 0, deadline) == busy_one)
		busy_one = NULL;	/* must not be chosen */
	if (busy_one != NULL)
		channel_release(busy_one);
	fiber_sleep(5);
	finish();
}

static void
a_busy_worker_is_passed_over(void **state)
{
	(void)state;
	run(hold_one_worker);
	assert_non_null(busy_one);
}

static struct channel	*hinted[4];

static void
give_hints(void *unused)
{
	int64_t		deadline = clock_now() + 5000;
	unsigned	i;

	(void)unused;
	start(0, 16);
	start(1, 16);
	fiber_start(serve, &servers[0]);
	fiber_start(serve, &servers[1]);
	for (i = 0; i < 4; i++)
		hinted[i] = link_channel(link_to, 7 + i % 2, deadline);
	fiber_sleep(5);
	finish();
}

static void
a_hint_means_always_the_same_worker(void **state)
{
	(void)state;
	run(give_hints);
	assert_ptr_equal(hinted[0], hinted[2]);
	assert_ptr_equal(hinted[1], hinted[3]);
	assert_ptr_not_equal(hinted[0], hinted[1]);
}

static void
ask_a_breaking_one(void *unused)
{
	(void)unused;
	start(0, 16);
	fiber_start(serve, &servers[0]);
	ask("break once", 5000, true);
	finish();
}

static void
a_repeatable_question_survives_a_lost_channel(void **state)
{
	(void)state;
	run(ask_a_breaking_one);
	assert_int_equal(result, 0);
	assert_string_equal(text, "break once");
	assert_int_equal(servers[0].accepted, 2);
}

static void
ask_a_breaking_one_once(void *unused)
{
	(void)unused;
	start(0, 16);
	fiber_start(serve, &servers[0]);
	ask("break once", 5000, false);
	finish();
}

static void
a_question_that_must_not_be_repeated_fails(void **state)
{
	(void)state;
	run(ask_a_breaking_one_once);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECONNRESET);
	assert_int_equal(servers[0].asked, 1);
}

static void
ask_nobody(void *unused)
{
	(void)unused;
	ask("hello", 50, true);
}

static void
a_missing_service_is_told_after_the_deadline(void **state)
{
	(void)state;
	run(ask_nobody);
	assert_int_equal(result, -1);
	assert_int_equal(error, ENOENT);
}

static void
come_late(void *unused)
{
	(void)unused;
	fiber_sleep(30);
	start(0, 16);
	serve(&servers[0]);
}

static void
ask_early(void *unused)
{
	(void)unused;
	fiber_start(come_late, NULL);
	ask("hello", 5000, false);
	finish();
}

static void
a_service_that_comes_late_is_found(void **state)
{
	(void)state;
	run(ask_early);
	assert_int_equal(result, 0);
}

static int	other_result;

static void
ask_other(void *unused)
{
	(void)unused;
	ask("hello", 5000, false);
	other_result = result;
	finish();
}

/* A full queue of connections: nobody accepts at first. */
static void
fill_the_queue(void *unused)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	int			fds[8], i, n = 0;

	(void)unused;
	start(0, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%stest.1", directory);
	for (i = 0; i < 8; i++) {
		fds[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		if (connect(fds[n], (struct sockaddr *)&at, sizeof(at)) == 0) {
			n++;
			continue;
		}
		error = errno;
		close(fds[n]);
		break;
	}
	fiber_start(ask_other, NULL);
	fiber_sleep(25);
	while (n > 0)
		close(fds[--n]);
	fiber_start(serve, &servers[0]);
}

static void
a_full_queue_is_waited_for(void **state)
{
	(void)state;
	other_result = -1;
	run(fill_the_queue);
	assert_int_equal(other_result, 0);
	assert_string_equal(text, "hello");
}

static struct channel	*first_channel, *next_channel;
static bool		 first_was_open;

static void
leave_a_draining_worker(void *unused)
{
	int64_t	deadline = clock_now() + 5000;

	(void)unused;
	start(0, 16);
	fiber_start(serve, &servers[0]);
	ask("hello", 5000, false);
	first_channel = link_channel(link_to, 1, deadline);
	first_channel = link_channel(link_to, 2, deadline);
	channel_hold(first_channel);
	channel_goodbye_all();
	while (!channel_is_draining(first_channel))
		fiber_sleep(1);
	next_channel = link_channel(link_to, 2, deadline);
	first_was_open = channel_is_open(first_channel);
	channel_close(first_channel);
	channel_release(first_channel);
	fiber_sleep(5);
	finish();
}

static void
a_draining_worker_is_left_but_not_cut_off(void **state)
{
	(void)state;
	free(link_to);
	link_to = link_new("test", 1, NULL);
	run(leave_a_draining_worker);
	assert_ptr_not_equal(first_channel, next_channel);
	assert_true(first_was_open);
	assert_int_equal(servers[0].accepted, 2);
}

static unsigned	lost;

static void
on_lost(struct channel *c, void *context)
{
	if (!channel_is_open(c) && context == &lost)
		lost++;
}

static void
lose_a_channel(void *unused)
{
	(void)unused;
	lost = 0;
	link_on_closed(link_to, on_lost, &lost);
	start(0, 16);
	fiber_start(serve, &servers[0]);
	ask("hello", 5000, false);
	finish();
}

static void
a_lost_channel_is_reported_once(void **state)
{
	(void)state;
	run(lose_a_channel);
	assert_int_equal(lost, 1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(workers_are_asked_in_turn_over_one_channel_each),
		TEST(a_busy_worker_is_passed_over),
		TEST(a_hint_means_always_the_same_worker),
		TEST(a_repeatable_question_survives_a_lost_channel),
		TEST(a_question_that_must_not_be_repeated_fails),
		TEST(a_missing_service_is_told_after_the_deadline),
		TEST(a_service_that_comes_late_is_found),
		TEST(a_full_queue_is_waited_for),
		TEST(a_draining_worker_is_left_but_not_cut_off),
		TEST(a_lost_channel_is_reported_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
