/*
 * postdrop.c - puts a posted message into maildrop/.
 *
 * Started by sendmail when pickup does not answer, with a message in the form
 * of drop.c on standard input; prints the name it got. It runs set-gid, for
 * users who may be hostile, and does as little as it can: no table is opened,
 * no connection made, no signal handled, only held back at the end. A name is
 * looked up only when authorized_submit_users is set: who that list refuses by
 * name is refused here; pickup, which can ask what tables say, refuses the
 * others.
 *
 * drop-1  Exit status 0 means that the message is on stable storage: the same
 *         order as in commit.c, create, write, complete bit, one fsync, close.
 * drop-2  A killed postdrop leaves a file without the complete bit and without
 *         a lock, which pickup removes.
 * P1  What the caller chose reaches the file only decoded, checked and encoded
 *     again.
 * P2  The rights of the group are lent only to configuration directories that
 *     the built-in instance names (site.c).
 * P5  Nobody fills the disk: a user has a bounded part of maildrop/ (tally.c),
 *     and all of it leaves room for the queue.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/param/lent.h"
#include "common/param/site.h"
#include "common/queue/queue.h"

#include "cleanup/drop.h"
#include "cleanup/submitters.h"
#include "cleanup/tally.h"

enum { PIECE = 64 * 1024, ATTEMPTS = 10, INODES = 100 };

/* The file being written; "" when there is none. */
static char	path[sizeof("maildrop/") + QUEUE_ID_MAX];

/* What the user's tally has of it, and where that is. */
static int64_t	counted;
static int	maildrop = -1;

/* Remove what is unfinished and leave with a sentence. */
static _Noreturn void
fail(int status, const char *what, const char *why)
{
	if (*path != '\0')
		unlink(path);
	if (maildrop != -1)
		(void)tally_add(maildrop, getuid(), -1, -counted);
	errx(status, "%s: %s", what, why);
}

/* Nothing of the caller's process reaches further than needed. */
static void
clean_process(void)
{
	const char	*directory = getenv("MAIL_CONFIG");
	char		*kept = directory != NULL ? strdup(directory) : NULL;
	int		 fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	closefrom(STDERR_FILENO + 1);
	clearenv();
	if (kept != NULL)
		setenv("MAIL_CONFIG", kept, 1);
	free(kept);
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a write says EFBIG instead */
}

/* Read exactly this much of standard input. */
static void
read_input(void *to, size_t len)
{
	size_t	have = 0;
	ssize_t	n;

	while (have < len) {
		n = read(STDIN_FILENO, (char *)to + have, len - have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			fail(EX_TEMPFAIL, "standard input", strerror(errno));
		if (n == 0)
			fail(EX_DATAERR, "standard input", "it ends early");
		have += (size_t)n;
	}
}

/* The envelope from standard input, checked. */
static void
read_envelope(struct pool *pool, struct drop *d)
{
	char		 prefix[DROP_PREFIX], *head;
	const char	*why;
	size_t		 len;

	read_input(prefix, sizeof(prefix));
	if ((why = drop_decode_prefix(prefix, &len)) != NULL)
		fail(EX_DATAERR, "message", why);
	head = pool_alloc(pool, len);
	read_input(head, len);
	if ((why = drop_decode(d, pool, prefix, head, len)) != NULL)
		fail(EX_DATAERR, "message", why);
	if (site.message_size_limit > 0 &&
	    d->content_length > site.message_size_limit)
		fail(EX_UNAVAILABLE, "message",
		    "it is larger than message_size_limit");
}

/* Be in the group of pickup, whose the file is from its first moment on: it
 * could not remove another one (drop-2). Root may post without being lent that
 * group. */
static void
take_group(void)
{
	struct stat	st;

	if (geteuid() == 0 && (stat("maildrop", &st) == -1 ||
	    setegid(st.st_gid) == -1))
		fail(EX_TEMPFAIL, "maildrop", strerror(errno));
}

/* Would it take the last room? It must leave what cleanup wants to be left,
 * and one message more: its copy in incoming/ must find room. */
static void
check_room(int64_t length)
{
	int64_t	need = site_queue_floor() + site.message_size_limit, bytes,
		inodes;

	if (fs_free_space(maildrop, &bytes, &inodes) == -1)
		return;			/* a write will tell */
	if (bytes - length < need || inodes < INODES)
		errx(EX_TEMPFAIL, "maildrop: %s", strerror(ENOSPC));
}

/* Is one more of this length too much for this user? It is counted, as it will
 * be in the file. Root is not, nor whom the queue belongs to. */
static void
check_tally(int64_t length)
{
	struct stat	st;
	int		dir;

	dir = open("maildrop", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1)
		fail(EX_TEMPFAIL, "maildrop", strerror(errno));
	maildrop = dir;
	check_room(length);
	maildrop = -1;
	if (getuid() == 0 || (stat("incoming", &st) == 0 &&
	    st.st_uid == getuid()))
		return;
	if (tally_add(dir, getuid(), 1, length) == -1)
		errx(EX_TEMPFAIL, "maildrop: %s", errno == EDQUOT ?
		    "too much of your mail waits there" : strerror(errno));
	maildrop = dir;
	counted = length;
}

/* A new file of its own, locked while we live; readable for the group. */
static int
create(void)
{
	char	id[QUEUE_ID_MAX + 1];
	int	attempt, fd;

	take_group();
	for (attempt = 0; attempt < ATTEMPTS; attempt++) {
		queue_id_new(id, (unsigned)getpid());
		snprintf(path, sizeof(path), "maildrop/%s", id);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
		    O_CLOEXEC, 0640);
		if (fd == -1 && errno == EEXIST)
			continue;
		if (fd == -1)
			break;
		if (queue_lock(fd) == 0)
			return fd;
		unlink(path);
		close(fd);
	}
	*path = '\0';
	fail(EX_TEMPFAIL, "maildrop", strerror(errno));
}

