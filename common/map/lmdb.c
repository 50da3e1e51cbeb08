/*
 * lmdb.c - lmdb:, files of the Lightning database as Postfix has them: one
 * file without a lock file beside it, keys and values with their NUL.
 *
 * The library maps the file into memory and takes its content on trust; a page
 * that is not there any more would be the end of the process. So whether all
 * are there is looked at before each question. What is left is a file that
 * somebody cuts in the microseconds of a look into it.
 */
#ifdef HAVE_LMDB

#include <lmdb.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/map/inside.h"
#include "common/map/lock.h"

enum { BATCH = 10000 };		/* puts in one transaction */
#define MAP_SIZE	((size_t)1 << 30)

struct lightning {
	MDB_env	*env;
	MDB_dbi	 dbi;
	int	 fd;		/* for the lock */
	unsigned page_size;
};

/* 0 or an error of LMDB's; the file is `l->fd`'s already. */
static int
open_env(struct lightning *l, const char *file, unsigned flags)
{
	MDB_txn	*txn = NULL;
	int	 error;

	if ((error = mdb_env_create(&l->env)) != 0)
		return error;
	if ((flags & MDB_RDONLY) == 0)
		error = mdb_env_set_mapsize(l->env, MAP_SIZE);
	if (error == 0)
		error = mdb_env_open(l->env, file, flags | MDB_NOSUBDIR |
		    MDB_NOLOCK, 0600);
	if (error == 0)
		error = mdb_txn_begin(l->env, NULL, flags & MDB_RDONLY, &txn);
	if (error == 0)
		error = mdb_dbi_open(txn, NULL, 0, &l->dbi);
	if (error == 0)
		return mdb_txn_commit(txn);
	if (txn != NULL)
		mdb_txn_abort(txn);
	mdb_env_close(l->env);
	l->env = NULL;
	return error;
}

/* Has the file all the pages that it tells of? The first two tell it. 0, with
 * how it looks, or an error of LMDB's. */
static int
check_size(const struct lightning *l, struct map_stamp *stamp)
{
	MDB_envinfo	info;
	struct stat	st;
	int		error;

	if (fstat(l->fd, &st) == -1)
		return errno;
	map_stamp_take(stamp, &st);
	if ((uint64_t)st.st_size < 2 * (uint64_t)l->page_size)
		return MDB_CORRUPTED;
	if ((error = mdb_env_info(l->env, &info)) != 0)
		return error;
	return (uint64_t)st.st_size / l->page_size > info.me_last_pgno ?
	    0 : MDB_CORRUPTED;
}

/* Open what the name means now, under the lock. 0 or an error of LMDB's. */
static int
open_locked(struct lightning *l, const char *file, struct map_stamp *stamp)
{
	MDB_stat	pages;
	int		error;

	if ((error = open_env(l, file, MDB_RDONLY)) != 0)
		return error;
	if ((error = mdb_env_stat(l->env, &pages)) != 0)
		return error;
	l->page_size = pages.ms_psize;
	return check_size(l, stamp);
}

/* Open the file under its lock, and watch it. */
static const char *
lmdb_open(struct map *m)
{
	struct lightning	*l = m->state = pool_alloc(m->pool, sizeof(*l));
	struct map_stamp	 stamp;
	struct stat		 st;
	char			*file;
	int			 error;

	file = pool_printf(m->pool, "%s.lmdb", m->rest);
	l->fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (l->fd == -1 && errno == ENOENT)
		return pool_printf(m->pool, "%s: no such file (build it with "
		    "\"postrider map\")", file);
	if (l->fd == -1 || fstat(l->fd, &st) == -1 ||
	    map_lock_shared(l->fd) == -1)
		return pool_printf(m->pool, "%s: %s", file, strerror(errno));
	error = st.st_size == 0 ? MDB_INVALID :
	    open_locked(l, file, &stamp);
	map_unlock(l->fd);
	if (error != 0)
		return pool_printf(m->pool, "%s: %s", file,
		    mdb_strerror(error));
	map_watch(m, file, &stamp);
	return NULL;
}

