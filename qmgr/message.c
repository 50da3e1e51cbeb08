/*
 * message.c - open messages: what is in memory of a queue file.
 *
 * In the common case all of it came in cleanup's packet, and the file is
 * neither opened nor read; a descriptor came along and is kept as long as few
 * are. Otherwise the file is read, with its journal.
 *
 * whole-2  A file that cannot be understood is moved to corrupt/, with a line
 *          in the log, and harms nobody else; one that cannot be read now is
 *          tried again.
 * recovery-4  A file whose writer still holds the lock is not touched: it may
 *             yet be refused.
 */
#include "qmgr/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/fiber/closer.h"
#include "qmgr/sender.h"
#include "qmgr/unfiled.h"

enum { COUNTED = 10000 };

static int
compare_messages(const struct message *a, const struct message *b)
{
	return strcmp(a->id, b->id);
}

static int
compare_jobs(const struct job *a, const struct job *b)
{
	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	return strcmp(a->nexthop, b->nexthop);
}

RB_HEAD(messages, message);
RB_PROTOTYPE(messages, message, entry, )
RB_GENERATE(messages, message, entry, compare_messages)
RB_PROTOTYPE(jobs, job, entry, )
RB_GENERATE(jobs, job, entry, compare_jobs)

static struct messages	messages = RB_INITIALIZER(&messages);
static size_t		count, recipients, kept, kept_limit = 100;

/* How many recipients the message counts for: a mailing that takes hours must
 * not keep out, all that time, who else has more than a few. */
static size_t
weight(const struct message *m)
{
	return m->envelope.count < COUNTED ? m->envelope.count : COUNTED;
}

/* A quarter of the descriptors that we may have. */
void
message_prepare(void)
{
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		kept_limit = limit.rlim_cur > 40000 ? 10000 :
		    (size_t)limit.rlim_cur / 4;
}

/* By id. */
struct message *
message_find(const char *id)
{
	struct message	key;

	strlcpy(key.id, id, sizeof(key.id));
	return RB_FIND(messages, &messages, &key);
}

/* One after the other, by id. */
struct message *
message_next(struct message *m)
{
	return m == NULL ? RB_MIN(messages, &messages) :
	    RB_NEXT(messages, &messages, m);
}

/* The first behind this id, which need not be open any more. */
struct message *
message_after(const char *id)
{
	struct message	 key, *m;

	strlcpy(key.id, id, sizeof(key.id));
	m = RB_NFIND(messages, &messages, &key);
	return m != NULL && strcmp(m->id, id) == 0 ? message_next(m) : m;
}

/* How many are open. */
size_t
message_count(void)
{
	return count;
}

/* How many recipients they have. */
size_t
message_recipients(void)
{
	return recipients;
}

/* --- opening ------------------------------------------------------------- */

/* A message without content, in a pool of its own. */
static struct message *
message_new(const char *id, enum queue_dir dir)
{
	struct pool	*pool = pool_new("message", 0);
	struct message	*m = pool_alloc(pool, sizeof(*m));

	*m = (struct message){ .pool = pool, .dir = dir, .fd = -1 };
	strlcpy(m->id, id, sizeof(m->id));
	RB_INIT(&m->jobs);
	return m;
}

/* One more? */
bool
message_may_keep(void)
{
	return kept < kept_limit;
}

/* Keep the descriptor if few are kept. */
static void
keep_fd(struct message *m, int fd)
{
	if (kept >= kept_limit) {
		close(fd);
		return;
	}
	m->fd = fd;
	kept++;
}

/* Was it sent, and its sender not told? Then a report is still to be made,
 * and the status says of what. */
static bool
is_untold(struct message *m, size_t number)
{
	struct work	*w = &m->work[number];
	struct reason	*r;
	int64_t		 flags = 0;

	switch (m->envelope.recipients[number].status) {
	case RECIPIENT_RELAYED:
		flags = OUTCOME_RELAYED;
		break;
	case RECIPIENT_EXPANDED:
		flags = OUTCOME_EXPANDED;
		break;
	case RECIPIENT_DELIVERED:
		break;
	default:
		return false;
	}
	w->state = WORK_UNTOLD;
	r = w->reason = pool_alloc(m->pool, sizeof(*r));
	*r = (struct reason){ .flags = flags,
	    .dsn = (char *)(uintptr_t)"2.0.0",
	    .text = (char *)(uintptr_t)(flags == 0 ? "delivered" :
	    flags == OUTCOME_RELAYED ? "passed on to a system that does not "
	    "report" : "an alias; passed on to its members"),
	    .remote = (char *)(uintptr_t)"",
	    .diagnostic = (char *)(uintptr_t)"" };
	return true;
}

/* Did it fail, and was the report put off? What failed is in the journal, but
 * for want of room. */
static bool
is_owed(struct message *m, size_t number)
{
	struct reason	*r;

	if (m->envelope.recipients[number].status != RECIPIENT_OWED)
		return false;
	m->work[number].state = WORK_FAILED;
	r = m->work[number].reason = pool_alloc(m->pool, sizeof(*r));
	*r = (struct reason){ .dsn = (char *)(uintptr_t)"5.0.0",
	    .text = (char *)(uintptr_t)"delivery failed",
	    .remote = (char *)(uintptr_t)"",
	    .diagnostic = (char *)(uintptr_t)"" };
	return true;
}

