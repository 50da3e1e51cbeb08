/*
 * maildir.c - claims about Maildirs; the promises of local/maildir.c.
 */
/* needs: local/maildir.c local/copy.c local/storing.c */
#include "t/local/mailboxes.h"

#include "local/maildir.h"

#include <dirent.h>
#include <regex.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The calls of fsync(2) that fail, one bit each, and what was synced. */
static unsigned	 sync_fails, syncs;

int
fsync(int fd)
{
	unsigned	turn = 1U << syncs++;

	if (sync_fails & turn) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

/* How often somebody looked for a file of this name. */
static int		 looks;

int
lstat(const char *path, struct stat *st)
{
	looks += strstr(path, "forward") != NULL;
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

/* Put these into this Maildir. */
static int
put_into(struct maildir *m, struct storing **all, unsigned count)
{
	syncs = 0;
	return maildir_put(batch_of(m, all, count));
}

/* Put it into a Maildir that nobody has opened yet: is it there? */
static int
put(struct storing *s)
{
	struct maildir	m;

	maildir_init(&m, s->what->path, s->what->path);
	(void)put_into(&m, &s, 1);
	maildir_close(&m);
	assert_true(s->is_settled);
	return s->outcome == OUTCOME_SENT ? 0 : -1;
}

/* The files of a directory: how many, and the last one's name. */
static int
list(const char *directory, char name[256])
{
	DIR		*d = opendir(directory);
	struct dirent	*e;
	int		 n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			n++;
			strlcpy(name, e->d_name, 256);
		}
	closedir(d);
	return n;
}

static bool
matches(const char *text, const char *pattern)
{
	regex_t	r;
	bool	result;

	assert_int_equal(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
	result = regexec(&r, text, 0, NULL, 0) == 0;
	regfree(&r);
	return result;
}

static void
a_message_becomes_a_file_in_new(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\nFrom me\r\n");
	char		 name[256] = "";

	(void)state;
	assert_int_equal(put(s), 0);
	assert_int_equal(list("box/new", name), 1);
	assert_true(matches(name,
	    "^[0-9]+\\.M[0-9]{6}P[0-9]+Q1\\.host\\.example$"));
	assert_string_equal(content_of(pool_printf(pool, "box/new/%s", name)),
	    "Delivered-To: a@b\nA: b\n\nFrom me\n");
	assert_int_equal(list("box/tmp", name), 0);
	assert_int_equal(list("box/cur", name), 0);
}

static void
the_hosts_slash_and_colon_are_written_as_octal(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\n");
	char		 name[256] = "";

	(void)state;
	s->host = "a/b:c";
	s->number = 17;
	assert_int_equal(put(s), 0);
	assert_int_equal(list("box/new", name), 1);
	assert_true(matches(name, "Q17\\.a\\\\057b\\\\072c$"));
}

static void
a_maildir_is_made_with_all_that_is_above_it(void **state)
{
	struct stat	st;
	char		name[256];

	(void)state;
	assert_int_equal(put(storing_of("mail/of/mine/", "\r\n")),
	    0);
	assert_int_equal(list("mail/of/mine/new", name), 1);
	assert_int_equal(stat("mail/of/mine/cur", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void
an_incomplete_maildir_is_completed(void **state)
{
	char	name[256];

	(void)state;
	assert_int_equal(mkdir("box", 0700), 0);
	assert_int_equal(mkdir("box/tmp", 0700), 0);
	assert_int_equal(put(storing_of("box/", "\r\n")), 0);
	assert_int_equal(list("box/new", name), 1);
	assert_int_equal(access("box/cur", F_OK), 0);
}

/* mailbox-6 */
static void
a_failed_write_leaves_nothing(void **state)
{
	struct rlimit	 limit, old;
	struct storing	*s;
	char		*big = pool_alloc(pool, 100001), name[256];

	(void)state;
	memset(big, 'x', 100000);
	s = storing_of("box/", big);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 50000;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(put(s), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_int_equal(list("box/tmp", name), 0);
	assert_int_equal(list("box/new", name), 0);
}

static void
a_message_beyond_the_limit_is_returned(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\nhi\r\n");
	struct store	 limited = *s->what;

	(void)state;
	limited.size_limit = 10;
	s->what = &limited;
	assert_int_equal(put(s), -1);
	assert_int_equal(s->outcome, OUTCOME_BOUNCED);
	assert_string_equal(s->dsn, "5.2.3");
}

static void
new_and_tmp_may_not_lead_elsewhere(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\n");
	char		 name[256];

	(void)state;
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	assert_int_equal(mkdir("box", 0700), 0);
	assert_int_equal(mkdir("box/tmp", 0700), 0);
	assert_int_equal(symlink("../elsewhere", "box/new"), 0);
	assert_int_equal(put(s), -1);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_int_equal(list("elsewhere", name), 0);
	assert_int_equal(list("box/tmp", name), 0);
}

static void
what_cannot_be_opened_is_tried_again_later(void **state)
{
	struct storing	*s;

	(void)state;
	write_file("box", "no directory\n");
	s = storing_of("box/", "A: b\r\n\r\n");
	assert_int_equal(put(s), -1);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_string_equal(s->dsn, "4.2.0");
	assert_string_equal(s->text, "cannot open box/: Not a directory");
}

static void
a_maildir_that_was_moved_away_gets_nothing(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\n");
	char		 name[256], path[] = "box/new";
	struct maildir	 m;

	(void)state;
	maildir_init(&m, s->what->path, path);
	assert_int_equal(put_into(&m, &s, 1), 0);
	assert_int_equal(rename("box", "old"), 0);
	s->number++;
	assert_int_equal(put_into(&m, &s, 1), -1);
	assert_false(s->is_settled);
	assert_int_equal(rename("old", "box"), 0);
	assert_int_equal(put_into(&m, &s, 1), 0);
	assert_int_equal(rmdir("box/tmp"), 0);
	s->number++;
	assert_int_equal(put_into(&m, &s, 1), -1);
	assert_false(s->is_settled);
	assert_int_equal(list("box/new", name), 2);
	maildir_close(&m);
}

enum { MESSAGES = 5 };

/* So many messages for "box/", which is open, and no message there. */
static void
prepare(struct maildir *m, struct storing *all[MESSAGES])
{
	static char	new[] = "box/new";
	char		name[256];
	unsigned	i;

	for (i = 0; i < MESSAGES; i++) {
		all[i] = storing_of("box/", "A: b\r\n\r\nhi\r\n");
		all[i]->number = i;
	}
	maildir_init(m, all[0]->what->path, new);
	assert_int_equal(put_into(m, all, 1), 0);
	assert_int_equal(list("box/new", name), 1);
	assert_int_equal(unlink(pool_printf(pool, "box/new/%s", name)), 0);
}

/* mailbox-4 */
static void
messages_of_a_batch_share_the_sync_of_new(void **state)
{
	struct storing	*all[MESSAGES];
	struct maildir	 m;
	char		 name[256];
	unsigned	 i;

	(void)state;
	prepare(&m, all);
	assert_int_equal(put_into(&m, all, MESSAGES), 0);
	assert_int_equal(syncs, MESSAGES + 1);
	assert_int_equal(list("box/new", name), MESSAGES);
	assert_string_equal(content_of(pool_printf(pool, "box/new/%s", name)),
	    "Delivered-To: a@b\nA: b\n\nhi\n");
	for (i = 0; i < MESSAGES; i++)
		assert_int_equal(all[i]->outcome, OUTCOME_SENT);
	maildir_close(&m);
}

/* mailbox-6 */
static void
a_file_whose_sync_fails_is_the_only_one_that_is_missing(void **state)
{
	struct storing	*all[MESSAGES];
	struct maildir	 m;
	char		 name[256];
	unsigned	 i;

	(void)state;
	prepare(&m, all);
	sync_fails = 1U << 2;
	assert_int_equal(put_into(&m, all, MESSAGES), -1);
	sync_fails = 0;
	for (i = 0; i < MESSAGES; i++)
		assert_int_equal(all[i]->outcome,
		    i == 2 ? OUTCOME_DEFERRED : OUTCOME_SENT);
	assert_non_null(strstr(all[2]->text, "write a file in"));
	assert_int_equal(list("box/new", name), MESSAGES - 1);
	assert_int_equal(list("box/tmp", name), 0);
	maildir_close(&m);
}

/* mailbox-4, P1 */
static void
after_a_failed_sync_of_new_nothing_is_sent(void **state)
{
	struct storing	*all[MESSAGES];
	struct maildir	 m;
	char		 name[256];
	unsigned	 i, round;

	(void)state;
	prepare(&m, all);
	for (round = 0; round < 2; round++) {
		sync_fails = round == 0 ? 1U << MESSAGES : 0;
		assert_int_equal(put_into(&m, all, MESSAGES), -1);
		assert_int_equal(syncs, MESSAGES + (round == 0));
		for (i = 0; i < MESSAGES; i++) {
			assert_int_equal(all[i]->outcome, OUTCOME_DEFERRED);
			assert_string_equal(all[i]->text, "cannot sync the "
			    "directory new in box/: Input/output error");
		}
		assert_int_equal(list("box/new", name), 0);
		assert_int_equal(list("box/tmp", name), 0);
	}
	maildir_close(&m);
}

static void
a_file_that_is_in_the_way_keeps_the_message_out(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\n");
	struct store	 cautious = *s->what;
	struct word_row	 files[] = { { place }, { place } };
	char		 none[] = "nothing/here", some[] = "forward";

	(void)state;
	cautious.unless = files;
	cautious.files = 2;
	s->what = &cautious;
	files[0].word = none;
	files[1].word = some;
	assert_int_equal(symlink("nowhere", "forward"), 0);
	assert_int_equal(put(s), -1);
	assert_int_equal(s->outcome, OUTCOME_REROUTED);
	assert_int_equal(access("box", F_OK), -1);
	assert_int_equal(unlink("forward"), 0);
	assert_int_equal(put(s), 0);
}

/* It appears between two batches; of the first, one has a list of his own. */
static void
one_look_at_such_a_file_does_for_a_batch(void **state)
{
	struct storing	*all[6];
	struct maildir	 m;
	struct store	 cautious[6];
	char		 first[] = "forward", second[] = "other";
	struct word_row	 files[] = { { first }, { second } };
	int		 i;

	(void)state;
	maildir_init(&m, place, place);
	for (i = 0; i < 6; i++) {
		all[i] = storing_of(place, "A: b\r\n\r\n");
		all[i]->number = (unsigned)i;
		cautious[i] = *all[i]->what;
		cautious[i].unless = files;
		cautious[i].files = i == 5 ? 2 : 1;
		all[i]->what = &cautious[i];
	}
	looks = 0;
	(void)put_into(&m, all, 6);
	assert_int_equal(looks, 2);
	for (i = 0; i < 6; i++)
		assert_int_equal(all[i]->outcome, OUTCOME_SENT);

	write_file("other", "");
	(void)put_into(&m, all, 6);
	for (i = 0; i < 6; i++)
		assert_int_equal(all[i]->outcome, i == 5 ? OUTCOME_REROUTED :
		    OUTCOME_SENT);
	write_file("forward", "");
	(void)put_into(&m, all, 6);
	for (i = 0; i < 6; i++)
		assert_int_equal(all[i]->outcome, OUTCOME_REROUTED);
	maildir_close(&m);
}

int
main(void)
{
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest	claims[] = {
		CLAIM_OF(a_message_becomes_a_file_in_new),
		CLAIM_OF(the_hosts_slash_and_colon_are_written_as_octal),
		CLAIM_OF(a_maildir_is_made_with_all_that_is_above_it),
		CLAIM_OF(an_incomplete_maildir_is_completed),
		CLAIM_OF(a_failed_write_leaves_nothing),
		CLAIM_OF(a_message_beyond_the_limit_is_returned),
		CLAIM_OF(new_and_tmp_may_not_lead_elsewhere),
		CLAIM_OF(what_cannot_be_opened_is_tried_again_later),
		CLAIM_OF(a_maildir_that_was_moved_away_gets_nothing),
		CLAIM_OF(messages_of_a_batch_share_the_sync_of_new),
		CLAIM_OF(
		    a_file_whose_sync_fails_is_the_only_one_that_is_missing),
		CLAIM_OF(after_a_failed_sync_of_new_nothing_is_sent),
		CLAIM_OF(a_file_that_is_in_the_way_keeps_the_message_out),
		CLAIM_OF(one_look_at_such_a_file_does_for_a_batch)
	};

	return cmocka_run_group_tests(claims, NULL, NULL);
}
