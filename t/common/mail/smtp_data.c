/*
 * smtp_data.c - one message stays one message, whatever its bytes are and
 * however they arrive.
 *
 * Every string of up to seven of the bytes that matter (CR, LF, dot, NUL,
 * a letter) is tried, whole and byte by byte, against the rule written down
 * in the plainest way.
 */
#include "common/mail/smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 4096, LONGEST = 7, AROUND = 400 };

static const char	alphabet[] = { '\r', '\n', '.', 'x', '\0' };

struct text {
	char	data[ROOM];
	size_t	len;
};

static void
add(struct text *t, const void *data, size_t len)
{
	assert_true(t->len + len <= sizeof(t->data));
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

#define ADD(text, literal)	add(text, literal, sizeof(literal) - 1)
#define TEXT(literal)		((struct text){ literal, sizeof(literal) - 1 })

/* The n-th string of this length over the alphabet. */
static void
nth(struct text *t, unsigned n, size_t len)
{
	for (t->len = 0; t->len < len; n /= sizeof(alphabet))
		t->data[t->len++] = alphabet[n % sizeof(alphabet)];
}

static unsigned
how_many(size_t len)
{
	return len == 0 ? 1 : (unsigned)sizeof(alphabet) * how_many(len - 1);
}

/* How much comes next of `len` bytes that arrive in two pieces cut at `cut`,
 * or byte by byte when it is 0. */
static size_t
piece_length(size_t used, size_t cut, size_t len)
{
	if (cut == 0)
		return 1;
	return used < cut && cut < len ? cut - used : len - used;
}

/* Decode, in two pieces cut at `cut`, or byte by byte when it is 0. */
static size_t
decode(struct smtp_data *d, const struct text *wire, size_t cut,
    struct text *message)
{
	static char	piece[ROOM + 2];
	size_t		used = 0, n, len;

	smtp_data_start(d);
	message->len = 0;
	while (used < wire->len && !d->is_over) {
		n = piece_length(used, cut, wire->len);
		n = smtp_data_decode(d, wire->data + used, n, piece, &len);
		assert_in_range(n, 1, wire->len - used);
		add(message, piece, len);
		used += n;
	}
	return used;
}

/* The rule: put a CRLF in front; CRLF.CRLF ends, CRLF. loses its dot. */
static size_t
decode_plainly(const struct text *wire, struct text *message)
{
	static struct text	all;
	const char		*end;
	size_t			 i;

	all.len = message->len = 0;
	ADD(&all, "\r\n");
	add(&all, wire->data, wire->len);
	end = memmem(all.data, all.len, "\r\n.\r\n", 5);
	assert_non_null(end);
	for (i = 2; all.data + i < end + 2; i++)
		if (all.data[i] != '.' || memcmp(all.data + i - 2, "\r\n", 2))
			add(message, all.data + i, 1);
	return (size_t)(end + 5 - all.data) - 2;
}

static void
assert_same(const struct text *a, const struct text *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
}

static void
only_crlf_dot_crlf_ends_a_message(void **state)
{
	static const char *const	ends[] = { "\r", "\n", "\r\n" };
	struct smtp_data		d;
	static struct text		wire, message;
	size_t				i, n;

	(void)state;
	for (i = 0; i < 9; i++) {
		wire = TEXT("Subject: a\r\n\r\nx");
		add(&wire, ends[i / 3], strlen(ends[i / 3]));
		ADD(&wire, ".");
		add(&wire, ends[i % 3], strlen(ends[i % 3]));
		n = wire.len;
		ADD(&wire, "MAIL FROM:<a@b>\r\n");
		if (i == 8) {
			assert_int_equal(decode(&d, &wire, ROOM, &message), n);
			assert_true(d.is_over);
			assert_int_equal(message.len, n - 3);
		} else {
			assert_int_equal(decode(&d, &wire, ROOM, &message),
			    wire.len);
			assert_false(d.is_over);
		}
	}
}

static void
near_misses_do_not_end_a_message(void **state)
{
	static struct text	misses[] = {
		TEXT("\r\n.\r\r\n"), TEXT("\r\r\n.\r\r\n"),
		TEXT("\r\n. \r\n"), TEXT("\r\n.\0\r\n"), TEXT("\r\n\0.\r\n"),
		TEXT("\r\n\r.\r\n"), TEXT("\r\n..\r\n"), TEXT(".\r"),
		TEXT(".\n"), TEXT("\n.\r\n"), TEXT("\r.\r\n"), TEXT(" .\r\n")
	};
	struct smtp_data	d;
	static struct text	message;
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(misses) / sizeof(misses[0]); i++) {
		decode(&d, &misses[i], ROOM, &message);
		assert_false(d.is_over);
		decode(&d, &misses[i], 0, &message);
		assert_false(d.is_over);
	}
}

