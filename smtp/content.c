/*
 * content.c - the message as one host gets it.
 *
 * Called by transaction.c, which pulls. Most messages are read from the queue
 * file straight into the caller's buffer and only looked at for long lines.
 * Where a table or a host without 8BITMIME wants more, each block goes through
 * a chain, whose end is the text that the caller is given:
 *
 *	mime reader - converter - checks - generic maps - line limit
 *
 * P1  A message that a host gets to the end is whole: what cannot be read or
 *     looked up ends in -1.
 * P2  What is signed (multipart/signed) is never converted. To a host without
 *     8BITMIME it goes if it needs no conversion, else it is returned: the
 *     sender can do something about it, while the recipient of a converted
 *     one would be told of a forgery (RFC 1847 2.1, RFC 6152 3).
 */
#include "smtp/content.h"

#include <errno.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/mail/convert.h"

#include "smtp/checks.h"
#include "smtp/delivery.h"
#include "smtp/fold.h"
#include "smtp/generic.h"
#include "smtp/tables.h"

enum {
	BLOCK = 16 * 1024,
	FIELD_MAX = 1024 * 1024	/* what is longer is sent as it is */
};

struct outgoing {
	struct delivery		*d;
	struct pool		*pool;
	int64_t			 done;		/* bytes of the file */
	int64_t			 size;
	bool			 is_8bit, is_over;
	const char		*failure;	/* what did not answer */

	/* the chain; reader is NULL without one */
	struct mime_reader	*reader;
	struct converter	*converter;
	struct checks		*checks;
	char			*block;

	struct fold		 fold;
	bool			 has_told;	/* of long lines */
	struct str		 out;
	size_t			 out_at;
};

/* --- the file ------------------------------------------------------------ */

/* The next bytes of the file: how many, 0 at the end, -1 (EIO). */
static ssize_t
read_file(struct outgoing *o, char *to, size_t room)
{
	struct deliver	*mail = o->d->mail;
	int64_t		 left = mail->content_length - o->done;
	ssize_t		 n;

	if (left == 0)
		return 0;
	if ((int64_t)room > left)
		room = (size_t)left;
	n = fs_pread(mail->message, to, room, mail->content_offset + o->done);
	if (n <= 0) {
		errno = EIO;
		return -1;
	}
	o->done += n;
	return n;
}

/* --- the end of the chain ------------------------------------------------ */

/* Send bytes. */
static void
put(struct outgoing *o, const char *data, size_t len)
{
	fold_add(&o->fold, &o->out, data, len);
	if (!o->fold.has_broken || o->has_told)
		return;
	o->has_told = true;
	log_info("%s: breaking line > %lld bytes with <CR><LF>SPACE",
	    o->d->mail->queue_id, (long long)content_set.line_limit);
}

/* Send a field, its addresses rewritten. */
WAITS static void
put_field(struct outgoing *o, const struct header_field *f)
{
	struct pool	*pool = pool_new("generic", 0);
	struct str	 value;
	const char	*why;
	int		 changed;

	str_init(&value, pool, 0);
	changed = generic_value(pool, f->value, f->value_len, &value, &why);
	if (changed == -1) {
		o->failure = pool_strdup(o->pool, why);
	} else if (changed == 0) {
		put(o, f->raw, f->raw_len);
	} else {
		put(o, f->raw, (size_t)(f->value - f->raw));
		put(o, value.data, value.len);
		put(o, "\r\n", 2);
	}
	pool_free(pool);
}

/* A field as a reader would tell it; false when it is none. */
static bool
make_field(struct header_field *f, const char *raw, size_t len)
{
	const char	*colon = memchr(raw, ':', len);

	if (colon == NULL || len < 2)
		return false;
	f->raw = f->name = raw;
	f->raw_len = len;
	f->name_len = (size_t)(colon - raw);
	while (f->name_len > 0 && (raw[f->name_len - 1] == ' ' ||
	    raw[f->name_len - 1] == '\t'))
		f->name_len--;
	f->value = colon + 1;
	f->value_len = (size_t)(raw + len - 2 - f->value);
	return raw + len - 2 >= f->value;
}

