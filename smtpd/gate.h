#ifndef SMTPD_GATE_H
#define SMTPD_GATE_H

#include "smtpd/session.h"

/*
 * What happens to a command before it is one of ours: *line may be replaced.
 * DONE: it is to be run; REFUSED: it was answered, and counts as a command
 * that nobody knows; GONE.
 */
WAITS int	 gate_pass(struct session *, char **line);

/* Shall this verb do nothing (smtpd_noop_commands)? */
bool		 gate_ignores(const char *verb);

/* May other input already be there behind this command? If not, and it is
 * forbidden, REFUSED (told; the session is over); else DONE. */
WAITS int	 gate_pipeline(struct session *, const char *verb,
		    bool ends_group);

/* Read the lists. */
void		 gate_prepare(void);

#endif
