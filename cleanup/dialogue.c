/*
 * dialogue.c - SMTP on standard input and output (sendmail -bs).
 *
 * For programs that speak SMTP to a child process. The user is trusted as far
 * as with any other form of sendmail, so there is no access control here;
 * each message is posted as one of his.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"
#include "common/mail/smtp.h"
#include "common/param/site.h"

#include "cleanup/post.h"

enum {
	PIECE = 16 * 1024,
	LINE_MAX_LEN = 4096
};

struct dialogue {
	const char	*directory;
	char		 in[PIECE];
	size_t		 at, len;
	char		 line[LINE_MAX_LEN];
	struct pool	*pool;		/* of a transaction */
	bool		 has_mail, is_over;
	struct drop	 drop;
};

/* Send one reply. */
static void
reply(const char *text)
{
	printf("%s\r\n", text);
	fflush(stdout);
}

/* Forget the transaction. */
static void
reset(struct dialogue *d)
{
	static char	nothing[1];

	pool_free(d->pool);
	d->pool = pool_new("message", 0);
	d->has_mail = false;
	memset(&d->drop, 0, sizeof(d->drop));
	d->drop.sender = d->drop.full_name = nothing;
	d->drop.envelope_id = d->drop.return_what = d->drop.verp = nothing;
}

