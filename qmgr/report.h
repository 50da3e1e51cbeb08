#ifndef QMGR_REPORT_H
#define QMGR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/base/str.h"
#include "common/ipc/packets.h"
#include "qmgr/template.h"

/*
 * The text of a delivery status notification: a multipart/report (RFC 6522)
 * of a letter for people, a message/delivery-status for programs (RFC 3464),
 * and the message it is about, or its header. Pure: no I/O.
 *
 *	report_head()	everything before the message
 *	(the caller copies `copy_length` bytes of it)
 *	report_tail()	the end
 */
/* Who reads it: the sender; the postmaster, a copy of what the sender got; or
 * the postmaster alone, since the sender cannot be told. */
enum audience { FOR_SENDER, FOR_COPY, FOR_POSTMASTER };

struct report {
	const struct bounce	*about;
	enum audience		 audience;
	const char		*to;		/* the reader's address */
	const struct template	*template;	/* of this kind, expanded */
	bool			 is_threaded;	/* References and so on */
	bool			 is_copy_8bit;	/* in what is copied */
	bool			 is_damaged;	/* no more can be read */
	const char		*myhostname;
	const char		*boundary;	/* not in the message */
	time_t			 now;
	/* from report_learn() */
	char			*message_id, *references;
	size_t			 header_length;
	bool			 is_header_8bit;
	/* from report_choose() */
	bool			 is_headers_only;
	int64_t			 copy_length;
};

/* Look at the start of the message: its id, where its header ends. */
void		 report_learn(struct report *, struct pool *,
		    const char *data, size_t len);
/* The whole message, or its header only? By RET, kind and size (bytes). */
void		 report_choose(struct report *, int64_t size_limit);
/* Does any part need 8BITMIME, or even SMTPUTF8? */
bool		 report_is_8bit(const struct report *);
bool		 report_is_utf8(const struct report *);
/* Is what is copied to be written in base64? */
bool		 report_encodes_copy(const struct report *);
void		 report_head(struct str *, const struct report *);
void		 report_tail(struct str *, const struct report *);

/* "sender non-delivery notification": for the log. */
const char	*report_name(int64_t kind, enum audience);

#endif
