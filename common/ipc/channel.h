#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/packet.h"

/*
 * A channel is one SEQPACKET connection between two processes, used by many
 * fibers at once. Requests carry an id, replies repeat it; what is not a
 * reply goes to the handler that the peer's row names.
 *
 * A malformed packet, one that the table does not allow from this peer, or a
 * reply of the wrong type closes the channel, is counted and logged; it never
 * ends the process.
 */
struct channel;

/* A packet that came in. */
struct request {
	struct channel	*channel;
	const char	*peer;		/* name from HELLO: "smtpd" */
	uid_t		 uid;		/* SO_PEERCRED of the other side */
	pid_t		 pid;
	unsigned	 type;
	uint64_t	 id;		/* for channel_reply() */
	void		*object;	/* the decoded struct */
	struct pool	*pool;		/* holds it; see below */
};

/*
 * Who may send us what. A daemon has one such table, ended by { NULL }.
 *
 * With IN_ORDER the handler runs on the channel's receiving fiber, in the
 * order of arrival; it must not wait, and the pool is freed when it returns.
 * Otherwise a fiber is started for it; the pool is freed when that returns.
 * Descriptors in the object belong to the handler.
 */
enum handling { ON_A_FIBER, IN_ORDER };

struct peer {
	const char	*name;		/* program, "*" any allowed uid */
	unsigned	 type;
	void		(*handler)(struct request *);
	enum handling	 handling;
};

/*
 * Take over a connected SEQPACKET descriptor. `is_server`: the other side
 * connected to us and must say HELLO first. `closed` (may be NULL) is called
 * once, when the channel is dead and before it is freed.
 */
struct channel	*channel_new(int fd, bool is_server, const struct peer *,
		    void (*closed)(struct channel *, void *context),
		    void *context);
void		*channel_context(const struct channel *);

/* The other side's name: from its HELLO, or as set here by who connected. */
const char	*channel_name(const struct channel *);
void		 channel_set_name(struct channel *, const char *);

/*
 * May a process of this user say HELLO by this service's name? Asked for
 * names that have rows of their own; root and our own user always may.
 * Whoever comes by a "*" row only is any user that the socket lets in.
 */
void		 channel_set_trust(bool (*may)(const char *service, uid_t));

/*
 * Of a "*" row, take packets with descriptors: `may` says if one more of this
 * user's may come, and `discard` closes one that came for nothing. The file
 * may be of a file system where close(2) hangs. Without this call none come.
 */
void		 channel_take_files(bool (*may)(uid_t),
		    void (*discard)(int fd, uid_t));

/* Close: who waits for a reply gets ECONNRESET; freed once unused. */
void		 channel_close(struct channel *);

/* References keep the struct (not the connection) alive across a wait. */
void		 channel_hold(struct channel *);
void		 channel_release(struct channel *);
bool		 channel_is_open(const struct channel *);
/* The other side said GOODBYE: ask nothing new, let what runs finish. */
bool		 channel_is_draining(const struct channel *);
/* Asks without an answer yet, for choosing the less busy one. */
unsigned	 channel_load(const struct channel *);

/*
 * Send a request and wait for the reply, decoded into `reply` and `pool`.
 * 0, or -1: ETIMEDOUT, ECANCELED, ECONNRESET (the other side went away; the
 * request may or may not have been acted on), EMSGSIZE (it does not fit),
 * EPROTO (REFUSED: the other side would not, or could not answer).
 */
WAITS int	 channel_ask(struct channel *, unsigned type,
		    const void *object, unsigned reply_type, void *reply,
		    struct pool *pool, int64_t deadline);

/* Send with this id and wait only for room in the socket. 0 or -1. */
WAITS int	 channel_send(struct channel *, unsigned type, uint64_t id,
		    const void *object, int64_t deadline);

/*
 * A packet that carries no descriptors, made now into an empty string, and
 * sent later in front of another one, with the id of that, as channel_send()
 * would both. -1: EMSGSIZE.
 */
int		 channel_make(struct channel *, unsigned type,
		    const void *object, struct str *to);
WAITS int	 channel_send_behind(struct channel *, struct str *made,
		    unsigned type, uint64_t id, const void *object,
		    int64_t deadline);

/*
 * Send without waiting; when the socket is full it is kept (at most 8 MiB a
 * channel, beyond that the channel is closed). Descriptors are duplicated if
 * kept. For handlers on the receiving fiber and for notifications.
 */
int		 channel_post(struct channel *, unsigned type, uint64_t id,
		    const void *object);

/*
 * From now on what this process posts and answers leaves when the fibers that
 * are ready have run: all packets of a channel in one system call, behind the
 * lines of the log about them. One that could not be sent is told by the end
 * of its channel. For those who never stop inside of a turn; the child of a
 * fork must not go on with the loop.
 */
void		 channel_gather(void);

/* Answer a request; never waits. -1 when the channel is gone. */
int		 channel_reply(struct request *, unsigned type,
		    const void *object);
/* The same after the handler returned: keep channel (hold) and id. */
int		 channel_reply_to(struct channel *, uint64_t id, unsigned type,
		    const void *object);

/*
 * A conversation of several packets under one id that ends with one reply:
 * begin, channel_send() with the exchange's id, then wait for the reply.
 * PACKET_CREDIT replies with that id are counted meanwhile. When the channel
 * dies, exchange_wait() says ECONNRESET. End it always; that forgets the id.
 */
struct exchange;
struct exchange	*exchange_begin(struct channel *, unsigned reply_type,
		    void *reply, struct pool *);
uint64_t	 exchange_id(const struct exchange *);
bool		 exchange_is_answered(const struct exchange *);
/* 0 when the reply is there; -1: ETIMEDOUT, ECANCELED, ECONNRESET. */
WAITS int	 exchange_wait(struct exchange *, int64_t deadline);
/* Wait until `count` credits came in all, or the reply did. */
WAITS int	 exchange_wait_credit(struct exchange *, unsigned count,
		    int64_t deadline);
void		 exchange_end(struct exchange *);

/* A fresh id for channel_send() and channel_post(). */
uint64_t	 channel_next_id(struct channel *);

/*
 * Tell all accepted channels GOODBYE (a draining daemon). The other side
 * answers GOODBYE by itself: nothing new is behind it.
 */
void		 channel_goodbye_all(void);
/* Post a packet to all of this service that have connected to us. */
void		 channel_post_all(const char *service, unsigned type,
		    const void *object);
/* Accepted channels that are open and have not said GOODBYE; those of a "*"
 * row (commands of any user) are not waited for. */
unsigned	 channel_accepted(void);
/* The same, with those that said GOODBYE and may still be answered. */
unsigned	 channel_connected(void);
/* Handlers that run on a fiber now; packets kept because a socket is full. */
unsigned	 channel_requests(void);
unsigned	 channel_unsent(void);
/* Since the start: requests taken, packets that closed a channel. */
uint64_t	 channel_total(void);
uint64_t	 channel_malformed(void);

#endif
