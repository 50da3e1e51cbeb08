/*
 * outcome.c - one recipient: who he is, and what his deliveries add up to.
 *
 * Called by everything that delivers in local, virtual and pipe.
 */
#include <stdarg.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/ipc/status.h"
#include "common/mail/address.h"
#include "common/param/site.h"

#include "local/local.h"

enum { TEXT_MAX = 3000 };

static struct { char *general, *local, *virtual, *pipe; } filters;

const struct param	outcome_params[] = {
	PARAM_STRING("default_delivery_status_filter", filters.general, "", 0,
	    0, "The delivery status filter of agents that have none of their "
	    "own."),
	PARAM_STRING("local_delivery_status_filter", filters.local,
	    "$default_delivery_status_filter", 0, 0,
	    "Tables that replace the status and text of deliveries by local."),
	PARAM_STRING("virtual_delivery_status_filter", filters.virtual,
	    "$default_delivery_status_filter", 0, 0, "Tables that replace the "
	    "status and text of deliveries by virtual."),
	PARAM_STRING("pipe_delivery_status_filter", filters.pipe,
	    "$default_delivery_status_filter", 0, 0, "Tables that replace the "
	    "status and text of deliveries by pipe."),
	PARAM_END
};

/* The filter of what this service does; NULL without one. */
static const char *
filter_name(void)
{
	const char	*command = daemon_command();

	if (strcmp(command, "virtual") == 0)
		return *filters.virtual != '\0' ?
		    "virtual_delivery_status_filter" : NULL;
	if (strcmp(command, "pipe") == 0)
		return *filters.pipe != '\0' ?
		    "pipe_delivery_status_filter" : NULL;
	return *filters.local != '\0' ? "local_delivery_status_filter" : NULL;
}

/* What happened, as the administrator would rather have it. */
WAITS static void
filter(struct addressee *a, struct verdict *v)
{
	struct pool	*pool = a->delivery->pool;
	const char	*name = filter_name(), *id;
	char		*before;
	struct key_row	 key;
	struct found	 found;

	if (name == NULL || v->outcome == OUTCOME_REROUTED)
		return;
	id = a->delivery->mail->queue_id;
	key.key = before = status_key(pool, v->dsn, v->text);
	(void)look_up(a, name, &key, 1, &found);
	status_take(pool, id, before, status_answer(pool, id, name, before,
	    &found), &v->outcome, &v->dsn, &v->text);
}

/* Does the new outcome outweigh the one there is? */
static bool
outweighs(int64_t new, int64_t old)
{
	static const int	weight[] = {
		[OUTCOME_SENT] = 1, [OUTCOME_BOUNCED] = 2,
		[OUTCOME_REROUTED] = 3, [OUTCOME_DEFERRED] = 4
	};

	return old == OUTCOME_OPEN || weight[new] > weight[old];
}

/* Log what happened and add it up. */
int
addressee_accept(struct addressee *a, const struct verdict *given)
{
	struct verdict		 filtered = *given, *v = &filtered;
	struct pool		*pool = a->delivery->pool;
	struct outcome_row	 row = { .number = a->row->number };
	static char		 nothing[1];

	filter(a, v);
	row.outcome = v->outcome;
	row.flags = v->flags;
	row.dsn = pool_strdup(pool, v->dsn);
	row.text = pool_strdup(pool, v->text);
	row.remote = row.diagnostic = nothing;
	a->times.done_us = clock_wall_us();
	if (a->times.ready_us == 0)
		a->times.ready_us = a->times.done_us;
	if (v->outcome != OUTCOME_REROUTED)
		agent_log(a->delivery->mail, a->row, daemon_service(), 0,
		    &a->times, &row);
	if (outweighs(v->outcome, a->outcome->outcome))
		*a->outcome = row;
	return v->outcome == OUTCOME_SENT || v->outcome == OUTCOME_REROUTED ?
	    0 : -1;
}

/* The same with a text of its own. */
int
addressee_settle(struct addressee *a, enum outcome outcome, int64_t flags,
    const char *dsn, const char *format, ...)
{
	struct verdict	v = { outcome, flags, dsn, NULL };
	struct str	text;
	va_list		ap;

	str_init(&text, a->delivery->pool, TEXT_MAX);
	va_start(ap, format);
	str_addv(&text, format, ap);
	va_end(ap);
	v.text = text.data;
	return addressee_accept(a, &v);
}

/* Will this recipient be tried again? */
bool
addressee_is_deferred(const struct addressee *a)
{
	return a->outcome->outcome == OUTCOME_DEFERRED;
}

/* Without the extension. */
size_t
addressee_user_length(const char *name)
{
	size_t	len = strlen(name), user_len;

	return site.recipient_delimiter[0] != '\0' &&
	    address_split_extension(name, len, site.recipient_delimiter,
	    &user_len) ? user_len : len;
}

/* Take a recipient's address apart. */
static void
describe(struct addressee *a)
{
	struct pool	*pool = a->delivery->pool;
	const char	*local, *domain;
	size_t		 len;

	address_split(a->row->address, &local, &len, &domain);
	a->domain = pool_strdup(pool, domain != NULL ? domain : "");
	a->name = address_unquote_local(pool, local, len);
	text_lower(a->name);
	a->user = a->name;
	len = addressee_user_length(a->name);
	if (a->name[len] != '\0') {
		a->user = pool_strndup(pool, a->name, len);
		a->extension = a->name + len + 1;
	}
}

/* Begin with a recipient. */
void
addressee_open(struct addressee *a, struct delivery *d,
    struct deliver_row *row, struct outcome_row *outcome)
{
	*a = (struct addressee){ .delivery = d, .row = row,
	    .outcome = outcome, .sender = d->mail->sender };
	outcome->number = row->number;
	outcome->outcome = OUTCOME_OPEN;
	a->times.start_us = clock_wall_us();
	describe(a);
}
