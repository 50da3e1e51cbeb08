#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/daemon/agent.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "common/param/param.h"

#include "local/macro.h"

extern const struct param	recipient_params[], reroute_params[],
				shell_params[], expand_params[],
				forward_params[], errand_params[],
				virtual_params[], pipe_params[],
				alias_params[], nested_params[],
				outcome_params[];
extern struct link		*to_resolve, *to_helper, *to_cleanup;

/* One message, as long as its recipients are worked on, one by one. */
struct delivery {
	struct pool	*pool;
	struct deliver	*mail;
	struct request	*request;
	bool		 is_trail_read;		/* loops.c */
	char		**trail;
	size_t		 trail_count;
};

/* One recipient. Deliveries to it add up to one outcome. */
struct addressee {
	struct delivery		*delivery;
	struct deliver_row	*row;
	struct outcome_row	*outcome;
	struct agent_times	 times;
	char			*sender;	/* of this copy */
	char			*name;		/* local part, lower case */
	char			*user;		/* without the extension */
	char			*extension;	/* or NULL */
	char			*domain;	/* "" when there is none */
};
enum { OUTCOME_OPEN = -1 };

/* What one delivery comes to. */
struct verdict {
	enum outcome	 outcome;
	int64_t		 flags;		/* enum outcome_flags */
	const char	*dsn, *text;
};

/* outcome.c: an addressee for this row, nothing decided yet. */
void		 addressee_open(struct addressee *, struct delivery *,
		    struct deliver_row *, struct outcome_row *);
/* How much of a local part is the user. */
size_t		 addressee_user_length(const char *name);
/* Log what happened and add it to the recipient's outcome: deferred
 * outweighs rerouted outweighs bounced outweighs sent. -1 unless it is sent
 * or rerouted; the latter is not logged. */
WAITS int	 addressee_settle(struct addressee *, enum outcome,
		    int64_t flags, const char *dsn, const char *format, ...)
		    __attribute__((format(printf, 5, 6)));
WAITS int	 addressee_accept(struct addressee *, const struct verdict *);
bool		 addressee_is_deferred(const struct addressee *);
/* Does qmgr still wait for this delivery? */
bool		 is_asked(const struct delivery *);
/* The end of a question to another daemon. */
int64_t		 local_deadline(void);

/* recipient.c: everything for one recipient; its outcome is set then. */
WAITS void	 recipient_deliver(struct addressee *);
/* Into the mailbox of this user, after his .forward if `asks_forward`.
 * 0 when sent, -1 when not; settled in either case. */
WAITS int	 recipient_to_user(struct addressee *, const char *user,
		    bool asks_forward);

/* deposit.c: what stands in front of a copy, with LF line ends: Return-Path:,
 * X-Original-To:, Delivered-To:; and "From SENDER DATE" without line end. */
enum head_fields { HEAD_RETURN_PATH = 1, HEAD_ORIGINAL = 2,
    HEAD_DELIVERED = 4, HEAD_ALL = 7 };
char		*head_make(struct addressee *, unsigned fields);
char		*head_from_line(struct addressee *);
/* Have this user's process store the message; `sent` is the text when that is
 * done, NULL the process's own. Settled; but 1, and nothing is, when one of
 * the files `unless` may be there. */
struct home;
struct deposit {
	char		*path;
	int64_t		 flags, size_limit;	/* enum store_flags */
	unsigned	 head;
	const char	*sent;
	struct word_row	*unless;
	size_t		 files;
};
WAITS int	 deposit(struct addressee *, struct home *,
		    const struct deposit *);

/* loops.c: has the message been delivered to this address before? -1 with
 * errno when it cannot be read. The second settles if it has. */
int		 loops_find(struct delivery *, const char *address);
WAITS bool	 loops_is_one(struct addressee *);

/* lookup.c: what the tables of this parameter say of the first key that they
 * have: 1 with the answer, 0, or -1: nobody knows now. */
WAITS int	 look_up(struct addressee *, const char *parameter,
		    struct key_row *, size_t count, struct found *);
/* The same for all keys of the recipient's address. */
WAITS int	 look_up_recipient(struct addressee *, const char *parameter,
		    struct found *);
/* What holds for a user: *value, which holds for all, unless the tables of the
 * parameter, `maps`, say something else. 1, 0 when it is empty, -1: settled. */
WAITS int	 look_up_user(struct addressee *, const char *parameter,
		    const char *maps, const char *user, char **value);

/* reroute.c: is another transport to deliver to this user's mailbox, or to
 * somebody whom nobody knows? 1: yes, and it is settled; 0: no; -1: settled,
 * not sent. */
WAITS int	 reroute_mailbox(struct addressee *, const char *user);
WAITS int	 reroute_unknown(struct addressee *, const char *user);
bool		 reroute_may_mailbox(void);

/* alias.c: once, at the start; then: is there an alias? 1: yes, and it is
 * settled; 0: no; -1: settled because nobody knows. */
void		 alias_prepare(void);
WAITS int	 alias_deliver(struct addressee *);

/* forward.c: the same for the user's .forward; and the files that would be
 * one, or -1: settled. */
WAITS int	 forward_deliver(struct addressee *, struct home *);
WAITS int	 forward_files(struct addressee *, struct home *,
		    struct word_row **, size_t *count);

/* shell.c: the names that settings of local may use, of the user if there is
 * one; the user's mailbox_command: 1 if there is one, it is settled, 0 if
 * not, -1 settled and not sent; a command from anywhere, run by this process:
 * settled. */
struct macro	*shell_macros(struct addressee *, const struct home *);
WAITS int	 shell_mailbox(struct addressee *, struct home *);
bool		 shell_may_mailbox(void);
WAITS int	 shell_deliver(struct addressee *, struct home *,
		    const char *command);
bool		 shell_wants_delivered(const char *context);
/* The environment that export_environment asks for, and PATH. */
struct word_row	*shell_exported(struct pool *, size_t room, size_t *count);
extern int64_t	 shell_time_limit, mailbox_size_limit;

/* virtual.c, pipe.c: the same for the services of these names. */
WAITS void	 virtual_deliver(struct addressee *);
WAITS void	 pipe_deliver(struct delivery *, struct outcome_row *);
void		 pipe_prepare(void);

#endif
