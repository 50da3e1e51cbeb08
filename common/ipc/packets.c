/*
 * packets.c - the table of every packet, and of every row inside one.
 *
 * The bounds are the contract: what passes the decoder needs no length check
 * in any handler. They are generous where a remote server or a user chose the
 * text, and tight where one of our programs did. A packet as a whole is held
 * to PACKET_MAX by packet.c, so a list of ROWS_MAX long addresses has to be
 * sent in pieces.
 *
 * A new packet needs its struct in packets.h, a table and a line in `types`
 * here; its bounds are tried by the tests without further work.
 */
#include "common/ipc/packets.h"

#include <stdint.h>

#include "common/ipc/packet.h"

enum {
	NAME_MAX_LEN	= 255,	/* services, hosts, users, classes */
	SHORT_MAX	= 64,	/* words of ours: "ESMTP", "rfc822" */
	PATH_MAX_LEN	= 4096,
	OFFSET_MAX	= 0x7fffffff,	/* of what is counted, not of bytes */
	EXTRA_MAX	= 1024,
	VALUE_MAX	= 32768,	/* right-hand side of a table */
	HEAD_MAX	= 8192,
	DSN_MAX		= 16,
	FLAGS_MAX	= 0xffff,
	ADDRESSES_MAX	= 100,
	HOSTS_MAX	= 100,
	KEYS_MAX	= 64
};
#define TIME_MAX	INT64_MAX
#define SIZE_LIMIT	INT64_MAX

/* --- any channel --------------------------------------------------------- */

static const struct field hello[] = {
	FIELD_STR(struct hello, service,	1, NAME_MAX_LEN),
	FIELD_INT(struct hello, version,	0, INT64_MAX),
	FIELD_END
};

static const struct field refused[] = {
	FIELD_STR(struct refused, why,		0, EXTRA_MAX),
	FIELD_END
};

static const struct field empty[] = {
	FIELD_END
};

/* --- master -------------------------------------------------------------- */

static const struct field reload[] = {
	FIELD_STR(struct reload, origin,	0, 1024),
	FIELD_OPT_FD(struct reload, main_cf),
	FIELD_OPT_FD(struct reload, master_cf),
	FIELD_OPT_FD(struct reload, origin_file),
	FIELD_END
};

static const struct field status[] = {
	FIELD_INT(struct status, sessions,	0, OFFSET_MAX),
	FIELD_INT(struct status, fibers,	0, OFFSET_MAX),
	FIELD_INT(struct status, requests,	0, INT64_MAX),
	FIELD_INT(struct status, malformed,	0, INT64_MAX),
	FIELD_STR(struct status, note,		0, EXTRA_MAX),
	FIELD_END
};

static const struct field control[] = {
	FIELD_STR(struct control, verb,		1, EXTRA_MAX),
	FIELD_END
};

static const struct field control_line[] = {
	FIELD_STR(struct control_line, text,	0, REPLY_MAX),
	FIELD_END
};

static const struct field control_done[] = {
	FIELD_INT(struct control_done, exit_status, 0, 255),
	FIELD_END
};

/* --- cleanup and pickup -------------------------------------------------- */

static const struct field recipient_row[] = {
	FIELD_STR(struct recipient_row, address,	0, ADDRESS_MAX),
	FIELD_STR(struct recipient_row, original,	0, ADDRESS_MAX),
	FIELD_STR(struct recipient_row, orcpt,		0, ADDRESS_MAX),
	FIELD_INT(struct recipient_row, notify,		0, 255),
	FIELD_END
};

static const struct field mail[] = {
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
	FIELD_INT(struct mail, hops,		0, OFFSET_MAX),
	FIELD_BOOL(struct mail, has_more),
	FIELD_LIST(struct mail, recipients, count, ROWS_MAX, recipient_row,
	    struct recipient_row),
	FIELD_END
};

