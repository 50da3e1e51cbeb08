/*
 * fuzz.h - what the fuzz targets share: taking an input apart, and claims
 * that stay when everything else is silent.
 */
#ifndef T_FUZZ_H
#define T_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

int	LLVMFuzzerInitialize(int *argc, char ***argv);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A promise of the code under test; false is a finding. */
#define MUST(claim) do {						\
	if (!(claim)) {							\
		fprintf(stderr, "%s:%d: broken promise: %s\n",		\
		    __FILE__, __LINE__, #claim);			\
		abort();						\
	}								\
} while (0)

/* Bytes that are still to be used. */
struct input {
	const uint8_t	*at;
	size_t		 left;
};

/* The next byte, 0 when there is none. */
static inline unsigned
input_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* All that is left as a string, which ends at its first NUL. The copy has
 * its exact size, so that a read behind it is seen. */
static inline char *
input_text(struct pool *pool, struct input *in)
{
	char	*text = pool_strndup(pool, in->at, in->left);

	in->left = 0;
	return pool_strdup(pool, text);
}

/* The bytes up to a newline or the end, likewise; NULL when none are left. */
static inline char *
input_line(struct pool *pool, struct input *in)
{
	const uint8_t	*end;
	char		*line;
	size_t		 len;

	if (in->left == 0)
		return NULL;
	end = memchr(in->at, '\n', in->left);
	len = end != NULL ? (size_t)(end - in->at) : in->left;
	line = pool_strdup(pool, pool_strndup(pool, in->at, len));
	in->at += len + (end != NULL);
	in->left -= len + (end != NULL);
	return line;
}

/* A file in memory with these bytes. */
static inline int
input_file(const void *data, size_t len)
{
	int	fd = memfd_create("input", MFD_CLOEXEC);

	MUST(fd != -1 && fs_write(fd, data, len) == 0);
	return fd;
}

/* Is there no byte that could end a line or a command? */
static inline int
is_one_line(const char *text)
{
	return strpbrk(text, "\r\n") == NULL;
}

/* Nobody reads the log of millions of runs. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_to_nothing();
	return 0;
}

#endif
