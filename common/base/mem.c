/*
 * mem.c - pools: memory that is taken in pieces and given back at once.
 *
 * A pool lies at the start of its own first block of 1 KiB, so that a short
 * transaction costs one malloc. When that is full, chunks of 4, 16 and then
 * always 64 KiB follow; 4 KiB chunks are kept for the next pool. An
 * allocation above ALONE bytes gets a chunk of its own, which can be resized.
 *
 * A pool that keeps a secret wipes what it gives back, and what it moves.
 *
 * Under AddressSanitizer every allocation is alone, with a red zone around
 * it, so that an overflow between two neighbours is found.
 */
#include "common/base/mem.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/queue.h>

#include "common/base/bug.h"
#include "common/base/log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN	1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN	1
#endif

enum {
	ALIGNMENT	= 16,
#ifdef WITH_ASAN
	FIRST_SIZE	= 0,		/* nothing but the pool itself */
	ALONE		= 0,
#else
	FIRST_SIZE	= 1024,		/* the greatest bin of glibc's cache */
	ALONE		= 8192,
#endif
	SMALL_CHUNK	= 4096,
	GREATEST_CHUNK	= 65536,
	SPARE_CHUNKS	= 64,
	KEPT_HEAP	= 4 * 1024 * 1024,
	GREATEST_KEPT	= 512 * 1024
};

struct chunk {
	_Alignas(ALIGNMENT) LIST_ENTRY(chunk) entry;
	size_t		 size;		/* this head included */
};

struct undo {
	SLIST_ENTRY(undo) entry;
	void		(*call)(void *);
	void		*arg;
};

struct pool {
	_Alignas(ALIGNMENT) const char *name;
	size_t		 ceiling;
	size_t		 taken;
	char		*next;		/* free bytes of the newest chunk */
	char		*end;
	size_t		 chunk_size;	/* of the next chunk */
	bool		 is_secret;
	LIST_HEAD(, chunk) chunks;
	SLIST_HEAD(, undo) undos;
};

/* Small chunks waiting for the next pool, linked through their heads. */
static _Thread_local LIST_HEAD(, chunk) spares;
static _Thread_local unsigned spare_count;

/* The whole system is out of memory; nobody can go on from here. */
_Noreturn static void
out_of_memory(size_t size)
{
	errno = ENOMEM;
	die_for_now("out of memory: %zu bytes were refused", size);
}

