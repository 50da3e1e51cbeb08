/*
 * mbox.c - claims about mbox files; the promises of local/mbox.c.
 *
 * needs: local/mbox.c local/mbox_lock.c local/mbox_mark.c local/copy.c local/storing.c
 */
#include "t/local/mailboxes.h"
#include "local/mbox.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HEADER	"From s@t Sat Nov 21 23:11:00 2026\nDelivered-To: a@b\n"

/* What another program does just before the lock file is ours. */
static void	(*before_lock_file)(void);

/* The call of write(2), fsync(2) or ftruncate(2) that fails next; 0: none. */
static int	write_fails, sync_fails, truncate_fails;

/* Is it this call's turn? */
static bool
is_turn(int *countdown)
{
	if (*countdown == 0 || --*countdown > 0)
		return false;
	errno = ENOSPC;
	return true;
}

/* Half of it goes into the file before the disk is full. */
ssize_t
write(int fd, const void *data, size_t len)
{
	if (is_turn(&write_fails)) {
		(void)syscall(SYS_write, fd, data, len / 2);
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, fd, data, len);
}

int
fsync(int fd)
{
	return is_turn(&sync_fails) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
ftruncate(int fd, off_t len)
{
	return is_turn(&truncate_fails) ? -1 :
	    (int)syscall(SYS_ftruncate, fd, len);
}

/* The lock file comes now. */
static void
lock_file(const char *path)
{
	void	(*act)(void) = before_lock_file;

	if (act != NULL && strcmp(path, "box.lock") == 0) {
		before_lock_file = NULL;
		act();
	}
}

/* open(2), seen by mbox.c as well. */
int
open(const char *path, int flags, ...)
{
	va_list	 ap;
	mode_t	 mode = 0;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	lock_file(path);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int
linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	lock_file(to);
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

/* Append these; try as often as they allow while somebody has locked it. */
static void
mbox_store_all(struct storing **all, unsigned count)
{
	struct mbox	 m = { .path = all[0]->what->path, .fd = -1 };
	struct batch	*b = batch_of(&m, all, count);
	int		 pause, tries = mbox_lock_tries(all[0]->what, &pause);

	while (mbox_put(b) == MBOX_IS_LOCKED) {
		if (--tries <= 0) {
			storing_is(all[0], OUTCOME_DEFERRED, "4.2.0", "%s",
			    m.obstacle);
			break;
		}
		usleep((unsigned)pause * 1000);
	}
	assert_int_equal(m.fd, -1);
	assert_false(m.is_dotlocked);
}

/* Append one: is it there? */
static int
mbox_store(struct storing *s)
{
	mbox_store_all(&s, 1);
	return s->outcome == OUTCOME_SENT ? 0 : -1;
}

static void
a_message_is_appended_with_lf_and_an_empty_line(void **state)
{
	struct storing	*s = storing_of("box", "Subject: x\r\n\r\nhi\r\n");

	(void)state;
	assert_int_equal(mbox_store(s), 0);
	assert_int_equal(s->outcome, OUTCOME_SENT);
	assert_string_equal(s->dsn, "2.0.0");
	assert_string_equal(s->text, "delivered to mailbox");
	assert_string_equal(content_of("box"),
	    HEADER "Subject: x\n\nhi\n\n");
	assert_int_equal(mbox_store(storing_of("box", "A: b\r\n\r\n")), 0);
	assert_string_equal(content_of("box"),
	    HEADER "Subject: x\n\nhi\n\n" HEADER "A: b\n\n\n");
}

/* Make it so long. */
static void
extend(const char *path, off_t len)
{
	assert_int_equal(truncate(path, len), 0);
}

/* mailbox-2 */
static void
nuls_that_a_power_cut_left_give_way(void **state)
{
	static const off_t	lengths[] = { 1, 2, 511, 512, 513, 5000 };
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		(void)unlink("box");
		write_file("box", "");
		extend("box", lengths[i]);
		assert_int_equal(mbox_store(storing_of("box",
		    "A: b\r\n\r\n")), 0);
		assert_string_equal(content_of("box"), HEADER "A: b\n\n\n");
		extend("box", (off_t)strlen(HEADER "A: b\n\n\n") + lengths[i]);
		assert_int_equal(mbox_store(storing_of("box",
		    "C: d\r\n\r\n")), 0);
		assert_string_equal(content_of("box"),
		    HEADER "A: b\n\n\n" HEADER "C: d\n\n\n");
	}
}

/* A file that an alias names may be anything. */
static void
nuls_of_other_files_stay(void **state)
{
	struct storing	*s = storing_of("box", "A: b\r\n\r\n");
	struct store	 what = *s->what;
	struct stat	 st;

	(void)state;
	write_file("box", "");
	extend("box", 1000);
	what.flags |= STORE_TO_FILE;
	s->what = &what;
	assert_int_equal(mbox_store(s), 0);
	assert_int_equal(stat("box", &st), 0);
	assert_int_equal(st.st_size,
	    1000 + 2 + strlen(HEADER "A: b\n\n\n"));
}

/* P1 */
static void
no_line_of_a_message_begins_another_message(void **state)
{
	(void)state;
	assert_int_equal(mbox_store(storing_of("box", "A: b\r\n\r\n"
	    "From me\r\n>From me\r\nFromage\r\n from me\r\nFrom ")), 0);
	assert_string_equal(content_of("box"), HEADER "A: b\n\n"
	    ">From me\n>From me\nFromage\n from me\n>From \n\n");
}

/* P1 */
static void
from_is_quoted_wherever_a_buffer_ends(void **state)
{
	char	*text, *from, *expected;
	int	 shift, pad;

	(void)state;
	for (shift = -8; shift < 8; shift++) {
		pad = COPY_INPUT - 10 + shift;
		text = pool_printf(pool, "A: b\r\n\r\n%0*d\r\nFrom x\r\n", pad,
		    7);
		expected = pool_printf(pool, HEADER "A: b\n\n%0*d\n>From x\n\n",
		    pad, 7);
		(void)unlink("box");
		assert_int_equal(mbox_store(storing_of("box", text)), 0);
		from = content_of("box");
		assert_string_equal(from, expected);
	}
}

/* mailbox-2 */
static void
a_message_begins_on_its_own_line_behind_a_broken_one(void **state)
{
	(void)state;
	write_file("box", "From x\nA: b\n\nhalf a li");
	assert_int_equal(mbox_store(storing_of("box", "\r\nnew\r\n")), 0);
	assert_string_equal(content_of("box"),
	    "From x\nA: b\n\nhalf a li\n\n" HEADER "\nnew\n\n");
	write_file("box", "From x\nA: b\n\nend\n");
	assert_int_equal(mbox_store(storing_of("box", "\r\nnew\r\n")), 0);
	assert_string_equal(content_of("box"),
	    "From x\nA: b\n\nend\n\n" HEADER "\nnew\n\n");
}

/* mailbox-2 */
static void
a_failed_write_leaves_the_mailbox_as_it_was(void **state)
{
	struct rlimit	 limit, old;
	struct storing	*s;
	char		*big = pool_alloc(pool, 100001);

	(void)state;
	memset(big, 'x', 100000);
	write_file("box", "From x\nA: b\n\nold\n\n");
	s = storing_of("box", big);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 50000;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_string_equal(content_of("box"), "From x\nA: b\n\nold\n\n");
	assert_string_equal(s->note, "");
	assert_int_equal(access("box.lock", F_OK), -1);
}

enum { LINES = 4000 };

/* A message that takes several writes, each of which may be the last. */
static char *
long_message(void)
{
	char	*text = pool_alloc(pool, 9 + LINES * 50);
	size_t	 i;

	memcpy(text, "A: b\r\n\r\n", 8);
	for (i = 0; i < LINES; i++)
		snprintf(text + 8 + i * 50, 51, "%048zu\r\n", i);
	return text;
}

/* mailbox-2 */
static void
whichever_write_fails_the_mailbox_is_as_it_was(void **state)
{
	const char	*old = "From x\nA: b\n\nold\n\n", *text;
	struct storing	*s;
	int		 k, result = -1;

	(void)state;
	text = long_message();
	for (k = 1; result == -1; k++) {
		write_file("box", old);
		s = storing_of("box", text);
		write_fails = k;
		result = mbox_store(s);
		if (result == 0)
			break;
		assert_int_equal(write_fails, 0);
		assert_int_equal(s->outcome, OUTCOME_DEFERRED);
		assert_string_equal(s->dsn, "4.3.1");
		assert_string_equal(content_of("box"), old);
		assert_string_equal(s->note, "");
		assert_int_equal(access("box.lock", F_OK), -1);
	}
	write_fails = 0;
	assert_true(k > 5);
	assert_null(strchr(content_of("box"), '\r'));
	assert_int_equal(strlen(content_of("box")), strlen(old) +
	    strlen(HEADER) + strlen("A: b\n\n") + LINES * 49 + 1);
}

/* mailbox-1, mailbox-2 */
static void
a_failed_sync_is_no_delivery(void **state)
{
	const char	*old = "From x\nA: b\n\nold\n\n";
	struct storing	*s;

	(void)state;
	write_file("box", old);
	s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	sync_fails = 1;
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_string_equal(content_of("box"), old);
	write_file("box", "");
	s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	sync_fails = 2;			/* behind the directory's */
	assert_int_equal(mbox_store(s), -1);
	assert_string_equal(content_of("box"), "");
}

/* mailbox-1: what was written could not be taken back, and nothing is there. */
static void
a_new_name_is_synced_before_anything_is_written(void **state)
{
	struct storing	*s;

	(void)state;
	write_file("box", "");
	s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	sync_fails = truncate_fails = 1;
	assert_int_equal(mbox_store(s), -1);
	assert_string_equal(content_of("box"), "");
	sync_fails = truncate_fails = 0;
}

/* mailbox-2 */
static void
part_of_a_message_that_cannot_be_removed_is_told(void **state)
{
	struct storing	*s;

	(void)state;
	write_file("box", "From x\nA: b\n\nold\n\n");
	s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	write_fails = truncate_fails = 1;
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_non_null(strstr(s->note, "part of a message at byte 18"));
	assert_int_equal(mbox_store(storing_of("box", "\r\nnew\r\n")), 0);
	assert_non_null(strstr(content_of("box"), "\n\n" HEADER "\nnew\n\n"));
}

enum { MESSAGES = 5 };

/* So many messages, and a mailbox with one that is there. */
static void
prepare(struct storing *all[MESSAGES])
{
	unsigned	i;

	write_file("box", "From x\nA: b\n\nold\n\n");
	for (i = 0; i < MESSAGES; i++)
		all[i] = storing_of("box",
		    pool_printf(pool, "A: b\r\n\r\n%u\r\n", i));
}

/* Only these are in the mailbox, and sent. */
static void
expect(struct storing *all[MESSAGES], unsigned sent)
{
	char		*text = pool_strdup(pool, "From x\nA: b\n\nold\n\n");
	unsigned	 i;

	for (i = 0; i < MESSAGES; i++) {
		assert_true(all[i]->is_settled);
		assert_int_equal(all[i]->outcome == OUTCOME_SENT,
		    (sent >> i) & 1);
		if ((sent >> i) & 1)
			text = pool_printf(pool, "%s" HEADER "A: b\n\n%u\n\n",
			    text, i);
	}
	assert_string_equal(content_of("box"), text);
	assert_int_equal(access("box.lock", F_OK), -1);
}

/* mailbox-1 */
static void
messages_of_a_batch_share_locks_and_sync(void **state)
{
	struct storing	*all[MESSAGES];

	(void)state;
	prepare(all);
	sync_fails = 2;
	mbox_store_all(all, MESSAGES);
	assert_int_equal(sync_fails, 1);
	sync_fails = 0;
	expect(all, 0x1f);
	assert_int_equal(all[1]->position, all[0]->position +
	    (int64_t)strlen(HEADER "A: b\n\n0\n\n"));
}

/* mailbox-2 */
static void
the_one_that_fails_is_the_only_one_that_is_missing(void **state)
{
	struct storing	*all[MESSAGES];

	(void)state;
	prepare(all);
	write_fails = 3;
	mbox_store_all(all, MESSAGES);
	assert_int_equal(write_fails, 0);
	expect(all, 0x1f & ~(1U << 2));
}

/* mailbox-1, mailbox-2 */
static void
a_failed_sync_is_no_delivery_of_any(void **state)
{
	struct storing	*all[MESSAGES];

	(void)state;
	prepare(all);
	sync_fails = 1;
	mbox_store_all(all, MESSAGES);
	expect(all, 0);
}

/* mailbox-2 */
static void
behind_part_of_a_message_nothing_is_written(void **state)
{
	struct storing	*all[MESSAGES];
	const char	*text;

	(void)state;
	prepare(all);
	write_fails = 3;
	truncate_fails = 1;
	mbox_store_all(all, MESSAGES);
	assert_int_equal(all[1]->outcome, OUTCOME_SENT);
	assert_int_equal(all[2]->outcome, OUTCOME_DEFERRED);
	assert_int_equal(all[3]->outcome, OUTCOME_DEFERRED);
	text = content_of("box");
	assert_non_null(strstr(text, "A: b\n\n1\n\n"));
	assert_null(strstr(text, "A: b\n\n3\n\n"));
}

static void
those_of_a_batch_that_find_no_room_are_returned(void **state)
{
	struct storing	*all[MESSAGES];
	struct store	 limited;

	(void)state;
	prepare(all);
	limited = *all[1]->what;
	limited.size_limit = 100;
	all[1]->what = &limited;
	mbox_store_all(all, MESSAGES);
	assert_int_equal(all[1]->outcome, OUTCOME_BOUNCED);
	expect(all, 0x1f & ~(1U << 1));
}

/* Another program's message comes in under the lock file alone. */
static void
append_another(void)
{
	int	fd = open("box", O_WRONLY | O_APPEND);

	assert_int_equal(fs_write(fd, "From x\n\nother\n\n", 15), 0);
	close(fd);
}

/* mailbox-2 */
static void
what_others_wrote_under_the_lock_file_survives_a_failure(void **state)
{
	struct storing	*s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	struct store	 longer = *s->what;

	(void)state;
	write_file("box", "From x\n\nold\n\n");
	longer.content_length += 100;
	s->what = &longer;
	before_lock_file = append_another;
	assert_int_equal(mbox_store(s), -1);
	assert_null(before_lock_file);
	assert_string_equal(content_of("box"),
	    "From x\n\nold\n\nFrom x\n\nother\n\n");
}

/* The mailbox is replaced under the lock file alone. */
static void
replace_mailbox(void)
{
	assert_int_equal(rename("box", "old"), 0);
	write_file("box", "From x\n\nnew\n\n");
}

/* P2 */
static void
a_mailbox_that_was_replaced_under_the_lock_file_is_opened_again(void **state)
{
	(void)state;
	write_file("box", "From x\n\nold\n\n");
	before_lock_file = replace_mailbox;
	assert_int_equal(mbox_store(storing_of("box", "A: b\r\n\r\n")), 0);
	assert_string_equal(content_of("old"), "From x\n\nold\n\n");
	assert_string_equal(content_of("box"),
	    "From x\n\nnew\n\n" HEADER "A: b\n\n\n");
}

/* mailbox-2 */
static void
a_message_that_was_cut_in_the_queue_leaves_nothing(void **state)
{
	struct storing	*s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	struct store	 longer = *s->what;

	(void)state;
	write_file("box", "From x\nA: b\n\nold\n\n");
	longer.content_length += 100;
	s->what = &longer;
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_string_equal(content_of("box"), "From x\nA: b\n\nold\n\n");
}

static void
a_full_mailbox_returns_the_message(void **state)
{
	struct storing	*s = storing_of("box", "A: b\r\n\r\nhi\r\n");
	struct store	 limited = *s->what;

	(void)state;
	write_file("box", "From x\nA: b\n\nold\n\n");
	limited.size_limit = 40;
	s->what = &limited;
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(s->outcome, OUTCOME_BOUNCED);
	assert_string_equal(s->dsn, "5.2.2");
	assert_non_null(strstr(s->text, "mailbox full"));
	assert_string_equal(content_of("box"), "From x\nA: b\n\nold\n\n");
}

/* P2 */
static void
links_and_other_things_are_no_mailboxes(void **state)
{
	struct storing	*s;

	(void)state;
	write_file("victim", "precious\n");
	assert_int_equal(symlink("victim", "soft"), 0);
	assert_int_equal(link("victim", "hard"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(mkdir("directory", 0700), 0);

	s = storing_of("soft", "A: b\r\n\r\n");
	assert_int_equal(mbox_store(s), -1);
	assert_non_null(strstr(s->text, "symbolic link"));
	s = storing_of("hard", "A: b\r\n\r\n");
	assert_int_equal(mbox_store(s), -1);
	assert_non_null(strstr(s->text, "more than one name"));
	s = storing_of("fifo", "A: b\r\n\r\n");
	assert_int_equal(mbox_store(s), -1);
	s = storing_of("directory", "A: b\r\n\r\n");
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_string_equal(content_of("victim"), "precious\n");
}

/* P2 */
static void
a_mailbox_of_somebody_else_is_not_written_to(void **state)
{
	struct storing	*s;

	(void)state;
	if (geteuid() != 0)
		skip();
	write_file("box", "");
	assert_int_equal(chown("box", 12345, 12345), 0);
	s = storing_of("box", "A: b\r\n\r\n");
	assert_int_equal(mbox_store(s), -1);
	assert_non_null(strstr(s->text, "does not belong"));
	assert_string_equal(content_of("box"), "");
}

static void
a_stale_lock_file_is_removed(void **state)
{
	struct timespec	old[2] = { { 1000, 0 }, { 1000, 0 } };

	(void)state;
	write_file("box.lock", "");
	assert_int_equal(utimensat(AT_FDCWD, "box.lock", old, 0), 0);
	assert_int_equal(mbox_store(storing_of("box", "A: b\r\n\r\n")), 0);
	assert_int_equal(access("box.lock", F_OK), -1);
}

/* A power cut, or a kill, left our lock. */
static void
the_lock_file_of_a_dead_maker_of_ours_is_removed_at_once(void **state)
{
	struct storing	*s = storing_of("box", "A: b\r\n\r\n");
	struct store	 what = *s->what;

	(void)state;
	mbox_mark_prepare();
	write_file("box.lock", "1\npostrider another-boot 1\n");
	what.lock_attempts = 1;
	s->what = &what;
	assert_int_equal(mbox_store(s), 0);
	assert_int_equal(access("box.lock", F_OK), -1);
	write_file("box.lock", "1\n");
	s = storing_of("box", "A: b\r\n\r\n");
	what.lock_delay = 1;
	what.message = s->what->message;
	s->what = &what;
	assert_int_equal(mbox_store(s), -1);
	assert_int_equal(access("box.lock", F_OK), 0);
}

/* O1: a lock file that is made just when the old one is taken away. */
static char	*fresh_lock;

int
rename(const char *from, const char *to)
{
	if (fresh_lock != NULL && strcmp(from, fresh_lock) == 0) {
		fresh_lock = NULL;
		assert_int_equal(unlink(from), 0);
		write_file(from, "theirs");
	}
	return (int)syscall(SYS_rename, from, to);
}

static void
a_lock_file_that_was_made_anew_is_put_back(void **state)
{
	struct timespec	 old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct storing	*s = storing_of("box", "A: b\r\n\r\n");
	struct store	 what = *s->what;
	static char	 name[] = "box.lock";

	(void)state;
	write_file("box.lock", "");
	assert_int_equal(utimensat(AT_FDCWD, "box.lock", old, 0), 0);
	what.lock_attempts = 3;
	what.lock_delay = 10;
	s->what = &what;
	fresh_lock = name;
	assert_int_equal(mbox_store(s), -1);
	assert_null(fresh_lock);
	assert_int_equal(s->outcome, OUTCOME_DEFERRED);
	assert_non_null(strstr(s->text, "lock file"));
	assert_string_equal(content_of("box.lock"), "theirs");
}

/* Try to store with these locks while another opening of the file has an
 * flock: the result. */
static int
store_beside_flock(int64_t locks)
{
	struct storing	*s = storing_of("box", "A: b\r\n\r\n");
	struct store	 what = *s->what;
	int		 fd = open("box", O_RDWR | O_CREAT, 0600), result;

	assert_int_equal(flock(fd, LOCK_EX), 0);
	what.locks = locks;
	what.lock_attempts = 2;
	what.lock_delay = 1;
	s->what = &what;
	result = mbox_store(s);
	close(fd);
	return result;
}

static void
the_locks_are_those_that_are_asked_for(void **state)
{
	(void)state;
	assert_int_equal(store_beside_flock(LOCK_FCNTL), 0);
	assert_int_equal(store_beside_flock(LOCK_DOTLOCK), 0);
	assert_int_equal(store_beside_flock(LOCK_FLOCK), -1);
	assert_int_equal(store_beside_flock(LOCK_DOTLOCK |
	    LOCK_FLOCK << LOCK_BITS), -1);
	assert_int_equal(access("box.lock", F_OK), -1);
	assert_int_equal(store_beside_flock(LOCK_FCNTL |
	    LOCK_DOTLOCK << LOCK_BITS | LOCK_FLOCK << 2 * LOCK_BITS), -1);
	assert_int_equal(access("box.lock", F_OK), -1);
}

/* Try to store in a file whose name is too long to have a FILE.lock. */
static int
store_without_lock_file(int64_t locks, int64_t flags)
{
	char		 name[253];
	struct storing	*s;
	struct store	 what;

	memset(name, 'b', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	s = storing_of(name, "A: b\r\n\r\n");
	what = *s->what;
	what.locks = locks;
	what.flags = flags;
	s->what = &what;
	return mbox_store(s);
}

static void
o2_without_a_lock_file_another_lock_is_held(void **state)
{
	(void)state;
	assert_int_equal(store_without_lock_file(LOCK_DOTLOCK, 0), -1);
	assert_int_equal(store_without_lock_file(LOCK_DOTLOCK |
	    LOCK_DOTLOCK << LOCK_BITS, 0), -1);
	assert_int_equal(store_without_lock_file(LOCK_DOTLOCK |
	    LOCK_FCNTL << LOCK_BITS, 0), 0);
	assert_int_equal(store_without_lock_file(LOCK_DOTLOCK, STORE_TO_FILE),
	    0);
}

/* Hold both kinds of locks in another process until told to go. */
static pid_t
hold_locks(int *go)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int		ready[2], wait[2], fd;
	pid_t		pid;
	char		c;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(wait), 0);
	if ((pid = fork()) == 0) {
		close(wait[1]);
		fd = open("box", O_RDWR | O_CREAT, 0600);
		if (fd == -1 || fcntl(fd, F_SETLK, &lock) == -1 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)!read(wait[0], &c, 1);
		if (fs_write(fd, "From x\n\nfirst\n\n", 15) == -1)
			_exit(1);
		_exit(0);
	}
	close(wait[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	*go = wait[1];
	return pid;
}

static void
a_reader_with_an_fcntl_lock_is_waited_for(void **state)
{
	int	go, status;
	pid_t	holder = hold_locks(&go), let_go;

	(void)state;
	if ((let_go = fork()) == 0) {
		usleep(150 * 1000);
		_exit(write(go, "x", 1) != 1);
	}
	close(go);
	assert_int_equal(mbox_store(storing_of("box", "A: b\r\n\r\n")), 0);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(let_go, &status, 0), let_go);
	assert_string_equal(content_of("box"),
	    "From x\n\nfirst\n\n" HEADER "A: b\n\n\n");
}

int
main(void)
{
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define ROW_OF(row, f) { row ": " #f, f, set_up, tear_down, NULL }
	const struct CMUnitTest	claims[] = {
		CLAIM_OF(a_message_is_appended_with_lf_and_an_empty_line),
		CLAIM_OF(no_line_of_a_message_begins_another_message),
		CLAIM_OF(from_is_quoted_wherever_a_buffer_ends),
		CLAIM_OF(a_message_begins_on_its_own_line_behind_a_broken_one),
		CLAIM_OF(nuls_that_a_power_cut_left_give_way),
		CLAIM_OF(nuls_of_other_files_stay),
		CLAIM_OF(a_failed_write_leaves_the_mailbox_as_it_was),
		ROW_OF("DLV-06", whichever_write_fails_the_mailbox_is_as_it_was),
		ROW_OF("DLV-06", a_failed_sync_is_no_delivery),
		CLAIM_OF(
		    a_new_name_is_synced_before_anything_is_written),
		ROW_OF("DLV-06",
		    part_of_a_message_that_cannot_be_removed_is_told),
		CLAIM_OF(messages_of_a_batch_share_locks_and_sync),
		ROW_OF("DLV-06",
		    the_one_that_fails_is_the_only_one_that_is_missing),
		ROW_OF("DLV-06", a_failed_sync_is_no_delivery_of_any),
		ROW_OF("DLV-06", behind_part_of_a_message_nothing_is_written),
		CLAIM_OF(those_of_a_batch_that_find_no_room_are_returned),
		CLAIM_OF(a_message_that_was_cut_in_the_queue_leaves_nothing),
		CLAIM_OF(
		    what_others_wrote_under_the_lock_file_survives_a_failure),
		CLAIM_OF(
	    a_mailbox_that_was_replaced_under_the_lock_file_is_opened_again),
		CLAIM_OF(a_full_mailbox_returns_the_message),
		CLAIM_OF(links_and_other_things_are_no_mailboxes),
		CLAIM_OF(a_mailbox_of_somebody_else_is_not_written_to),
		CLAIM_OF(a_stale_lock_file_is_removed),
		CLAIM_OF(
		    the_lock_file_of_a_dead_maker_of_ours_is_removed_at_once),
		CLAIM_OF(a_lock_file_that_was_made_anew_is_put_back),
		CLAIM_OF(the_locks_are_those_that_are_asked_for),
		CLAIM_OF(o2_without_a_lock_file_another_lock_is_held),
		CLAIM_OF(a_reader_with_an_fcntl_lock_is_waited_for)
	};

	return cmocka_run_group_tests(claims, NULL, NULL);
}
