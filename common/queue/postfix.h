#ifndef QUEUE_POSTFIX_H
#define QUEUE_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/ipc/packets.h"

/*
 * A message in a file of Postfix's queue, or of its maildrop; the format is
 * told in postfix.c. Nothing here opens a file.
 */
struct postfix_file {
	/* Sender, options and where it came from; without recipients. */
	struct mail		 mail;
	struct recipient_row	*recipients;	/* still to do */
	size_t			 count;
	size_t			 done;		/* delivered, or given up */
	bool			 was_warned;	/* its sender, of the delay */
	struct str		 content;	/* with CRLF */
};

/*
 * Take the file apart. Strings and content are in the pool. NULL,
 * or why it cannot be understood.
 */
const char	*postfix_parse(struct postfix_file *, struct pool *,
		    const void *data, size_t len);

#endif
