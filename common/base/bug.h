#ifndef BASE_BUG_H
#define BASE_BUG_H

/*
 * The voices for the errors that end a process. A parser's complaint is
 * a returned sentence, the world's refusal is -1 with errno; neither is here.
 */

/* We are wrong: log "panic: ...", leave a core if the system keeps them. */
_Noreturn void	 bug(const char *format, ...)
		    __attribute__((format(printf, 1, 2)));

/* We cannot live here (settings, missing user): log "fatal: ...", exit 1. */
_Noreturn void	 die(const char *format, ...)
		    __attribute__((format(printf, 1, 2)));

/* Nobody could live here now (memory is out): log "fatal: ...", exit with
 * EX_TEMPFAIL, which asks master, or the caller, to try again. */
_Noreturn void	 die_for_now(const char *format, ...)
		    __attribute__((format(printf, 1, 2)));

/* A claim the code relies on; false means bug(). Always compiled in. */
#define CLAIM(condition) do {						\
	if (!(condition))						\
		bug("%s:%d: untrue: %s", __FILE__, __LINE__, #condition); \
} while (0)

#endif
