/*
 * bounce.c - the bounce program: tells senders what became of their mail.
 *
 * qmgr hands it a message and the outcomes of some recipients, in as many
 * packets as it takes; it writes a report (report.c) and posts it to cleanup
 * like any other mail (post.c), without a sender, so that no report is ever
 * answered with a report. What becomes of a report that has no reader:
 *
 *	message without a sender	to the postmaster (2bounce), from the
 *					double-bounce address, or nobody
 *	message from that address, or	nobody: this is where it ends
 *	other mail of ours to him
 *	cleanup refuses it for good	the same as without a sender
 *
 * bounce-2  250 with an id is answered only after cleanup has said that the
 *           report is on stable storage.
 * bounce-3  250 without an id says that there is nobody to tell, or that
 *           whoever there is can never be told; it is logged, here or by qmgr.
 */
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/idn.h"
#include "common/param/site.h"
#include "qmgr/original.h"
#include "qmgr/post.h"
#include "qmgr/postmaster.h"
#include "qmgr/report.h"
#include "qmgr/template.h"

enum {
	TEMPLATE_MAX = 1024 * 1024,
	REPORT_CEILING = 32 * 1024 * 1024
};

/* A report of which more packets are to come, or that is being written. */
struct task {
	TAILQ_ENTRY(task)	 entry;
	struct pool		*pool;
	struct channel		*channel;
	uint64_t		 id;		/* of the request */
	struct bounce		 bounce;
	size_t			 room;		/* in its rows */
};

static struct {
	int64_t	 size_limit;
	char	*template_file;
	bool	 is_threaded;
} set;

static TAILQ_HEAD(, task)	tasks = TAILQ_HEAD_INITIALIZER(tasks);
static struct template		templates[TEMPLATES];

static const struct param	bounce_params[] = {
	PARAM_SIZE("bounce_size_limit", set.size_limit, "50000", 1,
	    INT64_MAX / 2,
	    "The greatest message that is returned whole; of greater ones the "
	    "header is."),
	PARAM_STRING("bounce_template_file", set.template_file, "", 0, 1024,
	    "A file with the texts of reports; what it does not have is as "
	    "Postrider brings it along."),
	PARAM_BOOL("enable_threaded_bounces", set.is_threaded, "yes",
	    "Let reports name the message they are about (In-Reply-To, "
	    "References), so that mail programs show them beside it."),
	PARAM_END
};

static const struct param *const	params[] = {
	bounce_params, postmaster_params, NULL
};

/* --- making a report ----------------------------------------------------- */

/* Letters that no message contains by chance. */
static const char *
make_boundary(struct pool *pool, const char *queue_id)
{
	uint64_t	random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)clock_wall_us();
	return pool_printf(pool, "%s.%016jx", queue_id, (uintmax_t)random);
}

/* The report for this reader, ready to be written: 0, or -1 with errno. */
static WAITS int
begin(struct report *r, struct task *t, enum audience audience,
    const char *to)
{
	static const enum template_kind	kinds[] = {
		[BOUNCE_FAILURE] = TEMPLATE_FAILURE,
		[BOUNCE_DELAY] = TEMPLATE_DELAY,
		[BOUNCE_SUCCESS] = TEMPLATE_SUCCESS,
		[BOUNCE_TRACE] = TEMPLATE_VERIFY
	};

	*r = (struct report){ .about = &t->bounce, .audience = audience,
	    .to = to, .template = &templates[kinds[t->bounce.kind]],
	    .is_threaded = set.is_threaded, .myhostname = site.myhostname,
	    .now = (time_t)(clock_wall_us() / 1000000),
	    .boundary = make_boundary(t->pool, t->bounce.queue_id) };
	return original_look(r, t->pool, set.size_limit);
}

/* All of it into the posting. */
static WAITS int
write_report(const struct report *r, struct posting *p, struct pool *pool)
{
	struct str	text;

	str_init(&text, pool, 0);
	report_head(&text, r);
	if (post_text(p, &text) == -1 || (report_encodes_copy(r) ?
	    post_encoded : post_copy)(p, pool, r->about->message,
	    r->about->content_offset, r->copy_length) == -1)
		return -1;
	str_clear(&text);
	report_tail(&text, r);
	return post_text(p, &text);
}

