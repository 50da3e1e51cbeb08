/*
 * memory.c - claims about remembered facts.
 *
 * needs: resolve/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "resolve/resolve.h"

static int64_t	generation = 1;

/* What rules.c has in resolve. */
int64_t
rules_generation(void)
{
	return generation;
}

static void
each_fact_is_known_by_itself(void **state)
{
	const struct fact	*fact;

	(void)state;
	assert_null(memory_recall("a.test", FACT_CLASS));
	memory_keep("a.test", FACT_CLASS, generation, 3, NULL);
	memory_keep("a.test", FACT_TRANSPORT, generation, 0, "smtp:[x]");
	fact = memory_recall("a.test", FACT_CLASS);
	assert_non_null(fact);
	assert_int_equal(fact->number, 3);
	fact = memory_recall("a.test", FACT_TRANSPORT);
	assert_string_equal(fact->text, "smtp:[x]");
	assert_null(memory_recall("a.test", FACT_IS_OURS));
	assert_null(memory_recall("b.test", FACT_CLASS));
}

static void
a_new_generation_knows_nothing(void **state)
{
	(void)state;
	memory_keep("c.test", FACT_CLASS, generation, 1, NULL);
	memory_keep("c.test", FACT_TRANSPORT, generation, 0, "x");
	generation++;
	assert_null(memory_recall("c.test", FACT_CLASS));
	memory_keep("c.test", FACT_CLASS, generation, 2, NULL);
	assert_int_equal(memory_recall("c.test", FACT_CLASS)->number, 2);
	assert_null(memory_recall("c.test", FACT_TRANSPORT));
}

static void
what_was_found_out_before_a_change_is_not_kept(void **state)
{
	(void)state;
	memory_keep("d.test", FACT_CLASS, generation - 1, 1, NULL);
	assert_null(memory_recall("d.test", FACT_CLASS));
}

static void
there_is_an_end_of_it(void **state)
{
	char	name[32];
	int	i;

	(void)state;
	for (i = 0; i < 30000; i++) {
		(void)snprintf(name, sizeof name, "n%d.test", i);
		memory_keep(name, FACT_CLASS, generation, i, NULL);
		assert_non_null(memory_recall("n0.test", FACT_CLASS));
	}
	assert_null(memory_recall("n1.test", FACT_CLASS));
	assert_int_equal(memory_recall(name, FACT_CLASS)->number, 29999);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(each_fact_is_known_by_itself),
		cmocka_unit_test(a_new_generation_knows_nothing),
		cmocka_unit_test(
		    what_was_found_out_before_a_change_is_not_kept),
		cmocka_unit_test(there_is_an_end_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
