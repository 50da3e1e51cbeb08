/*
 * mime.c - fuzz: a message read as a tree of parts, and made 7-bit.
 *
 * First byte: the size of the runs, and whether fields are cut early. The
 * story does not depend on the cuts and holds all bytes; behind the converter
 * no body has a byte above 127, the tree is the same one, and each part,
 * decoded by the decoders below, is what it was.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/chars.h"
#include "common/mail/convert.h"

/* The longest field that the converter adds fits. */
static const struct mime_limits	small_limits = {
	.header = 64, .depth = 100, .boundary = 16
};

/* The parts of a message, one behind the other. */
struct tree {
	struct pool	*pool;
	const struct mime_limits *limits;
	struct str	 all;		/* the message, put together again */
	struct str	 parts;		/* what the parts hold, decoded */
	struct str	 body;		/* of the part that is being read */
	struct mime_entity entity;
	bool		 is_open;	/* a line has no end yet */
	bool		 owes_end;	/* CRLF: the part's or boundary's? */
	bool		 is_7bit;	/* must be */
};

/* RFC 2045 6.7: what stands for itself, =XX, soft line ends. */
static void
decode_qp(struct str *to, const char *at, size_t len)
{
	const char	*end = at + len;

	while (at < end) {
		if (*at == '=' && end - at > 2 && at[1] == '\r' &&
		    at[2] == '\n') {
			at += 3;
		} else if (*at == '=' && end - at > 2 &&
		    hex_value(at[1]) != -1 && hex_value(at[2]) != -1) {
			str_add_char(to, (char)(hex_value(at[1]) << 4 |
			    hex_value(at[2])));
			at += 3;
		} else {
			str_add_char(to, *at++);
		}
	}
}

/* RFC 2045 6.8: other characters are ignored. */
static void
decode_base64(struct str *to, const char *at, size_t len)
{
	static const char	digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char		*digit;
	uint32_t		 bits = 0;
	unsigned		 have = 0;

	for (; len > 0 && *at != '='; at++, len--) {
		if (*at == '\0' || (digit = strchr(digits, *at)) == NULL)
			continue;
		bits = bits << 6 | (uint32_t)(digit - digits);
		if ((have += 6) >= 8) {
			have -= 8;
			str_add_char(to, (char)(bits >> have));
		}
	}
}

/* A part is over. */
static void
end_part(struct tree *t)
{
	if (t->entity.encoding == MIME_QP)
		decode_qp(&t->parts, t->body.data, t->body.len);
	else if (t->entity.encoding == MIME_BASE64)
		decode_base64(&t->parts, t->body.data, t->body.len);
	else
		str_add_mem(&t->parts, t->body.data, t->body.len);
	str_add(&t->parts, "\n--\n");
	str_clear(&t->body);
	t->owes_end = t->is_open = false;
}

static void
on_field(void *context, enum mime_class class, const struct header_field *f)
{
	struct tree	*t = context;

	MUST(class <= MIME_NESTED);
	MUST(f->is_cut ? f->raw_len == t->limits->header :
	    memcmp(f->raw + f->raw_len - 2, "\r\n", 2) == 0);
	str_add_mem(&t->all, f->raw, f->raw_len);
}

static void
on_more(void *context, const char *data, size_t len)
{
	struct tree	*t = context;

	MUST(len > 0);
	str_add_mem(&t->all, data, len);
}

static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	struct tree	*t = context;

	MUST(e->depth <= t->limits->depth);
	end_part(t);
	t->entity = *e;
	if (had_empty_line)
		str_add(&t->all, "\r\n");
	str_addf(&t->parts, "%d %u ", (int)e->kind, e->depth);
	/* a type may be added, but no other */
	str_addf(&t->parts, "%s/%s\n", e->type, e->subtype);
}

static void
on_line(void *context, const struct mime_line *l)
{
	struct tree	*t = context;
	size_t		 i;

	MUST(l->is_start == !t->is_open);
	t->is_open = !l->is_end;
	str_add_mem(&t->all, l->data, l->len);
	if (l->is_end)
		str_add(&t->all, "\r\n");
	for (i = 0; t->is_7bit && i < l->len; i++)
		MUST(!is_8bit(l->data[i]));
	if (l->is_outside)
		return;
	if (t->owes_end)
		str_add(&t->body, "\r\n");
	str_add_mem(&t->body, l->data, l->len);
	t->owes_end = l->is_end;
}

