#ifndef IPC_PACKETS_H
#define IPC_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/fields.h"
#include "common/ipc/packets_resolve.h"

/*
 * Every packet there is: its struct here, its table in packets.c. Addresses
 * are in their RFC 5321 form without angle brackets ("" is the null sender).
 * Times are microseconds since 1970 unless they say milliseconds.
 */
enum packet_type {
	PACKET_NONE,

	/* any channel */
	PACKET_HELLO,		/* first packet of who connects */
	PACKET_GOODBYE,		/* no new requests, please; I am leaving */
	PACKET_REFUSED,		/* why a HELLO or request is not served */

	/* master and its daemons */
	PACKET_READY, PACKET_DRAIN, PACKET_RELOAD, PACKET_ASK_STATUS,
	PACKET_STATUS,
	/* postrider and master */
	PACKET_CONTROL, PACKET_CONTROL_LINE, PACKET_CONTROL_DONE,

	/* into cleanup */
	PACKET_MAIL, PACKET_RECIPIENTS, PACKET_CONTENT, PACKET_CREDIT,
	PACKET_ABANDON, PACKET_QUEUED,
	/* sendmail to pickup */
	PACKET_SUBMIT, PACKET_SUBMITTED,
	/* qmgr to pickup */
	PACKET_REQUEUE,		/* SUBMITTED comes back */

	/* into resolve */
	PACKET_ASK_ROUTE, PACKET_ROUTE,
	PACKET_ASK_RECIPIENT, PACKET_RECIPIENT,
	PACKET_ASK_EXPAND, PACKET_EXPANDED,
	PACKET_ASK_LOOKUP, PACKET_FOUND,
	PACKET_ASK_DIAL, PACKET_DIALED,

	/* into dns */
	PACKET_ASK_HOSTS, PACKET_HOSTS,
	PACKET_ASK_REVERSE, PACKET_REVERSE,

	/* into anvil */
	PACKET_ANVIL_CONNECT, PACKET_ANVIL_COUNTS, PACKET_ANVIL_DISCONNECT,
	PACKET_ANVIL_EVENT,

	/* around qmgr */
	PACKET_NEW_MAIL, PACKET_DELIVER, PACKET_OUTCOME,
	PACKET_BOUNCE, PACKET_BOUNCE_ROWS, PACKET_BOUNCED, PACKET_TRANSCRIPT,
	PACKET_FLUSH_SITE, PACKET_FLUSHED,
	PACKET_QUEUE_COMMAND, PACKET_QUEUE_ENTRY, PACKET_QUEUE_DONE,

	/* local, its helper, and the recipient's own process */
	PACKET_BECOME, PACKET_BECAME,
	PACKET_STORE, PACKET_STORED,
	PACKET_READ_FORWARD, PACKET_FORWARD,
	PACKET_RUN, PACKET_RAN,

	/* into keys */
	PACKET_ASK_CERTIFICATES, PACKET_CERTIFICATES,
	PACKET_ASK_SIGNATURE, PACKET_SIGNATURE,
	PACKET_ASK_TICKETS, PACKET_TICKETS,
	/* into auth */
	PACKET_ASK_MECHANISMS, PACKET_MECHANISMS,
	PACKET_AUTHENTICATE, PACKET_AUTH_CONTINUE, PACKET_AUTH_STEP,
	PACKET_AUTH_END,
	/* into resolve, about users */
	PACKET_ASK_SASL,	/* DIALED comes back */
	PACKET_ASK_TOKEN, PACKET_TOKEN, PACKET_ASK_INFLOW, PACKET_INFLOW,
	PACKET_CHANGED,		/* from resolve: what I said holds no more */

	PACKET_TYPES
};

/* Bounds that several packets share. */
enum {
	ADDRESS_MAX = 1024,	/* more than RFC 5321 4.5.3.1 asks, with room */
	QUEUE_ID_MAX = 32,
	REPLY_MAX = 4096,	/* a remote server's reply, kept for the DSN */
	FILTER_MAX = 700,	/* a content filter; its default next hop */
	ROWS_MAX = 1000		/* recipients in one packet */
};

