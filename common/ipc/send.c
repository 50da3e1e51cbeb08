/*
 * send.c - what a channel sends, and what it keeps when the socket is full.
 *
 * Packets leave in the order of the calls. Once one had to be kept, a fiber
 * sends it and those behind it; channel_send() waits its turn until nothing
 * is kept, so that it adds at most one packet, while channel_post() only adds,
 * up to KEPT_MAX. In a process that gathers, posts and replies are kept, and
 * sent together when the loop's turn ends; what follows them on that channel
 * waits with them. The kernel's limit for descriptors in flight (ETOOMANYREFS)
 * gives no event when it is over, so that one is tried again by time. If a
 * packet that somebody waits for can never be sent the channel is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/ipc/inside.h"
#include "common/ipc/packets.h"

enum { RETRY_PAUSE = 10 };	/* milliseconds */

/* Channels with packets for the end of the turn. */
static LIST_HEAD(, channel)	gathering = LIST_HEAD_INITIALIZER(gathering);
static bool			gathers;

/* An encoded packet, in a buffer that all channels share. */
static struct {
	struct pool	*pool;
	struct str	 data;
	int		 fds[PACKET_FDS];
	size_t		 nfds;
} out;

/* Encode into the shared buffer; 0, or -1 with EMSGSIZE. */
static int
encode(const struct channel *c, unsigned type, unsigned flags, uint64_t id,
    const void *object)
{
	const char	*why;

	if (out.pool == NULL) {
		out.pool = pool_new("packets sent", 0);
		pool_make_secret(out.pool);
		str_init(&out.data, out.pool, PACKET_MAX);
	}
	str_clear(&out.data);
	why = packet_encode(type, flags, id, object, &out.data, out.fds,
	    &out.nfds);
	if (why == NULL)
		return 0;
	log_error("%s for %s cannot be sent: %s", packet_name(type), c->name,
	    why);
	pool_free(out.pool);		/* the sentence was in it */
	out.pool = NULL;
	errno = EMSGSIZE;
	return -1;
}

/* Is it a matter of waiting? */
static bool
is_full(int error)
{
	return error == EAGAIN || error == ETOOMANYREFS || error == ENOBUFS ||
	    error == ENOMEM;
}

/* Is nobody there? */
static bool
is_gone(int error)
{
	return error == EPIPE || error == ENOTCONN || error == ECONNRESET;
}

/* Forget one packet. */
static void
kept_free(struct channel *c, struct kept *k)
{
	STAILQ_REMOVE(&c->kept, k, kept, next);
	c->kept_bytes -= k->len;
	while (k->nfds > 0)
		close(k->fds[--k->nfds]);
	explicit_bzero(k->data, k->len);
	free(k);
}

/* The channel is closed: nothing kept will be sent. */
void
send_forget(struct channel *c)
{
	while (!STAILQ_EMPTY(&c->kept))
		kept_free(c, STAILQ_FIRST(&c->kept));
}

/* Wait until sending may work again; -1 when it never will. */
static WAITS int
wait_for_room(struct channel *c, int error)
{
	if (error == EAGAIN)
		return loop_wait_writable(&c->watch, NEVER);
	return fiber_sleep(RETRY_PAUSE);
}

/* What was promised cannot be sent, though the other side is there: it would
 * wait in vain, but for the end of the channel. */
static void
give_up(struct channel *c, int error)
{
	if (!c->is_open || is_gone(error))
		return;
	log_warning("cannot send to %s: %s: closed", c->name, strerror(error));
	channel_close(c);
	errno = error;
}

/* The first of those kept, and those behind it that go with it: how many that
 * was, or -1. */
static int
send_some_kept(struct channel *c)
{
	struct iovec	 parts[PACKETS_AT_ONCE];
	struct kept	*k = STAILQ_FIRST(&c->kept);
	size_t		 n = 0;
	int		 sent, i;

	if (k->nfds > 0)
		sent = packet_send(c->fd, k->data, k->len, k->fds,
		    k->nfds) == 0 ? 1 : -1;
	else {
		for (; k != NULL && k->nfds == 0 && n < PACKETS_AT_ONCE;
		    k = STAILQ_NEXT(k, next))
			parts[n++] = (struct iovec){ k->data, k->len };
		sent = packet_send_some(c->fd, parts, n);
	}
	for (i = 0; i < sent; i++)
		kept_free(c, STAILQ_FIRST(&c->kept));
	return sent;
}

