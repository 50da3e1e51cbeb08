/*
 * commands.c - which verbs there are, and the short ones.
 *
 * MAIL and RCPT are in envelope.c, DATA in data.c, BDAT in bdat.c, VRFY and
 * EXPN in verify.c, ETRN in etrn.c. The order of the table is the order of the
 * counters in the line that ends a session's log.
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

#include "smtpd/auth.h"
#include "smtpd/gate.h"
#include "smtpd/greet.h"
#include "smtpd/limits.h"
#include "smtpd/offer.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/restrict.h"
#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/xclient.h"

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
	char	*name, line[REPLY_LINE], before[sizeof(s->helo)];
	int	 result;

	name = text_trim(args);
	if (*name == '\0')
		return say(s, REPLY_BAD_SYNTAX, syntax);
	/* RFC 2821 had free text behind a literal. */
	name[strcspn(name, " \t")] = '\0';
	if (strlen(name) >= sizeof(s->helo) || !may_be_name(name))
		return refuse(s, s->last_command, NULL, reply_text(line,
		    REPLY_BAD_HELO, name));

	memcpy(before, s->helo, sizeof(before));
	snprintf(s->helo, sizeof(s->helo), "%s", name);
	if (restrict_now(s, STAGE_HELO, line) != NULL) {
		result = refuse(s, s->last_command, NULL, line);
		memcpy(s->helo, before, sizeof(before));
		return result;
	}
	/* RFC 5321 4.1.4: EHLO in a transaction acts as RSET. */
	transaction_end(s);
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

WAITS static int
command_ehlo(struct session *s, char *args)
{
	int	result;

	if ((result = meet(s, args, "EHLO hostname")) != DONE)
		return result;
	s->is_extended = true;
	offer_learn(s);
	if (say(s, REPLY_OFFER, site.myhostname) == GONE)
		return GONE;
	return offer_say(s);
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
	return say(s, REPLY_BYE, site.myhostname);
}

static const struct command {
	const char	*verb;
	WAITS int	(*run)(struct session *, char *args);
	bool		 is_junk;	/* smtpd_junk_command_limit */
	bool		 ends_group;	/* RFC 2920 3.1 */
} commands[] = {
	{ "HELO",	command_helo,	true,	true },
	{ "EHLO",	command_ehlo,	true,	true },
	{ "STARTTLS",	command_starttls, false, true },
	{ "AUTH",	command_auth,	false,	true },
	{ "XCLIENT",	command_xclient, false,	true },
	{ "XFORWARD",	command_xforward, false, false },
	{ "MAIL",	command_mail,	false,	false },
	{ "RCPT",	command_rcpt,	false,	false },
	{ "DATA",	command_data,	false,	true },
	{ "BDAT",	command_bdat,	false,	false },
	{ "RSET",	command_rset,	true,	false },
	{ "NOOP",	command_noop,	true,	false },
	{ "VRFY",	command_vrfy,	true,	true },
	{ "EXPN",	command_expn,	true,	true },
	{ "ETRN",	command_etrn,	false,	true },
	{ "HELP",	command_help,	true,	false },
	{ "QUIT",	command_quit,	false,	false },
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

/* P1 of bdat.c: nobody reads the octets of this chunk, so nobody may take them
 * for commands. */
static void
leave_chunk(struct session *s, const char *line)
{
	if (text_starts(line, "BDAT"))
		s->is_over = true;
}

/* A command that nobody knows, or that does nothing by smtpd_noop_commands. */
WAITS static int
run_unknown(struct session *s, const char *verb)
{
	limits_junk(s);
	leave_chunk(s, verb);
	if (gate_ignores(verb))
		return say(s, REPLY_OK);
	return say(s, REPLY_UNKNOWN_COMMAND);
}

/* Run the command of this place in the table. */
WAITS static int
run(struct session *s, size_t n, const char *verb, char *args)
{
	int	result;

	if (s->is_denied && (n == UNKNOWN ||
	    commands[n].run != command_quit)) {
		leave_chunk(s, verb);
		return greet_repeat(s);
	}
	result = gate_pipeline(s, s->last_command, n == UNKNOWN ||
	    commands[n].ends_group);
	if (result != DONE)
		return result;
	result = starttls_admit(s, n == UNKNOWN ? "" : commands[n].verb);
	if (result != DONE) {
		leave_chunk(s, verb);
		return result;
	}
	if (n == UNKNOWN || gate_ignores(verb))
		return run_unknown(s, verb);
	if (commands[n].is_junk)
		limits_junk(s);
	return commands[n].run(s, args);
}

int
command_run(struct session *s, char *line)
{
	char	*verb, *args;
	size_t	 n = UNKNOWN;
	int	 result;

	s->last_command = "UNKNOWN";
	s->is_forgiven = s->takes_utf8 = false;
	if ((result = gate_pass(s, &line)) == DONE) {
		smtp_split_command(line, &verb, &args);
		n = find(verb);
		if (n != UNKNOWN)
			s->last_command = commands[n].verb;
		result = run(s, n, verb, args);
	} else
		leave_chunk(s, line);
	s->tallies[n].all++;
	if (result == DONE && n != UNKNOWN)
		s->tallies[n].good++;
	else if (result == REFUSED && !s->is_forgiven)
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
