/*
 * tables_queue.c - the tables of packets between qmgr, its agents, and those
 * who report or command.
 */
#include "common/ipc/tables.h"

#include "common/ipc/packets.h"

/* --- qmgr ---------------------------------------------------------------- */

const struct field fields_inflow[] = {
	FIELD_INT(struct inflow, backlog,	0, INT64_MAX),
	FIELD_INT(struct inflow, limit,		0, INT64_MAX),
	FIELD_END
};

const struct field fields_new_mail[] = {
	FIELD_STR(struct new_mail, queue_id,	1, QUEUE_ID_MAX),
	FIELD_DATA(struct new_mail, envelope,	0, CONTENT_MAX),
	FIELD_INT(struct new_mail, content_offset, 0, SIZE_LIMIT),
	FIELD_INT(struct new_mail, content_length, 0, SIZE_LIMIT),
	FIELD_INT(struct new_mail, envelope_offset, 0, SIZE_LIMIT),
	FIELD_OPT_FD(struct new_mail, message),
	FIELD_INT(struct new_mail, wal,		-1, 63),
	FIELD_INT(struct new_mail, wal_generation, 0, INT64_MAX),
	FIELD_INT(struct new_mail, wal_at,	0, SIZE_LIMIT),
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

const struct field fields_deliver[] = {
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
	FIELD_INT(struct deliver, client_port,	0, 65535),
	FIELD_STR(struct deliver, ident,	0, SHORT_MAX),
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
	FIELD_INT(struct outcome_row, outcome,	0, OUTCOME_REROUTED),
	FIELD_INT(struct outcome_row, flags,	0, FLAGS_MAX),
	FIELD_STR(struct outcome_row, dsn,	0, DSN_MAX),
	FIELD_STR(struct outcome_row, text,	0, REPLY_MAX),
	FIELD_STR(struct outcome_row, remote,	0, ADDRESS_MAX),
	FIELD_STR(struct outcome_row, diagnostic, 0, REPLY_MAX),
	FIELD_END
};

const struct field fields_outcome_packet[] = {
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

const struct field fields_bounce[] = {
	FIELD_INT(struct bounce, kind,		0, BOUNCE_TRACE),
	FIELD_STR(struct bounce, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct bounce, sender,	0, ADDRESS_MAX),
	FIELD_STR(struct bounce, envelope_id,	0, NAME_MAX_LEN),
	FIELD_STR(struct bounce, return_what,	0, SHORT_MAX),
	FIELD_STR(struct bounce, received_from,	0, ADDRESS_MAX),
	FIELD_INT(struct bounce, flags,		0, FLAGS_MAX),
	FIELD_INT(struct bounce, arrival_us,	0, TIME_MAX),
	FIELD_INT(struct bounce, content_offset, 0, SIZE_LIMIT),
	FIELD_INT(struct bounce, content_length, 0, SIZE_LIMIT),
	FIELD_INT(struct bounce, expires_us,	0, TIME_MAX),
	FIELD_BOOL(struct bounce, has_more),
	FIELD_LIST(struct bounce, rows, count, ROWS_MAX, bounce_row,
	    struct bounce_row),
	FIELD_FD(struct bounce, message),
	FIELD_END
};

const struct field fields_bounce_rows[] = {
	FIELD_LIST(struct bounce_rows, rows, count, ROWS_MAX, bounce_row,
	    struct bounce_row),
	FIELD_BOOL(struct bounce_rows, has_more),
	FIELD_END
};

const struct field fields_bounced[] = {
	FIELD_INT(struct bounced, code,		200, 599),
	FIELD_STR(struct bounced, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct bounced, text,		0, REPLY_MAX),
	FIELD_END
};

const struct field fields_transcript[] = {
	FIELD_STR(struct transcript, class,	1, SHORT_MAX),
	FIELD_STR(struct transcript, peer,	0, NAME_MAX_LEN),
	FIELD_STR(struct transcript, queue_id,	0, QUEUE_ID_MAX),
	FIELD_STR(struct transcript, lines,	0, VALUE_MAX),
	FIELD_END
};

const struct field fields_flush_site[] = {
	FIELD_STR(struct flush_site, domain,	1, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_flushed[] = {
	FIELD_INT(struct flushed, result,	0, FLUSH_LATER),
	FIELD_INT(struct flushed, count,	0, INT64_MAX),
	FIELD_END
};

static const struct field queue_row[] = {
	FIELD_STR(struct queue_row, id,		1, QUEUE_ID_MAX),
	FIELD_STR(struct queue_row, text,	0, NAME_MAX_LEN),
	FIELD_END
};

const struct field fields_queue_command[] = {
	FIELD_STR(struct queue_command, verb,	1, SHORT_MAX),
	FIELD_STR(struct queue_command, argument, 0, ADDRESS_MAX),
	FIELD_LIST(struct queue_command, rows, count, ROWS_MAX, queue_row,
	    struct queue_row),
	FIELD_END
};

static const struct field queue_recipient[] = {
	FIELD_STR(struct queue_recipient, address, 0, ADDRESS_MAX),
	FIELD_STR(struct queue_recipient, original, 0, ADDRESS_MAX),
	FIELD_STR(struct queue_recipient, reason, 0, REPLY_MAX),
	FIELD_END
};

const struct field fields_queue_entry[] = {
	FIELD_STR(struct queue_entry, queue,	1, SHORT_MAX),
	FIELD_STR(struct queue_entry, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct queue_entry, sender,	0, ADDRESS_MAX),
	FIELD_INT(struct queue_entry, size,	0, SIZE_LIMIT),
	FIELD_INT(struct queue_entry, arrival_us, 0, TIME_MAX),
	FIELD_INT(struct queue_entry, next_try_us, 0, TIME_MAX),
	FIELD_BOOL(struct queue_entry, is_expired),
	FIELD_LIST(struct queue_entry, recipients, count, ROWS_MAX,
	    queue_recipient, struct queue_recipient),
	FIELD_END
};

const struct field fields_queue_done[] = {
	FIELD_INT(struct queue_done, exit_status, 0, 255),
	FIELD_INT(struct queue_done, changed,	0, INT64_MAX),
	FIELD_STR(struct queue_done, text,	0, REPLY_MAX),
	FIELD_LIST(struct queue_done, rows, count, ROWS_MAX, queue_row,
	    struct queue_row),
	FIELD_LIST(struct queue_done, changes, change_count, ROWS_MAX,
	    queue_row, struct queue_row),
	FIELD_END
};

/* --- local --------------------------------------------------------------- */

const struct field fields_become[] = {
	FIELD_INT(struct become, kind,		0, BECOME_PIPE),
	FIELD_STR(struct become, user,		0, NAME_MAX_LEN),
	FIELD_INT(struct become, uid,		-1, UINT32_MAX),
	FIELD_INT(struct become, gid,		-1, UINT32_MAX),
	FIELD_OPT(struct become, root,		PATH_MAX_LEN),
	FIELD_END
};

const struct field fields_became[] = {
	FIELD_INT(struct became, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_STR(struct became, text,		0, REPLY_MAX),
	FIELD_STR(struct became, home,		0, PATH_MAX_LEN),
	FIELD_STR(struct became, user,		0, NAME_MAX_LEN),
	FIELD_STR(struct became, shell,		0, PATH_MAX_LEN),
	FIELD_INT(struct became, uid,		-1, UINT32_MAX),
	FIELD_INT(struct became, gid,		-1, UINT32_MAX),
	FIELD_OPT_FD(struct became, channel),
	FIELD_END
};

static const struct field word_row[] = {
	FIELD_STR(struct word_row, word,	0, VALUE_MAX),
	FIELD_END
};

const struct field fields_store[] = {
	FIELD_INT(struct store, kind,		0, STORE_MAILDIR),
	FIELD_INT(struct store, flags,		0, FLAGS_MAX),
	FIELD_STR(struct store, path,		1, PATH_MAX_LEN),
	FIELD_STR(struct store, queue_id,	1, QUEUE_ID_MAX),
	FIELD_STR(struct store, head,		0, HEAD_MAX),
	FIELD_STR(struct store, from_line,	0, 2 * ADDRESS_MAX),
	FIELD_INT(struct store, content_offset,	0, SIZE_LIMIT),
	FIELD_INT(struct store, content_length,	0, SIZE_LIMIT),
	FIELD_INT(struct store, size_limit,	0, SIZE_LIMIT),
	FIELD_INT(struct store, locks,		0,
	    (1 << LOCK_BITS * LOCKS_MAX) - 1),
	FIELD_INT(struct store, lock_attempts,	0, OFFSET_MAX),
	FIELD_INT(struct store, lock_delay,	0, TIME_MAX),
	FIELD_INT(struct store, stale_time,	0, TIME_MAX),
	FIELD_LIST(struct store, unless, files,	WORDS_MAX, word_row,
	    struct word_row),
	FIELD_FD(struct store, message),
	FIELD_END
};

const struct field fields_stored[] = {
	FIELD_INT(struct stored, outcome,	0, OUTCOME_REROUTED),
	FIELD_STR(struct stored, dsn,		0, DSN_MAX),
	FIELD_STR(struct stored, text,		0, REPLY_MAX),
	FIELD_END
};

const struct field fields_read_forward[] = {
	FIELD_INT(struct read_forward, kind,	0, READ_IS_INCLUDE),
	FIELD_STR(struct read_forward, path,	1, PATH_MAX_LEN),
	FIELD_INT(struct read_forward, offset,	0, SIZE_LIMIT),
	FIELD_END
};

const struct field fields_forward[] = {
	FIELD_INT(struct forward, result,	0, ROUTE_IMPOSSIBLE),
	FIELD_DATA(struct forward, data,	0, CONTENT_MAX),
	FIELD_INT(struct forward, owner,	-1, UINT32_MAX),
	FIELD_INT(struct forward, size,		0, SIZE_LIMIT),
	FIELD_INT(struct forward, stamp,	INT64_MIN, INT64_MAX),
	FIELD_STR(struct forward, text,		0, REPLY_MAX),
	FIELD_END
};

const struct field fields_run[] = {
	FIELD_STR(struct run, queue_id,		1, QUEUE_ID_MAX),
	FIELD_STR(struct run, directory,	0, PATH_MAX_LEN),
	FIELD_LIST(struct run, words, count,	WORDS_MAX, word_row,
	    struct word_row),
	FIELD_LIST(struct run, environment, variables, WORDS_MAX, word_row,
	    struct word_row),
	FIELD_STR(struct run, head,		0, HEAD_MAX),
	FIELD_STR(struct run, eol,		0, SHORT_MAX),
	FIELD_INT(struct run, flags,		0, FLAGS_MAX),
	FIELD_INT(struct run, time_limit,	1, TIME_MAX),
	FIELD_INT(struct run, content_offset,	0, SIZE_LIMIT),
	FIELD_INT(struct run, content_length,	0, SIZE_LIMIT),
	FIELD_FD(struct run, message),
	FIELD_END
};

const struct field fields_ran[] = {
	FIELD_INT(struct ran, result,		0, RUN_FAILED),
	FIELD_INT(struct ran, status,		0, 255),
	FIELD_STR(struct ran, text,		0, REPLY_MAX),
	FIELD_END
};