struct hello { char *service; int64_t version; };
enum { IPC_VERSION = 4 };	/* version.c says when another one is due */
struct refused { char *why; };
struct empty { char unused; };			/* GOODBYE READY DRAIN ... */

/* RELOAD: the files of configuration, for those who cannot reach them by name
 * any more; origin is the file that myorigin names, "" when it names none. */
struct reload {
	char	*origin;
	int	 main_cf, master_cf, origin_file;
};

/* STATUS: what a daemon says of itself. */
struct status { int64_t sessions, fibers, requests, malformed; char *note; };

struct control { char *verb; };			/* "status" "reload" ... */
struct control_line { char *text; };
struct control_done { int64_t exit_status; };

/*
 * MAIL opens a transaction in cleanup: its id names the transaction. Then
 * RECIPIENTS while has_more, CONTENT until is_last, all with the same id;
 * cleanup answers the id once with QUEUED, at any time (an early refusal
 * ends it; later packets with that id are ignored). CONTENT is the message
 * as on the wire, CRLF line ends, dots already unstuffed, cut anywhere.
 * A CONTENT with wants_credit is answered by CREDIT; the sender waits for the
 * one before.
 */
struct recipient_row {
	char	*address;	/* where it goes */
	char	*original;	/* as first given, "" when the same */
	char	*orcpt;		/* DSN ORCPT "rfc822;..." decoded, or "" */
	int64_t	 notify;	/* enum dsn_notify bits, 0 when not given */
};
enum mail_flags {
	MAIL_IS_LOCAL = 1,	/* submitted on this host: complete headers */
	MAIL_IS_8BIT = 2,	/* BODY=8BITMIME */
	MAIL_IS_UTF8 = 4,	/* SMTPUTF8 */
	MAIL_NO_EXPAND = 8,	/* do not apply virtual aliases */
	MAIL_IS_BOUNCE = 16,	/* a report of ours */
	MAIL_IS_FORWARD = 32,	/* from local: hop check by Delivered-To */
	MAIL_IS_TRUSTED = 64,	/* written by us, or client of our network */
	MAIL_IS_HELD = 128,	/* new: qmgr moves it from incoming/ to hold/ */
	MAIL_NO_CHECKS = 256,	/* no header_checks and body_checks */
	MAIL_WANTS_TRACE = 512,	/* tell the sender of the first attempt */
	MAIL_IS_PROBE = 1024,	/* tell the sender what would become of it:
				 * nothing is delivered */
	MAIL_IS_GATEWAY = 2048,	/* SUBMIT: passed on by a program, not by its
				 * author: not completed */
	MAIL_IS_AGAIN = 4096,	/* requeued: it comes from the queue; not
				 * kept */
	MAIL_SHOWS_PORT = 8192,	/* client_port is for the log, too */
	/* XFORWARD SOURCE=: whose headers are rewritten as ours are, and
	 * whose are not. cleanup keeps one of them in every file. */
	MAIL_FROM_OURS = 16384, MAIL_FROM_OTHERS = 32768,
	MAIL_HIDES_CLIENT = 65536	/* not in Received */
};
struct mail {
	char			*sender;
	char			*origin;	/* "smtpd" "pickup" "bounce"
						 * "local": who brought it */
	char			*client_name;	/* verified name or "unknown" */
	char			*client_address; /* "" when submitted locally */
	char			*helo;
	char			*protocol;	/* "SMTP" "ESMTP" "" */
	char			*full_name;	/* for a missing From: */
	char			*envelope_id;	/* DSN ENVID decoded, or "" */
	char			*return_what;	/* "" "FULL" "HDRS" */
	char			*login;		/* SASL user or "" */
	char			*extra;		/* trace words for Received
						 * (TLS later), or "" */
	int64_t			 uid;		/* local submission, or -1 */
	int64_t			 flags;		/* enum mail_flags */
	int64_t			 arrival_us;
	int64_t			 size_hint;	/* SIZE=, 0 unknown */
	int64_t			 client_port;	/* 0: none, or unknown */
	char			*forwarded;	/* XFORWARD, where it came
						 * from at first, as origin.h
						 * formats it; "" or NULL */
	char			*verp;		/* VERP: its two delimiters
						 * ("+="), or "" */
	char			*filter;	/* the content filter that all
						 * of it goes to first:
						 * "transport:nexthop"; "" or
						 * NULL for none */
	char			*queue_id;	/* that smtpd has logged, or
						 * NULL: cleanup makes one */
	bool			 has_more;	/* RECIPIENTS follow */
	struct recipient_row	*recipients;
	size_t			 count;
};
struct recipients {
	struct recipient_row	*recipients;
	size_t			 count;
	bool			 has_more;
};
struct content { struct bytes data; bool is_last, wants_credit; };
enum { CONTENT_MAX = 60 * 1024, CREDIT_EVERY = 4 };
struct queued {
	char	*queue_id;	/* "" unless accepted, or refused to smtpd
				 * with a line in the log that says so */
	char	*reply;		/* "250 2.0.0 Ok: queued as ID" */
	int64_t	 code;		/* 250, 4xx, 5xx */
	int64_t	 size;		/* content bytes stored */
};