static const struct field recipients[] = {
	FIELD_LIST(struct recipients, recipients, count, ROWS_MAX,
	    recipient_row, struct recipient_row),
	FIELD_BOOL(struct recipients, has_more),
	FIELD_END
};

static const struct field content[] = {
	FIELD_DATA(struct content, data,	0, CONTENT_MAX),
	FIELD_BOOL(struct content, is_last),
	FIELD_BOOL(struct content, wants_credit),
	FIELD_END
};

static const struct field queued[] = {
	FIELD_STR(struct queued, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct queued, reply,		1, REPLY_MAX),
	FIELD_INT(struct queued, code,		200, 599),
	FIELD_INT(struct queued, size,		0, SIZE_LIMIT),
	FIELD_END
};

static const struct field submit[] = {
	FIELD_OPT(struct submit, sender,	ADDRESS_MAX),
	FIELD_STR(struct submit, full_name,	0, ADDRESS_MAX),
	FIELD_STR(struct submit, envelope_id,	0, NAME_MAX_LEN),
	FIELD_STR(struct submit, return_what,	0, SHORT_MAX),
	FIELD_STR(struct submit, token,		0, SHORT_MAX),
	FIELD_INT(struct submit, flags,		0, FLAGS_MAX),
	FIELD_LIST(struct submit, recipients, count, ROWS_MAX, recipient_row,
	    struct recipient_row),
	FIELD_FD(struct submit, message),
	FIELD_END
};

static const struct field submitted[] = {
	FIELD_INT(struct submitted, exit_status, 0, 255),
	FIELD_STR(struct submitted, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct submitted, text,	0, REPLY_MAX),
	FIELD_END
};

/* --- resolve ------------------------------------------------------------- */

static const struct field ask_route[] = {
	FIELD_STR(struct ask_route, address,	0, ADDRESS_MAX),
	FIELD_STR(struct ask_route, sender,	0, ADDRESS_MAX),
	FIELD_END
};

static const struct field route[] = {
	FIELD_INT(struct route, result,		0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct route, transport,	0, NAME_MAX_LEN),
	FIELD_STR(struct route, nexthop,	0, ADDRESS_MAX),
	FIELD_STR(struct route, site,		0, ADDRESS_MAX),
	FIELD_STR(struct route, recipient,	0, ADDRESS_MAX),
	FIELD_STR(struct route, address_class,	0, SHORT_MAX),
	FIELD_STR(struct route, dsn,		0, DSN_MAX),
	FIELD_STR(struct route, text,		0, REPLY_MAX),
	FIELD_INT(struct route, generation,	0, INT64_MAX),
	FIELD_END
};

static const struct field ask_recipient[] = {
	FIELD_STR(struct ask_recipient, address, 0, ADDRESS_MAX),
	FIELD_STR(struct ask_recipient, sender,	0, ADDRESS_MAX),
	FIELD_END
};

static const struct field recipient_answer[] = {
	FIELD_INT(struct recipient_answer, result, 0, RECIPIENT_TEMPORARY),
	FIELD_STR(struct recipient_answer, address, 0, ADDRESS_MAX),
	FIELD_STR(struct recipient_answer, address_class, 0, SHORT_MAX),
	FIELD_BOOL(struct recipient_answer, is_final),
	FIELD_STR(struct recipient_answer, text, 0, REPLY_MAX),
	FIELD_END
};

static const struct field ask_expand[] = {
	FIELD_LIST(struct ask_expand, rows, count, ROWS_MAX, recipient_row,
	    struct recipient_row),
	FIELD_END
};

static const struct field expanded[] = {
	FIELD_INT(struct expanded, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct expanded, text,	0, REPLY_MAX),
	FIELD_LIST(struct expanded, rows, count, ROWS_MAX, recipient_row,
	    struct recipient_row),
	FIELD_END
};

static const struct field key_row[] = {
	FIELD_STR(struct key_row, key,		0, ADDRESS_MAX),
	FIELD_END
};

