#ifndef SMTPD_HEAR_H
#define SMTPD_HEAR_H

#include "smtpd/session.h"

/*
 * One command line, without its end: DONE; REFUSED when it cannot be one,
 * and that was told; GONE with errno. The line is good until the next call.
 */
WAITS int	 hear(struct session *, char **line);

#endif
