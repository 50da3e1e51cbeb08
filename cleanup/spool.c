/*
 * spool.c - the sendmail command's input into an unnamed file.
 *
 * Input may come slowly, from a program that thinks between lines; nobody
 * else waits for it. The file has no name, so a killed sendmail leaves
 * nothing behind.
 *
 * Most messages are short. They go into memory that is then sealed: an inode
 * in /tmp takes eight times as long, and pickup need not fear that a call on
 * sealed memory hangs or that it changes (source.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fs.h"

#include "cleanup/post.h"

enum {
	PIECE = 32 * 1024		/* what is longer goes into a file */
};

/* What the last bytes were. */
enum place { AT_START, BEHIND_DOT, BEHIND_DOT_CR, IN_LINE, IS_OVER };

struct spool {
	int		 out;			/* -1: nothing is written yet */
	int		 how;
	int64_t		 limit;
	struct spooled	*result;
	enum place	 place;
	char		 held[8];	/* a beginning that may be "From " */
	size_t		 held_len;
	bool		 is_first;	/* no line was kept yet */
	bool		 is_skipping;	/* inside of a "From " line */
	size_t		 filled;
	char		 buffer[PIECE];
};

/* Static, so that only the pages come to be that the input fills. */
static struct spool	spool;
static char		piece[PIECE];

/* Somewhere to keep the message that vanishes with us. */
int
spool_open(void)
{
	int	fd;

	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1)
		fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1)
		fd = memfd_create("message", MFD_CLOEXEC);
	return fd;
}

/* Write out what is in the buffer. */
static int
flush(struct spool *s)
{
	if (s->out == -1 && (s->out = spool_open()) == -1)
		return -1;
	if (fs_write(s->out, s->buffer, s->filled) == -1)
		return -1;
	s->filled = 0;
	return 0;
}

/* Keep one byte. */
static int
keep(struct spool *s, char c)
{
	if (s->limit > 0 && s->result->length >= s->limit) {
		errno = EFBIG;
		return -1;
	}
	if (s->filled == PIECE && flush(s) == -1)
		return -1;
	s->buffer[s->filled++] = c;
	s->result->length++;
	if ((unsigned char)c >= 128)
		s->result->is_8bit = true;
	return 0;
}

/* The first line is none of a mailbox: keep what was held back of it. */
static int
release(struct spool *s)
{
	size_t	i;

	s->is_first = false;
	for (i = 0; i < s->held_len; i++)
		if (keep(s, s->held[i]) == -1)
			return -1;
	s->held_len = 0;
	return 0;
}

/* Does the beginning that is held back fit this line head? 1 it is one, 0 it
 * may become one, -1 no. */
static int
fits(const struct spool *s, const char *head)
{
	size_t	len = strlen(head);

	if (memcmp(s->held, head, s->held_len < len ? s->held_len : len) != 0)
		return -1;
	return s->held_len >= len;
}

/* A byte of the lines in front, which may be mailbox separators. */
static int
look_first(struct spool *s, char c)
{
	int	plain, quoted;

	if (s->is_skipping) {
		if (c == '\n')
			s->is_skipping = false;
		return 0;
	}
	s->held[s->held_len++] = c;
	plain = fits(s, "From ");
	quoted = fits(s, ">From ");
	if (plain == 1 || quoted == 1) {
		s->is_skipping = true;
		s->held_len = 0;
		return 0;
	}
	return plain == 0 || quoted == 0 ? 0 : release(s);
}

/* One byte of the message. */
static int
put(struct spool *s, char c)
{
	s->place = c == '\n' ? AT_START : IN_LINE;
	return s->is_first ? look_first(s, c) : keep(s, c);
}

/* One byte of the input, where a dot may be the end. */
static int
take(struct spool *s, char c)
{
	switch (s->place) {
	case AT_START:
		if (c == '.' && (s->how & SPOOL_DOT_ENDS) != 0) {
			s->place = BEHIND_DOT;
			return 0;
		}
		return put(s, c);
	case BEHIND_DOT:
		if (c == '\n' || c == '\r') {
			s->place = c == '\n' ? IS_OVER : BEHIND_DOT_CR;
			return 0;
		}
		return put(s, '.') == -1 ? -1 : put(s, c);
	case BEHIND_DOT_CR:
		if (c == '\n') {
			s->place = IS_OVER;
			return 0;
		}
		return put(s, '.') == -1 || put(s, '\r') == -1 ? -1 :
		    put(s, c);
	default:
		return put(s, c);
	}
}

/* Bytes of the input until there are no more. */
static int
copy(struct spool *s, int in)
{
	ssize_t	n, i;

	while (s->place != IS_OVER) {
		n = read(in, piece, PIECE);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		for (i = 0; i < n && s->place != IS_OVER; i++)
			if (take(s, piece[i]) == -1)
				return -1;
	}
	return s->held_len > 0 ? release(s) : 0;
}

/* What was not written yet: all of it, or the end. */
static int
finish(struct spool *s)
{
	if (s->out == -1)
		s->out = fs_memory("message", s->buffer, s->filled);
	else if (flush(s) == -1)
		return -1;
	return s->out != -1 ? 0 : flush(s);
}

/* Spool everything. */
int
spool_input(int in, int how, int64_t limit, struct spooled *result)
{
	struct spool	*s = &spool;
	int		 saved;

	memset(result, 0, sizeof(*result));
	memset(s, 0, offsetof(struct spool, buffer));
	s->out = -1;
	s->how = how;
	s->limit = limit;
	s->result = result;
	s->is_first = true;
	if (copy(s, in) == 0 && finish(s) == 0)
		return s->out;
	saved = errno;
	if (s->out != -1)
		close(s->out);
	errno = saved;
	return -1;
}
