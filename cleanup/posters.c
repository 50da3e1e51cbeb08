/*
 * posters.c - who waits in maildrop/, and whose turn it is.
 *
 * The directory is looked through again and again, on a thread and while files
 * are brought: somebody's single message does not wait for the end of somebody
 * else's hundred thousand. Of each user's some names are kept, a fiber of his
 * hands them to maildrop.c, and the users take turns for its places (fair.c).
 * What could not be brought rests for a while.
 *
 * P1  A user's message is found a second, and a look through the directory,
 *     after it was posted, and is the next one of its user after those that
 *     were found before; other users' take as many places as his do.
 * P2  A name is handed out once at a time.
 */
#include "cleanup/posters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/tree.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon/daemon.h"
#include "common/fiber/offload.h"
#include "common/queue/queue.h"

#include "cleanup/allowance.h"
#include "cleanup/fair.h"
#include "cleanup/maildrop.h"
#include "cleanup/tally.h"

enum {
	AT_ONCE = 20, EACH = 10,	/* files */
	NAMES = 200,			/* kept of one user */
	LOOK_EVERY = 1000,		/* milliseconds, */
	LOOK_SHARE = 5,			/* or so many times what a look took */
	REST = 5000,
	SLICE = 128			/* entries read in one go */
};

struct poster {
	RB_ENTRY(poster)	 entry;
	uid_t			 uid;
	STAILQ_HEAD(, name)	 line;
	size_t			 waiting, known;	/* names */
	bool			 is_served;		/* by a fiber */
	bool			 has_tally;
	int64_t			 files, bytes;		/* in this look */
};

struct name {
	RB_ENTRY(name)		 entry;
	STAILQ_ENTRY(name)	 next;
	struct poster		*poster;
	enum { IN_LINE, HANDED_OUT, RESTING } state;
	int64_t			 rests_until, size;
	unsigned		 look;		/* that saw it last */
	char			 id[QUEUE_ID_MAX + 1];
};

RB_HEAD(posters, poster);
RB_PROTOTYPE(posters, poster, entry, )
RB_HEAD(names, name);
RB_PROTOTYPE(names, name, entry, )

static struct posters	 posters = RB_INITIALIZER(&posters);
static struct names	 names = RB_INITIALIZER(&names);
static struct fair	*places;
static unsigned		 busy, look;

