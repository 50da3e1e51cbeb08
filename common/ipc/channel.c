/*
 * channel.c - one connection between two processes: its life and what it
 * receives.
 *
 * A fiber per channel receives into a buffer that all channels share: nothing
 * waits between a datagram's arrival and the moment it has been decoded into
 * a pool or handled in order. Sending is in send.c, replies in exchange.c, how
 * many may come in admit.c.
 *
 * C1  What the other side sends can close its channel and nothing else.
 * C2  Every descriptor that comes in is handed to one owner or closed.
 * C3  No handler is called for a packet that the peer's row does not name.
 * C4  `closed` is called once, after everyone who waited was told.
 */
#include "common/ipc/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/ipc/inside.h"
#include "common/ipc/packets.h"

enum {
	SEND_BUFFER = 1024 * 1024,
	HELLO_TIME = 10 * 1000,
	STRANGER_TIME = 10 * 60 * 1000	/* silence allowed to any user */
};

/* A request on its way to its handler's fiber. */
struct job {
	struct request	 request;
	void		(*handler)(struct request *);
};

struct channel_list		 channels = LIST_HEAD_INITIALIZER(channels);
static char			 scratch[PACKET_MAX];
static bool			 scratch_is_lent;	/* to a handler */
static unsigned			 requests_running;
static uint64_t			 requests_total, packets_malformed;
static bool			(*is_trusted)(const char *, uid_t);

/* --- life ---------------------------------------------------------------- */

/* Keep the struct for one more user. */
void
channel_reference(struct channel *c)
{
	c->references++;
}

/* One user less; the last one frees it. */
void
channel_unreference(struct channel *c)
{
	CLAIM(c->references > 0);
	if (--c->references > 0)
		return;
	CLAIM(!c->is_open && c->exchange_count == 0);
	LIST_REMOVE(c, entry);
	free(c);
}

/* The same for other directories, which counts as load. */
void
channel_hold(struct channel *c)
{
	c->holds++;
	channel_reference(c);
}

/* The end of a hold. */
void
channel_release(struct channel *c)
{
	CLAIM(c->holds > 0);
	c->holds--;
	channel_unreference(c);
}

/* Close it; the receiving fiber calls `closed` when it sees that. */
void
channel_close(struct channel *c)
{
	if (!c->is_open)
		return;
	c->is_open = false;
	loop_remove(&c->watch);
	close(c->fd);
	c->fd = -1;
	send_forget(c);
	exchange_fail_all(c, ECONNRESET);
	fiber_queue_wake_all(&c->places);
	fiber_queue_wake_all(&c->room);
}

/* Tell the log what is wrong with the other side, count it, close. */
static void
reject(struct channel *c, const char *what, const char *why)
{
	packets_malformed++;
	log_warning("%s (process %jd, user %jd): packet %s: %s", c->name,
	    (intmax_t)c->pid, (intmax_t)c->uid, what, why);
	channel_close(c);
}

/* --- HELLO --------------------------------------------------------------- */

/* Say no and close. What was sent is still read by the other side. */
static void
refuse(struct channel *c, const char *why)
{
	struct refused	refused = { .why = (char *)(uintptr_t)why };

	log_warning("%s (process %jd, user %jd) is refused: %s", c->name,
	    (intmax_t)c->pid, (intmax_t)c->uid, why);
	(void)send_post(c, PACKET_REFUSED, 0, 0, &refused);
	channel_close(c);
}

