/*
 * tables_mail.c - the tables of packets that carry mail in and ask about
 * addresses and names.
 */
#include "common/ipc/tables.h"

#include "common/ipc/packets.h"

/* --- cleanup and pickup -------------------------------------------------- */

const struct field fields_recipient_row[] = {
	FIELD_STR(struct recipient_row, address,	0, ADDRESS_MAX),
	FIELD_STR(struct recipient_row, original,	0, ADDRESS_MAX),
	FIELD_STR(struct recipient_row, orcpt,		0, ADDRESS_MAX),
	FIELD_INT(struct recipient_row, notify,		0, 255),
	FIELD_END
};

const struct field fields_mail[] = {
	FIELD_STR(struct mail, sender,		0, ADDRESS_MAX),
	FIELD_STR(struct mail, origin,		1, SHORT_MAX),
	FIELD_STR(struct mail, client_name,	0, NAME_MAX_LEN),
	FIELD_STR(struct mail, client_address,	0, NAME_MAX_LEN),
	FIELD_STR(struct mail, helo,		0, ADDRESS_MAX),
	FIELD_STR(struct mail, protocol,	0, SHORT_MAX),
	FIELD_STR(struct mail, full_name,	0, ADDRESS_MAX),
	FIELD_STR(struct mail, envelope_id,	0, NAME_MAX_LEN),
	FIELD_STR(struct mail, return_what,	0, SHORT_MAX),
	FIELD_STR(struct mail, login,		0, ADDRESS_MAX),
	FIELD_STR(struct mail, extra,		0, EXTRA_MAX),
	FIELD_INT(struct mail, uid,		-1, UINT32_MAX),
	FIELD_INT(struct mail, flags,		0, FLAGS_MAX),
	FIELD_INT(struct mail, arrival_us,	0, TIME_MAX),
	FIELD_INT(struct mail, size_hint,	0, SIZE_LIMIT),
	FIELD_STR(struct mail, verp,		0, 2),
	FIELD_OPT(struct mail, filter,		FILTER_MAX),
	FIELD_INT(struct mail, client_port,	0, 65535),
	FIELD_OPT(struct mail, forwarded,	FORWARDED_MAX),
	FIELD_OPT(struct mail, queue_id,	QUEUE_ID_MAX),
	FIELD_BOOL(struct mail, has_more),
	FIELD_LIST(struct mail, recipients, count, ROWS_MAX,
	    fields_recipient_row, struct recipient_row),
	FIELD_END
};

const struct field fields_recipients[] = {
	FIELD_LIST(struct recipients, recipients, count, ROWS_MAX,
	    fields_recipient_row, struct recipient_row),
	FIELD_BOOL(struct recipients, has_more),
	FIELD_END
};

const struct field fields_content[] = {
	FIELD_DATA(struct content, data,	0, CONTENT_MAX),
	FIELD_BOOL(struct content, is_last),
	FIELD_BOOL(struct content, wants_credit),
	FIELD_END
};

const struct field fields_queued[] = {
	FIELD_STR(struct queued, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct queued, reply,		1, REPLY_MAX),
	FIELD_INT(struct queued, code,		200, 599),
	FIELD_INT(struct queued, size,		0, SIZE_LIMIT),
	FIELD_END
};

const struct field fields_submit[] = {
	FIELD_OPT(struct submit, sender,	ADDRESS_MAX),
	FIELD_STR(struct submit, full_name,	0, ADDRESS_MAX),
	FIELD_STR(struct submit, envelope_id,	0, NAME_MAX_LEN),
	FIELD_STR(struct submit, return_what,	0, SHORT_MAX),
	FIELD_STR(struct submit, verp,		0, 2),
	FIELD_STR(struct submit, token,		0, SHORT_MAX),
	FIELD_INT(struct submit, flags,		0, FLAGS_MAX),
	FIELD_LIST(struct submit, recipients, count, ROWS_MAX,
	    fields_recipient_row, struct recipient_row),
	FIELD_FD(struct submit, message),
	FIELD_END
};

const struct field fields_requeue[] = {
	FIELD_STR(struct requeue, queue_id,	1, QUEUE_ID_MAX),
	FIELD_FD(struct requeue, message),
	FIELD_END
};

const struct field fields_submitted[] = {
	FIELD_INT(struct submitted, exit_status, 0, 255),
	FIELD_STR(struct submitted, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct submitted, text,	0, REPLY_MAX),
	FIELD_END
};

/* --- resolve ------------------------------------------------------------- */

const struct field fields_ask_route[] = {
	FIELD_STR(struct ask_route, address,	0, ADDRESS_MAX),
	FIELD_STR(struct ask_route, sender,	0, ADDRESS_MAX),
	FIELD_STR(struct ask_route, via,	0, ADDRESS_MAX),
	FIELD_END
};

const struct field fields_route[] = {
	FIELD_INT(struct route, result,		0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct route, transport,	0, NAME_MAX_LEN),
	FIELD_STR(struct route, nexthop,	0, ADDRESS_MAX),
	FIELD_STR(struct route, site,		0, ADDRESS_MAX),
	FIELD_STR(struct route, recipient,	0, ADDRESS_MAX),
	FIELD_STR(struct route, address_class,	0, SHORT_MAX),
	FIELD_STR(struct route, dsn,		0, DSN_MAX),
	FIELD_STR(struct route, text,		0, REPLY_MAX),
	FIELD_INT(struct route, generation,	0, INT64_MAX),
	FIELD_INT(struct route, lease.time,	0, LEASE_MAX),
	FIELD_INT(struct route, lease.scope,	0, LEASE_SCOPES - 1),
	FIELD_END
};

