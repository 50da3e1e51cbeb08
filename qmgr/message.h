#ifndef QMGR_MESSAGE_H
#define QMGR_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/queue/queue.h"
#include "qmgr/schedule.h"

/* What has become of a recipient in this attempt. */
enum work_state {
	WORK_WAITING,		/* no outcome yet */
	WORK_SENT, WORK_FAILED, WORK_DEFERRED,
	WORK_UNTOLD,		/* sent; the sender is still to be told */
	WORK_OWED,		/* failed; likewise, at another time */
	WORK_WITHDRAWN,		/* somebody wants the message back */
	WORK_OVER		/* crossed off before this attempt */
};

struct reason {
	int64_t	 flags, when_us;
	char	*dsn, *text, *remote, *diagnostic;
};

struct work {
	unsigned char	 state;
	bool		 is_news;	/* the reason is not in the journal */
	bool		 was_tried;	/* in this attempt */
	uint8_t		 reroutes;	/* in this attempt */
	uint16_t	 transport;	/* its index; 0: not known yet */
	char		*address;	/* where to; NULL: the envelope's */
	struct reason	*reason;	/* of the last failure, or NULL */
};

/* What an administrator wants done with an open message. */
enum fate {
	FATE_NONE, FATE_GONE, FATE_HOLD, FATE_EXPIRE,
	FATE_AGAIN,		/* tried again at once */
	FATE_REQUEUE		/* brought to cleanup again: renew.c */
};

/*
 * An open message. It lives until nobody holds it and no recipient waits for
 * an outcome; then outcome.c settles it.
 */
struct message {
	RB_ENTRY(message)	 entry;
	TAILQ_ENTRY(message)	 asking;	/* route.c */
	TAILQ_ENTRY(message)	 dirty;		/* sync.c */
	TAILQ_ENTRY(message)	 unfiled, filing;	/* unfiled.c */
	char			 id[QUEUE_ID_MAX + 1];
	enum queue_dir		 dir;
	struct pool		*pool;
	struct envelope		 envelope;
	struct queue_layout	 layout;
	struct work		*work;
	RB_HEAD(jobs, job)	 jobs;
	int			 fd;		/* read-only, or -1 */
	unsigned		 holds;
	size_t			 open;		/* WORK_WAITING */
	size_t			 next, asked;	/* route.c */
	int64_t			 active_us;
	int64_t			 journal_end;
	unsigned		 attempt, deaths;
	unsigned		 last_death;	/* counted: dispatch.c */
	struct reason		*last_reason;	/* to share texts with */
	bool			 was_warned, is_warned_now;
	bool			 is_asking, is_dirty, is_settling;
	bool			 is_put_off;	/* a report waits: storm.c */
	enum fate		 fate;
	struct share		 share;		/* schedule.c */
	bool			 is_flushed;	/* defer_transports or not */
	struct held_log		*log;		/* unfiled.c; NULL: a file */
	int64_t			 log_at, unfiled_since;
	bool			 is_filing, is_to_file, is_in_memory;
	bool			 is_unfilable;	/* the disk said so last */
	uint32_t		*crossing;	/* bytes to overwrite */
	size_t			 crossing_count, crossing_room;
};

/* Before the first message: how many files may stay open. */
void		 message_prepare(void);

struct message	*message_find(const char *id);
struct message	*message_next(struct message *);	/* NULL: the first */
struct message	*message_after(const char *id);		/* "": the first */
size_t		 message_count(void);
/* Recipients of all open messages, of one as many as 10000 at most. */
size_t		 message_recipients(void);

/* From cleanup's packet, whose descriptor it takes; NULL if it must be read
 * from its file (the descriptor is closed). */
struct message	*message_from_packet(const struct new_mail *);

/* From its file. */
enum opened { OPENED, OPENED_GONE, OPENED_BUSY, OPENED_LATER };
enum opened	 message_open(const char *id, enum queue_dir,
		    struct message **);

/* May one more descriptor stay open? */
bool		 message_may_keep(void);

/* A read-only descriptor that stays the message's; -1 with errno. When it has
 * been handed over it may be closed, if many are open. */
int		 message_fd(struct message *);
void		 message_let_fd(struct message *);
/* Close it: the file has another one. Not while it is being handed over. */
void		 message_drop_fd(struct message *);
/* Forget it. Its file is as it is. */
void		 message_close(struct message *);

/* The job for what goes to this next hop of this site; made if need be. */
struct job	*message_job(struct message *, struct destination *,
		    const char *nexthop);

struct job	*message_next_job(struct message *, struct job *);

/* Where a recipient's mail is delivered to, and what it was called before. */
const char	*message_address(const struct message *, size_t number);
const char	*message_original(const struct message *, size_t number);

/* Keep why a recipient's delivery failed. Texts are shared with the reason that
 * was kept before: a site that does not answer says the same of thousands. */
struct reason	*message_reason(struct message *, size_t number,
		    const char *dsn, const char *text, const char *remote,
		    const char *diagnostic);

/* The byte of a recipient that is to be crossed off. */
char		 message_status(const struct message *, size_t number);

#endif