static void
an_empty_message_is_a_dot_alone(void **state)
{
	struct smtp_data	d;
	static struct text	wire, message;

	(void)state;
	wire = TEXT(".\r\nQUIT\r\n");
	assert_int_equal(decode(&d, &wire, ROOM, &message), 3);
	assert_true(d.is_over);
	assert_int_equal(message.len, 0);
}

static void
any_bytes_are_decoded_by_the_rule_and_every_cut_is_the_same(void **state)
{
	struct smtp_data	whole, single;
	static struct text	wire, expected, message;
	size_t			len, used;
	unsigned		n;

	(void)state;
	for (len = 0; len <= LONGEST; len++)
		for (n = 0; n < how_many(len); n++) {
			nth(&wire, n, len);
			ADD(&wire, "\r\n.\r\n");
			used = decode_plainly(&wire, &expected);
			assert_int_equal(decode(&whole, &wire, ROOM, &message),
			    used);
			assert_same(&message, &expected);
			assert_int_equal(decode(&single, &wire, 0, &message),
			    used);
			assert_same(&message, &expected);
			assert_int_equal(whole.bare_cr, single.bare_cr);
			assert_int_equal(whole.bare_lf, single.bare_lf);
		}
}

static void
a_message_cut_anywhere_is_the_same(void **state)
{
	struct smtp_data	d;
	static struct text	wire, expected, message;
	size_t			cut, used;

	(void)state;
	wire = TEXT("Subject: x\r\n\r\n..dot\r\n...\r\na\n.\nb\r.\rc\r\n.\nd"
	    "\r\n\r.\r\n.\r\r\n. \r\n.\0\r\n\0.\r\n8\xff\r\n.\r\n");
	used = decode_plainly(&wire, &expected);
	assert_int_equal(used, wire.len);
	for (cut = 0; cut <= wire.len; cut++) {
		assert_int_equal(decode(&d, &wire, cut, &message), used);
		assert_same(&message, &expected);
	}
}

static void
bare_line_ends_are_counted(void **state)
{
	struct smtp_data	d;
	static struct text	wire, message;

	(void)state;
	wire = TEXT("ab\nc\rd\r\r\n..x\r\n\n\r\n.\r\n");
	decode(&d, &wire, ROOM, &message);
	assert_int_equal(d.bare_lf, 2);
	assert_int_equal(d.bare_cr, 2);
}

/* Send, in two pieces or byte by byte. */
static void
encode(const struct text *message, size_t cut, struct text *wire)
{
	static char		piece[2 * ROOM + 8];
	struct smtp_stuff	s;
	size_t			used = 0, n;

	smtp_stuff_start(&s);
	for (wire->len = 0; used < message->len; used += n) {
		n = piece_length(used, cut, message->len);
		add(wire, piece, smtp_stuff_encode(&s, message->data + used, n,
		    piece));
	}
	add(wire, piece, smtp_stuff_finish(&s, piece));
}

/* The rule: CRLF and LF end a line, another CR is a space, the last line is
 * ended; a line that begins with a dot gets one more. */
