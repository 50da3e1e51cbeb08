/*
 * convert.c - eight bits to seven, part by part, and back to the same bytes.
 */
#include "common/mail/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AE	"\xe4"

static struct pool	*pool;
static struct str	 out;
static struct survey	*found;
static bool		 is_start;

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
	(void)class;
	assert_ptr_equal(f->raw, f->name);
	assert_ptr_equal(f->value + f->value_len + (f->is_cut ? 0 : 2),
	    f->raw + f->raw_len);
	str_add_mem(&out, f->raw, f->raw_len);
}

static void
on_more(void *context, const char *data, size_t len)
{
	(void)context;
	str_add_mem(&out, data, len);
}

static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	(void)context;
	(void)e;
	is_start = true;
	if (had_empty_line)
		str_add(&out, "\r\n");
}

static void
on_line(void *context, const struct mime_line *l)
{
	(void)context;
	assert_int_equal(l->is_start, is_start);
	is_start = l->is_end;
	str_add_mem(&out, l->data, l->len);
	if (l->is_end)
		str_add(&out, "\r\n");
}

static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	(void)context;
	is_start = true;
	str_add_mem(&out, line, len);
	if (has_end)
		str_add(&out, "\r\n");
}

static const struct mime_events events = {
	on_field, on_more, on_head_end, on_line, on_boundary
};

static struct mime_limits limits;

/* Look at a message. */
static void
look_at(const char *text, size_t len)
{
	struct mime_reader	*r;

	found = survey_new(pool);
	r = mime_reader_new(pool, &limits, &survey_events, found);
	mime_reader_feed(r, text, len);
	mime_reader_finish(r);
	survey_finish(found);
}

/* Convert it, given in runs of this length. */
static void
convert_runs(const char *text, size_t len, size_t run)
{
	struct mime_reader	*r;
	struct converter	*c;
	size_t			 i, n;

	str_init(&out, pool, 0);
	c = converter_new(pool, found, &events, NULL);
	r = mime_reader_new(pool, &limits, &convert_events, c);
	for (i = 0; i < len; i += n) {
		n = len - i < run ? len - i : run;
		mime_reader_feed(r, text + i, n);
	}
	mime_reader_finish(r);
	converter_finish(c);
}

static void
becomes(const char *text, const char *expected)
{
	size_t	len = strlen(text);

	look_at(text, len);
	assert_null(survey_refusal(found));
	convert_runs(text, len, 1);
	assert_string_equal(out.data, expected);
	convert_runs(text, len, len);
	assert_string_equal(out.data, expected);
	assert_true((int64_t)(out.len - len) <= survey_growth(found) ||
	    out.len <= len + 128);
}

static void
seven_bits_stay_as_they_are(void **state)
{
	const char	*text = "Subject: " AE "\r\n\r\n.\r\nFrom x \r\na=b\r\n";

	(void)state;
	becomes(text, text);
	assert_false(survey_has_8bit(found));
}

static void
text_becomes_quoted_printable(void **state)
{
	(void)state;
	becomes("MIME-Version: 1.0\r\nContent-Type: text/plain; "
	    "charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n"
	    "Subject: x\r\n\r\nH" AE "ll=o \r\n.\r\nFrom me\r\n\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; "
	    "charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\nSubject: x\r\n\r\nH=E4ll=3Do=20\r\n=2E\r\n"
	    "=46rom me\r\n\r\n");
	assert_true(survey_has_8bit(found));
}

static void
long_lines_are_broken_softly(void **state)
{
	char	*text, *at;
	size_t	 len = 9000, head = 47, i, column = 0;

	(void)state;
	text = pool_alloc(pool, head + len + 3);
	strcpy(text, "Content-Transfer-Encoding: 8bit\r\nMIME-Version:\r\n"
	    "\r\n");
	head = strlen(text);
	text = pool_resize(pool, text, head, head + len + 3);
	memset(text + head, 'a', len);
	for (i = 0; i < len; i += 10)
		text[head + i] = (char)0xe4;
	strcpy(text + head + len, "\r\n");
	look_at(text, strlen(text));
	convert_runs(text, strlen(text), 100);
	for (at = out.data; *at != '\0'; at++) {
		assert_true((unsigned char)*at < 0x80);
		column = *at == '\n' ? 0 : column + 1;
		assert_true(column <= 77);		/* with the CR */
	}
	assert_true(survey_growth(found) >=
	    (int64_t)(out.len - strlen(text)));
}