/* Let go of the file. */
static void
lmdb_close(struct map *m)
{
	struct lightning	*l = m->state;

	if (l->env != NULL)
		mdb_env_close(l->env);
	if (l->fd != -1)
		close(l->fd);
	l->env = NULL;
	l->fd = -1;
}

/* One look at what is there now. 0, MDB_NOTFOUND, or an error. */
static int
get(struct lightning *l, struct pool *pool, const char *key, char **value)
{
	MDB_val	 k = { strlen(key) + 1, (void *)(uintptr_t)key }, v;
	MDB_txn	*txn;
	int	 error;

	error = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
	if (error == MDB_MAP_RESIZED &&
	    (error = mdb_env_set_mapsize(l->env, 0)) == 0)
		error = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
	if (error != 0)
		return error;
	if ((error = mdb_get(txn, l->dbi, &k, &v)) == MDB_NOTFOUND) {
		k.mv_size--;
		error = mdb_get(txn, l->dbi, &k, &v);
	}
	if (error == 0)
		*value = pool_strndup(pool, v.mv_data, v.mv_size);
	mdb_txn_abort(txn);
	return error;
}

/* Ask a file that is whole, and does not change meanwhile: not everybody who
 * writes takes a lock. 0, MDB_NOTFOUND, EAGAIN, or an error of LMDB's. */
static int
ask(struct lightning *l, struct pool *pool, const char *key, char **value)
{
	struct map_stamp	before = { 0 }, after = { 0 };
	struct stat		st;
	int			error;

	if ((error = check_size(l, &before)) != 0)
		return error;
	error = get(l, pool, key, value);
	if (fstat(l->fd, &st) == -1)
		return errno;
	map_stamp_take(&after, &st);
	/* Another file may take its name. */
	after.changed = before.changed;
	return map_stamp_equal(&before, &after) ? error : EAGAIN;
}

/* Ask, while nobody writes. */
static enum map_result
lmdb_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct lightning	*l = m->state;
	int			 error;

	/* LMDB has no keys this long; asking for one is an error to it. */
	if (strlen(key) + 1 > (size_t)mdb_env_get_maxkeysize(l->env))
		return MAP_NOT_FOUND;
	if (map_lock_shared(l->fd) == -1) {
		error = errno;
		(void)map_failed(pool, why, "%s: %s", m->name,
		    strerror(errno));
		errno = error;
		return MAP_ERROR;
	}
	error = ask(l, pool, key, value);
	map_unlock(l->fd);
	if (error == 0)
		return MAP_FOUND;
	if (error == MDB_NOTFOUND)
		return MAP_NOT_FOUND;
	(void)map_failed(pool, why, "%s: %s", m->name, mdb_strerror(error));
	errno = error;
	return MAP_ERROR;
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	struct lightning	 l;
	MDB_txn			*txn;
	unsigned		 puts;
	bool			 only_reads;
};

/* Open a file to write or walk it, locked, in a transaction. */
static const char *
start(struct pool *pool, const char *file, int flags, void **state)
{
	struct writing	*w = pool_alloc(pool, sizeof(*w));
	unsigned	 only_reads = flags & O_RDWR ? 0 : MDB_RDONLY;
	int		 error;

	w->only_reads = only_reads != 0;
	w->l.fd = open(file, flags | O_CLOEXEC, 0644);
	if (w->l.fd == -1)
		return pool_printf(pool, "%s: %s", file, strerror(errno));
	error = (only_reads ? map_lock_shared(w->l.fd) :
	    map_lock_exclusive(w->l.fd)) == -1 ? errno :
	    open_env(&w->l, file, only_reads);
	if (error == 0)
		error = mdb_txn_begin(w->l.env, NULL, only_reads, &w->txn);
	if (error != 0) {
		if (w->l.env != NULL)
			mdb_env_close(w->l.env);
		close(w->l.fd);
		return pool_printf(pool, "%s: %s", file, mdb_strerror(error));
	}
	*state = w;
	return NULL;
}