static void
encode_plainly(const struct text *message, struct text *wire)
{
	bool	at_start = true;
	size_t	i;

	wire->len = 0;
	for (i = 0; i < message->len; i++) {
		const char	*c = message->data + i;

		if (*c == '\r' && i + 1 < message->len && c[1] == '\n')
			continue;
		if (*c == '\n') {
			ADD(wire, "\r\n");
			at_start = true;
			continue;
		}
		if (at_start && *c == '.')
			ADD(wire, ".");
		add(wire, *c == '\r' ? " " : c, 1);
		at_start = false;
	}
	if (!at_start)
		ADD(wire, "\r\n");
	ADD(wire, ".\r\n");
}

/* Four bytes that matter with much text around, of two lines. */
static void
surround(struct text *t, unsigned n, size_t before)
{
	static struct text	four;

	nth(&four, n, 4);
	t->len = 0;
	ADD(t, "a\r\n");
	memset(t->data + t->len, 'b', before);
	t->len += before;
	add(t, four.data, four.len);
	memset(t->data + t->len, 'c', AROUND);
	t->len += AROUND;
	ADD(t, "\r\nd");
}

static void
what_matters_is_found_wherever_it_stands_in_much_text(void **state)
{
	struct smtp_data	whole, single;
	static struct text	wire, message, expected;
	size_t			before, used;
	unsigned		n;

	(void)state;
	for (before = 0; before < AROUND; before += before < 120 ? 17 : 1)
		for (n = 0; n < how_many(4); n++) {
			surround(&message, n, before);
			wire = message;
			ADD(&wire, "\r\n.\r\n");
			used = decode_plainly(&wire, &expected);
			assert_int_equal(decode(&whole, &wire, ROOM, &message),
			    used);
			assert_same(&message, &expected);
			(void)decode(&single, &wire, 0, &message);
			assert_int_equal(whole.bare_cr, single.bare_cr);
			assert_int_equal(whole.bare_lf, single.bare_lf);

			surround(&message, n, before);
			encode_plainly(&message, &expected);
			encode(&message, ROOM, &wire);
			assert_same(&wire, &expected);
		}
}

/* No bare CR or LF, and the end is at the end. */
static void
assert_safe(const struct text *wire)
{
	static struct text	all;
	const char		*end;
	size_t			 i;

	all.len = 0;
	ADD(&all, "\r\n");
	add(&all, wire->data, wire->len);
	for (i = 0; i < all.len; i++) {
		if (all.data[i] == '\r')
			assert_true(i + 1 < all.len && all.data[i + 1] == '\n');
		if (all.data[i] == '\n')
			assert_true(i > 0 && all.data[i - 1] == '\r');
	}
	end = memmem(all.data, all.len, "\r\n.\r\n", 5);
	assert_ptr_equal(end + 5, all.data + all.len);
}

static void
what_is_sent_has_no_bare_line_end_and_one_end(void **state)
{
	static struct text	message, expected, wire;
	size_t			len;
	unsigned		n;

	(void)state;
	for (len = 0; len <= LONGEST; len++)
		for (n = 0; n < how_many(len); n++) {
			nth(&message, n, len);
			encode_plainly(&message, &expected);
			encode(&message, ROOM, &wire);
			assert_same(&wire, &expected);
			assert_safe(&wire);
			encode(&message, 0, &wire);
			assert_same(&wire, &expected);
		}
}

static void
what_is_sent_comes_back_when_received(void **state)
{
	struct smtp_data	d;
	static struct text	message, wire, back;
	size_t			cut;

	(void)state;
	message = TEXT(".\r\n..\r\n.x\r\n\r\n.\r\nFrom \0\x7f\xff y\r\n.\r\n");
	for (cut = 0; cut <= message.len; cut++) {
		encode(&message, cut, &wire);
		assert_int_equal(decode(&d, &wire, ROOM, &back), wire.len);
		assert_true(d.is_over);
		assert_same(&back, &message);
	}
}

/* One after another: the pieces that pass as they are, the others decoded. */
static void
decode_in_place(const struct text *wire, struct text *message, size_t *plain)
{
	static char		piece[ROOM + 2];
	struct smtp_data	d;
	size_t			used, n, len;

	smtp_data_start(&d);
	message->len = *plain = 0;
	for (used = 0; used < wire->len && !d.is_over; used += n) {
		n = smtp_data_plain(&d, wire->data + used, wire->len - used);
		add(message, wire->data + used, n);
		*plain += n;
		if (n > 0)
			continue;
		n = wire->len - used < 10 ? wire->len - used : 10;
		n = smtp_data_decode(&d, wire->data + used, n, piece, &len);
		add(message, piece, len);
	}
	assert_true(d.is_over);
}

