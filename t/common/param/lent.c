/*
 * lent.c - claims about files of configuration, lent or not.
 */
#include "files.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/param/lent.h"

/* What is read under this name; NULL: nothing. */
static const char *
text_of(const char *path)
{
	size_t	len;

	return lent_read(pool, path, 1000, &len);
}

static void
what_is_lent_is_read_until_it_is_given_back(void **state)
{
	const char	*path = pool_strdup(pool, path_of("main.cf"));

	(void)state;
	write_file("main.cf", "here\n");
	lent_file(path, open(write_file("link", "lent\n"), O_RDONLY));
	assert_string_equal(text_of(path), "lent\n");
	assert_string_equal(text_of(path), "lent\n");
	lent_give_back();
	assert_string_equal(text_of(path), "here\n");
}

static void
one_that_is_there_and_cannot_be_read_has_failed(void **state)
{
	const char	*path = pool_strdup(pool, path_of("main.cf"));
	int		 fds[2];

	(void)state;
	assert_null(text_of(path_of("none")));
	assert_false(lent_has_failed());
	assert_int_equal(pipe(fds), 0);
	close(fds[1]);
	lent_file(path, fds[0]);		/* it cannot be read twice */
	assert_null(text_of(path));
	assert_true(lent_has_failed());
	lent_give_back();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(what_is_lent_is_read_until_it_is_given_back),
		CLAIM_OF(one_that_is_there_and_cannot_be_read_has_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
