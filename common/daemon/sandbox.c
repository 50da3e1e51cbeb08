/*
 * sandbox.c - what the kernel still does for us, beyond users and chroot.
 *
 * Entered once, after the user was changed and before the first thread, since
 * both halves apply to a thread and its children. Kernels without one half
 * get the other; what was found is told at -v. helper, spawn and the programs
 * they start have none: a filter would be inherited by the users' commands.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/daemon/inside.h"

/* Close the last doors, unless a tool needs them (sanitizers, valgrind). */
void
sandbox_enter(const struct role *role)
{
#ifdef SANITIZED
	log_debug("this build has no sandbox, for its sanitizers");
	return;
#endif
	if (role->needs & NEEDS_BECOME)
		return;
	if (getenv("POSTRIDER_NO_SANDBOX") != NULL) {
		log_warning("the sandbox is off by POSTRIDER_NO_SANDBOX");
		return;
	}
	landlock_enter(role);
	seccomp_enter(role);
}
