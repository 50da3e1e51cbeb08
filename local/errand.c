/*
 * errand.c - one command or file that an alias, a .forward or a list names.
 *
 * Called by expand.c. Whether it is done at all, allow_mail_to_commands and
 * allow_mail_to_files say; as whom it is done is settled when it is found.
 */
#include <string.h>

#include "common/param/known.h"

#include "local/expand.h"
#include "local/spool.h"

static struct { char *commands, *files; } set;
int64_t		mailbox_size_limit;

const struct param	errand_params[] = {
	PARAM_STRING("allow_mail_to_commands", set.commands, "alias, forward",
	    0, 100, "Where \"|command\" may stand: alias, forward, include."),
	PARAM_STRING("allow_mail_to_files", set.files, "alias, forward", 0,
	    100, "Where \"/file\" may stand: alias, forward, include."),
	PARAM_SIZE("mailbox_size_limit", mailbox_size_limit, "51200000",
	    0, INT64_MAX, "The greatest size of an mbox file, and of a "
	    "message in a Maildir, in bytes. 0 is no limit."),
	PARAM_END
};

/* May it be done in this place? */
static bool
is_allowed(const struct errand *e)
{
	return known_has_word(e->kind == LIST_COMMAND ? set.commands :
	    set.files, e->context);
}

/* A file, or a Maildir. */
WAITS static void
to_file(struct addressee *a, struct home *h, const struct errand *e)
{
	const struct deposit	what = {
		.path = e->value, .flags = STORE_TO_FILE,
		.size_limit = mailbox_size_limit,
		.head = shell_wants_delivered("file") ? HEAD_ALL :
		    HEAD_RETURN_PATH | HEAD_ORIGINAL,
		.sent = pool_printf(a->delivery->pool,
		    "delivered to file: %s", e->value)
	};

	(void)deposit(a, h, &what);
}

/* Do it. */
void
errand_do(struct addressee *a, const struct errand *e)
{
	const char	*what = e->kind == LIST_COMMAND ? "command" : "file";
	struct home	*h;
	const char	*why;

	if (!is_allowed(e)) {
		(void)addressee_settle(a, OUTCOME_BOUNCED, 0, "5.7.1",
		    "mail to %s is restricted", what);
		return;
	}
	if (home_take(a->delivery->pool, &e->as, &h, &why) != HOME_OK) {
		(void)addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "mail to %s: %s", what, why);
		return;
	}
	if (e->kind == LIST_COMMAND)
		(void)shell_deliver(a, h, e->value);
	else
		to_file(a, h, e);
	home_give(h);
}
