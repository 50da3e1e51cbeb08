#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A pool is the memory of one session, transaction or request: everything
 * is taken from it and the whole is given back in one call.
 *
 * An allocation never returns NULL: when the system itself has none left the
 * process dies and its peers see a temporary failure. A pool's ceiling is
 * soft. Code that takes input asks pool_is_over() at the boundary (one line,
 * one recipient) and refuses; what is already being handled goes on.
 */
struct pool;

/*
 * A pool with a name for the log (kept, not copied: a literal) and a ceiling
 * in bytes; 0 means none.
 */
struct pool	*pool_new(const char *name, size_t ceiling);

/* It will hold a secret: what it gives back, or moves, is wiped. */
void		 pool_make_secret(struct pool *);

/* Run the clean-ups, last one first, then free everything. NULL is fine. */
void		 pool_free(struct pool *);

/* Memory of `size` bytes, zeroed and aligned for any type. */
void		*pool_alloc(struct pool *, size_t size)
		    __attribute__((malloc, alloc_size(2)));

/* The same with anything in it: for what is written before it is read. */
void		*pool_room(struct pool *, size_t size)
		    __attribute__((malloc, alloc_size(2)));

/* Zeroed, for `count` things of `size` bytes; an overflow is a bug(). */
void		*pool_array(struct pool *, size_t count, size_t size)
		    __attribute__((malloc, alloc_size(2, 3)));

/*
 * `old`, got from this pool with `old_size` bytes, made `size` bytes long: in
 * place when it can be, else moved (old is gone then). New bytes are not zero.
 */
void		*pool_resize(struct pool *, void *old, size_t old_size,
		    size_t size);

/*
 * Room for `want` things of `size` bytes: the array that has room for *room
 * of them (NULL and 0 in the beginning), or a longer one, *room told. It
 * doubles, so that adding one at a time costs little. New places are not zero.
 */
void		*pool_grow(struct pool *, void *array, size_t *room,
		    size_t want, size_t size);

/*
 * Copies, always ended by NUL. pool_strdup(p, NULL) is NULL; pool_strndup
 * copies exactly `len` bytes, whatever they are.
 */
char		*pool_strdup(struct pool *, const char *);
char		*pool_strndup(struct pool *, const void *data, size_t len);
char		*pool_printf(struct pool *, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

/* Call undo(arg) when the pool is freed. */
void		 pool_on_free(struct pool *, void (*undo)(void *), void *arg);

/* Close this descriptor when the pool is freed; -1 is fine. */
void		 pool_owns_fd(struct pool *, int fd);

/* Has more than the ceiling been taken? */
bool		 pool_is_over(const struct pool *);

/* Bytes taken so far. */
size_t		 pool_size(const struct pool *);

/*
 * For a process that works for ever: what was given back is kept for the next
 * message, up to a few MB, and not returned to the kernel each time.
 */
void		 mem_keep(void);

/* malloc and realloc that die() instead of failing; free() as usual. */
void		*mem_alloc(size_t) __attribute__((malloc, alloc_size(1)));
void		*mem_resize(void *, size_t) __attribute__((alloc_size(2)));
/* As pool_grow(). */
void		*mem_grow(void *array, size_t *room, size_t want, size_t size);
char		*mem_strdup(const char *);

#endif
