/*
 * sendmail.c - the command that every program knows how to send mail with.
 *
 * Options are those of the old sendmail as programs use them; what has no
 * meaning here is accepted and ignored, because programs pass it. The message
 * is spooled first, then posted (submit.c). Under the names mailq and
 * newaliases it lists the queue and rebuilds the alias tables.
 */
#include <err.h>
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/mail/encode.h"
#include "common/param/lent.h"
#include "common/param/site.h"

#include "cleanup/post.h"

enum mode { MODE_POST, MODE_SMTP, MODE_LIST, MODE_ALIASES, MODE_START,
    MODE_FLUSH, MODE_VERIFY };

/* What the command line says. */
struct options {
	struct pool	*pool;
	enum mode	 mode;
	const char	*directory;	/* -C */
	const char	*sender;	/* -f, -r */
	const char	*full_name;	/* -F */
	const char	*flush;		/* -qI, -qR, -qS and their value */
	const char	*verp;		/* -XV and its value, or NULL */
	const char	*aliases;	/* -oA and its value, or NULL */
	bool		 has_interval;	/* -q and a time */
	bool		 wants_headers;	/* -t */
	bool		 ignores_dots;	/* -i */
	int		 notify;
	struct drop	 drop;
};

static char	*default_verp;

static const struct param	sendmail_params[] = {
	PARAM_STRING("default_verp_delimiters", default_verp, "+=", 2, 2,
	    "The two characters of VERP for who does not give his own."),
	PARAM_END
};

/* Leave because the command line is wrong. */
static _Noreturn void
usage(const char *what, const char *why)
{
	errx(EX_USAGE, "%s: %s", what, why);
}

/* -b: what to do. */
static enum mode
take_mode(const char *letter)
{
	switch (*letter) {
	case 'm': case 'a':
		return MODE_POST;
	case 's':
		return MODE_SMTP;
	case 'p':
		return MODE_LIST;
	case 'i':
		return MODE_ALIASES;
	case 'd': case 'D': case 'l':
		return MODE_START;
	case 'v':
		return MODE_VERIFY;
	case 'h': case 'H':
		exit(EX_OK);		/* there is no host status to tell */
	default:
		usage(letter, "unknown mode");
	}
}

/* -C: the directory, or a file in it. */
static const char *
take_directory(struct options *o, const char *name)
{
	const char	*slash = strrchr(name, '/');

	if (!text_ends(name, ".cf") || slash == NULL)
		return name;
	return pool_strndup(o->pool, name, (size_t)(slash - name));
}

/* -q: an interval means nothing here; -qI, -qR and -qS choose messages. */
static void
take_queue(struct options *o, const char *value)
{
	if (value != NULL && *value >= '0' && *value <= '9') {
		o->has_interval = true;
		return;
	}
	o->mode = MODE_FLUSH;
	o->flush = value;
}

/* -o: old one-letter options, of which few are of interest. */
static void
take_old(struct options *o, const char *value)
{
	if (value[0] == 'i' && value[1] == '\0')
		o->ignores_dots = true;
	else if (value[0] == 'A' && value[1] != '\0')
		o->aliases = value + 1;
}

/* -O: long options, of which one is of interest. Addresses tell themselves
 * that they need SMTPUTF8. */
static void
take_long(struct options *o, const char *value)
{
	if (text_equal(value, "smtputf8=yes"))
		o->drop.flags |= MAIL_IS_UTF8;
	else if (text_equal(value, "smtputf8=no"))
		o->drop.flags &= ~MAIL_IS_UTF8;
}

/* As xtext. */
static char *
encode(struct pool *pool, const char *text)
{
	struct str	to;

	str_init(&to, pool, 0);
	xtext_encode(&to, text);
	return to.data;
}

