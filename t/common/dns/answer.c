/*
 * answer.c - claims about DNS answers, honest and hostile.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/dns/answer.h"

static struct pool	*pool;

/* A message under construction. */
static unsigned char	message[4096];
static size_t		used;

static void
bytes(const void *data, size_t len)
{
	assert_true(used + len <= sizeof message);
	memcpy(message + used, data, len);
	used += len;
}

static void
number(unsigned n)
{
	unsigned char	two[2] = { (unsigned char)(n >> 8),
			    (unsigned char)n };

	bytes(two, 2);
}

/* "a.b" as labels. */
static void
name(const char *text)
{
	unsigned char	len;

	for (; *text != '\0'; text += text[len] == '.' ? len + 1 : len) {
		len = (unsigned char)strcspn(text, ".");
		bytes(&len, 1);
		bytes(text, len);
	}
	bytes("", 1);
}

/* Head and question. */
static void
start(unsigned flags, unsigned answers, const char *question, unsigned type)
{
	used = 0;
	number(4711);
	number(flags);
	number(1);
	number(answers);
	number(0);
	number(0);
	name(question);
	number(type);
	number(1);
}

/* A record's head; its data follow. */
static void
record(const char *owner, unsigned type, unsigned ttl, unsigned len)
{
	name(owner);
	number(type);
	number(1);
	number(0);
	number(ttl);
	number(len);
}

static struct answer
read_it(const char *asked, enum answer_type type)
{
	struct answer	a;

	answer_parse(&a, pool, asked, type, message, used);
	return a;
}

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
addresses_are_read(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 2, "a.test", 1);
	record("a.test", 1, 300, 4);
	bytes("\300\0\2\1", 4);
	record("A.TEST", 1, 60, 4);
	bytes("\300\0\2\2", 4);
	a = read_it("a.test", ANSWER_A);
	assert_int_equal(a.result, ANSWER_OK);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.ttl, 60);
	assert_memory_equal(a.records[1].address, "\300\0\2\2", 4);
}

static void
mail_exchangers_are_read_through_compression(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 1, "a.test", 15);
	bytes("\300\014", 2);			/* the question's name */
	number(15), number(1), number(0), number(300), number(7);
	number(10);
	bytes("\002mx\300\014", 5);
	a = read_it("A.test", ANSWER_MX);
	assert_int_equal(a.result, ANSWER_OK);
	assert_int_equal(a.records[0].preference, 10);
	assert_string_equal(a.records[0].name, "mx.a.test");
}

static void
a_null_mx_is_an_empty_name(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 1, "a.test", 15);
	record("a.test", 15, 300, 3);
	number(0);
	bytes("", 1);
	a = read_it("a.test", ANSWER_MX);
	assert_int_equal(a.result, ANSWER_OK);
	assert_string_equal(a.records[0].name, "");
}

static void
aliases_are_followed_in_any_order(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 3, "a.test", 1);
	record("c.test", 1, 300, 4);
	bytes("\300\0\2\1", 4);
	record("b.test", 5, 20, 8);
	name("c.test");
	record("a.test", 5, 10, 8);
	name("b.test");
	a = read_it("a.test", ANSWER_A);
	assert_int_equal(a.result, ANSWER_OK);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.ttl, 10);
}

static void
aliases_in_a_circle_fail(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 2, "a.test", 1);
	record("a.test", 5, 20, 8);
	name("b.test");
	record("b.test", 5, 20, 8);
	name("a.test");
	a = read_it("a.test", ANSWER_A);
	assert_int_equal(a.result, ANSWER_FAILED);
	assert_non_null(a.why);
}

static void
records_of_others_do_not_count(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 1, "a.test", 1);
	record("evil.test", 1, 300, 4);
	bytes("\300\0\2\1", 4);
	a = read_it("a.test", ANSWER_A);
	assert_int_equal(a.result, ANSWER_NO_DATA);
	assert_int_equal(a.count, 0);
}

static void
the_kinds_of_nothing_are_told_apart(void **state)
{
	(void)state;
	start(0x8180, 0, "a.test", 1);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_NO_DATA);
	start(0x8183, 0, "a.test", 1);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_NO_NAME);
	start(0x8182, 0, "a.test", 1);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
	start(0x8185, 0, "a.test", 1);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
}

static void
answers_to_something_else_are_refused(void **state)
{
	(void)state;
	start(0x8180, 0, "b.test", 1);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
	start(0x8180, 0, "a.test", 15);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
	start(0x0100, 0, "a.test", 1);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
	start(0x8380, 0, "a.test", 1);		/* truncated */
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
}

