/*
 * posting.c - a message is handed over whole, or not at all.
 */
#include "common/ipc/posting.h"

#include <sys/un.h>

#include "t/common/ipc/pair.h"

enum { PATIENCE = 200 };

/* A cleanup in this process: it collects, answers the last piece with 250,
 * and gives credit if it is told to. */
static struct {
	struct loop_fd	 watch;
	int		 listener;
	bool		 gives_credit, is_abandoned, had_last;
	size_t		 bytes;
	struct channel	*channel;	/* that MAIL came by */
	struct channel	*accepted[2];
	unsigned	 count;
} cleanup;

static char		 directory[64], path[128];
static struct link	*to_cleanup;
static int		 written, finished, error;
static struct queued	 answer;

static void
on_mail(struct request *r)
{
	cleanup.channel = r->channel;
}

static void
on_recipients(struct request *r)
{
	(void)r;
}

static void
on_content(struct request *r)
{
	const struct content	*c = r->object;
	struct empty		 nothing = { 0 };
	struct queued		 queued = { .queue_id = (char *)"X",
				    .reply = (char *)"250 ok", .code = 250 };

	cleanup.bytes += c->data.len;
	if (c->is_last) {
		cleanup.had_last = true;
		(void)channel_reply(r, PACKET_QUEUED, &queued);
	} else if (c->wants_credit && cleanup.gives_credit)
		(void)channel_reply(r, PACKET_CREDIT, &nothing);
}

static void
on_abandon(struct request *r)
{
	(void)r;
	cleanup.is_abandoned = true;
}