static void
text_that_passes_as_it_is_need_not_be_copied(void **state)
{
	static struct text	wire, message, expected;
	size_t			before, plain;
	unsigned		n;

	(void)state;
	for (before = 200; before < AROUND; before += 7)
		for (n = 0; n < how_many(4); n++) {
			surround(&wire, n, before);
			ADD(&wire, "\r\n.\r\n");
			decode_plainly(&wire, &expected);
			decode_in_place(&wire, &message, &plain);
			assert_same(&message, &expected);
			assert_true(plain > before + AROUND - 3 * 140);
		}
}

/* The same, on the way out. */
static void
encode_in_place(const struct text *message, size_t cut, struct text *wire,
    size_t *plain)
{
	static char		piece[2 * ROOM + 8];
	struct smtp_stuff	s;
	size_t			used, n, room;

	smtp_stuff_start(&s);
	wire->len = *plain = 0;
	for (used = 0; used < message->len; used += n) {
		room = piece_length(used, cut, message->len);
		n = smtp_stuff_plain(&s, message->data + used, room);
		add(wire, message->data + used, n);
		*plain += n;
		if (n > 0)
			continue;
		n = room < 10 ? room : 10;
		add(wire, piece, smtp_stuff_encode(&s, message->data + used, n,
		    piece));
	}
	add(wire, piece, smtp_stuff_finish(&s, piece));
}

static void
text_that_goes_out_as_it_is_need_not_be_copied(void **state)
{
	static struct text	message, wire, expected;
	size_t			cut, plain;
	unsigned		n;

	(void)state;
	for (n = 0; n < how_many(4); n++) {
		surround(&message, n, 200);
		encode_plainly(&message, &expected);
		encode_in_place(&message, ROOM, &wire, &plain);
		assert_same(&wire, &expected);
		assert_true(plain > 200 + AROUND - 3 * 140);
		for (cut = 195; cut < 215; cut++) {
			encode_in_place(&message, cut, &wire, &plain);
			assert_same(&wire, &expected);
		}
	}
}

static void
a_chunk_goes_out_as_it_is_though_lines_begin_with_dots(void **state)
{
	static char		text[ROOM], piece[ROOM];
	struct smtp_stuff	s;
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, ".x\r\n", 4);
	smtp_stuff_start(&s);
	assert_int_equal(smtp_stuff_plain(&s, text, sizeof(text)), 0);
	s.is_chunk = true;
	assert_int_equal(smtp_stuff_plain(&s, text, sizeof(text)),
	    sizeof(text));
	/* the CR waits for its LF */
	assert_int_equal(smtp_stuff_plain(&s, text, sizeof(text) - 1),
	    sizeof(text) - 2);
	assert_int_equal(smtp_stuff_encode(&s, "\r", 1, piece), 0);
	assert_int_equal(smtp_stuff_plain(&s, "\n", 1), 0);
	assert_int_equal(smtp_stuff_finish(&s, piece), 3);
	assert_memory_equal(piece, " \r\n", 3);
}

static void
a_flood_of_line_ends_takes_linear_time(void **state)
{
	enum { MUCH = 1 << 20 };
	char			*in = malloc(MUCH);
	char			*out = malloc(2 * MUCH + 8);
	struct smtp_data	 d;
	struct smtp_stuff	 s;
	size_t			 len;

	(void)state;
	assert_true(in != NULL && out != NULL);
	memset(in, '\r', MUCH);		/* squared this would take hours */
	smtp_data_start(&d);
	assert_int_equal(smtp_data_decode(&d, in, MUCH, out, &len), MUCH);
	assert_int_equal(d.bare_cr, MUCH - 1);
	smtp_stuff_start(&s);
	assert_int_equal(smtp_stuff_encode(&s, in, MUCH, out), MUCH - 1);
	memset(in, '\n', MUCH);
	smtp_data_start(&d);
	assert_int_equal(smtp_data_decode(&d, in, MUCH, out, &len), MUCH);
	assert_int_equal(d.bare_lf, MUCH);
	smtp_stuff_start(&s);
	assert_int_equal(smtp_stuff_encode(&s, in, MUCH, out), 2 * MUCH);
	free(in);
	free(out);
}

