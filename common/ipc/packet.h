#ifndef IPC_PACKET_H
#define IPC_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <sys/types.h>

#include "common/base/fields.h"
#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * A packet is one SEQPACKET datagram: a head of 16 bytes, then the fields of
 * its type's table (common/base/fields.h), at most 64 KiB and 4 descriptors
 * in all. Little endian throughout:
 *
 *	0  uint16  type            6  uint16  flags (PACKET_IS_REPLY)
 *	2  uint16  field count     8  uint64  id, chosen by who asks
 *	4  uint16  descriptors
 */
enum {
	PACKET_HEAD = 16,
	PACKET_MAX = 65536,
	PACKET_FDS = 4,
	PACKET_IS_REPLY = 1
};

struct packet {
	uint16_t		 type;
	uint16_t		 flags;
	uint64_t		 id;
	const unsigned char	*body;		/* after the head */
	size_t			 len;
	int			 fds[PACKET_FDS];
	size_t			 nfds;
};

/* The table and name of a packet type; NULL for a type there is not. */
const struct field	*packet_fields(unsigned type);
const char		*packet_name(unsigned type);
size_t			 packet_struct_size(unsigned type);
/* Does it carry passwords, keys or tokens? Buffers and pools that held one
 * are wiped. */
bool			 packet_is_secret(unsigned type);

/*
 * Head and body into `to`, descriptors into fds. NULL, or why not (a field
 * out of bounds, longer than PACKET_MAX).
 */
const char	*packet_encode(unsigned type, unsigned flags, uint64_t id,
		    const void *object, struct str *to, int *fds, size_t *nfds);

/* Give a packet that was encoded another id. */
void		 packet_set_id(struct str *, uint64_t id);

/* The head of a datagram: NULL, or why it is malformed. */
const char	*packet_parse(struct packet *, const void *data, size_t len);

/* The struct of the packet's type, strings and lists in the pool; DATA points
 * into the datagram. Every descriptor moves into the struct, or none does and
 * a sentence says why. */
const char	*packet_decode(const struct packet *, void *object,
		    struct pool *);

/* One datagram without waiting: bytes, 0 at the end, -1 (EAGAIN; EPROTO for
 * MSG_TRUNC or MSG_CTRUNC, whose descriptors have been closed). With fds NULL
 * one that brings descriptors is EPROTO, and they never become ours. */
ssize_t		 packet_receive(int fd, void *buffer, size_t size, int *fds,
		    size_t *nfds);

/* One of several, in a buffer of the caller's. */
struct datagram {
	void	*data;
	size_t	 size;
	size_t	 len;		/* 0: the end */
	int	 fds[PACKET_FDS];
	size_t	 nfds;
	bool	 is_bad;	/* cut, or with descriptors that are not
				 * taken; those have been closed */
};
enum { PACKETS_AT_ONCE = 8 };

/* Those that are there: how many, or -1 with errno (EAGAIN). When they are
 * fewer than `most` there were no more, or an error is to follow. Without
 * takes_fds descriptors never become ours. */
ssize_t		 packet_receive_some(int fd, struct datagram *, size_t most,
		    bool takes_fds);
/* Send without waiting: 0, or -1 with EAGAIN, ETOOMANYREFS, EPIPE... */
int		 packet_send(int fd, const void *data, size_t len,
		    const int *fds, size_t nfds);
/* Several without descriptors, at most PACKETS_AT_ONCE: how many went, or -1.
 * Who hears the first need not be woken again for the others. */
int		 packet_send_some(int fd, struct iovec *, size_t count);

#endif
