/*
 * packets.c - every packet there is, with its table.
 *
 * The bounds are the contract: what passes the decoder needs no length check
 * in any handler. They are generous where a remote server or a user chose the
 * text, and tight where one of our programs did. A packet as a whole is held
 * to PACKET_MAX by packet.c, so a list of ROWS_MAX long addresses has to be
 * sent in pieces.
 *
 * A new packet needs its struct in packets.h, a table in one of tables_*.c,
 * and a line in `types` here; its bounds are tried by the tests without
 * further work.
 */
#include "common/ipc/packets.h"

#include "common/ipc/packet.h"
#include "common/ipc/tables.h"

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

	TYPE(MAIL,		fields_mail,			mail),
	TYPE(RECIPIENTS,	fields_recipients,		recipients),
	TYPE(CONTENT,		fields_content,		content),
	TYPE(CREDIT,		empty,			empty),
	TYPE(ABANDON,		empty,			empty),
	TYPE(QUEUED,		fields_queued,			queued),
	TYPE(SUBMIT,		fields_submit,			submit),
	TYPE(SUBMITTED,		fields_submitted,		submitted),
	TYPE(REQUEUE,		fields_requeue,			requeue),

	TYPE(ASK_ROUTE,		fields_ask_route,		ask_route),
	TYPE(ROUTE,		fields_route,			route),
	TYPE(ASK_RECIPIENT,	fields_ask_recipient,		ask_recipient),
	TYPE(RECIPIENT,		fields_recipient_answer, recipient_answer),
	TYPE(ASK_EXPAND,	fields_ask_expand,		ask_expand),
	TYPE(EXPANDED,		fields_expanded,		expanded),
	TYPE(ASK_LOOKUP,	fields_ask_lookup,		ask_lookup),
	TYPE(FOUND,		fields_found,			found),
	TYPE(ASK_DIAL,		fields_ask_dial,		ask_dial),
	TYPE(DIALED,		fields_dialed,			dialed),

	TYPE(ASK_HOSTS,		fields_ask_hosts,		ask_hosts),
	TYPE(HOSTS,		fields_hosts,			hosts),
	TYPE(ASK_REVERSE,	fields_ask_reverse,		ask_reverse),
	TYPE(REVERSE,		fields_reverse,		reverse),

	TYPE(ANVIL_CONNECT,	fields_anvil_connect,		anvil_connect),
	TYPE(ANVIL_COUNTS,	fields_anvil_counts,		anvil_counts),
	TYPE(ANVIL_DISCONNECT,	fields_anvil_connect,		anvil_connect),
	TYPE(ANVIL_EVENT,	fields_anvil_event,		anvil_event),

	TYPE(NEW_MAIL,		fields_new_mail,		new_mail),
	TYPE(DELIVER,		fields_deliver,		deliver),
	TYPE(OUTCOME,		fields_outcome_packet,		outcome_packet),
	TYPE(BOUNCE,		fields_bounce,			bounce),
	TYPE(BOUNCE_ROWS,	fields_bounce_rows,		bounce_rows),
	TYPE(BOUNCED,		fields_bounced,		bounced),
	TYPE(TRANSCRIPT,	fields_transcript,		transcript),
	TYPE(FLUSH_SITE,	fields_flush_site,		flush_site),
	TYPE(FLUSHED,		fields_flushed,		flushed),
	TYPE(QUEUE_COMMAND,	fields_queue_command,		queue_command),
	TYPE(QUEUE_ENTRY,	fields_queue_entry,		queue_entry),
	TYPE(QUEUE_DONE,	fields_queue_done,		queue_done),

	TYPE(BECOME,		fields_become,			become),
	TYPE(BECAME,		fields_became,			became),
	TYPE(STORE,		fields_store,			store),
	TYPE(STORED,		fields_stored,			stored),
	TYPE(READ_FORWARD,	fields_read_forward,		read_forward),
	TYPE(FORWARD,		fields_forward,		forward),
	TYPE(RUN,		fields_run,		run),
	TYPE(RAN,		fields_ran,		ran),

	TYPE(ASK_CERTIFICATES,	fields_ask_certificates, ask_certificates),
	TYPE(CERTIFICATES,	fields_certificates,		certificates),
	TYPE(ASK_SIGNATURE,	fields_ask_signature,		ask_signature),
	TYPE(SIGNATURE,	fields_signature,		signature),
	TYPE(ASK_TICKETS,	fields_ask_tickets,		ask_tickets),
	TYPE(TICKETS,		fields_tickets,		ticket_keys),

	TYPE(ASK_MECHANISMS,	fields_ask_mechanisms,	ask_mechanisms),
	TYPE(MECHANISMS,	fields_mechanisms,		mechanisms),
	TYPE(AUTHENTICATE,	fields_authenticate,		authenticate),
	TYPE(AUTH_CONTINUE,	fields_auth_continue,		auth_continue),
	TYPE(AUTH_STEP,	fields_auth_step,		auth_step),
	TYPE(AUTH_END,		fields_auth_end,		auth_end),
	TYPE(ASK_SASL,		fields_ask_sasl,		ask_sasl),
	TYPE(ASK_TOKEN,	fields_ask_token,		ask_token),
	TYPE(TOKEN,		fields_token,			token),

	TYPE(ASK_INFLOW,	empty,				empty),
	TYPE(INFLOW,		fields_inflow,			inflow),
	TYPE(CHANGED,		empty,				empty),
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

/* Is there something in it that nobody may find in our memory later? */
bool
packet_is_secret(unsigned type)
{
	switch (type) {
	case PACKET_FOUND:		/* smtp_sasl_password_maps */
	case PACKET_TICKETS:
	case PACKET_AUTHENTICATE:
	case PACKET_AUTH_CONTINUE:
	case PACKET_AUTH_STEP:
	case PACKET_TOKEN:
		return true;
	default:
		return false;
	}
}
