/*
 * rogue.h - what the rogue's files tell each other.
 *
 * An attempt is a deed that an intruder would do in a daemon: 0 when it
 * succeeded, -1 with errno when it was refused, NOTHING_TO_TRY when this
 * program has nothing that the deed needs.
 */
#ifndef T_DAEMON_ROGUE_H
#define T_DAEMON_ROGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/daemon/roles.h"

enum { NOTHING_TO_TRY = -2 };

struct attempt {
	const char	*name;
	int		(*try)(const char *with);
	const char	*with;
};

/* Each ended by a NULL name. */
extern const struct attempt	file_attempts[];
extern const struct attempt	net_attempts[];
extern const struct attempt	kernel_attempts[];

/* What an attempt may know: all of it is in sight of a patient intruder. */
struct facts {
	char	role[16], attempt[32];
	char	config[128], queue[128];
	char	user[32];		/* the recipient whom mailbox is */
	char	home[128];
	char	mailbox[160];		/* of another recipient */
	char	table[160];		/* that only root may read */
	char	program[160];		/* the booty */
	int	tcp, udp, low, high;	/* ports: two open, two free */
	char	abstract[64];		/* an abstract socket, without NUL */
	pid_t	own;			/* a process of the same user */
	struct { char user[32]; pid_t pid; } victims[20];
};
extern struct facts	facts;

/* The program to start, loaded before the doors closed. */
extern char		booty[16384];
extern size_t		booty_len;
enum { BOOTY_STATUS = 77 };		/* what it exits with */

/* The row of our role, NULL for the control, which closes no door. */
const struct role	*my_role(void);

/* The descriptor of the queue directory, -1 without. */
int			 my_queue(void);

/* Try it by every path that may lead to a place in the queue directory. */
int			 at_every_path(int (*op)(int at, const char *path),
			    const char *place);

/* doors.c: do the deed behind the doors of a role, in a process of which
 * descriptors 3, 4 and maybe 5 are as master hands them over. */
_Noreturn void		 behind_doors(const struct role *, void (*deed)(void));
/* Were we started by helper's child as the recipient's mailbox program? */
void			 be_mailbox(char **argv, void (*deed)(void));
void			 load_booty(void);

/* What came out, sent through descriptor 3. */
struct result {
	char	magic[8];
	int	result, error;
	pid_t	pid;
};
#define RESULT_MAGIC	"rogue!"
void			 tell(int result, int error);

#endif
