/*
 * reply.c - fuzz: what a server answers, line by line.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/dsn.h"
#include "common/mail/smtp.h"

/* What may be said of a reply at any time. */
static void
check(const struct smtp_reply *r, size_t limit)
{
	MUST(r->text.len <= limit && strlen(r->text.data) == r->text.len);
	MUST(r->code == 0 || (r->code >= 200 && r->code <= 599));
	MUST(r->dsn[0] == '\0' || (dsn_is_valid(r->dsn) &&
	    r->dsn[0] - '0' == r->code / 100));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input		 in = { data, len };
	size_t			 limit = 1 + input_byte(&in) * 4;
	struct pool		*pool = pool_new("fuzz", 0);
	struct smtp_reply	 r;
	char			*line, parameters[32];

	smtp_reply_start(&r, pool, limit);
	while ((line = input_line(pool, &in)) != NULL) {
		if (smtp_reply_add(&r, line) != NULL || r.is_complete)
			break;
		check(&r, limit);
	}
	check(&r, limit);
	if (smtp_ehlo_find(r.text.data, "SIZE", parameters,
	    sizeof(parameters)))
		MUST(strlen(parameters) < sizeof(parameters));
	(void)smtp_ehlo_find(r.text.data, "PIPELINING", parameters, 1);
	pool_free(pool);
	return 0;
}
