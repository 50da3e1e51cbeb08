/*
 * table.h - what the tests of tables share: a scratch directory, questions
 * with their expected answers.
 */
#ifndef T_TABLE_H
#define T_TABLE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/map/map.h"

#include "t/common/base/place.h"

__attribute__((unused)) static struct pool	*pool;

/* A pool and an empty directory that is the current one. */
__attribute__((unused)) static int
set_up(void **state)
{
	(void)state;
	log_to_nothing();
	pool = pool_new("test", 0);
	return make_place();
}

__attribute__((unused)) static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return remove_place();
}

__attribute__((unused)) static void
write_file(const char *path, const char *text)
{
	FILE	*f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) != EOF);
	assert_int_equal(fclose(f), 0);
}

__attribute__((unused)) static struct map *
open_table(const char *name)
{
	struct map	*m;
	char		*why = NULL;

	if ((m = map_open(pool, name, &why)) == NULL)
		fail_msg("%s", why);
	return m;
}

/* The reason why it cannot be opened. */
__attribute__((unused)) static const char *
refusal(const char *name)
{
	char	*why = NULL;

	assert_null(map_open(pool, name, &why));
	assert_non_null(why);
	return why;
}

/* The value, "(none)", or "(error)". */
__attribute__((unused)) static const char *
answer(struct map *m, const char *key)
{
	char	*value, *why;

	switch (map_find(m, pool, key, &value, &why)) {
	case MAP_FOUND:
		assert_non_null(value);
		return value;
	case MAP_NOT_FOUND:
		return "(none)";
	default:
		assert_non_null(why);
		return "(error)";
	}
}

__attribute__((unused)) static const char *
build(const char *name, bool is_alias, unsigned entries)
{
	struct str	 warnings;
	const char	*why;
	unsigned	 n = 0;

	str_init(&warnings, pool, 0);
	why = map_build(pool, name, is_alias, &n, &warnings);
	if (why == NULL)
		assert_int_equal(n, entries);
	return why != NULL ? why : warnings.data;
}

#endif
