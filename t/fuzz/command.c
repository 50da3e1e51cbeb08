/*
 * command.c - fuzz: a command line of SMTP with all that MAIL and RCPT may
 * carry: verb, parameters, NOTIFY, ORCPT, xtext.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/dsn.h"
#include "common/mail/encode.h"
#include "common/mail/origin.h"
#include "common/mail/smtp.h"

/* xtext decoded, encoded and decoded is the same again. */
static void
try_xtext(struct pool *pool, const char *value)
{
	char		*text = xtext_decode(pool, value), *again;
	struct str	 xtext;

	if (text == NULL)
		return;
	str_init(&xtext, pool, 0);
	xtext_encode(&xtext, text);
	again = xtext_decode(pool, xtext.data);
	MUST(again != NULL && strcmp(again, text) == 0);
	MUST(is_one_line(text));
}

/* One parameter's value as every kind of value. */
static void
try_value(struct pool *pool, const char *value)
{
	char	*orcpt;
	int	 bits = 0;

	if (dsn_parse_notify(value, &bits) == NULL)
		MUST(bits > 0 && bits < 16 &&
		    (!(bits & NOTIFY_NEVER) || bits == NOTIFY_NEVER));
	if (dsn_parse_orcpt(pool, value, &orcpt) == NULL)
		MUST(is_one_line(orcpt) && strchr(orcpt, ';') != NULL);
	(void)dsn_find(value, 550);
	try_xtext(pool, value);
}

/* Attributes of XCLIENT or XFORWARD, formatted and read again. */
static void
try_origin(struct pool *pool, unsigned known, const char *text)
{
	struct origin	o = { { NULL } }, again = { { NULL } };
	struct str	line;
	int		i;

	if (origin_parse(&o, pool, known, text) != NULL)
		return;
	str_init(&line, pool, 0);
	origin_format(&line, &o, known);
	MUST(is_one_line(line.data));
	MUST(origin_parse(&again, pool, known, line.data) == NULL);
	for (i = 0; i < ORIGIN_ATTRIBUTES; i++)
		MUST((o.values[i] == NULL) == (again.values[i] == NULL) &&
		    (o.values[i] == NULL ||
		    strcmp(o.values[i], again.values[i]) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input		 in = { data, len };
	struct pool		*pool = pool_new("fuzz", 0);
	struct smtp_parameter	*parameters;
	char			*line = input_text(pool, &in), *verb, *args;
	size_t			 count, i;

	smtp_split_command(line, &verb, &args);
	MUST(strlen(verb) + strlen(args) <= len);
	try_value(pool, args);
	try_origin(pool, ORIGIN_XCLIENT, args);
	try_origin(pool, ORIGIN_XFORWARD, args);
	if (smtp_parse_parameters(pool, args, &parameters, &count) == NULL)
		for (i = 0; i < count; i++) {
			MUST(parameters[i].keyword[0] != '\0');
			if (parameters[i].value != NULL)
				try_value(pool, parameters[i].value);
		}
	pool_free(pool);
	return 0;
}
