/*
 * dovecot.c - users are asked of a Dovecot, and whatever it says lets nobody
 * in but who has a name.
 */
#include "common/sasl/dovecot.h"

#include <sys/un.h>

#include "common/fiber/io.h"
#include "common/sasl/sasl.h"
#include "t/common/ipc/pair.h"

#define GREETING	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\n" \
			"MECH\tLOGIN\tplaintext\nMECH\tANONYMOUS\tanonymous\n" \
			"MECH\tX-OWN\tprivate\n" \
			"MECH\tSCRAM-SHA-256\tmutual-auth\n" \
			"MECH\tSCRAM-SHA-256-PLUS\tmutual-auth\n" \
			"SPID\t1\nCUID\t2\nCOOKIE\t3\nDONE\n"

/* What a test tells the Dovecot to say, and what came of it. */
static struct {
	const char	*greeting;
	const char	*answers[6];	/* "#" is the number; NULL: hang up */
	const char	*mechanism, *initial, *responses[4];
	bool		 gives_up;	/* after the answers */
	unsigned	 forbidden;
	/* seen */
	char		 heard[2000], mechanisms[200], steps[600], user[100];
	unsigned	 connections;
} t;

static char			 directory[64];
static int			 listener;
static struct loop_fd		 watch;
static struct channel		*resolve;
static struct sasl_server	*server;
static struct sasl_server	*servers[100];	/* each lives for ever */
static size_t			 server_count;
static struct io		*peer;		/* the Dovecot's */

/* --- the Dovecot --------------------------------------------------------- */

/* An answer to this line, with its number. */
static void
say_answer(const char *answer, const char *line)
{
	const char	*id = strchr(line, '\t');
	size_t		 len = id != NULL ? strcspn(id + 1, "\t") : 0;

	for (; *answer != '\0'; answer++)
		if (*answer == '#')
			(void)io_write(peer, id + 1, len);
		else
			(void)io_write(peer, answer, 1);
	(void)io_flush(peer);
}

/* Its life: a greeting, then one answer a line. */
static void
be_dovecot(void *arg)
{
	size_t	 next = 0, len;
	char	*line;

	peer = io_new((int)(intptr_t)arg);
	t.connections++;
	(void)io_write(peer, t.greeting, strlen(t.greeting));
	(void)io_flush(peer);
	while (io_line(peer, &line, &len, 20000, NULL) == 1) {
		strlcat(t.heard, line, sizeof(t.heard));
		strlcat(t.heard, "\n", sizeof(t.heard));
		if (strncmp(line, "AUTH", 4) != 0 &&
		    strncmp(line, "CONT", 4) != 0)
			continue;
		if (t.answers[next] == NULL)
			break;
		say_answer(t.answers[next++], line);
	}
	io_close(peer);
	peer = NULL;
}

/* --- resolve ------------------------------------------------------------- */

static void
on_ask(struct request *r)
{
	struct dialed	answer = { .text = pool_strdup(r->pool, "") };
	int		fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    fds) == -1)
		abort();
	fiber_start(be_dovecot, (void *)(intptr_t)fds[0]);
	answer.socket = fds[1];
	(void)channel_reply(r, PACKET_DIALED, &answer);
	close(fds[1]);
}

static const struct peer	peers[] = {
	{ "smtpd",	PACKET_ASK_SASL, on_ask,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	 NULL,		IN_ORDER }
};

static void
be_resolve(void *arg)
{
	int	fd;

	(void)arg;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK |
	    SOCK_CLOEXEC)) == -1)
		if (loop_wait_readable(&watch, NEVER) == -1)
			return;
	resolve = channel_new(fd, true, peers, NULL, NULL);
}

/* --- smtpd --------------------------------------------------------------- */

/* Write down a step. */
static void
note(const struct sasl_step *step)
{
	size_t	len = strlen(t.steps);

	snprintf(t.steps + len, sizeof(t.steps) - len, "%s%d:%s%s%s",
	    len > 0 ? " " : "", (int)step->result, step->text,
	    step->final != NULL ? "+" : "",
	    step->final != NULL ? step->final : "");
	strlcpy(t.user, step->user, sizeof(t.user));
}