/* sendmail to pickup: content in `message` (a regular file, any line ends). */
struct submit {
	char			*sender;	/* NULL: the user's own name */
	char			*full_name;
	char			*envelope_id, *return_what, *verp;
	char			*token;		/* tells a repeat */
	int64_t			 flags;		/* SUBMIT_FLAGS */
	struct recipient_row	*recipients;
	size_t			 count;
	int			 message;
};
enum { SUBMIT_FLAGS = MAIL_IS_8BIT | MAIL_IS_UTF8 | MAIL_WANTS_TRACE |
    MAIL_IS_PROBE | MAIL_IS_GATEWAY };
struct submitted { int64_t exit_status; char *queue_id, *text; };

/* qmgr to pickup: bring this message, a file of the queue, to cleanup again,
 * as far as its recipients wait. EX_UNAVAILABLE: it is refused for good, and
 * text is the reply. */
struct requeue { char *queue_id; int message; };

/* Hosts for a domain. Addresses are text ("192.0.2.1", "2001:db8::1"). */
enum hosts_flags {
	HOSTS_WITH_MX = 1, HOSTS_NAMES_ONLY = 2,
	HOSTS_WITH_SRV = 4,	/* name is "_submission._tcp.example.com" */
	/* Where addresses come from (smtp_host_lookup); neither: the file
	 * first, but not for hosts of MX records. */
	HOSTS_FROM_DNS = 8, HOSTS_FROM_FILE = 16
};
struct ask_hosts { char *name; int64_t flags; };
enum hosts_result { HOSTS_OK, HOSTS_NONE, HOSTS_NO_DOMAIN, HOSTS_NULL_MX,
    HOSTS_TEMPORARY };
struct address_row { char *address; };
struct host_row {
	char			*name;
	int64_t			 preference;
	int64_t			 port;		/* of SRV, else 0 */
	int64_t			 result;	/* of its own address lookup */
	struct address_row	*addresses;
	size_t			 count;
};
struct hosts {
	int64_t		 result;
	char		*text;		/* "Host or domain name not ..." */
	bool		 is_secure;	/* DNSSEC validated */
	bool		 had_mx;	/* or SRV; hosts in the order to try */
	int64_t		 ttl;		/* seconds */
	struct host_row	*hosts;
	size_t		 count;
};
struct ask_reverse { char *address; };
/* name: verified (it resolves back) or "unknown"; claimed: as the PTR says. */
struct reverse { int64_t result; char *name, *claimed; };

