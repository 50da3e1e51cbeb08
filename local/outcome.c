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
#include "common/mail/address.h"
#include "common/param/site.h"

#include "local/local.h"

enum { TEXT_MAX = 3000 };

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
addressee_accept(struct addressee *a, const struct verdict *v)
{
	struct pool		*pool = a->delivery->pool;
	struct outcome_row	 row = { .number = a->row->number };
	static char		 nothing[1];

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

/* Take a recipient's address apart. */
static void
describe(struct addressee *a)
{
	struct pool	*pool = a->delivery->pool;
	const char	*local, *domain;
	size_t		 len, user_len;

	address_split(a->row->address, &local, &len, &domain);
	a->domain = pool_strdup(pool, domain != NULL ? domain : "");
	a->name = address_unquote_local(pool, local, len);
	text_lower(a->name);
	a->user = a->name;
	if (site.recipient_delimiter[0] != '\0' &&
	    address_split_extension(a->name, strlen(a->name),
	    site.recipient_delimiter, &user_len)) {
		a->user = pool_strndup(pool, a->name, user_len);
		a->extension = a->name + user_len + 1;
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
