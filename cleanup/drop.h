#ifndef CLEANUP_DROP_H
#define CLEANUP_DROP_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/ipc/packets.h"
#include "common/param/param.h"

/*
 * A message in maildrop/, and on its way from sendmail into postdrop. The
 * format is told in drop.c; the content has any line ends.
 */
enum {
	DROP_PREFIX = 16,
	DROP_HEAD_MAX = 64 * 1024 * 1024,
	DROP_RECIPIENTS_MAX = 1000000
};

struct drop {
	char			*sender;
	char			*full_name;
	char			*envelope_id, *return_what, *verp;
	int64_t			 flags;		/* SUBMIT_FLAGS */
	int64_t			 content_length;
	struct recipient_row	*recipients;
	size_t			 count;
	size_t			 room;	/* of them, for who adds */
};

/* What drop_check() goes by: verp_delimiter_filter. Whoever calls it has loaded
 * this. */
extern const struct param	drop_params[];

/* What stands in front of the content. NULL, or what is out of bounds. */
const char	*drop_encode(const struct drop *, struct str *to);

/* How long the head is that follows this prefix of DROP_PREFIX bytes. */
const char	*drop_decode_prefix(const void *prefix, size_t *head_len);

/* The head, its values checked by drop_check(). */
const char	*drop_decode(struct drop *, struct pool *, const void *prefix,
		    const void *head, size_t head_len);

/* Are these VERP delimiters? NULL, or what is wrong. */
const char	*drop_check_verp(const char *delimiters);

/*
 * Make every address canonical. NULL, or what is wrong with one of them, with
 * the words for the notification, or with the number of recipients.
 */
const char	*drop_check(struct pool *, struct drop *);

#endif
