/*
 * lent.c - files of configuration that are out of reach by their names.
 */
#include "common/param/lent.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

static struct lent {
	char	*path;			/* NULL: free */
	int	 fd;
} lent[LENT_MAX];

static bool	has_failed;

/* The place of this name, or a free one; NULL when there is neither. */
static struct lent *
find(const char *path)
{
	struct lent	*free_one = NULL;
	size_t		 i;

	for (i = 0; i < LENT_MAX; i++) {
		if (lent[i].path == NULL)
			free_one = &lent[i];
		else if (strcmp(lent[i].path, path) == 0)
			return &lent[i];
	}
	return free_one;
}

void
lent_file(const char *path, int fd)
{
	struct lent	*l = find(path);

	if (l == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (l->path != NULL && l->fd >= 0)
		close(l->fd);
	else if (l->path == NULL)
		l->path = mem_strdup(path);
	l->fd = fd;
}

void
lent_give_back(void)
{
	size_t	i;

	for (i = 0; i < LENT_MAX; i++) {
		if (lent[i].path != NULL && lent[i].fd >= 0)
			close(lent[i].fd);
		lent[i].fd = -1;
	}
}

/* What was lent, or the path. */
static char *
read_file(struct pool *pool, const char *path, size_t limit, size_t *len)
{
	struct lent	*l = find(path);

	if (l == NULL || l->path == NULL || l->fd < 0)
		return fs_read_file(pool, path, limit, len);
	if (lseek(l->fd, 0, SEEK_SET) == -1)
		return NULL;
	return fs_read_fd(pool, l->fd, limit, len);
}

/* A file that is not there has not failed. */
char *
lent_read(struct pool *pool, const char *path, size_t limit, size_t *len)
{
	char	*data = read_file(pool, path, limit, len);

	if (data == NULL && errno != ENOENT && errno != ENOTDIR)
		has_failed = true;
	return data;
}

bool
lent_has_failed(void)
{
	return has_failed;
}
