/*
 * envelope.c - MAIL and RCPT.
 *
 * Called through commands.c. A transaction begins with a good MAIL and holds
 * recipients that resolve has said yes to.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/space.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/ipc/answers.h"
#include "common/ipc/overrides.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/param/site.h"

#include "smtpd/commands.h"
#include "smtpd/crowd.h"
#include "smtpd/limits.h"
#include "smtpd/listed.h"
#include "smtpd/parameters.h"
#include "smtpd/rates.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/restrict.h"
#include "smtpd/session.h"
#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/unicode.h"

enum {
	CROWDED_MEMORY = 200 * 1024,
	RESOLVE_PATIENCE = 30 * 1000,
	NO_SPACE_PAUSE = 1000,
	WARN_EVERY = 60 * 1000,		/* each refusal has its own line */
	FILES = 100			/* that are left */
};

const struct param envelope_params[] = {
	PARAM_BOOL("strict_rfc821_envelopes", set.strict_envelopes, "no",
	    "Refuse addresses without angle brackets; blanks before them are "
	    "taken in any case."),
	PARAM_BOOL("smtpd_reject_unlisted_recipient", set.reject_unlisted,
	    "yes", "Refuse recipients that none of our tables lists."),
	PARAM_INT("smtpd_recipient_limit", set.recipient_limit, "1000", 1,
	    1000000, "Recipients of one message; more get 452."),
	PARAM_INT("smtpd_recipient_overshoot_limit", set.recipient_overshoot,
	    "1000", 1, 1000000,
	    "Recipients past the limit before each counts as an error."),
	PARAM_END
};

/* When cleanup has said 452 4.3.1: until then it is not asked again, unless
 * there is more room than there was. */
static int64_t		no_space_until;
static struct space	no_space, space;

/* cleanup knows what is under way to it, and what the file system says when
 * somebody writes; both cannot be seen from here. A message that it took shows
 * that there is room again. */
void
envelope_note_answer(const struct queued *answer)
{
	if (answer->code / 100 == 2)
		no_space_until = 0;
	if (strncmp(answer->reply, "452 4.3.1 ", 10) != 0)
		return;
	no_space_until = clock_now() + NO_SPACE_PAUSE;
	if (space_look(&no_space, AT_FDCWD) == -1)
		no_space = (struct space){ INT64_MAX, INT64_MAX, 0 };
}

/* What must be free for this message and half of another. Where there is no
 * limit it may need any room: up to 2^63. */
static int64_t
space_needed(const struct session *s)
{
	int64_t	least = site_queue_floor(), hint = s->mail->size_hint;

	if (site.message_size_limit > 0 || hint <= 0)
		return hint > least ? hint : least;
	return hint < INT64_MAX - least ? hint + least : INT64_MAX;
}

/* Room in the queue? The jail we are in is on its file system. */
static bool
has_space(const struct session *s)
{
	int64_t	need = space_needed(s);
	bool	is_warned = clock_now() < no_space_until;

	if (!is_warned && space_is_plenty(&space, need, FILES))
		return true;
	if (space_look(&space, AT_FDCWD) == -1)		/* cleanup knows more */
		return errno != EROFS && !is_warned;
	if (is_warned && space.bytes <= no_space.bytes &&
	    space.inodes <= no_space.inodes)
		return false;
	return space.bytes > need && space.inodes > FILES;
}

/* Tell the log, now and then. */
static void
warn_of_space(void)
{
	static int64_t	next;

	if (clock_now() < next)
		return;
	next = clock_now() + WARN_EVERY;
	log_warning("not enough free space in mail queue, or it cannot be "
	    "written to: message_size_limit needs half as much again");
}

/* Both commands: the path after FROM: or TO:. */
static const char *
parse_path(struct pool *pool, char *args, const char *word, unsigned rules,
    char **address, const char **rest)
{
	if (!text_starts(args, word))
		return "expected a path";
	args += strlen(word);
	/* Not in the grammar, but everywhere: a blank after the colon. */
	while (*args == ' ')
		args++;
	if (!set.strict_envelopes)
		rules |= PATH_ALLOW_NO_BRACKETS;
	*rest = args;
	return address_parse_path(pool, rest, rules, address);
}

/* The checks on a MAIL command whose transaction has just begun. */
WAITS static int
open_mail(struct session *s, char *args)
{
	const char	*rest, *why;
	char		 line[REPLY_LINE];
	int		 result;

	why = parse_path(s->mail->pool, args, "FROM:",
	    PATH_ALLOW_EMPTY | PATH_ALLOW_BARE_LOCAL | unicode_rules(s),
	    &s->mail->sender, &rest);
	if (why != NULL) {
		refuse_note_syntax(s, "MAIL", args);
		return say(s, REPLY_BAD_SENDER, why);
	}
	if ((result = rates_message(s)) != DONE ||
	    (result = parameters_of_mail(s, rest)) != DONE ||
	    (result = unicode_check(s, s->mail->sender, true)) != DONE)
		return result;
	if (!has_space(s)) {
		warn_of_space();
		return refuse(s, "MAIL", NULL, reply_text(line,
		    REPLY_NO_SPACE));
	}
	if (daemon_unsupported() != NULL) {
		log_error("%s", daemon_unsupported());
		return refuse(s, "MAIL", NULL, reply_text(line,
		    REPLY_MISCONFIGURED));
	}
	if (restrict_login(s, line) != NULL ||
	    restrict_now(s, STAGE_SENDER, line) != NULL)
		return refuse(s, "MAIL", NULL, line);
	return say(s, REPLY_SENDER_OK);
}

