#ifndef CLEANUP_LOOKUP_H
#define CLEANUP_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/lookup.h"
#include "common/param/param.h"

/* The tables and lists that cleanup goes by: resolve reads them. */
enum table {
	TABLE_CANONICAL, TABLE_SENDER_CANONICAL, TABLE_RECIPIENT_CANONICAL,
	TABLE_SENDER_BCC, TABLE_RECIPIENT_BCC,
	TABLE_HEADER_CHECKS, TABLE_MIME_HEADER_CHECKS,
	TABLE_NESTED_HEADER_CHECKS, TABLE_BODY_CHECKS,
	/* lists, asked with LOOKUP_DOMAIN */
	LIST_MASQUERADE_EXCEPTIONS, LIST_REWRITE_CLIENTS,
	TABLES
};

extern const struct param	lookup_params[];

/* The way to resolve. */
extern struct link		*to_resolve;
void		 lookup_start(void);

/* Does main.cf say anything there? */
bool		 table_is_set(enum table);
/* What it says, and the parameter's name. */
const char	*table_value(enum table);
const char	*table_name(enum table);

/*
 * Ask for at most KEYS_MAX keys, together at most TABLE_ROOM bytes: the first
 * that hits. A resolve that cannot be asked is LOOKUP_TEMPORARY, with text.
 */
WAITS void	 table_ask(struct pool *, enum table, int64_t how,
		    struct key_row *, size_t count, struct found *);

/*
 * Ask for each of these addresses, "" left out: hit(context, i, answer) for
 * each that is in the table. 0, or -1 with *why.
 */
WAITS int	 table_each(struct pool *, enum table, char **addresses,
		    size_t count, void (*hit)(void *context, size_t,
		    const struct found *), void *context, const char **why);

#endif
