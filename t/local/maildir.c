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

/* Put it into a Maildir that nobody has opened yet. */
static int
put(struct storing *s)
{
	struct maildir	m = { .path = s->what->path, .tmp = -1, .new = -1 };
	int		result;

	s->maildir = &m;
	result = maildir_put(s);
	maildir_close(&m);
	return result;
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
	struct maildir	 m = { .path = s->what->path, .new_path = path,
			    .tmp = -1, .new = -1 };

	(void)state;
	s->maildir = &m;
	assert_int_equal(maildir_put(s), 0);
	assert_int_equal(rename("box", "old"), 0);
	s->number++;
	assert_int_equal(maildir_put(s), MAILDIR_MOVED);
	assert_int_equal(rename("old", "box"), 0);
	assert_int_equal(maildir_put(s), 0);
	assert_int_equal(rmdir("box/tmp"), 0);
	s->number++;
	assert_int_equal(maildir_put(s), MAILDIR_MOVED);
	assert_int_equal(list("box/new", name), 2);
	maildir_close(&m);
}

static void
a_message_is_taken_back(void **state)
{
	struct storing	*s = storing_of("box/", "A: b\r\n\r\n");
	struct maildir	 m = { .path = s->what->path, .tmp = -1, .new = -1 };
	char		 name[256];

	(void)state;
	s->maildir = &m;
	assert_int_equal(maildir_put(s), 0);
	assert_int_equal(maildir_undo(s), 0);
	assert_int_equal(list("box/new", name), 0);
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
		CLAIM_OF(a_message_is_taken_back),
		CLAIM_OF(a_file_that_is_in_the_way_keeps_the_message_out)
	};

	return cmocka_run_group_tests(claims, NULL, NULL);
}
