#ifndef BASE_FRESH_H
#define BASE_FRESH_H

/*
 * A child on its way from fork to exec: signals as in a fresh login (none is
 * ignored, caught or blocked), a session of its own, and not more open files
 * than programs can cope with that use select(2). Nothing but system calls,
 * so that a process with threads may do it; what cannot be had stays.
 */
void		 fresh_login(void);

#endif
