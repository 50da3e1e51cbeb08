/*
 * header.c - fuzz: a message's header block, cut anywhere.
 *
 * First two bytes: the size of the runs and the limit. Nothing of a message
 * is lost or made up, and the cuts make no difference.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/address.h"
#include "common/mail/header.h"

/* What the events added up to. */
struct heard {
	struct pool	*pool;
	struct str	 all;		/* the message, put together again */
	struct str	 story;		/* events, for comparing */
	size_t		 limit;
	int		 ends, is_cut;
};

/* A field: its parts lie within it. */
static void
on_field(void *context, const struct header_field *f)
{
	struct heard	*h = context;
	char		*value;

	MUST(h->ends == 0);
	MUST(f->name == f->raw && f->name_len > 0);
	MUST(f->value > f->name && f->value + f->value_len +
	    (f->is_cut ? 0 : 2) == f->raw + f->raw_len);
	if (f->is_cut)
		MUST(f->raw_len == h->limit);
	else
		MUST(f->raw_len <= h->limit + 2 && memcmp(f->raw +
		    f->raw_len - 2, "\r\n", 2) == 0);
	value = header_unfold(h->pool, f->value, f->value_len);
	MUST(is_one_line(value));
	(void)header_is(f, "Received");
	str_add_mem(&h->all, f->raw, f->raw_len);
	str_addf(&h->story, "field %zu %zu\n", f->name_len, f->raw_len);
	h->is_cut = f->is_cut;
}

/* The rest of one that is cut. */
static void
on_more(void *context, const char *data, size_t len)
{
	struct heard	*h = context;

	MUST(h->is_cut && h->ends == 0 && len > 0);
	str_add_mem(&h->all, data, len);
}

/* The end, once. */
static void
on_end(void *context, bool had_empty_line)
{
	struct heard	*h = context;

	MUST(h->ends++ == 0);
	if (had_empty_line)
		str_add(&h->all, "\r\n");
	str_addf(&h->story, "end %d\n", had_empty_line);
}

/* The rest. */
static void
on_body(void *context, const char *data, size_t len)
{
	struct heard	*h = context;

	MUST(h->ends == 1);
	str_add_mem(&h->all, data, len);
}

/* Read the message in runs. */
static void
hear(struct heard *h, struct pool *pool, const uint8_t *data, size_t len,
    size_t run, size_t limit)
{
	static const struct header_events	events = {
		on_field, on_more, on_end, on_body
	};
	struct header_reader			*r;
	size_t					 i, n;

	*h = (struct heard){ .pool = pool, .limit = limit };
	str_init(&h->all, pool, 0);
	str_init(&h->story, pool, 0);
	r = header_reader_new(pool, limit, &events, h);
	for (i = 0; i < len; i += n) {
		n = len - i < run ? len - i : run;
		header_reader_feed(r, pool_strndup(pool, data + i, n), n);
	}
	header_reader_finish(r);
	MUST(h->ends == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	size_t		 run = 1 + input_byte(&in) % 64, extra;
	size_t		 limit = 16 + input_byte(&in) * 8;
	struct pool	*pool = pool_new("fuzz", 0);
	struct heard	 whole, cut;

	hear(&whole, pool, in.at, in.left, in.left + 1, limit);
	hear(&cut, pool, in.at, in.left, run, limit);
	MUST(strcmp(whole.story.data, cut.story.data) == 0);
	MUST(whole.all.len == cut.all.len &&
	    memcmp(whole.all.data, cut.all.data, cut.all.len) == 0);
	/* only a missing last line end may have been added */
	MUST(cut.all.len >= in.left &&
	    memcmp(cut.all.data, in.at, in.left) == 0);
	extra = cut.all.len - in.left;
	MUST(extra <= 2 && memcmp(cut.all.data + in.left, &"\r\n"[2 - extra],
	    extra) == 0);
	pool_free(pool);
	return 0;
}