/* Write, or give up. */
static void
write_file(int fd, const void *data, size_t len)
{
	if (fs_write(fd, data, len) == -1)
		fail(EX_TEMPFAIL, path, strerror(errno));
}

/* Envelope, then content as long as the envelope says. */
static void
copy_message(struct pool *pool, const struct drop *d, int fd)
{
	char		*piece = pool_alloc(pool, PIECE);
	const char	*why;
	struct str	 head;
	int64_t		 left;
	size_t		 n;

	str_init(&head, pool, DROP_HEAD_MAX + DROP_PREFIX);
	if ((why = drop_encode(d, &head)) != NULL)
		fail(EX_DATAERR, "message", why);
	write_file(fd, head.data, head.len);
	for (left = d->content_length; left > 0; left -= (int64_t)n) {
		n = left < PIECE ? (size_t)left : PIECE;
		read_input(piece, n);
		write_file(fd, piece, n);
	}
	if (read(STDIN_FILENO, piece, 1) > 0)
		fail(EX_DATAERR, "standard input", "it does not end in time");
}

/* Make it pickup's. From here on no signal comes between the message and the
 * word that it is taken: who was told nothing would post it again. */
static void
commit(int fd)
{
	sigset_t	all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (fchmod(fd, 0740) == -1 || fs_sync(fd) == -1 || close(fd) == -1)
		fail(EX_TEMPFAIL, path, strerror(errno));
}

/* Read the configuration that the caller names, if he may. */
static void
configure(struct pool *pool, const char *directory)
{
	static const struct param *const	tables[] = { drop_params,
						    tally_params,
						    submitters_params, NULL };
	struct str		 problems;
	struct maincf		*mc;

	str_init(&problems, pool, 0);
	mc = site_glance(pool, directory, &problems);
	if (mc == NULL || param_load(mc, tables, &problems) == -1)
		fail(lent_has_failed() ? EX_TEMPFAIL : EX_CONFIG,
		    "configuration", text_trim(problems.data));
	if (chdir(site.queue_directory) == -1)
		fail(EX_TEMPFAIL, site.queue_directory, strerror(errno));
}

/* May he? What only a table could tell is left to pickup, and so is who he is
 * if that cannot be found out now. */
static void
check_user(void)
{
	const struct passwd	*pw;
	const char		*name;

	if (submitters_is_anybody(submitters.users))
		return;
	errno = 0;
	pw = getpwuid(getuid());
	if (pw == NULL && errno != 0 && errno != ENOENT && errno != ESRCH)
		return;
	name = pw != NULL ? pw->pw_name : "unknown";
	if (submitters_find(submitters.users, name) == SUBMITTER_MAY_NOT)
		fail(EX_NOPERM, name, "not allowed to submit mail");
}

int
main(int argc, char **argv)
{
	struct pool	*pool = pool_new("postdrop", 0);
	const char	*directory = NULL;
	struct drop	 drop;
	int		 option, fd;

	if (argc < 1)
		return EX_USAGE;
	clean_process();
	while ((option = getopt(argc, argv, "c:rv")) != -1)
		if (option == 'c')
			directory = optarg;
		else if (option == '?')
			return EX_USAGE;
	if (argv[optind] != NULL)
		return EX_USAGE;
	configure(pool, directory);
	check_user();
	read_envelope(pool, &drop);
	check_tally(drop.content_length);
	fd = create();
	copy_message(pool, &drop, fd);
	commit(fd);
	printf("%s\n", path + strlen("maildrop/"));
	return EX_OK;
}
