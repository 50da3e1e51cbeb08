/*
 * permit.c - may this user post, and as this sender?
 *
 * Asked by pickup for everything that is posted: what comes through its
 * socket, by whom the kernel says that he is connected; what lies in
 * maildrop/, by its owner. The user's name and the tables are out of its
 * sight: resolve, which sees both, is asked unless everybody may do anything,
 * as is usual.
 *
 * P1  When resolve does not answer, the mail waits.
 */
#include "cleanup/permit.h"

#include <string.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/daemon/daemon.h"
#include "common/ipc/lookup.h"
#include "common/param/site.h"

#include "cleanup/submitters.h"

static struct link	*to_resolve;

/* Open the way. */
void
permit_start(void)
{
	to_resolve = link_new("resolve", site_processes("resolve"), NULL);
}

/* Not now. */
static const char *
postpone(struct pool *pool, struct refusal *r, const char *what)
{
	r->exit_status = EX_TEMPFAIL;
	return pool_printf(pool, "%s cannot be read now", what);
}

/* What does this parameter say of the user? enum lookup_result. */
static WAITS int64_t
ask(struct pool *pool, const char *parameter, enum lookup_how how, uid_t uid,
    struct refusal *r, struct found *answer)
{
	struct key_row		 key = { pool_printf(pool, "%u",
				    (unsigned)uid) };
	struct ask_lookup	 question = {
	    .service = pool_printf(pool, "%s/unix", daemon_service()),
	    .parameter = (char *)(uintptr_t)parameter,
	    .how = how, .keys = &key, .count = 1 };

	if (lookup_ask(to_resolve, &question, clock_now() + site.ipc_timeout,
	    pool, answer) == -1)
		return LOOKUP_TEMPORARY;
	if (answer->result != LOOKUP_TEMPORARY)
		r->login = answer->extension;
	return answer->result;
}

/* What he is called in a sentence, as in authorized_submit_users. */
static const char *
name_of(const struct refusal *r)
{
	return *r->login != '\0' ? r->login : "unknown";
}

/* Is he one of those who may post at all? */
static WAITS const char *
check_user(struct pool *pool, uid_t uid, struct refusal *r)
{
	struct found	answer;

	if (submitters_is_anybody(submitters.users))
		return NULL;
	switch (ask(pool, "authorized_submit_users", LOOKUP_USER, uid, r,
	    &answer)) {
	case LOOKUP_FOUND:
		return NULL;
	case LOOKUP_TEMPORARY:
		return postpone(pool, r, "authorized_submit_users");
	default:
		return pool_printf(pool, "user %s(%u) is not allowed to "
		    "submit mail", name_of(r), (unsigned)uid);
	}
}

/* As this sender? */
static WAITS const char *
check_sender(struct pool *pool, const char *sender, uid_t uid,
    struct refusal *r)
{
	struct found	answer;

	if (strcmp(submitters.senders, "static:*") == 0)
		return NULL;
	switch (ask(pool, "local_login_sender_maps", LOOKUP_LOGIN, uid, r,
	    &answer)) {
	case LOOKUP_TEMPORARY:
		return postpone(pool, r, "local_login_sender_maps");
	case LOOKUP_FOUND:
		if (submitters_may_be(pool, answer.value, sender,
		    site.recipient_delimiter))
			return NULL;
		break;
	default:
		break;
	}
	return pool_printf(pool, "user %s(%u) is not allowed to send as <%s>",
	    name_of(r), (unsigned)uid, sender);
}

/* Both. */
const char *
permit(struct pool *pool, const struct drop *d, uid_t uid, struct refusal *r)
{
	const char	*why;

	*r = (struct refusal){ EX_NOPERM, "" };
	if ((why = check_user(pool, uid, r)) == NULL)
		why = check_sender(pool, d->sender, uid, r);
	return why;
}