/* Has the table a row of just this name? */
static bool
has_row(const struct peer *row, const char *name)
{
	for (; row != NULL && row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return true;
	return false;
}

/* Is this user one who may use the service's name? */
static bool
may_be(const char *service, uid_t uid)
{
	return uid == 0 || uid == geteuid() ||
	    (is_trusted != NULL && is_trusted(service, uid));
}

/* He came by a "*" row: one of a user's commands. */
static void
admit_stranger(struct channel *c)
{
	const char	*why;

	c->is_stranger = true;
	if ((why = admit(c)) != NULL)
		refuse(c, why);
}

/* The first packet: who are you, and which language do you speak? */
static void
hear_hello(struct channel *c, const struct packet *p)
{
	struct pool	*pool = pool_new("hello", 0);
	struct hello	 hello;
	const char	*why;

	if ((why = packet_decode(p, &hello, pool)) != NULL) {
		reject(c, "HELLO", why);
		pool_free(pool);
		return;
	}
	strlcpy(c->name, hello.service, sizeof(c->name));
	pool_free(pool);
	c->is_known = true;
	c->is_newer = hello.version > IPC_VERSION;
	if (!version_is_understood(hello.version))
		refuse(c, "another version of Postrider is running here");
	else if (has_row(c->peers, c->name)) {
		if (!may_be(c->name, c->uid))
			refuse(c, "it runs as the wrong user");
	} else if (has_row(c->peers, "*"))
		admit_stranger(c);
	else
		refuse(c, "it has no business here");
}

/* --- packets ------------------------------------------------------------- */

/* The row that allows this peer to send this type. Who connected chose whom
 * to call, so for him the names of the rows do not matter. */
static const struct peer *
find_row(const struct channel *c, unsigned type)
{
	const struct peer	*row;

	for (row = c->peers; row != NULL && row->name != NULL; row++)
		if (row->type == type && (!c->is_server ||
		    strcmp(row->name, "*") == 0 ||
		    strcmp(row->name, c->name) == 0))
			return row;
	return NULL;
}

/* The life of a handler's fiber. */
static void
run_job(void *arg)
{
	struct job	*job = arg;
	struct channel	*c = job->request.channel;

	fiber_name(packet_name(job->request.type));
	job->handler(&job->request);
	pool_free(job->request.pool);
	requests_running--;
	if (c->running-- == admit_requests(c))
		fiber_queue_wake_all(&c->places);
	channel_unreference(c);
}

/* Give a decoded request to its handler. */
static void
start_job(struct channel *c, const struct peer *row, struct job *job)
{
	requests_total++;
	if (row->handling == IN_ORDER) {
		scratch_is_lent = true;
		row->handler(&job->request);
		scratch_is_lent = false;
		pool_free(job->request.pool);
		return;
	}
	job->handler = row->handler;
	channel_reference(c);
	c->running++;
	requests_running++;
	fiber_start(run_job, job);
}

/* A request: decode it and have it handled. NULL, or what is wrong. */
static const char *
hear_request(struct channel *c, struct packet *p)
{
	const struct peer	*row = find_row(c, p->type);
	struct pool		*pool;
	struct job		*job;
	const char		*why;

	if (row == NULL)
		return "it is not allowed from there";
	pool = pool_new("request", 0);
	if (packet_is_secret(p->type))
		pool_make_secret(pool);
	job = pool_alloc(pool, sizeof(*job));
	job->request = (struct request){ .channel = c, .peer = c->name,
	    .uid = c->uid, .pid = c->pid, .type = p->type, .id = p->id,
	    .pool = pool };
	job->request.object = pool_alloc(pool, packet_struct_size(p->type));
	if (row->handling == ON_A_FIBER && packet_has_data(p->type))
		p->body = (unsigned char *)pool_strndup(pool, p->body, p->len);
	if ((why = packet_decode(p, job->request.object, pool)) != NULL) {
		reject(c, packet_name(p->type), why);
		pool_free(pool);
		admit_discard(c, p->fds, p->nfds);
		return NULL;
	}
	start_job(c, row, job);
	return NULL;
}

/* The other side leaves: it hears from us that nothing more will come. */
static void
hear_goodbye(struct channel *c)
{
	struct empty	nothing = { 0 };

	c->is_draining = true;
	if (!c->is_server)
		(void)send_post(c, PACKET_GOODBYE, 0, 0, &nothing);
}

/* REFUSED outside of an exchange: the whole channel is not wanted. */
static void
hear_refused(struct channel *c, const struct packet *p)
{
	struct pool	*pool = pool_new("refused", 0);
	struct refused	 refused;

	if (packet_decode(p, &refused, pool) == NULL)
		log_warning("%s refuses us: %s", c->name, refused.why);
	pool_free(pool);
	channel_close(c);
}

/* A well-formed packet of a known peer: NULL, or what is wrong with it. */
static const char *
hear(struct channel *c, struct packet *p)
{
	const char	*why = NULL;
	bool		 is_reply = (p->flags & PACKET_IS_REPLY) != 0;

	if (is_reply && exchange_take(c, p, &why))
		return why;
	if (is_reply && find_row(c, p->type) == NULL) {
		admit_discard(c, p->fds, p->nfds);	/* the asker has gone */
		return NULL;
	}
	switch (p->type) {
	case PACKET_HELLO:
		return "it was said before";
	case PACKET_GOODBYE:
		hear_goodbye(c);
		return p->nfds == 0 ? NULL : "it carries descriptors";
	case PACKET_REFUSED:
		if (p->nfds > 0)
			return "it carries descriptors";
		hear_refused(c, p);
		return NULL;
	default:
		return hear_request(c, p);
	}
}

/* One datagram in the shared buffer. */
static void
hear_datagram(struct channel *c, size_t len, const int *fds, size_t nfds)
{
	struct packet	 p;
	const char	*why;

	why = packet_parse(&p, scratch, len);
	if (why != NULL && version_takes(c, &p)) {
		admit_discard(c, fds, nfds);
		return;
	}
	if (why == NULL && p.nfds != nfds)
		why = "its head counts other descriptors";
	if (why != NULL) {
		reject(c, "head", why);
		admit_discard(c, fds, nfds);
		return;
	}
	memcpy(p.fds, fds, nfds * sizeof(*fds));
	if (c->is_server && !c->is_known) {
		why = p.type == PACKET_HELLO && nfds == 0 ? NULL :
		    "HELLO was expected";
		if (why == NULL)
			hear_hello(c, &p);
	} else {
		why = hear(c, &p);
	}
	if (why != NULL) {
		reject(c, packet_name(p.type), why);
		admit_discard(c, p.fds, p.nfds);
	}
	if (packet_is_secret(p.type))
		explicit_bzero(scratch, len);
}

/* --- the receiving fiber ------------------------------------------------- */

/* Wait for a datagram as long as this peer may be silent. */
static WAITS void
wait_for_input(struct channel *c)
{
	int64_t	deadline = NEVER;

	if (c->is_server && !c->is_known)
		deadline = clock_now() + HELLO_TIME;
	else if (c->is_stranger)
		deadline = clock_now() + STRANGER_TIME;
	if (loop_wait_readable(&c->watch, deadline) == 0)
		return;
	if (errno == ETIMEDOUT && (c->running > 0 || c->holds > 0))
		return;
	channel_close(c);
}

/*
 * Receive once. A peer that closed with our packets unread shows ECONNRESET
 * before what it had sent, so the first one is only noted.
 */
static WAITS void
receive_one(struct channel *c)
{
	int	fds[PACKET_FDS];
	size_t	nfds;
	ssize_t	n;

	CLAIM(!scratch_is_lent);
	n = packet_receive(c->fd, scratch, sizeof(scratch),
	    admit_files(c) ? fds : NULL, &nfds);
	if (n > 0) {
		hear_datagram(c, (size_t)n, fds, nfds);
		fiber_breathe();
		return;
	}
	if (n == 0) {
		admit_discard(c, fds, nfds);
		channel_close(c);
	} else if (errno == EAGAIN)
		wait_for_input(c);
	else if (errno == ECONNRESET && !c->was_reset)
		c->was_reset = true;
	else if (errno == EPROTO)
		reject(c, "datagram", "it is too long or carries "
		    "descriptors that are not taken");
	else
		channel_close(c);
}

/* The life of a channel's fiber. */
static void
receive(void *arg)
{
	struct channel	*c = arg;

	fiber_name("channel");
	while (c->is_open) {
		if (c->running < admit_requests(c))
			receive_one(c);
		else if (fiber_queue_wait(&c->places, NEVER) == -1)
			channel_close(c);
	}
	if (c->closed != NULL)
		c->closed(c, c->context);
	channel_unreference(c);
}

/* Who is on the other side, as the kernel saw him connect. */
static void
read_credentials(struct channel *c)
{
	struct ucred	peer;
	socklen_t	len = sizeof(peer);

	c->uid = (uid_t)-1;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
		c->uid = peer.uid;
		c->pid = peer.pid;
	}
}

