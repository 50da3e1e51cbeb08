/*
 * mime.c - a message is read as the tree that it is, however it is cut.
 *
 * Each test writes down what the reader said: "P name;" "M name;" "N name;"
 * for fields by class, with "~" instead for those that are cut, "(kind type/subtype encoding)" for the end of a header
 * with "-" when the empty line was missing, "[line]" for body lines, "<line>"
 * for pieces without an end, "{line}" outside of parts, "=line=" for
 * boundaries.
 */
#include "common/mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;
static struct str	 story, all;
static unsigned		 deepest;
static bool		 was_too_deep, shows_signed;

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
on_field(void *context, enum mime_class class, const struct header_field *f)
{
	(void)context;
	str_addf(&story, "%c %.*s%c", "PMN"[class], (int)f->name_len, f->name,
	    f->is_cut ? '~' : ';');
	str_add_mem(&all, f->raw, f->raw_len);
}

static void
on_more(void *context, const char *data, size_t len)
{
	(void)context;
	str_add_mem(&all, data, len);
}

static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	static const char *const kinds[] = { "leaf", "multi", "message" };
	static const char *const encodings[] = { "7bit", "8bit", "binary",
	    "qp", "base64", "unknown" };

	(void)context;
	str_addf(&story, "(%s %s/%s %s%s)%s", kinds[e->kind], e->type,
	    e->subtype, encodings[e->encoding], shows_signed && e->is_signed ?
	    " signed" : "", had_empty_line ? "" : "-");
	if (had_empty_line)
		str_add(&all, "\r\n");
	if (e->depth > deepest)
		deepest = e->depth;
	was_too_deep = was_too_deep || e->is_too_deep;
}

static void
on_line(void *context, const struct mime_line *l)
{
	(void)context;
	assert_true(l->len <= MIME_PIECE);
	str_addf(&story, "%c%s%.*s%s%c", l->is_outside ? '{' : l->is_end ?
	    '[' : '<', l->is_start ? "" : "~", (int)l->len, l->data,
	    shows_signed && l->is_signed ? "!" : "",
	    l->is_outside ? '}' : l->is_end ? ']' : '>');
	str_add_mem(&all, l->data, l->len);
	if (l->is_end)
		str_add(&all, "\r\n");
}

static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	(void)context;
	str_addf(&story, "=%.*s=", (int)len, line);
	str_add_mem(&all, line, len);
	if (has_end)
		str_add(&all, "\r\n");
}

static const struct mime_events events = {
	on_field, on_more, on_head_end, on_line, on_boundary
};

/* Read in runs of this length. */
static void
read_runs(const char *text, size_t len, size_t run,
    const struct mime_limits *limits)
{
	struct mime_reader	*r;
	size_t			 i, n;

	str_init(&story, pool, 0);
	str_init(&all, pool, 0);
	deepest = 0;
	was_too_deep = false;
	r = mime_reader_new(pool, limits, &events, NULL);
	for (i = 0; i < len; i += n) {
		n = len - i < run ? len - i : run;
		mime_reader_feed(r, pool_strndup(pool, text + i, n), n);
	}
	mime_reader_finish(r);
}

/* Read it whole and in small runs: the same story, and nothing is lost. */
static void
reads_within(const char *text, size_t len, const char *expected,
    const struct mime_limits *limits)
{
	static const size_t	runs[] = { 1, 2, 3, 7, 64, 4097, 1 << 20 };
	size_t			i;
	char			*first = NULL;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		read_runs(text, len, runs[i], limits);
		if (expected != NULL)
			assert_string_equal(story.data, expected);
		if (first == NULL)
			first = story.data;
		assert_string_equal(story.data, first);
		assert_int_equal(all.len, len);
		assert_memory_equal(all.data, text, len);
	}
}

static void
reads(const char *text, const char *expected)
{
	reads_within(text, strlen(text), expected, &mime_limits);
}

static void
plain_mail_is_one_leaf(void **state)
{
	(void)state;
	reads("From: a\r\nSubject: b\r\n\r\nHello\r\n\r\nworld\r\n",
	    "P From;P Subject;(leaf text/plain 7bit)[Hello][][world]");
	reads("", "(leaf text/plain 7bit)-");
	reads("\r\n", "(leaf text/plain 7bit)");
	reads("A: b\r\nno field\r\n\r\nx\r\n",
	    "P A;(leaf text/plain 7bit)-[no field][][x]");
	reads("A: b\r\n\r\nno end", "P A;(leaf text/plain 7bit)<no end>");
}

