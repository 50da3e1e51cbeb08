/*
 * pipe.c - the service pipe: messages to programs of the administrator's.
 *
 * Called by main.c with a whole delivery. What the line in master.cf says was
 * read at the start (pipe_line.c); here its words are filled in and the
 * command is run, once for all recipients where it can be, by a process of
 * the user that user= names.
 *
 * I1  Each word stays one word, also an empty one: nothing that strangers
 *     choose moves another argument, and no shell sees it.
 * I2  No address that begins with "-" is given to a program, which would take
 *     it for an option; nor is an extension as a word of its own. What else
 *     strangers choose loses the hyphen.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "common/param/site.h"

#include "local/command.h"
#include "local/pipe.h"

enum {
	RECIPIENTS_SIZE = 8 * 1024,	/* of addresses for one command */
	MACROS = 24
};

/* --- what words are filled in with --------------------------------------- */

/* The address as flags want it: quoted, or as people write it. */
static char *
address_form(struct pool *pool, const char *address)
{
	const char	*local, *domain;
	size_t		 len;
	char		*name, *host;

	address_split(address, &local, &len, &domain);
	name = pipe_line.flags & PIPE_QUOTES ? pool_strndup(pool, local, len) :
	    address_unquote_local(pool, local, len);
	if (domain == NULL)
		return name;
	host = pool_strdup(pool, domain);
	return pool_printf(pool, "%s@%s", name, host);
}

/* The recipient, folded as flags want it. */
static char *
fold_address(struct pool *pool, const char *address)
{
	char	*copy = pool_strdup(pool, address), *at = strrchr(copy, '@');

	if (at != NULL) {
		if (pipe_line.flags & PIPE_FOLDS_HOST)
			text_lower(at);
		*at = '\0';
	}
	if (pipe_line.flags & PIPE_FOLDS_USER)
		text_lower(copy);
	if (at != NULL)
		*at = '@';
	return copy;
}

/* Text in lower case if the flag is set. */
static char *
fold(struct pool *pool, const char *text, unsigned flag)
{
	char	*copy = pool_strdup(pool, text);

	if (pipe_line.flags & flag)
		text_lower(copy);
	return copy;
}

/* The sender, or what stands for none. */
static char *
sender_of(struct delivery *d)
{
	return d->mail->sender[0] == '\0' ? pipe_line.null_sender :
	    address_form(d->pool, d->mail->sender);
}

/* What a stranger chose, and what is no address. */
static char *
harmless(struct pool *pool, const char *text)
{
	char	*copy = pool_strdup(pool, text);

	if (*copy == '-')
		*copy = '_';
	return copy;
}

/* All names of one recipient. */
static struct macro *
names_of(struct addressee *a)
{
	struct pool		*pool = a->delivery->pool;
	const struct deliver	*mail = a->delivery->mail;
	struct macro		*m = pool_array(pool, MACROS, sizeof(*m));
	const char		*local, *domain;
	char			*mailbox, *user, *extension = NULL;
	size_t			 len, n = 0;

	address_split(a->row->address, &local, &len, &domain);
	mailbox = user = fold(pool, address_unquote_local(pool, local, len),
	    PIPE_FOLDS_USER);
	if (site.recipient_delimiter[0] != '\0' &&
	    address_split_extension(mailbox, strlen(mailbox),
	    site.recipient_delimiter, &len)) {
		user = pool_strndup(pool, mailbox, len);
		extension = mailbox + len + 1;
	}
	m[n++] = (struct macro){ "recipient", fold_address(pool,
	    address_form(pool, a->row->address)) };
	m[n++] = (struct macro){ "original_recipient", fold_address(pool,
	    address_form(pool, a->row->original[0] != '\0' ?
	    a->row->original : a->row->address)) };
	m[n++] = (struct macro){ "user", user };
	m[n++] = (struct macro){ "mailbox", mailbox };
	m[n++] = (struct macro){ "extension", extension };
	m[n++] = (struct macro){ "domain", fold(pool, domain != NULL ? domain :
	    "", PIPE_FOLDS_HOST) };
	m[n++] = (struct macro){ "sender", sender_of(a->delivery) };
	m[n++] = (struct macro){ "nexthop", fold(pool, mail->nexthop,
	    PIPE_FOLDS_HOST) };
	m[n++] = (struct macro){ "queue_id", mail->queue_id };
	m[n++] = (struct macro){ "size", pool_printf(pool, "%lld",
	    (long long)mail->content_length) };
	m[n++] = (struct macro){ "envid", harmless(pool,
	    mail->envelope_id) };
	m[n++] = (struct macro){ "client_hostname", harmless(pool,
	    mail->client_name) };
	m[n++] = (struct macro){ "client_address", mail->client_address };
	m[n++] = (struct macro){ "client_helo", harmless(pool,
	    mail->helo) };
	m[n++] = (struct macro){ "client_protocol", mail->protocol };
	m[n++] = (struct macro){ "client_port", NULL };
	m[n++] = (struct macro){ "sasl_username", harmless(pool,
	    mail->login) };
	m[n++] = (struct macro){ "sasl_method", NULL };
	m[n] = (struct macro){ "sasl_sender", NULL };
	return m;
}

/* Fill in one word; what is wrong was found at the start. */
static char *
fill_in(struct pool *pool, const char *word, const struct macro *names)
{
	const char	*why;
	char		*text = macro_expand(pool, word, names, NULL, NULL,
			    &why);

	return text != NULL ? text : pool_strdup(pool, "");
}

/* The command's words (I1). */
static void
make_words(struct delivery *d, struct addressee *to, size_t count,
    struct command *c)
{
	struct macro	**names = pool_array(d->pool, count, sizeof(*names));
	size_t		  i, k, times;

