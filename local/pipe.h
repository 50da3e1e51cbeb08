#ifndef LOCAL_PIPE_H
#define LOCAL_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/param/maincf.h"

/*
 * What the line of a service pipe in master.cf says, read once at the start.
 */
enum pipe_flags {
	PIPE_ADDS_LINE = 1,	/* B */
	PIPE_DELIVERED = 2,	/* D */
	PIPE_FROM = 4,		/* F */
	PIPE_ORIGINAL = 8,	/* O */
	PIPE_RETURN_PATH = 16,	/* R */
	PIPE_IS_FINAL = 32,	/* X */
	PIPE_FOLDS_HOST = 64,	/* h */
	PIPE_QUOTES = 128,	/* q */
	PIPE_FOLDS_USER = 256,	/* u */
	PIPE_QUOTES_FROM = 512,	/* > */
	PIPE_QUOTES_DOT = 1024	/* . */
};

struct pipe_line {
	const char	*wrong;		/* why it cannot be used, or NULL */
	unsigned	 flags;
	int64_t		 run_flags;	/* enum run_flags */
	char		*user;
	int64_t		 gid;		/* -1: the user's */
	char		*root, *directory;	/* or NULL */
	char		*eol, *null_sender;
	int64_t		 size;		/* 0: no limit */
	int64_t		 time_limit;	/* milliseconds */
	char		**words;	/* argv */
	bool		*is_per_recipient;
	size_t		 word_count;
};
extern struct pipe_line	pipe_line;

/* Is this name the beginning of a word of the command? */
bool	 pipe_line_begins_with(const char *name);

#endif