static void
mime_fields_are_a_class_of_their_own(void **state)
{
	(void)state;
	reads("A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n"
	    "Content-transfer-ENCODING: 8BIT\r\nContent-Length: 3\r\n\r\nx\r\n",
	    "P A;M MIME-Version;M Content-Type;M Content-transfer-ENCODING;"
	    "P Content-Length;(leaf text/html 8bit)[x]");
}

static const char	two_parts[] =
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "preamble\r\n"
    "--b\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "X-Any: y\r\n\r\n"
    "one\r\n"
    "--b\r\n\r\n"
    "two\r\n"
    "--b-- \t\r\n"
    "epilogue\r\n--b\r\n";

static void
a_multipart_has_parts_and_two_ends(void **state)
{
	(void)state;
	reads(two_parts, "M Content-Type;(multi multipart/mixed 7bit)"
	    "{preamble}=--b=M Content-Transfer-Encoding;M X-Any;"
	    "(leaf text/plain base64)[one]=--b=(leaf text/plain 7bit)[two]"
	    "=--b-- \t={epilogue}{--b}");
}

static void
only_the_boundary_is_one(void **state)
{
	(void)state;
	reads("Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\n"
	    "--b bx\r\n-- b b\r\n --b b\r\n--b\r\n--b b- -\r\n--b b\r\n"
	    "\r\n--b b-\r\n--b b--x\r\n--b b--",
	    "M Content-Type;(multi multipart/mixed 7bit){--b bx}{-- b b}"
	    "{ --b b}{--b}{--b b- -}=--b b=(leaf text/plain 7bit)[--b b-]"
	    "[--b b--x]=--b b--=");
}

static void
a_boundary_ends_a_header_too(void **state)
{
	(void)state;
	reads("Content-Type: multipart/mixed; boundary=\":b\"\r\n"
	    "\r\n--:b\r\nContent-Type: text/html\r\n--:b\r\n--:b--\r\n",
	    "M Content-Type;(multi multipart/mixed 7bit)=--:b=M Content-Type;"
	    "(leaf text/html 7bit)-=--:b=(leaf text/plain 7bit)-=--:b--=");
}

/* Found by fuzzing: behind an empty line it would be one. */
static void
a_boundary_behind_its_own_header_is_one(void **state)
{
	(void)state;
	reads("Content-Type: multipart/mixed; boundary=a\r\n--a\r\n\r\n"
	    "x\r\n--a--\r\n", "M Content-Type;(multi multipart/mixed 7bit)-"
	    "=--a=(leaf text/plain 7bit)[x]=--a--=");
}

static void
an_outer_boundary_ends_what_is_open_inside(void **state)
{
	(void)state;
	reads("Content-Type: multipart/mixed; boundary=a\r\n\r\n"
	    "--a\r\nContent-Type: multipart/alternative; boundary=aa\r\n\r\n"
	    "--aa\r\n\r\nx\r\n--a\r\n\r\n--aa\r\n--a--\r\n",
	    "M Content-Type;(multi multipart/mixed 7bit)=--a=M Content-Type;"
	    "(multi multipart/alternative 7bit)=--aa=(leaf text/plain 7bit)"
	    "[x]=--a=(leaf text/plain 7bit)[--aa]=--a--=");
}

static void
a_message_in_a_message_has_nested_fields(void **state)
{
	(void)state;
	reads("Content-Type: multipart/digest; boundary=a\r\n\r\n"
	    "--a\r\n\r\nSubject: x\r\nContent-Type: text/html\r\n\r\nx\r\n"
	    "--a\r\nContent-Type: message/rfc822\r\n\r\n\r\ny\r\n"
	    "--a\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nQQ==\r\n"
	    "--a\r\n--a--\r\n",
	    "M Content-Type;(multi multipart/digest 7bit)=--a="
	    "(message message/rfc822 7bit)N Subject;M Content-Type;"
	    "(leaf text/html 7bit)[x]=--a=M Content-Type;"
	    "(message message/rfc822 7bit)(leaf text/plain 7bit)[y]=--a="
	    "M Content-Type;M Content-Transfer-Encoding;"
	    "(leaf message/rfc822 base64)[QQ==]=--a="
	    "(message message/rfc822 7bit)-(leaf text/plain 7bit)-=--a--=");
	/* a line that is no field ends both heads */
	reads("Content-Type: message/rfc822\r\nno field\r\n",
	    "M Content-Type;(message message/rfc822 7bit)-"
	    "(leaf text/plain 7bit)-[no field]");
}

