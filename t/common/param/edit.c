/*
 * edit.c - claims about changes of main.cf.
 */
#include "files.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "common/param/maincf.h"

static const char	original[] =
	"# head\n"
	"a = 1\n"
	"\n"
	"b = 2,\n"
	"# inside\n"
	"   3\n"
	"# between\n"
	"c=4\n"
	"a = 5\n"
	"# foot\n";

/* Change one name. */
static const char *
edit(const char *name, const char *value, bool comment_out)
{
	return maincf_edit(pool, path_of("main.cf"), &name, &value, 1,
	    comment_out);
}

static void
new_value_takes_the_place_of_the_old(void **state)
{
	(void)state;
	write_file("main.cf", original);
	assert_null(edit("c", "six seven", false));
	assert_string_equal(read_file("main.cf"),
	    "# head\na = 1\n\nb = 2,\n# inside\n   3\n# between\n"
	    "c = six seven\na = 5\n# foot\n");
}

static void
continued_setting_keeps_the_comment_inside(void **state)
{
	(void)state;
	write_file("main.cf", original);
	assert_null(edit("b", "8", false));
	assert_string_equal(read_file("main.cf"),
	    "# head\na = 1\n\nb = 8\n# inside\n# between\nc=4\na = 5\n"
	    "# foot\n");
}

static void
name_set_twice_is_set_once_afterwards(void **state)
{
	(void)state;
	write_file("main.cf", original);
	assert_null(edit("a", "9", false));
	assert_string_equal(read_file("main.cf"),
	    "# head\na = 9\n\nb = 2,\n# inside\n   3\n# between\nc=4\n"
	    "# foot\n");
}

static void
name_whose_value_begins_below_is_found(void **state)
{
	(void)state;
	write_file("main.cf", "a\n# inside\n = 1\n 2\nb\n\tx\nc\n");
	assert_null(edit("a", NULL, true));
	assert_string_equal(read_file("main.cf"),
	    "#a\n# inside\n# = 1\n# 2\nb\n\tx\nc\n");
	write_file("main.cf", "a\n# inside\n = 1\n 2\nb = 3\n");
	assert_null(edit("a", "4", false));
	assert_string_equal(read_file("main.cf"),
	    "a = 4\n# inside\nb = 3\n");
}

static void
new_name_goes_to_the_end(void **state)
{
	(void)state;
	write_file("main.cf", "a = 1\n b");
	assert_null(edit("d", "", false));
	assert_string_equal(read_file("main.cf"), "a = 1\n b\nd = \n");
}

static void
several_names_change_at_once(void **state)
{
	static const char *const	names[] = { "a", "x", "c" };
	static const char *const	values[] = { "A", "X", NULL };

	(void)state;
	write_file("main.cf", original);
	assert_null(maincf_edit(pool, path_of("main.cf"), names, values, 3,
	    false));
	assert_string_equal(read_file("main.cf"),
	    "# head\na = A\n\nb = 2,\n# inside\n   3\n# between\n# foot\n"
	    "x = X\n");
}

static void
removed_setting_leaves_comments(void **state)
{
	(void)state;
	write_file("main.cf", original);
	assert_null(edit("b", NULL, false));
	assert_string_equal(read_file("main.cf"),
	    "# head\na = 1\n\n# inside\n# between\nc=4\na = 5\n# foot\n");
}

static void
setting_can_be_commented_out(void **state)
{
	(void)state;
	write_file("main.cf", original);
	assert_null(edit("b", NULL, true));
	assert_string_equal(read_file("main.cf"),
	    "# head\na = 1\n\n#b = 2,\n# inside\n#   3\n# between\nc=4\n"
	    "a = 5\n# foot\n");
}

static void
similar_names_are_left_alone(void **state)
{
	(void)state;
	write_file("main.cf", "ab = 1\na_b = 2\na\t= 3\nA = 4\n");
	assert_null(edit("a", "x", false));
	assert_string_equal(read_file("main.cf"),
	    "ab = 1\na_b = 2\na = x\nA = 4\n");
}

static void
unreadable_names_and_values_are_refused(void **state)
{
	(void)state;
	write_file("main.cf", original);
	assert_non_null(edit("a", "1\nevil = yes", false));
	assert_non_null(edit("a b", "1", false));
	assert_non_null(edit("a=b", "1", false));
	assert_non_null(edit("", "1", false));
	assert_non_null(edit("#a", "1", false));
	assert_string_equal(read_file("main.cf"), original);
	unlink(path_of("main.cf"));
	assert_non_null(strstr(edit("a", "1", false), "No such file"));
}

static void
mode_and_link_stay(void **state)
{
	struct stat	 st;
	const char	*names[] = { "a" }, *values[] = { "2" };

	(void)state;
	write_file("main.cf", "a = 1\n");
	assert_int_equal(chmod(path_of("main.cf"), 0640), 0);
	assert_int_equal(symlink("main.cf", path_of("link")), 0);
	assert_null(maincf_edit(pool, path_of("link"), names, values, 1,
	    false));
	assert_int_equal(lstat(path_of("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(lstat(path_of("main.cf"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_string_equal(read_file("main.cf"), "a = 2\n");
}

static void
editors_at_the_same_time_lose_nothing(void **state)
{
	enum { EDITORS = 4, EDITS = 15 };
	pid_t		 pids[EDITORS];
	struct maincf	*mc;
	char		*why;
	int		 i, k, status;

	(void)state;
	write_file("main.cf", "a = 1\n");
	for (i = 0; i < EDITORS; i++) {
		if ((pids[i] = fork()) != 0)
			continue;
		for (k = 0; k < EDITS; k++)
			if (edit(pool_printf(pool, "n%d_%d", i, k), "x",
			    false) != NULL)
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < EDITORS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	mc = maincf_read(pool, path_of("main.cf"), &why);
	assert_non_null(mc);
	for (i = 0; i < EDITORS; i++)
		for (k = 0; k < EDITS; k++)
			assert_non_null(maincf_find(mc, pool_printf(pool,
			    "n%d_%d", i, k)));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(new_value_takes_the_place_of_the_old),
		CLAIM_OF(continued_setting_keeps_the_comment_inside),
		CLAIM_OF(name_set_twice_is_set_once_afterwards),
		CLAIM_OF(name_whose_value_begins_below_is_found),
		CLAIM_OF(new_name_goes_to_the_end),
		CLAIM_OF(several_names_change_at_once),
		CLAIM_OF(removed_setting_leaves_comments),
		CLAIM_OF(setting_can_be_commented_out),
		CLAIM_OF(similar_names_are_left_alone),
		CLAIM_OF(unreadable_names_and_values_are_refused),
		CLAIM_OF(mode_and_link_stay),
		CLAIM_OF(editors_at_the_same_time_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
