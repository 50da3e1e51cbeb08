/*
 * status.c - what becomes of deliveries, as the administrator would rather
 * have it.
 *
 * Called by smtp and local with what resolve answered.
 */
#include "common/ipc/status.h"

#include <string.h>

#include "common/base/log.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"

#include "common/ipc/tables.h"

/* "X.Y.Z text" */
char *
status_key(struct pool *pool, const char *dsn, const char *text)
{
	char	*key = pool_printf(pool, "%s %s", dsn, text);

	if (strlen(key) > KEY_MAX)
		key[KEY_MAX] = '\0';
	return key;
}

/* "X.Y.Z text" with a text, of the same fortune as the one before? */
static bool
is_fit(const char *status, const char *before)
{
	size_t	len = dsn_find(status, 0);

	return len > 0 && is_blank(status[len]) &&
	    status[len + strspn(status + len, " \t")] != '\0' &&
	    (*status == '2') == (*before == '2');
}

/* What counts of the answer. */
const char *
status_answer(struct pool *pool, const char *queue_id, const char *parameter,
    const char *status, const struct found *found)
{
	char	*doubted;

	if (found->result == LOOKUP_NOT_FOUND)
		return status;
	if (found->result == LOOKUP_FOUND && is_fit(found->value, status)) {
		log_debug("%s: \"%s\" becomes \"%s\"", queue_id, status,
		    found->value);
		return found->value;
	}
	log_warning("%s: %s: %s for \"%s\"", queue_id, parameter,
	    found->result == LOOKUP_FOUND ? pool_printf(pool,
	    "\"%s\" cannot stand", found->value) : found->text, status);
	if (found->result == LOOKUP_FOUND || *status != '5')
		return status;
	/* It might have said "later". */
	doubted = pool_strdup(pool, status);
	*doubted = '4';
	return doubted;
}

/* Make it the outcome. */
void
status_take(struct pool *pool, const char *queue_id, const char *before,
    const char *after, enum outcome *outcome, const char **dsn,
    const char **text)
{
	size_t	 len = strcspn(after, " \t");
	char	*code;

	if (after == before || strcmp(after, before) == 0)
		return;
	code = pool_strndup(pool, after, len);
	if (!dsn_is_valid(code) ||
	    (code[0] == '2') != (*outcome == OUTCOME_SENT)) {
		log_warning("%s: status filter: \"%s\" cannot replace \"%s\"",
		    queue_id, after, before);
		return;
	}
	*dsn = code;
	*text = after + len + strspn(after + len, " \t");
	if (*outcome != OUTCOME_SENT)
		*outcome = code[0] == '5' ? OUTCOME_BOUNCED : OUTCOME_DEFERRED;
}
