/*
 * extract.c - recipients out of a message's headers (sendmail -t).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/mail/address.h"
#include "common/mail/header.h"
#include "common/mail/smtp.h"

#include "cleanup/post.h"

enum {
	PIECE = 16 * 1024,
	FIELD_MAX = 32 * 1024 * 1024	/* a To: with 500,000 addresses */
};

/* Recipients being found. */
struct extract {
	struct pool	*pool;
	struct drop	 plain, resent;		/* only their recipients */
	bool		 has_resent, is_over;
	const char	*why;
};

/* Add one recipient. */
static void
add(struct pool *pool, struct drop *d, char *address)
{
	static char	nothing[1];

	d->recipients = pool_grow(pool, d->recipients, &d->room,
	    d->count + 1, sizeof(*d->recipients));
	d->recipients[d->count++] = (struct recipient_row){
		.address = address, .original = nothing, .orcpt = nothing
	};
}

/* Nothing but addresses with white space between them? */
static bool
has_blanks_only(const char *list)
{
	list += strspn(list, " \t");
	list += strcspn(list, " \t");
	return list[strspn(list, " \t")] != '\0' &&
	    strpbrk(list, "\"<>(),:;\\") == NULL;
}

/* People and scripts forget the commas: "bob carol" is two, as it is for other
 * systems' sendmail. */
static const char *
extract_words(struct pool *pool, const char *list, struct drop *d)
{
	char		*rest = pool_strdup(pool, list), *word;
	const char	*why;

	while ((word = strsep(&rest, " \t")) != NULL)
		if (*word != '\0' &&
		    (why = extract_list(pool, word, d)) != NULL)
			return why;
	return NULL;
}

/* Add the addresses of a list. */
const char *
extract_list(struct pool *pool, const char *list, struct drop *d)
{
	struct list_item	*items;
	const char		*why;
	size_t			 count, i;

	why = address_list_parse(pool, list, LIST_IS_HEADER, &items, &count);
	if (why != NULL && has_blanks_only(list))
		return extract_words(pool, list, d);
	if (why != NULL)
		return why;
	for (i = 0; i < count; i++)
		add(pool, d, items[i].value);
	return NULL;
}

/* A field: does it name recipients? */
static void
on_field(void *context, const struct header_field *f)
{
	struct extract	*x = context;
	const char	*why;
	struct drop	*to = NULL;

	if (header_is(f, "To") || header_is(f, "Cc") || header_is(f, "Bcc"))
		to = &x->plain;
	else if (header_is(f, "Resent-To") || header_is(f, "Resent-Cc") ||
	    header_is(f, "Resent-Bcc")) {
		to = &x->resent;
		x->has_resent = true;
	}
	if (to == NULL)
		return;
	if (f->is_cut)
		why = "it is too long";
	else
		why = extract_list(x->pool, header_unfold(x->pool, f->value,
		    f->value_len), to);
	if (why != NULL && x->why == NULL)
		x->why = pool_printf(x->pool, "%.*s: header: %s",
		    (int)f->name_len, f->name, why);
}

/* The head is over; nothing behind it is of interest. */
static void
on_end(void *context, bool had_empty_line)
{
	(void)had_empty_line;
	((struct extract *)context)->is_over = true;
}

static const struct header_events	events = {
	.field = on_field,
	.end = on_end
};

/* Read the file through the header reader. */
static const char *
read_head(struct extract *x, int fd, int64_t length)
{
	struct header_reader	*reader = header_reader_new(x->pool,
				    FIELD_MAX, &events, x);
	struct crlf		 crlf = { false };
	char			*in = pool_alloc(x->pool, PIECE);
	char			*out = pool_alloc(x->pool, 2 * PIECE);
	int64_t			 at;
	ssize_t			 n;

	for (at = 0; at < length && !x->is_over; at += n) {
		if ((n = fs_pread(fd, in, PIECE, at)) == -1)
			return strerror(errno);
		if (n == 0)
			break;
		header_reader_feed(reader, out, crlf_encode(&crlf, in,
		    (size_t)n, out));
	}
	header_reader_finish(reader);
	return x->why;
}

/* Add the recipients that the headers name. */
const char *
extract_recipients(struct pool *pool, int fd, int64_t length, struct drop *d)
{
	struct extract	 x = { .pool = pool };
	struct drop	*found;
	const char	*why;
	size_t		 i;

	if ((why = read_head(&x, fd, length)) != NULL)
		return why;
	found = x.has_resent ? &x.resent : &x.plain;
	for (i = 0; i < found->count; i++)
		add(pool, d, found->recipients[i].address);
	return NULL;
}