struct anvil_connect { char *service, *address; };
struct anvil_counts { int64_t connections, rate; };
/* Something else that a client does; rate is how often it did that. */
enum anvil_kind { ANVIL_MESSAGE, ANVIL_RECIPIENT, ANVIL_NEW_TLS, ANVIL_AUTH,
    ANVIL_KINDS };
struct anvil_event {
	char	*service, *address;
	int64_t	 kind;
	bool	 is_question;	/* how often so far; it is not counted */
};

/* cleanup to qmgr, after commit. Posted; a lost one is found by the scan. */
struct new_mail {
	char		*queue_id;
	struct bytes	 envelope;	/* as in the file, or empty: read it */
	int64_t		 content_offset, content_length, envelope_offset;
	int		 message;	/* read-only */
	/* It has no file yet: where it stands (wal.h); -1 it has one. */
	int64_t		 wal, wal_generation, wal_at;
};
/* To cleanup: new messages that were not tried; how many may be open. */
struct inflow { int64_t backlog, limit; };

/* qmgr to a delivery agent. OUTCOME comes back with the id of DELIVER. */
struct deliver_row {
	int64_t	 number;	/* in the envelope, from 0 */
	char	*address;
	char	*original;	/* "" when the same */
	char	*orcpt;
	int64_t	 notify;
};
struct deliver {
	char			*queue_id, *transport, *nexthop, *site;
	char			*sender, *envelope_id, *return_what;
	/* where it came from at first */
	char			*client_name, *client_address, *helo, *protocol,
				*login;
	int64_t			 client_port;		/* 0: none */
	char			*ident;			/* its id there, or "" */
	int64_t			 flags;			/* enum mail_flags */
	int64_t			 arrival_us, active_us;
	int64_t			 content_offset, content_length;
	int64_t			 attempt;		/* from 0 */
	struct deliver_row	*recipients;
	size_t			 count;
	int			 message;
};
enum outcome {
	OUTCOME_SENT, OUTCOME_DEFERRED, OUTCOME_BOUNCED,
	OUTCOME_REROUTED	/* not mine: text is the "transport:nexthop"
				 * that is to take it, in this attempt */
};
enum outcome_flags {
	OUTCOME_SITE_FAILED = 1,	/* no host could be talked to: counts
					 * against the site's window */
	OUTCOME_RELAYED = 2,		/* next hop takes no DSN duties */
	OUTCOME_EXPANDED = 4,		/* alias, forward: goes to several */
	OUTCOME_PASSED_ON = 8		/* next hop, or a message of its own,
					 * has the DSN duties now */
};
struct outcome_row {
	int64_t	 number, outcome, flags;
	char	*dsn;		/* "2.0.0" */
	char	*text;		/* for the log and the report */
	char	*remote;	/* "dns; mx.example.net" or "" */
	char	*diagnostic;	/* "smtp; 550 5.1.1 ..." or "" */
};
struct outcome_packet {
	struct outcome_row	*rows;
	size_t			 count;
	bool			 is_last;	/* the delivery is over */
};

/* qmgr to bounce: BOUNCE, then BOUNCE_ROWS with its id while has_more, in all
 * at most REPORT_ROWS; BOUNCED comes back once. */
enum { REPORT_ROWS = 5000 };
enum bounce_kind { BOUNCE_FAILURE, BOUNCE_DELAY, BOUNCE_SUCCESS,
    BOUNCE_TRACE };
struct bounce_row {
	char	*address, *original, *orcpt;
	int64_t	 outcome;
	int64_t	 flags;			/* enum outcome_flags */
	char	*dsn, *text, *remote, *diagnostic;
	int64_t	 last_attempt_us;
};
struct bounce {
	int64_t			 kind;
	char			*queue_id, *sender, *envelope_id, *return_what;
	char			*received_from;	/* "dns; host", or "" */
	int64_t			 flags, arrival_us;
	int64_t			 content_offset, content_length;
	int64_t			 expires_us;	/* DELAY: will retry until */
	bool			 has_more;	/* BOUNCE_ROWS follow */
	struct bounce_row	*rows;
	size_t			 count;
	int			 message;
};
struct bounce_rows {
	struct bounce_row	*rows;
	size_t			 count;
	bool			 has_more;
};
/* 250, 4xx; queue_id "" with 250: there is nobody to tell. */
struct bounced { int64_t code; char *queue_id, *text; };

