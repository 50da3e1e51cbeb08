#ifndef IPC_INSIDE_H
#define IPC_INSIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/fiber/loop.h"
#include "common/fiber/queue.h"
#include "common/ipc/channel.h"

/*
 * What the files of this directory tell each other; nobody else includes it.
 * channel.c hears what receive.c receives, send.c sends, exchange.c matches
 * replies, admit.c says how much one of them may take, version.c what it may
 * be.
 */
enum {
	CHANNEL_NAME_SIZE = 256,
	REQUESTS_MAX = 5000,		/* handlers at once, one channel */
	KEPT_MAX = 8 * 1024 * 1024	/* unsent bytes, one channel */
};

/* A packet that waits for room, with descriptors of its own. */
struct kept {
	STAILQ_ENTRY(kept)	 next;
	size_t			 len, nfds;
	int			 fds[PACKET_FDS];
	char			 data[];
};

struct exchange {
	RB_ENTRY(exchange)	 entry;
	struct channel		*channel;
	uint64_t		 id;
	unsigned		 reply_type;
	void			*reply;
	struct pool		*pool;
	struct fiber_queue	 waiting;
	unsigned		 credits;
	int			 error;		/* once over: 0 or errno */
	bool			 is_over;	/* answered or failed */
	bool			 is_ended;	/* exchange_end() was called */
};
RB_HEAD(exchanges, exchange);

struct channel {
	LIST_ENTRY(channel)	 entry;
	int			 fd;
	struct loop_fd		 watch;
	unsigned		 references;	/* free at 0 */
	unsigned		 holds;		/* of these, channel_hold() */

	bool			 is_open;
	bool			 is_server;
	bool			 is_known;	/* HELLO was heard (server) */
	bool			 is_newer;	/* and told the next version */
	bool			 is_stranger;	/* came by a "*" row */
	bool			 is_draining;	/* GOODBYE was heard */
	bool			 was_reset;

	const struct peer	*peers;
	void			(*closed)(struct channel *, void *);
	void			*context;
	char			 name[CHANNEL_NAME_SIZE];
	uid_t			 uid;
	pid_t			 pid;

	unsigned		 running;	/* handlers on fibers */
	struct fiber_queue	 places;	/* waits for running to fall */

	STAILQ_HEAD(, kept)	 kept;
	size_t			 kept_bytes;
	bool			 is_flushing;
	bool			 is_gathering;	/* kept until the turn ends */
	LIST_ENTRY(channel)	 gathered;
	struct fiber_queue	 room;		/* waits for kept to empty */

	struct exchanges	 exchanges;
	unsigned		 exchange_count;
};

LIST_HEAD(channel_list, channel);
extern struct channel_list	channels;

/* admit.c: may this connection stay? NULL, or why not. */
const char	*admit(const struct channel *);
/* Its handlers at once, and bytes kept because it does not read. */
unsigned	 admit_requests(const struct channel *);
size_t		 admit_kept(const struct channel *);
/* May it send descriptors now? Close what came and nobody took. */
bool		 admit_files(const struct channel *);
void		 admit_discard(const struct channel *, const int *fds,
		    size_t nfds);

/* version.c: may he speak so? Is it what only the next version asks? Then it is
 * answered. */
bool		 version_is_understood(int64_t);
bool		 version_takes(struct channel *, const struct packet *);

/* receive.c: the life of a channel's fiber. */
void		 channel_receive(void *channel);

/* channel.c: hear a datagram, without waiting; say what is wrong and close. */
void		 channel_hear(struct channel *, char *data, size_t len,
		    const int *fds, size_t nfds);
void		 channel_reject(struct channel *, const char *what,
		    const char *why);
void		 channel_reference(struct channel *);
void		 channel_unreference(struct channel *);

/* packet.c: would the struct point into the buffer of its datagram? */
bool		 packet_has_data(unsigned type);

/* send.c: encode and send or keep, with flags. */
int		 send_post(struct channel *, unsigned type, unsigned flags,
		    uint64_t id, const void *object);
void		 send_forget(struct channel *);

/* exchange.c: is this reply awaited? then *why tells if it is wrong. */
bool		 exchange_take(struct channel *, const struct packet *,
		    const char **why);
void		 exchange_fail_all(struct channel *, int error);

#endif
