/*
 * bounce.c - the bounce program: tells senders what became of their mail.
 *
 * qmgr hands it a message and the outcomes of some recipients; it writes a
 * report (report.c) and posts it to cleanup like any other mail, without a
 * sender, so that no report is ever answered with a report.
 *
 * P1  250 is answered only after cleanup has said that the report is on
 *     stable storage.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/ipc/posting.h"
#include "common/param/site.h"
#include "qmgr/report.h"

enum {
	HEADER_MAX = 64 * 1024,
	PIECE = 32 * 1024,
	PATIENCE = 2 * 60 * 1000
};

static int64_t		 size_limit;
static struct link	*to_cleanup;

static const struct param	bounce_params[] = {
	PARAM_SIZE("bounce_size_limit", size_limit, "50000", 1, INT64_MAX / 2,
	    "The greatest message that is returned whole; of greater ones the "
	    "header is."),
	PARAM_END
};

static const struct param *const	params[] = { bounce_params, NULL };

/* Letters that no message contains by chance. */
static const char *
make_boundary(struct pool *pool, const char *queue_id)
{
	uint64_t	random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)clock_wall_us();
	return pool_printf(pool, "%s.%016jx", queue_id, (uintmax_t)random);
}

/* Read the beginning of the message and make up our mind. */
static int
prepare(struct report *r, struct pool *pool)
{
	const struct bounce	*b = r->about;
	char			*start = pool_alloc(pool, HEADER_MAX);
	size_t			 len = HEADER_MAX;
	ssize_t			 n;

	if ((int64_t)len > b->content_length)
		len = (size_t)b->content_length;
	if ((n = fs_pread(b->message, start, len, b->content_offset)) == -1)
		return -1;
	report_learn(r, pool, start, (size_t)n);
	report_choose(r, size_limit);
	return 0;
}

/* Copy the message, or its header, into the report. */
static WAITS int
copy(const struct report *r, struct posting *p, struct pool *pool)
{
	char	*piece = pool_alloc(pool, PIECE);
	int64_t	 offset = r->about->content_offset, left = r->copy_length;
	ssize_t	 n;

	for (; left > 0; left -= n, offset += n) {
		n = fs_pread(r->about->message, piece,
		    left < PIECE ? (size_t)left : PIECE, offset);
		if (n == 0)
			errno = EIO;		/* shorter than it was */
		if (n <= 0)
			return -1;
		if (posting_write(p, piece, (size_t)n,
		    clock_now() + PATIENCE) == -1)
			return -1;
	}
	return 0;
}

/* The envelope of the report. */
static struct posting *
open_posting(const struct report *r, struct pool *pool)
{
	static char		nothing[1];
	struct recipient_row	to = { .address = r->about->sender,
				    .original = nothing, .orcpt = nothing };
	struct mail		mail = { .sender = nothing,
	    .origin = (char *)(uintptr_t)"bounce", .client_name = nothing,
	    .client_address = nothing, .helo = nothing, .protocol = nothing,
	    .full_name = nothing, .envelope_id = nothing,
	    .return_what = nothing, .login = nothing, .extra = nothing,
	    .verp = nothing,
	    .uid = -1, .flags = MAIL_IS_BOUNCE,
	    .arrival_us = clock_wall_us(), .recipients = &to, .count = 1 };

	if (report_is_8bit(r))
		mail.flags |= MAIL_IS_8BIT;
	return posting_open(pool, to_cleanup, &mail, clock_now() + PATIENCE);
}

/* Write the report and have it queued: 0 with the answer, or -1. */
static WAITS int
post(const struct report *r, struct pool *pool, struct queued *answer)
{
	struct posting	*p;
	struct str	 text;

	if ((p = open_posting(r, pool)) == NULL)
		return -1;
	str_init(&text, pool, 0);
	report_head(&text, r);
	if (posting_write(p, text.data, text.len, clock_now() + PATIENCE) == 0
	    && copy(r, p, pool) == 0) {
		str_clear(&text);
		report_tail(&text, r);
		if (posting_write(p, text.data, text.len,
		    clock_now() + PATIENCE) == 0)
			return posting_finish(p, answer,
			    clock_now() + PATIENCE);
	}
	posting_abandon(p);
	return -1;
}

/* The answer for qmgr. */
static void
answer(struct request *r, int64_t code, const char *queue_id,
    const char *text)
{
	struct bounced	bounced = { .code = code,
			    .queue_id = (char *)(uintptr_t)queue_id,
			    .text = (char *)(uintptr_t)text };

	(void)channel_reply(r, PACKET_BOUNCED, &bounced);
}

/* One report. */
static WAITS void
make(struct request *request)
{
	const struct bounce	*b = request->object;
	struct report		 r = { .about = b,
				    .myhostname = site.myhostname };
	struct queued		 queued = { .code = 451 };

	r.now = (time_t)(clock_wall_us() / 1000000);
	r.boundary = make_boundary(request->pool, b->queue_id);
	if (prepare(&r, request->pool) == -1 ||
	    post(&r, request->pool, &queued) == -1) {
		answer(request, 451, "", strerror(errno));
		return;
	}
	if (queued.code / 100 == 2)
		log_info("%s: %s: %s", b->queue_id, report_name(b->kind),
		    queued.queue_id);
	answer(request, queued.code, queued.queue_id, queued.reply);
}

/* PACKET_BOUNCE. */
static WAITS void
on_bounce(struct request *request)
{
	const struct bounce	*b = request->object;

	if (daemon_unsupported() != NULL) {
		log_error("%s", daemon_unsupported());
		answer(request, 451, "", daemon_unsupported());
	} else if (b->sender[0] == '\0')
		answer(request, 554, "", "there is no sender to tell");
	else
		make(request);
	close(b->message);
}

/* The way to cleanup. */
static WAITS void
start(void)
{
	to_cleanup = link_new("cleanup", site_processes("cleanup"), NULL);
}

static const struct peer	peers[] = {
	{ "qmgr",	PACKET_BOUNCE,		on_bounce,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

int
main(int argc, char **argv)
{
	static const struct daemon	bounce = {
		.name = "bounce",
		.params = params,
		.peers = peers,
		.start = start,
	};

	return daemon_run(argc, argv, &bounce);
}
