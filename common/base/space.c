/*
 * space.c - is there room on the disk, without asking it for each message?
 *
 * Called where a message begins, by smtpd and by cleanup, thousands of times in
 * a second when much comes.
 *
 * P1  Without a look there is room only where a moment ago there was more than
 *     all who write to this disk can have filled since: 25 GB in a second, or
 *     ten million files. A disk that comes near its end is looked at each time,
 *     and nobody is refused without a look.
 */
#include "common/base/space.h"

#include "common/base/clock.h"
#include "common/base/fs.h"

enum {
	MOMENT = 10,			/* milliseconds */
	PLENTY = 256 * 1024 * 1024,	/* bytes written in a moment */
	PLENTY_OF_FILES = 100 * 1000
};

/* Ask the file system. */
int
space_look(struct space *s, int fd)
{
	if (fs_free_space(fd, &s->bytes, &s->inodes) == -1) {
		space_forget(s);
		return -1;
	}
	s->until = clock_now() + MOMENT;
	return 0;
}

/* By the last look (P1). */
bool
space_is_plenty(const struct space *s, int64_t bytes, int64_t inodes)
{
	return s->until > 0 && clock_now() < s->until &&
	    s->bytes - PLENTY > bytes && s->inodes - PLENTY_OF_FILES > inodes;
}

/* The next one looks. */
void
space_forget(struct space *s)
{
	s->until = 0;
}