/* -B, -N, -R, -V: what the notification is to be like. */
static void
take_notification(struct options *o, int option, const char *value)
{
	const char	*why = NULL;
	char		*encoded;

	switch (option) {
	case 'B':
		if (text_equal(value, "8BITMIME"))
			o->drop.flags |= MAIL_IS_8BIT;
		else if (!text_equal(value, "7BIT"))
			usage("-B", "expected 7BIT or 8BITMIME");
		break;
	case 'N':
		if ((why = dsn_parse_notify(value, &o->notify)) != NULL)
			usage("-N", why);
		break;
	case 'R':
		why = dsn_parse_ret(value, &o->drop.return_what);
		if (why != NULL)
			usage("-R", why);
		break;
	default:
		/* It is given as it is; what SMTP carries is its xtext. */
		encoded = encode(o->pool, value);
		why = dsn_parse_envid(o->pool, encoded, &o->drop.envelope_id);
		if (why != NULL)
			usage("-V", why);
		break;
	}
}

/* -X: a file for a log that we do not write, or V: VERP, perhaps with the
 * delimiters. */
static void
take_log_or_verp(struct options *o, const char *value)
{
	if (*value == 'V')
		o->verp = value + 1;
}

/* One option. */
static void
take(struct options *o, int option, const char *value)
{
	switch (option) {
	case 'b':
		o->mode = take_mode(value);
		break;
	case 'C':
		o->directory = take_directory(o, value);
		break;
	case 'f': case 'r':
		o->sender = value;
		break;
	case 'F':
		o->full_name = value;
		break;
	case 'G':
		o->drop.flags |= MAIL_IS_GATEWAY;
		break;
	case 'i':
		o->ignores_dots = true;
		break;
	case 'I':
		o->mode = MODE_ALIASES;
		break;
	case 'o':
		take_old(o, value);
		break;
	case 'O':
		take_long(o, value);
		break;
	case 'q':
		take_queue(o, value);
		break;
	case 't':
		o->wants_headers = true;
		break;
	case 'v':
		o->drop.flags |= MAIL_WANTS_TRACE;
		break;
	case 'X':
		take_log_or_verp(o, value);
		break;
	case 'B': case 'N': case 'R': case 'V':
		take_notification(o, option, value);
		break;
	case '?':
		exit(EX_USAGE);		/* getopt has said why */
	default:
		break;			/* history */
	}
}

/* The name that we were called by may say what to do. */
static enum mode
mode_of_name(const char *program)
{
	const char	*slash = strrchr(program, '/');
	const char	*name = slash != NULL ? slash + 1 : program;

	if (strcmp(name, "mailq") == 0)
		return MODE_LIST;
	if (strcmp(name, "newaliases") == 0)
		return MODE_ALIASES;
	if (strcmp(name, "smtpd") == 0)
		return MODE_SMTP;
	return MODE_POST;
}

/* All options; returns the index of the first recipient. */
static int
parse(struct options *o, int argc, char **argv)
{
	static char	nothing[1];
	int		option;

	o->drop.sender = o->drop.full_name = nothing;
	o->drop.envelope_id = o->drop.return_what = o->drop.verp = nothing;
	o->mode = mode_of_name(argv[0]);
	while ((option = getopt(argc, argv, "+A:B:C:D:F:GIL:N:O:R:UV:X:"
	    "ab:cd::e:f:h:imno:p:q::r:s:tvx")) != -1)
		take(o, option, optarg);
	return optind;
}

/* --- other programs ---------------------------------------------------- */

/* Become another command of ours. */
static _Noreturn void
run(const struct options *o, const char *program, const char *verb,
    const char *option, const char *argument)
{
	char		*path = pool_printf(o->pool, "%s/%s",
			    site.command_directory, program);
	const char	*argv[8];
	size_t		 n = 0;

	argv[n++] = program;
	if (o->directory != NULL) {
		argv[n++] = "-c";
		argv[n++] = o->directory;
	}
	argv[n++] = verb;
	if (option != NULL)
		argv[n++] = option;
	if (argument != NULL)
		argv[n++] = argument;
	argv[n] = NULL;
	execv(path, (char *const *)(uintptr_t)argv);
	err(EX_UNAVAILABLE, "%s", path);
}

/* -q: try everything now, or one message (I), or what waits for a site (R). */
static _Noreturn void
flush(const struct options *o)
{
	if (o->flush == NULL)
		run(o, "postrider-queue", "flush", NULL, NULL);
	if (*o->flush == 'I')
		run(o, "postrider-queue", "flush", NULL, o->flush + 1);
	if (*o->flush == 'R')
		run(o, "postrider-queue", "flush", "-s", o->flush + 1);
	errx(EX_UNAVAILABLE, "-q%s: not available", o->flush);
}

