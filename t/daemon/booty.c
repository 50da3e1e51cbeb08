/*
 * booty.c - the smallest program: to be started where no other can be, since
 * it needs no library and no file.
 */
_Noreturn void	_start(void);

enum { STATUS = 77 };			/* BOOTY_STATUS of rogue.h */

/* Exit, and say by the status that we ran. */
void
_start(void)
{
#if defined(__x86_64__)
	__asm__ volatile ("syscall" : : "a"(231L), "D"((long)STATUS));
#elif defined(__aarch64__)
	register long	number __asm__("x8") = 94;
	register long	status __asm__("x0") = STATUS;

	__asm__ volatile ("svc 0" : : "r"(number), "r"(status));
#else
#error "say here how a process exits on this machine"
#endif
	for (;;)
		;
}
