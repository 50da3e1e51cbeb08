/*
 * channel.c - one connection between two processes: its life and what it
 * hears.
 *
 * Receiving is in receive.c, sending in send.c, replies are in exchange.c; how
 * many may come is told by admit.c.
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

enum { SEND_BUFFER = 1024 * 1024 };

/* A request on its way to its handler's fiber. */
struct job {
	struct request	 request;
	void		(*handler)(struct request *);
};

struct channel_list		 channels = LIST_HEAD_INITIALIZER(channels);
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
void
channel_reject(struct channel *c, const char *what, const char *why)
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

/* He is of a version that we cannot talk to: which, and what we are. */
static void
refuse_version(struct channel *c, int64_t version)
{
	char	why[100];

	snprintf(why, sizeof(why), "another version of Postrider is running "
	    "here: its packets are of version %jd, ours of %d",
	    (intmax_t)version, IPC_VERSION);
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
		channel_reject(c, "HELLO", why);
		pool_free(pool);
		return;
	}
	strlcpy(c->name, hello.service, sizeof(c->name));
	pool_free(pool);
	c->is_known = true;
	c->is_newer = hello.version > IPC_VERSION;
	if (!version_is_understood(hello.version))
		refuse_version(c, hello.version);
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
		row->handler(&job->request);
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
		channel_reject(c, packet_name(p->type), why);
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

/* One datagram, in a buffer that all channels share. */
void
channel_hear(struct channel *c, char *data, size_t len, const int *fds,
    size_t nfds)
{
	struct packet	 p;
	const char	*why;

	why = packet_parse(&p, data, len);
	if (why != NULL && version_takes(c, &p)) {
		admit_discard(c, fds, nfds);
		return;
	}
	if (why == NULL && p.nfds != nfds)
		why = "its head counts other descriptors";
	if (why != NULL) {
		channel_reject(c, "head", why);
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
		channel_reject(c, packet_name(p.type), why);
		admit_discard(c, p.fds, p.nfds);
	}
	if (packet_is_secret(p.type))
		explicit_bzero(data, len);
}

/* --- a new one ----------------------------------------------------------- */

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
	fiber_start(channel_receive, c);
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

/* Tell all of one service. */
void
channel_post_all(const char *service, unsigned type, const void *object)
{
	struct channel	*c;

	LIST_FOREACH(c, &channels, entry)
		if (c->is_server && c->is_open && c->is_known &&
		    strcmp(c->name, service) == 0)
			(void)send_post(c, type, 0, 0, object);
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