/* The exchange of the test. */
static void
converse(struct pool *pool)
{
	const struct sasl_peer	 he = { .service = "smtp",
		.client_address = "192.0.2.1", .server_address = "192.0.2.2",
		.local_name = "a\tb", .client_port = 1025, .server_port = 587,
		.is_encrypted = true,
		.exporter = (const unsigned char *)"x", .exporter_length = 1 };
	struct sasl_exchange	*e;
	struct sasl_step	 step;
	size_t			 i;

	strlcpy(t.mechanisms, sasl_mechanisms(server, pool, &he, t.forbidden,
	    0, "!login, static:rest"), sizeof(t.mechanisms));
	if (t.mechanism == NULL)
		return;
	e = sasl_begin(server, pool, &he, t.mechanism, t.initial, &step);
	note(&step);
	for (i = 0; t.responses[i] != NULL; i++) {
		sasl_continue(e, pool, t.responses[i], &step);
		note(&step);
	}
	sasl_end(e);
	if (t.gives_up)
		(void)fiber_sleep(20);	/* the Dovecot hears of it */
}

static void
story(void *arg)
{
	const char	*why;
	struct pool	*pool = pool_new("story", 0);
	struct link	*to = link_new("resolve", 1, NULL);

	(void)arg;
	server = sasl_server_new("dovecot", "submission/inet", to, NULL,
	    &why);
	servers[server_count++] = server;
	converse(pool);
	pool_free(pool);
	if (resolve != NULL)
		channel_close(resolve);
	if (peer != NULL)
		(void)shutdown(io_fd(peer), SHUT_RDWR);
	loop_remove(&watch);
	close(listener);
}

/* Run what `t` says. */
static void
play(void)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	char			where[80];

	strlcpy(directory, "/tmp/postrider-dovecot-XXXXXX",
	    sizeof(directory));
	assert_non_null(mkdtemp(directory));
	snprintf(where, sizeof(where), "%s/", directory);
	link_identity("smtpd", where);
	snprintf(at.sun_path, sizeof(at.sun_path), "%sresolve.1", where);
	loop_open();
	log_to_nothing();
	resolve = NULL;
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(listener, 5) == -1 || loop_add(&watch, listener) == -1)
		abort();
	fiber_start(be_resolve, NULL);
	run(story);
	unlink(at.sun_path);
	rmdir(directory);
}

/* A test of its own begins with a Dovecot that is as it should be. */
static int
fill(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.greeting = GREETING;
	t.mechanism = "PLAIN";
	t.initial = "AGFubgBzZXNhbWU=";
	return 0;
}

/* --- what is said -------------------------------------------------------- */

static void
the_words_of_a_login_are_the_protocols(void **state)
{
	char	greeting[80];

	(void)state;
	t.answers[0] = "OK\t#\tuser=ann\tnologin\n";
	play();
	assert_string_equal(t.mechanisms, "PLAIN ANONYMOUS SCRAM-SHA-256");
	assert_string_equal(t.steps, "0:ann");
	snprintf(greeting, sizeof(greeting), "VERSION\t1\t2\nCPID\t%d\n",
	    (int)getpid());
	assert_memory_equal(t.heard, greeting, strlen(greeting));
	assert_string_equal(t.heard + strlen(greeting),
	    "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.2\t"
	    "rip=192.0.2.1\tlport=587\trport=1025\tlocal_name=a\001tb\t"
	    "secured\tresp=AGFubgBzZXNhbWU=\n");
}

static void
what_is_forbidden_is_not_offered(void **state)
{
	(void)state;
	t.mechanism = NULL;
	t.forbidden = SASL_PLAINTEXT | SASL_ANONYMOUS;
	play();
	assert_string_equal(t.mechanisms, "SCRAM-SHA-256");
}

static void
challenges_go_to_and_fro(void **state)
{
	(void)state;
	t.mechanism = "LOGIN";
	t.initial = NULL;
	t.answers[0] = "CONT\t#\tVXNlcm5hbWU6\n";
	t.answers[1] = "CONT\t#\tUGFzc3dvcmQ6\n";
	t.answers[2] = "OK\t#\tuser=a\001tn\tresp=dg==\n";
	t.responses[0] = "YW5u";
	t.responses[1] = "";
	play();
	assert_string_equal(t.steps, "1:VXNlcm5hbWU6 1:UGFzc3dvcmQ6 "
	    "0:a\tn+dg==");
	assert_non_null(strstr(t.heard, "\tsecured\nCONT\t1\tYW5u\n"
	    "CONT\t1\t\n"));
}

static void
a_refusal_has_a_reason(void **state)
{
	(void)state;
	t.answers[0] = "FAIL\t#\tuser=ann\treason=it is late\n";
	play();
	assert_string_equal(t.steps, "2:it is late");
	assert_string_equal(t.user, "ann");
}

