/*
 * queue_alone.c - the queue command works on the directories itself, while
 * qmgr is down.
 *
 * P1  Nothing is changed without the lock that qmgr holds while it runs.
 * P2  Root becomes the owner of the queue first: what is created then belongs
 *     to him, and a path that he could have prepared leads nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/param/site.h"
#include "common/queue/queue.h"
#include "qmgr/entry.h"
#include "qmgr/queue.h"

enum { PIECE = 64 * 1024 };

static const enum queue_dir	dirs[] = { QUEUE_INCOMING, QUEUE_DEFERRED,
				    QUEUE_HOLD };
enum { DIRS = sizeof(dirs) / sizeof(dirs[0]) };

/* Who owns the queue is who may work on it. */
static void
become_owner(void)
{
	struct stat	st;

	if (stat("incoming", &st) == -1)
		die("%s/incoming: %s", site.queue_directory, strerror(errno));
	if (geteuid() != 0 || st.st_uid == 0)
		return;
	if (setgroups(0, NULL) == -1 || setgid(st.st_gid) == -1 ||
	    setuid(st.st_uid) == -1 || setuid(0) == 0)
		die("cannot become the owner of the queue");
}

/* Open the directories. */
static void
open_queue(unsigned which)
{
	int	fd;

	if ((fd = fs_open_directory(AT_FDCWD, ".")) == -1 ||
	    queue_open(fd, which) == -1)
		die("the queue below %s: %s", site.queue_directory,
		    strerror(errno));
	close(fd);
}

/* Take qmgr's lock, or leave. */
static void
take_lock(void)
{
	if (flock(queue_dir_fd(QUEUE_INCOMING), LOCK_EX | LOCK_NB) == -1)
		die("the queue is locked by another program, and the queue "
		    "manager does not answer");
}

/* Change one message. */
static void
change(struct task *t, const char *id, enum queue_dir from)
{
	enum queue_dir	to;
	int		result = entry_change(t->verb, id, from, &to);

	if (result == 1)
		t->count++;
	if (result != -1)
		return;
	t->status = 75;
	snprintf(t->text, sizeof(t->text), "%s: %s", id, strerror(errno));
}

/* Do to one message what the task says. */
static void
handle(struct task *t, const char *id, enum queue_dir dir)
{
	if (strcmp(t->verb, "list") == 0) {
		t->count++;
		(void)entry_show(dir, id, queue_dir_name(dir), print_entry,
		    NULL);
	} else if (strcmp(t->verb, "flush") == 0) {
		if (dir != QUEUE_HOLD && (t->argument == NULL ||
		    entry_goes_to(dir, id, t->argument)) &&
		    queue_set_time(dir, id, clock_wall_us()) == 0)
			t->count++;
	} else {
		change(t, id, dir);
	}
}

/* Is the directory meant by the verb and its argument? */
static bool
is_meant(const struct task *t, enum queue_dir dir)
{
	bool	is_change = entry_is_change(t->verb);

	if (strcmp(t->verb, "release") == 0 && dir != QUEUE_HOLD)
		return false;
	return !is_change || t->argument == NULL ||
	    strcmp(t->argument, queue_dir_name(dir)) == 0;
}

/* Every message of a directory. */
static void
walk(struct task *t, enum queue_dir dir)
{
	struct queue_walk	*w;
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime_us, size;

	if ((w = queue_walk_start(dir)) == NULL) {
		t->status = 75;
		snprintf(t->text, sizeof(t->text), "%s: %s",
		    queue_dir_name(dir), strerror(errno));
		return;
	}
	while (queue_walk_next(w, id, &mode, &mtime_us, &size) == 1)
		if (queue_is_complete(mode))
			handle(t, id, dir);
	queue_walk_end(w);
}

/* One task. */
static void
run(struct task *t)
{
	enum queue_dir	dir;
	size_t		i;
	bool		is_all = t->id == NULL || strcmp(t->id, "ALL") == 0;

	if (strcmp(t->verb, "list") != 0 && strcmp(t->verb, "flush") != 0 &&
	    !entry_is_change(t->verb)) {
		t->status = 69;		/* EX_UNAVAILABLE */
		snprintf(t->text, sizeof(t->text),
		    "%s needs a running queue manager", t->verb);
		return;
	}
	for (i = 0; is_all && i < DIRS; i++)
		if (is_meant(t, dirs[i]))
			walk(t, dirs[i]);
	if (!is_all && entry_find(t->id, &dir))
		handle(t, t->id, dir);
}

