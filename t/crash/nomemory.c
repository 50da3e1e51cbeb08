/*
 * nomemory.c - malloc(3) that fails once when a test says so: preloaded into a
 * system's programs.
 *
 * $POSTRIDER_TEST_MEMORY names a file that each program maps before main()
 * begins, and so before users change and sandboxes close. It holds the name of
 * a program and a count: that program's allocation by which the count comes to
 * nothing is refused. What that one would then have done goes on as it can.
 *
 * Postrider knows nothing of this: import_environment brings it in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct page {
	char	program[16];
	int32_t	count;		/* until one fails; 0: none will */
	int32_t	failed;		/* how many have */
};

static struct page	*page;

extern void	*__libc_malloc(size_t);
extern void	*__libc_calloc(size_t, size_t);
extern void	*__libc_realloc(void *, size_t);

/* Map the file. */
__attribute__((constructor)) static void
map(void)
{
	const char	*path = getenv("POSTRIDER_TEST_MEMORY");
	void		*at;
	int		 fd;

	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return;
	at = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	close(fd);
	if (at != MAP_FAILED)
		page = at;
}

/* Is this the one? */
static int
fails(void)
{
	if (page == NULL || page->count <= 0 ||
	    strcmp(page->program, program_invocation_short_name) != 0 ||
	    __atomic_sub_fetch(&page->count, 1, __ATOMIC_SEQ_CST) != 0)
		return 0;
	page->failed++;
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}
