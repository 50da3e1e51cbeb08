/*
 * exchange.c - an answer reaches who asked, once, or he learns why not.
 */
#include "common/ipc/channel.h"

#include "t/common/ipc/pair.h"

static struct channel	*server, *client;
static int		 result, error;
static char		 text[128];
static struct pool	*asker;

/* Answer with the verb; some verbs make trouble. */
static void
on_control(struct request *r)
{
	const char		*verb = ((struct control *)r->object)->verb;
	struct control_line	 line = { (char *)(uintptr_t)verb };
	struct control_done	 done = { 0 };
	struct refused		 refused = { "no" };
	static char		 much[2 * REPLY_MAX];

	if (strcmp(verb, "silence") == 0)
		return;
	if (strcmp(verb, "close") == 0)
		channel_close(r->channel);
	else if (strcmp(verb, "refuse") == 0)
		(void)channel_reply(r, PACKET_REFUSED, &refused);
	else if (strcmp(verb, "wrong") == 0)
		(void)channel_reply(r, PACKET_CONTROL_DONE, &done);
	else if (strcmp(verb, "late") == 0) {
		fiber_sleep(20);
		(void)channel_reply(r, PACKET_CONTROL_LINE, &line);
	} else if (strcmp(verb, "huge") == 0) {
		memset(much, 'x', sizeof(much) - 1);
		line.text = much;
		(void)channel_reply(r, PACKET_CONTROL_LINE, &line);
	} else
		(void)channel_reply(r, PACKET_CONTROL_LINE, &line);
}

static unsigned	content_seen;

/* Content: credit for each that wants it, the answer after the last. */
static void
on_content(struct request *r)
{
	struct content	*c = r->object;
	struct empty	 nothing = { 0 };
	struct queued	 queued = { "ID", "250 2.0.0 Ok", 250, 0 };

	content_seen++;
	if (c->wants_credit)
		(void)channel_reply(r, PACKET_CREDIT, &nothing);
	if (c->is_last)
		(void)channel_reply(r, PACKET_QUEUED, &queued);
}

static const struct peer	peers[] = {
	{ "test",	PACKET_CONTROL,	on_control,	ON_A_FIBER },
	{ "test",	PACKET_CONTENT,	on_content,	IN_ORDER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Both ends as channels, HELLO said. */
static void
begin(void)
{
	struct hello	hello = { "test", IPC_VERSION };
	int		ends[2];

	pair_open(ends);
	server = channel_new(ends[1], true, peers, NULL, NULL);
	client = channel_new(ends[0], false, NULL, NULL, NULL);
	(void)channel_post(client, PACKET_HELLO, 0, &hello);
	channel_hold(client);
	asker = pool_new("asker", 0);
	text[0] = '\0';
}

static void
end(void)
{
	channel_close(client);
	channel_release(client);
	pool_free(asker);
}

/* Ask with this verb; the outcome goes to result, error and text. */
static void
ask(const char *verb, int64_t milliseconds)
{
	struct control		control = { (char *)(uintptr_t)verb };
	struct control_line	line = { NULL };

	result = channel_ask(client, PACKET_CONTROL, &control,
	    PACKET_CONTROL_LINE, &line, asker, clock_now() + milliseconds);
	error = errno;
	if (result == 0)
		strlcpy(text, line.text, sizeof(text));
}

static const char	*verb;
static unsigned		 load_after;
static bool		 is_open_after;

static void
ask_once(void *unused)
{
	(void)unused;
	begin();
	ask(verb, 1000);
	load_after = channel_load(client) - 1;	/* our own hold */
	is_open_after = channel_is_open(client);
	end();
}

static void
a_question_is_answered(void **state)
{
	(void)state;
	verb = "hello";
	run(ask_once);
	assert_int_equal(result, 0);
	assert_string_equal(text, "hello");
	assert_int_equal(load_after, 0);
}

static void
who_waits_on_a_closed_channel_gets_econnreset(void **state)
{
	(void)state;
	verb = "close";
	run(ask_once);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECONNRESET);
}

static void
a_refusal_is_eproto_and_the_channel_stays(void **state)
{
	(void)state;
	verb = "refuse";
	run(ask_once);
	assert_int_equal(result, -1);
	assert_int_equal(error, EPROTO);
	assert_true(is_open_after);
}

static void
an_answer_of_the_wrong_type_closes_the_channel(void **state)
{
	uint64_t	malformed = channel_malformed();

	(void)state;
	verb = "wrong";
	run(ask_once);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECONNRESET);
	assert_false(is_open_after);
	assert_int_equal(channel_malformed(), malformed + 1);
}

static void
an_answer_that_does_not_fit_is_a_refusal(void **state)
{
	(void)state;
	verb = "huge";
	run(ask_once);
	assert_int_equal(result, -1);
	assert_int_equal(error, EPROTO);
	assert_true(is_open_after);
}

static int	second_result;

static void
ask_too_short(void *unused)
{
	(void)unused;
	begin();
	ask("late", 5);
	load_after = channel_load(client) - 1;
	second_result = result;
	fiber_sleep(30);		/* the late answer comes meanwhile */
	is_open_after = channel_is_open(client);
	if (second_result == -1 && error == ETIMEDOUT)
		ask("again", 1000);
	end();
}