/* A new file, which must not be there yet. */
static const char *
create(struct pool *pool, const char *file, bool is_btree, void **state)
{
	(void)is_btree;
	return start(pool, file, O_RDWR | O_CREAT | O_EXCL, state);
}

/* The file there is. */
static const char *
change(struct pool *pool, const char *file, bool is_btree, bool only_reads,
    void **state)
{
	(void)is_btree;
	return start(pool, file, only_reads ? O_RDONLY : O_RDWR | O_CREAT,
	    state);
}

/* The number as errno, LMDB's own by what they are most like. */
static int
failure(int error)
{
	errno = error > 0 ? error : error == MDB_MAP_FULL ? EFBIG : EIO;
	return -1;
}

/* Store a key and its value, each with its NUL. */
static int
put(void *state, const char *key, const char *value, bool replace)
{
	struct writing	*w = state;
	MDB_val		 k = { strlen(key) + 1, (void *)(uintptr_t)key };
	MDB_val		 v = { strlen(value) + 1, (void *)(uintptr_t)value };
	int		 error;

	if (w->txn != NULL && ++w->puts % BATCH == 0) {
		error = mdb_txn_commit(w->txn);
		w->txn = NULL;
		if (error == 0)
			error = mdb_txn_begin(w->l.env, NULL, 0, &w->txn);
		if (error != 0)
			return failure(error);
	}
	if (w->txn == NULL)
		return failure(EIO);
	error = mdb_put(w->txn, w->l.dbi, &k, &v,
	    replace ? 0 : MDB_NOOVERWRITE);
	if (error == MDB_KEYEXIST)
		return 1;
	return error == 0 ? 0 : failure(error);
}

/* Both forms of the key go. */
static int
delete(void *state, const char *key)
{
	struct writing	*w = state;
	MDB_val		 k = { strlen(key) + 1, (void *)(uintptr_t)key };
	int		 error, i, result = 1;

	for (i = 0; i < 2; i++, k.mv_size--) {
		error = mdb_del(w->txn, w->l.dbi, &k, NULL);
		if (error == 0)
			result = 0;
		else if (error != MDB_NOTFOUND)
			return failure(error);
	}
	return result;
}

/* Every row, in the order of keys. */
static const char *
walk(struct pool *pool, void *state,
    void (*each)(void *, const char *, const char *), void *context)
{
	struct writing	*w = state;
	struct pool	*scratch;
	MDB_cursor	*cursor;
	MDB_val		 k, v;
	int		 error;

	if ((error = mdb_cursor_open(w->txn, w->l.dbi, &cursor)) != 0)
		return pool_strdup(pool, mdb_strerror(error));
	while ((error = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		scratch = pool_new("row", 0);
		each(context, pool_strndup(scratch, k.mv_data, k.mv_size),
		    pool_strndup(scratch, v.mv_data, v.mv_size));
		pool_free(scratch);
	}
	mdb_cursor_close(cursor);
	return error == MDB_NOTFOUND ? NULL :
	    pool_strdup(pool, mdb_strerror(error));
}

/* Commit, sync, close. */
static const char *
finish(void *state)
{
	struct writing	*w = state;
	int		 error = w->txn == NULL ? EIO : mdb_txn_commit(w->txn);

	if (error == 0 && !w->only_reads)
		error = mdb_env_sync(w->l.env, 1);
	mdb_env_close(w->l.env);
	close(w->l.fd);
	return error == 0 ? NULL : mdb_strerror(error);
}

static const struct map_writer writer = {
	create, change, put, delete, walk, finish, ".lmdb"
};

const struct map_type map_lmdb = {
	.name = "lmdb", .traits = MAP_FOLDS, .open = lmdb_open,
	.close = lmdb_close, .find = lmdb_find, .writer = &writer
};

#else
typedef int without_lmdb;	/* ISO C wants something in a file */
#endif
