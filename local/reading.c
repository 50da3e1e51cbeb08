/*
 * reading.c - a .forward, or a list that :include: names, read as the
 * recipient.
 *
 * Called by mailbox.c. A .forward that is not there or not to be believed
 * says nothing, with a warning; a list that somebody named has to be there.
 *
 * E1  A file that others could have written says nothing: it is regular, no
 *     symbolic link, not writable for everybody; a .forward is the user's own
 *     or root's, and nobody can write to it or to its directory but he, or a
 *     group that is his alone.
 * E2  A long file is read in parts; each has a stamp by which the reader sees
 *     that the file is still the same.
 */
#include "local/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/offload.h"

enum { PATH_SIZE = 1000 };

/* A file that is read on a thread. */
struct reading {
	const char	*path;
	int64_t		 offset;
	int		 fd;
	struct stat	 st, directory;
	char		*data;
	size_t		 len;
};

/* Thread work: look at the directory, if the path has one. */
static int
stat_directory(const char *path, struct stat *st)
{
	char	 parent[PATH_SIZE], *slash;

	if (strlcpy(parent, path, sizeof(parent)) >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((slash = strrchr(parent, '/')) == NULL)
		return stat(".", st);
	slash[slash == parent] = '\0';
	return stat(parent, st);
}

/* Thread work: open and look, without following links. */
static int
open_file(void *arg)
{
	struct reading	*f = arg;

	f->fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	return f->fd == -1 || fstat(f->fd, &f->st) == -1 ? -1 :
	    stat_directory(f->path, &f->directory);
}

/* Thread work: read a part of it. */
static int
read_part(void *arg)
{
	struct reading	*f = arg;
	ssize_t		 n = fs_pread(f->fd, f->data, CONTENT_MAX, f->offset);

	if (n == -1)
		return -1;
	f->len = (size_t)n;
	return 0;
}

/* May a group write that others are in? One with the user's own number has
 * him alone, as accounts are usually made. */
static bool
is_shared(const struct stat *st)
{
	return (st->st_mode & S_IWGRP) && st->st_gid != 0 &&
	    (st->st_gid != getegid() || getegid() != geteuid());
}

/* Could somebody else have put another file there? */
static bool
is_open(const struct stat *directory)
{
	return (directory->st_uid != 0 && directory->st_uid != geteuid()) ||
	    (!(directory->st_mode & S_ISVTX) &&
	    ((directory->st_mode & S_IWOTH) || is_shared(directory)));
}

/* Why this file must not be believed; NULL if it may (E1). */
static const char *
distrust(const struct reading *f, bool is_forward)
{
	const struct stat	*st = &f->st;

	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (is_forward && st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to somebody else";
	if (st->st_mode & S_IWOTH)
		return "everybody can write to it";
	if (is_forward && is_shared(st))
		return "a group can write to it";
	if (is_forward && is_open(&f->directory))
		return "others can write to its directory";
	return NULL;
}

/* The answer for a .forward that does not open. */
static void
no_forward(const struct reading *f, int error, struct forward *answer,
    char text[READING_TEXT])
{
	answer->result = ROUTE_IMPOSSIBLE;
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		break;
	case EACCES:
	case EPERM:
	case ELOOP:
		log_warning("%s is ignored: %s", f->path, error == ELOOP ?
		    "it is a symbolic link" : strerrordesc_np(error));
		break;
	default:
		answer->result = ROUTE_TEMPORARY;
		snprintf(text, READING_TEXT, "cannot read %.180s: %s", f->path,
		    strerrordesc_np(error));
		break;
	}
}

/* The answer for a file that does not open or read. */
static void
no_file(const struct reading *f, bool is_forward, int error,
    struct forward *answer, char text[READING_TEXT])
{
	if (is_forward) {
		no_forward(f, error, answer, text);
		return;
	}
	snprintf(text, READING_TEXT, "cannot read %.180s: %s", f->path,
	    error == ELOOP ? "it is a symbolic link" : strerrordesc_np(error));
}

/* What the file is beside its bytes (E2). */
static void
describe(const struct reading *f, struct forward *answer)
{
	const struct stat	*st = &f->st;

	answer->owner = st->st_uid;
	answer->size = st->st_size;
	answer->stamp = (int64_t)((uint64_t)st->st_mtim.tv_sec *
	    UINT64_C(1000000007) + (uint64_t)st->st_mtim.tv_nsec +
	    ((uint64_t)st->st_ino << 40) + (uint64_t)st->st_size);
}

/* Read it, if it may be believed. */
WAITS static void
find(struct reading *f, struct pool *pool, bool is_forward,
    struct forward *answer, char text[READING_TEXT])
{
	const char	*why;

	if (offload(open_file, f) == -1) {
		no_file(f, is_forward, errno, answer, text);
		return;
	}
	if ((why = distrust(f, is_forward)) != NULL) {
		log_warning("%s is ignored: %s", f->path, why);
		snprintf(text, READING_TEXT, "%.180s: %s", f->path, why);
		if (is_forward)
			answer->result = ROUTE_IMPOSSIBLE;
		return;
	}
	f->data = pool_alloc(pool, CONTENT_MAX);
	if (offload(read_part, f) == -1) {
		no_file(f, is_forward, errno, answer, text);
		return;
	}
	answer->result = ROUTE_OK;
	answer->data.data = f->data;
	answer->data.len = f->len;
	describe(f, answer);
}

/* Answer the question. */
void
reading_answer(struct pool *pool, const struct read_forward *what,
    struct forward *answer, char text[READING_TEXT])
{
	struct reading	f = { .path = what->path, .offset = what->offset,
			    .fd = -1 };

	*answer = (struct forward){ .result = ROUTE_TEMPORARY, .owner = -1,
	    .text = text };
	text[0] = '\0';
	find(&f, pool, what->kind == READ_IS_FORWARD, answer, text);
	if (f.fd != -1)
		close(f.fd);
}
