/*
 * inspect.c - messages that are looked at, part by part.
 *
 * The content is read as a tree of parts (common/mail/mime.h); with
 * disable_mime_input_processing everything behind the message's head is one
 * body. What the reader tells goes through checks.c, which asks the tables.
 * Mail that we write ourselves is looked at only if
 * internal_mail_filter_classes says so; what local passes on never is: it has
 * been looked at when it came.
 */
#include "cleanup/inspect.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/mail/chars.h"
#include "common/mail/mapping.h"

#include "cleanup/characters.h"
#include "cleanup/checks.h"

enum { NESTING_USUAL = 100 };

const struct param inspect_params[] = {
	PARAM_INT("mime_nesting_limit", set.mime_nesting_limit, "100", 1,
	    1000, "Mail whose parts are nested deeper is refused."),
	PARAM_INT("mime_boundary_length_limit",
	    set.mime_boundary_length_limit, "2048", 1, 2048,
	    "How many bytes of a boundary between parts are compared."),
	PARAM_BOOL("disable_mime_input_processing", set.disable_mime, "no",
	    "Take everything behind the head of a message for its body."),
	PARAM_BOOL("strict_mime_encoding_domain", set.strict_encoding, "no",
	    "Refuse mail in which a message or a multipart is encoded."),
	PARAM_BOOL("strict_7bit_headers", set.strict_7bit_headers, "no",
	    "Refuse mail with 8-bit text in headers."),
	PARAM_BOOL("strict_8bitmime_body", set.strict_8bitmime_body, "no",
	    "Refuse mail with 8-bit text in a body that does not say so."),
	PARAM_BOOL("strict_8bitmime", set.strict_8bitmime, "no",
	    "Both strict_7bit_headers and strict_8bitmime_body."),
	PARAM_STRING("internal_mail_filter_classes", set.internal_classes, "",
	    0, 0, "Mail of our own that is looked at as well: bounce, "
	    "notify."),
	PARAM_RAW("message_strip_characters", set.strip_characters, "", 0, 0,
	    "Characters that are removed from messages; \\ddd is one by its "
	    "number in octal."),
	PARAM_RAW("message_reject_characters", set.reject_characters, "", 0,
	    0, "Characters for which messages are refused."),
	PARAM_END
};

struct inspection {
	struct transaction	*t;
	struct mime_reader	*reader;
	struct checks		*checks;
	bool			 in_head;	/* of the message itself */
	bool			 allows_8bit;	/* the part says so */
};

static struct characters	strip, reject;

/* A set of characters; line ends are none of them: they are what holds a
 * message together. */
static void
read_characters(struct characters *c, const char *name, const char *text)
{
	const char	*why = characters_parse(c, text);

	if (why != NULL)
		die("%s: %s", name, why);
	if (characters_have(c, '\r') || characters_have(c, '\n'))
		die("%s: line ends cannot be among the characters", name);
}

/* Read the sets. */
void
inspect_start(void)
{
	read_characters(&strip, "message_strip_characters",
	    set.strip_characters);
	read_characters(&reject, "message_reject_characters",
	    set.reject_characters);
}

/* Is anything asked for that needs more than the head? */
static bool
is_asked_for(void)
{
	return checks_are_wanted() || !characters_are_none(&strip) ||
	    !characters_are_none(&reject) || set.strict_encoding ||
	    set.strict_7bit_headers || set.strict_8bitmime_body ||
	    set.strict_8bitmime || set.mime_nesting_limit != NESTING_USUAL;
}

/* This message? */
bool
inspect_is_wanted(const struct transaction *t)
{
	int64_t	flags = t->mail.flags;

	if (!is_asked_for() || (flags & (MAIL_NO_CHECKS | MAIL_IS_FORWARD)))
		return false;
	return (flags & MAIL_IS_BOUNCE) == 0 ||
	    mapping_lists(set.internal_classes, "bounce") ||
	    mapping_lists(set.internal_classes, "notify");
}

/* Refuse it, for the way it is written. */
static void
refuse(struct inspection *in, const char *text, size_t len, const char *why)
{
	struct place	place = { NULL, "", text, len };

	if (in->t->code != 0 || in->t->is_discarded || in->t->is_passed)
		return;
	place.context = pool_printf(in->t->pool, "mime-error %s:", why);
	action_log(in->t, "reject", &place, pool_printf(in->t->pool,
	    "5.6.0 %s", why));
	in->t->is_logged = true;
	transaction_refuse(in->t, 550, pool_printf(in->t->pool,
	    "550 5.6.0 %s", why));
}