/* checks.c: this is to be sent. */
WAITS static void
on_output(void *context, enum check_kind kind, enum mime_class class,
    const char *data, size_t len)
{
	struct outgoing		*o = context;
	struct header_field	 f;

	if (o->failure != NULL)
		return;
	if (kind == CHECKED_FIELD && class == MIME_PRIMARY &&
	    table_is_set(TABLE_GENERIC) && make_field(&f, data, len) &&
	    generic_is_field(&f))
		put_field(o, &f);
	else
		put(o, data, len);
}

/* --- the reader's or converter's events ---------------------------------- */

/* A field. */
static void
on_field(void *context, enum mime_class class, const struct header_field *f)
{
	struct outgoing	*o = context;

	if (f->is_cut)
		log_warning("%s: a header field is longer than %d bytes: the "
		    "rest of it is sent as it is", o->d->mail->queue_id,
		    FIELD_MAX);
	checks_field(o->checks, class, f);
}

/* The rest of one that is cut. */
static void
on_more(void *context, const char *data, size_t len)
{
	struct outgoing	*o = context;

	checks_more(o->checks, data, len);
}

/* The end of a header. */
static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	struct outgoing	*o = context;

	(void)e;
	if (had_empty_line)
		checks_empty_line(o->checks);
}

/* A line of a body. */
static void
on_line(void *context, const struct mime_line *l)
{
	struct outgoing	*o = context;

	checks_line(o->checks, l->data, l->len, l->is_end);
}

/* A boundary is a line of the body, too. */
static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	struct outgoing	*o = context;

	checks_line(o->checks, line, len, has_end);
}

static const struct mime_events	events = {
	.field = on_field,
	.more = on_more,
	.head_end = on_head_end,
	.line = on_line,
	.boundary = on_boundary
};

/* --- beginning ----------------------------------------------------------- */

/* Limits of all our readers. */
static const struct mime_limits	limits = {
	.header = FIELD_MAX, .depth = 100, .boundary = MIME_BOUNDARY_MAX
};

/* Read the whole message for what conversion would do. NULL: EIO. */
WAITS static struct survey *
survey(struct outgoing *o)
{
	struct survey		*s = survey_new(o->pool);
	struct mime_reader	*reader;
	struct pool		*pool = pool_new("survey", 0);
	char			*block = pool_alloc(pool, BLOCK);
	ssize_t			 n;

	reader = mime_reader_new(pool, &limits, &survey_events, s);
	while ((n = read_file(o, block, BLOCK)) > 0) {
		mime_reader_feed(reader, block, (size_t)n);
		fiber_yield();
	}
	mime_reader_finish(reader);
	survey_finish(s);
	o->done = 0;
	pool_free(pool);
	return n == -1 ? NULL : s;
}

/* Begin the chain; with a survey, a converter is in it. */
static void
build_chain(struct outgoing *o, const struct survey *s)
{
	o->block = pool_alloc(o->pool, BLOCK);
	o->checks = checks_new(o->pool, o->d->mail->queue_id, on_output, o);
	if (s == NULL) {
		o->reader = mime_reader_new(o->pool, &limits, &events, o);
		return;
	}
	o->size += survey_growth(s);
	o->converter = converter_new(o->pool, s, &events, o);
	o->reader = mime_reader_new(o->pool, &limits, &convert_events,
	    o->converter);
}

