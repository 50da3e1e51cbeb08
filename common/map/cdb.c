/*
 * cdb.c - cdb:, constant databases as Postfix has them: keys and values
 * without a NUL behind them.
 *
 * Such a file is built once and never written again, so there are no locks: a
 * new one takes its name. Other programs may count a NUL, so both forms of a
 * key are asked for.
 *
 * People copy a table over the old one all the same. The library maps files
 * into memory, where one that becomes shorter is the end of the process; so
 * questions read the file here, and a file that is written at the time, or
 * does not fit together, is a temporary failure, never "not found". The
 * format (cr.yp.to/cdb/cdb.txt) is numbers of four bytes, lowest first: 256
 * pairs of place and slots of a hash table; rows of lengths, key and data;
 * the tables, whose slots are a hash and the place of a row, 0 for none.
 */
#ifdef HAVE_CDB

#include <cdb.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/map/inside.h"

enum { TABLES = 256, PAIR = 8, HEAD = TABLES * PAIR };

struct constant {
	int			 fd;		/* -1: not open */
	char			*file;
	struct map_stamp	 stamp;
};

/* The errno of a failure in words; a file that lies has EPROTO. */
static const char *
reason(void)
{
	if (errno == EAGAIN)
		return "the table is being written";
	return errno == EPROTO || errno == EINVAL ?
	    "this is no constant database, or it is damaged" :
	    strerror(errno);
}

/* That many bytes from a place. 0 or -1 with errno. */
static int
read_at(int fd, void *to, size_t len, uint64_t place)
{
	ssize_t	n = pread(fd, to, len, (off_t)place);

	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = EPROTO;
	return -1;
}

/* Two numbers from a place. 0 or -1 with errno. */
static int
read_pair(int fd, uint64_t place, uint32_t *first, uint32_t *second)
{
	uint32_t	pair[2];

	if (read_at(fd, pair, sizeof(pair), place) == -1)
		return -1;
	*first = le32toh(pair[0]);
	*second = le32toh(pair[1]);
	return 0;
}

/* Are all hash tables within the file? One that has rows and no table is not
 * finished: its head is written last. */
static bool
is_whole(int fd, uint64_t size)
{
	uint32_t	place, slots;
	uint64_t	sum = 0;
	unsigned	i;

	for (i = 0; i < TABLES; i++) {
		if (read_pair(fd, i * PAIR, &place, &slots) == -1)
			return false;
		if (slots > 0 && (place < HEAD ||
		    place + (uint64_t)slots * PAIR > size))
			return false;
		sum += slots;
	}
	return sum > 0 || size == HEAD;
}

/* Open the file there is. 0 or -1 with errno. */
static int
open_constant(struct constant *c)
{
	struct stat	st;
	int		error = 0;

	c->fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd == -1)
		return -1;
	if (fstat(c->fd, &st) == -1) {
		error = errno;
	} else {
		map_stamp_take(&c->stamp, &st);
		if (!is_whole(c->fd, (uint64_t)st.st_size))
			error = EPROTO;
		else if (map_is_rewritten(c->fd, &c->stamp))
			error = EAGAIN;
	}
	if (error == 0)
		return 0;
	close(c->fd);
	c->fd = -1;
	errno = error;
	return -1;
}

/* Open it, and watch its name. */
static const char *
constant_open(struct map *m)
{
	struct constant	*c = m->state = pool_alloc(m->pool, sizeof(*c));

	c->file = pool_printf(m->pool, "%s.cdb", m->rest);
	if (open_constant(c) == -1)
		return errno == ENOENT ? pool_printf(m->pool, "%s: no such "
		    "file (build it with \"postrider map\")", c->file) :
		    pool_printf(m->pool, "%s: %s", c->file, reason());
	map_watch(m, c->file, &c->stamp);
	return NULL;
}

/* Let go of the file. */
static void
constant_close(struct map *m)
{
	struct constant	*c = m->state;

	if (c->fd == -1)
		return;
	close(c->fd);
	c->fd = -1;
}

/* The hash of a key. */
static uint32_t
hash_of(const char *key, size_t len)
{
	uint32_t	hash = 5381;

	while (len-- > 0)
		hash = (hash * 33) ^ (unsigned char)*key++;
	return hash;
}

