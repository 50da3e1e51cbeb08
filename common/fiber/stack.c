/*
 * stack.c - the stacks of the fibers: mapped, guarded, kept warm, measured.
 *
 * Called by fiber.c. A stack is 64 KiB above a page that nobody may touch, so
 * that running over its end kills the process and not its data. A handful of
 * stacks is kept for the next fibers, the rest goes back to the kernel: a
 * burst of sessions leaves no memory behind.
 *
 * With POSTRIDER_PAINT_STACKS in the environment new stacks are filled with
 * a pattern; what is left of it tells how deep a stack was ever used. A spare
 * stack is not painted again: its mark is the deepest of all its users, and
 * the deepest is what is asked for.
 */
#include "common/fiber/inside.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/fiber/tools.h"

enum {
	SPARE_STACKS = 64,
#ifdef FIBER_ASAN
	STACK_SIZE = 256 * 1024		/* ASan's red zones are generous */
#else
	STACK_SIZE = 64 * 1024
#endif
};

#define PAINT	UINT64_C(0x7061696e74656421)

static struct stack	spare[SPARE_STACKS];
static size_t		spares;

/* Are new stacks to be painted? Asked once: the environment may go away. */
static bool
is_painting(void)
{
	static int	known = -1;

	if (known == -1)
		known = getenv("POSTRIDER_PAINT_STACKS") != NULL;
	return known;
}

/* Fill a new stack with the pattern. */
static void
paint(struct stack *stack)
{
	uint64_t	*word = (uint64_t *)(void *)stack->low;
	size_t		 i;

	for (i = 0; i < stack->size / sizeof *word; i++)
		word[i] = PAINT;
}

/* Map a new stack and its guard page. */
static void
map(struct stack *stack)
{
	size_t	 guard = (size_t)sysconf(_SC_PAGESIZE);
	char	*memory;

	memory = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (memory == MAP_FAILED)
		die("no memory for a stack: %s (vm.max_map_count allows two "
		    "mappings per session)", strerror(errno));
	if (mprotect(memory, guard, PROT_NONE) == -1)
		die("cannot guard a stack: %s", strerror(errno));

	stack->low = memory + guard;
	stack->size = STACK_SIZE;
	stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low,
	    stack->low + stack->size);
	tool_root_add(stack->low, stack->size);
	if (is_painting())
		paint(stack);
}

/* Give a stack back to the kernel. */
static void
unmap(struct stack *stack)
{
	size_t	guard = (size_t)sysconf(_SC_PAGESIZE);

	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
	tool_root_remove(stack->low, stack->size);
	if (munmap(stack->low - guard, guard + stack->size) == -1)
		bug("cannot unmap a stack: %s", strerror(errno));
}

/* A stack for a new fiber. */
void
stack_take(struct stack *stack)
{
	if (spares > 0)
		*stack = spare[--spares];	/* the one used last is warm */
	else
		map(stack);
}

/* The fiber has ended; nobody runs on its stack any more. */
void
stack_give(struct stack *stack)
{
	if (spares < SPARE_STACKS)
		spare[spares++] = *stack;
	else
		unmap(stack);
	stack->low = NULL;
}

/* Look for the deepest word that is no longer paint. The tools rightly think
 * that nobody should read there, so they are asked to look away. */
FIBER_NO_ASAN size_t
stack_depth(const struct stack *stack)
{
	const uint64_t	*word = (const uint64_t *)(const void *)stack->low;
	size_t		 i, words = stack->size / sizeof *word;

	if (!is_painting())
		return 0;
	VALGRIND_DISABLE_ERROR_REPORTING;
	for (i = 0; i < words && word[i] == PAINT; i++)
		continue;
	VALGRIND_ENABLE_ERROR_REPORTING;
	return (words - i) * sizeof *word;
}