/* The other side is gone, or cannot be sent to: the rest is dropped; the
 * receiving fiber will read what came before the end. */
static void
drop(struct channel *c, int error)
{
	give_up(c, error);
	send_forget(c);
}

/* The life of the fiber that empties `kept`. */
static void
flush(void *arg)
{
	struct channel	*c = arg;

	fiber_name("channel output");
	while (c->is_open && !STAILQ_EMPTY(&c->kept)) {
		if (send_some_kept(c) != -1)
			fiber_breathe();
		else if (!is_full(errno))
			drop(c, errno);
		else if (wait_for_room(c, errno) == -1)
			send_forget(c);
	}
	c->is_flushing = false;
	fiber_queue_wake_one(&c->room);
	channel_unreference(c);
}

/* Have a fiber send what is kept. */
static void
start_flush(struct channel *c)
{
	c->is_flushing = true;
	channel_reference(c);
	fiber_start(flush, c);
}

/* The turn is over: send what was kept for that, as far as there is room. */
static void
send_gathered(void)
{
	struct channel	*c;

	while ((c = LIST_FIRST(&gathering)) != NULL) {
		LIST_REMOVE(c, gathered);
		c->is_gathering = false;
		while (!STAILQ_EMPTY(&c->kept) && send_some_kept(c) != -1)
			continue;
		if (STAILQ_EMPTY(&c->kept))
			fiber_queue_wake_one(&c->room);
		else if (is_full(errno))
			start_flush(c);
		else
			drop(c, errno);
		channel_unreference(c);
	}
}

/* Gather from now on. */
void
channel_gather(void)
{
	gathers = true;
	loop_on_turn(send_gathered);
}

/* What is kept from now on is for the end of the turn, unless something waits
 * for room already. */
static void
gather(struct channel *c)
{
	if (!gathers || !c->is_open || c->is_gathering ||
	    !STAILQ_EMPTY(&c->kept))
		return;
	c->is_gathering = true;
	channel_reference(c);
	LIST_INSERT_HEAD(&gathering, c, gathered);
}

/* Duplicates of the descriptors; 0, or -1 and none. */
static int
duplicate(struct kept *k)
{
	for (k->nfds = 0; k->nfds < out.nfds; k->nfds++) {
		k->fds[k->nfds] = fcntl(out.fds[k->nfds], F_DUPFD_CLOEXEC, 0);
		if (k->fds[k->nfds] == -1) {
			while (k->nfds > 0)
				close(k->fds[--k->nfds]);
			return -1;
		}
	}
	return 0;
}

/* Keep bytes, and the descriptors of the shared buffer if these are its; 0 or
 * -1. */
static int
keep_bytes(struct channel *c, const struct str *data)
{
	struct kept	*k;

	if (c->kept_bytes + data->len > admit_kept(c)) {
		log_warning("%s (process %jd) reads too slowly: closed",
		    c->name, (intmax_t)c->pid);
		channel_close(c);
		errno = ECONNRESET;
		return -1;
	}
	k = mem_alloc(sizeof(*k) + data->len);
	k->len = data->len;
	k->nfds = 0;
	memcpy(k->data, data->data, k->len);
	if (data == &out.data && duplicate(k) == -1) {
		free(k);
		return -1;
	}
	STAILQ_INSERT_TAIL(&c->kept, k, next);
	c->kept_bytes += k->len;
	if (!c->is_flushing && !c->is_gathering)
		start_flush(c);
	return 0;
}

/* Keep what is in the shared buffer. */
static int
keep(struct channel *c)
{
	return keep_bytes(c, &out.data);
}

/* Send what is in the shared buffer, or keep it. A lost connection is always
 * ECONNRESET; closing is left to the receiving fiber, which may have replies
 * to read. */
static int
send_encoded(struct channel *c)
{
	if (c->is_gathering || !STAILQ_EMPTY(&c->kept))
		return keep(c);
	if (packet_send(c->fd, out.data.data, out.data.len, out.fds,
	    out.nfds) == 0)
		return 0;
	if (is_full(errno))
		return keep(c);
	if (is_gone(errno))
		errno = ECONNRESET;
	return -1;
}

