/*
 * bring.c - a message from a file into cleanup.
 *
 * Called by pickup.c, maildrop.c and requeue.c on the message's fiber. The file
 * may belong to anybody: it is read in pieces (source.c), and only as long as
 * its envelope says.
 */
#include "cleanup/bring.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/ipc/link.h"
#include "common/ipc/overrides.h"
#include "common/ipc/posting.h"
#include "common/mail/smtp.h"
#include "common/param/site.h"

enum { PIECE = SOURCE_PIECE };

static struct link	*cleanup;
static char		*fix_endings;
static bool		 never_fixes, fixes_by_first;

const struct param	bring_params[] = {
	PARAM_STRING("sendmail_fix_line_endings", fix_endings, "always", 1, 10,
	    "Whether CRLF in mail that is posted here ends a line: always, "
	    "never (the CR belongs to the line), or strict: if the first line "
	    "ends so."),
	PARAM_END
};

/* Open the way to cleanup. */
void
bring_start(void)
{
	overrides_start();
	never_fixes = text_equal(fix_endings, "never");
	fixes_by_first = text_equal(fix_endings, "strict");
	if (!never_fixes && !fixes_by_first &&
	    !text_equal(fix_endings, "always"))
		die("sendmail_fix_line_endings: %s: expected always, never or "
		    "strict", fix_endings);
	cleanup = link_new("cleanup", site_processes("cleanup"), NULL);
}

/* How long a step may take from now. */
static int64_t
patience(void)
{
	return clock_now() + site.ipc_timeout;
}

/* Line ends on their way to CRLF. */
struct endings {
	struct crlf	crlf;
	bool		is_decided, keeps_cr, was_cr;
};

/* By the first line: is a CR in front of LF a part of the line? */
static void
decide(struct endings *e, const char *in, size_t len)
{
	const char	*lf = memchr(in, '\n', len);

	e->is_decided = never_fixes || !fixes_by_first || lf != NULL;
	e->keeps_cr = never_fixes || (fixes_by_first && lf != NULL &&
	    (lf == in ? !e->was_cr : lf[-1] != '\r'));
	e->was_cr = in[len - 1] == '\r';
}

/* Every LF becomes CRLF, whatever stands before it. */
static size_t
encode_all(const char *in, size_t len, char *out)
{
	char	*to = out;
	size_t	 i;

	for (i = 0; i < len; i++) {
		if (in[i] == '\n')
			*to++ = '\r';
		*to++ = in[i];
	}
	return (size_t)(to - out);
}

/* One piece; `out` has twice its room. */
static size_t
encode(struct endings *e, const char *in, size_t len, char *out)
{
	if (!e->is_decided)
		decide(e, in, len);
	return e->keeps_cr ? encode_all(in, len, out) :
	    crlf_encode(&e->crlf, in, len, out);
}

/* All of the content, piece by piece; with `endings` its lines are made to end
 * with CRLF, otherwise they do. */
WAITS static int
send_content(struct pool *pool, struct posting *p, struct endings *endings,
    struct source *from, int64_t offset, int64_t left)
{
	size_t		 most = left < PIECE ? (size_t)left : PIECE;
	char		*in = pool_alloc(pool, most);
	char		*out = endings == NULL ? in :
			    pool_alloc(pool, 2 * most);
	ssize_t		 n;
	size_t		 len;

	for (; left > 0; left -= n, offset += n) {
		n = source_read(from, in, left < (int64_t)most ? (size_t)left :
		    most, offset);
		if (n == 0)
			errno = EIO;		/* somebody has cut the file */
		if (n <= 0)
			return -1;
		len = endings == NULL ? (size_t)n :
		    encode(endings, in, (size_t)n, out);
		if (posting_write(p, out, len, patience()) == -1)
			return errno == EPIPE ? 0 : -1;
	}
	return 0;
}

/* The packet that opens the transaction. */
static struct mail
mail_of(const struct drop *d, uid_t uid)
{
	static char	nothing[1], origin[] = "pickup";

	return (struct mail){
		.sender = d->sender,
		.origin = origin,
		.client_name = nothing,
		.client_address = nothing,
		.helo = nothing,
		.protocol = nothing,
		.full_name = d->full_name,
		.envelope_id = d->envelope_id,
		.return_what = d->return_what,
		.verp = d->verp,
		.filter = overrides_filter(),
		.login = nothing,
		.extra = nothing,
		.uid = uid == (uid_t)-1 ? -1 : (int64_t)uid,
		.flags = (d->flags & ~MAIL_IS_GATEWAY) | overrides_flags() |
		    (d->flags & MAIL_IS_GATEWAY ? MAIL_FROM_OTHERS :
		    MAIL_IS_LOCAL),
		.arrival_us = clock_wall_us(),
		.size_hint = d->content_length,
		.recipients = d->recipients,
		.count = d->count
	};
}

/* The envelope, then the content. */
WAITS static int
post(struct pool *pool, struct mail *mail, struct endings *endings,
    struct source *from, int64_t offset, int64_t length,
    struct queued *queued)
{
	struct posting	*p = posting_open(pool, cleanup, mail, patience());
	int		 saved;

	if (p == NULL)
		return -1;
	if (send_content(pool, p, endings, from, offset, length) == -1) {
		saved = errno;
		posting_abandon(p);
		errno = saved;
		return -1;
	}
	return posting_finish(p, queued, patience());
}

/* Bring a message in a file. */
int
bring(struct pool *pool, const struct drop *d, uid_t uid,
    struct source *from, int64_t offset, struct queued *queued)
{
	struct mail	mail = mail_of(d, uid);
	struct endings	endings = { .is_decided = false };

	return post(pool, &mail, &endings, from, offset, d->content_length,
	    queued);
}

/* Bring one that has been in the queue. */
int
bring_again(struct pool *pool, struct mail *mail, struct source *from,
    int64_t offset, int64_t length, struct queued *queued)
{
	return post(pool, mail, NULL, from, offset, length, queued);
}

/* Bring a text of our own. */
int
bring_text(struct pool *pool, char *recipient, int64_t flags,
    const char *text, size_t len, struct queued *queued)
{
	static char		 nothing[1];
	struct recipient_row	 row = { recipient, nothing, nothing, 0 };
	struct drop		 d = { .sender = nothing, .full_name = nothing,
				    .envelope_id = nothing,
				    .return_what = nothing,
				    .verp = nothing,
				    .recipients = &row, .count = 1 };
	struct mail		 mail = mail_of(&d, (uid_t)-1);
	struct posting		*p;

	mail.filter = NULL;		/* reports are not filtered */
	mail.flags = MAIL_IS_BOUNCE | MAIL_IS_TRUSTED | flags;
	if ((p = posting_open(pool, cleanup, &mail, patience())) == NULL)
		return -1;
	if (posting_write(p, text, len, patience()) == -1 && errno != EPIPE) {
		posting_abandon(p);
		return -1;
	}
	return posting_finish(p, queued, patience());
}
