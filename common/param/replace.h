#ifndef PARAM_REPLACE_H
#define PARAM_REPLACE_H

#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * Make a new text of a file's text and put it in the file's place, under a
 * lock and atomically. `change` gets the old text and fills the new one; NULL
 * or why not. A file that would not change is left alone. NULL, or a sentence
 * in the pool.
 */
const char	*replace_file(struct pool *, const char *path,
		    const char *(*change)(void *, const char *data,
		    size_t len, struct str *out), void *context);

#endif