static const struct field ask_lookup[] = {
	FIELD_STR(struct ask_lookup, parameter,	1, NAME_MAX_LEN),
	FIELD_LIST(struct ask_lookup, keys, count, KEYS_MAX, key_row,
	    struct key_row),
	FIELD_END
};

static const struct field found[] = {
	FIELD_INT(struct found, result,		0, LOOKUP_TEMPORARY),
	FIELD_INT(struct found, which,		0, KEYS_MAX),
	FIELD_STR(struct found, value,		0, VALUE_MAX),
	FIELD_STR(struct found, text,		0, REPLY_MAX),
	FIELD_END
};

/* --- dns and anvil ------------------------------------------------------- */

static const struct field ask_hosts[] = {
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
	FIELD_INT(struct host_row, result,	0, HOSTS_TEMPORARY),
	FIELD_LIST(struct host_row, addresses, count, ADDRESSES_MAX,
	    address_row, struct address_row),
	FIELD_END
};

static const struct field hosts[] = {
	FIELD_INT(struct hosts, result,		0, HOSTS_TEMPORARY),
	FIELD_STR(struct hosts, text,		0, REPLY_MAX),
	FIELD_BOOL(struct hosts, is_secure),
	FIELD_BOOL(struct hosts, had_mx),
	FIELD_INT(struct hosts, ttl,		0, OFFSET_MAX),
	FIELD_LIST(struct hosts, hosts, count, HOSTS_MAX, host_row,
	    struct host_row),
	FIELD_END
};

static const struct field ask_reverse[] = {
	FIELD_STR(struct ask_reverse, address,	1, SHORT_MAX),
	FIELD_END
};

static const struct field reverse[] = {
	FIELD_INT(struct reverse, result,	0, HOSTS_TEMPORARY),
	FIELD_STR(struct reverse, name,		0, NAME_MAX_LEN),
	FIELD_STR(struct reverse, claimed,	0, NAME_MAX_LEN),
	FIELD_END
};

static const struct field anvil_connect[] = {
	FIELD_STR(struct anvil_connect, service, 1, NAME_MAX_LEN),
	FIELD_STR(struct anvil_connect, address, 1, NAME_MAX_LEN),
	FIELD_END
};

static const struct field anvil_counts[] = {
	FIELD_INT(struct anvil_counts, connections, 0, OFFSET_MAX),
	FIELD_INT(struct anvil_counts, rate,	0, OFFSET_MAX),
	FIELD_END
};

/* --- qmgr ---------------------------------------------------------------- */

static const struct field new_mail[] = {
	FIELD_STR(struct new_mail, queue_id,	1, QUEUE_ID_MAX),
	FIELD_DATA(struct new_mail, envelope,	0, CONTENT_MAX),
	FIELD_INT(struct new_mail, content_offset, 0, SIZE_LIMIT),
	FIELD_INT(struct new_mail, content_length, 0, SIZE_LIMIT),
	FIELD_INT(struct new_mail, envelope_offset, 0, SIZE_LIMIT),
	FIELD_OPT_FD(struct new_mail, message),
	FIELD_END
};

static const struct field deliver_row[] = {
	FIELD_INT(struct deliver_row, number,	0, OFFSET_MAX),
	FIELD_STR(struct deliver_row, address,	0, ADDRESS_MAX),
	FIELD_STR(struct deliver_row, original,	0, ADDRESS_MAX),
	FIELD_STR(struct deliver_row, orcpt,	0, ADDRESS_MAX),
	FIELD_INT(struct deliver_row, notify,	0, 255),
	FIELD_END
};

