/*
 * sevenbit.c - eight bits become seven when mail comes in.
 *
 * With force_mime_input_conversion the content is kept as it comes, in memory
 * while it is small, then in a file without a name. When it is complete it is
 * read twice: a survey finds what each part needs, and a converter tells
 * headers.c what stands there instead, as if the sender had sent that.
 *
 * P1  What cannot be converted without harm (it is signed) stays as it is; the
 *     host that it goes to may still refuse it.
 * P2  Nothing that was kept survives the transaction, nor the process.
 */
#include "cleanup/sevenbit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/mail/convert.h"
#include "common/queue/queue.h"

enum { PIECE = 32 * 1024, IN_MEMORY = 256 * 1024 };

const struct param	sevenbit_params[] = {
	PARAM_BOOL("force_mime_input_conversion", set.forces_7bit, "no",
	    "Convert 8-bit text to quoted-printable, and other 8-bit content "
	    "to base64, when mail comes in: before header and body checks, and "
	    "before content filters."),
	PARAM_END
};

/* Content that was kept. */
struct sevenbit {
	struct str	 text;		/* not in the file */
	int		 fd;		/* -1: none */
	int64_t		 in_file, done;	/* bytes; and read again */
	struct str	 out;		/* made, not passed on */
};

/* Is it? */
bool
sevenbit_is_wanted(void)
{
	return set.forces_7bit && !set.disable_mime;
}

/* Begin. */
void
sevenbit_open(struct transaction *t)
{
	t->kept = pool_alloc(t->pool, sizeof(*t->kept));
	t->kept->fd = -1;
	str_init(&t->kept->text, t->pool, 0);
	str_init(&t->kept->out, t->pool, 0);
}

/* To the file, which has a name for a moment only. */
static int
spill(struct transaction *t)
{
	struct sevenbit	*k = t->kept;

	if (k->fd == -1) {
		if ((k->fd = queue_create(t->queue_id)) == -1)
			return -1;
		if (queue_remove(QUEUE_INCOMING, t->queue_id) == -1)
			return -1;
	}
	if (fs_pwrite(k->fd, k->text.data, k->text.len, k->in_file) == -1)
		return -1;
	k->in_file += (int64_t)k->text.len;
	str_clear(&k->text);
	return 0;
}

/* A piece. */
void
sevenbit_put(struct transaction *t, const char *data, size_t len)
{
	str_add_mem(&t->kept->text, data, len);
	if (t->kept->text.len > IN_MEMORY && spill(t) == -1)
		write_failed(t, "keep what is for", errno);
}

/* The next bytes that were kept: how many, 0 at the end, -1. */
static ssize_t
read_next(struct sevenbit *k, char *to)
{
	int64_t	left = k->in_file + (int64_t)k->text.len - k->done;
	size_t	n = left < PIECE ? (size_t)left : PIECE;

	if (k->done < k->in_file && (int64_t)n > k->in_file - k->done)
		n = (size_t)(k->in_file - k->done);
	if (n == 0)
		return 0;
	if (k->done >= k->in_file)
		memcpy(to, k->text.data + (k->done - k->in_file), n);
	else if (fs_pread(k->fd, to, n, k->done) != (ssize_t)n)
		return -1;
	k->done += (int64_t)n;
	return (ssize_t)n;
}

/* --- what the converter tells ------------------------------------------- */

/* A field. */
static void
on_field(void *context, enum mime_class class, const struct header_field *f)
{
	(void)class;
	str_add_mem(context, f->raw, f->raw_len);
}

/* The rest of one that is cut. */
static void
on_more(void *context, const char *data, size_t len)
{
	str_add_mem(context, data, len);
}

/* The end of a header. */
static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	(void)e;
	if (had_empty_line)
		str_add(context, "\r\n");
}

/* A line. */
static void
on_line(void *context, const struct mime_line *l)
{
	str_add_mem(context, l->data, l->len);
	if (l->is_end)
		str_add(context, "\r\n");
}