static void
the_first_type_and_encoding_count(void **state)
{
	(void)state;
	reads("Content-Type: text/html\r\nContent-Type: image/png\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n",
	    "M Content-Type;M Content-Type;M Content-Transfer-Encoding;"
	    "M Content-Transfer-Encoding;(leaf text/html 8bit)");
}

static void
a_multipart_without_a_usable_boundary_is_a_leaf(void **state)
{
	(void)state;
	reads("Content-Type: multipart/mixed\r\n\r\n--\r\nx\r\n",
	    "M Content-Type;(leaf multipart/mixed 7bit)[--][x]");
	reads("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
	    "M Content-Type;(leaf multipart/mixed 7bit)[--]");
	reads("Content-Type: multipart/mixed; boundary=\"\xe4\"\r\n\r\n--\r\n",
	    "M Content-Type;(leaf multipart/mixed 7bit)[--]");
}

static void
what_is_signed_is_known(void **state)
{
	(void)state;
	shows_signed = true;
	reads("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
	    "Content-Type: Multipart/SIGNED; boundary=b\r\n\r\np\r\n--b\r\n"
	    "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n"
	    "--c--\r\ne\r\n--b--\r\ne\r\n--a\r\n\r\ny\r\n",
	    "M Content-Type;(multi multipart/mixed 7bit)=--a=M Content-Type;"
	    "(multi multipart/signed 7bit){p!}=--b=M Content-Type;"
	    "(multi multipart/mixed 7bit signed)=--c="
	    "(leaf text/plain 7bit signed)[x!]=--c--={e!}=--b--={e}=--a="
	    "(leaf text/plain 7bit)[y]");
	shows_signed = false;
}

static void
nesting_has_a_limit(void **state)
{
	static const struct mime_limits	limits = {
		.header = 1000, .depth = 2, .boundary = 100
	};
	const char			*text =
	    "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"
	    "\r\nx\r\n--b--\r\n--a--\r\n";

	(void)state;
	reads_within(text, strlen(text),
	    "M Content-Type;(multi multipart/mixed 7bit)=--a=M Content-Type;"
	    "(multi multipart/mixed 7bit)=--b=M Content-Type;"
	    "(leaf multipart/mixed 7bit)[--c][][x]=--b--==--a--=", &limits);
	assert_true(was_too_deep);
	assert_int_equal(deepest, 2);
}

static void
a_long_field_is_read_up_to_the_limit(void **state)
{
	static const struct mime_limits	limits = {
		.header = 40, .depth = 2, .boundary = 100
	};
	const char			*text = "A: 1234567890\r\n"
	    "B: 1234567890\r\n 12345678901234567890\r\n 1\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n"
	    "Content-Type: text/html; name=12345678901; x=y\r\n\r\nx\r\n";

	(void)state;
	reads_within(text, strlen(text), "P A;P B~"
	    "M Content-Transfer-Encoding;M Content-Type~(leaf text/html 8bit)"
	    "[x]", &limits);
	/* whatever reads more of the boundary has the same parts */
	text = "Content-Type: multipart/mixed; boundary=abcdef\r\n\r\n"
	    "--abc\r\n\r\n--ab\r\n--abcdef--\r\n";
	reads_within(text, strlen(text), "M Content-Type~"
	    "(leaf multipart/mixed 7bit)[--abc][][--ab][--abcdef--]",
	    &limits);
	text = "Content-Type:multipart/mixed;boundary=abcdef\r\n\r\n"
	    "--ab\r\n\r\n--a\r\n--abcdef--\r\n";
	reads_within(text, strlen(text), "M Content-Type~"
	    "(multi multipart/mixed 7bit)=--ab=(leaf text/plain 7bit)[--a]"
	    "=--abcdef--=", &limits);
}