static const struct field deliver[] = {
	FIELD_STR(struct deliver, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct deliver, transport,	1, NAME_MAX_LEN),
	FIELD_STR(struct deliver, nexthop,	0, ADDRESS_MAX),
	FIELD_STR(struct deliver, site,		0, ADDRESS_MAX),
	FIELD_STR(struct deliver, sender,	0, ADDRESS_MAX),
	FIELD_STR(struct deliver, envelope_id,	0, NAME_MAX_LEN),
	FIELD_STR(struct deliver, return_what,	0, SHORT_MAX),
	FIELD_STR(struct deliver, client_name,	0, NAME_MAX_LEN),
	FIELD_STR(struct deliver, client_address, 0, NAME_MAX_LEN),
	FIELD_STR(struct deliver, helo,		0, ADDRESS_MAX),
	FIELD_STR(struct deliver, protocol,	0, SHORT_MAX),
	FIELD_STR(struct deliver, login,	0, ADDRESS_MAX),
	FIELD_INT(struct deliver, flags,	0, FLAGS_MAX),
	FIELD_INT(struct deliver, arrival_us,	0, TIME_MAX),
	FIELD_INT(struct deliver, active_us,	0, TIME_MAX),
	FIELD_INT(struct deliver, content_offset, 0, SIZE_LIMIT),
	FIELD_INT(struct deliver, content_length, 0, SIZE_LIMIT),
	FIELD_INT(struct deliver, attempt,	0, OFFSET_MAX),
	FIELD_LIST(struct deliver, recipients, count, ROWS_MAX, deliver_row,
	    struct deliver_row),
	FIELD_FD(struct deliver, message),
	FIELD_END
};

static const struct field outcome_row[] = {
	FIELD_INT(struct outcome_row, number,	0, OFFSET_MAX),
	FIELD_INT(struct outcome_row, outcome,	0, OUTCOME_BOUNCED),
	FIELD_INT(struct outcome_row, flags,	0, FLAGS_MAX),
	FIELD_STR(struct outcome_row, dsn,	0, DSN_MAX),
	FIELD_STR(struct outcome_row, text,	0, REPLY_MAX),
	FIELD_STR(struct outcome_row, remote,	0, ADDRESS_MAX),
	FIELD_STR(struct outcome_row, diagnostic, 0, REPLY_MAX),
	FIELD_END
};

static const struct field outcome_packet[] = {
	FIELD_LIST(struct outcome_packet, rows, count, ROWS_MAX, outcome_row,
	    struct outcome_row),
	FIELD_BOOL(struct outcome_packet, is_last),
	FIELD_END
};

static const struct field bounce_row[] = {
	FIELD_STR(struct bounce_row, address,	0, ADDRESS_MAX),
	FIELD_STR(struct bounce_row, original,	0, ADDRESS_MAX),
	FIELD_STR(struct bounce_row, orcpt,	0, ADDRESS_MAX),
	FIELD_INT(struct bounce_row, outcome,	0, OUTCOME_BOUNCED),
	FIELD_INT(struct bounce_row, flags,	0, FLAGS_MAX),
	FIELD_STR(struct bounce_row, dsn,	0, DSN_MAX),
	FIELD_STR(struct bounce_row, text,	0, REPLY_MAX),
	FIELD_STR(struct bounce_row, remote,	0, ADDRESS_MAX),
	FIELD_STR(struct bounce_row, diagnostic, 0, REPLY_MAX),
	FIELD_INT(struct bounce_row, last_attempt_us, 0, TIME_MAX),
	FIELD_END
};

static const struct field bounce[] = {
	FIELD_INT(struct bounce, kind,		0, BOUNCE_SUCCESS),
	FIELD_STR(struct bounce, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct bounce, sender,	0, ADDRESS_MAX),
	FIELD_STR(struct bounce, envelope_id,	0, NAME_MAX_LEN),
	FIELD_STR(struct bounce, return_what,	0, SHORT_MAX),
	FIELD_INT(struct bounce, flags,		0, FLAGS_MAX),
	FIELD_INT(struct bounce, arrival_us,	0, TIME_MAX),
	FIELD_INT(struct bounce, content_offset, 0, SIZE_LIMIT),
	FIELD_INT(struct bounce, content_length, 0, SIZE_LIMIT),
	FIELD_INT(struct bounce, expires_us,	0, TIME_MAX),
	FIELD_LIST(struct bounce, rows, count, ROWS_MAX, bounce_row,
	    struct bounce_row),
	FIELD_FD(struct bounce, message),
	FIELD_END
};