/* A boundary. */
static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	str_add_mem(context, line, len);
	if (has_end)
		str_add(context, "\r\n");
}

static const struct mime_events	events = {
	.field = on_field,
	.more = on_more,
	.head_end = on_head_end,
	.line = on_line,
	.boundary = on_boundary
};

/* --- both passes --------------------------------------------------------- */

/* The limits of both readers. */
static struct mime_limits
limits_of(void)
{
	return (struct mime_limits){
		.header = (size_t)set.header_size_limit,
		.depth = (unsigned)set.mime_nesting_limit,
		.boundary = (size_t)set.mime_boundary_length_limit
	};
}

/* It cannot be read any more. */
static void
fail(struct transaction *t)
{
	write_failed(t, "read what is for", errno != 0 ? errno : EIO);
}

/* Read it for what each part needs. */
static WAITS struct survey *
look(struct transaction *t, char *piece)
{
	struct mime_limits	 limits = limits_of();
	struct survey		*s = survey_new(t->pool);
	struct mime_reader	*reader;
	ssize_t			 n;

	reader = mime_reader_new(t->pool, &limits, &survey_events, s);
	while ((n = read_next(t->kept, piece)) > 0) {
		mime_reader_feed(reader, piece, (size_t)n);
		fiber_breathe();
	}
	if (n == -1)
		fail(t);
	mime_reader_finish(reader);
	survey_finish(s);
	t->kept->done = 0;
	return s;
}

/* Pass on what was made. */
static WAITS void
pass_on(struct transaction *t)
{
	struct str	*out = &t->kept->out;

	if (t->code == 0 && !t->is_discarded && out->len > 0)
		headers_feed(t, out->data, out->len);
	str_clear(out);
}

/* Is there anybody who reads on? */
static bool
goes_on(const struct transaction *t)
{
	return t->code == 0 && !t->is_discarded;
}

/* As it came. */
static WAITS void
copy(struct transaction *t, char *piece)
{
	ssize_t	n;

	while (goes_on(t) && (n = read_next(t->kept, piece)) != 0) {
		if (n == -1) {
			fail(t);
			return;
		}
		headers_feed(t, piece, (size_t)n);
		fiber_breathe();
	}
}

/* Converted. */
static WAITS void
convert(struct transaction *t, const struct survey *s, char *piece)
{
	struct mime_limits	 limits = limits_of();
	struct str		*out = &t->kept->out;
	struct converter	*c = converter_new(t->pool, s, &events, out);
	struct mime_reader	*reader;
	ssize_t			 n;

	reader = mime_reader_new(t->pool, &limits, &convert_events, c);
	while (goes_on(t) && (n = read_next(t->kept, piece)) != 0) {
		if (n == -1) {
			fail(t);
			return;
		}
		mime_reader_feed(reader, piece, (size_t)n);
		pass_on(t);
		fiber_breathe();
	}
	mime_reader_finish(reader);
	converter_finish(c);
	pass_on(t);
	t->mail.flags &= ~MAIL_IS_8BIT;
}

/* Everything has come. */
void
sevenbit_finish(struct transaction *t)
{
	char		*piece = pool_alloc(t->pool, PIECE);
	struct survey	*s = look(t, piece);
	const char	*why = survey_refusal(s);

	if (t->code != 0)
		return;
	headers_begin(t);
	if (survey_has_8bit(s) && why != NULL)
		log_info("%s: not converted to 7 bits: %s", t->queue_id, why);
	if (survey_has_8bit(s) && why == NULL)
		convert(t, s, piece);
	else
		copy(t, piece);
	if (goes_on(t))
		headers_finish(t);
	sevenbit_close(t);
}

/* Give the file back. */
void
sevenbit_close(struct transaction *t)
{
	if (t->kept == NULL || t->kept->fd == -1)
		return;
	close(t->kept->fd);
	t->kept->fd = -1;
}