const struct field fields_ask_recipient[] = {
	FIELD_STR(struct ask_recipient, address, 0, ADDRESS_MAX),
	FIELD_STR(struct ask_recipient, sender,	0, ADDRESS_MAX),
	FIELD_END
};

const struct field fields_recipient_answer[] = {
	FIELD_INT(struct recipient_answer, result, 0, RECIPIENT_TEMPORARY),
	FIELD_STR(struct recipient_answer, address, 0, ADDRESS_MAX),
	FIELD_STR(struct recipient_answer, address_class, 0, SHORT_MAX),
	FIELD_BOOL(struct recipient_answer, is_final),
	FIELD_STR(struct recipient_answer, text, 0, REPLY_MAX),
	FIELD_INT(struct recipient_answer, lease.time, 0, LEASE_MAX),
	FIELD_INT(struct recipient_answer, lease.scope, 0, LEASE_SCOPES - 1),
	FIELD_END
};

const struct field fields_ask_expand[] = {
	FIELD_LIST(struct ask_expand, rows, count, ROWS_MAX,
	    fields_recipient_row, struct recipient_row),
	FIELD_END
};

const struct field fields_expanded[] = {
	FIELD_INT(struct expanded, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct expanded, text,	0, REPLY_MAX),
	FIELD_LIST(struct expanded, rows, count, ROWS_MAX,
	    fields_recipient_row, struct recipient_row),
	FIELD_END
};

static const struct field key_row[] = {
	FIELD_STR(struct key_row, key,		0, KEY_MAX),
	FIELD_END
};

const struct field fields_ask_lookup[] = {
	FIELD_STR(struct ask_lookup, service,	0, NAME_MAX_LEN),
	FIELD_STR(struct ask_lookup, parameter,	1, NAME_MAX_LEN),
	FIELD_INT(struct ask_lookup, how,	0, LOOKUP_LOGIN),
	FIELD_LIST(struct ask_lookup, keys, count, KEYS_MAX, key_row,
	    struct key_row),
	FIELD_END
};

const struct field fields_found[] = {
	FIELD_INT(struct found, result,		0, LOOKUP_TEMPORARY),
	FIELD_INT(struct found, which,		0, KEYS_MAX),
	FIELD_INT(struct found, owner,		-2, UINT32_MAX),
	FIELD_STR(struct found, value,		0, VALUE_MAX),
	FIELD_STR(struct found, extension,	0, ADDRESS_MAX),
	FIELD_STR(struct found, text,		0, REPLY_MAX),
	FIELD_END
};

const struct field fields_ask_dial[] = {
	FIELD_STR(struct ask_dial, endpoint,	1, PATH_MAX_LEN),
	FIELD_STR(struct ask_dial, transport,	0, NAME_MAX_LEN),
	FIELD_STR(struct ask_dial, address,	0, ADDRESS_MAX),
	FIELD_STR(struct ask_dial, sender,	0, ADDRESS_MAX),
	FIELD_OPT_FD(struct ask_dial, message),
	FIELD_END
};

const struct field fields_dialed[] = {
	FIELD_INT(struct dialed, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct dialed, text,		0, REPLY_MAX),
	FIELD_OPT_FD(struct dialed, socket),
	FIELD_END
};

/* --- dns and anvil ------------------------------------------------------- */

const struct field fields_ask_hosts[] = {
	FIELD_STR(struct ask_hosts, name,	1, ADDRESS_MAX),
	FIELD_INT(struct ask_hosts, flags,	0, FLAGS_MAX),
	FIELD_END
};

static const struct field address_row[] = {
	FIELD_STR(struct address_row, address,	1, SHORT_MAX),
	FIELD_END
};

static const struct field host_row[] = {
	FIELD_STR(struct host_row, name,	1, ADDRESS_MAX),
	FIELD_INT(struct host_row, preference,	0, 65535),
	FIELD_INT(struct host_row, port,	0, 65535),
	FIELD_INT(struct host_row, result,	0, HOSTS_TEMPORARY),
	FIELD_LIST(struct host_row, addresses, count, ADDRESSES_MAX,
	    address_row, struct address_row),
	FIELD_END
};

const struct field fields_hosts[] = {
	FIELD_INT(struct hosts, result,		0, HOSTS_TEMPORARY),
	FIELD_STR(struct hosts, text,		0, REPLY_MAX),
	FIELD_BOOL(struct hosts, is_secure),
	FIELD_BOOL(struct hosts, had_mx),
	FIELD_INT(struct hosts, ttl,		0, OFFSET_MAX),
	FIELD_LIST(struct hosts, hosts, count, HOSTS_MAX, host_row,
	    struct host_row),
	FIELD_END
};

const struct field fields_ask_reverse[] = {
	FIELD_STR(struct ask_reverse, address,	1, SHORT_MAX),
	FIELD_END
};

const struct field fields_reverse[] = {
	FIELD_INT(struct reverse, result,	0, HOSTS_TEMPORARY),
	FIELD_STR(struct reverse, name,		0, NAME_MAX_LEN),
	FIELD_STR(struct reverse, claimed,	0, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_anvil_connect[] = {
	FIELD_STR(struct anvil_connect, service, 1, NAME_MAX_LEN),
	FIELD_STR(struct anvil_connect, address, 1, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_anvil_event[] = {
	FIELD_STR(struct anvil_event, service,	1, NAME_MAX_LEN),
	FIELD_STR(struct anvil_event, address,	1, NAME_MAX_LEN),
	FIELD_INT(struct anvil_event, kind,	0, ANVIL_KINDS - 1),
	FIELD_BOOL(struct anvil_event, is_question),
	FIELD_END
};

const struct field fields_anvil_counts[] = {
	FIELD_INT(struct anvil_counts, connections, 0, OFFSET_MAX),
	FIELD_INT(struct anvil_counts, rate,	0, OFFSET_MAX),
	FIELD_END
};
