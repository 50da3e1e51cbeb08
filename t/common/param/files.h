/* A pool and a directory with files for one test; included once per test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

static struct pool	*pool;
static char		 directory[64];

static int
set_up(void **state)
{
	(void)state;
	log_to_nothing();
	pool = pool_new("test", 0);
	snprintf(directory, sizeof(directory), "/tmp/postrider-param-XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	static const char *const	 names[] = {
		"main.cf", "master.cf", "link", "mailname"
	};
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(pool_printf(pool, "%s/%s", directory, names[i]));
	pool_free(pool);
	return rmdir(directory);
}

/* The path of a file in the test's directory. */
static inline const char *
path_of(const char *name)
{
	return pool_printf(pool, "%s/%s", directory, name);
}

/* Write a file; returns its path. */
static inline const char *
write_file(const char *name, const char *text)
{
	const char	*path = path_of(name);
	FILE		*f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	return path;
}

/* The whole file. */
static inline const char *
read_file(const char *name)
{
	size_t	len;
	char	*data = fs_read_file(pool, path_of(name), 1 << 20, &len);

	assert_non_null(data);
	return data;
}

/* Claims with the fixture above. */
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
