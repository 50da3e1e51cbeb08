#ifndef LOCAL_RUN_H
#define LOCAL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/ipc/packets.h"

#include "local/copy.h"

/*
 * Inside the program `mailbox`: one command that gets one message. The work
 * runs on a thread of its own, so it touches neither pools nor the log.
 */
enum { RUN_OUTPUT = 2000, RUN_TEXT = 512 };

struct running {
	const struct run	*what;
	char			**argv, **envp;	/* ended by NULL */
	const char		*root;		/* where it runs; "": here */

	/* the result */
	enum run_result		 result;
	int			 status;
	char			 text[RUN_TEXT];	/* why FAILED */
	char			 output[RUN_OUTPUT + 1];
	size_t			 output_len;

	/* private */
	pid_t			 pid;
	int			 pidfd, input, heard;	/* -1: closed */
	int64_t			 deadline;
	struct copy		 copy;
	char			 block[4096];
};

/* Thread work: run it to its end; the argument is a struct running. */
int	 run_command(void *);

#endif
