/*
 * lines.c - claims about logical lines.
 */
#include "files.h"

#include "common/param/lines.h"

static struct lines	lines;

/* Open a main.cf with this text. */
static void
open_text(const char *text)
{
	assert_null(lines_open(&lines, pool, write_file("main.cf", text)));
}

/* The next line is this one, and starts there. */
static void
expect(unsigned number, const char *text)
{
	unsigned	 line = 0;
	char		*why, *got = lines_next(&lines, &line, &why);

	assert_null(why);
	if (text == NULL) {
		assert_null(got);
		return;
	}
	assert_string_equal(got, text);
	assert_int_equal(line, number);
}

static void
white_space_continues_a_line(void **state)
{
	(void)state;
	open_text("a = 1\n  2\n\t3\nb = 4\n");
	expect(1, "a = 1  2\t3");
	expect(4, "b = 4");
	expect(0, NULL);
}

static void
comments_and_blanks_are_nothing_even_inside(void **state)
{
	(void)state;
	open_text("# x\n\n  # y\na = 1\n# inside\n\n   2\n\t# end\nb\n");
	expect(4, "a = 1   2");
	expect(9, "b");
	expect(0, NULL);
}

static void
last_line_needs_no_newline(void **state)
{
	(void)state;
	open_text("a\nb");
	expect(1, "a");
	expect(2, "b");
	expect(0, NULL);
	expect(0, NULL);
}

static void
empty_file_has_no_line(void **state)
{
	(void)state;
	open_text("");
	expect(0, NULL);
}

static void
continuation_of_nothing_is_told(void **state)
{
	unsigned	 line;
	char		*why;

	(void)state;
	open_text("# x\n   a = 1\n");
	assert_null(lines_next(&lines, &line, &why));
	assert_non_null(strstr(why, "main.cf:2: white space"));
}

static void
missing_file_and_nul_are_told(void **state)
{
	char	*why;
	FILE	*f;

	(void)state;
	why = lines_open(&lines, pool, path_of("none"));
	assert_non_null(strstr(why, "none: No such file"));
	f = fopen(path_of("main.cf"), "w");
	assert_non_null(f);
	fwrite("a = \0b\n", 1, 7, f);
	fclose(f);
	why = lines_open(&lines, pool, path_of("main.cf"));
	assert_non_null(strstr(why, "NUL"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(white_space_continues_a_line),
		CLAIM_OF(comments_and_blanks_are_nothing_even_inside),
		CLAIM_OF(last_line_needs_no_newline),
		CLAIM_OF(empty_file_has_no_line),
		CLAIM_OF(continuation_of_nothing_is_told),
		CLAIM_OF(missing_file_and_nul_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