/* The reader's address in ASCII, if it has such a form: only a local part may
 * make the report a matter of SMTPUTF8. */
static const char *
spell(struct pool *pool, const char *to)
{
	const char	*local, *domain;
	char		*ascii;
	size_t		 len;

	address_split(to, &local, &len, &domain);
	return !has_8bit(local, len) && idn_address(pool, to, &ascii) == NULL ?
	    ascii : to;
}

/* Write a report and have it queued: 0 with cleanup's answer, or -1. */
static WAITS int
post(struct task *t, enum audience audience, const char *to,
    struct queued *answer)
{
	struct report	 r;
	struct posting	*p;
	int64_t		 flags;

	to = spell(t->pool, to);
	if (begin(&r, t, audience, to) == -1)
		return -1;
	flags = (report_is_8bit(&r) ? MAIL_IS_8BIT : 0) |
	    (report_is_utf8(&r) ? MAIL_IS_UTF8 : 0);
	p = post_open(t->pool, audience == FOR_SENDER ? "" :
	    postmaster_sender(), to, flags);
	if (p == NULL)
		return -1;
	/* Whatever went wrong, cleanup may have said why. */
	if (write_report(&r, p, t->pool) == -1 && errno != EPIPE) {
		posting_abandon(p);
		return -1;
	}
	if (posting_finish(p, answer, clock_now() + POST_PATIENCE) == -1)
		return -1;
	if (answer->code / 100 == 2)
		log_info("%s: %s: %s", t->bounce.queue_id,
		    report_name(t->bounce.kind, audience), answer->queue_id);
	return 0;
}

/* --- who is told --------------------------------------------------------- */

/* The answer for qmgr. */
static void
answer(struct task *t, int64_t code, const char *queue_id, const char *text)
{
	struct bounced	bounced = { .code = code,
			    .queue_id = (char *)(uintptr_t)queue_id,
			    .text = (char *)(uintptr_t)text };

	(void)channel_reply_to(t->channel, t->id, PACKET_BOUNCED, &bounced);
}

/* The sender cannot be told: the postmaster is, if he wants to be. */
static WAITS void
tell_postmaster(struct task *t)
{
	unsigned	class = t->bounce.kind == BOUNCE_FAILURE ?
			    NOTIFY_2BOUNCE | NOTIFY_BOUNCE :
			    t->bounce.kind == BOUNCE_DELAY ? NOTIFY_DELAYED :
			    0;
	struct queued	queued;

	if (!postmaster_wants(class)) {
		answer(t, 250, "", "");
		return;
	}
	if (post(t, FOR_POSTMASTER, t->bounce.kind == BOUNCE_FAILURE ?
	    postmaster_2bounce() : postmaster_address(class), &queued) == -1)
		answer(t, 451, "", strerror(errno));
	else if (queued.code / 100 != 5)
		answer(t, queued.code, queued.queue_id, queued.reply);
	else {
		log_error("%s: the postmaster cannot be told: %s",
		    t->bounce.queue_id, queued.reply);
		answer(t, 250, "", "");
	}
}

/* The postmaster gets the headers of what the sender got. That it fails
 * changes nothing: the sender knows. */
static WAITS void
tell_postmaster_too(struct task *t)
{
	unsigned	class = t->bounce.kind == BOUNCE_FAILURE ?
			    NOTIFY_BOUNCE :
			    t->bounce.kind == BOUNCE_DELAY ? NOTIFY_DELAYED :
			    0;
	struct queued	queued;

	if (!postmaster_wants(class))
		return;
	if (post(t, FOR_COPY, postmaster_address(class), &queued) == -1)
		log_warning("%s: the postmaster cannot be told: %s",
		    t->bounce.queue_id, strerror(errno));
	else if (queued.code / 100 != 2)
		log_warning("%s: the postmaster cannot be told: %s",
		    t->bounce.queue_id, queued.reply);
}

/* The sender is told. A report that cleanup will never take is not tried for
 * ever: its reasons go to the postmaster, or into the log. */
