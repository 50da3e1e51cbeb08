/*
 * postfix.c - fuzz: a file of Postfix's queue that anybody may have written.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/dsn.h"
#include "common/queue/postfix.h"
#include "common/queue/queue.h"

/* No byte that could begin a line. */
static int
is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return 0;
	return 1;
}

/* Every LF of the content ends a line with CR in front of it. */
static void
check_content(const struct str *content)
{
	size_t	i;

	for (i = 0; i < content->len; i++)
		MUST(content->data[i] != '\n' || (i > 0 &&
		    content->data[i - 1] == '\r'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool		*pool = pool_new("fuzz", 0);
	struct postfix_file	 f;
	struct str		 envelope;
	size_t			 i;

	if (postfix_parse(&f, pool, data, len) == NULL) {
		MUST(f.content.len <= 2 * len);
		check_content(&f.content);
		MUST(is_clean(f.mail.sender) && is_clean(f.mail.full_name));
		for (i = 0; i < f.count; i++)
			MUST(*f.recipients[i].address != '\0' &&
			    is_clean(f.recipients[i].address) &&
			    is_clean(f.recipients[i].orcpt) &&
			    f.recipients[i].notify < NOTIFY_EXPANDED);
		str_init(&envelope, pool, 0);
		if (f.count > 0)
			MUST(envelope_encode(&f.mail, f.recipients, f.count,
			    &envelope) == NULL);
	}
	pool_free(pool);
	return 0;
}