/*
 * smtpd and smtp to bounce, which answers BOUNCED: tell the postmaster of a
 * session that went wrong, if notify_classes has the class ("protocol",
 * "resource", "policy", "software").
 */
struct transcript { char *class, *peer, *queue_id, *lines; };

/* smtpd to qmgr: ETRN (RFC 1985). found: messages that will be tried. */
enum flush_result { FLUSH_STARTED, FLUSH_NONE, FLUSH_REFUSED, FLUSH_LATER };
struct flush_site { char *domain; };
struct flushed { int64_t result, count; };

/*
 * postrider queue to qmgr, which answers QUEUE_ENTRY packets under the same
 * id for "list" (several in a row for a message with many recipients), and
 * QUEUE_DONE. What verbs take is told at the head of qmgr/control.c.
 */
struct queue_row { char *id, *text; };
struct queue_command {
	char			*verb, *argument;
	struct queue_row	*rows;		/* messages; none: all */
	size_t			 count;
};
struct queue_recipient { char *address, *original, *reason; };
struct queue_entry {
	char			*queue, *queue_id, *sender;
	int64_t			 size, arrival_us, next_try_us;
	bool			 is_expired;
	struct queue_recipient	*recipients;
	size_t			 count;
};
struct queue_done {
	int64_t			 exit_status;
	int64_t			 changed;	/* messages */
	char			*text;		/* why nothing was done */
	struct queue_row	*rows;		/* ids; why not those */
	size_t			 count;
	struct queue_row	*changes;	/* ids; what was done to them,
						 * "placed on hold" */
	size_t			 change_count;
};

/* local to helper: a channel to a process that runs as this user. */
enum become_kind {
	BECOME_USER,		/* a recipient, by name; with his mailbox */
	BECOME_DEFAULT,		/* whom default_privs names */
	BECOME_OWNER,		/* the user with this uid */
	BECOME_VIRTUAL,		/* uid and gid that no user needs to have */
	BECOME_PIPE		/* a user by name; gid: -1 is his own */
};
/* root: what his commands have for "/", or NULL. */
struct become { int64_t kind; char *user; int64_t uid, gid; char *root; };
struct became {
	int64_t	 result;	/* enum route_result */
	char	*text;
	char	*home, *user, *shell;
	int64_t	 uid, gid;
	int	 channel;	/* -1 unless OK */
};
/* local to that process. Paths: absolute, or below the home. */
enum store_kind { STORE_MBOX, STORE_MAILDIR };
enum store_flags {
	STORE_ANY_OWNER = 1,	/* the mbox may be somebody else's */
	STORE_TO_FILE = 2,	/* a file that an alias names */
	STORE_NOTIFIES = 4	/* comsat(8) is told */
};
/* How an mbox is locked: up to LOCKS_MAX of these in the order of the bits,
 * LOCK_BITS for each; then LOCK_NONE. */
enum lock_method { LOCK_NONE, LOCK_FCNTL, LOCK_FLOCK, LOCK_DOTLOCK };
enum { LOCK_BITS = 2, LOCKS_MAX = 3 };
struct word_row { char *word; };
struct store {
	int64_t	 kind, flags;
	char	*path;
	char	*queue_id;
	char	*head;		/* Return-Path: ... with LF ends */
	char	*from_line;	/* mbox: "From sender date", without LF */
	int64_t	 content_offset, content_length, size_limit;
	int64_t	 locks, lock_attempts;
	int64_t	 lock_delay, stale_time;	/* milliseconds */
	struct word_row	*unless;	/* one of these files is there */
	size_t	 files;
	int	 message;
};
/* outcome: OUTCOME_REROUTED when one of the files is there, or nobody knows
 * whether it is; then nothing was stored. */
