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
#include "common/param/param.h"

/* What main.cf says to cleanup. The rows stand in the files that use them. */
struct settings {
	/* main.c */
	int64_t	 sync_threads;
	/* intake.c */
	char	*verp_filter;
	/* headers.c */
	int64_t	 hopcount_limit, header_size_limit;
	bool	 always_add_missing_headers;
	char	*drop_headers, *undisclosed;
	/* alias.c */
	bool	 append_at_myorigin;
	char	*virtual_alias_maps, *always_bcc;
};
extern struct settings set;
extern const struct param intake_params[], header_params[], alias_params[];

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
	bool			 is_finishing;	/* a fiber of its own has it */
	char			 queue_id[QUEUE_ID_MAX + 1];

	struct heading		*heading;	/* headers.c */
	int64_t			 received;	/* content bytes that came in */

	/* write.c: what is not in the file yet; preamble first */
	struct str		 buffer;
	int			 fd;		/* -1: not created */
	int64_t			 in_file;	/* bytes written */
	int64_t			 content_length;
	char			 tail[2];	/* last two content bytes */

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

/* --- headers.c: the message's head made final -------------------------- */

/* Begin the content: Received: and whatever is added in front. */
void		 headers_begin(struct transaction *);
void		 headers_feed(struct transaction *, const void *, size_t);
/* The content is over; the body ends with CRLF. */
void		 headers_finish(struct transaction *);

/* --- complete.c: addresses in local headers ---------------------------- */

/* A header's value with @origin behind every bare local part; NULL when
 * nothing is to be changed or it is not simple enough to be sure. */
char		*complete_header(struct pool *, const char *value, size_t len,
		    const char *origin);

/* --- alias.c: the envelope made final ---------------------------------- */

void		 alias_start(void);
/* Complete sender and recipients, expand virtual aliases, drop duplicates. */
WAITS void	 alias_apply(struct transaction *);
/* Remove rows whose address came before. */
size_t		 alias_unique(struct pool *, struct recipient_row *, size_t);

/* --- write.c: bytes to the file ---------------------------------------- */

void		 write_begin(struct transaction *);
void		 write_content(struct transaction *, const void *, size_t);
/* Envelope and preamble; then everything is in the file. */
void		 write_end(struct transaction *, struct bytes *envelope);
/* Close and remove what there is of the file. */
void		 write_undo(struct transaction *);
/* The refusal for a file system's error. */
void		 write_failed(struct transaction *, const char *what,
		    int error);

/* --- commit.c: after this the message is ours -------------------------- */

void		 commit_start(void);
/* 0 when it is committed and answered with 250; -1 with a refusal noted. */
WAITS int	 commit(struct transaction *);

#endif