static void
lines_of_a_file_get_crlf_however_they_are_cut(void **state)
{
	static const char	in[] = "a\nb\r\n\n\r\nc\rd\n\r\r\ne";
	static const char	expected[] =
				    "a\r\nb\r\n\r\n\r\nc\rd\r\n\r\r\ne";
	char			out[64];
	size_t			cut, len;

	(void)state;
	for (cut = 0; cut < sizeof(in); cut++) {
		struct crlf	c = { false };

		len = crlf_encode(&c, in, cut, out);
		len += crlf_encode(&c, in + cut, sizeof(in) - 1 - cut,
		    out + len);
		assert_int_equal(len, sizeof(expected) - 1);
		assert_memory_equal(out, expected, len);
	}
}

static void
lines_that_have_crlf_stay_as_they_are(void **state)
{
	char		text[1000];
	struct crlf	c = { false };
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, ".x\r\n", 4);
	assert_int_equal(crlf_plain(&c, text, sizeof(text) - 1),
	    sizeof(text) - 1);
	assert_int_equal(crlf_plain(&c, "\n", 1), 0);	/* too few to look */
	assert_int_equal(crlf_plain(&c, text + 3, 401), 401);
	assert_false(c.had_cr);
	assert_int_equal(crlf_plain(&c, text + 3, 401), 0);
	text[500] = '\n';
	assert_in_range(crlf_plain(&c, text, sizeof(text)), 300, 500);
}

static void
a_chunk_has_line_ends_and_no_stuffed_dots(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ ".\r\n..\r\n.x", ".\r\n..\r\n.x\r\n" },
		{ "a\rb\nc\r", "a b\r\nc \r\n" },
		{ "a\r\n", "a\r\n" }, { "", "" }, { "\r\n", "\r\n" },
	};
	struct smtp_stuff	s;
	char			out[64];
	size_t			i, k, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		smtp_stuff_start(&s);
		s.is_chunk = true;
		for (k = n = 0; cases[i].in[k] != '\0'; k++)
			n += smtp_stuff_encode(&s, cases[i].in + k, 1,
			    out + n);
		n += smtp_stuff_finish(&s, out + n);
		out[n] = '\0';
		assert_string_equal(out, cases[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(only_crlf_dot_crlf_ends_a_message),
		cmocka_unit_test(near_misses_do_not_end_a_message),
		cmocka_unit_test(an_empty_message_is_a_dot_alone),
		cmocka_unit_test(
		    any_bytes_are_decoded_by_the_rule_and_every_cut_is_the_same
		    ),
		cmocka_unit_test(a_message_cut_anywhere_is_the_same),
		cmocka_unit_test(bare_line_ends_are_counted),
		cmocka_unit_test(what_is_sent_has_no_bare_line_end_and_one_end),
		cmocka_unit_test(what_is_sent_comes_back_when_received),
		cmocka_unit_test(
		    what_matters_is_found_wherever_it_stands_in_much_text),
		cmocka_unit_test(text_that_passes_as_it_is_need_not_be_copied),
		cmocka_unit_test(
		    text_that_goes_out_as_it_is_need_not_be_copied),
		cmocka_unit_test(
		    a_chunk_goes_out_as_it_is_though_lines_begin_with_dots),
		cmocka_unit_test(a_flood_of_line_ends_takes_linear_time),
		cmocka_unit_test(a_chunk_has_line_ends_and_no_stuffed_dots),
		cmocka_unit_test(lines_of_a_file_get_crlf_however_they_are_cut),
		cmocka_unit_test(lines_that_have_crlf_stay_as_they_are),
	};

	return cmocka_run_group_tests_name("smtp_data", tests, NULL, NULL);
}
