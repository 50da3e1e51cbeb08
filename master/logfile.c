/*
 * logfile.c - the log's file, opened by root in a directory that may be
 * somebody else's.
 *
 * LF1  A symbolic link, or a file with another name elsewhere, is believed
 *      only if nobody but root (or we) can have put it there.
 */
#include "master/logfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { LOG_MODE = 0640 };

/* Can only root, or we, put a name into the file's directory? */
static bool
is_ours(const char *path)
{
	char		*directory = mem_strdup(path), *slash;
	struct stat	 st;
	bool		 result;

	slash = strrchr(directory, '/');
	if (slash != NULL)
		slash[slash == directory] = '\0';
	result = stat(slash != NULL ? directory : ".", &st) == 0 &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH));
	free(directory);
	return result;
}

/* Open it with these flags besides. */
static int
open_file(const char *path, int flags)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY |
	    O_CLOEXEC | flags, LOG_MODE);
}

/* Open the log (LF1). */
int
logfile_open(const char *path)
{
	struct stat	st;
	int		fd;

	if (is_ours(path))
		return open_file(path, 0);
	if ((fd = open_file(path, O_NOFOLLOW | O_NONBLOCK)) == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
		return fd;
	close(fd);
	errno = ELOOP;
	return -1;
}
