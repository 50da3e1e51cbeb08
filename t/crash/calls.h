/*
 * calls.h - system calls as inject.c tells them: what each is about.
 *
 * The kind says which errors can be tried: "file", "memory", "ipc", and
 * "wait", "thread" and "other", which never fail or only in one way.
 */
#ifndef T_CRASH_CALLS_H
#define T_CRASH_CALLS_H

#include <stdbool.h>

struct call {
	long		 number;
	const char	*name;
	const char	*kind;
	int		 fd;		/* the argument that is a descriptor */
	int		 path;		/* and the one that is a path; or -1 */
	bool		 changes;	/* something that others can see */
};

/* The call of a number; one that has no row is "other". */
const struct call	*call_find(long number);

#endif
