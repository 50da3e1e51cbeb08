/*
 * sink.c - open the place where log lines end.
 */
#include "master/sink.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/param/site.h"
#include "master/logfile.h"

static int	output_fd = -1, error_fd = -1;

/* Keep what the start of the daemons will close; in the background only what
 * was asked for, since somebody may wait for its end. */
void
sink_prepare(int is_foreground)
{
	if (is_foreground || strcmp(site.maillog_file, "/dev/stdout") == 0)
		output_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (is_foreground)
		error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

/* Connect to the system's log. */
static int
open_syslog(void)
{
	const struct sockaddr_un	address = {
		.sun_family = AF_UNIX, .sun_path = "/dev/log"
	};
	int				fd, saved;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address,
	    sizeof(address)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Open what maillog_file asks for. */
int
sink_open(const char **why)
{
	int	fd;

	if (strcmp(site.maillog_file, "/dev/stdout") == 0)
		fd = fcntl(output_fd, F_DUPFD_CLOEXEC, 3);
	else if (*site.maillog_file != '\0')
		fd = logfile_open(site.maillog_file);
	else if ((fd = open_syslog()) == -1 && error_fd != -1)
		fd = fcntl(error_fd, F_DUPFD_CLOEXEC, 3);
	if (fd == -1)
		*why = strerror(errno);
	return fd;
}