/* Is the row at a place the key's? 1 with its value, 0, or -1 with errno. */
static int
read_row(const struct constant *c, struct pool *pool, uint64_t place,
    const char *key, size_t len, char **value)
{
	uint64_t	 size = (uint64_t)c->stamp.size;
	uint32_t	 key_len, data_len;
	char		*text;

	if (read_pair(c->fd, place, &key_len, &data_len) == -1)
		return -1;
	if (place + PAIR + key_len + data_len > size) {
		errno = EPROTO;
		return -1;
	}
	if (key_len != len)
		return 0;
	text = pool_alloc(pool, len + data_len + 1);
	if (read_at(c->fd, text, len + data_len, place + PAIR) == -1)
		return -1;
	if (memcmp(text, key, len) != 0)
		return 0;
	*value = pool_strndup(pool, text + len, data_len);
	return 1;
}

/* One form of the key. 1 with its value, 0, or -1 with errno. */
static int
look_up(const struct constant *c, struct pool *pool, const char *key,
    size_t len, char **value)
{
	uint32_t	hash = hash_of(key, len), place, slots, found, row, i;
	int		result;

	if (read_pair(c->fd, hash % TABLES * PAIR, &place, &slots) == -1)
		return -1;
	for (i = 0; i < slots; i++) {
		if (read_pair(c->fd, place + (uint64_t)((hash / TABLES +
		    (uint64_t)i) % slots) * PAIR, &found, &row) == -1)
			return -1;
		if (row == 0)
			return 0;
		if (found % TABLES != hash % TABLES) {
			errno = EPROTO;
			return -1;
		}
		if (found != hash)
			continue;
		result = read_row(c, pool, row, key, len, value);
		if (result != 0)
			return result;
	}
	return 0;
}

/* Both forms, of a file that stays as it is meanwhile. */
static int
ask(const struct constant *c, struct pool *pool, const char *key, char **value)
{
	size_t	len = strlen(key);
	int	result;

	if ((result = look_up(c, pool, key, len, value)) == 0)
		result = look_up(c, pool, key, len + 1, value);
	if (map_is_rewritten(c->fd, &c->stamp)) {
		errno = EAGAIN;
		return -1;
	}
	return result;
}

/* Ask, of a file that is fresh and whole. */
static enum map_result
constant_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct constant	*c = m->state;
	int		 found = -1, error;

	if (c->fd != -1 && map_is_rewritten(c->fd, &c->stamp))
		constant_close(m);
	if (c->fd != -1 || open_constant(c) == 0)
		found = ask(c, pool, key, value);
	if (found >= 0)
		return found == 0 ? MAP_NOT_FOUND : MAP_FOUND;
	error = errno;
	(void)map_failed(pool, why, "%s: %s", m->name, reason());
	errno = error;
	return MAP_ERROR;
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	struct cdb	 old;		/* only walked */
	struct cdb_make	 make;
	int		 fd;
	bool		 is_new;
};

/* A new file, which must not be there yet. */
static const char *
create(struct pool *pool, const char *file, bool is_btree, void **state)
{
	struct writing	*w = pool_alloc(pool, sizeof(*w));

	(void)is_btree;
	w->is_new = true;
	w->fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (w->fd == -1)
		return pool_printf(pool, "%s: %s", file, strerror(errno));
	if (cdb_make_start(&w->make, w->fd) == -1) {
		close(w->fd);
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
	struct writing	*w = pool_alloc(pool, sizeof(*w));
	int		 error;

	(void)is_btree;
	if (!only_reads)
		return pool_printf(pool, "%s: tables of type cdb are built as "
		    "a whole; single keys cannot be changed", file);
	w->fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (w->fd == -1)
		return pool_printf(pool, "%s: %s", file, reason());
	if (cdb_init(&w->old, w->fd) == -1) {
		error = errno;
		close(w->fd);
		errno = error;
		return pool_printf(pool, "%s: %s", file, reason());
	}
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
	struct cdb	*cdb = &w->old;
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
		cdb_free(&w->old);
	else if (cdb_make_finish(&w->make) == -1)
		why = strerror(errno);
	close(w->fd);
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
