/*
 * lookup.c - questions to resolve about tables, answered and not.
 */
#include "common/ipc/lookup.h"

#include <sys/un.h>

#include "common/ipc/tables.h"

#include "t/common/ipc/pair.h"

static struct {
	char		 directory[64], path[96];
	int		 listener, result, error;
	struct found	 answer, found;
	bool		 is_silent;
	struct link	*link;		/* lives longer than its channels */
	char		 text[128];
} test;

/* Resolve, as far as this test needs it. */
static void
on_lookup(struct request *r)
{
	if (test.is_silent)
		channel_close(r->channel);
	else
		(void)channel_reply(r, PACKET_FOUND, &test.answer);
}

static const struct peer	peers[] = {
	{ "tester",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

static struct channel	*served;

static void
on_end(struct channel *c, void *context)
{
	(void)context;
	if (served == c)
		served = NULL;
}

/* Accept one after the other. */
static void
serve(void *arg)
{
	struct loop_fd	*watch = arg;
	int		 fd;

	while (loop_wait_readable(watch, NEVER) == 0)
		if ((fd = accept4(test.listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
			served = channel_new(fd, true, peers, on_end, NULL);
}

/* Ask for two keys. */
static void
ask(void *unused)
{
	static struct loop_fd	 watch;
	struct sockaddr_un	 at = { .sun_family = AF_UNIX };
	struct pool		*pool = pool_new("asker", 0);
	struct key_row		 keys[2] = { { .key = (char *)"one" },
	    { .key = (char *)"two" } };
	struct ask_lookup	 question = { (char *)"", (char *)"alias_maps",
	    0, keys, 2 };

	(void)unused;
	test.link = link_new("test", 1, NULL);
	strlcpy(at.sun_path, test.path, sizeof(at.sun_path));
	test.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (test.listener == -1 ||
	    bind(test.listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(test.listener, 4) == -1 ||
	    loop_add(&watch, test.listener) == -1)
		abort();
	fiber_start(serve, &watch);
	test.result = lookup_ask(test.link, &question, clock_now() + 200, pool,
	    &test.found);
	test.error = errno;
	strlcpy(test.text, test.found.text == NULL ? "" : test.found.text,
	    sizeof(test.text));
	if (served != NULL)
		channel_close(served);
	loop_remove(&watch);
	close(test.listener);
	unlink(test.path);
	pool_free(pool);
}

static int
set_up(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	loop_open();
	strlcpy(test.directory, "/tmp/postrider-lookup-XXXXXX",
	    sizeof(test.directory));
	if (mkdtemp(test.directory) == NULL)
		return -1;
	strlcat(test.directory, "/", sizeof(test.directory));
	snprintf(test.path, sizeof(test.path), "%stest.1", test.directory);
	link_identity("tester", test.directory);
	test.answer = (struct found){ .value = (char *)"v",
	    .extension = (char *)"", .text = (char *)"" };
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	test.directory[strlen(test.directory) - 1] = '\0';
	return rmdir(test.directory);
}

static void
the_key_that_hit_is_told(void **state)
{
	(void)state;
	test.answer.result = LOOKUP_FOUND;
	test.answer.which = 1;
	run(ask);
	free(test.link);
	assert_int_equal(test.result, 0);
	assert_int_equal(test.found.result, LOOKUP_FOUND);
	assert_int_equal(test.found.which, 1);
}

static void
an_answer_about_another_key_is_none(void **state)
{
	static const int64_t	wrong[] = { 2, KEYS_MAX };
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		test.answer.result = LOOKUP_FOUND;
		test.answer.which = wrong[i];
		run(ask);
		free(test.link);
		assert_int_equal(test.result, -1);
		assert_int_equal(test.error, EPROTO);
		assert_int_equal(test.found.result, LOOKUP_TEMPORARY);
	}
}

static void
nothing_found_names_no_key(void **state)
{
	(void)state;
	test.answer.result = LOOKUP_NOT_FOUND;
	run(ask);
	free(test.link);
	assert_int_equal(test.result, 0);
	assert_int_equal(test.found.result, LOOKUP_NOT_FOUND);
}

static void
silence_is_temporary_and_says_why(void **state)
{
	(void)state;
	test.is_silent = true;
	run(ask);
	free(test.link);
	assert_int_equal(test.result, -1);
	assert_int_equal(test.found.result, LOOKUP_TEMPORARY);
	assert_ptr_equal(strstr(test.text, "no answer from resolve: "),
	    test.text);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(the_key_that_hit_is_told,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    an_answer_about_another_key_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_found_names_no_key,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    silence_is_temporary_and_says_why, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
