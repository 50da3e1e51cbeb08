/*
 * commands.c - which verbs there are, and the short ones.
 *
 * MAIL, RCPT and VRFY are in envelope.c, DATA in data.c, ETRN in etrn.c. The
 * order of the table is the order of the counters in the line that ends a
 * session's log.
 */

#include "smtpd/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/smtp.h"
#include "common/param/site.h"

#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"

/* Appliances call themselves 192.0.2.1 or "host.example.", which is no reason
 * to refuse their mail (RFC 5321 4.1.4). */
static bool
may_be_name(char *name)
{
	size_t	len = strlen(name);

	if (domain_is_literal(name) || strspn(name, "0123456789.") == len)
		return true;
	if (name[len - 1] == '.')
		name[len - 1] = '\0';
	return domain_is_valid(name, true);
}

/* EHLO and HELO (RFC 5321 4.1.1.1): who the client says it is. */
WAITS static int
meet(struct session *s, char *args, const char *syntax)
{
	char	*name;

	name = text_trim(args);
	if (*name == '\0')
		return say(s, REPLY_BAD_SYNTAX, syntax);
	if (strlen(name) >= sizeof(s->helo) || !may_be_name(name))
		return say(s, REPLY_BAD_HELO, name);

	/* RFC 5321 4.1.4: EHLO in a transaction acts as RSET. */
	transaction_end(s);
	snprintf(s->helo, sizeof(s->helo), "%s", name);
	return DONE;
}

WAITS static int
command_helo(struct session *s, char *args)
{
	int	result;

	if ((result = meet(s, args, "HELO hostname")) != DONE)
		return result;
	s->is_extended = false;
	return say(s, REPLY_HELLO, site.myhostname);
}

/* In the order of the answer to EHLO. */
static const char *const extensions[] = {
	"PIPELINING", "SIZE", "ETRN", "XVERP", "ENHANCEDSTATUSCODES",
	"8BITMIME", "DSN"
};
enum { EXTENSIONS = sizeof(extensions) / sizeof(extensions[0]) };

bool
extension_is_offered(const struct session *s, const char *keyword)
{
	char	 list[1001], *rest, *word;

	if (!s->may_verp && text_equal(keyword, "XVERP"))
		return false;
	if (set.discard_ehlo_keywords[0] == '\0')
		return true;
	snprintf(list, sizeof(list), "%s", set.discard_ehlo_keywords);
	for (rest = list; (word = text_next_word(&rest)) != NULL;)
		if (text_equal(word, keyword))
			return false;
	return true;
}

WAITS static int
command_ehlo(struct session *s, char *args)
{
	char	size[40];
	size_t	i;
	int	result;

	if ((result = meet(s, args, "EHLO hostname")) != DONE)
		return result;
	s->is_extended = true;

	snprintf(size, sizeof(size), "SIZE %lld",
	    (long long)site.message_size_limit);
	say(s, REPLY_OFFER, site.myhostname);
	for (i = 0; i < EXTENSIONS; i++)
		if (extension_is_offered(s, extensions[i]))
			say(s, REPLY_OFFER, text_equal(extensions[i], "SIZE") ?
			    size : extensions[i]);
	return say(s, REPLY_HELLO, "HELP");
}

WAITS static int
command_rset(struct session *s, char *args)
{
	if (*text_trim(args) != '\0')
		return say(s, REPLY_NO_ARGUMENT, "RSET");
	transaction_end(s);
	return say(s, REPLY_OK);
}

/* RFC 5321 4.1.1.9: a string after NOOP is ignored. */
WAITS static int
command_noop(struct session *s, char *args)
{
	(void)args;
	return say(s, REPLY_OK);
}

WAITS static int
command_help(struct session *s, char *args)
{
	(void)args;
	return say(s, REPLY_HELP);
}