static void
data_of_the_wrong_size_are_refused(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 1, "a.test", 1);
	record("a.test", 1, 300, 3);
	bytes("\300\0\2", 3);
	a = read_it("a.test", ANSWER_A);
	assert_int_equal(a.result, ANSWER_FAILED);

	start(0x8180, 1, "a.test", 15);
	record("a.test", 15, 300, 9);		/* a byte behind the name */
	number(10);
	bytes("\004mail\0x", 7);
	assert_int_equal(read_it("a.test", ANSWER_MX).result, ANSWER_FAILED);

	start(0x8180, 1, "a.test", 15);
	record("a.test", 15, 300, 2);
	number(10);
	assert_int_equal(read_it("a.test", ANSWER_MX).result, ANSWER_FAILED);

	start(0x8180, 1, "a.test", 1);
	record("a.test", 1, 300, 400);		/* longer than the message */
	bytes("\300\0\2\1", 4);
	assert_int_equal(read_it("a.test", ANSWER_A).result, ANSWER_FAILED);
}

static void
names_that_no_host_has_are_left_out(void **state)
{
	static const struct { const char *bytes; size_t len; } wrong[] = {
		{ "\003a b\004test", 10 }, { "\003a\nb\004test", 10 },
		{ "\003a.b\004test", 10 }, { "\003a\0b\004test", 10 },
		{ "\002-a\004test", 9 }, { "\001*\004test", 8 },
		{ "\003a\377b\004test", 10 }, { "\003a;b\004test", 10 }
	};
	struct answer	a;
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		start(0x8180, 2, "a.test", 12);
		record("a.test", 12, 300, (unsigned)wrong[i].len);
		bytes(wrong[i].bytes, wrong[i].len);
		record("a.test", 12, 300, 8);
		name("b.test");
		a = read_it("a.test", ANSWER_PTR);
		assert_int_equal(a.result, ANSWER_OK);
		assert_int_equal(a.count, 1);
		assert_string_equal(a.records[0].name, "b.test");
		assert_true(a.has_refused);
	}
}

static void
pointers_that_lead_forward_or_in_circles_are_refused(void **state)
{
	static const char *const	tails[] = {
		"\300\036",		/* to itself */
		"\300\040",		/* ahead */
		"\377\377",		/* outside */
		"\001a\300\036",	/* back to its own beginning */
		"\100x", "\200x"	/* kinds of label that do not exist */
	};
	char				to[ANSWER_NAME_MAX + 1];
	size_t				i, at;

	(void)state;
	for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		memset(message, 0, 64);
		memcpy(message + 30, tails[i], strlen(tails[i]));
		at = 30;
		assert_false(answer_name(message, 64, &at, to));
	}
}

static void
the_longest_name_is_read_and_a_longer_one_is_not(void **state)
{
	char	to[ANSWER_NAME_MAX + 1];
	size_t	at = 0;
	int	i;

	(void)state;
	used = 0;
	for (i = 0; i < 3; i++) {
		bytes("\077", 1);
		bytes("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaa", 63);
	}
	bytes("\075", 1);
	bytes("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    61);
	bytes("", 1);
	assert_true(answer_name(message, used, &at, to));
	assert_int_equal(strlen(to), ANSWER_NAME_MAX);
	assert_true(answer_is_host_name(to));
	message[192] = 62;
	message[used - 1] = 'a';
	bytes("", 1);
	at = 0;
	assert_false(answer_name(message, used, &at, to));
}

/* Every shorter message, and every message with one byte changed, is read
 * without harm; sanitizers watch. */
static void
no_broken_message_does_harm(void **state)
{
	unsigned char	*copy;
	struct answer	 a;
	struct pool	*own;
	size_t		 len, i;

	(void)state;
	start(0x8180, 3, "a.test", 15);
	record("a.test", 5, 300, 8);
	name("b.test");
	record("b.test", 15, 300, 7);
	number(10);
	bytes("\002mx\300\014", 5);
	record("b.test", 15, 300, 10);
	number(20);
	name("c.test");
	a = read_it("a.test", ANSWER_MX);
	assert_int_equal(a.count, 2);
	for (len = 0; len < used; len++) {
		copy = malloc(len > 0 ? len : 1);
		memcpy(copy, message, len);
		answer_parse(&a, pool, "a.test", ANSWER_MX, copy, len);
		assert_int_equal(a.result, ANSWER_FAILED);
		free(copy);
	}
	for (i = 0; i < used * 256; i++) {
		own = pool_new("test", 0);
		copy = malloc(used);
		memcpy(copy, message, used);
		copy[i / 256] = (unsigned char)i;
		answer_parse(&a, own, "a.test", ANSWER_MX, copy, used);
		free(copy);
		pool_free(own);
	}
}

/* An answer without records, with one of this type beside it. */
static struct answer
read_nothing(unsigned authorities, unsigned type)
{
	start(0x8180, 0, "a.test", 1);
	message[9] = (unsigned char)authorities;
	record("a.test", type, 300, 1);
	bytes("", 1);
	if (authorities == 2) {
		record("test", 6, 300, 1);
		bytes("", 1);
	}
	return read_it("a.test", ANSWER_A);
}

static void
a_referral_is_no_answer(void **state)
{
	(void)state;
	assert_int_equal(read_nothing(1, 2).result, ANSWER_FAILED);
	assert_int_equal(read_nothing(1, 6).result, ANSWER_NO_DATA);
	assert_int_equal(read_nothing(2, 2).result, ANSWER_NO_DATA);
	assert_int_equal(read_nothing(0, 2).result, ANSWER_NO_DATA);
}

static void
services_are_read_with_priority_weight_and_port(void **state)
{
	struct answer	a;

	(void)state;
	start(0x8180, 2, "_x._tcp.a.test", 33);
	record("_x._tcp.a.test", 33, 300, 14);
	number(10), number(20), number(587);
	name("h.test");
	record("_x._tcp.a.test", 33, 300, 7);	/* no such service */
	number(0), number(0), number(0);
	bytes("", 1);
	a = read_it("_x._tcp.a.test", ANSWER_SRV);
	assert_int_equal(a.result, ANSWER_OK);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.records[0].preference, 10);
	assert_int_equal(a.records[0].weight, 20);
	assert_int_equal(a.records[0].port, 587);
	assert_string_equal(a.records[0].name, "h.test");
	assert_string_equal(a.records[1].name, "");
}

