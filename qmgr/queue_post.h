#ifndef QMGR_QUEUE_POST_H
#define QMGR_QUEUE_POST_H

#include <stdbool.h>

#include "common/queue/postfix.h"

/* Post a message of Postfix's maildrop with our sendmail; is_dry: only say
 * whether that can be done. NULL, or why not. */
const char	*queue_post(struct pool *, const struct postfix_file *,
		    bool is_dry);

#endif
