/*
 * berkeley.c - hash: and btree:, files of Berkeley DB as Postfix has them.
 *
 * Keys and values that Postfix writes end with a NUL that counts; other
 * programs write none. We write it, and ask for both.
 *
 * A foreign postmap rewrites the file where it is. So each question takes a
 * shared lock and looks at the file before and after; a file that changed is
 * opened anew first, because Berkeley DB would answer from pages it keeps. A
 * file half written is a temporary failure, never "not found".
 */
#include <db.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/map/inside.h"
#include "common/map/lock.h"

struct berkeley {
	DB			*db;
	int			 fd;		/* for locks and stamps */
	char			*file;
	struct map_stamp	 stamp;
	DBTYPE			 type;
};

enum { BUILD_CACHE = 16 << 20 };

/* Berkeley DB would write to standard error; we tell in our own way. */
static void
silent(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	(void)text;
}

/* A handle on the file; 0 or an error of Berkeley DB's. */
static int
open_handle(DB **db, const char *file, DBTYPE type, uint32_t flags,
    uint32_t cache)
{
	int	error;

	if ((error = db_create(db, NULL, 0)) != 0) {
		*db = NULL;
		return error;
	}
	(*db)->set_errcall(*db, silent);
	if (cache > 0)
		error = (*db)->set_cachesize(*db, 0, cache, 1);
	if (error == 0)
		error = (*db)->open(*db, NULL, file, NULL, type, flags, 0600);
	if (error != 0) {
		(void)(*db)->close(*db, DB_NOSYNC);
		*db = NULL;
	}
	return error;
}

/* Close handle and descriptor. */
static void
shut(struct berkeley *b)
{
	if (b->db != NULL)
		(void)b->db->close(b->db, DB_NOSYNC);
	if (b->fd != -1)
		close(b->fd);
	b->db = NULL;
	b->fd = -1;
}

/* The stamp of an open descriptor. */
static int
stamp_of(int fd, struct map_stamp *stamp)
{
	struct stat	st;

	if (fstat(fd, &st) == -1)
		return -1;
	map_stamp_take(stamp, &st);
	return 0;
}

/* Does the file have the pages that its first one tells of? Berkeley DB takes
 * what follows it on trust: without the others it finds no key, and by a page
 * size of zero it divides. The first page begins with a log number (8 bytes),
 * its own number, magic, version, page size, four bytes, a free page, and the
 * number of the last one, in the order of bytes of who wrote it. */
static bool
is_whole(int fd, int64_t size)
{
	enum { MAGIC = 3, PAGE_SIZE = 5, LAST = 8, WORDS = 9 };
	uint32_t	head[WORDS];

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return false;
	if (head[MAGIC] != DB_HASHMAGIC && head[MAGIC] != DB_BTREEMAGIC) {
		head[PAGE_SIZE] = __builtin_bswap32(head[PAGE_SIZE]);
		head[LAST] = __builtin_bswap32(head[LAST]);
	}
	return head[PAGE_SIZE] >= 512 && head[PAGE_SIZE] <= 65536 &&
	    (head[PAGE_SIZE] & (head[PAGE_SIZE] - 1)) == 0 &&
	    size / head[PAGE_SIZE] > head[LAST];
}

/* Open what the name means now, under the lock. 0 or -1 with errno. */
static int
open_locked(struct berkeley *b)
{
	struct map_stamp	after;
	int			error, fd;

	if (stamp_of(b->fd, &b->stamp) == -1)
		return -1;
	if (!is_whole(b->fd, (int64_t)b->stamp.size)) {
		errno = EINVAL;
		return -1;
	}
	/* A mapped file that becomes shorter would be the end of us. */
	error = open_handle(&b->db, b->file, b->type, DB_RDONLY | DB_NOMMAP,
	    0);
	if (error != 0) {
		/* Negative errors are Berkeley DB's own. */
		errno = error > 0 ? error : EINVAL;
		return -1;
	}
	if (b->db->fd(b->db, &fd) != 0 || stamp_of(fd, &after) == -1 ||
	    !map_stamp_equal(&b->stamp, &after)) {
		errno = EAGAIN;
		return -1;
	}
	return 0;
}