static const struct field bounced[] = {
	FIELD_INT(struct bounced, code,		200, 599),
	FIELD_STR(struct bounced, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct bounced, text,		0, REPLY_MAX),
	FIELD_END
};

static const struct field queue_command[] = {
	FIELD_STR(struct queue_command, verb,	1, SHORT_MAX),
	FIELD_STR(struct queue_command, id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct queue_command, argument, 0, ADDRESS_MAX),
	FIELD_END
};

static const struct field queue_recipient[] = {
	FIELD_STR(struct queue_recipient, address, 0, ADDRESS_MAX),
	FIELD_STR(struct queue_recipient, original, 0, ADDRESS_MAX),
	FIELD_STR(struct queue_recipient, reason, 0, REPLY_MAX),
	FIELD_END
};

static const struct field queue_entry[] = {
	FIELD_STR(struct queue_entry, queue,	1, SHORT_MAX),
	FIELD_STR(struct queue_entry, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct queue_entry, sender,	0, ADDRESS_MAX),
	FIELD_INT(struct queue_entry, size,	0, SIZE_LIMIT),
	FIELD_INT(struct queue_entry, arrival_us, 0, TIME_MAX),
	FIELD_INT(struct queue_entry, next_try_us, 0, TIME_MAX),
	FIELD_LIST(struct queue_entry, recipients, count, ROWS_MAX,
	    queue_recipient, struct queue_recipient),
	FIELD_END
};

static const struct field queue_done[] = {
	FIELD_INT(struct queue_done, exit_status, 0, 255),
	FIELD_INT(struct queue_done, count,	0, INT64_MAX),
	FIELD_STR(struct queue_done, text,	0, REPLY_MAX),
	FIELD_END
};

/* --- local --------------------------------------------------------------- */

static const struct field become[] = {
	FIELD_STR(struct become, user,		1, NAME_MAX_LEN),
	FIELD_END
};

static const struct field became[] = {
	FIELD_INT(struct became, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct became, text,		0, REPLY_MAX),
	FIELD_STR(struct became, home,		0, PATH_MAX_LEN),
	FIELD_STR(struct became, user,		0, NAME_MAX_LEN),
	FIELD_INT(struct became, uid,		-1, UINT32_MAX),
	FIELD_INT(struct became, gid,		-1, UINT32_MAX),
	FIELD_OPT_FD(struct became, channel),
	FIELD_END
};

static const struct field store[] = {
	FIELD_INT(struct store, kind,		0, STORE_MAILDIR),
	FIELD_STR(struct store, path,		1, PATH_MAX_LEN),
	FIELD_STR(struct store, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct store, head,		0, HEAD_MAX),
	FIELD_STR(struct store, from_line,	0, 2 * ADDRESS_MAX),
	FIELD_INT(struct store, content_offset,	0, SIZE_LIMIT),
	FIELD_INT(struct store, content_length,	0, SIZE_LIMIT),
	FIELD_INT(struct store, size_limit,	0, SIZE_LIMIT),
	FIELD_FD(struct store, message),
	FIELD_END
};

static const struct field stored[] = {
	FIELD_INT(struct stored, outcome,	0, OUTCOME_BOUNCED),
	FIELD_STR(struct stored, dsn,		0, DSN_MAX),
	FIELD_STR(struct stored, text,		0, REPLY_MAX),
	FIELD_END
};

static const struct field read_forward[] = {
	FIELD_STR(struct read_forward, path,	1, PATH_MAX_LEN),
	FIELD_END
};