/* A channel over a connected descriptor. If the loop cannot take it, it is
 * closed from the beginning, and `closed` is called as ever. */
struct channel *
channel_new(int fd, bool is_server, const struct peer *peers,
    void (*closed)(struct channel *, void *), void *context)
{
	struct channel	*c = mem_alloc(sizeof(*c));
	const char	*why;
	int		 size = SEND_BUFFER;

	*c = (struct channel){ .fd = fd, .references = 1, .is_open = true,
	    .is_server = is_server, .peers = peers, .closed = closed,
	    .context = context, .name = "?" };
	fiber_queue_init(&c->places);
	fiber_queue_init(&c->room);
	STAILQ_INIT(&c->kept);
	RB_INIT(&c->exchanges);
	LIST_INSERT_HEAD(&channels, c, entry);

	/* The kernel gives less if it must; a channel works all the same. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	read_credentials(c);
	if (loop_add(&c->watch, fd) == -1) {
		log_warning("cannot watch a channel: %s", strerror(errno));
		close(fd);
		c->is_open = false;
	}
	fiber_start(receive, c);
	if (is_server && (why = admit(c)) != NULL)
		refuse(c, why);
	return c;
}

/* --- small questions ----------------------------------------------------- */

/* What the maker of the channel wanted kept. */
void *
channel_context(const struct channel *c)
{
	return c->context;
}

/* Who is on the other side. */
const char *
channel_name(const struct channel *c)
{
	return c->name;
}

/* Name the other side, for the log. */
void
channel_set_name(struct channel *c, const char *name)
{
	strlcpy(c->name, name, sizeof(c->name));
}

/* Install the answer to "may this user be that service". */
void
channel_set_trust(bool (*may)(const char *, uid_t))
{
	is_trusted = may;
}

/* Can packets still be sent? */
bool
channel_is_open(const struct channel *c)
{
	return c->is_open;
}

/* Has the other side said GOODBYE? */
bool
channel_is_draining(const struct channel *c)
{
	return c->is_draining;
}

/* How busy it is: open exchanges, and conversations that hold it. */
unsigned
channel_load(const struct channel *c)
{
	return c->exchange_count + c->holds;
}

/* Say GOODBYE to all who connected to us. */
void
channel_goodbye_all(void)
{
	struct channel	*c;
	struct empty	 nothing = { 0 };

	LIST_FOREACH(c, &channels, entry)
		if (c->is_server && c->is_open)
			(void)send_post(c, PACKET_GOODBYE, 0, 0, &nothing);
}

/* Those who may still send us something that matters. */
unsigned
channel_accepted(void)
{
	struct channel	*c;
	unsigned	 n = 0;

	LIST_FOREACH(c, &channels, entry)
		if (c->is_server && c->is_open && !c->is_draining &&
		    !c->is_stranger)
			n++;
	return n;
}

/* Handlers that run now. */
unsigned
channel_requests(void)
{
	return requests_running;
}

/* Packets that wait for room. */
unsigned
channel_unsent(void)
{
	struct channel	*c;
	struct kept	*k;
	unsigned	 n = 0;

	LIST_FOREACH(c, &channels, entry)
		STAILQ_FOREACH(k, &c->kept, next)
			n++;
	return n;
}

/* Requests since the start. */
uint64_t
channel_total(void)
{
	return requests_total;
}

/* Bad packets since the start. */
uint64_t
channel_malformed(void)
{
	return packets_malformed;
}
