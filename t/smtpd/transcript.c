/*
 * transcript.c - claims about what is kept of a session, and of which.
 *
 * needs: smtpd/transcript.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/settings.h"
#include "smtpd/transcript.h"

struct settings		 set;
struct link		*to_bounce;
static struct pool	*pool;
static struct session	*s;

/* In place of bounce: what it was sent. */
static char	class[20], *lines;

int
link_ask(struct link *link, unsigned type, const void *object,
    unsigned reply_type, void *reply, struct pool *p, int64_t deadline,
    bool is_repeatable)
{
	const struct transcript	*t = object;

	(void)link;
	(void)p;
	(void)deadline;
	(void)is_repeatable;
	assert_int_equal(type, PACKET_TRANSCRIPT);
	assert_int_equal(reply_type, PACKET_BOUNCED);
	assert_string_equal(t->peer, "client[192.0.2.1]");
	strlcpy(class, t->class, sizeof(class));
	lines = pool_strdup(pool, t->lines);
	((struct bounced *)reply)->code = 250;
	return 0;
}

/* A fresh session. */
static void
begin(void)
{
	s = pool_alloc(pool, sizeof(*s));
	s->pool = pool;
	s->ident = "client[192.0.2.1]";
	class[0] = '\0';
	lines = NULL;
}

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	set.notify_classes = "protocol, policy resource,software bounce";
	transcript_prepare();
	begin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
the_codes_of_a_reply_tell_its_class(void **state)
{
	static const struct { const char *line, *class; } cases[] = {
		{ "500 5.5.2 Error: command not recognized", "protocol" },
		{ "503 5.5.1 Error: need MAIL command", "protocol" },
		{ "501 5.1.7 Bad sender address syntax: x", "protocol" },
		{ "554 5.7.1 <a@b>: Relay access denied", "policy" },
		{ "454 4.7.1 <a@b>: Relay access denied", "policy" },
		{ "550 5.1.1 <a@b>: Recipient address rejected", "policy" },
		{ "450 4.1.1 <a@b>: Recipient address rejected", "policy" },
		{ "552 5.3.4 Message size exceeds fixed limit", "policy" },
		{ "452 4.5.3 Error: too many recipients", "policy" },
		{ "421 4.7.0 host Error: too many errors", "policy" },
		{ "452 4.3.1 Insufficient system storage", "resource" },
		{ "451 4.3.0 Error: queue file write error", "software" },
		{ "451 4.3.5 Server configuration error", "software" },
		{ "421 4.3.2 host Service shutting down", "" },
		{ "421 4.4.2 host Error: timeout exceeded", "" },
		{ "458 4.4.5 Unable to queue messages", "" },
		{ "354 End data with <CR><LF>.<CR><LF>", "" },
		{ "250 2.0.0 Ok", "" }, { "250 HELP", "" }, { "2", "" },
		{ "", "" }
	};
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		transcript_said(s, cases[i].line);
		transcript_send(s);
		if (strcmp(class, cases[i].class) != 0)
			fail_msg("%s: \"%s\"", cases[i].line, class);
	}
}

static void
the_worst_class_is_told(void **state)
{
	(void)state;
	transcript_said(s, "500 5.5.2 Error");
	transcript_said(s, "451 4.3.0 Error");
	transcript_said(s, "554 5.7.1 <a@b>: Relay access denied");
	transcript_send(s);
	assert_string_equal(class, "software");
}

static void
a_session_without_a_line_is_not_told(void **state)
{
	(void)state;
	transcript_send(s);
	assert_null(lines);
}

/* P1 */
static void
secrets_and_control_bytes_are_not_kept(void **state)
{
	(void)state;
	transcript_heard(s, "auth PLAIN AGEAc2VjcmV0");
	transcript_heard(s, "AUTH LOGIN");
	transcript_heard(s, "NOOP \x01\x7f\t");
	transcript_said(s, "500 5.5.2 Error");
	transcript_send(s);
	assert_string_equal(lines, "In:  auth PLAIN\nIn:  AUTH LOGIN\n"
	    "In:  NOOP ???\nOut: 500 5.5.2 Error\n");
}

/* P1: nobody asked for it, but there it is. */
static void
answers_to_a_question_that_was_not_asked_are_not_kept(void **state)
{
	(void)state;
	transcript_heard(s, "AUTH\tLOGIN dXNlcg==");
	transcript_said(s, "500 5.5.2 Error");
	transcript_heard(s, "dXNlckBsb2NhbC50ZXN0");
	transcript_heard(s, "YTE=");
	transcript_heard(s, "QUIT");
	transcript_heard(s, "dXNlckBsb2NhbC50ZXN0");
	transcript_send(s);
	assert_string_equal(lines, "In:  AUTH?LOGIN\nOut: 500 5.5.2 Error\n"
	    "In:  (not shown)\nIn:  (not shown)\nIn:  QUIT\n"
	    "In:  dXNlckBsb2NhbC50ZXN0\n");
}

/* P2 */
static void
a_long_session_keeps_its_beginning_and_its_end(void **state)
{
	char	*line;
	int	 n;

	(void)state;
	for (n = 0; n < 20000; n++) {
		line = pool_printf(pool, "NOOP %d %0*d", n, n % 2500, 0);
		transcript_heard(s, line);
	}
	transcript_said(s, "500 5.5.2 the last");
	transcript_send(s);
	assert_in_range(strlen(lines), 20000, 30000);
	assert_memory_equal(lines, "In:  NOOP 0 ", 12);
	assert_non_null(strstr(lines, "lines are left out here)\n"));
	assert_non_null(strstr(lines, "In:  NOOP 19999 "));
	assert_non_null(strstr(lines, "Out: 500 5.5.2 the last\n"));
	assert_null(strstr(lines, "NOOP 10000 "));
}

static void
lines_left_out_are_counted(void **state)
{
	const char	*at;
	unsigned	 kept = 0, cut;
	int		 n;

	(void)state;
	for (n = 0; n < 3000; n++)
		transcript_heard(s, "NOOP of some length");
	transcript_said(s, "500 5.5.2 the last");
	transcript_send(s);
	for (at = lines; (at = strstr(at, "NOOP")) != NULL; at++)
		kept++;
	at = strstr(lines, "\n(");
	assert_non_null(at);
	cut = (unsigned)strtoul(at + 2, NULL, 10);
	assert_int_equal(kept + cut, 3000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(the_codes_of_a_reply_tell_its_class),
		TEST(the_worst_class_is_told),
		TEST(a_session_without_a_line_is_not_told),
		TEST(secrets_and_control_bytes_are_not_kept),
		TEST(answers_to_a_question_that_was_not_asked_are_not_kept),
		TEST(a_long_session_keeps_its_beginning_and_its_end),
		TEST(lines_left_out_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
