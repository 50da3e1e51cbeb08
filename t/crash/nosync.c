/*
 * nosync.c - a program whose syncs do nothing: preloaded for the counter-proof.
 *
 * $POSTRIDER_TEST_NO_SYNC names the programs. What they promise is not on the
 * disk then, and a laboratory that finds nothing lost finds nothing.
 */
#include <sys/uio.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool	is_lying;

/* Is this program one of them? */
__attribute__((constructor)) static void
look(void)
{
	const char	*list = getenv("POSTRIDER_TEST_NO_SYNC");
	size_t		 len = strlen(program_invocation_short_name);

	while (list != NULL && *list != '\0') {
		if (strncmp(list, program_invocation_short_name, len) == 0 &&
		    (list[len] == '\0' || list[len] == ' '))
			is_lying = true;
		list = strchr(list, ' ');
		if (list != NULL)
			list++;
	}
}

/* Do what was asked, or say so. */
static int
real(const char *name, int fd)
{
	int	(*f)(int);

	if (is_lying)
		return 0;
	*(void **)&f = dlsym(RTLD_NEXT, name);
	return f(fd);
}

int
fsync(int fd)
{
	return real("fsync", fd);
}

int
fdatasync(int fd)
{
	return real("fdatasync", fd);
}

int
syncfs(int fd)
{
	return real("syncfs", fd);
}

/* Without the sync that comes with it. */
ssize_t
pwritev2(int fd, const struct iovec *vectors, int count, off_t at, int flags)
{
	ssize_t	(*f)(int, const struct iovec *, int, off_t, int);

	*(void **)&f = dlsym(RTLD_NEXT, "pwritev2");
	return f(fd, vectors, count, at, is_lying ?
	    flags & ~(RWF_SYNC | RWF_DSYNC) : flags);
}