static void
a_boundary_ends_a_long_field(void **state)
{
	static const struct mime_limits	limits = {
		.header = 60, .depth = 9, .boundary = 100
	};
	const char			*text =
	    "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
	    "A: 12345678901234567890123456789012345678901234567890\r\n"
	    " 12345678901234567890\r\n --a\r\n--a\r\n"
	    "B: 123456789012345678901234567890123456789012345678901234567890"
	    "\r\n--a--\r\n";

	(void)state;
	reads_within(text, strlen(text), "M Content-Type;"
	    "(multi multipart/mixed 7bit)=--a=M A~(leaf text/plain 7bit)-"
	    "=--a=M B~(leaf text/plain 7bit)-=--a--=", &limits);
}

static void
a_long_boundary_is_compared_in_part(void **state)
{
	static const struct mime_limits	limits = {
		.header = 1000, .depth = 2, .boundary = 4
	};
	const char			*text =
	    "Content-Type: multipart/mixed; boundary=abcdef\r\n\r\n"
	    "--abcdx\r\n\r\nx\r\n--abcdef--\r\n";

	(void)state;
	reads_within(text, strlen(text),
	    "M Content-Type;(multi multipart/mixed 7bit)=--abcdx="
	    "(leaf text/plain 7bit)[x]=--abcdef--=", &limits);
}

static void
long_lines_come_in_pieces_of_one_length(void **state)
{
	char	*text;
	size_t	 head = 2, len, around;

	(void)state;
	for (around = 0; around < 5; around++) {
		len = head + 2 * MIME_PIECE + around;
		text = pool_alloc(pool, len + 4);
		memset(text, 'x', len);
		memcpy(text, "\r\n", 2);
		memcpy(text + len, "\r\ny", 3);
		reads_within(text, len + 3, NULL, &mime_limits);
	}
	/* only CRLF ends a line */
	reads("\r\na\rb\nc\r\r\nd\n", "(leaf text/plain 7bit)[a\rb\nc\r]<d\n>");
}

static void
the_memory_for_many_parts_is_bounded(void **state)
{
	struct pool		*own = pool_new("bounded", 0);
	struct mime_reader	*r;
	static const struct mime_events none;
	const char		*part = "--a\r\nContent-Type: multipart/mixed; "
	    "boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
	    "A: b\r\n\r\nx\r\n--b--\r\n";
	size_t			 i, before;

	(void)state;
	r = mime_reader_new(own, &mime_limits, &none, NULL);
	mime_reader_feed(r, "Content-Type: multipart/mixed; boundary=a\r\n"
	    "\r\n", 45);
	for (i = 0; i < 10; i++)
		mime_reader_feed(r, part, strlen(part));
	before = pool_size(own);
	for (i = 0; i < 10000; i++)
		mime_reader_feed(r, part, strlen(part));
	mime_reader_finish(r);
	assert_int_equal(pool_size(own), before);
	pool_free(own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_mail_is_one_leaf),
		cmocka_unit_test(mime_fields_are_a_class_of_their_own),
		cmocka_unit_test(a_multipart_has_parts_and_two_ends),
		cmocka_unit_test(only_the_boundary_is_one),
		cmocka_unit_test(a_boundary_ends_a_header_too),
		cmocka_unit_test(a_boundary_behind_its_own_header_is_one),
		cmocka_unit_test(an_outer_boundary_ends_what_is_open_inside),
		cmocka_unit_test(a_message_in_a_message_has_nested_fields),
		cmocka_unit_test(the_first_type_and_encoding_count),
		cmocka_unit_test(
		    a_multipart_without_a_usable_boundary_is_a_leaf),
		cmocka_unit_test(what_is_signed_is_known),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(a_long_field_is_read_up_to_the_limit),
		cmocka_unit_test(a_boundary_ends_a_long_field),
		cmocka_unit_test(a_long_boundary_is_compared_in_part),
		cmocka_unit_test(long_lines_come_in_pieces_of_one_length),
		cmocka_unit_test(the_memory_for_many_parts_is_bounded),
	};

	return cmocka_run_group_tests_name("mime", tests, fill, drain);
}
