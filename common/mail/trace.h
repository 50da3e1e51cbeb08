#ifndef MAIL_TRACE_H
#define MAIL_TRACE_H

#include <stdbool.h>
#include <time.h>

#include "common/base/str.h"

/* Trace fields (RFC 5321 4.4), folded, with CRLF line ends. */
struct trace {
	const char	*helo;			/* NULL: submitted locally */
	bool		 hides_client;		/* name, address and HELO */
	const char	*client_name;		/* "unknown" or verified name */
	const char	*client_address;	/* "192.0.2.1", "2001:db8::1" */
	const char	*myhostname;
	const char	*protocol;		/* "ESMTP" */
	const char	*queue_id;
	const char	*recipient;		/* NULL unless just one */
	const char	*extra;			/* words before "by", or NULL;
						 * "\n" folds the line; one
						 * "tls NAME" is a clause of
						 * RFC 8314 4.3 */
	const char	*program;		/* "Postrider" */
	long		 uid;			/* who submitted it, or -1 */
	time_t		 when;
};
void		 trace_received(struct str *, const struct trace *);
/* "Return-Path: <a@b>" and "Delivered-To: a@b", ended by CRLF. */
void		 trace_return_path(struct str *, const char *sender);
void		 trace_delivered_to(struct str *, const char *recipient);
/* A message identifier by queue id, without field name and CRLF:
 * "<TIME.ID@HOST>". */
void		 trace_message_id(struct str *, const char *queue_id,
		    const char *myhostname, time_t);

#endif