static void
mail_without_mime_headers_gets_them(void **state)
{
	(void)state;
	becomes("Subject: x\r\n\r\n" AE "\r\n",
	    "Subject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n");
	becomes(AE "\r\n",
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n");
	becomes("Subject: x\r\nno field " AE "\r\n",
	    "Subject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "no field =E4\r\n");
}

static void
other_leaves_become_base64(void **state)
{
	(void)state;
	becomes("MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\n"
	    AE "bc\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: image/png\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n5GJjDQo=\r\n");
}

static void
the_last_line_end_is_the_boundarys(void **state)
{
	(void)state;
	becomes("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: image/png\r\n\r\n" AE "bc\r\n--b--\r\n",
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: image/png\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n5GJj\r\n--b--\r\n");
	becomes("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: image/png\r\n\r\n" AE "bc\r\n\r\n--b--\r\n",
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: image/png\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n5GJjDQo=\r\n--b--\r\n");
}

static void
only_parts_that_need_it_are_touched(void **state)
{
	(void)state;
	becomes("MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\nContent-Transfer-Encoding: 7BIT (yes)\r\n\r\na=\r\n"
	    "--b\r\n\r\n" AE "\r\n"
	    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n5A==\r\n"
	    "--b\r\nContent-Transfer-Encoding: binary\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b--\r\n",
	    "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\nContent-Transfer-Encoding: 7BIT (yes)\r\n\r\na=\r\n"
	    "--b\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"
	    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n5A==\r\n"
	    "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n\r\nx\r\n"
	    "--b--\r\n");
}

static void
messages_in_messages_are_converted_inside(void **state)
{
	(void)state;
	becomes("Content-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n"
	    "Subject: " AE "\r\n\r\n" AE "\r\n",
	    "Content-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n"
	    "Subject: " AE "\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n");
}

static void
what_belongs_to_no_part_is_masked(void **state)
{
	(void)state;
	becomes("Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "pre" AE "\r\n--b\r\n\r\nx\r\n--b--\r\nepi" AE "\r\n",
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "pre?\r\n--b\r\n\r\nx\r\n--b--\r\nepi?\r\n");
}

static void
what_is_changed_becomes_no_field(void **state)
{
	(void)state;
	/* found by t/fuzz/mime.c: headers that end without an empty line */
	becomes("Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n"
	    "no field " AE "\r\n",
	    "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "no field =E4\r\n");
	becomes("Content-Type: multipart/digest; boundary=d\r\n"
	    AE "Field: x\r\n--d--\r\n",
	    "Content-Type: multipart/digest; boundary=d\r\n\r\n"
	    "?Field: x\r\n--d--\r\n");
	becomes("Content-Transfer-Encoding: quoted-printable\r\n"
	    AE ": x\r\n",
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "=E4: x\r\n");
}

static void
no_soft_line_end_makes_a_boundary(void **state)
{
	char	text[200] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
		    "--b\r\n\r\n" AE;
	size_t	at = strlen(text);

	(void)state;
	memset(text + at, 'x', 72);
	strcpy(text + at + 72, "--b\r\n");
	look_at(text, strlen(text));
	convert_runs(text, strlen(text), 1);
	assert_non_null(strstr(out.data, "x=\r\n=2D-b\r\n"));
}

static void
false_labels_are_made_true(void **state)
{
	(void)state;
	becomes("MIME-Version: 1.0\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "a" AE "=3D=\r\nb=\r\n",
	    "MIME-Version: 1.0\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "a=E4=3D=\r\nb=\r\n");
	becomes("Content-Transfer-Encoding: quoted-printable\r\n\r\n" AE
	    "3456789012345678901234567890123456789012345678901234567890"
	    "123456789012345=3D\r\n",
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4"
	    "3456789012345678901234567890123456789012345678901234567890"
	    "12345678901234=\r\n5=3D\r\n");
	becomes("Content-Transfer-Encoding: base64\r\n\r\nQUJD" AE "\r\n",
	    "Content-Transfer-Encoding: base64\r\n\r\nQUJD?\r\n");
}

static void
what_is_signed_is_refused(void **state)
{
	const char	*text = "Content-Type: multipart/signed; boundary=b"
	    "\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" AE
	    "\r\n--b--\r\n";
	const char	*harmless = "Content-Type: multipart/signed; boundary=b"
	    "\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\na\r\n"
	    "--b--\r\n";

	(void)state;
	look_at(text, strlen(text));
	assert_true(survey_has_8bit(found));
	assert_non_null(strstr(survey_refusal(found), "signed"));

	/* a label alone is no reason to break a signature */
	becomes(harmless, harmless);
	assert_false(survey_has_8bit(found));
}

static void
what_is_nested_too_deep_is_refused(void **state)
{
	struct str	text;
	int		i;

	(void)state;
	str_init(&text, pool, 0);
	for (i = 0; i < 101; i++)
		str_add(&text, "Content-Type: message/rfc822\r\n\r\n");
	str_add(&text, "\r\n" AE "\r\n");
	look_at(text.data, text.len);
	assert_non_null(strstr(survey_refusal(found), "too deep"));
}

static void
a_long_label_is_replaced_whole(void **state)
{
	(void)state;
	limits.header = 40;
	becomes("Content-Transfer-Encoding: 8bit (123456789\r\n 1234)\r\n"
	    "A: 1234567890123456789012345678901234567890\r\n " AE "\r\n"
	    "Content-Type: text/plain (12345678901234567890)\r\n"
	    "Content-Transfer-Encoding: 7bit (1234567890)\r\n"
	    "MIME-Version: 1.0\r\n\r\n" AE "\r\n",
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "A: 1234567890123456789012345678901234567890\r\n " AE "\r\n"
	    "Content-Type: text/plain (12345678901234567890)\r\n"
	    "MIME-Version: 1.0\r\n\r\n=E4\r\n");
	limits = mime_limits;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seven_bits_stay_as_they_are),
		cmocka_unit_test(text_becomes_quoted_printable),
		cmocka_unit_test(long_lines_are_broken_softly),
		cmocka_unit_test(mail_without_mime_headers_gets_them),
		cmocka_unit_test(other_leaves_become_base64),
		cmocka_unit_test(the_last_line_end_is_the_boundarys),
		cmocka_unit_test(only_parts_that_need_it_are_touched),
		cmocka_unit_test(messages_in_messages_are_converted_inside),
		cmocka_unit_test(what_belongs_to_no_part_is_masked),
		cmocka_unit_test(what_is_changed_becomes_no_field),
		cmocka_unit_test(no_soft_line_end_makes_a_boundary),
		cmocka_unit_test(false_labels_are_made_true),
		cmocka_unit_test(what_is_signed_is_refused),
		cmocka_unit_test(what_is_nested_too_deep_is_refused),
		cmocka_unit_test(a_long_label_is_replaced_whole),
	};

	limits = mime_limits;
	return cmocka_run_group_tests_name("convert", tests, fill, drain);
}