static void
a_deadline_ends_the_wait_and_a_late_answer_hurts_nobody(void **state)
{
	(void)state;
	run(ask_too_short);
	assert_int_equal(second_result, -1);
	assert_int_equal(load_after, 0);
	assert_true(is_open_after);
	assert_int_equal(result, 0);
	assert_string_equal(text, "again");
}

static struct fiber	*cancelled;

static void
ask_and_be_cancelled(void *unused)
{
	(void)unused;
	ask("silence", 60000);
	end();
}

static void
cancel_an_asker(void *unused)
{
	(void)unused;
	begin();
	cancelled = fiber_start(ask_and_be_cancelled, NULL);
	fiber_sleep(5);
	fiber_cancel(cancelled);
}

static void
a_cancelled_fiber_stops_waiting(void **state)
{
	(void)state;
	run(cancel_an_asker);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECANCELED);
}

/* --- many at once -------------------------------------------------------- */

enum { ASKERS = 50 };
static int	right, asking;

static void
ask_own_question(void *arg)
{
	struct pool		*pool = pool_new("one asker", 0);
	char			 own[16];
	struct control		 control = { own };
	struct control_line	 line = { NULL };

	snprintf(own, sizeof(own), "%d", (int)(intptr_t)arg);
	if (channel_ask(client, PACKET_CONTROL, &control, PACKET_CONTROL_LINE,
	    &line, pool, clock_now() + 5000) == 0 &&
	    strcmp(line.text, own) == 0)
		right++;
	pool_free(pool);
	if (--asking == 0)
		end();
}

static void
ask_many(void *unused)
{
	int	i;

	(void)unused;
	begin();
	right = 0;
	for (i = 0; i < ASKERS; i++, asking++)
		fiber_start(ask_own_question, (void *)(intptr_t)i);
}

static void
each_asker_gets_his_own_answer(void **state)
{
	(void)state;
	run(ask_many);
	assert_int_equal(right, ASKERS);
}

/* --- conversations ------------------------------------------------------- */

static bool	was_answered_early, is_answered_now;

static void
converse(void *unused)
{
	struct exchange	*e;
	struct queued	 queued = { NULL, NULL, 0, 0 };
	struct content	 content = { { "text", 4 }, false, true };
	int64_t		 deadline = clock_now() + 5000;
	unsigned	 i;

	(void)unused;
	begin();
	content_seen = 0;
	e = exchange_begin(client, PACKET_QUEUED, &queued, asker);
	for (i = 1; i <= 3; i++) {
		(void)channel_send(client, PACKET_CONTENT, exchange_id(e),
		    &content, deadline);
		if (exchange_wait_credit(e, i, deadline) == -1)
			break;
	}
	was_answered_early = exchange_is_answered(e);
	content.is_last = true;
	content.wants_credit = false;
	(void)channel_send(client, PACKET_CONTENT, exchange_id(e), &content,
	    deadline);
	result = exchange_wait(e, deadline);
	is_answered_now = exchange_is_answered(e);
	if (result == 0)
		strlcpy(text, queued.queue_id, sizeof(text));
	exchange_end(e);
	exchange_end(e);		/* once more is harmless */
	end();
}

static void
a_conversation_has_credits_and_one_answer(void **state)
{
	(void)state;
	run(converse);
	assert_int_equal(content_seen, 4);
	assert_false(was_answered_early);
	assert_int_equal(result, 0);
	assert_true(is_answered_now);
	assert_string_equal(text, "ID");
}

static void
forget_a_conversation(void *unused)
{
	struct queued	queued;

	(void)unused;
	begin();
	(void)exchange_begin(client, PACKET_QUEUED, &queued, asker);
	end();
	load_after = 0;
}

static void
a_forgotten_conversation_ends_with_its_pool(void **state)
{
	(void)state;
	run(forget_a_conversation);
}

static void
lose_a_conversation(void *unused)
{
	struct exchange	*e;
	struct queued	 queued;

	(void)unused;
	begin();
	e = exchange_begin(client, PACKET_QUEUED, &queued, asker);
	fiber_sleep(1);
	channel_close(server);
	result = exchange_wait(e, clock_now() + 5000);
	error = errno;
	is_answered_now = exchange_is_answered(e);
	end();
}

static void
a_lost_conversation_is_econnreset(void **state)
{
	(void)state;
	run(lose_a_conversation);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECONNRESET);
	assert_false(is_answered_now);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_question_is_answered),
		cmocka_unit_test(who_waits_on_a_closed_channel_gets_econnreset),
		cmocka_unit_test(a_refusal_is_eproto_and_the_channel_stays),
		cmocka_unit_test(
		    an_answer_of_the_wrong_type_closes_the_channel),
		cmocka_unit_test(an_answer_that_does_not_fit_is_a_refusal),
		cmocka_unit_test(
		    a_deadline_ends_the_wait_and_a_late_answer_hurts_nobody),
		cmocka_unit_test(a_cancelled_fiber_stops_waiting),
		cmocka_unit_test(each_asker_gets_his_own_answer),
		cmocka_unit_test(a_conversation_has_credits_and_one_answer),
		cmocka_unit_test(a_forgotten_conversation_ends_with_its_pool),
		cmocka_unit_test(a_lost_conversation_is_econnreset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
