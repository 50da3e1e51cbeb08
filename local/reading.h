#ifndef LOCAL_READING_H
#define LOCAL_READING_H

#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

/*
 * Inside the program `mailbox`: a file that tells where mail goes, read with
 * the rights of the recipient.
 */
enum { READING_TEXT = 256 };

/* Answer the question; texts are put into `text`, data into the pool. */
WAITS void	 reading_answer(struct pool *, const struct read_forward *,
		    struct forward *, char text[READING_TEXT]);

#endif
