/*
 * place.h - a directory of a test's own, which is the current one until it is
 * removed with everything in it.
 */
#ifndef T_COMMON_BASE_PLACE_H
#define T_COMMON_BASE_PLACE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char	place[] = "/tmp/postrider-test.XXXXXX";

static inline int
make_place(void)
{
	strlcpy(place + strlen(place) - 6, "XXXXXX", 7);
	return mkdtemp(place) != NULL && chdir(place) == 0 ? 0 : -1;
}

static inline int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline int
remove_place(void)
{
	return chdir("/") == 0 &&
	    nftw(place, remove_one, 10, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

#endif
