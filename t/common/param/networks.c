/*
 * networks.c - claims about the networks of this machine.
 */
#include "files.h"

#include "common/param/networks.h"

static void
loopback_is_in_every_style(void **state)
{
	static const char *const	styles[] = {
		"loopback", "host", "subnet", "class"
	};
	char				*networks;
	size_t				 i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_null(networks_of_style(pool, styles[i], &networks));
		assert_true(strncmp(networks, "127.0.0.0/8 [::1]/128",
		    21) == 0);
	}
	assert_null(networks_of_style(pool, "loopback", &networks));
	assert_string_equal(networks, "127.0.0.0/8 [::1]/128");
}

static void
host_style_holds_single_addresses(void **state)
{
	char	*networks, *word;

	(void)state;
	assert_null(networks_of_style(pool, "host", &networks));
	networks += 21;
	while ((word = strsep(&networks, " ")) != NULL)
		if (*word != '\0')
			assert_non_null(strstr(word,
			    *word == '[' ? "]/128" : "/32"));
}

static void
other_styles_are_refused(void **state)
{
	char	*networks;

	(void)state;
	assert_string_equal(networks_of_style(pool, "world", &networks),
	    "expected loopback, host, subnet or class");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(loopback_is_in_every_style),
		CLAIM_OF(host_style_holds_single_addresses),
		CLAIM_OF(other_styles_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
