#ifndef SMTPD_TURNS_H
#define SMTPD_TURNS_H

#include "smtpd/session.h"

/*
 * The client's turn: from here on we wait for it, to send or to read. What it
 * may take of smtpd_timeout is set as the io's patience and deadline. With
 * is_text the turn is one of those that a message is sent in, which have one
 * allowance together: turn_credit() gives some of it back for bytes that came.
 */
void		 turn_begin(struct session *, bool is_text);
void		 turn_end(struct session *);
void		 turn_credit(struct session *, int64_t bytes);

/* Send what was said so far, within one turn. */
WAITS int	 turn_flush(struct session *, bool is_text);

/* All slots are in use and somebody is at the door: ask the one to leave who
 * is missed least. False when nobody has been idle for long enough. */
bool		 turn_make_room(void);

/* Ask those to leave whose turn takes longer than it may by now. */
void		 turn_dismiss_slow(void);

#endif
