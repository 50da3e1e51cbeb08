#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include "smtp/transaction.h"

/* The message on its way: what data.c and chunks.c share. */
struct sending {
	struct smtp_stuff	 stuff;
	char			*in, *out;
	size_t			 block;		/* bytes that `in` holds */
	size_t			 len;		/* bytes of a chunk in `out`;
						 * without, written so far */
	int64_t			 deadline;	/* smtp_per_request_deadline */
};
enum { SENDING_BLOCK = 16 * 1024,	/* half of it for small messages */
    SENDING_BIG = 64 * 1024,		/* and for big ones this */
    SENDING_PIECE = 1024,		/* of a block, encoded at a time */
    /* A chunk is sent when the next block might not fit. */
    SENDING_CHUNK = 96 * 1024 };

/* So many bytes went out: the rest has as much longer. */
void		 data_earn_time(struct transaction *, struct sending *,
		    size_t bytes);
/* Has the host anything to say, or gone away, while we have the word? */
bool		 data_is_interrupted(struct transaction *);
/* Then: a refusal is believed. -1, settled. */
WAITS int	 data_hear_early(struct transaction *);
/* It has hung up on us, errno says how: its last words, or -1. */
WAITS int	 data_hear_last_words(struct transaction *);
/* We cannot go on: the file is damaged, a table does not answer. */
WAITS int	 data_give_up(struct transaction *, int error);
/* From here on the mail may be theirs; -1 when the system stops. */
int		 data_commit(struct transaction *);

/*
 * chunks.c: the message by BDAT. 0: its last byte is out, and so many replies
 * (`unheard`) come before the one for it. 1: it was refused before. -1.
 */
WAITS int	 chunks_send(struct transaction *, struct sending *);
/* Hear those; 1: the message is refused, and nothing more is to be heard. */
WAITS int	 chunks_hear(struct transaction *);
/* Does this answer say that the host does not know BDAT, though it offers it?
 * Then the recipients are for a conversation without. */
bool		 chunks_are_unknown(struct transaction *,
		    const struct smtp_reply *);

#endif