/* Open what the name means now. 0 or -1 with errno. */
static int
open_file(struct berkeley *b)
{
	int	result;

	b->fd = open(b->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (b->fd == -1)
		return -1;
	if ((result = map_lock_shared(b->fd)) == 0) {
		result = open_locked(b);
		map_unlock(b->fd);
	}
	if (result == -1) {
		result = errno;
		shut(b);
		errno = result;
		return -1;
	}
	return 0;
}

/* What errno means for somebody who has such a file. */
static const char *
explain(struct pool *pool, const char *file)
{
	if (errno == ENOENT)
		return pool_printf(pool, "%s: no such file (build it with "
		    "\"postrider map\")", file);
	if (errno == EINVAL)
		return pool_printf(pool, "%s: not a complete table of this "
		    "type", file);
	if (errno == EAGAIN)
		return pool_printf(pool, "%s: the table is being written",
		    file);
	return pool_printf(pool, "%s: %s", file, strerror(errno));
}

/* Open a table of one type and watch its file. */
static const char *
open_as(struct map *m, DBTYPE type)
{
	struct berkeley	*b = m->state = pool_alloc(m->pool, sizeof(*b));

	b->fd = -1;
	b->type = type;
	b->file = pool_printf(m->pool, "%s.db", m->rest);
	if (open_file(b) == -1)
		return explain(m->pool, b->file);
	map_watch(m, b->file, &b->stamp);
	return NULL;
}

/* hash: */
static const char *
hash_open(struct map *m)
{
	return open_as(m, DB_HASH);
}

/* btree: */
static const char *
btree_open(struct map *m)
{
	return open_as(m, DB_BTREE);
}

/* Let go of the file. */
static void
berkeley_close(struct map *m)
{
	shut(m->state);
}

/* One key as it stands in the file. 0, DB_NOTFOUND, or an error. */
static int
get(DB *db, struct pool *pool, const char *key, size_t len, char **value)
{
	DBT	k = { .data = (void *)(uintptr_t)key, .size = (u_int32_t)len };
	DBT	v = { 0 };
	int	error;

	if ((error = db->get(db, NULL, &k, &v, 0)) == 0)
		*value = pool_strndup(pool, v.data, v.size);
	return error;
}

/* Ask under the lock; 0, DB_NOTFOUND, or -1 with errno. */
static int
ask(struct berkeley *b, struct pool *pool, const char *key, char **value)
{
	size_t	len = strlen(key);
	int	error;

	if (map_is_rewritten(b->fd, &b->stamp)) {
		errno = EAGAIN;
		return -1;
	}
	if ((error = get(b->db, pool, key, len + 1, value)) == DB_NOTFOUND)
		error = get(b->db, pool, key, len, value);
	if (error == 0 || error == DB_NOTFOUND) {
		if (!map_is_rewritten(b->fd, &b->stamp))
			return error;
		error = EAGAIN;
	}
	errno = error > 0 ? error : EINVAL;
	return -1;
}

/* Ask, of a file that is fresh and whole. */
static enum map_result
berkeley_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct berkeley	*b = m->state;
	int		 result = -1;

	if (b->db != NULL && map_is_rewritten(b->fd, &b->stamp))
		shut(b);
	if (b->db != NULL || open_file(b) == 0)
		result = map_lock_shared(b->fd);
	if (result == 0) {
		result = ask(b, pool, key, value);
		map_unlock(b->fd);
	}
	if (result == -1) {
		result = errno;
		(void)map_failed(pool, why, "%s: %s", m->name,
		    explain(pool, b->file));
		errno = result;
		return MAP_ERROR;
	}
	return result == 0 ? MAP_FOUND : MAP_NOT_FOUND;
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	DB	*db;
	int	 fd;		/* holds the lock; -1 for a new file */
};

/* A new file, which must not be there yet. */
static const char *
create(struct pool *pool, const char *file, bool is_btree, void **state)
{
	struct writing	*w = pool_alloc(pool, sizeof(*w));
	int		 error;

	w->fd = -1;
	error = open_handle(&w->db, file, is_btree ? DB_BTREE : DB_HASH,
	    DB_CREATE | DB_EXCL, BUILD_CACHE);
	if (error != 0)
		return pool_printf(pool, "%s: %s", file, db_strerror(error));
	*state = w;
	return NULL;
}

