/*
 * object.h - what a system call of another process is about.
 */
#ifndef T_CRASH_OBJECT_H
#define T_CRASH_OBJECT_H

#include <sys/types.h>

#include <stdint.h>

#include "t/crash/calls.h"

enum { OBJECT_MAX = 240 };

/* The object of a call that a process, which does not move, is about to make
 * with these arguments. */
void	 object_name(pid_t process, const struct call *, const uint64_t *args,
    char object[OBJECT_MAX]);

#endif