/* Does the message need seven bits for this host, and can it have them? */
WAITS static int
look_for_8bit(struct outgoing *o, const struct connection *c,
    const struct survey **found, const char **dsn, const char **why)
{
	const struct survey	*s;

	*found = NULL;
	if (c->has_8bit || content_set.keeps_8bit)
		return 0;
	if ((s = survey(o)) == NULL) {
		*dsn = "4.3.0";
		*why = "the message cannot be read from its queue file";
		return -1;
	}
	if (!survey_has_8bit(s))
		return 0;
	if (survey_refusal(s) != NULL) {
		*dsn = "5.6.3";
		*why = pool_printf(o->pool, "server %s does not take 8-bit "
		    "mail (8BITMIME), and %s", c->name, survey_refusal(s));
		return -1;
	}
	log_info("%s: converting 8-bit content for %s", o->d->mail->queue_id,
	    c->name);
	*found = s;
	return 0;
}

/* The message for this host. */
struct outgoing *
content_open(struct delivery *d, const struct connection *c, const char **dsn,
    const char **why)
{
	struct outgoing		*o = pool_alloc(d->pool, sizeof(*o));
	const struct survey	*s;

	o->d = d;
	o->pool = d->pool;
	o->size = d->mail->content_length;
	o->is_8bit = c->has_8bit && (d->mail->flags & MAIL_IS_8BIT) != 0;
	fold_start(&o->fold, (size_t)content_set.line_limit);
	str_init(&o->out, o->pool, 0);
	if (look_for_8bit(o, c, &s, dsn, why) == -1)
		return NULL;
	if (s != NULL || table_is_set(TABLE_GENERIC) || checks_are_wanted())
		build_chain(o, s);
	return o;
}

/* With what conversion adds. */
int64_t
content_size(const struct outgoing *o)
{
	return o->size;
}

/* Is it declared so, and taken so? */
bool
content_is_8bit(const struct outgoing *o)
{
	return o->is_8bit;
}

/* --- reading ------------------------------------------------------------- */

/* Is anything left to give? */
static bool
has_output(const struct outgoing *o)
{
	return o->out_at < o->out.len;
}

/* Give what the chain has made. */
static ssize_t
give(struct outgoing *o, char *to, size_t room)
{
	size_t	n = o->out.len - o->out_at;

	if (n > room)
		n = room;
	memcpy(to, o->out.data + o->out_at, n);
	o->out_at += n;
	if (!has_output(o)) {
		str_clear(&o->out);
		o->out_at = 0;
	}
	return (ssize_t)n;
}

/* No chain: the file as it is, unless a line is too long. */
static ssize_t
read_plain(struct outgoing *o, char *to, size_t room)
{
	ssize_t	n = read_file(o, to, room);

	if (n == -1)
		return -1;
	if (n > 0 && fold_passes(&o->fold, to, (size_t)n))
		return n;
	if (n > 0)
		put(o, to, (size_t)n);
	else
		fold_finish(&o->fold, &o->out);
	o->is_over = n == 0;
	return 0;
}

/* The chain's next block; the end pushes out what waits in it. */
WAITS static int
feed(struct outgoing *o)
{
	ssize_t	n = read_file(o, o->block, BLOCK);

	if (n == -1)
		return -1;
	if (n > 0) {
		mime_reader_feed(o->reader, o->block, (size_t)n);
	} else {
		mime_reader_finish(o->reader);
		if (o->converter != NULL)
			converter_finish(o->converter);
		checks_finish(o->checks);
		fold_finish(&o->fold, &o->out);
		o->is_over = true;
	}
	if (o->failure == NULL)
		o->failure = checks_failure(o->checks);
	if (o->failure == NULL && !o->out.is_cut)
		return 0;
	log_warning("%s: %s", o->d->mail->queue_id, o->failure != NULL ?
	    o->failure : "a message grows too much");
	errno = o->failure != NULL ? EAGAIN : EIO;
	return -1;
}

/* The next bytes. */
ssize_t
content_read(struct outgoing *o, char *to, size_t room)
{
	ssize_t	n;

	while (!has_output(o)) {
		if (o->is_over)
			return 0;
		n = o->reader == NULL ? read_plain(o, to, room) : feed(o);
		if (n != 0)
			return n;
	}
	return give(o, to, room);
}
