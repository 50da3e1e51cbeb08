#ifndef MASTER_PAUSE_H
#define MASTER_PAUSE_H

#include "master/process.h"
#include "master/services.h"

/* When a place is filled again: these set its `not_before`. */

/* Its process ended with this status, as wait(2) has it. */
void	 pause_after_death(struct worker *, const struct process *,
	    int status);
/* None could be started. */
void	 pause_after_refusal(struct worker *);

#endif
