/*
 * object.c - what a system call of another process is about, as a word that is
 * the same in the next message and in the next test.
 *
 * A path below the directory of a test, in which ids are "ID" and numbers "N";
 * the name of a socket at either end of it; "inet"; "none" for what is closed,
 * "-" for calls that are about nothing.
 */
#include "t/crash/object.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An id of a message at the start of the text: its length, or 0. */
static size_t
id_length(const char *text)
{
	size_t	 n;

	n = strspn(text, "0123456789BCDFGHJKLMNPQRSTVWXYZ"
	    "bcdfghjklmnpqrstvwxyz");
	/* Until 2058 they begin with 0, which names of Maildir do not. */
	return n == 15 && text[0] == '0' &&
	    !isalnum((unsigned char)text[n]) ? n : 0;
}

/* A path as it is in the next message and in the next test, too. */
static void
simplify(const char *path, char *object)
{
	const char	*p = path, *q;
	char		*w = object;
	size_t		 n;

	/* "/tmp/prt-xxxxxx/spool/..." of one test is the same in another. */
	if (strncmp(p, "/tmp/prt-", 9) == 0 && (q = strchr(p + 9, '/')) != NULL)
		p = q + 1;
	while (*p != '\0' && w < object + OBJECT_MAX - 4) {
		if ((p == path || !isalnum((unsigned char)p[-1])) &&
		    (n = id_length(p)) > 0) {
			w = stpcpy(w, "ID");
			p += n;
		} else if (isdigit((unsigned char)*p)) {
			*w++ = 'N';
			p += strspn(p, "0123456789");
		} else {
			*w++ = (char)(isgraph((unsigned char)*p) ? *p : '_');
			p++;
		}
	}
	*w = '\0';
}

/* What an address names. */
static void
name_address(const struct sockaddr_storage *a, socklen_t length, char *object)
{
	const struct sockaddr_un	*un = (const void *)a;
	char				 path[sizeof(un->sun_path) + 1];

	if (a->ss_family != AF_UNIX) {
		strcpy(object, "inet");
		return;
	}
	memset(path, 0, sizeof(path));
	if (length > offsetof(struct sockaddr_un, sun_path))
		memcpy(path, un->sun_path, length -
		    offsetof(struct sockaddr_un, sun_path));
	simplify(path[0] == '\0' ? "unix" : path, object);
}

/* A socket by the name of either end of it. */
static void
name_socket(pid_t process, int fd, char *object)
{
	struct sockaddr_storage	 a;
	socklen_t		 length = sizeof(a);
	int			 pidfd, copy;

	strcpy(object, "socket");
	if ((pidfd = (int)syscall(SYS_pidfd_open, process, 0)) < 0)
		return;
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	if (copy < 0)
		return;
	memset(&a, 0, sizeof(a));
	if (getsockname(copy, (struct sockaddr *)&a, &length) == 0)
		name_address(&a, length, object);
	length = sizeof(a);
	if (strcmp(object, "unix") == 0 &&
	    getpeername(copy, (struct sockaddr *)&a, &length) == 0)
		name_address(&a, length, object);
	close(copy);
}

/* What a descriptor is. */
static void
name_descriptor(pid_t process, int fd, char *object)
{
	char	 link[64], path[512];
	ssize_t	 n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)process, fd);
	if ((n = readlink(link, path, sizeof(path) - 1)) < 0) {
		strcpy(object, fd == AT_FDCWD ? "." : "none");
		return;
	}
	path[n] = '\0';
	if (strncmp(path, "socket:", 7) == 0)
		name_socket(process, fd, object);
	else
		simplify(path, object);
}

/* Bytes of the process; how many there were. */
static ssize_t
peek(pid_t process, uint64_t at, void *bytes, size_t size)
{
	char	 path[64];
	ssize_t	 n;
	int	 fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)process);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	n = pread(fd, bytes, size, (off_t)at);
	close(fd);
	return n;
}

/* A path that is an argument; behind a directory if it is relative. */
static void
name_path(pid_t process, uint64_t at, char *object)
{
	char	 path[512];
	ssize_t	 n;

	n = peek(process, at, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	simplify(path, object);
}

void
object_name(pid_t process, const struct call *c, const uint64_t *args,
    char object[OBJECT_MAX])
{
	struct sockaddr_storage	 a;
	char			 part[OBJECT_MAX];
	size_t			 n;

	object[0] = '\0';
	if (c->fd >= 0) {
		name_descriptor(process, (int)args[c->fd], object);
	}
	if (c->path >= 0) {
		name_path(process, args[c->path], part);
		n = strlen(object);
		snprintf(object + n, OBJECT_MAX - n, "%s%s", n > 0 ? "/" : "",
		    part);
	}
	if (c->number == SYS_connect) {
		memset(&a, 0, sizeof(a));
		if (args[2] <= sizeof(a) &&
		    peek(process, args[1], &a, args[2]) == (ssize_t)args[2])
			name_address(&a, (socklen_t)args[2], object);
	}
	if (object[0] == '\0')
		strcpy(object, "-");
}
