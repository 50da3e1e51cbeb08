#ifndef RESOLVE_TABLES_H
#define RESOLVE_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/map/map.h"
#include "resolve/rules.h"

/*
 * Tables, and what is remembered of what they said.
 */

/* --- tables.c: tables that notice when their files change ---------------- */

/* In the pool; closed with it. `parameter` is for the log. */
struct table	*table_new(struct pool *, const char *parameter,
		    const char *list);
/* Failures to open so far: all, or those that root would not have. */
unsigned	 tables_broken(bool only_denied);
bool		 table_is_empty(const struct table *);
/* Is every change of it noticed? */
bool		 table_is_stable(const struct table *);
/* And only by a look at its files? */
bool		 table_is_still(const struct table *);
/* Look at the files of all tables, once a second; a change is a new
 * generation. */
void		 tables_look(void);
/* When that will be. */
int64_t		 tables_next_look(void);
WAITS enum map_result table_find(struct table *, struct pool *,
		    const char *key, char **value, char **why);
/* The same, and who owns the files of the table that answered (map.h). */
WAITS enum map_result table_find_owned(struct table *, struct pool *,
		    const char *key, char **value, int64_t *owner, char **why);
/* A key that tables of patterns are not asked for. */
WAITS enum map_result table_find_part(struct table *, struct pool *,
		    const char *key, char **value, char **why);
WAITS enum map_result table_find_address(struct table *, struct pool *,
		    const char *address, const char *delimiters,
		    bool domain_is_ours, char **value, char **extension,
		    char **why);

/* --- memory.c: facts about domains, until anything changes --------------- */

enum fact_kind { FACT_CLASS, FACT_IS_OURS, FACT_TRANSPORT, FACTS };
struct fact { bool is_known; int number; char *text; };

/* By name in lower case. May these rules use the memory for it at all? */
bool		 rules_remember(const struct rules *, enum fact_kind);
/* NULL, or what is known; good until the next wait. */
const struct fact *memory_recall(const char *name, enum fact_kind);
/* generation: when the finding out began. */
void		 memory_keep(const char *name, enum fact_kind,
		    int64_t generation, int number, const char *text);

#endif
