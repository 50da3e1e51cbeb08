/*
 * mastercf.c - fuzz: a master.cf.
 */
#include "t/fuzz/fuzz.h"

#include "common/param/mastercf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool		*pool = pool_new("fuzz", 0);
	const struct service	*s;
	struct mastercf		*mc;
	char			*why = NULL, *path;
	size_t			 i, k;
	int			 fd = input_file(data, len);

	path = pool_printf(pool, "/proc/self/fd/%d", fd);
	mc = mastercf_read(pool, path, &why);
	MUST(mc != NULL || why != NULL);
	for (i = 0; mc != NULL && i < mc->count; i++) {
		s = &mc->services[i];
		MUST(s->name[0] != '\0' && s->command[0] != '\0');
		MUST(s->wakeup >= 0 && s->maxproc >= -1 && s->line > 0);
		for (k = 0; k < s->option_count; k++)
			MUST(s->options[k].name != NULL &&
			    s->options[k].value != NULL);
		MUST(mastercf_find(mc, s->name, s->type) != NULL);
	}
	close(fd);
	pool_free(pool);
	return 0;
}
