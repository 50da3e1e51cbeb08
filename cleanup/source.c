/*
 * source.c - reading what somebody else's file system gives us.
 *
 * A submitter hands us a descriptor of any file, perhaps of a file system that
 * he serves himself (FUSE) or that is far away (NFS). fstat, read and close
 * may hang in it, and a thread that does cannot be called back. So each user
 * has at most EACH threads at a time, of THREADS; who has used them up waits,
 * and is told to try again later, and others are not concerned. Most messages
 * are short: the thread that asks for the length brings the beginning along.
 *
 * Those that our own sendmail brings are mostly sealed memory (spool.c), which
 * hangs no more than our own memory does. Sealed, and with no more behind it
 * than its length says, it is read and closed at once: two threads less have to
 * be woken for a message.
 *
 * P1  The loop touches no file but short memory that nobody can change.
 * P2  A call that hangs keeps its thread and its place, and the descriptor
 *     stays open, until it comes back; memory goes with it.
 * P3  Of each user at most ENDING descriptors wait to be closed; what else he
 *     brings the kernel drops before it is ours (channel_take_files()).
 */
#include "cleanup/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/fiber/offload.h"
#include "common/ipc/channel.h"

#include "cleanup/fair.h"

enum {
	THREADS = 48, EACH = 4, ENDING = 100,
	FIRST = 8 * 1024,		/* brought along with the length */
	MEMORY_MAX = 32 * 1024,		/* as long as spool.c makes it */
	SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
	PATIENCE = 30 * 1000,		/* for one call */
	TURN_TIME = 60 * 1000
};

struct source {
	LIST_ENTRY(source) entry;	/* among those that end */
	int		 fd;
	uid_t		 uid;
	unsigned	 calls;		/* that are in it */
	bool		 is_closed;	/* by its owner */
	bool		 is_memory;	/* that no call hangs in */
	struct call	*first;		/* the beginning, if it is known */
};

/* A call on its way. */
struct call {
	struct source	*source;
	size_t		 len;
	int64_t		 offset, length;
	char		 data[];
};

static struct fair	*threads;
static LIST_HEAD(, source) ending = LIST_HEAD_INITIALIZER(ending);

/* As many as may hang, and some. */
void
source_before(void)
{
	offload_threads(THREADS);
}

/* Begin. */
void
source_start(void)
{
	threads = fair_new(THREADS, EACH);
	channel_take_files(source_is_welcome, source_discard);
}

/* Are there few of his that wait to be closed? Mostly there are none. */
bool
source_is_welcome(uid_t uid)
{
	const struct source	*s;
	unsigned		 n = 0;

	LIST_FOREACH(s, &ending, entry)
		n += s->uid == uid;
	return n < ENDING;
}

/* Ours from now on. */
struct source *
source_new(int fd, uid_t uid)
{
	struct source	*s = mem_alloc(sizeof(*s));

	*s = (struct source){ .fd = fd, .uid = uid };
	return s;
}

/* On the thread: close, which may hang, too. */
static int
run_close(void *arg)
{
	struct source	*s = arg;

	(void)close(s->fd);
	return 0;
}

/* Its memory. */
static void
forget(struct source *s)
{
	free(s->first);
	free(s);
}

/* It is closed. */
static void
release_source(void *arg)
{
	struct source	*s = arg;

	fair_give(threads, s->uid);
	LIST_REMOVE(s, entry);
	forget(s);
}

/* On a fiber of its own: when there is a thread for it. */
static void
end(void *arg)
{
	struct source	*s = arg;

	fiber_name("close");
	if (fair_take(threads, s->uid, NEVER) == 0)
		(void)offload_until(run_close, s, release_source, 0);
}

/* Close it, if nothing is in it. */
static void
close_unused(struct source *s)
{
	if (s->is_closed && s->calls == 0)
		fiber_start(end, s);
}

/* No more calls. */
void
source_close(struct source *s)
{
	if (s->is_memory) {
		(void)close(s->fd);
		forget(s);
		return;
	}
	s->is_closed = true;
	LIST_INSERT_HEAD(&ending, s, entry);
	close_unused(s);
}

/* A source that nobody has looked at. */
void
source_discard(int fd, uid_t uid)
{
	source_close(source_new(fd, uid));
}