/* The envelope is there: say what is to be done, and know the message. */
static void
enter(struct message *m)
{
	size_t	i;

	m->work = pool_array(m->pool, m->envelope.count, sizeof(*m->work));
	for (i = 0; i < m->envelope.count; i++) {
		if (m->envelope.recipients[i].status == RECIPIENT_TO_DO)
			m->open++;
		else if (!is_untold(m, i) && !is_owed(m, i))
			m->work[i].state = WORK_OVER;
	}
	m->share.who = sender_who(&m->envelope.mail);
	m->active_us = clock_wall_us();
	m->journal_end = m->layout.envelope_offset +
	    m->layout.envelope_length;
	CLAIM(RB_INSERT(messages, &messages, m) == NULL);
	count++;
	recipients += weight(m);
}

/* From cleanup. What is in the packet is what was committed. */
struct message *
message_from_packet(const struct new_mail *mail)
{
	const struct bytes	*b = &mail->envelope;
	struct message		*m;

	if (b->len == 0) {
		if (mail->message != -1)
			close(mail->message);
		return NULL;
	}
	m = message_new(mail->queue_id, QUEUE_INCOMING);
	m->layout = (struct queue_layout){
	    .content_offset = mail->content_offset,
	    .content_length = mail->content_length,
	    .envelope_offset = mail->envelope_offset,
	    .envelope_length = (int64_t)b->len };
	if (envelope_decode(&m->envelope, m->pool, b->data, b->len,
	    mail->envelope_offset, envelope_crc(b->data, b->len)) != NULL) {
		if (mail->message != -1)
			close(mail->message);
		pool_free(m->pool);
		return NULL;
	}
	if (mail->message != -1)
		keep_fd(m, mail->message);
	enter(m);
	return m;
}

/* The text that was kept before, if it is the same. */
static char *
share(struct pool *pool, char *before, const char *text)
{
	return before != NULL && strcmp(before, text) == 0 ? before :
	    pool_strdup(pool, text);
}

/* Keep why. */
struct reason *
message_reason(struct message *m, size_t number, const char *dsn,
    const char *text, const char *remote, const char *diagnostic)
{
	struct reason	 nothing = { .flags = 0 }, *r,
			*last = m->last_reason != NULL ? m->last_reason :
			    &nothing;
	struct reason	 fresh = { .dsn = share(m->pool, last->dsn, dsn),
	    .text = share(m->pool, last->text, text),
	    .remote = share(m->pool, last->remote, remote),
	    .diagnostic = share(m->pool, last->diagnostic, diagnostic) };

	if ((r = m->work[number].reason) == NULL)
		r = m->work[number].reason = pool_alloc(m->pool, sizeof(*r));
	fresh.flags = r->flags;
	*r = fresh;
	m->last_reason = r;
	return r;
}

/* What the journal says of earlier attempts. */
static void
remember(struct message *m, const struct journal *records, size_t n)
{
	const struct journal	*j;

	for (j = records; j < records + n; j++) {
		if (j->kind == JOURNAL_ATTEMPT)
			m->attempt++;
		else if (j->kind == JOURNAL_WARNED)
			m->was_warned = true;
		if (j->kind != JOURNAL_OUTCOME || j->number < 0 ||
		    j->number >= (int64_t)m->envelope.count)
			continue;
		if ((m->work[j->number].state == WORK_UNTOLD) !=
		    (j->outcome == OUTCOME_SENT))
			continue;	/* of an earlier attempt */
		message_reason(m, (size_t)j->number, j->dsn, j->text,
		    j->remote, j->diagnostic)->when_us = j->when_us;
	}
}

/* Everything that the file says: NULL, or what is wrong with it. */
static const char *
read_file(struct message *m, int fd)
{
	struct journal	*records;
	struct pool	*pool;
	const char	*why;
	size_t		 n;
	int64_t		 end;

	why = envelope_read(&m->envelope, &m->layout, m->pool, fd);
	if (why != NULL)
		return why;
	pool = pool_new("journal", 0);
	why = journal_read(pool, fd, &m->layout, &records, &n, &end);
	if (why == NULL) {
		enter(m);
		m->journal_end = end;
		remember(m, records, n);
	} else
		why = pool_strdup(m->pool, why);
	pool_free(pool);
	return why;
}

/* Out of the way with a file that nobody understands. */
static void
set_aside(const char *id, enum queue_dir dir, const char *why)
{
	if (queue_move(id, dir, QUEUE_CORRUPT) == 0)
		log_error("%s: %s; the file is now in corrupt/", id, why);
	else
		log_error("%s: %s; it cannot be moved to corrupt/: %s", id,
		    why, strerror(errno));
}