struct stored { int64_t outcome; char *dsn, *text; };
/* A .forward, or a file that :include: names: the part behind `offset`, and
 * a stamp that changes with the file. */
enum read_kind { READ_IS_FORWARD, READ_IS_INCLUDE };
struct read_forward { int64_t kind; char *path; int64_t offset; };
struct forward {
	int64_t		 result;
	struct bytes	 data;
	int64_t		 owner, size, stamp;
	char		*text;
};
/* A command with the message on its standard input. */
enum run_flags { RUN_QUOTES_FROM = 1, RUN_QUOTES_DOT = 2, RUN_ADDS_LINE = 4 };
struct run {
	char		*queue_id;
	char		*directory;	/* "": where the process is */
	struct word_row	*words, *environment;
	size_t		 count, variables;
	char		*head;		/* with LF ends */
	char		*eol;
	int64_t		 flags, time_limit;	/* milliseconds */
	int64_t		 content_offset, content_length;
	int		 message;
};
enum run_result { RUN_EXITED, RUN_SIGNALED, RUN_TIMED_OUT, RUN_FAILED };
/* status: of the exit, or the signal. text: why FAILED, else some of what the
 * command said. */
struct ran { int64_t result, status; char *text; };

/*
 * What the keys process says. service: the asker's line of master.cf,
 * "smtp/inet"; program: "smtpd" "smtp" "lmtp"; name: "" or that of SNI. A
 * chain is its certificates in DER, one behind the other. A key's id is the
 * SHA-256 of its public key (SubjectPublicKeyInfo).
 */
struct ask_certificates { char *service, *program, *name; };
struct chain_row { struct bytes der; };
struct certificates {
	bool			 is_there;
	int64_t			 generation;
	struct chain_row	*chains;
	size_t			 count;
};
enum { SIGN_MESSAGE_MAX = 60 * 1024 };	/* a handshake of TLS 1.2 */
struct ask_signature {
	struct bytes	 key;		/* 32 bytes */
	char		*digest;	/* "SHA256"; "" for Ed25519 */
	bool		 is_pss;
	int64_t		 salt_length;
	struct bytes	 message;
};
struct signature { struct bytes data; char *text; };	/* text: why not */
struct ask_tickets { char *service; int64_t lifetime; };	/* seconds */
struct ticket_row {
	struct bytes	 name, secret, mac;
	int64_t		 fresh_until, valid_until;	/* wall ms */
};
struct ticket_keys { struct ticket_row *rows; size_t count; };

/*
 * AUTH with our own auth process. An exchange is named by its number, unlike
 * any other on this channel; AUTH_STEP answers each AUTHENTICATE and
 * AUTH_CONTINUE. Data is not base64 here. Its packets are wiped by who made
 * and who read them.
 */
struct ask_mechanisms { char *service; };
struct mechanisms { char *words; };	/* "PLAIN LOGIN SCRAM-SHA-256" */
struct authenticate {
	int64_t		 exchange;
	char		*mechanism;
	bool		 has_initial, is_encrypted;
	struct bytes	 initial, exporter, end_point;
	char		*client_address;
};
struct auth_continue { int64_t exchange; struct bytes response; };
struct auth_step {
	int64_t		 result;	/* enum sasl_result */
	struct bytes	 data;		/* challenge; with OK: for the client */
	char		*user, *text;	/* who it is, or tried to be; why */
};
struct auth_end { int64_t exchange; };
enum { SASL_DATA_MAX = 12288 };		/* RFC 4954 4 */

/* The socket of smtpd_sasl_path, for the service of master.cf that asks. */
struct ask_sasl { char *service; };
/* A token for this user at this host, by smtp_sasl_oauth_token_command. */
struct ask_token { char *service, *user, *host; };
struct token { int64_t result; char *value, *text; };	/* LOOKUP_... */

#endif