static WAITS void
tell_sender(struct task *t)
{
	struct queued	queued;

	if (post(t, FOR_SENDER, t->bounce.sender, &queued) == -1) {
		answer(t, 451, "", strerror(errno));
		return;
	}
	if (queued.code / 100 == 5) {
		log_error("%s: the report to <%s> is refused for good: %s",
		    t->bounce.queue_id, t->bounce.sender, queued.reply);
		tell_postmaster(t);
		return;
	}
	/* At once: should we end now, the sender is not told again. */
	answer(t, queued.code, queued.queue_id, queued.reply);
	if (queued.code / 100 == 2)
		tell_postmaster_too(t);
}

/* The end of a task. */
static void
forget(struct task *t)
{
	TAILQ_REMOVE(&tasks, t, entry);
	if (t->bounce.message != -1)
		close(t->bounce.message);
	channel_release(t->channel);
	pool_free(t->pool);
}

/* Is it what we wrote to the postmaster ourselves? Its sender may have been
 * rewritten on its way; that it is ours stays in its envelope. */
static bool
is_our_letter(const struct bounce *b)
{
	return b->sender[0] != '\0' && ((b->flags & MAIL_IS_BOUNCE) != 0 ||
	    postmaster_is_sender(b->sender));
}

/* One report, on a fiber of its own. */
static WAITS void
run(void *arg)
{
	struct task	*t = arg;

	fiber_name("report");
	if (daemon_unsupported() != NULL) {
		log_error("%s", daemon_unsupported());
		answer(t, 451, "", daemon_unsupported());
	} else if (t->bounce.sender[0] == '\0')
		tell_postmaster(t);
	else if (is_our_letter(&t->bounce)) {
		if (t->bounce.kind == BOUNCE_FAILURE)
			log_warning("%s: undeliverable postmaster notification "
			    "discarded", t->bounce.queue_id);
		answer(t, 250, "", "");
	} else
		tell_sender(t);
	forget(t);
}

/* --- what comes in ------------------------------------------------------- */

/* A copy of the text that outlives its packet. */
static char *
keep(struct task *t, const char *text)
{
	return pool_strdup(t->pool, text);
}

/* More recipients. */
static void
add_rows(struct task *t, const struct bounce_row *rows, size_t n)
{
	struct bounce		*b = &t->bounce;
	struct bounce_row	*to;

	b->rows = pool_grow(t->pool, b->rows, &t->room, b->count + n,
	    sizeof(*b->rows));
	for (; n > 0; n--, rows++) {
		to = &b->rows[b->count++];
		*to = *rows;
		to->address = keep(t, rows->address);
		to->original = keep(t, rows->original);
		to->orcpt = keep(t, rows->orcpt);
		to->dsn = keep(t, rows->dsn);
		to->text = keep(t, rows->text);
		to->remote = keep(t, rows->remote);
		to->diagnostic = keep(t, rows->diagnostic);
	}
}

/* The last packet came, or one too many. */
static void
go_on(struct task *t, bool has_more)
{
	if (t->bounce.count > REPORT_ROWS || pool_is_over(t->pool)) {
		log_error("%s: a report with too many recipients",
		    t->bounce.queue_id);
		answer(t, 451, "", "too many recipients for a report");
		forget(t);
	} else if (!has_more)
		fiber_start(run, t);
}

/* PACKET_BOUNCE. */
static void
on_bounce(struct request *request)
{
	const struct bounce	*b = request->object;
	struct pool		*pool = pool_new("report", REPORT_CEILING);
	struct task		*t = pool_alloc(pool, sizeof(*t));

	t->pool = pool;
	t->channel = request->channel;
	channel_hold(t->channel);
	t->id = request->id;
	t->bounce = *b;
	t->bounce.queue_id = keep(t, b->queue_id);
	t->bounce.sender = keep(t, b->sender);
	t->bounce.envelope_id = keep(t, b->envelope_id);
	t->bounce.return_what = keep(t, b->return_what);
	t->bounce.received_from = keep(t, b->received_from);
	t->bounce.rows = NULL;
	t->bounce.count = 0;
	TAILQ_INSERT_TAIL(&tasks, t, entry);
	add_rows(t, b->rows, b->count);
	go_on(t, b->has_more);
}

