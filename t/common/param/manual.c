/*
 * manual.c - claims about rows as text.
 */
#include "files.h"

#include "common/param/manual.h"

static char			*text_place;
static int64_t			 number_place;
static const struct param	 rows[] = {
	PARAM_STRING("name", text_place, "$x \\ y", 0, 9, ".A name."),
	PARAM_TIME_IN("pause", 'h', number_place, "4h", 1, 90, "A pause."),
	PARAM_SIZE("size", number_place, NULL, 0, INT64_MAX, "A size."),
	PARAM_INT("count", number_place, "3", -5, 5, "A count."),
	PARAM_END
};
static const struct param *const	tables[] = { rows, NULL };

/* What a function prints. */
static char *
printed(void (*print)(const struct param *const *, FILE *),
    const struct param *const *what)
{
	char	*data = NULL, *copy;
	size_t	 len;
	FILE	*f = open_memstream(&data, &len);

	assert_non_null(f);
	print(what, f);
	assert_int_equal(fclose(f), 0);
	copy = pool_strdup(pool, data);
	free(data);
	return copy;
}

static void
rows_can_be_read_back(void **state)
{
	char		*rest = printed(param_print_rows, tables), *line;
	struct param	 row;
	size_t		 i;

	(void)state;
	for (i = 0; rows[i].name != NULL; i++) {
		line = strsep(&rest, "\n");
		assert_non_null(line);
		assert_true(param_read_row(line, &row));
		assert_string_equal(row.name, rows[i].name);
		assert_int_equal(row.kind, rows[i].kind);
		assert_int_equal(row.min, rows[i].min);
		assert_true(row.max == rows[i].max);
		assert_string_equal(row.text, rows[i].text);
		if (rows[i].standard == NULL)
			assert_null(row.standard);
		else
			assert_string_equal(row.standard, rows[i].standard);
		if (row.kind == PARAM_KIND_TIME)
			assert_int_equal(row.unit, 'h');
	}
	assert_string_equal(rest, "");
}

static void
other_lines_are_no_rows(void **state)
{
	static const char *const	bad[] = {
		"", "name", "name\tstring\tx\t1\t2", "\tstring\tx\t1\t2\ty",
		"name\tthing\tx\t1\t2\ty", "name\tstring\tx\tone\t2\ty"
	};
	struct param			row;
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(param_read_row(pool_strdup(pool, bad[i]), &row));
}

static void
manual_has_an_item_for_each_row(void **state)
{
	const struct param *const	 all[] = {
		&rows[0], &rows[1], &rows[2], NULL
	};
	const char			*text;

	(void)state;
	text = printed(param_write_manual, all);
	assert_non_null(strstr(text, ".It Ic name\n\\&.A name.\n"));
	assert_non_null(strstr(text, "\n$x \\e y\n.Ed\n"));
	assert_non_null(strstr(text, "a time from 1s to 90s; a number alone "
	    "is in h"));
	assert_non_null(strstr(text, "the default is computed.\n"));
	assert_null(strstr(text, ".It Ic count"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(rows_can_be_read_back),
		CLAIM_OF(other_lines_are_no_rows),
		CLAIM_OF(manual_has_an_item_for_each_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
