/*
 * receive.c - what a channel receives.
 *
 * A fiber per channel takes what is there, several datagrams at once, into
 * buffers that all channels share: nothing waits between their arrival and the
 * moment they have been decoded into pools or handled in order. When fewer
 * came than there was room for, none is left, and the next is an event.
 */
#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/ipc/inside.h"

enum {
	HELLO_TIME = 10 * 1000,
	STRANGER_TIME = 10 * 60 * 1000	/* silence allowed to any user */
};

static char		buffers[PACKETS_AT_ONCE][PACKET_MAX];
static struct datagram	batch[PACKETS_AT_ONCE];
static bool		batch_is_lent;	/* to those who handle it */

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

/* How many may come now? Until he is known and for a stranger, what one of
 * them brings decides about the next. */
static size_t
room(const struct channel *c)
{
	size_t	free_places = admit_requests(c) - c->running;

	if (c->is_stranger || (c->is_server && !c->is_known))
		return 1;
	return free_places < PACKETS_AT_ONCE ? free_places : PACKETS_AT_ONCE;
}

/* One of them; no byte at all is the end. */
static void
hear(struct channel *c, struct datagram *d)
{
	if (!c->is_open) {
		admit_discard(c, d->fds, d->nfds);
		explicit_bzero(d->data, d->len);
	} else if (d->is_bad) {
		channel_reject(c, "datagram", "it is too long or carries "
		    "descriptors that are not taken");
	} else if (d->len == 0) {
		admit_discard(c, d->fds, d->nfds);
		channel_close(c);
	} else {
		channel_hear(c, d->data, d->len, d->fds, d->nfds);
	}
}

/*
 * Take what is there. A peer that closed with our packets unread shows
 * ECONNRESET before what it had sent, so the first one is only noted.
 */
static WAITS void
receive_some(struct channel *c)
{
	size_t	i, most = room(c);
	ssize_t	n;

	CLAIM(!batch_is_lent);
	for (i = 0; i < most; i++) {
		batch[i].data = buffers[i];
		batch[i].size = PACKET_MAX;
	}
	n = packet_receive_some(c->fd, batch, most, admit_files(c));
	batch_is_lent = true;
	for (i = 0; n > 0 && i < (size_t)n; i++)
		hear(c, &batch[i]);
	batch_is_lent = false;

	if (n == (ssize_t)most || (n > 0 && c->watch.is_over))
		fiber_breathe();
	else if (n > 0 || errno == EAGAIN)
		wait_for_input(c);
	else if (errno == ECONNRESET && !c->was_reset)
		c->was_reset = true;
	else
		channel_close(c);
}

/* The life of a channel's fiber. */
void
channel_receive(void *arg)
{
	struct channel	*c = arg;

	fiber_name("channel");
	while (c->is_open) {
		if (c->running < admit_requests(c))
			receive_some(c);
		else if (fiber_queue_wait(&c->places, NEVER) == -1)
			channel_close(c);
	}
	if (c->closed != NULL)
		c->closed(c, c->context);
	channel_unreference(c);
}
