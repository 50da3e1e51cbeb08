/*
 * command.c - a command gets the message; its end becomes an outcome.
 *
 * Called by shell.c and pipe.c. Exit statuses are those of sysexits.h; an
 * enhanced status code at the beginning of what a command says that did not
 * end with 0 outweighs them. 0 is success whatever it says.
 *
 * C1  What was not run at all is tried again: the message is never returned
 *     because of a missing program, and 126 and 127 are the shell's way to
 *     say the same.
 */
#include "local/command.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/mail/dsn.h"

enum {
	MARGIN = 6 * 60 * 1000		/* above the time limit, for waiting
					 * for a turn */
};

static const struct exit {
	int		 status;
	const char	*dsn, *text;
} exits[] = {
	{ EX_USAGE,		"5.3.0", "command line usage error" },
	{ EX_DATAERR,		"5.6.0", "data format error" },
	{ EX_NOINPUT,		"5.3.0", "cannot open input" },
	{ EX_NOUSER,		"5.1.1", "user unknown" },
	{ EX_NOHOST,		"5.1.2", "host name unknown" },
	{ EX_UNAVAILABLE,	"5.3.0", "service unavailable" },
	{ EX_SOFTWARE,		"5.3.0", "internal software error" },
	{ EX_OSERR,		"4.3.0", "system resource problem" },
	{ EX_OSFILE,		"5.3.0", "critical OS file missing" },
	{ EX_CANTCREAT,		"5.2.0", "can't create user output file" },
	{ EX_IOERR,		"5.3.0", "input/output error" },
	{ EX_TEMPFAIL,		"4.3.0", "temporary failure" },
	{ EX_PROTOCOL,		"5.5.0", "remote error in protocol" },
	{ EX_NOPERM,		"5.7.0", "permission denied" },
	{ EX_CONFIG,		"5.3.5", "local configuration error" },
	{ 126,			"4.3.5", "the command cannot be run" },
	{ 127,			"4.3.5", "the command cannot be found" },
	{ 0,			NULL,	 NULL }
};

/* Set the verdict; the class of the code tells whether it is for ever. */
static void
decide(struct verdict *v, const char *dsn, const char *text)
{
	v->outcome = dsn[0] == '4' ? OUTCOME_DEFERRED : OUTCOME_BOUNCED;
	v->dsn = dsn;
	v->text = text;
}

/* "TEXT. Command output: WHAT IT SAID" */
static char *
with_output(struct pool *pool, const char *text, const char *output)
{
	return *output == '\0' ? pool_strdup(pool, text) :
	    pool_printf(pool, "%s. Command output: %s", text, output);
}

/* By its exit status, or by the code in front of its output. */
static void
judge_exit(struct pool *pool, const struct command *c, const struct ran *ran,
    struct verdict *v)
{
	const struct exit	*e = exits;
	size_t			 len = dsn_find(ran->text, 0);

	if (len > 0 && (ran->text[0] == '4' || ran->text[0] == '5')) {
		decide(v, pool_strndup(pool, ran->text, len),
		    ran->text + len + strspn(ran->text + len, " \t"));
		return;
	}
	while (e->dsn != NULL && e->status != ran->status)
		e++;
	if (e->dsn != NULL)
		decide(v, e->dsn, with_output(pool, e->text, ran->text));
	else
		decide(v, "5.3.0", with_output(pool, pool_printf(pool,
		    "Command died with status %d: \"%s\"", (int)ran->status,
		    c->shown), ran->text));
}

/* What its end means. */
static void
judge(struct pool *pool, const struct command *c, const struct ran *ran,
    struct verdict *v)
{
	switch (ran->result) {
	case RUN_EXITED:
		if (ran->status != 0) {
			judge_exit(pool, c, ran, v);
			return;
		}
		v->outcome = OUTCOME_SENT;
		v->dsn = "2.0.0";
		v->text = c->shows_output && ran->text[0] != '\0' ?
		    pool_printf(pool, "%s (%s)", c->sent, ran->text) : c->sent;
		return;
	case RUN_SIGNALED:
		decide(v, "4.3.0", with_output(pool, pool_printf(pool,
		    "Command died with signal %d: \"%s\"", (int)ran->status,
		    c->shown), ran->text));
		return;
	case RUN_TIMED_OUT:
		decide(v, "4.3.0", with_output(pool, pool_printf(pool,
		    "Command time limit exceeded: \"%s\"", c->shown),
		    ran->text));
		return;
	default:
		decide(v, "4.3.0", ran->text);
	}
}

/* Run it. */
void
command_run(struct delivery *d, struct home *h, const struct command *c,
    struct verdict *v)
{
	struct ran	ran;
	struct run	ask = {
		.queue_id = d->mail->queue_id, .directory = c->directory,
		.words = c->words, .count = c->count,
		.environment = c->environment, .variables = c->variables,
		.head = c->head, .eol = c->eol, .flags = c->flags,
		.time_limit = c->time_limit,
		.content_offset = d->mail->content_offset,
		.content_length = d->mail->content_length,
		.message = d->mail->message
	};

	*v = (struct verdict){ OUTCOME_DEFERRED, 0, "4.3.0", NULL };
	if (d->mail->flags & MAIL_IS_PROBE)
		*v = (struct verdict){ OUTCOME_SENT, 0, "2.0.0", pool_printf(
		    d->pool, "delivers to command: %s", c->shown) };
	else if (channel_ask(h->channel, PACKET_RUN, &ask, PACKET_RAN, &ran,
	    d->pool, clock_now() + c->time_limit + MARGIN) == -1)
		v->text = pool_printf(d->pool, errno == EMSGSIZE ?
		    "the command line is too long%s" : "the process that runs "
		    "commands gave no answer: %s", errno == EMSGSIZE ? "" :
		    strerror(errno));
	else
		judge(d->pool, c, &ran, v);
}
