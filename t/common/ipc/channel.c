/*
 * channel.c - who may speak, what he may say, and how a channel ends.
 */
#include "common/ipc/channel.h"

#include "common/ipc/packet.h"
#include "t/common/ipc/pair.h"

static int		 ends[2];
static char		 heard[256];
static int		 closed_calls;
static struct channel	*server;

/* Note what came: "name:type:text". */
static void
note(const char *who, const char *what)
{
	size_t	len = strlen(heard);

	snprintf(heard + len, sizeof(heard) - len, "%s:%s ", who, what);
}

static void
on_control(struct request *r)
{
	note(r->peer, ((struct control *)r->object)->verb);
}

static void
on_slow_control(struct request *r)
{
	fiber_sleep(5);
	note(r->peer, ((struct control *)r->object)->verb);
}

/* CONTENT on a fiber: its data must still be there after a wait. */
static void
on_content(struct request *r)
{
	struct content	*c = r->object;
	char		 text[16];

	fiber_sleep(5);
	snprintf(text, sizeof(text), "%.*s", (int)c->data.len,
	    (const char *)c->data.data);
	note(r->peer, text);
}

static void
on_submit(struct request *r)
{
	struct submit		*s = r->object;
	struct submitted	 answer = { 0, "", "" };
	char			 buffer[8] = "";
	ssize_t			 n = pread(s->message, buffer, 7, 0);

	note(r->peer, n >= 0 ? buffer : "no descriptor");
	close(s->message);
	(void)channel_reply(r, PACKET_SUBMITTED, &answer);
}