/* A call has come back. */
static void
end_call(const struct call *c)
{
	struct source	*s = c->source;

	fair_give(threads, s->uid);
	s->calls--;
	close_unused(s);
}

/* The same, perhaps long after its caller has gone. */
static void
release_call(void *arg)
{
	end_call(arg);
	free(arg);
}

/* Make the call on a thread of the user's: NULL if it has not come back, and
 * -1 in *result when it failed. */
static WAITS struct call *
make_call(struct source *s, int (*work)(void *), size_t len, int64_t offset,
    int *result)
{
	struct call	*c;

	*result = -1;
	if (fair_take(threads, s->uid, clock_now() + TURN_TIME) == -1)
		return NULL;
	c = mem_alloc(sizeof(*c) + len);
	*c = (struct call){ .source = s, .len = len, .offset = offset };
	s->calls++;
	*result = offload_until(work, c, release_call,
	    clock_now() + PATIENCE);
	return *result == OFFLOAD_LEFT ? NULL : c;
}

/* On the thread: bytes, or -1. */
static int
run_read(void *arg)
{
	struct call	*c = arg;
	ssize_t		 n;

	do
		n = pread(c->source->fd, c->data, c->len, c->offset);
	while (n == -1 && errno == EINTR);
	return (int)n;
}

/* On the thread. A beginning that cannot be read now is read later. */
static int
run_length(void *arg)
{
	struct call	*c = arg;
	struct stat	 st;
	int		 n;

	if (fstat(c->source->fd, &st) == -1)
		return -1;
	c->length = st.st_size;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	n = st.st_size > 0 ? run_read(c) : 0;
	c->len = n > 0 ? (size_t)n : 0;
	return 0;
}

/* Is it memory of few pages that stays as it is? fcntl asks no file system
 * that; others have no seals. */
static bool
is_memory(int fd, struct stat *st)
{
	int	seals = fcntl(fd, F_GET_SEALS);

	return seals != -1 && (seals & SEALS) == SEALS &&
	    fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
	    st->st_size <= MEMORY_MAX && st->st_blocks <= MEMORY_MAX / 512;
}

/* Take all of it. False: it is no memory, or cannot be read. */
static bool
take_memory(struct source *s)
{
	struct stat	 st;
	struct call	*c;

	if (!is_memory(s->fd, &st))
		return false;
	c = mem_alloc(sizeof(*c) + (size_t)st.st_size);
	*c = (struct call){ .source = s, .len = (size_t)st.st_size };
	if (st.st_size > 0 && run_read(c) != st.st_size) {
		free(c);
		return false;
	}
	c->length = st.st_size;
	s->first = c;
	s->is_memory = true;
	return true;
}

/* How long it is. */
int64_t
source_length(struct source *s)
{
	int		 result, saved;
	struct call	*c;

	CLAIM(s->first == NULL);
	if (take_memory(s))
		return s->first->length;
	if ((c = make_call(s, run_length, FIRST, 0, &result)) == NULL)
		return -1;
	if (result == -1) {
		saved = errno;
		release_call(c);
		errno = saved;
		return -1;
	}
	s->first = c;
	end_call(c);
	return c->length;
}

/* What is known of the part behind this place: bytes. */
static size_t
read_first(const struct source *s, void *to, size_t len, int64_t offset)
{
	size_t	there;

	if (s->first == NULL || offset >= (int64_t)s->first->len)
		return 0;
	there = s->first->len - (size_t)offset;
	if (len > there)
		len = there;
	memcpy(to, s->first->data + offset, len);
	return len;
}

/* Read. */
ssize_t
source_read(struct source *s, void *to, size_t len, int64_t offset)
{
	int		 result, saved;
	struct call	*c;
	size_t		 known = read_first(s, to, len, offset);

	if (known > 0)
		return (ssize_t)known;
	if (len > SOURCE_PIECE)
		len = SOURCE_PIECE;
	if ((c = make_call(s, run_read, len, offset, &result)) == NULL)
		return -1;
	saved = errno;
	if (result > 0)
		memcpy(to, c->data, (size_t)result);
	release_call(c);
	errno = saved;
	return result;
}

/* Read piece by piece. */
ssize_t
source_read_all(struct source *s, void *to, size_t len, int64_t offset)
{
	size_t	have = 0;
	ssize_t	n;

	while (have < len) {
		n = source_read(s, (char *)to + have, len - have,
		    offset + (int64_t)have);
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}
