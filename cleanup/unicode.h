#ifndef CLEANUP_UNICODE_H
#define CLEANUP_UNICODE_H

#include "cleanup/transaction.h"

extern const struct param	unicode_params[];

/* Read the settings; on start. */
void		 unicode_start(void);

/* A field of the message's head, as it is written. */
void		 unicode_note(struct transaction *, const char *, size_t);

/* Envelope and head are final: is SMTPUTF8 needed where nobody asked for it
 * (smtputf8_autodetect_classes)? */
void		 unicode_decide(struct transaction *);

#endif
