#ifndef QMGR_POSTMASTER_H
#define QMGR_POSTMASTER_H

#include <stdbool.h>

#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"
#include "common/param/param.h"

/*
 * What the postmaster is told, by notify_classes, and where.
 */
enum notify_class { NOTIFY_BOUNCE = 1, NOTIFY_2BOUNCE = 2, NOTIFY_DELAYED = 4,
    NOTIFY_DATA = 8, NOTIFY_POLICY = 16, NOTIFY_PROTOCOL = 32,
    NOTIFY_RESOURCE = 64, NOTIFY_SOFTWARE = 128 };

extern const struct param	postmaster_params[];

/* The bits of a list of classes: NULL, or the word that is none. Pure. */
const char	*classes_parse(struct pool *, const char *words,
		    unsigned *classes);

/* Look at the settings; why they are no good, or NULL. */
const char	*postmaster_prepare(void);

/* Is this class, or one of these, to be told? */
bool		 postmaster_wants(unsigned classes);
/* The address that is told of the first of these classes that is on. */
const char	*postmaster_address(unsigned classes);
/* The address that gets reports which cannot be returned. */
const char	*postmaster_2bounce(void);

/* The sender of what the postmaster gets; mail from it is never returned. */
const char	*postmaster_sender(void);
bool		 postmaster_is_sender(const char *address);

/* PACKET_TRANSCRIPT from smtpd and smtp. */
WAITS void	 on_transcript(struct request *);

/*
 * May a letter be sent now? A few at once, then one a minute; *left_out is
 * how many were refused since the last one.
 */
struct letter_rate { int64_t allowed_from; unsigned left_out; };
bool		 letter_is_due(struct letter_rate *, int64_t now,
		    unsigned *left_out);

#endif