/* PACKET_BOUNCE_ROWS. What belongs to no report was refused before. */
static void
on_rows(struct request *request)
{
	const struct bounce_rows	*more = request->object;
	struct task			*t;

	TAILQ_FOREACH(t, &tasks, entry)
		if (t->channel == request->channel && t->id == request->id &&
		    t->bounce.has_more)
			break;
	if (t == NULL)
		return;
	t->bounce.has_more = more->has_more;
	add_rows(t, more->rows, more->count);
	go_on(t, more->has_more);
}

/* A qmgr is gone: what it had begun to tell is forgotten. */
static void
on_closed(struct channel *channel, void *context)
{
	struct task	*t, *next;

	(void)context;
	TAILQ_FOREACH_SAFE(t, &tasks, entry, next)
		if (t->channel == channel && t->bounce.has_more)
			forget(t);
}

/* --- the start ----------------------------------------------------------- */

/* The texts that we bring along are good; a strange myhostname may not be. */
static void
standard_templates(struct pool *pool)
{
	const char	*why;
	int		 i;

	memset(templates, 0, sizeof(templates));
	why = template_parse(pool, "template.c", template_standard,
	    strlen(template_standard), templates);
	if (why != NULL)
		bug("%s", why);
	for (i = 0; i < TEMPLATES; i++)
		if ((why = template_expand(pool, "template.c", daemon_maincf(),
		    &templates[i])) != NULL)
			log_warning("the texts of reports: %s", why);
}

/* The administrator's. NULL, or what is wrong with them. */
static const char *
read_templates(struct pool *pool)
{
	struct template	 own[TEMPLATES];
	const char	*why;
	char		*text;
	size_t		 len;
	int		 i;

	if (set.template_file[0] == '\0')
		return NULL;
	text = fs_read_file(pool, set.template_file, TEMPLATE_MAX, &len);
	if (text == NULL)
		return pool_printf(pool, "%s: %s", set.template_file,
		    strerror(errno));
	memcpy(own, templates, sizeof(own));
	if ((why = template_parse(pool, set.template_file, text, len,
	    own)) != NULL)
		return why;
	for (i = 0; i < TEMPLATES; i++)
		if (own[i].text != templates[i].text &&
		    (why = template_expand(pool, set.template_file,
		    daemon_maincf(), &own[i])) != NULL)
			return why;
	memcpy(templates, own, sizeof(own));
	return NULL;
}

/* While the files are in sight. A mistake in the texts is an error for who
 * checks; a system that runs reports with ours rather than not at all. */
static void
before(void)
{
	struct pool	*pool = pool_new("templates", 0);
	const char	*why;

	standard_templates(pool);
	if ((why = postmaster_prepare()) != NULL)
		die("%s", why);
	if ((why = read_templates(pool)) == NULL)
		return;
	if (daemon_is_checking())
		die("bounce_template_file: %s", why);
	log_warning("bounce_template_file: %s; the texts that Postrider brings "
	    "along are used", why);
}

/* Reports that are under way. */
static unsigned
busy(void)
{
	struct task	*t;
	unsigned	 n = 0;

	TAILQ_FOREACH(t, &tasks, entry)
		n++;
	return n;
}

static const struct peer	peers[] = {
	{ "qmgr",	PACKET_BOUNCE,		on_bounce,	IN_ORDER },
	{ "qmgr",	PACKET_BOUNCE_ROWS,	on_rows,	IN_ORDER },
	{ "smtpd",	PACKET_TRANSCRIPT,	on_transcript,	ON_A_FIBER },
	{ "smtp",	PACKET_TRANSCRIPT,	on_transcript,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

int
main(int argc, char **argv)
{
	static const struct daemon	bounce = {
		.name = "bounce",
		.params = params,
		.peers = peers,
		.before = before,
		.start = post_start,
		.closed = on_closed,
		.busy = busy,
	};

	return daemon_run(argc, argv, &bounce);
}
