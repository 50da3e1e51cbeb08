#ifndef SMTPD_CROWD_H
#define SMTPD_CROWD_H

#include <stdbool.h>
#include <stdint.h>

/* Are four fifths of the slots of this process in use, are all of them? */
bool	 crowd_is_near(void);
bool	 crowd_is_full(void);

/* Milliseconds that a client may take for one command, less when busy. */
int64_t	 crowd_patience(void);
/* The same for something else that usually has so many. */
int64_t	 crowd_hasten(int64_t usual);

/* A client has come, so that there are so many visits: may it stay? And one
 * has gone. */
bool	 crowd_arrived(unsigned visits);
void	 crowd_departed(unsigned visits);

void	 crowd_prepare(void);

#endif