/* Round up to the alignment; a size that nobody can mean is our mistake. */
static size_t
round_up(size_t size)
{
	if (size > PTRDIFF_MAX - GREATEST_CHUNK)
		bug("allocation of %zu bytes", size);
	return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* Count what is taken, and tell once when the ceiling is passed. */
static void
count_taken(struct pool *p, size_t size)
{
	bool	was_over = pool_is_over(p);

	p->taken += size;
	if (!was_over && pool_is_over(p))
		log_debug("memory of %s passed its ceiling of %zu bytes",
		    p->name, p->ceiling);
}

/* An empty pool, in the first of its own bytes. */
struct pool *
pool_new(const char *name, size_t ceiling)
{
	struct pool	*p;
	size_t		 size = FIRST_SIZE;

	if (size < sizeof(*p))
		size = sizeof(*p);
	if ((p = malloc(size)) == NULL)
		out_of_memory(size);
	p->name = name;
	p->ceiling = ceiling;
	p->taken = 0;
	p->next = (char *)(p + 1);
	p->end = (char *)p + size;
	p->chunk_size = SMALL_CHUNK;
	p->is_secret = false;
	LIST_INIT(&p->chunks);
	SLIST_INIT(&p->undos);
	return p;
}

/* Nobody shall find here what was in it. */
void
pool_make_secret(struct pool *p)
{
	p->is_secret = true;
}

/*
 * Give one chunk back, to the spares if it is of their size. A chunk alone is
 * longer than that, except under the sanitizer, which wants none kept.
 */
static void
chunk_free(struct chunk *c)
{
	if (c->size != SMALL_CHUNK || spare_count >= SPARE_CHUNKS ||
	    ALONE == 0) {
		free(c);
		return;
	}
	LIST_INSERT_HEAD(&spares, c, entry);
	spare_count++;
}

/* Undo what was promised, newest first; an undo may still use the pool. */
void
pool_free(struct pool *p)
{
	struct undo	*u;
	struct chunk	*c;

	if (p == NULL)
		return;
	while ((u = SLIST_FIRST(&p->undos)) != NULL) {
		SLIST_REMOVE_HEAD(&p->undos, entry);
		u->call(u->arg);
	}
	while ((c = LIST_FIRST(&p->chunks)) != NULL) {
		LIST_REMOVE(c, entry);
		if (p->is_secret)
			explicit_bzero(c + 1, c->size - sizeof(*c));
		chunk_free(c);
	}
	if (p->is_secret && FIRST_SIZE > sizeof(*p))
		explicit_bzero(p + 1, FIRST_SIZE - sizeof(*p));
	free(p);
}

/* A chunk of `size` bytes for sharing: a spare one or a fresh one. */
static struct chunk *
chunk_new(size_t size)
{
	struct chunk	*c;

	if (size == SMALL_CHUNK && (c = LIST_FIRST(&spares)) != NULL) {
		LIST_REMOVE(c, entry);
		spare_count--;
		return c;
	}
	if ((c = malloc(size)) == NULL)
		out_of_memory(size);
	c->size = size;
	return c;
}

/* Begin a new chunk that has room for `size` bytes. */
static void
add_chunk(struct pool *p, size_t size)
{
	struct chunk	*c;

	while (p->chunk_size - sizeof(*c) < size)
		p->chunk_size *= 4;
	c = chunk_new(p->chunk_size);
	LIST_INSERT_HEAD(&p->chunks, c, entry);
	p->next = (char *)(c + 1);
	p->end = (char *)c + c->size;
	if (p->chunk_size < GREATEST_CHUNK)
		p->chunk_size *= 4;
}

/* Memory that shares its chunk with nobody, not zeroed. */
static void *
room_alone(struct pool *p, size_t size)
{
	struct chunk	*c;

	if ((c = malloc(sizeof(*c) + size)) == NULL)
		out_of_memory(size);
	c->size = sizeof(*c) + size;
	LIST_INSERT_HEAD(&p->chunks, c, entry);
	return c + 1;
}

/* The next free bytes of the newest chunk. */
void *
pool_room(struct pool *p, size_t size)
{
	size_t	 rounded = round_up(size);
	char	*here;

	count_taken(p, rounded);
	if (size > ALONE || ALONE == 0)
		return room_alone(p, size);
	if (rounded > (size_t)(p->end - p->next))
		add_chunk(p, rounded);
	here = p->next;
	p->next += rounded;
	return here;
}

/* The same, zeroed. */
void *
pool_alloc(struct pool *p, size_t size)
{
	return memset(pool_room(p, size), 0, size);
}

/* An array, its size multiplied with care. */
void *
pool_array(struct pool *p, size_t count, size_t size)
{
	size_t	total;

	if (__builtin_mul_overflow(count, size, &total))
		bug("array of %zu times %zu bytes", count, size);
	return pool_alloc(p, total);
}

/* Move a secret that lies alone in its chunk; nothing of it stays behind. */
static void *
move_secret(struct pool *p, struct chunk *c, size_t size)
{
	void	*fresh = room_alone(p, size);

	memcpy(fresh, c + 1, c->size - sizeof(*c));
	explicit_bzero(c + 1, c->size - sizeof(*c));
	LIST_REMOVE(c, entry);
	free(c);
	return fresh;
}

/* Resize what lies alone in its chunk, at `old`. */
static void *
resize_alone(struct pool *p, void *old, size_t size)
{
	struct chunk	*c = (struct chunk *)old - 1;

	if (p->is_secret)
		return move_secret(p, c, size);
	LIST_REMOVE(c, entry);
	if ((c = realloc(c, sizeof(*c) + size)) == NULL)
		out_of_memory(size);
	c->size = sizeof(*c) + size;
	LIST_INSERT_HEAD(&p->chunks, c, entry);
	return c + 1;
}

/* Longer in place when it is the newest allocation or alone, else a copy. */
void *
pool_resize(struct pool *p, void *old, size_t old_size, size_t size)
{
	size_t	 old_rounded = round_up(old_size), rounded = round_up(size);
	void	*fresh;

	if (size <= old_size)
		return old;
	if (old_size > ALONE || ALONE == 0) {
		count_taken(p, rounded - old_rounded);
		return resize_alone(p, old, size);
	}
	if ((char *)old + old_rounded == p->next && size <= ALONE &&
	    rounded - old_rounded <= (size_t)(p->end - p->next)) {
		count_taken(p, rounded - old_rounded);
		p->next += rounded - old_rounded;
		return old;
	}
	fresh = pool_room(p, size);
	memcpy(fresh, old, old_size);
	if (p->is_secret)
		explicit_bzero(old, old_size);
	return fresh;
}

/* Room doubles until so many things find it; *bytes is what they take. */
static size_t
double_room(size_t room, size_t want, size_t size, size_t *bytes)
{
	if (room == 0)
		room = 16;
	while (room < want)
		if (__builtin_mul_overflow(room, 2, &room))
			bug("room for %zu things", want);
	if (__builtin_mul_overflow(room, size, bytes))
		bug("array of %zu times %zu bytes", room, size);
	return room;
}

/* An array that doubles. */
void *
pool_grow(struct pool *p, void *array, size_t *room, size_t want, size_t size)
{
	size_t	more, bytes;

	if (want <= *room)
		return array;
	more = double_room(*room, want, size, &bytes);
	array = *room == 0 ? pool_alloc(p, bytes) :
	    pool_resize(p, array, *room * size, bytes);
	*room = more;
	return array;
}

/* A copy of a string. */
char *
pool_strdup(struct pool *p, const char *text)
{
	if (text == NULL)
		return NULL;
	return pool_strndup(p, text, strlen(text));
}

/* A copy of `len` bytes, with a NUL behind them. */
char *
pool_strndup(struct pool *p, const void *data, size_t len)
{
	char	*copy = pool_room(p, len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

/* printf into the pool: most texts are short and fit the rest of a chunk. */
char *
pool_printf(struct pool *p, const char *format, ...)
{
	size_t	 room = ALONE == 0 ? 0 : (size_t)(p->end - p->next);
	char	*text;
	va_list	 ap;
	int	 len;

	va_start(ap, format);
	len = vsnprintf(p->next, room, format, ap);
	va_end(ap);
	if (len < 0)
		bug("cannot print by \"%s\"", format);
	text = pool_room(p, (size_t)len + 1);
	if ((size_t)len < room && len < ALONE)
		return text;		/* it is what was printed into */
	va_start(ap, format);
	vsnprintf(text, (size_t)len + 1, format, ap);
	va_end(ap);
	return text;
}

/* Remember what to call when the pool goes. */
void
pool_on_free(struct pool *p, void (*call)(void *), void *arg)
{
	struct undo	*u = pool_alloc(p, sizeof(*u));

	u->call = call;
	u->arg = arg;
	SLIST_INSERT_HEAD(&p->undos, u, entry);
}

/* The undo of an open descriptor. */
static void
close_fd(void *arg)
{
	close((int)(intptr_t)arg);
}

/* Close the descriptor with the pool. */
void
pool_owns_fd(struct pool *p, int fd)
{
	if (fd >= 0)
		pool_on_free(p, close_fd, (void *)(intptr_t)fd);
}

/* Is it more than the ceiling allows? */
bool
pool_is_over(const struct pool *p)
{
	return p->ceiling > 0 && p->taken > p->ceiling;
}

/* What was taken, rounding included, spare room of chunks not. */
size_t
pool_size(const struct pool *p)
{
	return p->taken;
}

/*
 * By default the end of the heap goes back at 128 KiB, which the buffers of a
 * single message pass: each would begin with brk(2) and a fault per page. The
 * second one keeps a buffer of that kind from being a mapping of its own.
 */
void
mem_keep(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_HEAP);
	(void)mallopt(M_MMAP_THRESHOLD, GREATEST_KEPT);
}

/* malloc() that never returns NULL. */
void *
mem_alloc(size_t size)
{
	void	*data = malloc(size > 0 ? size : 1);

	if (data == NULL)
		out_of_memory(size);
	return data;
}

/* realloc() that never returns NULL. */
void *
mem_resize(void *old, size_t size)
{
	void	*data = realloc(old, size > 0 ? size : 1);

	if (data == NULL)
		out_of_memory(size);
	return data;
}

/* An array that doubles. */
void *
mem_grow(void *array, size_t *room, size_t want, size_t size)
{
	size_t	bytes;

	if (want <= *room)
		return array;
	*room = double_room(*room, want, size, &bytes);
	return mem_resize(array, bytes);
}

/* A copy on the heap. */
char *
mem_strdup(const char *text)
{
	size_t	 size = strlen(text) + 1;

	return memcpy(mem_alloc(size), text, size);
}