/* RFC 5321 4.1.1.2. */
int
command_mail(struct session *s, char *args)
{
	int	result;

	if (s->mail != NULL)
		return say(s, REPLY_NESTED_MAIL);
	if ((set.helo_required || starttls_wants_name(s)) &&
	    s->helo[0] == '\0')
		return say(s, REPLY_NEED_HELO);

	transaction_begin(s);
	if ((result = open_mail(s, args)) != DONE)
		transaction_end(s);
	return result;
}

/* What resolve knows of an address; -1 when it cannot be asked. */
WAITS static int
ask_about(struct session *s, char *address, struct recipient_answer *answer)
{
	struct ask_recipient	question;

	question.address = address;
	question.sender = s->mail->sender;
	return answers_recipient(to_resolve, &question, answer,
	    s->mail->scratch, clock_now() + RESOLVE_PATIENCE);
}

/* Words about somebody who is not here, perhaps with a code in front. */
static const char *
refuse_unlisted(const char *address, const char *text, char *line)
{
	const char	*code = "5.1.1";
	int		 number = (int)set.unlisted_code;
	int		 len = (int)dsn_find(text, 0);

	if (len > 0) {
		code = text;
		if (*code == '4')
			number = 450;
		text += len;
		text += strspn(text, " ");
	} else {
		len = (int)strlen(code);
	}
	return reply_text(line, REPLY_UNKNOWN_USER, number, len, code, address,
	    text);
}

/* Why this recipient cannot be taken, in `line`; NULL when it can. */
WAITS static const char *
objection(struct session *s, char *address, struct recipient_answer *answer,
    char line[REPLY_LINE])
{
	if (s->is_early)
		return reply_text(line, REPLY_EARLY, address);
	if (listed_is_broken())
		return reply_text(line, REPLY_MISCONFIGURED);
	if (ask_about(s, address, answer) == -1 ||
	    answer->result == RECIPIENT_TEMPORARY)
		return reply_text(line, REPLY_LOOKUP_FAILED, address);

	if (restrict_recipient(s, address, answer, line) != NULL)
		return line;
	if (answer->result == RECIPIENT_UNKNOWN && set.reject_unlisted &&
	    !overrides_unlisted() && listed_is_wanted(answer))
		return refuse_unlisted(address, answer->text, line);
	return NULL;
}

/* Keep a string with the message; most are empty. */
static char *
keep(struct transaction *mail, const char *text)
{
	static char	 nothing[1];

	return *text == '\0' ? nothing : pool_strdup(mail->pool, text);
}

/* Keep the recipient, whose wishes are in the row. */
static void
add_recipient(struct transaction *mail, const struct recipient_row *row,
    const char *completed)
{
	struct recipient_row	*kept;
	bool			 is_same = strcmp(row->address, completed) == 0;

	mail->recipients = pool_grow(mail->pool, mail->recipients,
	    &mail->room, mail->count + 1, sizeof(*kept));
	kept = &mail->recipients[mail->count++];
	kept->address = keep(mail, completed);
	kept->original = keep(mail, is_same ? "" : row->address);
	kept->orcpt = keep(mail, row->orcpt);
	kept->notify = row->notify;
}

/* Has a transaction all the memory that it gets? When most sessions are in use
 * that is enough for a thousand recipients with usual names, or for six
 * hundred of the greatest length (RFC 5321 4.5.3.1.8 asks for a hundred). */
static bool
is_greedy(const struct session *s)
{
	return pool_is_over(s->mail->pool) || (crowd_is_near() &&
	    pool_size(s->mail->pool) > CROWDED_MEMORY);
}

/* The limit, and what a client does that ignores it. */
WAITS static int
too_many(struct session *s)
{
	if (++s->mail->over_limit > (size_t)set.recipient_overshoot)
		s->errors++;
	/* REFUSED counts an error as well; a polite client shall not pay. */
	if (say(s, REPLY_TOO_MANY_RECIPIENTS) == GONE)
		return GONE;
	return DONE;
}

/* Look at one recipient, and keep it if it may be kept. */
WAITS static int
hear_recipient(struct session *s, char *args)
{
	static char		 nothing[1];
	struct recipient_row	 row = { nothing, nothing, nothing, 0 };
	struct recipient_answer	 answer;
	const char		*rest, *why;
	char			 line[REPLY_LINE];
	int			 result;

	why = parse_path(s->mail->scratch, args, "TO:",
	    PATH_ALLOW_BARE_LOCAL | unicode_rules(s), &row.address, &rest);
	if (why != NULL) {
		refuse_note_syntax(s, "RCPT", args);
		return say(s, REPLY_BAD_RECIPIENT, why);
	}
	if ((result = rates_recipient(s)) != DONE ||
	    (result = parameters_of_rcpt(s, rest, &row)) != DONE ||
	    (result = unicode_check(s, row.address, false)) != DONE)
		return result;

	if (objection(s, row.address, &answer, line) != NULL)
		return refuse(s, "RCPT", row.address, line);
	add_recipient(s->mail, &row, answer.address);
	return say(s, REPLY_RECIPIENT_OK);
}

/* RFC 5321 4.1.1.3. What is kept of a recipient is a third of what it takes to
 * look at it, and a thousand of them may be kept. */
int
command_rcpt(struct session *s, char *args)
{
	int	result, error;

	if (s->mail == NULL)
		return say(s, REPLY_NEED_MAIL);
	if (s->mail->arrival != NULL || s->mail->is_failed)
		return say(s, REPLY_AFTER_BDAT, "RCPT");
	s->mail->had_rcpt = true;
	if (s->mail->count >= (size_t)set.recipient_limit ||
	    is_greedy(s))
		return too_many(s);

	s->mail->scratch = pool_new("recipient", 0);
	result = hear_recipient(s, args);
	error = errno;
	pool_free(s->mail->scratch);
	s->mail->scratch = NULL;
	errno = error;
	return result;
}