/* Modes that another command serves. */
static void
delegate(const struct options *o)
{
	switch (o->mode) {
	case MODE_LIST:
		run(o, "postrider-queue", "list", NULL, NULL);
	case MODE_ALIASES:
		run(o, "postrider-map", "alias", "build", o->aliases);
	case MODE_START:
		run(o, "postrider", "start", NULL, NULL);
	case MODE_FLUSH:
		flush(o);
	default:
		break;
	}
}

/* --- posting ----------------------------------------------------------- */

/* The full name that the password file has: up to a comma, and & stands for
 * the login name. */
static void
add_full_name(struct str *to, const struct passwd *pw)
{
	const char	*at;

	for (at = pw->pw_gecos; *at != '\0' && *at != ','; at++) {
		if (*at == '&')
			str_add(to, pw->pw_name);
		else
			str_add_char(to, *at);
	}
}

/* Who posts, unless -f says; and the name for a missing From: header. */
static void
name_user(struct options *o)
{
	const struct passwd	*pw = getpwuid(getuid());
	const char		*given = o->full_name;
	struct str		 name;

	if (o->sender == NULL) {
		if (pw == NULL)
			errx(EX_OSERR, "there is no user with the id %d",
			    (int)getuid());
		o->drop.sender = pool_strdup(o->pool, pw->pw_name);
	}
	if (given == NULL)
		given = getenv("NAME");
	str_init(&name, o->pool, ADDRESS_MAX - 1);
	if (given != NULL)
		str_add(&name, given);
	else if (pw != NULL)
		add_full_name(&name, pw);
	o->drop.full_name = name.data;
}

/* A list of addresses from the command line is one line: another one would be
 * somebody's attempt at a header. */
static void
check_argument(const char *what, const char *text)
{
	const char	*at;

	for (at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' && *at != '\t')
			errx(EX_DATAERR, "%s %s: a control character", what,
			    text);
}

/* The sender that was given, as people write addresses. */
static void
take_sender(struct options *o)
{
	struct list_item	*items;
	const char		*why;
	size_t			 count;

	if (o->sender == NULL || *o->sender == '\0' ||
	    strcmp(o->sender, "<>") == 0)
		return;
	check_argument("sender", o->sender);
	why = address_list_parse(o->pool, o->sender, LIST_IS_HEADER, &items,
	    &count);
	if (why == NULL && count != 1)
		why = "expected one address";
	if (why != NULL)
		errx(EX_DATAERR, "sender %s: %s", o->sender, why);
	o->drop.sender = items[0].value;
}

/* VERP, when it is asked for. */
static void
take_verp(struct options *o)
{
	const char	*why;

	if (o->verp == NULL)
		return;
	if (o->drop.sender[0] == '\0')
		usage("-XV", "VERP needs a sender");
	o->drop.verp = *o->verp != '\0' ? pool_strdup(o->pool, o->verp) :
	    default_verp;
	if ((why = drop_check_verp(o->drop.verp)) != NULL)
		usage("-XV", why);
}

/* Recipients of the command line. One that looks like an option is one that
 * came too late, unless "--" stands before it: who meant -t or -f would have
 * his mail go to the wrong people. */
static void
take_recipients(struct options *o, char **argv)
{
	bool		 is_behind_dashes = strcmp(argv[-1], "--") == 0;
	const char	*why;

	for (; *argv != NULL; argv++) {
		if (**argv == '-' && !is_behind_dashes)
			usage(*argv, "options come before recipients, and -- "
			    "before an address that begins with a dash");
		check_argument("recipient", *argv);
		if ((why = extract_list(o->pool, *argv, &o->drop)) != NULL)
			errx(EX_DATAERR, "recipient %s: %s", *argv, why);
	}
	if (o->drop.count == 0 && o->has_interval && !o->wants_headers)
		exit(EX_OK);		/* all that was said is -q1h */
	if (o->drop.count == 0 && !o->wants_headers)
		errx(EX_USAGE, "recipient names must be specified");
}

/* The message out of our way, its recipients out of it. */
static int
read_message(struct options *o)
{
	struct spooled	 spooled;
	const char	*why;
	int		 fd;

	fd = spool_input(STDIN_FILENO, o->ignores_dots ? 0 : SPOOL_DOT_ENDS,
	    site.message_size_limit, &spooled);
	if (fd == -1) {
		if (errno == EFBIG && site.message_size_limit > 0 &&
		    spooled.length >= site.message_size_limit)
			errx(EX_UNAVAILABLE, "the message is larger than "
			    "message_size_limit");
		err(EX_TEMPFAIL, "message");
	}
	o->drop.content_length = spooled.length;
	if (spooled.is_8bit)
		o->drop.flags |= MAIL_IS_8BIT;
	if (!o->wants_headers)
		return fd;
	why = extract_recipients(o->pool, fd, spooled.length, &o->drop);
	if (why != NULL)
		errx(EX_DATAERR, "%s", why);
	if (o->drop.count == 0)
		errx(EX_USAGE, "no recipient addresses found in the message's "
		    "header");
	return fd;
}

/* What -bv posts has no content. */
static int
make_probe(struct options *o)
{
	int	fd;

	if (o->wants_headers)
		usage("-bv", "it reads no message that -t could be about");
	if ((fd = fs_memory("message", "", 0)) == -1 &&
	    (fd = spool_open()) == -1)
		err(EX_TEMPFAIL, "temporary file");
	o->drop.flags |= MAIL_IS_PROBE;
	return fd;
}

/* Is the address one that needs SMTPUTF8? */
static bool
is_utf8(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address >= 128)
			return true;
	return false;
}

