#ifndef RESOLVE_TOKENS_H
#define RESOLVE_TOKENS_H

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

/* Know the way to the token program; in the jail. */
void		 tokens_start(void);
/* main.cf was read again: what is kept may be another command's. */
void		 tokens_forget(void);

/* The answer to PACKET_ASK_TOKEN; its pool is to be a secret one. */
WAITS void	 token_find(struct pool *, const struct ask_token *,
		    struct token *);

/* "TOKEN\n[SECONDS\n]", which is cut up: NULL and *seconds (0: not told), or
 * what is wrong with it. */
const char	*token_parse(char *said, const char **value,
		    int64_t *seconds);

#endif
