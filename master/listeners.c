/*
 * listeners.c - the sockets that outlive the daemons behind them.
 *
 * Inet listeners are shared by the workers of a service. Each worker of an
 * internal service has a socket of its own, private/NAME.1 and so on, which
 * is opened by a path relative to the queue directory, since the path of a
 * socket has 108 bytes at most. Who may open it is a row of roles.c.
 *
 * A listener is watched until the first call, which starts its service; from
 * then on the service is kept running.
 */
#include "master/listeners.h"

#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/loop.h"
#include "common/net/dial.h"
#include "common/param/site.h"
#include "master/sockets.h"

enum { BACKLOG = 1024, ADDRESSES_MAX = 64 };

struct listener {
	TAILQ_ENTRY(listener)	 entry;
	char			 key[128];	/* address or path */
	int			 fd;
	bool			 is_inet, is_called, is_gone;
	const struct unit	*user;		/* in the pass that opens */
	struct loop_fd		 watch;
};

static TAILQ_HEAD(, listener)	 listeners = TAILQ_HEAD_INITIALIZER(listeners);
static void			(*tell_call)(void);

/* Is somebody waiting to be accepted? */
static bool
has_caller(const struct listener *l)
{
	struct pollfd	p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Fiber: wait for the first call, tell it, end. */
static void
watch(void *arg)
{
	struct listener	*l = arg;

	while (!l->is_gone && !has_caller(l))
		if (loop_wait_readable(&l->watch, NEVER) == -1)
			break;
	if (l->is_gone) {
		free(l);
		return;
	}
	loop_remove(&l->watch);
	l->is_called = true;
	if (tell_call != NULL)
		tell_call();
}

/* Keep a new socket under its key, and watch it. */
static struct listener *
keep(const char *key, int fd, bool is_inet)
{
	struct listener	*l = mem_alloc(sizeof(*l));

	memset(l, 0, sizeof(*l));
	strlcpy(l->key, key, sizeof(l->key));
	l->fd = fd;
	l->is_inet = is_inet;
	TAILQ_INSERT_TAIL(&listeners, l, entry);
	if (loop_add(&l->watch, fd) == -1)
		l->is_called = true;		/* start it, then */
	else
		fiber_start(watch, l);
	return l;
}

/* Close one; its watching fiber, if there still is one, frees it. */
static void
drop(struct listener *l)
{
	TAILQ_REMOVE(&listeners, l, entry);
	l->is_gone = true;
	if (!l->is_called)
		loop_remove(&l->watch);
	close(l->fd);
	if (!l->is_inet)
		unlink(l->key);
	if (l->is_called)
		free(l);
}

/* The open one with this key. */
static struct listener *
find(const char *key)
{
	struct listener	*l;

	TAILQ_FOREACH(l, &listeners, entry)
		if (strcmp(l->key, key) == 0)
			return l;
	return NULL;
}

/* "192.0.2.1:25", "[2001:db8::1]:25". */
static void
print_address(char *to, size_t size, const struct inetaddr *address)
{
	char	host[INETADDR_TEXT], port[8];

	inetaddr_print(address, host, sizeof(host));
	(void)snprintf(port, sizeof(port), "%u", address->port);
	strlcpy(to, address->family == AF_INET6 ? "[" : "", size);
	strlcat(to, host, size);
	strlcat(to, address->family == AF_INET6 ? "]:" : ":", size);
	strlcat(to, port, size);
}

/* Let all workers of the unit use this one. */
static void
share(struct unit *unit, size_t place, struct listener *l)
{
	unsigned	i;

	for (i = 0; i < unit->worker_count; i++)
		unit->workers[i].listeners[place] = l;
}

/* Open the unit's ports. */
static const char *
open_inet(struct unit *unit)
{
	struct pool	*pool = unit->services->pool;
	struct listener	*l;
	char		 key[128];
	size_t		 i;
	int		 fd;

	for (i = 0; i < unit->address_count; i++) {
		print_address(key, sizeof(key), &unit->addresses[i]);
		if ((l = find(key)) != NULL && l->user != NULL)
			return pool_printf(pool, "%s: %s is already the "
			    "address of %s", unit->where, key, l->user->where);
		if (l == NULL) {
			dial_set_window(site.tcp_windowsize);
			fd = listen_inet(&unit->addresses[i], BACKLOG);
			if (fd == -1)
				return pool_printf(pool, "%s: %s: cannot "
				    "listen at %s: %s", unit->where,
				    unit->name, key, strerror(errno));
			l = keep(key, fd, true);
		}
		l->user = unit;
		share(unit, i, l);
	}
	return NULL;
}

/* Open one UNIX socket for a worker. */
static const char *
open_unix(struct worker *worker, size_t place, const char *path, mode_t mode,
    uid_t uid, gid_t gid)
{
	struct unit	*unit = worker->unit;
	struct listener	*l;
	int		 fd;

	if ((l = find(path)) != NULL && l->user != NULL)
		return pool_printf(unit->services->pool, "%s: %s is already "
		    "the socket of %s", unit->where, path, l->user->where);
	if (l == NULL) {
		fd = listen_unix(path, unit->flags & UNIT_IS_STREAM ?
		    SOCK_STREAM : SOCK_SEQPACKET, mode, uid, gid);
		if (fd == -1)
			return pool_printf(unit->services->pool,
			    "%s: cannot listen at %s/%s: %s", unit->name,
			    site.queue_directory, path, strerror(errno));
		l = keep(path, fd, false);
	}
	l->user = unit;
	worker->listeners[place] = l;
	return NULL;
}

/* The one socket of a service of spawn, where Postfix has it. */
static const char *
open_spawn(struct unit *unit)
{
	struct pool	*pool = unit->services->pool;
	bool		 is_public = unit->flags & UNIT_PUBLIC;
	const char	*why;
	uid_t		 uid;
	gid_t		 gid;
	mode_t		 mode;

	why = socket_owner(pool, unit->program, &uid, &gid, &mode);
	if (why != NULL)
		return why;
	if (!is_public)
		return open_unix(unit->workers, 0, pool_printf(pool,
		    "private/%s", unit->name), mode, uid, gid);
	return open_unix(unit->workers, 0, pool_printf(pool, "public/%s",
	    unit->name), site.is_root ? 0666 : 0600, (uid_t)-1, (gid_t)-1);
}

/* The sockets of an internal service. */
static const char *
open_internal(struct unit *unit)
{
	struct pool	*pool = unit->services->pool;
	struct worker	*w;
	const char	*why;
	char		*path;
	uid_t		 uid;
	gid_t		 gid;
	mode_t		 mode;

	why = socket_owner(pool, unit->program, &uid, &gid, &mode);
	if (why != NULL)
		return why;
	for (w = unit->workers; w < unit->workers + unit->worker_count; w++) {
		path = pool_printf(pool, "private/%s.%u", unit->name,
		    w->number);
		why = open_unix(w, 0, path, mode, uid, gid);
		if (why == NULL && (unit->flags & UNIT_PUBLIC)) {
			path = pool_printf(pool, "public/%s", unit->name);
			why = open_unix(w, 1, path,
			    site.is_root ? 0666 : 0600, (uid_t)-1, (gid_t)-1);
		}
		if (why != NULL)
			return why;
	}
	return NULL;
}

/* How many sockets each worker of the unit gets. */
static size_t
sockets_of(const struct unit *unit)
{
	if (unit->flags & UNIT_IS_INET)
		return unit->address_count;
	if (strcmp(unit->program, "log") == 0)
		return 0;		/* it has a socketpair instead */
	return unit->flags & UNIT_PUBLIC && !(unit->flags & UNIT_IS_STREAM) ?
	    2 : 1;
}

/* Open or keep everything that the table wants. */
const char *
listeners_open(struct services *services)
{
	struct listener	*l;
	struct unit	*unit;
	const char	*why;
	unsigned	 i;

	TAILQ_FOREACH(l, &listeners, entry)
		l->user = NULL;
	for (unit = services->units; unit < services->units + services->count;
	    unit++) {
		for (i = 0; i < unit->worker_count; i++) {
			unit->workers[i].listener_count = sockets_of(unit);
			unit->workers[i].listeners = pool_array(services->pool,
			    sockets_of(unit), sizeof(struct listener *));
		}
		if (sockets_of(unit) == 0)
			continue;
		why = unit->flags & UNIT_IS_INET ? open_inet(unit) :
		    unit->flags & UNIT_IS_STREAM ? open_spawn(unit) :
		    open_internal(unit);
		if (why != NULL)
			return why;
	}
	return NULL;
}

/* Does any worker of the table hold it? */
static bool
is_used(const struct services *services, const struct listener *l)
{
	const struct unit	*unit;
	const struct worker	*w;
	size_t			 i;

	for (unit = services->units; unit < services->units + services->count;
	    unit++)
		for (w = unit->workers;
		    w < unit->workers + unit->worker_count; w++)
			for (i = 0; i < w->listener_count; i++)
				if (w->listeners[i] == l)
					return true;
	return false;
}

/* Close what nobody wants any more; all of them for NULL. */
void
listeners_sweep(const struct services *services)
{
	struct listener	*l, *next;

	for (l = TAILQ_FIRST(&listeners); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (services == NULL || !is_used(services, l))
			drop(l);
	}
}

/* The descriptor to hand on. */
int
listener_fd(const struct listener *l)
{
	return l->fd;
}

/* A port, or a UNIX socket? */
bool
listener_is_inet(const struct listener *l)
{
	return l->is_inet;
}

/* Has its service been wanted? */
bool
listener_is_called(const struct listener *l)
{
	return l->is_called;
}

/* Remember whom to tell. */
void
listeners_on_call(void (*tell)(void))
{
	tell_call = tell;
}
