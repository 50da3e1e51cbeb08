/*
 * user_file.c - a texthash as text, so that what people wrote in it stays.
 *
 * The file is kept as pieces: a row with the lines that continue it, or a
 * line that is none. A change touches one piece; the new file takes the
 * place of the old one in one step.
 */
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/param/lines.h"
#include "resolve/user.h"

#define READER	"postrider-auth"

enum { FILE_MAX = 256 * 1024 * 1024, FILE_MODE = 0640 };

struct piece {
	TAILQ_ENTRY(piece) entry;
	char		*name;		/* in lower case; NULL: no row */
	const char	*text;		/* with its line ends */
	size_t		 len;
};

static TAILQ_HEAD(piece_list, piece) pieces = TAILQ_HEAD_INITIALIZER(pieces);
static struct pool	*pool;

/* --- locking ------------------------------------------------------------- */

/* The file, which nobody can lock who may not read it; the directory while
 * there is none. */
static int
open_for_lock(const char *path)
{
	char	*copy;
	int	 fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd == -1 && errno == ENOENT) {
		copy = mem_strdup(path);
		fd = fs_open_directory(AT_FDCWD, dirname(copy));
		free(copy);
	}
	if (fd == -1)
		die("%s: %s", path, strerror(errno));
	return fd;
}

/* Is it still what whoever comes now would lock? */
static bool
is_current(int fd, const char *path)
{
	struct stat	locked, st;

	if (fstat(fd, &locked) == -1)
		return false;
	if (stat(path, &st) == -1)
		return S_ISDIR(locked.st_mode);
	return st.st_dev == locked.st_dev && st.st_ino == locked.st_ino;
}

/* The file is another one after each change: look again. */
void
file_lock(const char *path)
{
	bool	is_told = false;
	int	fd;

	while ((fd = open_for_lock(path)) != -1) {
		if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
			if (!is_told)
				log_info("waiting for somebody else who "
				    "changes %s", path);
			is_told = true;
			if (flock(fd, LOCK_EX) == -1)
				die("%s: cannot be locked: %s", path,
				    strerror(errno));
		}
		if (is_current(fd, path))
			return;
		close(fd);
	}
}

/* --- reading ------------------------------------------------------------- */

/* Keep a piece, without a copy. */
static struct piece *
add_piece(const char *text, size_t len)
{
	struct piece	*p = pool_alloc(pool, sizeof(*p));

	p->text = text;
	p->len = len;
	TAILQ_INSERT_TAIL(&pieces, p, entry);
	return p;
}

/* A row begins. */
static struct piece *
add_row(const char *text, size_t len)
{
	struct piece	*p = add_piece(text, len);
	size_t		 i = 0;

	while (i < len && strchr(" \t\r\n", text[i]) == NULL)
		i++;
	p->name = pool_strndup(pool, text, i);
	text_lower(p->name);
	return p;
}

/* Cut the text into pieces. A line that continues a row behind a comment takes
 * the comment into the row. */
static void
cut(const char *text, size_t len)
{
	const char	*end = text + len, *eol, *line;
	struct piece	*row = NULL;

	for (line = text; line < end; line = eol) {
		eol = memchr(line, '\n', (size_t)(end - line));
		eol = eol != NULL ? eol + 1 : end;
		switch (lines_kind(line, eol)) {
		case LINE_STARTS:
			row = add_row(line, (size_t)(eol - line));
			break;
		case LINE_CONTINUES:
			if (row != NULL) {
				row->len = (size_t)(eol - row->text);
				while (TAILQ_NEXT(row, entry) != NULL)
					TAILQ_REMOVE(&pieces, TAILQ_NEXT(row,
					    entry), entry);
				break;
			}
			/* FALLTHROUGH */
		case LINE_NOTHING:
			(void)add_piece(line, (size_t)(eol - line));
		}
	}
}

/* The whole file. */
void
file_read(struct pool *p, const char *path)
{
	char	*text;
	size_t	 len;

	pool = p;
	text = fs_read_file(pool, path, FILE_MAX, &len);
	if (text == NULL && errno == ENOENT)
		return;
	if (text == NULL)
		die("%s: %s", path, strerror(errno));
	cut(text, len);
}

/* The pieces go with their pool. */
void
file_forget(void)
{
	TAILQ_INIT(&pieces);
	pool_free(pool);
	pool = NULL;
}

/* --- asking and changing ------------------------------------------------- */

/* The first row of this name: the one that counts. */
static struct piece *
find(const char *name)
{
	struct piece	*p;

	TAILQ_FOREACH(p, &pieces, entry)
		if (p->name != NULL && strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

bool
file_has(const char *name)
{
	return find(name) != NULL;
}

/* Another value, or no row of this name any more. */
void
file_set(const char *name, const char *value)
{
	struct piece	*p = find(name);
	char		*text;

	if (value == NULL) {
		for (; p != NULL; p = find(name))
			TAILQ_REMOVE(&pieces, p, entry);
		return;
	}
	text = pool_printf(pool, "%s\t%s\n", name, value);
	if (p == NULL) {
		p = TAILQ_LAST(&pieces, piece_list);
		if (p != NULL && p->text[p->len - 1] != '\n')
			(void)add_piece("\n", 1);
		(void)add_row(text, strlen(text));
		return;
	}
	p->text = text;
	p->len = strlen(text);
}

/* For list. */
void
file_names(void (*each)(const char *))
{
	struct piece	*p;

	TAILQ_FOREACH(p, &pieces, entry)
		if (p->name != NULL)
			each(p->name);
}

/* --- writing ------------------------------------------------------------- */

/* Give a new file to those who have to read it. */
static void
give(const char *path)
{
	const struct group	*gr;

	if (geteuid() != 0)
		return;
	if ((gr = getgrnam(READER)) == NULL) {
		log_warning("there is no group " READER " to read %s", path);
		return;
	}
	if (chown(path, 0, gr->gr_gid) == -1 || chmod(path, FILE_MODE) == -1)
		die("%s: %s", path, strerror(errno));
}

/* The new file. */
void
file_write(const char *path)
{
	struct stat	 st;
	struct str	 all;
	struct piece	*p;
	bool		 is_new = stat(path, &st) == -1;

	str_init(&all, pool, FILE_MAX);
	TAILQ_FOREACH(p, &pieces, entry)
		str_add_mem(&all, p->text, p->len);
	if (fs_replace_file(path, all.data, all.len, FILE_MODE & ~0077) == -1)
		die("%s: %s", path, strerror(errno));
	if (is_new)
		give(path);
	else if (st.st_mode & 0007)
		log_warning("%s: everybody can read it, or write to it: "
		    "chmod o= would change that", path);
}