/* The file there is, locked against others. */
static const char *
change(struct pool *pool, const char *file, bool is_btree, bool only_reads,
    void **state)
{
	struct writing	*w = pool_alloc(pool, sizeof(*w));
	int		 error;

	w->fd = open(file, (only_reads ? O_RDONLY : O_RDWR | O_CREAT) |
	    O_CLOEXEC, 0644);
	if (w->fd == -1)
		return pool_printf(pool, "%s: %s", file, strerror(errno));
	error = (only_reads ? map_lock_shared(w->fd) :
	    map_lock_exclusive(w->fd)) == -1 ? errno :
	    open_handle(&w->db, file, is_btree ? DB_BTREE : DB_HASH,
	    only_reads ? DB_RDONLY : DB_CREATE, 0);
	if (error != 0) {
		close(w->fd);
		return pool_printf(pool, "%s: %s", file, db_strerror(error));
	}
	*state = w;
	return NULL;
}

/* The number as errno, Berkeley DB's own as EIO. */
static int
failure(int error)
{
	errno = error > 0 ? error : EIO;
	return -1;
}

/* Store a key and its value, each with its NUL. */
static int
put(void *state, const char *key, const char *value, bool replace)
{
	struct writing	*w = state;
	DBT		 k = { .data = (void *)(uintptr_t)key,
			     .size = (u_int32_t)strlen(key) + 1 };
	DBT		 v = { .data = (void *)(uintptr_t)value,
			     .size = (u_int32_t)strlen(value) + 1 };
	int		 error;

	error = w->db->put(w->db, NULL, &k, &v, replace ? 0 : DB_NOOVERWRITE);
	if (error == DB_KEYEXIST)
		return 1;
	return error == 0 ? 0 : failure(error);
}

/* Both forms of the key go. */
static int
delete(void *state, const char *key)
{
	struct writing	*w = state;
	size_t		 len = strlen(key);
	int		 error, i, result = 1;

	for (i = 0; i < 2; i++) {
		DBT	k = { .data = (void *)(uintptr_t)key,
			    .size = (u_int32_t)len + (i == 0) };

		error = w->db->del(w->db, NULL, &k, 0);
		if (error == 0)
			result = 0;
		else if (error != DB_NOTFOUND)
			return failure(error);
	}
	return result;
}

/* Every row, in the order of the file. */
static const char *
walk(struct pool *pool, void *state,
    void (*each)(void *, const char *, const char *), void *context)
{
	struct writing	*w = state;
	struct pool	*scratch;
	DBC		*cursor;
	DBT		 k = { 0 }, v = { 0 };
	int		 error;

	if ((error = w->db->cursor(w->db, NULL, &cursor, 0)) != 0)
		return pool_strdup(pool, db_strerror(error));
	while ((error = cursor->get(cursor, &k, &v, DB_NEXT)) == 0) {
		scratch = pool_new("row", 0);
		each(context, pool_strndup(scratch, k.data, k.size),
		    pool_strndup(scratch, v.data, v.size));
		pool_free(scratch);
	}
	(void)cursor->close(cursor);
	return error == DB_NOTFOUND ? NULL :
	    pool_strdup(pool, db_strerror(error));
}

/* Close writes what is left; a new file is synced by who made its name. */
static const char *
finish(void *state)
{
	struct writing	*w = state;
	int		 error = w->db->close(w->db, 0);

	if (w->fd != -1) {
		if (error == 0 && fs_sync(w->fd) == -1 && errno != EROFS)
			error = errno;
		close(w->fd);
	}
	return error == 0 ? NULL : db_strerror(error);
}

static const struct map_writer writer = {
	create, change, put, delete, walk, finish, ".db"
};

const struct map_type map_hash = {
	.name = "hash", .traits = MAP_FOLDS, .open = hash_open,
	.close = berkeley_close, .find = berkeley_find, .writer = &writer
};

const struct map_type map_btree = {
	.name = "btree", .traits = MAP_FOLDS, .open = btree_open,
	.close = berkeley_close, .find = berkeley_find, .writer = &writer
};
