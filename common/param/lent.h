#ifndef PARAM_LENT_H
#define PARAM_LENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

/*
 * A daemon in a jail cannot reach its configuration by name any more. For a
 * reload master lends it the open files; who reads a file of configuration
 * reads it through lent_read(), which takes the lent one if there is one.
 * After the reload they are given back.
 */
enum { LENT_MAX = 4 };

/* This descriptor is the file of this name, until another one is lent or all
 * are given back. It is owned here; a negative one takes the name back. */
void		 lent_file(const char *path, int fd);

/* Close them all. */
void		 lent_give_back(void);

/* As fs_read_file(), from what was lent or from the path. */
char		*lent_read(struct pool *, const char *path, size_t limit,
		    size_t *len);

/* Has one been there that could not be read? That may be otherwise in a
 * moment; what is written in a file stays. */
bool		 lent_has_failed(void);

#endif
