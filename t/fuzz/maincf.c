/*
 * maincf.c - fuzz: a main.cf, every setting of it expanded.
 */
#include "t/fuzz/fuzz.h"

#include "common/param/maincf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool		*pool = pool_new("fuzz", 0);
	const struct setting	*s;
	struct maincf		*mc;
	char			*why = NULL, *path;
	size_t			 i;
	int			 fd = input_file(data, len);

	path = pool_printf(pool, "/proc/self/fd/%d", fd);
	mc = maincf_read(pool, path, &why);
	MUST(mc != NULL || (why != NULL && is_one_line(why)));
	for (i = 0; mc != NULL && (s = maincf_at(mc, i)) != NULL; i++) {
		MUST(maincf_find(mc, s->name) == s && s->line > 0);
		why = NULL;
		MUST(maincf_value(mc, pool, s->name, &why) != NULL ||
		    why != NULL);
	}
	close(fd);
	pool_free(pool);
	return 0;
}
