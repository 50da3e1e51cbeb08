/*
 * filter.c - the content filter that a message passes before all else.
 */
#include "qmgr/filter.h"

#include <string.h>

static char	*nexthop;

const struct param	filter_params[] = {
	PARAM_STRING("default_filter_nexthop", nexthop, "", 0, 255,
	    "The next hop of a content filter that names none; empty: the "
	    "domain of each recipient."),
	PARAM_END
};

/* Who asks what would become of mail does not ask about the filter. */
const char *
filter_of(const struct message *m, struct pool *pool)
{
	const char	*filter = m->envelope.mail.filter;
	size_t		 len = strcspn(filter, ":");

	if (m->envelope.mail.flags & MAIL_IS_PROBE)
		return "";
	if (*filter == '\0' || (filter[len] == ':' && filter[len + 1] != '\0'))
		return filter;
	return pool_printf(pool, "%.*s:%s", (int)len, filter, nexthop);
}