/* What is the same for all recipients. */
static void
finish_envelope(struct options *o)
{
	size_t	i;

	if (is_utf8(o->drop.sender))
		o->drop.flags |= MAIL_IS_UTF8;
	for (i = 0; i < o->drop.count; i++) {
		o->drop.recipients[i].notify = o->notify;
		if (is_utf8(o->drop.recipients[i].address))
			o->drop.flags |= MAIL_IS_UTF8;
	}
}

/* Post what is on standard input. */
static int
post(struct options *o, char **argv)
{
	struct answer	answer;
	int		fd;

	take_sender(o);
	name_user(o);
	take_verp(o);
	take_recipients(o, argv);
	fd = o->mode == MODE_VERIFY ? make_probe(o) : read_message(o);
	finish_envelope(o);
	submit(o->pool, &o->drop, fd, o->directory, &answer);
	if (answer.exit_status != EX_OK)
		warnx("%s", answer.text);
	else if (o->drop.flags & (MAIL_IS_PROBE | MAIL_WANTS_TRACE))
		printf("Mail Delivery Status Report will be mailed to <%s>.\n",
		    o->drop.sender);
	return answer.exit_status;
}

/* The configuration that the options or MAIL_CONFIG name. */
static void
configure(struct options *o)
{
	static const struct param *const	tables[] = { drop_params,
						    sendmail_params, NULL };
	struct str		 problems;
	struct maincf		*mc;

	str_init(&problems, o->pool, 0);
	mc = site_glance(o->pool, o->directory, &problems);
	if (mc == NULL || param_load(mc, tables, &problems) == -1)
		errx(lent_has_failed() ? EX_TEMPFAIL : EX_CONFIG, "%s",
		    text_trim(problems.data));
}

int
main(int argc, char **argv)
{
	struct options	options = { .pool = pool_new("sendmail", 0) };
	int		first;

	if (argc < 1)
		return EX_USAGE;	/* execve() without a name */
	fs_open_standard();
	signal(SIGXFSZ, SIG_IGN);	/* a write says EFBIG instead */
	signal(SIGCHLD, SIG_DFL);	/* postdrop's status must be there */
	first = parse(&options, argc, argv);
	configure(&options);
	delegate(&options);
	if (options.mode == MODE_SMTP && argv[first] != NULL)
		usage("-bs", "it takes no recipients");
	if (options.mode == MODE_SMTP)
		return dialogue(options.directory);
	return post(&options, argv + first);
}
