#ifndef MAIL_VERP_H
#define MAIL_VERP_H

#include "common/base/mem.h"

/*
 * VERP, the variable envelope return path: each recipient gets a copy of the
 * message with a sender of its own, so that the report that comes back names
 * the recipient whatever it says. With the delimiters "+=" the sender
 * "owner@lists.example" and the recipient "user@dom.example" make
 * "owner+user=dom.example@lists.example".
 */

/* The sender for this recipient, for whom the address that was first given
 * should stand. The null sender stays what it is, and so does one that would
 * become too long for any mail system. Both addresses canonical (address.h);
 * so is the answer. */
char		*verp_sender(struct pool *, const char *sender,
		    const char *recipient, const char *delimiters);

/* Delimiters are two, each one of the filter's characters: NULL, or what is
 * wrong. */
const char	*verp_check(const char *delimiters, const char *filter);

#endif