static const struct field forward[] = {
	FIELD_INT(struct forward, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_DATA(struct forward, data,	0, CONTENT_MAX),
	FIELD_STR(struct forward, text,		0, REPLY_MAX),
	FIELD_END
};

/* --- the index ----------------------------------------------------------- */

struct type {
	const char		*name;
	const struct field	*fields;
	size_t			 size;
};

#define TYPE(number, table, type) \
	[PACKET_##number] = { #number, table, sizeof(struct type) }

static const struct type types[PACKET_TYPES] = {
	TYPE(HELLO,		hello,			hello),
	TYPE(GOODBYE,		empty,			empty),
	TYPE(REFUSED,		refused,		refused),

	TYPE(READY,		empty,			empty),
	TYPE(DRAIN,		empty,			empty),
	TYPE(RELOAD,		reload,			reload),
	TYPE(ASK_STATUS,	empty,			empty),
	TYPE(STATUS,		status,			status),
	TYPE(CONTROL,		control,		control),
	TYPE(CONTROL_LINE,	control_line,		control_line),
	TYPE(CONTROL_DONE,	control_done,		control_done),

	TYPE(MAIL,		mail,			mail),
	TYPE(RECIPIENTS,	recipients,		recipients),
	TYPE(CONTENT,		content,		content),
	TYPE(CREDIT,		empty,			empty),
	TYPE(ABANDON,		empty,			empty),
	TYPE(QUEUED,		queued,			queued),
	TYPE(SUBMIT,		submit,			submit),
	TYPE(SUBMITTED,		submitted,		submitted),

	TYPE(ASK_ROUTE,		ask_route,		ask_route),
	TYPE(ROUTE,		route,			route),
	TYPE(ASK_RECIPIENT,	ask_recipient,		ask_recipient),
	TYPE(RECIPIENT,		recipient_answer,	recipient_answer),
	TYPE(ASK_EXPAND,	ask_expand,		ask_expand),
	TYPE(EXPANDED,		expanded,		expanded),
	TYPE(ASK_LOOKUP,	ask_lookup,		ask_lookup),
	TYPE(FOUND,		found,			found),

	TYPE(ASK_HOSTS,		ask_hosts,		ask_hosts),
	TYPE(HOSTS,		hosts,			hosts),
	TYPE(ASK_REVERSE,	ask_reverse,		ask_reverse),
	TYPE(REVERSE,		reverse,		reverse),

	TYPE(ANVIL_CONNECT,	anvil_connect,		anvil_connect),
	TYPE(ANVIL_COUNTS,	anvil_counts,		anvil_counts),
	TYPE(ANVIL_DISCONNECT,	anvil_connect,		anvil_connect),

	TYPE(NEW_MAIL,		new_mail,		new_mail),
	TYPE(DELIVER,		deliver,		deliver),
	TYPE(OUTCOME,		outcome_packet,		outcome_packet),
	TYPE(BOUNCE,		bounce,			bounce),
	TYPE(BOUNCED,		bounced,		bounced),
	TYPE(QUEUE_COMMAND,	queue_command,		queue_command),
	TYPE(QUEUE_ENTRY,	queue_entry,		queue_entry),
	TYPE(QUEUE_DONE,	queue_done,		queue_done),

	TYPE(BECOME,		become,			become),
	TYPE(BECAME,		became,			became),
	TYPE(STORE,		store,			store),
	TYPE(STORED,		stored,			stored),
	TYPE(READ_FORWARD,	read_forward,		read_forward),
	TYPE(FORWARD,		forward,		forward),
};

/* The entry of a type, NULL for a number nobody uses. */
static const struct type *
find(unsigned type)
{
	if (type >= PACKET_TYPES || types[type].name == NULL)
		return NULL;
	return &types[type];
}

/* The table of a type. */
const struct field *
packet_fields(unsigned type)
{
	const struct type	*t = find(type);

	return t != NULL ? t->fields : NULL;
}

/* Its name for logs and tests. */
const char *
packet_name(unsigned type)
{
	const struct type	*t = find(type);

	return t != NULL ? t->name : NULL;
}

/* The size of its struct. */
size_t
packet_struct_size(unsigned type)
{
	const struct type	*t = find(type);

	return t != NULL ? t->size : 0;
}