static const struct peer	peers[] = {
	{ "tester",	PACKET_MAIL,	on_mail,	IN_ORDER },
	{ "tester",	PACKET_RECIPIENTS, on_recipients, IN_ORDER },
	{ "tester",	PACKET_CONTENT,	on_content,	IN_ORDER },
	{ "tester",	PACKET_ABANDON,	on_abandon,	IN_ORDER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Take the one connection. */
static void
serve(void *unused)
{
	int	fd;

	(void)unused;
	while ((fd = accept4(cleanup.listener, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) == -1)
		if (loop_wait_readable(&cleanup.watch, NEVER) == -1)
			return;
	cleanup.accepted[cleanup.count++] = channel_new(fd, true, peers, NULL,
	    NULL);
}

/* Listen as "test.1". */
static void
listen_here(void)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };

	strlcpy(at.sun_path, path, sizeof(at.sun_path));
	cleanup.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (cleanup.listener == -1 ||
	    bind(cleanup.listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(cleanup.listener, 1) == -1 ||
	    loop_add(&cleanup.watch, cleanup.listener) == -1)
		abort();
}

/* Begin a posting to so many recipients. */
static struct posting *
open_posting(struct pool *pool, size_t count)
{
	static char	 nothing[1], address[1001];
	struct recipient_row *rows = pool_array(pool, count, sizeof(*rows));
	struct mail	 mail = { .sender = nothing, .origin = (char *)"t",
	    .client_name = nothing, .client_address = nothing,
	    .helo = nothing, .protocol = nothing, .full_name = nothing,
	    .envelope_id = nothing, .return_what = nothing, .login = nothing,
	    .extra = nothing, .verp = nothing, .recipients = rows, .count = count };

	memset(address, 'a', sizeof(address) - 1);
	while (count-- > 0)
		rows[count] = (struct recipient_row){ address, nothing,
		    nothing, 0 };
	return posting_open(pool, to_cleanup, &mail, clock_now() + PATIENCE);
}

/* What happens between the envelope and the text. */
static void	(*meanwhile)(void);

/* Post a message of so many bytes, with little patience, as smtpd does it:
 * after a failure the rest is not written, and then it is finished. */
static void
post(size_t bytes)
{
	static char	 piece[1000];
	struct pool	*pool = pool_new("poster", 0);
	struct posting	*p = open_posting(pool, 1);

	if (meanwhile != NULL)
		meanwhile();
	for (written = 0; p != NULL && written == 0 && bytes > 0;
	    bytes -= sizeof(piece))
		written = posting_write(p, piece, sizeof(piece),
		    clock_now() + PATIENCE);
	finished = p == NULL ? -2 : posting_finish(p, &answer,
	    clock_now() + PATIENCE);
	error = errno;
	(void)fiber_sleep(50);		/* for what is on its way */
	pool_free(pool);
}

/* One posting from its beginning to the end of both sides. */
static void
story(void *bytes)
{
	unsigned	i;

	listen_here();
	fiber_start(serve, NULL);
	link_identity("tester", directory);
	to_cleanup = link_new("test", 1, NULL);
	post(*(size_t *)bytes);
	loop_remove(&cleanup.watch);
	close(cleanup.listener);
	unlink(path);
	for (i = 0; i < cleanup.count; i++)
		if (channel_is_open(cleanup.accepted[i]))
			channel_close(cleanup.accepted[i]);
}

/* Run it. */
static void
tell(size_t bytes, bool gives_credit)
{
	memset(&cleanup, 0, sizeof(cleanup));
	cleanup.gives_credit = gives_credit;
	loop_open();
	log_to_nothing();
	fiber_start(story, &bytes);
	loop_run();
	free(to_cleanup);		/* programs keep theirs */
}

static void
a_message_arrives_whole(void **state)
{
	(void)state;
	tell(1000000, true);
	assert_int_equal(written, 0);
	assert_int_equal(finished, 0);
	assert_int_equal(answer.code, 250);
	assert_int_equal(cleanup.bytes, 1000000);
	assert_false(cleanup.is_abandoned);
}

/* Credit that does not come in time: what was written so far is not a
 * message, though cleanup would gladly take it for one. */
static void
a_part_is_never_finished_as_the_whole(void **state)
{
	(void)state;
	tell(1000000, false);
	assert_int_equal(written, -1);
	assert_int_equal(finished, -1);
	assert_int_equal(error, EPIPE);
	assert_int_equal(cleanup.bytes, 2 * CREDIT_EVERY * CONTENT_MAX);
	assert_false(cleanup.had_last);
	assert_true(cleanup.is_abandoned);
}

/* It drains, as at a reload; the next process listens. */
static void
drain(void)
{
	(void)fiber_sleep(20);		/* until HELLO was heard */
	channel_goodbye_all();
	(void)fiber_sleep(20);
	fiber_start(serve, NULL);
}

static void
a_message_whose_text_has_not_come_goes_to_one_who_stays(void **state)
{
	(void)state;
	meanwhile = drain;
	tell(1000, true);
	meanwhile = NULL;
	assert_int_equal(finished, 0);
	assert_int_equal(answer.code, 250);
	assert_int_equal(cleanup.bytes, 1000);
	assert_int_equal(cleanup.count, 2);
	assert_ptr_equal(cleanup.channel, cleanup.accepted[1]);
}

/* More recipients than the socket takes, for one who does not read until it is
 * too late. */
static void
post_to_too_many(void *unused)
{
	struct pool	*pool = pool_new("poster", 0);
	int		 i;

	(void)unused;
	listen_here();
	link_identity("tester", directory);
	to_cleanup = link_new("test", 1, NULL);
	written = open_posting(pool, 5000) == NULL ? -1 : 0;
	error = errno;
	pool_free(pool);
	fiber_start(serve, NULL);
	for (i = 0; i < 1000 && !cleanup.is_abandoned; i++)
		(void)fiber_sleep(10);
	loop_remove(&cleanup.watch);
	close(cleanup.listener);
	unlink(path);
	if (channel_is_open(cleanup.accepted[0]))
		channel_close(cleanup.accepted[0]);
}

static void
an_envelope_that_cannot_be_sent_whole_is_abandoned(void **state)
{
	(void)state;
	memset(&cleanup, 0, sizeof(cleanup));
	loop_open();
	log_to_nothing();
	fiber_start(post_to_too_many, NULL);
	loop_run();
	free(to_cleanup);
	assert_int_equal(written, -1);
	assert_int_equal(error, ETIMEDOUT);
	assert_true(cleanup.is_abandoned);
}

/* Is there nothing to hear yet? */
static bool	was_silent;

static void
look(void)
{
	(void)fiber_sleep(20);
	was_silent = cleanup.count == 1 && cleanup.channel == NULL;
}

static void
cleanup_hears_of_a_message_when_its_text_comes(void **state)
{
	(void)state;
	meanwhile = look;
	tell(1000, true);
	meanwhile = NULL;
	assert_true(was_silent);
	assert_int_equal(finished, 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_message_arrives_whole),
		cmocka_unit_test(a_part_is_never_finished_as_the_whole),
		cmocka_unit_test(
		    a_message_whose_text_has_not_come_goes_to_one_who_stays),
		cmocka_unit_test(
		    an_envelope_that_cannot_be_sent_whole_is_abandoned),
		cmocka_unit_test(
		    cleanup_hears_of_a_message_when_its_text_comes),
	};

	snprintf(directory, sizeof(directory), "/tmp/posting.%d.",
	    (int)getpid());
	snprintf(path, sizeof(path), "%stest.1", directory);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
