/*
 * switch.c - one stack gives way to another.
 *
 * Called by fiber.c, twice for each wait. The registers that a function must
 * leave as they were (and the two words that control floating point) go onto
 * the stack that is left, and come back from the one that is entered; all
 * others the compiler has saved already, since for it this is a call like any
 * other. No system call is made: a cleanup under load switched seven times
 * for a message, and swapcontext(3) asks the kernel for the mask of signals
 * each time. The mask is the thread's here, not the stack's.
 *
 * glibc's way remains where ours would be wrong or is not known: on other
 * machines, under AddressSanitizer (which follows swapcontext) and in a
 * process with a shadow stack, where a return to another stack is an attack.
 *
 * S1  A backtrace from a fiber ends at the fiber's first function.
 */
#include "common/fiber/inside.h"

#include <ucontext.h>

#include "common/base/bug.h"
#include "common/fiber/tools.h"

#if defined(FIBER_ASAN)
#define OWN_WAY	0
#elif defined(__x86_64__) && !defined(__ILP32__)
#define OWN_WAY	1
#elif defined(__aarch64__) && !defined(__ILP32__)
#define OWN_WAY	1
#else
#define OWN_WAY	0
#endif

#if OWN_WAY
/* Save the registers, note in *from where, and go on at `to`. fibers.py knows
 * the order in which they lie there. */
void	context_swap(void **from, void *to);
/* What a new stack returns to: it calls the function in the first register
 * that is kept, and there is nothing behind it (S1). */
void	context_entry(void);
#endif

#if OWN_WAY && defined(__x86_64__)
enum { FRAME_WORDS = 8, AT_CONTROL = 0, AT_RUN = 5, AT_RETURN = 7 };

/* MXCSR and the x87 control word of a fresh thread. */
#define FRESH_CONTROL	(UINT64_C(0x037f) << 32 | 0x1f80)

__asm__(
"	.text\n"
"	.p2align 4\n"
"	.globl context_swap\n"
"	.hidden context_swap\n"
"	.type context_swap, @function\n"
"context_swap:\n"
"	.cfi_startproc\n"
"	pushq %rbp\n"
"	.cfi_adjust_cfa_offset 8\n"
"	.cfi_rel_offset %rbp, 0\n"
"	pushq %rbx\n"
"	.cfi_adjust_cfa_offset 8\n"
"	.cfi_rel_offset %rbx, 0\n"
"	pushq %r12\n"
"	.cfi_adjust_cfa_offset 8\n"
"	.cfi_rel_offset %r12, 0\n"
"	pushq %r13\n"
"	.cfi_adjust_cfa_offset 8\n"
"	.cfi_rel_offset %r13, 0\n"
"	pushq %r14\n"
"	.cfi_adjust_cfa_offset 8\n"
"	.cfi_rel_offset %r14, 0\n"
"	pushq %r15\n"
"	.cfi_adjust_cfa_offset 8\n"
"	.cfi_rel_offset %r15, 0\n"
"	subq $8, %rsp\n"
"	.cfi_adjust_cfa_offset 8\n"
"	stmxcsr (%rsp)\n"
"	fnstcw 4(%rsp)\n"
"	movq %rsp, (%rdi)\n"
"	movq %rsi, %rsp\n"
"	ldmxcsr (%rsp)\n"
"	fldcw 4(%rsp)\n"
"	addq $8, %rsp\n"
"	.cfi_adjust_cfa_offset -8\n"
"	popq %r15\n"
"	.cfi_adjust_cfa_offset -8\n"
"	.cfi_restore %r15\n"
"	popq %r14\n"
"	.cfi_adjust_cfa_offset -8\n"
"	.cfi_restore %r14\n"
"	popq %r13\n"
"	.cfi_adjust_cfa_offset -8\n"
"	.cfi_restore %r13\n"
"	popq %r12\n"
"	.cfi_adjust_cfa_offset -8\n"
"	.cfi_restore %r12\n"
"	popq %rbx\n"
"	.cfi_adjust_cfa_offset -8\n"
"	.cfi_restore %rbx\n"
"	popq %rbp\n"
"	.cfi_adjust_cfa_offset -8\n"
"	.cfi_restore %rbp\n"
"	ret\n"
"	.cfi_endproc\n"
"	.size context_swap, .-context_swap\n"
"\n"
"	.p2align 4\n"
"	.globl context_entry\n"
"	.hidden context_entry\n"
"	.type context_entry, @function\n"
"context_entry:\n"
"	.cfi_startproc\n"
"	.cfi_undefined %rip\n"
"	nop\n"
"	call *%rbx\n"
"	ud2\n"
"	.cfi_endproc\n"
"	.size context_entry, .-context_entry\n"
);

/* Does the processor keep a second, protected stack of return addresses? The
 * instruction leaves the register alone where there is none. */
static bool
has_shadow_stack(void)
{
	uint64_t	pointer = 0;

	__asm__ volatile("rdsspq %0" : "+r" (pointer));
	return pointer != 0;
}
#endif

#if OWN_WAY && defined(__aarch64__)
enum { FRAME_WORDS = 22, AT_CONTROL = 20, AT_RUN = 0, AT_RETURN = 11 };

/* FPCR of a fresh thread. */
#define FRESH_CONTROL	UINT64_C(0)