static void
trouble_is_no_refusal(void **state)
{
	(void)state;
	t.answers[0] = "FAIL\t#\tuser=ann\ttemp\n";
	play();
	assert_string_equal(t.steps, "6:");
	fill(state);
	t.answers[0] = "FAIL\t#\tcode=temp_fail\n";
	play();
	assert_string_equal(t.steps, "6:");
}

static void
who_gives_up_is_forgotten(void **state)
{
	(void)state;
	t.initial = NULL;
	t.answers[0] = "CONT\t#\t\n";
	t.gives_up = true;
	play();
	assert_string_equal(t.steps, "1:");
	assert_non_null(strstr(t.heard, "CANCEL\t1\n"));
}

static void
base64_is_looked_at_here(void **state)
{
	(void)state;
	t.initial = "A!!!";
	play();
	assert_string_equal(t.steps, "3:the initial response is not base64");
	assert_null(strstr(t.heard, "AUTH"));
}

static void
other_mechanisms_are_unknown(void **state)
{
	static const char *const	others[] = { "X-OWN", "CRAM-MD5",
					    "PLAIN\tx" };
	size_t				i;

	for (i = 0; i < 3; i++) {
		fill(state);
		t.mechanism = others[i];
		play();
		assert_string_equal(t.steps, "4:");
		assert_null(strstr(t.heard, "AUTH"));
	}
}

/* --- a Dovecot that is none ---------------------------------------------- */

static void
nonsense_lets_nobody_in(void **state)
{
	static const char *const	bad[] = {
		"OK\t#\n", "OK\t#\tuser=\n", "OK\t#\tname=ann\n",
		"OK\t#\tuser=a\001x\n", "OK\t#\tuser=ann\tresp=!\n",
		"CONT\t#\n", "CONT\t#\t!\n", "CONT\t#\tdg==\tdg==\n",
		"OK\n", "OK\tx\tuser=ann\n", "OK\t-1\tuser=ann\n", NULL
	};
	size_t				i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fill(state);
		t.answers[0] = bad[i];
		play();
		if (t.steps[0] != '6')
			fail_msg("'%s' gave %s", bad[i] != NULL ? bad[i] :
			    "the end", t.steps);
	}
}

static void
answers_to_others_are_not_ours(void **state)
{
	(void)state;
	t.answers[0] = "OK\t999\tuser=eve\nNEWS\tx\nOK\t#\tuser=ann\n"
	    "OK\t#\tuser=eve\n";
	play();
	assert_string_equal(t.steps, "0:ann");
}

static void
greetings_of_strangers_are_not_believed(void **state)
{
	static char		long_line[40000];
	const char *const	bad[] = {
		"VERSION\t2\t0\nMECH\tPLAIN\nDONE\n",
		"MECH\tPLAIN\nDONE\n", "VERSION\nDONE\n",
		"220 mail.example.net ESMTP\r\n", long_line
	};
	size_t			i;

	memset(long_line, 'x', sizeof(long_line) - 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fill(state);
		t.greeting = bad[i];
		t.mechanism = NULL;
		play();
		if (t.mechanisms[0] != '\0')
			fail_msg("'%.20s' gave %s", bad[i], t.mechanisms);
	}
}

static void
words_are_escaped(void **state)
{
	struct pool	*pool = pool_new("test", 0);
	struct str	 text;
	char		 back[] = "a\001tb\001n\001r\001" "1c";
	char		 bad[] = "a\0010", cut[] = "a\001";

	(void)state;
	str_init(&text, pool, 0);
	dovecot_escape(&text, "a\tb\n\r\001c");
	assert_string_equal(text.data, back);
	assert_true(dovecot_unescape(back));
	assert_string_equal(back, "a\tb\n\r\001c");
	assert_false(dovecot_unescape(bad));
	assert_false(dovecot_unescape(cut));
	pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name)	cmocka_unit_test_setup(name, fill)
		TEST(the_words_of_a_login_are_the_protocols),
		TEST(what_is_forbidden_is_not_offered),
		TEST(challenges_go_to_and_fro),
		TEST(a_refusal_has_a_reason),
		TEST(trouble_is_no_refusal),
		TEST(who_gives_up_is_forgotten),
		TEST(base64_is_looked_at_here),
		TEST(other_mechanisms_are_unknown),
		TEST(nonsense_lets_nobody_in),
		TEST(answers_to_others_are_not_ours),
		TEST(greetings_of_strangers_are_not_believed),
		TEST(words_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
