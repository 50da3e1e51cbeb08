#ifndef IPC_TABLES_H
#define IPC_TABLES_H

#include <stdint.h>

#include "common/base/fields.h"

/*
 * The tables of packets, for their index in packets.c; and bounds that they
 * share.
 */
enum {
	NAME_MAX_LEN	= 255,	/* services, hosts, users, classes */
	SHORT_MAX	= 64,	/* words of ours: "ESMTP", "rfc822" */
	PATH_MAX_LEN	= 4096,
	OFFSET_MAX	= 0x7fffffff,	/* of what is counted, not of bytes */
	EXTRA_MAX	= 1024,
	VALUE_MAX	= 32768,	/* right-hand side of a table */
	HEAD_MAX	= 8192,
	DSN_MAX		= 16,
	FLAGS_MAX	= 0xffffff,
	FORWARDED_MAX	= 3000,
	ADDRESSES_MAX	= 100,
	HOSTS_MAX	= 100,
	KEYS_MAX	= 64,
	WORDS_MAX	= 4096,		/* of a command */
	KEY_MAX		= 8192	/* a header field, a line, a reply */
};
#define TIME_MAX	INT64_MAX
#define SIZE_LIMIT	INT64_MAX

extern const struct field
	fields_recipient_row[], fields_mail[], fields_recipients[],
	fields_content[], fields_queued[], fields_submit[],
	fields_submitted[], fields_requeue[], fields_ask_route[],
	fields_route[],
	fields_ask_recipient[], fields_recipient_answer[],
	fields_ask_expand[], fields_expanded[], fields_ask_lookup[],
	fields_found[], fields_ask_dial[], fields_dialed[],
	fields_ask_hosts[], fields_hosts[], fields_ask_reverse[],
	fields_reverse[], fields_anvil_connect[], fields_anvil_counts[],
	fields_anvil_event[],
	fields_inflow[],
	fields_new_mail[], fields_deliver[], fields_outcome_packet[],
	fields_bounce[], fields_bounce_rows[], fields_bounced[],
	fields_transcript[], fields_flush_site[], fields_flushed[],
	fields_queue_command[], fields_queue_entry[],
	fields_queue_done[], fields_become[], fields_became[],
	fields_store[], fields_stored[], fields_read_forward[],
	fields_forward[], fields_run[], fields_ran[],
	fields_ask_certificates[], fields_certificates[],
	fields_ask_signature[],
	fields_signature[], fields_ask_tickets[], fields_tickets[],
	fields_ask_mechanisms[], fields_mechanisms[], fields_authenticate[],
	fields_auth_continue[], fields_auth_step[], fields_auth_end[],
	fields_ask_sasl[], fields_ask_token[], fields_token[];

#endif
