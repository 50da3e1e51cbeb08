/*
 * gate.c - what happens to a command line before it is understood.
 *
 * Called by commands.c with each line: smtpd_command_filter replaces it,
 * smtpd_forbidden_commands ends the session, bytes that no command has are
 * refused. The tables that a list names are asked through resolve.
 *
 * P1  No table and no line of the log sees what follows AUTH.
 */

#include "smtpd/gate.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/param/site.h"

#include "smtpd/hear.h"
#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/table.h"
#include "smtpd/transcript.h"
#include "smtpd/unicode.h"

const struct param gate_params[] = {
	PARAM_STRING("smtpd_command_filter", set.command_filter, "", 0, 10000,
	    "Tables that replace a whole command line of a client by "
	    "another one."),
	PARAM_STRING("smtpd_forbidden_commands", set.forbidden_commands,
	    "CONNECT GET POST regexp:{{/^[^A-Z]/ Bogus}}", 0, 10000,
	    "Commands whose client is sent away with 221: names, and tables "
	    "that find them."),
	PARAM_STRING("smtpd_noop_commands", set.noop_commands, "", 0, 10000,
	    "Commands that are answered with 250 and do nothing."),
	PARAM_BOOL("smtpd_forbid_unauth_pipelining", set.forbids_pipelining,
	    "no", "Send clients away that send a command before the answer "
	    "which they have to wait for (RFC 2920, RFC 5321)."),
	PARAM_END
};

static char	**forbidden, **ignored;
static size_t	 forbidden_count, ignored_count;
static bool	 forbids_strange, has_tables;

/* The default's table, which is known without a look: a verb that does not
 * begin with a letter. */
static const char	strange[] = "regexp:{{/^[^A-Z]/ Bogus}}";

void
gate_prepare(void)
{
	struct pool	*pool = pool_new("commands", 0);
	size_t		 i;

	forbidden = text_words(pool, set.forbidden_commands,
	    &forbidden_count);
	for (i = 0; i < forbidden_count; i++) {
		if (strcmp(forbidden[i], strange) == 0)
			forbids_strange = true;
		else if (strchr(forbidden[i], ':') != NULL)
			has_tables = true;
		else if (forbidden[i][0] == '/')
			die("smtpd_forbidden_commands: %s: a file is not "
			    "supported here", forbidden[i]);
	}
	ignored = text_words(pool, set.noop_commands, &ignored_count);
	for (i = 0; i < ignored_count; i++)
		if (strpbrk(ignored[i], ":/") != NULL)
			die("smtpd_noop_commands: %s: only names of commands "
			    "are supported here", ignored[i]);
}

/* Is the verb one of the words? */
static bool
has(char **words, size_t count, const char *verb)
{
	size_t	i;

	for (i = 0; i < count; i++)
		if (text_equal(words[i], verb))
			return true;
	return false;
}

bool
gate_ignores(const char *verb)
{
	return has(ignored, ignored_count, verb);
}

/* Do the tables of the list find the verb? */
WAITS static enum lookup_result
find(const char *verb)
{
	struct pool	*pool = pool_new("forbidden command", 0);
	struct found	 found;

	table_ask(pool, "smtpd_forbidden_commands", LOOKUP_DOMAIN, verb,
	    &found);
	if (found.result == LOOKUP_TEMPORARY)
		log_warning("smtpd_forbidden_commands: %s", found.text);
	pool_free(pool);
	return (enum lookup_result)found.result;
}

/* Browsers, and scripts that make them speak to us, are sent away. */
WAITS static enum lookup_result
find_forbidden(const char *line)
{
	char	verb[64];
	size_t	len = strcspn(line, " \t");

	if (len == 0 || forbidden_count == 0)
		return LOOKUP_NOT_FOUND;
	if (len >= sizeof(verb))
		len = sizeof(verb) - 1;
	memcpy(verb, line, len);
	verb[len] = '\0';
	if (has(forbidden, forbidden_count, verb) ||
	    (forbids_strange && !is_alpha(verb[0]) && !is_8bit(verb[0])))
		return LOOKUP_FOUND;
	return has_tables ? find(verb) : LOOKUP_NOT_FOUND;
}

/* Keep the line that stands for what the client said, if it can be one. */
static int
replace(struct session *s, char **line, const char *by)
{
	size_t	size = (size_t)site.line_length_limit + 1, len = strlen(by);

	if (len >= size)
		return -1;
	if (s->filtered == NULL)
		s->filtered = pool_alloc(s->pool, size);
	memcpy(s->filtered, by, len + 1);
	*line = s->filtered;
	return 0;
}

/* Let smtpd_command_filter replace the line; -1 when nobody knows by what. */
WAITS static int
filter(struct session *s, char **line)
{
	struct pool	*pool;
	struct found	 found;
	int		 result = 0;

	if (set.command_filter[0] == '\0' || hear_is_secret(s))
		return 0;
	pool = pool_new("command filter", 0);
	table_ask(pool, "smtpd_command_filter", LOOKUP_KEYS, *line, &found);
	if (found.result == LOOKUP_TEMPORARY) {
		log_warning("smtpd_command_filter: %s", found.text);
		result = -1;
	} else if (found.result == LOOKUP_FOUND)
		result = replace(s, line, found.value);
	pool_free(pool);
	return result;
}

int
gate_pass(struct session *s, char **line)
{
	if (filter(s, line) == -1)
		return say(s, REPLY_FILTER_FAILED);
	/* The look for more input moves what is in the buffer. AUTH's line is
	 * not there any more. */
	if (set.forbids_pipelining && *line != s->filtered &&
	    !hear_is_secret(s))
		(void)replace(s, line, *line);
	switch (find_forbidden(*line)) {
	case LOOKUP_FOUND:
		log_warning("non-SMTP command from %s: %.100s", s->ident,
		    transcript_hides(s, *line) ? "(not shown)" : *line);
		s->is_over = true;
		return say(s, REPLY_NOT_MAIL, site.myhostname) == GONE ?
		    GONE : REFUSED;
	case LOOKUP_TEMPORARY:
		return say(s, REPLY_FILTER_FAILED);
	case LOOKUP_NOT_FOUND:
		break;
	}
	/* RFC 5321 2.4; who may send UTF-8 must have said so before. */
	if (has_8bit(*line, strlen(*line)) && !unicode_may_pass(s, *line))
		return say(s, REPLY_EIGHT_BITS);
	return DONE;
}

int
gate_pipeline(struct session *s, const char *verb, bool ends_group)
{
	const char	*unread;
	size_t		 len;

	if (!set.forbids_pipelining || (s->is_extended && !ends_group) ||
	    !io_has_input(s->io))
		return DONE;
	len = io_peek(s->io, &unread);
	log_info("improper command pipelining after %s from %s: %.*s", verb,
	    s->ident, strcmp(verb, "AUTH") == 0 ? 0 :
	    hear_shown(unread, len), unread);
	io_discard_input(s->io);
	s->is_over = true;
	return say(s, REPLY_OUT_OF_STEP);
}
