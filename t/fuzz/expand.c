/*
 * expand.c - fuzz: $name and its relatives in a value, among settings that
 * are plain, empty, nested and in a circle.
 */
#include "t/fuzz/fuzz.h"

#include "common/param/maincf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const	 settings[][2] = {
		{ "a", "one" }, { "b", "$a two" }, { "c", "" },
		{ "d", "${a?yes}${c:no}" }, { "e", "$f" }, { "f", "$e" },
		{ "g", "10" }
	};
	struct input			 in = { data, len };
	struct pool			*pool = pool_new("fuzz", 0);
	struct maincf			*mc = maincf_empty(pool);
	const char			*value;
	char				*why = NULL, *text;
	size_t				 i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		maincf_set(mc, settings[i][0], settings[i][1], "here");
	text = input_text(pool, &in);
	value = maincf_expand(mc, pool, text, &why);
	MUST(value != NULL || why != NULL);
	if (value != NULL && strchr(text, '$') == NULL)
		MUST(strcmp(value, text) == 0);
	maincf_note_uses(mc, text);
	(void)maincf_is_used(mc, "a");
	pool_free(pool);
	return 0;
}