/* By number. */
static int
compare_posters(const struct poster *a, const struct poster *b)
{
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

/* By name. */
static int
compare_names(const struct name *a, const struct name *b)
{
	return strcmp(a->id, b->id);
}

RB_GENERATE(posters, poster, entry, compare_posters)
RB_GENERATE(names, name, entry, compare_names)

/* Handed out now. */
unsigned
posters_busy(void)
{
	return busy;
}

/* --- a user's line ------------------------------------------------------- */

/* It is not there any more. */
static void
forget(struct name *n)
{
	n->poster->known--;
	RB_REMOVE(names, &names, n);
	free(n);
}

/* Not now. */
static void
rest(struct name *n)
{
	n->state = RESTING;
	n->rests_until = clock_now() + REST;
}

/* A name's own fiber. */
static void
bring(void *arg)
{
	struct name	*n = arg;
	uid_t		 uid = n->poster->uid;

	fiber_name("maildrop");
	if (maildrop_bring(n->id))
		forget(n);
	else
		rest(n);
	busy--;
	fair_give(places, uid);
}

/* Wait until he may post this, and until it is his turn. */
static WAITS int
wait_for_turn(const struct poster *p, const struct name *n)
{
	int64_t	pause;

	while ((pause = allowance_take(p->uid, n->size)) > 0)
		if (fiber_sleep(pause) == -1)
			return -1;
	return fair_take(places, p->uid, NEVER);
}

/* A user's fiber, as long as there is something in his line. */
static void
serve(void *arg)
{
	struct poster	*p = arg;
	struct name	*n;

	fiber_name("poster");
	while ((n = STAILQ_FIRST(&p->line)) != NULL && !daemon_is_draining()) {
		if (wait_for_turn(p, n) == -1)
			break;
		STAILQ_REMOVE_HEAD(&p->line, next);
		p->waiting--;
		n->state = HANDED_OUT;
		busy++;
		fiber_start(bring, n);
	}
	p->is_served = false;
}

/* Into the line. */
static void
stand_in_line(struct name *n)
{
	struct poster	*p = n->poster;

	n->state = IN_LINE;
	STAILQ_INSERT_TAIL(&p->line, n, next);
	p->waiting++;
	if (!p->is_served) {
		p->is_served = true;
		fiber_start(serve, p);
	}
}

/* --- looking through the directory --------------------------------------- */

/* Some entries, on their way from a thread. */
struct slice {
	DIR	*stream;
	int	 result;		/* 1: there are more */
	size_t	 count;
	struct entry {
		char	 id[QUEUE_ID_MAX + 1];	/* "": a tally */
		mode_t	 mode;
		uid_t	 uid;
		int64_t	 size;
	} entries[SLICE];
};

/* On a thread: one entry, if it is of interest. */
static void
take_entry(struct slice *s, const char *name)
{
	struct entry	*e = &s->entries[s->count];
	struct stat	 st;

	e->id[0] = '\0';
	if (tally_is_name(name, &e->uid)) {
		s->count++;
		return;
	}
	if (!queue_id_is_valid(name) || fstatat(dirfd(s->stream), name, &st,
	    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(st.st_mode))
		return;
	strlcpy(e->id, name, sizeof(e->id));
	e->mode = st.st_mode;
	e->uid = st.st_uid;
	e->size = st.st_size;
	s->count++;
}

/* On a thread: the next ones. */
static int
read_slice(void *arg)
{
	struct slice	*s = arg;
	struct dirent	*entry;

	s->result = 1;
	for (s->count = 0; s->count < SLICE && s->result == 1;) {
		errno = 0;
		if ((entry = readdir(s->stream)) != NULL)
			take_entry(s, entry->d_name);
		else
			s->result = errno == 0 ? 0 : -1;
	}
	return s->result == -1 ? -1 : 0;
}

/* The user, known from now on. */
static struct poster *
find_poster(uid_t uid)
{
	struct poster	key = { .uid = uid }, *p;

	if ((p = RB_FIND(posters, &posters, &key)) != NULL)
		return p;
	p = mem_alloc(sizeof(*p));
	*p = (struct poster){ .uid = uid };
	STAILQ_INIT(&p->line);
	RB_INSERT(posters, &posters, p);
	return p;
}

/* A complete file: new, known, or rested. */
static void
see(struct poster *p, const struct entry *e)
{
	struct name	key, *n;

	strlcpy(key.id, e->id, sizeof(key.id));
	if ((n = RB_FIND(names, &names, &key)) == NULL) {
		if (p->waiting >= NAMES)
			return;
		n = mem_alloc(sizeof(*n));
		*n = (struct name){ .poster = p, .size = e->size };
		strlcpy(n->id, e->id, sizeof(n->id));
		RB_INSERT(names, &names, n);
		p->known++;
		stand_in_line(n);
	} else if (n->state == RESTING && clock_now() >= n->rests_until)
		stand_in_line(n);
	n->look = look;
}

/* One entry. */
static void
take(const struct entry *e)
{
	struct poster	*p = find_poster(e->uid);

	if (e->id[0] == '\0') {
		p->has_tally = true;
		return;
	}
	p->files++;
	p->bytes += e->size;
	if (queue_is_complete(e->mode))
		see(p, e);
	else
		maildrop_reap(e->id);
}

/* All of it. -1 if it cannot be read. */
static WAITS int
look_through(DIR *stream)
{
	struct slice	*s = mem_alloc(sizeof(*s));
	int		 result;
	size_t		 i;

	s->stream = stream;
	do {
		result = offload(read_slice, s);
		for (i = 0; i < s->count; i++)
			take(&s->entries[i]);
	} while (result == 0 && s->result == 1 && !daemon_is_draining());
	if (result == 0 && s->result == 1)
		result = -1;		/* not all of it was seen */
	free(s);
	return result;
}

/* Before a look. */
static void
begin_counting(void)
{
	struct poster	*p;

	look++;
	RB_FOREACH(p, posters, &posters) {
		p->files = p->bytes = 0;
		p->has_tally = false;
	}
}

/* After a whole look: names that have gone; users who have nothing here; and
 * what each has, for postdrop. */
static void
end_counting(void)
{
	struct name	*n, *next_name;
	struct poster	*p, *next;

	RB_FOREACH_SAFE(n, names, &names, next_name)
		if (n->state == RESTING && n->look != look)
			forget(n);
	RB_FOREACH_SAFE(p, posters, &posters, next) {
		if (p->has_tally)
			tally_set(queue_dir_fd(QUEUE_MAILDROP), p->uid,
			    p->files, p->bytes);
		if (p->files == 0 && p->known == 0 && !p->is_served) {
			RB_REMOVE(posters, &posters, p);
			free(p);
		}
	}
}

/* One look. */
static WAITS void
scan(void)
{
	int	 fd = openat(queue_dir_fd(QUEUE_MAILDROP), ".", O_RDONLY |
		    O_DIRECTORY | O_CLOEXEC);
	DIR	*stream = fd == -1 ? NULL : fdopendir(fd);
	int	 result = -1;

	begin_counting();
	if (stream != NULL)
		result = look_through(stream);
	if (result == 0)
		end_counting();
	else if (!daemon_is_draining())
		log_warning("cannot read maildrop/: %s", strerror(errno));
	if (stream != NULL)
		closedir(stream);
	else if (fd != -1)
		close(fd);
}

/* Drain it for ever. A large directory is not looked at all the time. */
void
posters_drain(void *unused)
{
	int64_t	began, pause;

	(void)unused;
	fiber_name("maildrop scan");
	places = fair_new(AT_ONCE, EACH);
	while (!daemon_is_draining()) {
		began = clock_now();
		scan();
		pause = LOOK_SHARE * (clock_now() - began);
		if (fiber_sleep(pause > LOOK_EVERY ? pause : LOOK_EVERY) == -1)
			return;
	}
}
