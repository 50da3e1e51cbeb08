/*
 * table.c - what do the tables of a parameter of this service say?
 */

#include "smtpd/table.h"

#include "common/daemon/daemon.h"

enum { PATIENCE = 30 * 1000 };

void
table_ask(struct pool *pool, const char *parameter, int64_t how,
    const char *key, struct found *found)
{
	struct key_row		row = { pool_strdup(pool, key) };
	struct ask_lookup	question = {
		.service = pool_printf(pool, "%s/inet", daemon_service()),
		.parameter = pool_strdup(pool, parameter),
		.how = how, .keys = &row, .count = 1
	};

	(void)lookup_ask(to_resolve, &question, clock_now() + PATIENCE, pool,
	    found);
}