/* May it be read: complete, and its writer gone? */
static enum opened
look_at(int fd, enum queue_dir dir, mode_t *mode)
{
	struct stat	st;

	if (fstat(fd, &st) == -1)
		return OPENED_LATER;
	if (!queue_is_complete(st.st_mode))
		return OPENED_GONE;
	*mode = st.st_mode;
	if (dir != QUEUE_INCOMING)
		return OPENED;
	if (flock(fd, LOCK_SH | LOCK_NB) == -1)
		return OPENED_BUSY;
	(void)flock(fd, LOCK_UN);
	return OPENED;
}

/* From its file. */
enum opened
message_open(const char *id, enum queue_dir dir, struct message **to)
{
	struct message	*m;
	const char	*why;
	enum opened	 result;
	mode_t		 mode;
	int		 fd;

	if ((fd = queue_open_file(dir, id, O_RDONLY)) == -1) {
		if (errno == ENOENT || errno == EINVAL || errno == ELOOP)
			return OPENED_GONE;
		log_warning("%s: open %s: %s", id, queue_dir_name(dir),
		    strerror(errno));
		return OPENED_LATER;
	}
	if ((result = look_at(fd, dir, &mode)) != OPENED) {
		close(fd);
		return result;
	}
	m = message_new(id, dir);
	m->fate = queue_is_renewed(mode) ? FATE_REQUEUE :
	    queue_is_expired(mode) ? FATE_EXPIRE : FATE_NONE;
	errno = 0;			/* EIO, or what is written there? */
	if ((why = read_file(m, fd)) != NULL) {
		result = errno == 0 ? OPENED_GONE : OPENED_LATER;
		if (result == OPENED_LATER)
			log_error("%s: %s: %s", id, why, strerror(errno));
		else
			set_aside(id, dir, why);
		close(fd);
		pool_free(m->pool);
		return result;
	}
	keep_fd(m, fd);
	*to = m;
	return OPENED;
}

/* --- an open message ----------------------------------------------------- */

/* The descriptor, opened again if it was not kept. */
int
message_fd(struct message *m)
{
	if (m->fd != -1)
		return m->fd;
	m->fd = queue_open_file(m->dir, m->id, O_RDONLY);
	if (m->fd != -1)
		kept++;
	return m->fd;
}

/* It can be opened anew. The last descriptor of a file without a name takes its
 * time; memory goes at once. */
void
message_drop_fd(struct message *m)
{
	if (m->fd == -1)
		return;
	if (m->is_in_memory)
		close(m->fd);
	else
		close_later(m->fd);
	m->fd = -1;
	m->is_in_memory = false;
	kept--;
}

/* Not that of one more than may be kept. */
void
message_let_fd(struct message *m)
{
	if (kept > kept_limit && m->log == NULL)
		message_drop_fd(m);
}

/* Forget it. */
void
message_close(struct message *m)
{
	struct job	*job;

	CLAIM(m->holds == 0);
	if (m->log != NULL)
		unfiled_leave(m);
	RB_FOREACH(job, jobs, &m->jobs) {
		CLAIM(!job->is_queued);
		job->site->users--;
	}
	message_drop_fd(m);
	RB_REMOVE(messages, &messages, m);
	count--;
	recipients -= weight(m);
	pool_free(m->pool);
}

/* The job for a next hop. */
struct job *
message_job(struct message *m, struct destination *site, const char *nexthop)
{
	struct job	*job, key = { .site = site,
			    .nexthop = (char *)(uintptr_t)nexthop };

	if ((job = RB_FIND(jobs, &m->jobs, &key)) != NULL)
		return job;
	job = pool_alloc(m->pool, sizeof(*job));
	*job = (struct job){ .site = site, .message = m,
	    .share = &m->share, .nexthop = pool_strdup(m->pool, nexthop) };
	site->users++;
	RB_INSERT(jobs, &m->jobs, job);
	return job;
}

/* One after the other; NULL: the first. */
struct job *
message_next_job(struct message *m, struct job *job)
{
	return job == NULL ? RB_MIN(jobs, &m->jobs) :
	    RB_NEXT(jobs, &m->jobs, job);
}

/* The address to deliver to. */
const char *
message_address(const struct message *m, size_t number)
{
	return m->work[number].address != NULL ? m->work[number].address :
	    m->envelope.recipients[number].row.address;
}

/* What it was called first; "" when the same. */
const char *
message_original(const struct message *m, size_t number)
{
	const struct recipient_row	*row;

	row = &m->envelope.recipients[number].row;
	if (row->original[0] != '\0' || m->work[number].address == NULL)
		return row->original;
	return row->address;
}

/* Failed, or done; or done, and to be reported. */
char
message_status(const struct message *m, size_t number)
{
	const struct work	*w = &m->work[number];

	if (w->state == WORK_FAILED)
		return RECIPIENT_FAILED;
	if (w->state == WORK_OWED)
		return RECIPIENT_OWED;
	if (w->state != WORK_UNTOLD)
		return RECIPIENT_DONE;
	if (w->reason->flags & OUTCOME_EXPANDED)
		return RECIPIENT_EXPANDED;
	return w->reason->flags & OUTCOME_RELAYED ? RECIPIENT_RELAYED :
	    RECIPIENT_DELIVERED;
}