/* Encode, then send or keep; no secret stays in the buffer. */
int
send_post(struct channel *c, unsigned type, unsigned flags, uint64_t id,
    const void *object)
{
	int	result, saved;

	if (!c->is_open) {
		errno = ECONNRESET;
		return -1;
	}
	if (encode(c, type, flags, id, object) == -1)
		return -1;
	result = send_encoded(c);
	saved = errno;
	if (packet_is_secret(type))
		explicit_bzero(out.data.data, out.data.len);
	errno = saved;
	return result;
}

/* The same behind one that was made before; without waiting. */
static int
post_behind(struct channel *c, struct str *made, unsigned type, uint64_t id,
    const void *object)
{
	struct iovec	two[2];
	int		n = 0;

	if (!c->is_open) {
		errno = ECONNRESET;
		return -1;
	}
	if (encode(c, type, 0, id, object) == -1)
		return -1;
	CLAIM(out.nfds == 0);
	packet_set_id(made, id);
	two[0] = (struct iovec){ made->data, made->len };
	two[1] = (struct iovec){ out.data.data, out.data.len };
	if (!c->is_gathering && STAILQ_EMPTY(&c->kept))
		n = packet_send_some(c->fd, two, 2);
	if (n == -1 && !is_full(errno)) {
		if (is_gone(errno))
			errno = ECONNRESET;
		return -1;
	}
	if (n == 2)
		return 0;
	if (n < 1 && keep_bytes(c, made) == -1)
		return -1;
	return send_encoded(c);
}

/* A packet for later. */
int
channel_make(struct channel *c, unsigned type, const void *object,
    struct str *to)
{
	if (encode(c, type, 0, 0, object) == -1)
		return -1;
	CLAIM(out.nfds == 0);
	str_add_mem(to, out.data.data, out.data.len);
	return 0;
}

/* Send without waiting. Who says HELLO wants to know if anybody is there. */
int
channel_post(struct channel *c, unsigned type, uint64_t id, const void *object)
{
	if (type != PACKET_HELLO)
		gather(c);
	return send_post(c, type, 0, id, object);
}

/* Wait until nothing is kept, then send; who waits next is woken. */
int
channel_send_behind(struct channel *c, struct str *made, unsigned type,
    uint64_t id, const void *object, int64_t deadline)
{
	int	result = 0, saved;

	channel_reference(c);
	while (result == 0 && c->is_open && !STAILQ_EMPTY(&c->kept))
		result = fiber_queue_wait(&c->room, deadline);
	if (result == 0)
		result = made == NULL ? send_post(c, type, 0, id, object) :
		    post_behind(c, made, type, id, object);
	saved = errno;
	if (STAILQ_EMPTY(&c->kept))
		fiber_queue_wake_one(&c->room);
	channel_unreference(c);
	errno = saved;
	return result;
}

/* With nothing in front. */
int
channel_send(struct channel *c, unsigned type, uint64_t id,
    const void *object, int64_t deadline)
{
	return channel_send_behind(c, NULL, type, id, object, deadline);
}

/* A reply. One that cannot be encoded becomes a refusal, and with one that
 * cannot be sent the channel ends, so that the asker does not wait for it. */
int
channel_reply_to(struct channel *c, uint64_t id, unsigned type,
    const void *object)
{
	struct refused	refused = { .why = (char *)(uintptr_t)
			    "the answer does not fit into a packet" };

	gather(c);
	if (send_post(c, type, PACKET_IS_REPLY, id, object) == 0)
		return 0;
	if (errno != EMSGSIZE || send_post(c, PACKET_REFUSED, PACKET_IS_REPLY,
	    id, &refused) == -1)
		give_up(c, errno);
	return -1;
}

/* A reply to the request in hand. */
int
channel_reply(struct request *r, unsigned type, const void *object)
{
	return channel_reply_to(r->channel, r->id, type, object);
}

/* Ids are unique in the process, so that no two channels share one. */
uint64_t
channel_next_id(struct channel *c)
{
	static uint64_t	last;

	(void)c;
	return ++last;
}
