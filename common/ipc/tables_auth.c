/*
 * tables_auth.c - the tables of packets about certificates, keys and users.
 */
#include "common/ipc/tables.h"

#include "common/ipc/packets.h"

enum {
	CHAIN_MAX = 32 * 1024,		/* DER of all certificates of one */
	CHAINS_MAX = 4,
	KEY_ID = 32, DIGEST_MAX = 32, SIGNATURE_MAX = 4096,
	TICKETS_MAX = 8, TICKET_NAME = 16, TICKET_SECRET = 32,
	BINDING_MAX = 64, WORDS_ROOM = 1000, TOKEN_MAX = 8192
};

/* --- keys ---------------------------------------------------------------- */

const struct field fields_ask_certificates[] = {
	FIELD_STR(struct ask_certificates, service,	0, NAME_MAX_LEN),
	FIELD_STR(struct ask_certificates, program,	1, SHORT_MAX),
	FIELD_STR(struct ask_certificates, name,	0, NAME_MAX_LEN),
	FIELD_END
};

static const struct field fields_chain_row[] = {
	FIELD_DATA(struct chain_row, der,	1, CHAIN_MAX),
	FIELD_END
};

const struct field fields_certificates[] = {
	FIELD_BOOL(struct certificates, is_there),
	FIELD_INT(struct certificates, generation,	0, INT64_MAX),
	FIELD_LIST(struct certificates, chains, count, CHAINS_MAX,
	    fields_chain_row, struct chain_row),
	FIELD_END
};

const struct field fields_ask_signature[] = {
	FIELD_DATA(struct ask_signature, key,	KEY_ID, KEY_ID),
	FIELD_STR(struct ask_signature, digest,	0, DIGEST_MAX),
	FIELD_BOOL(struct ask_signature, is_pss),
	FIELD_INT(struct ask_signature, salt_length, -3, 512),
	FIELD_DATA(struct ask_signature, message, 1, SIGN_MESSAGE_MAX),
	FIELD_END
};

const struct field fields_signature[] = {
	FIELD_DATA(struct signature, data,	0, SIGNATURE_MAX),
	FIELD_STR(struct signature, text,	0, REPLY_MAX),
	FIELD_END
};

const struct field fields_ask_tickets[] = {
	FIELD_STR(struct ask_tickets, service,	0, NAME_MAX_LEN),
	FIELD_INT(struct ask_tickets, lifetime,	1, 8640000),
	FIELD_END
};

static const struct field fields_ticket_row[] = {
	FIELD_DATA(struct ticket_row, name,	TICKET_NAME, TICKET_NAME),
	FIELD_DATA(struct ticket_row, secret,	TICKET_SECRET, TICKET_SECRET),
	FIELD_DATA(struct ticket_row, mac,	TICKET_SECRET, TICKET_SECRET),
	FIELD_INT(struct ticket_row, fresh_until, 0, TIME_MAX),
	FIELD_INT(struct ticket_row, valid_until, 0, TIME_MAX),
	FIELD_END
};

const struct field fields_tickets[] = {
	FIELD_LIST(struct ticket_keys, rows, count, TICKETS_MAX,
	    fields_ticket_row, struct ticket_row),
	FIELD_END
};

/* --- auth ---------------------------------------------------------------- */

const struct field fields_ask_mechanisms[] = {
	FIELD_STR(struct ask_mechanisms, service, 0, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_mechanisms[] = {
	FIELD_STR(struct mechanisms, words,	0, WORDS_ROOM),
	FIELD_END
};

const struct field fields_authenticate[] = {
	FIELD_INT(struct authenticate, exchange, 1, INT64_MAX),
	FIELD_STR(struct authenticate, mechanism, 1, SHORT_MAX),
	FIELD_BOOL(struct authenticate, has_initial),
	FIELD_BOOL(struct authenticate, is_encrypted),
	FIELD_DATA(struct authenticate, initial, 0, SASL_DATA_MAX),
	FIELD_DATA(struct authenticate, exporter, 0, BINDING_MAX),
	FIELD_DATA(struct authenticate, end_point, 0, BINDING_MAX),
	FIELD_STR(struct authenticate, client_address, 0, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_auth_continue[] = {
	FIELD_INT(struct auth_continue, exchange, 1, INT64_MAX),
	FIELD_DATA(struct auth_continue, response, 0, SASL_DATA_MAX),
	FIELD_END
};

const struct field fields_auth_step[] = {
	FIELD_INT(struct auth_step, result,	0, 16),
	FIELD_DATA(struct auth_step, data,	0, SASL_DATA_MAX),
	FIELD_STR(struct auth_step, user,	0, ADDRESS_MAX),
	FIELD_STR(struct auth_step, text,	0, REPLY_MAX),
	FIELD_END
};

const struct field fields_auth_end[] = {
	FIELD_INT(struct auth_end, exchange,	1, INT64_MAX),
	FIELD_END
};

/* --- resolve ------------------------------------------------------------- */

const struct field fields_ask_sasl[] = {
	FIELD_STR(struct ask_sasl, service,	0, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_ask_token[] = {
	FIELD_STR(struct ask_token, service,	0, NAME_MAX_LEN),
	FIELD_STR(struct ask_token, user,	1, ADDRESS_MAX),
	FIELD_STR(struct ask_token, host,	0, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_token[] = {
	FIELD_INT(struct token, result,		0, LOOKUP_TEMPORARY),
	FIELD_STR(struct token, value,		0, TOKEN_MAX),
	FIELD_STR(struct token, text,		0, REPLY_MAX),
	FIELD_END
};
