#ifndef SMTP_STARTTLS_H
#define SMTP_STARTTLS_H

#include "smtp/delivery.h"

/* While files can still be read, after security_prepare(): trust, and where
 * our certificates come from. */
void		 starttls_prepare(void);

/* Is no word of the mail to be said in clear? */
bool		 starttls_is_mandatory(const struct delivery *);

/*
 * TLS at once, before the greeting, if smtp_tls_wrappermode says so. -1 with
 * the failure told.
 */
WAITS int	 starttls_wrap(struct delivery *, struct connection *,
		    struct failure *);

/*
 * After EHLO (RFC 3207): begin TLS if that is wanted and offered. 1: done, all
 * that was learnt before is forgotten and EHLO is due again; 0: go on as it
 * is; -1: this host cannot be used, with the failure told.
 */
WAITS int	 starttls_begin(struct delivery *, struct connection *,
		    struct failure *);

/* After EHLO inside TLS: has the host answered what was not asked yet (see
 * smtp_tls_block_early_mail_reply)? -1 with the failure told. */
WAITS int	 starttls_check_silence(struct delivery *,
		    struct connection *, struct failure *);

/* Tell the log how a conversation is protected that is used again. */
void		 starttls_log_reuse(const struct connection *);

#endif