	for (k = 0; k < count; k++)
		names[k] = names_of(&to[k]);
	c->words = pool_array(d->pool, pipe_line.word_count * count,
	    sizeof(*c->words));
	for (i = 0; i < pipe_line.word_count; i++) {
		times = pipe_line.is_per_recipient[i] ? count : 1;
		for (k = 0; k < times; k++)
			c->words[c->count++].word = fill_in(d->pool,
			    pipe_line.words[i], names[k]);
	}
}

/* --- running ------------------------------------------------------------- */

/* What stands in front of the message. */
static char *
make_head(struct addressee *a)
{
	unsigned	 flags = pipe_line.flags, fields = 0;
	char		*from = NULL, *sender = a->sender;

	if (*sender == '\0')
		a->sender = pipe_line.null_sender;
	if (flags & PIPE_RETURN_PATH)
		fields |= HEAD_RETURN_PATH;
	if (flags & PIPE_ORIGINAL)
		fields |= HEAD_ORIGINAL;
	if (flags & PIPE_DELIVERED)
		fields |= HEAD_DELIVERED;
	if (flags & PIPE_FROM)
		from = head_from_line(a);
	from = pool_printf(a->delivery->pool, "%s%s%s", from != NULL ? from :
	    "", from != NULL ? "\n" : "", head_make(a, fields));
	a->sender = sender;
	return from;
}

/* Run it for these recipients. */
WAITS static void
run_for(struct delivery *d, struct home *h, struct addressee *to,
    size_t count, struct verdict *v)
{
	static char	nothing[1];
	struct command	c = {
		.shown = pipe_line.words[0],
		.sent = pool_printf(d->pool, "delivered via %s service",
		    daemon_service()),
		.shows_output = true,
		.directory = pipe_line.directory != NULL ?
		    pipe_line.directory : nothing,
		.head = make_head(to), .eol = pipe_line.eol,
		.flags = pipe_line.run_flags,
		.time_limit = pipe_line.time_limit
	};

	make_words(d, to, count, &c);
	c.environment = shell_exported(d->pool, 0, &c.variables);
	command_run(d, h, &c, v);
	if (v->outcome == OUTCOME_SENT && !(pipe_line.flags & PIPE_IS_FINAL))
		v->flags |= OUTCOME_RELAYED;
}

/* The same, with a process to run it. */
WAITS static void
run(struct delivery *d, struct addressee *to, size_t count)
{
	struct become	 who = { BECOME_PIPE, pipe_line.user, -1,
			    pipe_line.gid, pipe_line.root };
	struct verdict	 v = { OUTCOME_DEFERRED, 0, "4.3.5", NULL };
	struct home	*h;
	const char	*why;
	size_t		 i;

	if (home_take(d->pool, &who, &h, &why) != HOME_OK) {
		v.text = why;
	} else {
		for (i = 0; i < count; i++)
			to[i].times.ready_us = clock_wall_us();
		run_for(d, h, to, count, &v);
		home_give(h);
	}
	for (i = 0; i < count; i++) {
		(void)addressee_accept(&to[i], &v);
		agent_report_some(d->request, to[i].outcome, 1);
	}
}

/* --- recipients ---------------------------------------------------------- */

/* Would a program take the address for an option? */
static bool
is_option(const char *address)
{
	return address[address[0] == '"'] == '-' ||
	    (address[0] == '"' && strncmp(address + 1, "\\-", 2) == 0);
}

/* Is there a reason not to try? It is settled then. */
WAITS static bool
is_refused(struct addressee *a)
{
	const struct deliver	*mail = a->delivery->mail;

	if (pipe_line.wrong != NULL) {
		(void)addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "master.cf: service %s: %s", daemon_service(),
		    pipe_line.wrong);
		return true;
	}
	if (pipe_line.size > 0 && mail->content_length > pipe_line.size) {
		(void)addressee_settle(a, OUTCOME_BOUNCED, 0, "5.2.3",
		    "message size %lld exceeds size limit %lld of transport "
		    "%s", (long long)mail->content_length,
		    (long long)pipe_line.size, daemon_service());
		return true;
	}
	if (is_option(a->row->address) || is_option(mail->sender) ||
	    is_option(a->row->original) ||
	    (a->extension != NULL && a->extension[0] == '-' &&
	    pipe_line_begins_with("extension"))) {
		(void)addressee_settle(a, OUTCOME_BOUNCED, 0, "5.1.3",
		    "an address begins with a hyphen");
		return true;
	}
	return (pipe_line.flags & PIPE_DELIVERED) && loops_is_one(a);
}

/* How many of these recipients one command gets. */
static size_t
group(const struct addressee *to, size_t count)
{
	size_t	n = 0, size = 0;

	if (pipe_line.flags & (PIPE_DELIVERED | PIPE_ORIGINAL))
		return 1;
	while (n < count && (n == 0 || size < RECIPIENTS_SIZE))
		size += strlen(to[n++].row->address);
	return n;
}

/* Deliver to all recipients. */
void
pipe_deliver(struct delivery *d, struct outcome_row *outcomes)
{
	struct addressee	*to = pool_array(d->pool, d->mail->count,
				    sizeof(*to));
	size_t			 count = 0, done, n, i;

	for (i = 0; i < d->mail->count; i++) {
		addressee_open(&to[count], d, &d->mail->recipients[i],
		    &outcomes[i]);
		if (!is_refused(&to[count]))
			count++;
		else
			agent_report_some(d->request, &outcomes[i], 1);
	}
	for (done = 0; done < count && is_asked(d); done += n) {
		n = group(to + done, count - done);
		run(d, to + done, n);
	}
	agent_report(d->request, outcomes, 0);	/* all of them are told */
}
