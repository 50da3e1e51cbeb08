/*
 * dial.c - connections to UNIX sockets for smtp, which has no way there.
 *
 * DL1  A connection is made only to a socket that the mail of this address
 *      really goes to: its route is found once more, or local's settings name
 *      the socket, or it is the content filter's. An smtp that fell into wrong
 *      hands reaches no other: which filter a message has is said by main.cf,
 *      master.cf and its queue file, which smtp can read but not write.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/param/site.h"
#include "common/queue/queue.h"
#include "resolve/resolve.h"

enum {
	DIAL_TIME	= 5000,		/* milliseconds */
	BACKLOG_PAUSE	= 20		/* while the other side is busy */
};

/* --- where is it? -------------------------------------------------------- */

/* The path without the queue directory, which is where we are. */
static const char *
relative(const char *path)
{
	size_t	len = strlen(site.queue_directory);

	if (strncmp(path, site.queue_directory, len) == 0 && path[len] == '/')
		path += len;
	else if (*path == '/')
		return path;
	return path + strspn(path, "/");
}

/* Do two texts mean the same socket, however written? */
static bool
is_same_socket(const char *a, const char *b)
{
	return strcmp(relative(a), relative(b)) == 0;
}

/* Is the socket one of these next hops? */
static bool
leads_there(struct pool *pool, const char *nexthop, const char *endpoint)
{
	struct hop	*hops;
	size_t		 i, count;

	hops = hops_parse(pool, nexthop, &count);
	for (i = 0; i < count; i++)
		if (hops[i].is_unix && is_same_socket(hops[i].host, endpoint))
			return true;
	return false;
}

/* Does "transport:nexthop" name this transport and socket? */
static bool
names(struct pool *pool, const char *value, const struct ask_dial *ask)
{
	struct transport	to = transport_parse(pool, value);

	return strcmp(to.name, ask->transport) == 0 &&
	    leads_there(pool, to.nexthop, ask->endpoint);
}

/* Is it the way that tables and settings show for this address? */
static WAITS bool
is_routed_there(struct rules *r, struct pool *pool,
    const struct ask_dial *ask)
{
	struct ask_route	question = { .address = ask->address,
				    .sender = ask->sender,
				    .via = pool_strdup(pool, "") };
	struct route		route;

	route_find_way(r, pool, &question, &route);
	return route.result == ROUTE_OK &&
	    strcmp(route.transport, ask->transport) == 0 &&
	    leads_there(pool, route.nexthop, ask->endpoint);
}

/* Does local pass this user's mail on to it? */
static WAITS bool
is_passed_there(struct rules *r, struct pool *pool,
    const struct ask_dial *ask)
{
	const char	**values;
	size_t		  i, count;

	values = lookups_passing(r, pool, ask->address, &count);
	for (i = 0; i < count; i++)
		if (names(pool, values[i], ask))
			return true;
	return false;
}

/* Is it that of a content filter? One without a next hop has the usual. */
static bool
is_filter(struct rules *r, struct pool *pool, const char *filter,
    const struct ask_dial *ask)
{
	const char	**usual;
	size_t		  i, count;

	if (names(pool, filter, ask))
		return true;
	if (*transport_parse(pool, filter).nexthop != '\0')
		return false;
	usual = lookups_values(r, pool, "default_filter_nexthop", &count);
	for (i = 0; i < count; i++)
		if (names(pool, pool_printf(pool, "%.*s:%s",
		    (int)strcspn(filter, ":"), filter, usual[i]), ask))
			return true;
	return false;
}

/* The content filter that the queue file names, NULL for none. It must be the
 * queue's owner's: whoever asks has files, too. It is short, and qmgr has just
 * read it. */
static const char *
filter_of(struct pool *pool, int fd)
{
	struct stat	queue, st;
	struct mail	mail;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    stat(queue_dir_name(QUEUE_INCOMING), &queue) == -1 ||
	    st.st_uid != queue.st_uid || !queue_is_complete(st.st_mode) ||
	    envelope_read_mail(&mail, pool, fd) != NULL)
		return NULL;
	return mail.filter;
}

/* Does the message go there to be filtered? */
static bool
is_filtered_there(struct rules *r, struct pool *pool,
    const struct ask_dial *ask)
{
	const char	**values, *filter = filter_of(pool, ask->message);
	size_t		  i, count;

	if (filter != NULL && is_filter(r, pool, filter, ask))
		return true;
	values = lookups_values(r, pool, "content_filter", &count);
	for (i = 0; i < count; i++)
		if (is_filter(r, pool, values[i], ask))
			return true;
	return false;
}

/* --- connecting ---------------------------------------------------------- */

/* Connect; a full backlog is waited for. 0 or -1. */
static WAITS int
connect_to(int fd, const struct sockaddr_un *to, int64_t deadline)
{
	while (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == -1) {
		if (errno != EAGAIN)
			return -1;
		if (clock_now() + BACKLOG_PAUSE > deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (fiber_sleep(BACKLOG_PAUSE) == -1)
			return -1;
	}
	return 0;
}

/* Open the socket; -1 with errno. */
WAITS int
dial_socket(const char *endpoint)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX };
	int			fd, problem;

	if (strlcpy(to.sun_path, relative(endpoint), sizeof(to.sun_path)) >=
	    sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || connect_to(fd, &to, clock_now() + DIAL_TIME) == 0)
		return fd;
	problem = errno;
	close(fd);
	errno = problem;
	return -1;
}

/* What to do about it, as far as that is known. */
const char *
dial_advice(int problem)
{
	switch (problem) {
	case EACCES:
		return ": its owner must let user postrider-map in";
	case ENOENT:
		return ": the server behind it does not run, or listens "
		    "elsewhere";
	case ECONNREFUSED:
		return ": the server behind it does not run";
	case ETIMEDOUT:
		return ": the server behind it does not accept connections";
	default:
		return "";
	}
}

/* Answer smtp. */
WAITS void
dial_find(struct rules *r, struct pool *pool, const struct ask_dial *ask,
    struct dialed *to)
{
	int	problem;

	memset(to, 0, sizeof(*to));
	to->text = pool_strdup(pool, "");
	to->socket = -1;
	if (!is_routed_there(r, pool, ask) &&
	    !is_passed_there(r, pool, ask) &&
	    !is_filtered_there(r, pool, ask)) {
		log_warning("no connection to %s: mail for %s does not go "
		    "there by %s", ask->endpoint, ask->address,
		    ask->transport);
		to->result = ROUTE_TEMPORARY;
		to->text = pool_printf(pool, "%.1000s: mail for this address "
		    "does not go there", ask->endpoint);
		return;
	}
	to->socket = dial_socket(ask->endpoint);
	if (to->socket != -1)
		return;
	problem = errno;
	to->result = ROUTE_TEMPORARY;
	to->text = pool_printf(pool, "%.1000s: %s%s", ask->endpoint,
	    strerror(problem), dial_advice(problem));
}