/* All tasks. */
void
alone_run(struct task *tasks, size_t count)
{
	size_t	i;

	become_owner();
	open_queue(1u << QUEUE_INCOMING | 1u << QUEUE_DEFERRED |
	    1u << QUEUE_HOLD);
	if (strcmp(tasks[0].verb, "list") != 0)
		take_lock();
	log_to_syslog();		/* not to the screen */
	for (i = 0; i < count; i++)
		run(&tasks[i]);
}

/* --- cat ----------------------------------------------------------------- */

/* Open a message wherever it is. */
static int
open_anywhere(const char *id)
{
	static const enum queue_dir	all[] = { QUEUE_INCOMING,
					    QUEUE_DEFERRED, QUEUE_HOLD,
					    QUEUE_CORRUPT };
	size_t				i;
	int				fd;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if ((fd = queue_open_file(all[i], id, O_RDONLY)) != -1 ||
		    errno != ENOENT)
			return fd;
	return -1;
}

/* The word for a recipient's status. */
static const char *
status_word(unsigned char status)
{
	return status == RECIPIENT_DONE ? "done" :
	    status == RECIPIENT_FAILED ? "failed" : "to do";
}

/* Who sent it to whom. */
static void
print_envelope(const char *id, const struct envelope *e)
{
	char	date[CLOCK_DATE_SIZE];
	size_t	i;

	printf("*** ENVELOPE %s ***\nsender: %s\narrival: %s\n", id,
	    e->mail.sender, clock_mail_date(date, sizeof(date),
	    (time_t)(e->mail.arrival_us / 1000000)));
	if (e->mail.client_address[0] != '\0')
		printf("client: %s[%s]\n", e->mail.client_name,
		    e->mail.client_address);
	for (i = 0; i < e->count; i++)
		printf("recipient: %s (%s)\n", e->recipients[i].row.address,
		    status_word(e->recipients[i].status));
}

/* The message, with the line ends of this system. */
static int
print_content(struct pool *pool, int fd, const struct queue_layout *layout)
{
	char	*piece = pool_alloc(pool, PIECE);
	int64_t	 offset = layout->content_offset,
		 left = layout->content_length;
	ssize_t	 n, i;

	for (; left > 0; left -= n, offset += n) {
		n = fs_pread(fd, piece, left < PIECE ? (size_t)left : PIECE,
		    offset);
		if (n <= 0)
			return -1;
		for (i = 0; i < n; i++)
			if (piece[i] != '\r')
				putchar(piece[i]);
	}
	return 0;
}

/* What was tried. */
static void
print_journal(struct pool *pool, int fd, const struct queue_layout *layout,
    const struct envelope *e)
{
	struct journal	*records;
	size_t		 count, i;
	int64_t		 end;
	char		 date[CLOCK_DATE_SIZE];

	if (journal_read(pool, fd, layout, &records, &count, &end) != NULL)
		return;
	for (i = 0; i < count; i++) {
		if (records[i].kind != JOURNAL_OUTCOME ||
		    records[i].number < 0 ||
		    records[i].number >= (int64_t)e->count)
			continue;
		printf("%s %s: %s %s\n", clock_mail_date(date, sizeof(date),
		    (time_t)(records[i].when_us / 1000000)),
		    e->recipients[records[i].number].row.address,
		    records[i].dsn, records[i].text);
	}
}

/* Show a message: envelope, content, journal. */
int
alone_cat(const char *id)
{
	struct pool		*pool = pool_new("cat", 0);
	struct envelope		 e;
	struct queue_layout	 layout;
	const char		*why;
	int			 fd;

	become_owner();
	open_queue(1u << QUEUE_INCOMING | 1u << QUEUE_DEFERRED |
	    1u << QUEUE_HOLD | 1u << QUEUE_CORRUPT);
	if ((fd = open_anywhere(id)) == -1) {
		fprintf(stderr, "postrider queue: %s: %s\n", id,
		    strerror(errno));
		return 1;
	}
	if ((why = envelope_read(&e, &layout, pool, fd)) != NULL) {
		fprintf(stderr, "postrider queue: %s: %s\n", id, why);
		return 1;
	}
	print_envelope(id, &e);
	printf("*** MESSAGE %s ***\n", id);
	if (print_content(pool, fd, &layout) == -1) {
		fprintf(stderr, "postrider queue: %s: cannot be read\n", id);
		return 1;
	}
	printf("*** ATTEMPTS %s ***\n", id);
	print_journal(pool, fd, &layout, &e);
	return 0;
}