/* One SRV record with these data. */
static struct answer
read_service(const void *data, unsigned len)
{
	start(0x8180, 1, "a.test", 33);
	record("a.test", 33, 300, len);
	bytes(data, len);
	return read_it("a.test", ANSWER_SRV);
}

static void
broken_services_are_refused(void **state)
{
	static const char	good[] = "\0\1\0\1\0\31\1h";
	unsigned		len;

	(void)state;
	assert_int_equal(read_service(good, sizeof(good)).result, ANSWER_OK);
	for (len = 0; len < sizeof(good); len++)
		assert_int_equal(read_service(good, len).result,
		    ANSWER_FAILED);
	assert_int_equal(read_service("\0\1\0\1\0\31\1h\0x", 10).result,
	    ANSWER_FAILED);
	/* no port */
	assert_int_equal(read_service("\0\1\0\1\0\0\1h", 9).result,
	    ANSWER_FAILED);
	/* no host's name */
	assert_int_equal(read_service("\0\1\0\1\0\31\2h ", 10).result,
	    ANSWER_FAILED);
}

static void
host_names_are_known_by_their_form(void **state)
{
	(void)state;
	assert_true(answer_is_host_name("a"));
	assert_true(answer_is_host_name("mx_1.example-2.test"));
	assert_true(answer_is_host_name("1.2.3"));
	assert_false(answer_is_host_name(""));
	assert_false(answer_is_host_name("."));
	assert_false(answer_is_host_name("a."));
	assert_false(answer_is_host_name(".a"));
	assert_false(answer_is_host_name("a..b"));
	assert_false(answer_is_host_name("a b"));
	assert_false(answer_is_host_name("-a"));
	assert_false(answer_is_host_name("[192.0.2.1]"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(addresses_are_read),
		cmocka_unit_test(mail_exchangers_are_read_through_compression),
		cmocka_unit_test(a_null_mx_is_an_empty_name),
		cmocka_unit_test(aliases_are_followed_in_any_order),
		cmocka_unit_test(aliases_in_a_circle_fail),
		cmocka_unit_test(records_of_others_do_not_count),
		cmocka_unit_test(the_kinds_of_nothing_are_told_apart),
		cmocka_unit_test(answers_to_something_else_are_refused),
		cmocka_unit_test(data_of_the_wrong_size_are_refused),
		cmocka_unit_test(names_that_no_host_has_are_left_out),
		cmocka_unit_test(
		    pointers_that_lead_forward_or_in_circles_are_refused),
		cmocka_unit_test(
		    the_longest_name_is_read_and_a_longer_one_is_not),
		cmocka_unit_test(no_broken_message_does_harm),
		cmocka_unit_test(a_referral_is_no_answer),
		cmocka_unit_test(
		    services_are_read_with_priority_weight_and_port),
		cmocka_unit_test(broken_services_are_refused),
		cmocka_unit_test(host_names_are_known_by_their_form),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
