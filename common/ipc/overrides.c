/*
 * overrides.c - what differs among the services that take mail in.
 */
#include "common/ipc/overrides.h"

#include "common/base/bug.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/ipc/packets.h"

static char	*options, *filter;
static int64_t	 flags;
static bool	 unlisted;

const struct param overrides_params[] = {
	PARAM_STRING("receive_override_options", options, "", 0, 0,
	    "What is left out for mail that comes in here: "
	    "no_unknown_recipient_checks, no_address_mappings, "
	    "no_header_body_checks, no_milters."),
	PARAM_STRING("content_filter", filter, "", 0, FILTER_MAX,
	    "The transport:nexthop of a content filter: all mail that comes in "
	    "goes there first, whatever its recipients. The service that gets "
	    "it back has an empty value."),
	PARAM_END
};

/* One word. */
static void
take_word(const char *word)
{
	if (text_equal(word, "no_unknown_recipient_checks"))
		unlisted = true;
	else if (text_equal(word, "no_address_mappings"))
		flags |= MAIL_NO_EXPAND;
	else if (text_equal(word, "no_header_body_checks"))
		flags |= MAIL_NO_CHECKS;
	else if (!text_equal(word, "no_milters"))
		die("receive_override_options: %s: expected "
		    "no_unknown_recipient_checks, no_address_mappings, "
		    "no_header_body_checks or no_milters", word);
}

/* All of them. */
void
overrides_start(void)
{
	struct pool	*pool = pool_new("overrides", 0);
	char		*at = pool_strdup(pool, options), *word;

	flags = 0;
	unlisted = false;
	while ((word = text_next_word(&at)) != NULL)
		take_word(word);
	pool_free(pool);
}

/* For every message. */
int64_t
overrides_flags(void)
{
	return flags;
}

/* Where every message goes first. */
char *
overrides_filter(void)
{
	return filter;
}

/* For every recipient. */
bool
overrides_unlisted(void)
{
	return unlisted;
}