WAITS static int
command_quit(struct session *s, char *args)
{
	if (*text_trim(args) != '\0')
		return say(s, REPLY_NO_ARGUMENT, "QUIT");
	transaction_end(s);
	s->is_over = true;
	return say(s, REPLY_BYE);
}

WAITS static int
command_absent(struct session *s, char *args)
{
	(void)args;
	return say(s, REPLY_NO_COMMAND, s->last_command);
}

/* Browsers, and scripts that make them speak to us, are sent away. */
WAITS static int
command_http(struct session *s, char *args)
{
	(void)args;
	s->is_over = true;
	return say(s, REPLY_NOT_HTTP);
}

static const struct command {
	const char	*verb;
	WAITS int	(*run)(struct session *, char *args);
	bool		 is_junk;	/* smtpd_junk_command_limit */
} commands[] = {
	{ "HELO",	command_helo,	true },
	{ "EHLO",	command_ehlo,	true },
	{ "MAIL",	command_mail,	false },
	{ "RCPT",	command_rcpt,	false },
	{ "DATA",	command_data,	false },
	{ "RSET",	command_rset,	true },
	{ "NOOP",	command_noop,	true },
	{ "VRFY",	command_vrfy,	true },
	{ "EXPN",	command_absent,	true },
	{ "ETRN",	command_etrn,	false },
	{ "HELP",	command_help,	true },
	{ "QUIT",	command_quit,	false },
	{ "GET",	command_http,	true },
	{ "POST",	command_http,	true },
	{ "CONNECT",	command_http,	true },
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]),
    UNKNOWN = COMMANDS - 1 };
_Static_assert(COMMAND_COUNT <= UNKNOWN, "a tally for each command");

/* The command's place in the table; UNKNOWN without one. */
static size_t
find(const char *verb)
{
	size_t	i;

	for (i = 0; i < COMMAND_COUNT; i++)
		if (text_equal(commands[i].verb, verb))
			return i;
	return UNKNOWN;
}

int
command_run(struct session *s, char *line)
{
	char	*verb, *args;
	size_t	 n;
	int	 result;

	smtp_split_command(line, &verb, &args);
	n = find(verb);
	s->tallies[n].all++;
	if (n == UNKNOWN) {
		s->last_command = "UNKNOWN";
		s->errors++;
		limits_junk(s);
		return say(s, REPLY_UNKNOWN_COMMAND);
	}

	s->last_command = commands[n].verb;
	if (commands[n].is_junk)
		limits_junk(s);
	result = commands[n].run(s, args);
	if (result == DONE)
		s->tallies[n].good++;
	else if (result == REFUSED)
		s->errors++;
	return result;
}

/* One counter: "rcpt=2" or "rcpt=1/2"; nothing when it never came. */
static void
add_tally(char *line, size_t size, const char *name, const struct tally *t)
{
	size_t	len, i;

	if (t->all == 0)
		return;
	len = strlen(line);
	snprintf(line + len, size - len,
	    t->good == t->all ? " %s=%u" : " %s=%u/%u", name, t->good, t->all);
	for (i = len; line[i] != '\0' && line[i] != '='; i++)
		line[i] = (char)tolower((unsigned char)line[i]);
}

void
log_goodbye(struct session *s)
{
	char		 line[512];
	struct tally	 sum = { 0, 0 };
	size_t		 i;

	line[0] = '\0';
	for (i = 0; i < COMMANDS; i++) {
		sum.good += s->tallies[i].good;
		sum.all += s->tallies[i].all;
		if (i < COMMAND_COUNT)
			add_tally(line, sizeof(line), commands[i].verb,
			    &s->tallies[i]);
	}
	add_tally(line, sizeof(line), "unknown", &s->tallies[UNKNOWN]);
	add_tally(line, sizeof(line), "commands", &sum);
	log_info("disconnect from %s%s%s", s->ident,
	    sum.all == 0 ? " commands=0/0" : line,
	    s->had_bare_lf ? " notes=bare_lf" : "");
}
