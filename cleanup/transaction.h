#ifndef CLEANUP_TRANSACTION_H
#define CLEANUP_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"
#include "common/mail/header.h"
#include "common/param/param.h"

#include "cleanup/stray.h"

/* What main.cf says to cleanup. The rows stand in the files that use them. */
struct settings {
	/* main.c */
	int64_t	 sync_threads;
	/* intake.c, sevenbit.c */
	char	*verp_filter;
	bool	 replaces_stray, forces_7bit;
	/* headers.c */
	int64_t	 hopcount_limit, header_size_limit;
	bool	 always_add_missing_headers, detects_8bit;
	char	*drop_headers, *undisclosed, *remote_domain, *from_format,
		*mail_name;
	/* canonical.c */
	bool	 append_at_myorigin, append_dot_mydomain;
	char	*propagate;
	char	*canonical_classes, *sender_canonical_classes,
		*recipient_canonical_classes, *masquerade_classes;
	char	*masquerade_domains;
	/* inspect.c, checks.c */
	int64_t	 mime_nesting_limit, mime_boundary_length_limit,
		 body_checks_size_limit;
	bool	 disable_mime, strict_encoding, strict_7bit_headers,
		 strict_8bitmime, strict_8bitmime_body;
	char	*internal_classes, *strip_characters, *reject_characters;
	/* alias.c, copies.c */
	char	*virtual_alias_maps, *always_bcc;
	bool	 keeps_originals;
};
extern struct settings set;
extern const struct param intake_params[], sevenbit_params[],
	header_params[], alias_params[], copies_params[];

/*
 * A message on its way into a queue file. It begins with PACKET_MAIL and ends
 * with its one answer; everything in it lives in its pool.
 */
struct transaction {
	RB_ENTRY(transaction)	 entry;
	struct channel		*channel;	/* held */
	uint64_t		 id;
	int64_t			 touched;	/* when its last packet came */
	struct pool		*pool;

	struct mail		 mail;
	struct recipient_row	*rows;
	size_t			 count, room;
	struct recipient_row	*aliases;	/* alias.c: to be reported */
	size_t			 alias_count, alias_room;
	bool			 expects_recipients;
	bool			 is_again;	/* requeued, not new */
	bool			 is_finishing;	/* a fiber of its own has it */
	struct inbox		*inbox;		/* inbox.c has it */
	struct sevenbit		*kept;		/* sevenbit.c has it */
	struct stray		 stray;
	char			 queue_id[QUEUE_ID_MAX + 1];

	struct heading		*heading;	/* headers.c */

	/* actions.c: what tables of checks want */
	bool			 is_discarded, is_passed;
	bool			 is_logged;	/* that it is refused */
	char			*redirect;	/* an address, or NULL */
	char			**copies;	/* addresses: BCC */
	size_t			 copy_count, copy_room;

	int64_t			 received;	/* content bytes that came in */
	int64_t			 looked;	/* room.c: of those, then */
	int64_t			 kept_bytes, kept_inodes;	/* room.c */

	/* write.c: what is not in the file yet; preamble first */
	struct str		 buffer;
	int			 fd;		/* -1: not created */
	int64_t			 in_file;	/* bytes written */
	int64_t			 content_length;
	char			 tail[2];	/* last two content bytes */
	bool			 is_long;	/* the buffer, for a log */
	bool			 has_utf8_head;	/* unicode.c */

	int			 code;		/* of the refusal; 0 is well */
	const char		*refusal;
};

/* --- intake.c: packets to transactions --------------------------------- */

void		 on_mail(struct request *);
void		 on_recipients(struct request *);
void		 on_content(struct request *);
void		 on_abandon(struct request *);
unsigned	 transaction_count(void);
/* The fiber that ends transactions whose channel or sender has died. */
WAITS void	 transaction_sweep(void *);
/* Note why it cannot be accepted; the first reason stays. */
void		 transaction_refuse(struct transaction *, int code,
		    const char *reply);
/* Answer one that was refused; it is gone then. */
void		 transaction_answer_refused(struct transaction *);
/* It is gone without an answer; a file that is not committed goes with it. */
void		 transaction_forget(struct transaction *);
/* Everything has come: make the envelope final, commit, answer. */
WAITS void	 transaction_finish(struct transaction *);

/* --- inbox.c: content that has to wait for answers ---------------------- */

/* Give the transaction a fiber of its own, from its first content on. */
void		 inbox_open(struct transaction *);
/* A piece of content for it. */
void		 inbox_put(struct transaction *, const struct content *);
/* Let the fiber see that the transaction is refused, or is to be forgotten:
 * nobody else ends it. */
void		 inbox_wake(struct transaction *, bool is_abandoned);

/* --- headers.c: the message's head made final -------------------------- */

/* Will the content of this message have questions to wait for? If not, none of
 * the functions below waits. */
bool		 headers_wait(const struct transaction *);
/* Begin the content: Received: and whatever is added in front. */
WAITS void	 headers_begin(struct transaction *);
/* The bytes may be changed if headers_wait(). */
WAITS void	 headers_feed(struct transaction *, void *, size_t);
/* The content is over; the body ends with CRLF. */
WAITS void	 headers_finish(struct transaction *);
/* For inspect.c: a field of the head; what follows of one that is cut; the
 * head is over. */
WAITS void	 headers_field(struct transaction *,
		    const struct header_field *);
void		 headers_more(struct transaction *, const char *, size_t);
/* Log the message's first field, of any header, that is cut. */
void		 headers_tell_cut(struct transaction *,
		    const struct header_field *);
void		 headers_end(struct transaction *);

/* --- alias.c: the envelope made final ---------------------------------- */

/* Make recipients final: addresses, copies, virtual aliases, duplicates. */
WAITS void	 alias_apply(struct transaction *);
/* Remove rows whose address came before. */
size_t		 alias_unique(struct pool *, struct recipient_row *, size_t);

/* --- copies.c: recipients that nobody named ---------------------------- */

/* Add who gets a copy, by always_bcc, sender_bcc_maps, recipient_bcc_maps and
 * the BCC of checks. 0, or -1 with the refusal noted. */
WAITS int	 copies_add(struct transaction *);

/* --- write.c: bytes to the file ---------------------------------------- */

void		 write_begin(struct transaction *);
void		 write_content(struct transaction *, const void *, size_t);
/* Envelope and preamble; then everything is in the file, or, of a small
 * message, in the buffer. */
void		 write_end(struct transaction *, struct bytes *envelope);
/* What is in the buffer: into the file. 0, or -1 with a refusal noted. */
int		 write_rest(struct transaction *);
/* Close and remove what there is of the file. */
void		 write_undo(struct transaction *);
/* The refusal for a file system's error. */
void		 write_failed(struct transaction *, const char *what,
		    int error);

/* --- commit.c: after this the message is ours -------------------------- */

void		 commit_before(void);
void		 commit_start(void);
/* 0 when it is committed and answered with 250; -1 with a refusal noted. */
WAITS int	 commit(struct transaction *);

#endif