static const struct peer	peers[] = {
	{ "one",	PACKET_CONTROL,		on_control,	IN_ORDER },
	{ "slow",	PACKET_CONTROL,		on_slow_control, ON_A_FIBER },
	{ "one",	PACKET_CONTENT,		on_content,	ON_A_FIBER },
	{ "one",	PACKET_SUBMIT,		on_submit,	ON_A_FIBER },
	{ "*",		PACKET_CONTROL_LINE,	NULL,		IN_ORDER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

static const struct peer	strict[] = {
	{ "one",	PACKET_CONTROL,		on_control,	IN_ORDER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

static void
on_closed(struct channel *c, void *context)
{
	if (c == server && context == &closed_calls)
		closed_calls++;
}

/* Serve one end of a fresh pair; the other is ours. */
static int
begin(const struct peer *table)
{
	heard[0] = '\0';
	closed_calls = 0;
	pair_open(ends);
	server = channel_new(ends[1], true, table, on_closed, &closed_calls);
	return ends[0];
}

/* Send a packet by hand. */
static void
say(int fd, unsigned type, uint64_t id, const void *object)
{
	struct pool	*pool = pool_new("test", 0);
	struct str	 s;
	int		 fds[PACKET_FDS];
	size_t		 nfds;

	str_init(&s, pool, PACKET_MAX);
	if (packet_encode(type, 0, id, object, &s, fds, &nfds) != NULL ||
	    packet_send(fd, s.data, s.len, fds, nfds) == -1)
		abort();
	pool_free(pool);
}

static void
say_hello(int fd, const char *name, int64_t version)
{
	struct hello	hello = { (char *)(uintptr_t)name, version };

	say(fd, PACKET_HELLO, 0, &hello);
}

static void
say_control(int fd, const char *verb)
{
	struct control	control = { (char *)(uintptr_t)verb };

	say(fd, PACKET_CONTROL, 7, &control);
}

/* What the server said to us: the type of the next packet, 0 at the end. */
static int
next_type(int fd)
{
	char	buffer[512];
	int	fds[PACKET_FDS], again = 0;
	size_t	nfds;
	ssize_t	n;

	for (;;) {
		n = packet_receive(fd, buffer, sizeof(buffer), fds, &nfds);
		if (n > 0)
			return buffer[0];
		if (n == 0)
			return 0;
		if (errno == ECONNRESET && again++ == 0)
			continue;	/* what it said before is behind */
		if (errno != EAGAIN)
			return -1;
		fiber_sleep(1);
	}
}

static int	answer, ending;

/* --- HELLO --------------------------------------------------------------- */

static void
speak_in_order(void *unused)
{
	int	fd = begin(peers);

	(void)unused;
	say_hello(fd, "one", IPC_VERSION);
	say_control(fd, "a");
	say_control(fd, "b");
	say_control(fd, "c");
	close(fd);
}

static void
a_known_peer_is_heard_in_order(void **state)
{
	uint64_t	malformed = channel_malformed();

	(void)state;
	run(speak_in_order);
	assert_string_equal(heard, "one:a one:b one:c ");
	assert_int_equal(closed_calls, 1);
	assert_int_equal(channel_malformed(), malformed);
}

static void
speak_first(void *unused)
{
	int	fd = begin(peers);

	(void)unused;
	say_control(fd, "a");
	ending = next_type(fd);
	close(fd);
}

static void
who_does_not_say_hello_first_is_cut_off(void **state)
{
	uint64_t	malformed = channel_malformed();

	(void)state;
	run(speak_first);
	assert_string_equal(heard, "");
	assert_int_equal(ending, 0);
	assert_int_equal(channel_malformed(), malformed + 1);
}

static const char	*name;
static int64_t		 version;
static const struct peer *table;

static void
present_ourselves(void *unused)
{
	int	fd = begin(table);

	(void)unused;
	say_hello(fd, name, version);
	say_control(fd, "a");
	answer = next_type(fd);
	ending = answer > 0 ? next_type(fd) : answer;
	close(fd);
}

static void
a_stranger_is_told_so(void **state)
{
	(void)state;
	name = "two";
	version = IPC_VERSION;
	table = strict;
	run(present_ourselves);
	assert_int_equal(answer, PACKET_REFUSED);
	assert_int_equal(ending, 0);
	assert_string_equal(heard, "");
}

static char	logged[512];

/* What the log is told meanwhile. */
static void
present_ourselves_to_a_log(void *unused)
{
	int	log[2];
	ssize_t	n;

	pair_open(log);
	log_to_socket(log[0]);
	present_ourselves(unused);
	log_flush();
	n = recv(log[1], logged, sizeof(logged) - 1, MSG_DONTWAIT);
	logged[n > 0 ? n : 0] = '\0';
	while (n-- > 0)				/* its strings as one */
		if (logged[n] == '\0')
			logged[n] = '|';
	log_to_nothing();
	close(log[0]);
	close(log[1]);
}

/* Refused, and a reader of the log sees which versions are there. */
static void
assert_refused(int64_t other)
{
	char	line[200];

	name = "one";
	version = other;
	table = strict;
	run(present_ourselves_to_a_log);
	assert_int_equal(answer, PACKET_REFUSED);
	assert_int_equal(ending, 0);
	assert_string_equal(heard, "");
	snprintf(line, sizeof(line), " is refused: another version of "
	    "Postrider is running here: its packets are of version %jd, ours "
	    "of %d|", (intmax_t)other, IPC_VERSION);
	assert_non_null(strstr(logged, line));
}

static void
another_version_is_told_so(void **state)
{
	(void)state;
	assert_refused(IPC_VERSION + 2);
	assert_refused(IPC_VERSION - 2);
	assert_refused(2);	/* the last one before NEW_MAIL had logs */
}

static void
speak_near_version(void *unused)
{
	int	fd = begin(strict);

	(void)unused;
	say_hello(fd, "one", version);
	say_control(fd, "a");
	close(fd);
}

static void
the_versions_beside_are_understood(void **state)
{
	(void)state;
	version = IPC_VERSION - 1;
	run(speak_near_version);
	assert_string_equal(heard, "one:a ");
	version = IPC_VERSION + 1;
	run(speak_near_version);
	assert_string_equal(heard, "one:a ");
}

/* A question of a type that this version does not have, and one that it has. */
static void
ask_too_much(void *unused)
{
	unsigned char	question[PACKET_HEAD] = { PACKET_TYPES, 0 };
	int		fd = begin(strict);

	(void)unused;
	say_hello(fd, "one", version);
	question[8] = 9;			/* its id */
	if (packet_send(fd, question, sizeof(question), NULL, 0) == -1)
		abort();
	say_control(fd, "a");
	answer = next_type(fd);
	close(fd);
}

static void
the_next_version_may_ask_what_we_do_not_know(void **state)
{
	uint64_t	malformed = channel_malformed();

	(void)state;
	version = IPC_VERSION + 1;
	run(ask_too_much);
	assert_int_equal(answer, PACKET_REFUSED);
	assert_string_equal(heard, "one:a ");
	assert_int_equal(channel_malformed(), malformed);
	version = IPC_VERSION;
	run(ask_too_much);
	assert_int_equal(answer, 0);
	assert_string_equal(heard, "");
	assert_int_equal(channel_malformed(), malformed + 1);
}

static bool
nobody_is_that(const char *service, uid_t uid)
{
	(void)service;
	(void)uid;
	return false;
}

static bool
is_65534(const char *service, uid_t uid)
{
	return strcmp(service, "one") == 0 && uid == 65534;
}

/* A pair made by another user looks as if he had connected. */
static void
present_as_another_user(void *unused)
{
	int	fd;

	(void)unused;
	if (seteuid(65534) == -1)
		abort();
	pair_open(ends);
	if (seteuid(0) == -1)
		abort();
	heard[0] = '\0';
	server = channel_new(ends[1], true, strict, NULL, NULL);
	fd = ends[0];
	say_hello(fd, "one", IPC_VERSION);
	say_control(fd, "a");
	fiber_sleep(1);
	answer = heard[0] == '\0' ? next_type(fd) : 0;
	close(fd);
}

static void
a_name_belongs_to_its_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	channel_set_trust(nobody_is_that);
	run(present_as_another_user);
	assert_int_equal(answer, PACKET_REFUSED);
	assert_string_equal(heard, "");
	channel_set_trust(is_65534);
	run(present_as_another_user);
	assert_string_equal(heard, "one:a ");
	channel_set_trust(NULL);
}

/* --- what may be said ---------------------------------------------------- */

static void
say_the_forbidden(void *unused)
{
	struct ask_hosts	ask = { "example.com", 0 };
	int			fd = begin(peers);

	(void)unused;
	say_hello(fd, "one", IPC_VERSION);
	say(fd, PACKET_ASK_HOSTS, 1, &ask);
	say_control(fd, "after");
	ending = next_type(fd);
	close(fd);
}

static void
a_packet_without_a_row_closes_the_channel(void **state)
{
	uint64_t	malformed = channel_malformed();

	(void)state;
	run(say_the_forbidden);
	assert_string_equal(heard, "");
	assert_int_equal(ending, 0);
	assert_int_equal(channel_malformed(), malformed + 1);
}

static void
say_nonsense(void *unused)
{
	int	fd = begin(peers);

	(void)unused;
	say_hello(fd, "one", IPC_VERSION);
	if (packet_send(fd, "nonsense that is long enough", 28, NULL, 0) == -1)
		abort();
	ending = next_type(fd);
	close(fd);
}

static void
nonsense_closes_the_channel_and_is_counted(void **state)
{
	uint64_t	malformed = channel_malformed();
	int		before = open_descriptors();

	(void)state;
	run(say_nonsense);
	assert_int_equal(ending, 0);
	assert_int_equal(closed_calls, 1);
	assert_int_equal(channel_malformed(), malformed + 1);
	assert_int_equal(open_descriptors(), before);
}

static void
smuggle_descriptors(void *unused)
{
	struct pool	*pool = pool_new("test", 0);
	struct control	 control = { "a" };
	struct str	 s;
	int		 fds[PACKET_FDS], fd = begin(peers);
	size_t		 nfds;

	(void)unused;
	say_hello(fd, "one", IPC_VERSION);
	str_init(&s, pool, PACKET_MAX);
	(void)packet_encode(PACKET_CONTROL, 0, 1, &control, &s, fds, &nfds);
	s.data[4] = 1;
	if (packet_send(fd, s.data, s.len, (int[]){ fd }, 1) == -1)
		abort();
	pool_free(pool);
	ending = next_type(fd);
	close(fd);
}

static void
descriptors_nobody_asked_for_are_closed(void **state)
{
	int	before;

	(void)state;
	loop_open();
	before = open_descriptors();
	run(smuggle_descriptors);
	assert_string_equal(heard, "");
	assert_int_equal(ending, 0);
	assert_int_equal(open_descriptors(), before);
}

static void
submit_a_file(void *unused)
{
	FILE		*file = tmpfile();
	struct submit	 s = { .sender = NULL, .full_name = "",
			    .envelope_id = "", .return_what = "", .verp = "",
			    .token = "" };
	int		 fd = begin(peers);

	(void)unused;
	if (file == NULL || fputs("content", file) == EOF ||
	    fflush(file) == EOF)
		abort();
	s.message = fileno(file);
	say_hello(fd, "one", IPC_VERSION);
	say(fd, PACKET_SUBMIT, 1, &s);
	answer = next_type(fd);
	fclose(file);
	close(fd);
}

static void
a_descriptor_reaches_the_handler(void **state)
{
	int	before = open_descriptors();

	(void)state;
	run(submit_a_file);
	assert_string_equal(heard, "one:content ");
	assert_int_equal(answer, PACKET_SUBMITTED);
	assert_int_equal(open_descriptors(), before);
}

static void
send_content(void *unused)
{
	struct content	first = { { "first", 5 }, false, false };
	struct content	second = { { "other", 5 }, true, false };
	int		fd = begin(peers);

	(void)unused;
	say_hello(fd, "one", IPC_VERSION);
	say(fd, PACKET_CONTENT, 1, &first);
	say(fd, PACKET_CONTENT, 1, &second);
	fiber_sleep(20);
	close(fd);
}

static void
data_survives_the_wait_of_its_handler(void **state)
{
	(void)state;
	run(send_content);
	assert_string_equal(heard, "one:first one:other ");
}

static void
leave_a_slow_handler(void *unused)
{
	int	fd = begin(peers);

	(void)unused;
	say_hello(fd, "slow", IPC_VERSION);
	say_control(fd, "late");
	close(fd);
}

static void
a_handler_outlives_its_channel(void **state)
{
	(void)state;
	run(leave_a_slow_handler);
	assert_string_equal(heard, "slow:late ");
	assert_int_equal(channel_requests(), 0);
	assert_int_equal(closed_calls, 1);
}

/* --- the end ------------------------------------------------------------- */

static unsigned	accepted_before, accepted_after;

static void
drain_and_answer(void *unused)
{
	struct empty	nothing = { 0 };
	int		fd = begin(peers);

	(void)unused;
	say_hello(fd, "one", IPC_VERSION);
	fiber_sleep(1);
	accepted_before = channel_accepted();
	channel_goodbye_all();
	answer = next_type(fd);
	say(fd, PACKET_GOODBYE, 0, &nothing);
	while (!channel_is_draining(server))
		fiber_sleep(1);
	accepted_after = channel_accepted();
	close(fd);
}

static void
a_peer_that_answered_goodbye_is_not_waited_for(void **state)
{
	(void)state;
	run(drain_and_answer);
	assert_int_equal(answer, PACKET_GOODBYE);
	assert_int_equal(accepted_before, 1);
	assert_int_equal(accepted_after, 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_known_peer_is_heard_in_order),
		cmocka_unit_test(who_does_not_say_hello_first_is_cut_off),
		cmocka_unit_test(a_stranger_is_told_so),
		cmocka_unit_test(another_version_is_told_so),
		cmocka_unit_test(the_versions_beside_are_understood),
		cmocka_unit_test(the_next_version_may_ask_what_we_do_not_know),
		cmocka_unit_test(a_name_belongs_to_its_user),
		cmocka_unit_test(a_packet_without_a_row_closes_the_channel),
		cmocka_unit_test(nonsense_closes_the_channel_and_is_counted),
		cmocka_unit_test(descriptors_nobody_asked_for_are_closed),
		cmocka_unit_test(a_descriptor_reaches_the_handler),
		cmocka_unit_test(data_survives_the_wait_of_its_handler),
		cmocka_unit_test(a_handler_outlives_its_channel),
		cmocka_unit_test(
		    a_peer_that_answered_goodbye_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
