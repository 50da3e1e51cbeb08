/*
 * dialogue.c - fuzz: all that a client says in one visit, from its first line
 * to the end of its message.
 *
 * Lines are commands until DATA, then bytes are a message until its end, as
 * in smtpd: what is taken as an address or a parameter keeps its promises, and
 * no byte of the message is ever a command.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/mail/header.h"
#include "common/mail/smtp.h"

/* A visit. */
struct visit {
	struct pool	*pool;
	size_t		 recipients;
	bool		 has_mail;
};

/* A field of the message. */
static void
on_field(void *context, const struct header_field *f)
{
	(void)context;
	MUST(f->name_len > 0 && f->raw_len >= f->name_len);
}

/* DATA: everything up to the end of the message; false when it has none. */
static bool
hear_message(struct visit *v, struct input *in)
{
	static const struct header_events	 events = { .field = on_field };
	struct header_reader			*header;
	struct smtp_data			 decoder;
	char					*out;
	size_t					 used, n;

	out = pool_alloc(v->pool, 2 * in->left + 16);
	smtp_data_start(&decoder);
	used = smtp_data_decode(&decoder, (const char *)in->at, in->left, out,
	    &n);
	MUST(used <= in->left && n <= 2 * in->left + 16);
	header = header_reader_new(v->pool, 1024, &events, NULL);
	header_reader_feed(header, out, n);
	header_reader_finish(header);
	in->at += used;
	in->left -= used;
	return in->left > 0;
}

/* The parameters behind a path. */
static bool
hear_parameters(struct visit *v, const char *text)
{
	struct smtp_parameter	*parameters;
	size_t			 count, i;
	char			*orcpt;
	int			 notify;

	if (smtp_parse_parameters(v->pool, text, &parameters, &count) != NULL)
		return false;
	for (i = 0; i < count; i++) {
		if (parameters[i].value == NULL)
			continue;
		MUST(is_one_line(parameters[i].value));
		(void)dsn_parse_notify(parameters[i].value, &notify);
		if (dsn_parse_orcpt(v->pool, parameters[i].value, &orcpt) ==
		    NULL)
			MUST(is_one_line(orcpt));
	}
	return true;
}

/* MAIL or RCPT behind their colon. */
static bool
hear_path(struct visit *v, const char *args, unsigned rules)
{
	const char	*at = strchr(args, ':');
	char		*address;

	if (at == NULL)
		return false;
	at++;
	if (address_parse_path(v->pool, &at, rules, &address) != NULL)
		return false;
	MUST(is_one_line(address));
	return hear_parameters(v, at);
}

/* One line. */
static bool
hear(struct visit *v, char *line, struct input *in)
{
	char	*verb, *args;

	smtp_split_command(line, &verb, &args);
	if (strcasecmp(verb, "MAIL") == 0 && !v->has_mail)
		v->has_mail = hear_path(v, args, PATH_ALLOW_EMPTY);
	else if (strcasecmp(verb, "RCPT") == 0 && v->has_mail)
		v->recipients += hear_path(v, args, PATH_ALLOW_BARE_LOCAL);
	else if (strcasecmp(verb, "RSET") == 0)
		v->has_mail = v->recipients = 0;
	else if (strcasecmp(verb, "DATA") == 0 && v->recipients > 0) {
		v->has_mail = v->recipients = 0;
		return hear_message(v, in);
	}
	return strcasecmp(verb, "QUIT") != 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	struct visit	 v = { .pool = pool_new("fuzz", 0) };
	char		*line;
	size_t		 n;

	while ((line = input_line(v.pool, &in)) != NULL) {
		n = strlen(line);
		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
		if (strpbrk(line, "\r") != NULL)
			continue;
		if (!hear(&v, line, &in))
			break;
	}
	pool_free(v.pool);
	return 0;
}