/* Read more input: false at its end. */
static bool
fill(struct dialogue *d)
{
	ssize_t	n;

	if (d->at < d->len)
		return true;
	do
		n = read(STDIN_FILENO, d->in, sizeof(d->in));
	while (n == -1 && errno == EINTR);
	d->at = 0;
	d->len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* Read a command line: 1, 0 at the end, -1 when it is too long. */
static int
read_line(struct dialogue *d)
{
	size_t	n = 0;
	bool	is_long = false;
	char	c;

	while (fill(d)) {
		c = d->in[d->at++];
		if (c == '\n') {
			if (n > 0 && d->line[n - 1] == '\r')
				n--;
			d->line[n] = '\0';
			return is_long || strlen(d->line) != n ? -1 : 1;
		}
		if (n < sizeof(d->line) - 1)
			d->line[n++] = c;
		else
			is_long = true;
	}
	return 0;
}

/* What we call ourselves: in ASCII, and a child of who asks. */
static const char *
own_name(void)
{
	return has_8bit(site.myhostname, strlen(site.myhostname)) ?
	    "localhost" : site.myhostname;
}

/* EHLO and HELO. */
static void
hello(struct dialogue *d, const char *verb)
{
	reset(d);
	if (text_equal(verb, "HELO")) {
		printf("250 %s\r\n", own_name());
	} else {
		printf("250-%s\r\n250-PIPELINING\r\n", own_name());
		printf("250-SIZE %jd\r\n250-ENHANCEDSTATUSCODES\r\n"
		    "250-8BITMIME\r\n%s", (intmax_t)site.message_size_limit,
		    site.smtputf8_enable ?
		    "250-DSN\r\n250 SMTPUTF8\r\n" : "250 DSN\r\n");
	}
	fflush(stdout);
}

/* One parameter of MAIL: NULL, or the reply that refuses it. */
static const char *
take_mail_parameter(struct dialogue *d, const char *keyword,
    const char *value)
{
	const char	*why = NULL;

	if (text_equal(keyword, "SMTPUTF8") && *value == '\0')
		d->drop.flags |= MAIL_IS_UTF8;
	else if (text_equal(keyword, "BODY"))
		d->drop.flags |= MAIL_IS_8BIT;
	else if (text_equal(keyword, "RET"))
		why = dsn_parse_ret(value, &d->drop.return_what);
	else if (text_equal(keyword, "ENVID"))
		why = dsn_parse_envid(d->pool, value, &d->drop.envelope_id);
	else if (!text_equal(keyword, "SIZE"))
		return "555 5.5.4 Unsupported option";
	return why == NULL ? NULL : pool_printf(d->pool,
	    "501 5.5.4 Error: %s", why);
}

/* One of RCPT. */
static const char *
take_rcpt_parameter(struct dialogue *d, struct recipient_row *row,
    const char *keyword, const char *value)
{
	const char	*why;
	int		 bits = 0;

	if (text_equal(keyword, "NOTIFY"))
		why = dsn_parse_notify(value, &bits);
	else if (text_equal(keyword, "ORCPT"))
		why = dsn_parse_orcpt(d->pool, value, &row->orcpt);
	else
		return "555 5.5.4 Unsupported option";
	row->notify |= bits;
	return why == NULL ? NULL : pool_printf(d->pool,
	    "501 5.5.4 Error: %s", why);
}

/* Parameters of MAIL, or, with a row, of RCPT: NULL, or the reply that refuses
 * them. */
static const char *
take_parameters(struct dialogue *d, const char *text,
    struct recipient_row *row)
{
	struct smtp_parameter	*p;
	const char		*why, *value;
	size_t			 count, i;

	if (smtp_parse_parameters(d->pool, text, &p, &count) != NULL)
		return "501 5.5.4 Syntax error in parameters";
	for (i = 0; i < count; i++) {
		value = p[i].value != NULL ? p[i].value : "";
		why = row == NULL ?
		    take_mail_parameter(d, p[i].keyword, value) :
		    take_rcpt_parameter(d, row, p[i].keyword, value);
		if (why != NULL)
			return why;
	}
	return NULL;
}

/* "FROM:<path> parameters": the address, and what follows it. */
static const char *
take_path(struct dialogue *d, const char **args, const char *word,
    unsigned rules, char **address)
{
	if (!text_starts(*args, word))
		return "501 5.5.4 Syntax error";
	*args += strlen(word);
	*args += strspn(*args, " ");
	if (address_parse_path(d->pool, args, rules | PATH_ALLOW_BARE_LOCAL |
	    PATH_ALLOW_NO_BRACKETS | PATH_ALLOW_UTF8, address) != NULL)
		return "501 5.1.7 Bad address syntax";
	return NULL;
}

/* MAIL. */
static void
mail(struct dialogue *d, const char *args)
{
	const char	*why = NULL;

	if (d->has_mail)
		why = "503 5.5.1 Error: nested MAIL command";
	if (why == NULL)
		why = take_path(d, &args, "FROM:", PATH_ALLOW_EMPTY,
		    &d->drop.sender);
	if (why == NULL)
		why = take_parameters(d, args, NULL);
	if (why == NULL)
		d->has_mail = true;
	reply(why != NULL ? why : "250 2.1.0 Ok");
}

/* RCPT. */
static void
rcpt(struct dialogue *d, const char *args)
{
	static char		 nothing[1];
	struct recipient_row	 row = { nothing, nothing, nothing, 0 };
	const char		*why = NULL;
	size_t			 count = d->drop.count;

	if (!d->has_mail)
		why = "503 5.5.1 Error: need MAIL command";
	if (why == NULL)
		why = take_path(d, &args, "TO:", 0, &row.address);
	if (why == NULL)
		why = take_parameters(d, args, &row);
	if (why == NULL &&
	    extract_list(d->pool, row.address, &d->drop) != NULL)
		why = "501 5.1.3 Bad recipient address syntax";
	for (; why == NULL && count < d->drop.count; count++) {
		d->drop.recipients[count].orcpt = row.orcpt;
		d->drop.recipients[count].notify = row.notify;
	}
	reply(why != NULL ? why : "250 2.1.5 Ok");
}

/* The message up to its final dot: true when it is all in the file, false
 * when it is too large or cannot be kept; the input is read in any case. */
static bool
read_data(struct dialogue *d, int fd)
{
	char			*out = pool_alloc(d->pool, PIECE + 2);
	struct smtp_data	 data;
	size_t			 len;
	bool			 is_good = fd != -1;

	smtp_data_start(&data);
	while (!data.is_over && fill(d)) {
		d->at += smtp_data_decode(&data, d->in + d->at, d->len - d->at,
		    out, &len);
		d->drop.content_length += (int64_t)len;
		if (site.message_size_limit > 0 &&
		    d->drop.content_length > site.message_size_limit)
			is_good = false;
		if (is_good && fs_write(fd, out, len) == -1)
			is_good = false;
	}
	if (!data.is_over)
		d->is_over = true;	/* it ended early: nothing is posted */
	return is_good;
}

/* What became of a posted message. */
static void
report(const struct answer *a)
{
	char	text[sizeof(a->text) + 64];

	if (a->exit_status == EX_OK)
		snprintf(text, sizeof(text), "250 2.0.0 Ok: queued as %s",
		    a->queue_id);
	else if (a->exit_status == EX_TEMPFAIL || a->exit_status == EX_OSERR)
		snprintf(text, sizeof(text), "451 4.3.0 Error: %s", a->text);
	else
		snprintf(text, sizeof(text), "554 5.3.0 Error: %s", a->text);
	reply(text);
}

/* DATA. */
static void
data(struct dialogue *d)
{
	struct answer	answer;
	int		fd;
	bool		is_good;

	if (d->drop.count == 0) {
		reply("503 5.5.1 Error: need RCPT command");
		return;
	}
	reply("354 End data with <CR><LF>.<CR><LF>");
	fd = spool_open();
	is_good = read_data(d, fd);
	if (!d->is_over && !is_good)
		reply(fd == -1 ? "451 4.3.0 Error: cannot keep the message" :
		    "552 5.3.4 Error: message file too big");
	else if (!d->is_over) {
		submit(d->pool, &d->drop, fd, d->directory, &answer);
		report(&answer);
	}
	if (fd != -1)
		close(fd);
	reset(d);
}

/* One command. */
static void
command(struct dialogue *d)
{
	char	*verb, *args;

	smtp_split_command(d->line, &verb, &args);
	if (text_equal(verb, "EHLO") || text_equal(verb, "HELO"))
		hello(d, verb);
	else if (text_equal(verb, "MAIL"))
		mail(d, args);
	else if (text_equal(verb, "RCPT"))
		rcpt(d, args);
	else if (text_equal(verb, "DATA"))
		data(d);
	else if (text_equal(verb, "RSET")) {
		reset(d);
		reply("250 2.0.0 Ok");
	} else if (text_equal(verb, "NOOP"))
		reply("250 2.0.0 Ok");
	else if (text_equal(verb, "VRFY"))
		reply("252 2.0.0 Cannot VRFY user");
	else if (text_equal(verb, "QUIT")) {
		reply("221 2.0.0 Bye");
		d->is_over = true;
	} else
		reply("500 5.5.2 Error: command not recognized");
}

/* The whole conversation. */
int
dialogue(const char *directory)
{
	struct pool	*pool = pool_new("dialogue", 0);
	struct dialogue	*d = pool_alloc(pool, sizeof(*d));
	int		 result;

	d->directory = directory;
	reset(d);
	printf("220 %s ESMTP Postrider\r\n", own_name());
	fflush(stdout);
	while (!d->is_over && (result = read_line(d)) != 0) {
		if (result == 1)
			command(d);
		else
			reply("500 5.5.2 Error: line too long");
	}
	pool_free(d->pool);
	pool_free(pool);
	return EX_OK;
}
