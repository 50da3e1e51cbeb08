#ifndef CLEANUP_ANSWER_H
#define CLEANUP_ANSWER_H

#include "common/ipc/packets.h"

/* An answer to who posts, or has posted again; the texts are literals or in
 * the request's pool. */
static inline struct submitted
answer_say(int64_t exit_status, const char *queue_id, const char *text)
{
	return (struct submitted){
		.exit_status = exit_status,
		.queue_id = (char *)(uintptr_t)queue_id,
		.text = (char *)(uintptr_t)text
	};
}

#endif
