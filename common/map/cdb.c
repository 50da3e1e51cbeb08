/*
 * cdb.c - cdb:, constant databases as Postfix has them: keys and values
 * without a NUL behind them.
 *
 * Such a file is built once and never written again, so there are no locks: a
 * new one takes its name. Other programs may count a NUL, so both forms of a
 * key are asked for.
 */
#ifdef HAVE_CDB

#include <cdb.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/map/inside.h"

struct constant {
	struct cdb	cdb;
	int		fd;		/* -1: not open */
};

/* The errno of the library's last failure; a file that lies has EPROTO. */
static const char *
reason(void)
{
	return errno == EPROTO || errno == EINVAL ?
	    "this is no constant database, or it is damaged" :
	    strerror(errno);
}

/* Open the file there is. 0 or -1 with errno. */
static int
open_constant(struct constant *c, const char *file, struct map_stamp *stamp)
{
	struct stat	st;
	int		error;

	c->fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd == -1)
		return -1;
	if (fstat(c->fd, &st) == 0 && cdb_init(&c->cdb, c->fd) == 0) {
		map_stamp_take(stamp, &st);
		return 0;
	}
	error = errno;
	close(c->fd);
	c->fd = -1;
	errno = error;
	return -1;
}

/* Open it, and watch its name. */
static const char *
constant_open(struct map *m)
{
	struct constant		*c = m->state = pool_alloc(m->pool, sizeof(*c));
	struct map_stamp	 stamp = { 0 };
	char			*file = pool_printf(m->pool, "%s.cdb", m->rest);

	if (open_constant(c, file, &stamp) == -1)
		return errno == ENOENT ? pool_printf(m->pool, "%s: no such "
		    "file (build it with \"postrider map\")", file) :
		    pool_printf(m->pool, "%s: %s", file, reason());
	map_watch(m, file, &stamp);
	return NULL;
}

/* Let go of the file. */
static void
constant_close(struct map *m)
{
	struct constant	*c = m->state;

	if (c->fd == -1)
		return;
	cdb_free(&c->cdb);
	close(c->fd);
	c->fd = -1;
}

/* Ask for both forms of the key. */
static enum map_result
constant_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct constant	*c = m->state;
	unsigned	 len = (unsigned)strlen(key);
	int		 found = cdb_find(&c->cdb, key, len);
	const void	*data;

	if (found == 0)
		found = cdb_find(&c->cdb, key, len + 1);
	if (found == 0)
		return MAP_NOT_FOUND;
	data = found < 0 ? NULL : cdb_get(&c->cdb, cdb_datalen(&c->cdb),
	    cdb_datapos(&c->cdb));
	if (data == NULL)
		return map_failed(pool, why, "%s: %s", m->name, reason());
	*value = pool_strndup(pool, data, cdb_datalen(&c->cdb));
	return MAP_FOUND;
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	struct constant	 old;		/* only walked */
	struct cdb_make	 make;
	bool		 is_new;
};

/* A new file, which must not be there yet. */
static const char *
create(struct pool *pool, const char *file, bool is_btree, void **state)
{
	struct writing	*w = pool_alloc(pool, sizeof(*w));

	(void)is_btree;
	w->is_new = true;
	w->old.fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (w->old.fd == -1)
		return pool_printf(pool, "%s: %s", file, strerror(errno));
	if (cdb_make_start(&w->make, w->old.fd) == -1) {
		close(w->old.fd);
		return pool_printf(pool, "%s: %s", file, strerror(errno));
	}
	*state = w;
	return NULL;
}

/* The file there is: it can be walked and no more. */
static const char *
change(struct pool *pool, const char *file, bool is_btree, bool only_reads,
    void **state)
{
	struct writing		*w = pool_alloc(pool, sizeof(*w));
	struct map_stamp	 stamp;

	(void)is_btree;
	if (!only_reads)
		return pool_printf(pool, "%s: tables of type cdb are built as "
		    "a whole; single keys cannot be changed", file);
	if (open_constant(&w->old, file, &stamp) == -1)
		return pool_printf(pool, "%s: %s", file, reason());
	*state = w;
	return NULL;
}

/* Store a key and its value. */
static int
put(void *state, const char *key, const char *value, bool replace)
{
	struct writing	*w = state;
	int		 result;

	result = cdb_make_put(&w->make, key, (unsigned)strlen(key), value,
	    (unsigned)strlen(value),
	    replace ? CDB_PUT_REPLACE : CDB_PUT_INSERT);
	return replace && result > 0 ? 0 : result;
}

/* Never reached: change() opens nothing that could be changed. */
static int
delete(void *state, const char *key)
{
	(void)state;
	(void)key;
	errno = EROFS;
	return -1;
}

/* Text of the file, without the NUL that it may end with. */
static char *
text_at(struct pool *pool, struct cdb *cdb, unsigned pos, unsigned len)
{
	const void	*data = cdb_get(cdb, len, pos);

	return data == NULL ? NULL : pool_strndup(pool, data, len);
}

/* Every row, in the order of the source. */
static const char *
walk(struct pool *pool, void *state,
    void (*each)(void *, const char *, const char *), void *context)
{
	struct writing	*w = state;
	struct cdb	*cdb = &w->old.cdb;
	struct pool	*scratch;
	char		*key, *value;
	unsigned	 place;
	int		 found;

	cdb_seqinit(&place, cdb);
	while ((found = cdb_seqnext(&place, cdb)) > 0) {
		scratch = pool_new("row", 0);
		key = text_at(scratch, cdb, cdb_keypos(cdb), cdb_keylen(cdb));
		value = text_at(scratch, cdb, cdb_datapos(cdb),
		    cdb_datalen(cdb));
		if (key != NULL && value != NULL)
			each(context, key, value);
		pool_free(scratch);
		if (key == NULL || value == NULL) {
			found = -1;
			break;
		}
	}
	return found == 0 ? NULL : pool_strdup(pool, reason());
}

/* Write the index; build.c syncs the file. */
static const char *
finish(void *state)
{
	struct writing	*w = state;
	const char	*why = NULL;

	if (!w->is_new)
		cdb_free(&w->old.cdb);
	else if (cdb_make_finish(&w->make) == -1)
		why = strerror(errno);
	close(w->old.fd);
	return why;
}

static const struct map_writer writer = {
	create, change, put, delete, walk, finish, ".cdb"
};

const struct map_type map_cdb = {
	.name = "cdb", .traits = MAP_FOLDS, .open = constant_open,
	.close = constant_close, .find = constant_find, .writer = &writer
};

#else
typedef int without_cdb;	/* ISO C wants something in a file */
#endif
