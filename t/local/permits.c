/*
 * permits.c - claims about whom helper lets commands run as.
 */
/* needs: local/permits.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/param/site.h"

#include "local/permits.h"

static char	directory[] = "/tmp/permits-XXXXXX";

static int
prepare(void **state)
{
	char	path[64];
	FILE	*f;

	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/master.cf", directory);
	if ((f = fopen(path, "w")) == NULL)
		return -1;
	fputs("a unix - n n - - pipe flags=R user=alice argv=/bin/x\n"
	    "b unix - n n - - pipe -o x=y user=bob:mail\n"
	    "  argv=/bin/x user=carol\n"
	    "c unix - n n - - pipe user=dave:no-such-group argv=/bin/x\n"
	    "d unix - n n - - smtp user=erin argv=/bin/x\n"
	    "e unix - n n - - pipe user=frank:77 argv=/bin/x\n"
	    "f unix - n n - - pipe chroot=/jail user=grace argv=/bin/x\n"
	    "  chroot=/\n", f);
	fclose(f);
	site.config_directory = directory;
	permits_read();
	unlink(path);
	return rmdir(directory);
}

static void
a_user_of_a_line_is_permitted_with_its_group(void **state)
{
	(void)state;
	assert_true(permits_pipe("alice", -1, NULL));
	assert_true(permits_pipe("bob", getgrnam("mail")->gr_gid, NULL));
	assert_true(permits_pipe("frank", 77, NULL));
}

static void
no_other_group_can_be_had(void **state)
{
	(void)state;
	assert_false(permits_pipe("alice", 6, NULL));
	assert_false(permits_pipe("bob", -1, NULL));
	assert_false(permits_pipe("frank", 78, NULL));
	assert_false(permits_pipe("dave", -1, NULL));
}

static void
no_other_user_can_be_had(void **state)
{
	(void)state;
	assert_false(permits_pipe("carol", -1, NULL));
	assert_false(permits_pipe("erin", -1, NULL));
	assert_false(permits_pipe("", -1, NULL));
}

static void
a_root_is_had_by_a_line_that_says_so(void **state)
{
	(void)state;
	assert_true(permits_pipe("grace", -1, "/jail"));
	assert_false(permits_pipe("grace", -1, NULL));
	assert_false(permits_pipe("grace", -1, "/"));
	assert_false(permits_pipe("grace", -1, "/jail/.."));
	assert_false(permits_pipe("alice", -1, "/jail"));
	assert_false(permits_pipe("alice", -1, ""));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_user_of_a_line_is_permitted_with_its_group),
		cmocka_unit_test(no_other_group_can_be_had),
		cmocka_unit_test(no_other_user_can_be_had),
		cmocka_unit_test(a_root_is_had_by_a_line_that_says_so),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
