/*
 * loops.c - has this message been here before?
 *
 * Every delivery and every forwarding puts "Delivered-To: RECIPIENT" in front
 * of the message, so a message that comes to the same recipient again carries
 * his address already.
 */
#include <errno.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/mail/header.h"

#include "local/local.h"

enum {
	BLOCK = 16 * 1024,
	FIELD_MAX = 16 * 1024,	/* longer than any address */
	TRAIL_MAX = 200		/* more than hopcount_limit lets through */
};

/* The header as it goes by. */
struct look {
	struct delivery	*delivery;
	bool		 is_over;
};

/* A header field: keep the address of a Delivered-To. */
static void
on_field(void *context, const struct header_field *f)
{
	struct delivery	*d = ((struct look *)context)->delivery;

	if (!header_is(f, "Delivered-To") || f->is_cut ||
	    d->trail_count >= TRAIL_MAX)
		return;
	if (d->trail == NULL)
		d->trail = pool_array(d->pool, TRAIL_MAX, sizeof(*d->trail));
	d->trail[d->trail_count++] = header_unfold(d->pool, f->value,
	    f->value_len);
}

/* The header is over. */
static void
on_end(void *context, bool had_empty_line)
{
	(void)had_empty_line;
	((struct look *)context)->is_over = true;
}

static const struct header_events	events = {
	.field = on_field,
	.end = on_end
};

/* Read the header of the message. */
static int
read_trail(struct delivery *d)
{
	struct look		 look = { .delivery = d };
	struct header_reader	*reader = header_reader_new(d->pool,
				    FIELD_MAX, &events, &look);
	char			*block = pool_alloc(d->pool, BLOCK);
	int64_t			 done = 0;
	ssize_t			 n;

	while (!look.is_over && done < d->mail->content_length) {
		n = d->mail->content_length - done < BLOCK ?
		    (ssize_t)(d->mail->content_length - done) : BLOCK;
		n = fs_pread(d->mail->message, block, (size_t)n,
		    d->mail->content_offset + done);
		if (n == -1)
			return -1;
		if (n == 0) {
			errno = EIO;
			return -1;
		}
		header_reader_feed(reader, block, (size_t)n);
		done += n;
	}
	if (!look.is_over)
		header_reader_finish(reader);
	d->is_trail_read = true;
	return 0;
}

/* Is the address among those that the message was delivered to? */
int
loops_find(struct delivery *d, const char *address)
{
	size_t	i;

	if (!d->is_trail_read && read_trail(d) == -1)
		return -1;
	for (i = 0; i < d->trail_count; i++)
		if (text_equal(d->trail[i], address))
			return 1;
	return 0;
}

/* The same, settled if it has. */
bool
loops_is_one(struct addressee *a)
{
	switch (loops_find(a->delivery, a->row->address)) {
	case -1:
		(void)addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot read the message: %s", strerror(errno));
		return true;
	case 1:
		(void)addressee_settle(a, OUTCOME_BOUNCED, 0, "5.4.6",
		    "mail forwarding loop for %s", a->row->address);
		return true;
	default:
		return false;
	}
}
