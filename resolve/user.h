#ifndef RESOLVE_USER_H
#define RESOLVE_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"

/*
 * The parts of postrider user.
 */

/* --- user_file.c: the table as text -------------------------------------- */

/* Nobody else changes the table until we end. */
void		 file_lock(const char *path);
/* Read it; a missing one is empty. Ends the program when it cannot. */
void		 file_read(struct pool *, const char *path);
/* Forget what was read. */
void		 file_forget(void);
bool		 file_has(const char *name);
/* Change the row of this name: the value, or NULL to remove it. */
void		 file_set(const char *name, const char *value);
/* Put it in the place of the old one, readable by nobody else. */
void		 file_write(const char *path);
/* Each name, in the file's order. */
void		 file_names(void (*each)(const char *name));

/* --- user_secret.c: passwords -------------------------------------------- */

enum { SECRET_MAX = 500 };

/* Ask at the terminal, twice, without echo; or read the first line of standard
 * input. The room is SECRET_MAX + 2. Ends the program without one. */
void		 secret_read(char *secret, bool from_input);
/* The value of a row, in the pool. */
char		*secret_value(struct pool *, const char *secret,
		    int64_t iterations);

#endif
