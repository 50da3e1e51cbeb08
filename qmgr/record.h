#ifndef QMGR_RECORD_H
#define QMGR_RECORD_H

#include "common/fiber/fiber.h"
#include "qmgr/message.h"

/* The attempt is over: write down what happened. 0, -1 if that cannot be done
 * now (it was told), 1 if the file is gone. has_news: somebody is crossed off,
 * or was warned, which is to be synced. */
WAITS int	 record_end(struct message *, bool has_failures, bool has_news);

/* Reports are being made one after the other: put on the disk what is settled
 * by now. From `begin` to before `end`, who is WORK_FAILED was reported. */
WAITS void	 record_reported(struct message *, size_t begin, size_t end);

#endif