/* Refuse it, for one character. */
static void
refuse_character(struct inspection *in)
{
	struct place	place = { NULL, "content", "", 0 };

	if (in->t->is_passed)
		return;
	action_log(in->t, "reject", &place, "5.7.1 disallowed character");
	in->t->is_logged = true;
	transaction_refuse(in->t, 550, "550 5.7.1 disallowed character");
}

/* Eight bits in a header? */
static void
judge_header(struct inspection *in, const char *text, size_t len)
{
	if ((set.strict_7bit_headers || set.strict_8bitmime) &&
	    (in->t->mail.flags & MAIL_IS_UTF8) == 0 && has_8bit(text, len))
		refuse(in, text, len, "improper use of 8-bit data in message "
		    "header");
}

/* mime.c: a field. */
WAITS static void
on_field(void *context, enum mime_class class, const struct header_field *f)
{
	struct inspection	*in = context;

	headers_tell_cut(in->t, f);
	judge_header(in, f->raw, f->raw_len - (f->is_cut ? 0 : 2));
	checks_field(in->checks, class, in->in_head, f);
}

/* mime.c: the rest of one that is cut. */
static void
on_more(void *context, const char *data, size_t len)
{
	struct inspection	*in = context;

	judge_header(in, data, len);
	checks_more(in->checks, data, len);
}

/* Something that is wrong with a part. */
static void
judge(struct inspection *in, const struct mime_entity *e)
{
	if (e->is_too_deep && !set.disable_mime)
		refuse(in, e->type, strlen(e->type),
		    "MIME nesting exceeds safety limit");
	if (set.strict_encoding && !set.disable_mime && (e->encoding ==
	    MIME_QP || e->encoding == MIME_BASE64) &&
	    (strcmp(e->type, "multipart") == 0 ||
	    (strcmp(e->type, "message") == 0 &&
	    strcmp(e->subtype, "global") != 0)))
		refuse(in, e->type, strlen(e->type),
		    "invalid message/* or multipart/* encoding domain");
}

/* mime.c: a header is over. */
WAITS static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	struct inspection	*in = context;

	judge(in, e);
	in->allows_8bit = set.disable_mime || e->encoding == MIME_8BIT ||
	    e->encoding == MIME_BINARY || e->kind != MIME_LEAF;
	checks_begin_body(in->checks);
	if (in->in_head)
		checks_end_head(in->checks);
	else if (had_empty_line)
		checks_empty_line(in->checks);
	in->in_head = false;
}

/* mime.c: a line. */
WAITS static void
on_line(void *context, const struct mime_line *line)
{
	struct inspection	*in = context;

	if ((set.strict_8bitmime_body || set.strict_8bitmime) &&
	    !in->allows_8bit && !line->is_outside &&
	    has_8bit(line->data, line->len))
		refuse(in, line->data, line->len, "improper use of 8-bit "
		    "data in message body");
	checks_line(in->checks, line->data, line->len, line->is_end);
}

/* mime.c: a boundary. */
WAITS static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	struct inspection	*in = context;

	checks_begin_body(in->checks);
	checks_line(in->checks, line, len, has_end);
}

static const struct mime_events	events = {
	.field = on_field,
	.more = on_more,
	.head_end = on_head_end,
	.line = on_line,
	.boundary = on_boundary
};

/* Begin. */
struct inspection *
inspect_new(struct transaction *t)
{
	struct inspection	*in = pool_alloc(t->pool, sizeof(*in));
	struct mime_limits	 limits = {
		.header = (size_t)set.header_size_limit,
		.depth = set.disable_mime ? 0 :
		    (unsigned)set.mime_nesting_limit,
		.boundary = (size_t)set.mime_boundary_length_limit
	};

	in->t = t;
	in->in_head = true;
	in->checks = checks_new(t);
	in->reader = mime_reader_new(t->pool, &limits, &events, in);
	return in;
}

/* Our own. */
WAITS void
inspect_received(struct inspection *in, const char *text, size_t len)
{
	checks_received(in->checks, text, len);
}

/* More. */
WAITS void
inspect_feed(struct inspection *in, char *data, size_t len)
{
	len = characters_strip(&strip, data, len);
	if (characters_find(&reject, data, len))
		refuse_character(in);
	if (in->t->code == 0 && !in->t->is_discarded)
		mime_reader_feed(in->reader, data, len);
}

/* No more. */
WAITS void
inspect_finish(struct inspection *in)
{
	if (in->t->code != 0 || in->t->is_discarded)
		return;
	mime_reader_finish(in->reader);
	checks_finish(in->checks);
}
