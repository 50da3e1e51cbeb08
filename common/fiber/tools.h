#ifndef FIBER_TOOLS_H
#define FIBER_TOOLS_H

#include <stddef.h>

/*
 * What AddressSanitizer and valgrind must be told about stacks of our own.
 * Without the tools all of this is nothing.
 */
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN	1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

#define FIBER_NO_ASAN	__attribute__((no_sanitize("address")))

/* About to leave a stack for another; `fake` keeps ASan's copy of it, NULL
 * when it will never be used again. */
#define tool_switch_start(fake, low, size) \
	__sanitizer_start_switch_fiber(fake, low, size)
/* Arrived; `low` and `size` receive the bounds of the stack just left. */
#define tool_switch_finish(fake, low, size) \
	__sanitizer_finish_switch_fiber(fake, low, size)
/* What a sleeping fiber's stack points to is not leaked. */
#define tool_root_add(low, size)	__lsan_register_root_region(low, size)
#define tool_root_remove(low, size)	__lsan_unregister_root_region(low, size)
#else
#define FIBER_NO_ASAN
#define tool_switch_start(fake, low, size) \
	((void)(fake), (void)(low), (void)(size))
#define tool_switch_finish(fake, low, size) \
	((void)(fake), (void)(low), (void)(size))
#define tool_root_add(low, size)	((void)(low), (void)(size))
#define tool_root_remove(low, size)	((void)(low), (void)(size))
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high)	0
#define VALGRIND_STACK_DEREGISTER(id)		((void)(id))
#define VALGRIND_DISABLE_ERROR_REPORTING	((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING		((void)0)
#endif

#endif