static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	struct tree	*t = context;

	MUST(len >= 2 && memcmp(line, "--", 2) == 0);
	end_part(t);
	t->entity.encoding = MIME_7BIT;
	str_add_mem(&t->all, line, len);
	if (has_end)
		str_add(&t->all, "\r\n");
}

static const struct mime_events	tree_events = {
	on_field, on_more, on_head_end, on_line, on_boundary
};

/* Feed a message in runs. */
static void
feed(struct mime_reader *r, struct pool *pool, const char *data, size_t len,
    size_t run)
{
	size_t	i, n;

	for (i = 0; i < len; i += n) {
		n = len - i < run ? len - i : run;
		mime_reader_feed(r, pool_strndup(pool, data + i, n), n);
	}
	mime_reader_finish(r);
}

/* An empty tree. */
static void
plant(struct tree *t, struct pool *pool, const struct mime_limits *limits)
{
	memset(t, 0, sizeof(*t));
	t->pool = pool;
	t->limits = limits;
	str_init(&t->all, pool, 0);
	str_init(&t->parts, pool, 0);
	str_init(&t->body, pool, 0);
}

/* Read the message into a tree. The last line end is the last part's. */
static void
grow(struct tree *t, struct pool *pool, const struct mime_limits *limits,
    const char *data, size_t len, size_t run, bool is_7bit)
{
	plant(t, pool, limits);
	t->is_7bit = is_7bit;
	feed(mime_reader_new(pool, limits, &tree_events, t), pool, data, len,
	    run);
	if (t->owes_end)
		str_add(&t->body, "\r\n");
	end_part(t);
}

/* Convert a message; false when that is refused. */
static bool
convert(struct tree *to, struct pool *pool, const struct mime_limits *limits,
    const char *data, size_t len, size_t run)
{
	struct survey		*s = survey_new(pool);
	struct converter	*c;

	feed(mime_reader_new(pool, limits, &survey_events, s), pool, data,
	    len, len + 1);
	survey_finish(s);
	if (survey_refusal(s) != NULL)
		return false;
	plant(to, pool, limits);
	to->is_7bit = true;
	c = converter_new(pool, s, &tree_events, to);
	feed(mime_reader_new(pool, limits, &convert_events, c), pool, data,
	    len, run);
	converter_finish(c);
	/* as good as can be told beforehand */
	MUST(survey_growth(s) >= 0);
	MUST(survey_has_8bit(s) || (to->all.len >= len &&
	    memcmp(to->all.data, data, len) == 0));
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 first = input_byte(&in);
	size_t		 run = 1 + first % 64;
	const char	*text = (const char *)in.at;
	struct pool	*pool = pool_new("fuzz", 0);
	const struct mime_limits *limits = first & 64 ? &small_limits :
			    &mime_limits;
	struct tree	 whole, cut, once, twice, converted;

	grow(&whole, pool, limits, text, in.left, in.left + 1, false);
	grow(&cut, pool, limits, text, in.left, run, false);
	MUST(whole.all.len == cut.all.len && memcmp(whole.all.data,
	    cut.all.data, cut.all.len) == 0);
	MUST(whole.parts.len == cut.parts.len && memcmp(whole.parts.data,
	    cut.parts.data, cut.parts.len) == 0);
	MUST(cut.all.len >= in.left && cut.all.len <= in.left + 2 &&
	    memcmp(cut.all.data, text, in.left) == 0);

	if (convert(&once, pool, limits, text, in.left, in.left + 1)) {
		MUST(convert(&twice, pool, limits, text, in.left, run));
		MUST(once.all.len == twice.all.len && memcmp(once.all.data,
		    twice.all.data, once.all.len) == 0);
		grow(&converted, pool, limits, once.all.data, once.all.len,
		    once.all.len + 1, true);
		MUST(converted.parts.len == whole.parts.len &&
		    memcmp(converted.parts.data, whole.parts.data,
		    whole.parts.len) == 0);
	}
	pool_free(pool);
	return 0;
}
