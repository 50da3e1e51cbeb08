/*
 * answers.c - what resolve said is recalled while it holds, and not longer.
 */
#include "common/ipc/answers.h"

#include <sys/un.h>

#include <malloc.h>

#include "common/base/clock.h"

#include "t/common/ipc/pair.h"

static struct {
	char			 directory[64], path[96];
	int			 listener;
	struct link		*link;
	struct channel		*served;
	struct recipient_answer	 answer;	/* what resolve says */
	struct route		 route;
	bool			 changes;	/* and CHANGED behind it */
	unsigned		 asked;		/* how often */
	int			 result;
	char			 heard[ADDRESS_MAX + 1];
	size_t			 grown;		/* bytes of the heap */
} test;

static void
on_recipient(struct request *r)
{
	struct empty	nothing = { 0 };

	test.asked++;
	(void)channel_reply(r, PACKET_RECIPIENT, &test.answer);
	if (test.changes)
		channel_post_all("tester", PACKET_CHANGED, &nothing);
}

static void
on_route(struct request *r)
{
	test.asked++;
	(void)channel_reply(r, PACKET_ROUTE, &test.route);
}

static const struct peer	peers[] = {
	{ "tester",	PACKET_ASK_RECIPIENT,	on_recipient,	ON_A_FIBER },
	{ "tester",	PACKET_ASK_ROUTE,	on_route,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

static void
on_end(struct channel *c, void *context)
{
	(void)context;
	if (test.served == c)
		test.served = NULL;
}

/* Accept one after the other. */
static void
serve(void *arg)
{
	struct loop_fd	*watch = arg;
	int		 fd;

	while (loop_wait_readable(watch, NEVER) == 0)
		if ((fd = accept4(test.listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
			test.served = channel_new(fd, true, peers, on_end,
			    NULL);
}

/* Ask about a recipient, note the answer's address. */
static void
ask(const char *address, const char *sender)
{
	struct pool		*pool = pool_new("asker", 0);
	struct ask_recipient	 question = { (char *)(uintptr_t)address,
	    (char *)(uintptr_t)sender };
	struct recipient_answer	 to;

	test.result = answers_recipient(test.link, &question, &to, pool,
	    clock_now() + 5000);
	strlcpy(test.heard, test.result == 0 ? to.address : "",
	    sizeof(test.heard));
	pool_free(pool);
}

/* The same about a route. */
static void
ask_route(const char *address, const char *via)
{
	struct pool		*pool = pool_new("asker", 0);
	struct ask_route	 question = { (char *)(uintptr_t)address,
	    (char *)"s@a.test", (char *)(uintptr_t)via };
	struct route		 to;

	test.result = answers_route(test.link, &question, &to, pool,
	    clock_now() + 5000);
	strlcpy(test.heard, test.result == 0 ? to.recipient : "",
	    sizeof(test.heard));
	pool_free(pool);
}

static void	(*the_story)(void);

/* Let the story have its resolve. */
static void
tell(void *unused)
{
	static struct loop_fd	 watch;
	struct sockaddr_un	 at = { .sun_family = AF_UNIX };

	(void)unused;
	strlcpy(at.sun_path, test.path, sizeof(at.sun_path));
	test.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (test.listener == -1 ||
	    bind(test.listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(test.listener, 4) == -1 ||
	    loop_add(&watch, test.listener) == -1)
		abort();
	fiber_start(serve, &watch);
	the_story();
	if (test.served != NULL)
		channel_close(test.served);
	loop_remove(&watch);
	close(test.listener);
	unlink(test.path);
	answers_forget();
}

static void
run_story(void (*story)(void))
{
	the_story = story;
	run(tell);
	free(test.link);
	test.link = NULL;
}

static int
set_up(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	loop_open();
	strlcpy(test.directory, "/tmp/postrider-answers-XXXXXX",
	    sizeof(test.directory));
	if (mkdtemp(test.directory) == NULL)
		return -1;
	strlcat(test.directory, "/", sizeof(test.directory));
	snprintf(test.path, sizeof(test.path), "%stest.1", test.directory);
	link_identity("tester", test.directory);
	test.link = link_new("test", 1, answers_peers);
	test.answer = (struct recipient_answer){
	    .result = RECIPIENT_EXISTS, .address = (char *)"r@b.test",
	    .address_class = (char *)"relay", .text = (char *)"",
	    .lease = { LEASE_MAX, 0 } };
	test.route = (struct route){ .result = ROUTE_OK,
	    .transport = (char *)"smtp", .nexthop = (char *)"b.test",
	    .site = (char *)"b.test", .recipient = (char *)"r@b.test",
	    .address_class = (char *)"default", .dsn = (char *)"",
	    .text = (char *)"", .lease = { LEASE_MAX, LEASE_ANY_SENDER |
	    LEASE_DOMAIN } };
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	test.directory[strlen(test.directory) - 1] = '\0';
	return rmdir(test.directory);
}

/* --- what is recalled ---------------------------------------------------- */

static void
ask_twice(void)
{
	ask("r@b.test", "s@a.test");
	ask("r@b.test", "s@a.test");
}

static void
the_same_question_is_asked_once(void **state)
{
	(void)state;
	run_story(ask_twice);
	assert_int_equal(test.result, 0);
	assert_int_equal(test.asked, 1);
	assert_string_equal(test.heard, "r@b.test");
}

static void
vary_both(void)
{
	ask("r@b.test", "s@a.test");
	ask("other@b.test", "s@a.test");
	ask("r@b.test", "other@a.test");
	ask("r@b.test", "");
}

static void
an_answer_is_for_its_address_and_sender(void **state)
{
	(void)state;
	run_story(vary_both);
	assert_int_equal(test.asked, 4);
}

static void
without_regard_to_the_sender_it_is_for_all_senders(void **state)
{
	(void)state;
	test.answer.lease.scope = LEASE_ANY_SENDER;
	run_story(vary_both);
	assert_int_equal(test.asked, 2);
}

static void
vary_the_rest(void)
{
	ask("r@b.test", "");
	ask("r@B.test", "");
	ask("r@sub.b.test", "");
	ask("r@b", "");
	ask("\"r\"@b.test", "");
	ask("r%c.test@b.test", "");
	ask("c.test!r@b.test", "");
	ask("r@c.test@b.test", "");
	ask("@c.test:r@b.test", "");
	ask("r@b.test.", "");
	ask("r\xc3\xa4@b.test", "");
	ask("r", "");
	ask("other@b.test", "\"s\"@a.test");
}

static void
special_addresses_are_asked_about_each_time(void **state)
{
	(void)state;
	test.answer.lease.scope = LEASE_ANY_SENDER | LEASE_DOMAIN;
	run_story(vary_the_rest);
	assert_int_equal(test.asked, 13);
}

static void
ask_neighbours(void)
{
	ask("r@b.test", "");
	ask("other@b.test", "s@a.test");
}

static void
an_answer_for_a_domain_names_who_was_asked_for(void **state)
{
	(void)state;
	test.answer.lease.scope = LEASE_ANY_SENDER | LEASE_DOMAIN;
	run_story(ask_neighbours);
	assert_int_equal(test.asked, 1);
	assert_string_equal(test.heard, "other@b.test");
}

static void
ask_routes(void)
{
	ask_route("r@b.test", "");
	ask_route("other@b.test", "");
}

static void
a_route_for_a_domain_names_its_recipient(void **state)
{
	(void)state;
	run_story(ask_routes);
	assert_int_equal(test.asked, 1);
	assert_string_equal(test.heard, "other@b.test");
}

static void
pass_on(void)
{
	ask_route("r@b.test", "smtp:c.test");
	ask_route("r@b.test", "smtp:c.test");
	ask_route("r@b.test", "");
}

static void
what_is_passed_on_is_never_remembered(void **state)
{
	(void)state;
	run_story(pass_on);
	assert_int_equal(test.asked, 3);
}

static void
ask_both(void)
{
	ask_route("r@b.test", "");
	ask("r@b.test", "s@a.test");
}

static void
a_route_is_no_answer_about_a_recipient(void **state)
{
	(void)state;
	run_story(ask_both);
	assert_int_equal(test.asked, 2);
}

/* --- A1: what ends it ---------------------------------------------------- */

static void
ask_again_later(void)
{
	int64_t	until;

	ask("r@b.test", "");
	until = clock_now() + test.answer.lease.time;
	while (clock_now() < until)
		(void)fiber_sleep(until - clock_now());
	ask("r@b.test", "");
}

static void
A1_it_ends_with_its_lease(void **state)
{
	(void)state;
	test.answer.lease.time = 20;
	run_story(ask_again_later);
	assert_int_equal(test.asked, 2);
}

static void
an_answer_without_a_lease_is_not_remembered(void **state)
{
	(void)state;
	test.answer.lease.time = 0;
	run_story(ask_twice);
	assert_int_equal(test.asked, 2);
}

static void
change(void)
{
	struct empty	nothing = { 0 };

	ask("r@b.test", "");
	channel_post_all("tester", PACKET_CHANGED, &nothing);
	(void)fiber_sleep(20);
	ask("r@b.test", "");
}

static void
A1_it_ends_when_resolve_has_changed(void **state)
{
	(void)state;
	run_story(change);
	assert_int_equal(test.asked, 2);
}

static void
A1_a_change_behind_an_answer_ends_that_one(void **state)
{
	(void)state;
	test.changes = true;
	run_story(ask_twice);
	assert_int_equal(test.asked, 2);
}

static void
lose(void)
{
	ask("r@b.test", "");
	channel_close(test.served);
	(void)fiber_sleep(20);
	ask("r@b.test", "");
}

static void
A1_it_ends_with_who_said_it(void **state)
{
	(void)state;
	run_story(lose);
	assert_int_equal(test.result, 0);
	assert_int_equal(test.asked, 2);
}

static void
drain(void)
{
	struct channel	*first;

	ask("r@b.test", "");
	first = test.served;
	channel_goodbye_all();
	(void)fiber_sleep(20);
	ask("r@b.test", "");
	channel_close(first);
}

static void
A1_it_ends_when_he_is_about_to_go(void **state)
{
	(void)state;
	run_story(drain);
	assert_int_equal(test.result, 0);
	assert_int_equal(test.asked, 2);
}

/* --- A2, A3 -------------------------------------------------------------- */

static void
A2_what_is_not_good_is_not_remembered(void **state)
{
	static const int64_t	bad[] = { RECIPIENT_UNKNOWN,
				    RECIPIENT_TEMPORARY };
	size_t			i;

	(void)state;
	for (i = 0; i < 2; i++) {
		test.asked = 0;
		test.answer.result = bad[i];
		if (test.link == NULL)
			test.link = link_new("test", 1, answers_peers);
		run_story(ask_twice);
		assert_int_equal(test.asked, 2);
	}
}

static void
ask_many(void)
{
	char	address[64];
	int	i;

	for (i = 0; i < 5000; i++) {
		snprintf(address, sizeof(address), "r%d@b.test", i);
		ask(address, "");
	}
	test.asked = 0;
	ask("r4999@b.test", "");
	ask("r0@b.test", "");
}

static void
A3_too_many_are_forgotten(void **state)
{
	(void)state;
	run_story(ask_many);
	assert_in_range(test.asked, 1, 2);
}

/* Bytes taken from the heap. */
static size_t
heap(void)
{
	struct mallinfo2	now = mallinfo2();

	return now.uordblks + now.hblkhd;
}

static void
ask_many_long_ones(void)
{
	char	address[900], rest[800];
	int	i;

	memset(rest, 'r', sizeof(rest) - 1);
	rest[sizeof(rest) - 1] = '\0';
	test.answer.address = rest;
	ask("r@b.test", "");
	test.grown = heap();
	for (i = 0; i < 4000; i++) {
		snprintf(address, sizeof(address), "%d%s@b.test", i, rest);
		ask(address, "");
	}
	test.grown = heap() - test.grown;
}

static void
A3_long_ones_take_no_more_memory(void **state)
{
	(void)state;
	run_story(ask_many_long_ones);
	assert_in_range(test.grown, 0, 5 * 1024 * 1024);
}

/* Each answer is a little longer than the one before. */
static void
ask_for_more_and_more(void)
{
	char	address[901];
	size_t	i;

	memset(address, 'r', sizeof(address));
	test.answer.address = address;
	test.answer.lease.time = 1;
	for (i = 300; i > 0; i--) {
		address[sizeof(address) - 1 - i] = '\0';
		ask("r@b.test", "");
		if (i == 300)
			test.grown = heap();
		address[sizeof(address) - 1 - i] = 'r';
		(void)fiber_sleep(2);
	}
	test.grown = heap() - test.grown;
}

static void
A3_one_that_grows_takes_no_more_memory(void **state)
{
	(void)state;
	run_story(ask_for_more_and_more);
	assert_in_range(test.grown, 0, 64 * 1024);
}

#define TELL(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TELL(the_same_question_is_asked_once),
		TELL(an_answer_is_for_its_address_and_sender),
		TELL(without_regard_to_the_sender_it_is_for_all_senders),
		TELL(special_addresses_are_asked_about_each_time),
		TELL(an_answer_for_a_domain_names_who_was_asked_for),
		TELL(a_route_for_a_domain_names_its_recipient),
		TELL(what_is_passed_on_is_never_remembered),
		TELL(a_route_is_no_answer_about_a_recipient),
		TELL(A1_it_ends_with_its_lease),
		TELL(an_answer_without_a_lease_is_not_remembered),
		TELL(A1_it_ends_when_resolve_has_changed),
		TELL(A1_a_change_behind_an_answer_ends_that_one),
		TELL(A1_it_ends_with_who_said_it),
		TELL(A1_it_ends_when_he_is_about_to_go),
		TELL(A2_what_is_not_good_is_not_remembered),
		TELL(A3_too_many_are_forgotten),
		TELL(A3_long_ones_take_no_more_memory),
		TELL(A3_one_that_grows_takes_no_more_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
