#ifndef SMTP_TABLES_H
#define SMTP_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/lookup.h"

/* The tables that change what is sent and heard: resolve reads them. */
enum content_table {
	TABLE_GENERIC,
	TABLE_HEADER_CHECKS, TABLE_MIME_HEADER_CHECKS,
	TABLE_NESTED_HEADER_CHECKS, TABLE_BODY_CHECKS,
	TABLE_REPLY_FILTER, TABLE_STATUS_FILTER,
	TABLES
};

/* What main.cf says to content.c and its helpers. */
struct content_settings {
	char	*tables[TABLES];
	char	*status_filter;		/* of all agents: the default */
	char	*propagate;
	int64_t	 line_limit;		/* 0: none */
	bool	 keeps_8bit;
	bool	 append_at_myorigin, append_dot_mydomain;
};
extern struct content_settings content_set;

/* Does main.cf name a table? */
bool		 table_is_set(enum content_table);
/* Its parameter in the program that we are: "lmtp_generic_maps". */
const char	*table_name(enum content_table);

/*
 * Ask for at most KEYS_MAX keys, together at most TABLE_ROOM bytes: the first
 * that hits. A resolve that cannot be asked is LOOKUP_TEMPORARY, with text.
 */
WAITS void	 table_ask(struct pool *, enum content_table, int64_t how,
		    struct key_row *, size_t count, struct found *);

#endif