__asm__(
"	.text\n"
"	.p2align 4\n"
"	.globl context_swap\n"
"	.hidden context_swap\n"
"	.type context_swap, %function\n"
"context_swap:\n"
"	.cfi_startproc\n"
"	sub sp, sp, #176\n"
"	.cfi_adjust_cfa_offset 176\n"
"	stp x19, x20, [sp, #0]\n"
"	.cfi_rel_offset x19, 0\n"
"	.cfi_rel_offset x20, 8\n"
"	stp x21, x22, [sp, #16]\n"
"	.cfi_rel_offset x21, 16\n"
"	.cfi_rel_offset x22, 24\n"
"	stp x23, x24, [sp, #32]\n"
"	.cfi_rel_offset x23, 32\n"
"	.cfi_rel_offset x24, 40\n"
"	stp x25, x26, [sp, #48]\n"
"	.cfi_rel_offset x25, 48\n"
"	.cfi_rel_offset x26, 56\n"
"	stp x27, x28, [sp, #64]\n"
"	.cfi_rel_offset x27, 64\n"
"	.cfi_rel_offset x28, 72\n"
"	stp x29, x30, [sp, #80]\n"
"	.cfi_rel_offset x29, 80\n"
"	.cfi_rel_offset x30, 88\n"
"	stp d8, d9, [sp, #96]\n"
"	stp d10, d11, [sp, #112]\n"
"	stp d12, d13, [sp, #128]\n"
"	stp d14, d15, [sp, #144]\n"
"	mrs x9, fpcr\n"
"	str x9, [sp, #160]\n"
"	mov x9, sp\n"
"	str x9, [x0]\n"
"	mov sp, x1\n"
"	ldr x9, [sp, #160]\n"
"	msr fpcr, x9\n"
"	ldp d14, d15, [sp, #144]\n"
"	ldp d12, d13, [sp, #128]\n"
"	ldp d10, d11, [sp, #112]\n"
"	ldp d8, d9, [sp, #96]\n"
"	ldp x29, x30, [sp, #80]\n"
"	ldp x27, x28, [sp, #64]\n"
"	ldp x25, x26, [sp, #48]\n"
"	ldp x23, x24, [sp, #32]\n"
"	ldp x21, x22, [sp, #16]\n"
"	ldp x19, x20, [sp, #0]\n"
"	add sp, sp, #176\n"
"	.cfi_adjust_cfa_offset -176\n"
"	.cfi_restore x19\n"
"	.cfi_restore x20\n"
"	.cfi_restore x21\n"
"	.cfi_restore x22\n"
"	.cfi_restore x23\n"
"	.cfi_restore x24\n"
"	.cfi_restore x25\n"
"	.cfi_restore x26\n"
"	.cfi_restore x27\n"
"	.cfi_restore x28\n"
"	.cfi_restore x29\n"
"	.cfi_restore x30\n"
"	ret\n"
"	.cfi_endproc\n"
"	.size context_swap, .-context_swap\n"
"\n"
"	.p2align 4\n"
"	.globl context_entry\n"
"	.hidden context_entry\n"
"	.type context_entry, %function\n"
"context_entry:\n"
"	.cfi_startproc\n"
"	.cfi_undefined x30\n"
"	nop\n"
"	blr x19\n"
"	brk #1\n"
"	.cfi_endproc\n"
"	.size context_entry, .-context_entry\n"
);

/* Does the processor keep a guarded stack of return addresses? The hint is
 * CHKFEAT, which clears the bit of what is on; where it is not known it does
 * nothing. */
static bool
has_shadow_stack(void)
{
	register uint64_t	feature __asm__("x16") = 1;

	__asm__ volatile("hint #40" : "+r" (feature));
	return feature == 0;
}
#endif

#if OWN_WAY
/* Is the way of glibc ours as well? Asked for once. */
static bool
is_own_way(void)
{
	static int	known = -1;

	if (known == -1)
		known = !has_shadow_stack();
	return known;
}

/* Lay out a stack as if its function had been about to be called when
 * context_swap() saved the registers. */
static void
make_own(struct context *context, const struct stack *stack,
    void (*run)(void))
{
	uint64_t	*frame;
	size_t		 i;

	frame = (uint64_t *)(void *)(stack->low + stack->size) - FRAME_WORDS;
	for (i = 0; i < FRAME_WORDS; i++)
		frame[i] = 0;
	frame[AT_CONTROL] = FRESH_CONTROL;
	frame[AT_RUN] = (uint64_t)(uintptr_t)run;
	frame[AT_RETURN] = (uint64_t)(uintptr_t)context_entry;
	*context = (struct context){ .registers = frame };
}
#endif

/* The same by glibc, whose record of the registers lies at the very top. */
static void
make_by_libc(struct context *context, const struct stack *stack,
    void (*run)(void))
{
	size_t		 taken = (sizeof(ucontext_t) + 63) & ~(size_t)63;
	ucontext_t	*libc;

	libc = (ucontext_t *)(void *)(stack->low + stack->size - taken);
	if (getcontext(libc) == -1)
		bug("getcontext failed");
	libc->uc_stack.ss_sp = stack->low;
	libc->uc_stack.ss_size = stack->size - taken;
	libc->uc_link = NULL;
	makecontext(libc, run, 0);
	*context = (struct context){ .libc = libc };
}

/* Prepare a stack to run a function that never returns. */
void
context_make(struct context *context, const struct stack *stack,
    void (*run)(void))
{
#if OWN_WAY
	if (is_own_way()) {
		make_own(context, stack, run);
		return;
	}
#endif
	make_by_libc(context, stack, run);
}

/* Leave one stack for another; back here when somebody enters this one. The
 * process's own stack needs no preparation. */
void
context_switch(struct context *from, const struct context *to)
{
	static ucontext_t	main_libc;

#if OWN_WAY
	if (is_own_way()) {
		context_swap(&from->registers, to->registers);
		return;
	}
#endif
	if (from->libc == NULL)
		from->libc = &main_libc;
	if (swapcontext(from->libc, to->libc) == -1)
		bug("cannot leave a stack");
}
