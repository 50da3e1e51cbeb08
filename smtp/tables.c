/*
 * tables.c - questions to resolve about what is sent and heard.
 */
#include "smtp/tables.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/settings.h"

enum { PATIENCE = 60 * 1000 };

struct content_settings	content_set;

const struct param content_params[] = {
	PARAM_STRING("smtp_generic_maps", content_set.tables[TABLE_GENERIC],
	    "", 0, 0, "Tables that turn addresses of this site into ones that "
	    "others can reply to, in the envelope and in the header of mail "
	    "that is sent."),
	PARAM_STRING("smtp_header_checks",
	    content_set.tables[TABLE_HEADER_CHECKS], "", 0, 0,
	    "Tables of actions on header fields of mail that is sent."),
	PARAM_STRING("smtp_mime_header_checks",
	    content_set.tables[TABLE_MIME_HEADER_CHECKS], "", 0, 0,
	    "Tables of actions on MIME header fields, of the message and of "
	    "its parts, of mail that is sent."),
	PARAM_STRING("smtp_nested_header_checks",
	    content_set.tables[TABLE_NESTED_HEADER_CHECKS], "", 0, 0,
	    "Tables of actions on header fields of messages inside a message "
	    "that is sent."),
	PARAM_STRING("smtp_body_checks",
	    content_set.tables[TABLE_BODY_CHECKS], "", 0, 0,
	    "Tables of actions on lines of the body of mail that is sent."),
	PARAM_STRING("smtp_reply_filter",
	    content_set.tables[TABLE_REPLY_FILTER], "", 0, 0,
	    "Tables that replace lines of servers' replies."),
	PARAM_STRING("smtp_delivery_status_filter",
	    content_set.tables[TABLE_STATUS_FILTER],
	    "$default_delivery_status_filter", 0, 0,
	    "Tables that replace the status and text of a delivery."),
	PARAM_STRING("default_delivery_status_filter",
	    content_set.status_filter, "", 0, 0,
	    "The delivery status filter of agents that have none of their "
	    "own."),
	PARAM_INT("smtp_line_length_limit", content_set.line_limit, "998", 0,
	    1000000000, "Longer lines are broken by a line end and a space; "
	    "0 leaves them as they are."),
	PARAM_BOOL("disable_mime_output_conversion", content_set.keeps_8bit,
	    "no", "Send 8-bit mail as it is to servers that do not take it."),
	PARAM_STRING("propagate_unmatched_extensions", content_set.propagate,
	    "canonical, virtual", 0, 0, "Tables whose result gets the "
	    "extension that was left out of the key: canonical, virtual, "
	    "alias, forward, include, generic."),
	PARAM_BOOL("append_at_myorigin", content_set.append_at_myorigin,
	    "yes", "Add @$myorigin to addresses without a domain."),
	PARAM_BOOL("append_dot_mydomain", content_set.append_dot_mydomain,
	    "${{$compatibility_level} <level {1} ? {yes} : {no}}",
	    "Add .$mydomain to addresses whose domain has no dot."),
	PARAM_END
};

static const char *const	names[TABLES] = {
	[TABLE_GENERIC] = "smtp_generic_maps",
	[TABLE_HEADER_CHECKS] = "smtp_header_checks",
	[TABLE_MIME_HEADER_CHECKS] = "smtp_mime_header_checks",
	[TABLE_NESTED_HEADER_CHECKS] = "smtp_nested_header_checks",
	[TABLE_BODY_CHECKS] = "smtp_body_checks",
	[TABLE_REPLY_FILTER] = "smtp_reply_filter",
	[TABLE_STATUS_FILTER] = "smtp_delivery_status_filter"
};

/* Is there a table? */
bool
table_is_set(enum content_table table)
{
	return content_set.tables[table][0] != '\0';
}

/* The parameter's name, made once. */
const char *
table_name(enum content_table table)
{
	static const char	*ours[TABLES];

	if (ours[table] == NULL)
		ours[table] = settings_name(names[table]);
	return ours[table];
}

/* Ask. */
WAITS void
table_ask(struct pool *pool, enum content_table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	struct ask_lookup	ask = {
		.service = pool_strdup(pool, settings_service()),
		.parameter = pool_strdup(pool, table_name(table)),
		.how = how, .keys = keys, .count = count
	};

	(void)lookup_ask(to_resolve, &ask, clock_now() + PATIENCE, pool,
	    found);
}
