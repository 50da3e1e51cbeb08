/*
 * packet.c - one datagram: its head, its fields, its descriptors.
 *
 * The format is told in packet.h and, for the fields, in base/fields.h. All
 * that reads here trusts nobody: numbers of fields and of descriptors in the
 * head must be those of the table and of the datagram.
 */
#include "common/ipc/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/ipc/inside.h"

/* A little endian number of `bytes` bytes. */
static void
put_number(unsigned char *to, uint64_t value, size_t bytes)
{
	size_t	i;

	for (i = 0; i < bytes; i++)
		to[i] = (unsigned char)(value >> (8 * i));
}

/* The same, read. */
static uint64_t
get_number(const unsigned char *from, size_t bytes)
{
	uint64_t	value = 0;
	size_t		i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

/* How many fields a table has. */
static size_t
count_fields(const struct field *table)
{
	size_t	n = 0;

	while (table[n].kind != FIELD_KIND_END)
		n++;
	return n;
}

/* Head and fields, appended to `to`. */
const char *
packet_encode(unsigned type, unsigned flags, uint64_t id, const void *object,
    struct str *to, int *fds, size_t *nfds)
{
	const struct field	*table = packet_fields(type);
	unsigned char		 head[PACKET_HEAD];
	size_t			 start = to->len;
	const char		*why;

	CLAIM(table != NULL);
	*nfds = 0;
	put_number(head, type, 2);
	put_number(head + 2, count_fields(table), 2);
	put_number(head + 4, 0, 2);
	put_number(head + 6, flags, 2);
	put_number(head + 8, id, 8);
	str_add_mem(to, head, sizeof(head));
	if ((why = fields_encode(table, object, to, fds, nfds)) != NULL)
		return why;
	if (to->is_cut || to->len - start > PACKET_MAX)
		return "the packet is longer than 64 KiB";
	put_number((unsigned char *)to->data + start + 4, *nfds, 2);
	return NULL;
}

/* Where the head has it. */
void
packet_set_id(struct str *encoded, uint64_t id)
{
	CLAIM(encoded->len >= PACKET_HEAD);
	put_number((unsigned char *)encoded->data + 8, id, 8);
}

/* The head; the number of descriptors is compared by packet_decode(). */
const char *
packet_parse(struct packet *p, const void *data, size_t len)
{
	const unsigned char	*head = data;
	const struct field	*table;

	memset(p, 0, sizeof(*p));
	if (len < PACKET_HEAD)
		return "shorter than its head";
	if (len > PACKET_MAX)
		return "longer than 64 KiB";
	p->type = (uint16_t)get_number(head, 2);
	p->flags = (uint16_t)get_number(head + 6, 2);
	p->id = get_number(head + 8, 8);
	p->nfds = (size_t)get_number(head + 4, 2);
	p->body = head + PACKET_HEAD;
	p->len = len - PACKET_HEAD;
	if ((table = packet_fields(p->type)) == NULL)
		return "of a type there is not";
	if (get_number(head + 2, 2) != count_fields(table))
		return "with a wrong number of fields";
	if ((p->flags & ~PACKET_IS_REPLY) != 0)
		return "with unknown flags";
	if (p->nfds > PACKET_FDS)
		return "with too many descriptors";
	return NULL;
}

/* The struct. After a failure every descriptor is still the caller's. */
const char *
packet_decode(const struct packet *p, void *object, struct pool *pool)
{
	const struct field	*table = packet_fields(p->type);

	CLAIM(table != NULL);
	return fields_decode(table, object, pool, p->body, p->len, p->fds,
	    p->nfds);
}

/* Take the descriptors out of the control data; -1 when there are too many. */
static int
take_fds(struct msghdr *message, struct datagram *to)
{
	struct cmsghdr	*c;
	size_t		 i, count;
	int		 fd, result = 0;

	for (c = CMSG_FIRSTHDR(message); c != NULL;
	    c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(fd));
			if (to->nfds < PACKET_FDS) {
				to->fds[to->nfds++] = fd;
			} else {
				close(fd);
				result = -1;
			}
		}
	}
	return result;
}

/* What the kernel tells of one datagram. */
static void
take(struct mmsghdr *head, struct datagram *to)
{
	to->len = head->msg_len;
	to->nfds = 0;
	to->is_bad = take_fds(&head->msg_hdr, to) == -1 ||
	    (head->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
	while (to->is_bad && to->nfds > 0)
		close(to->fds[--to->nfds]);
}

/* What is there and what came with it. What finds no room among the control
 * data is dropped by the kernel, which does not close it in our name. */
ssize_t
packet_receive_some(int fd, struct datagram *to, size_t most, bool takes_fds)
{
	_Alignas(struct cmsghdr) static char control[PACKETS_AT_ONCE]
	    [CMSG_SPACE(PACKET_FDS * sizeof(int))];
	static struct mmsghdr	heads[PACKETS_AT_ONCE];
	static struct iovec	parts[PACKETS_AT_ONCE];
	size_t			i;
	int			n;

	CLAIM(most > 0 && most <= PACKETS_AT_ONCE);
	do {
		for (i = 0; i < most; i++) {
			parts[i] = (struct iovec){ to[i].data, to[i].size };
			heads[i] = (struct mmsghdr){ .msg_hdr = {
			    .msg_iov = &parts[i], .msg_iovlen = 1,
			    .msg_control = takes_fds ? control[i] : NULL,
			    .msg_controllen = takes_fds ?
			    sizeof(control[i]) : 0 } };
		}
		n = recvmmsg(fd, heads, (unsigned)most, MSG_DONTWAIT |
		    MSG_CMSG_CLOEXEC, NULL);
	} while (n == -1 && errno == EINTR);
	for (i = 0; n > 0 && i < (size_t)n; i++)
		take(&heads[i], &to[i]);
	return n;
}

/* One of them. */
ssize_t
packet_receive(int fd, void *buffer, size_t size, int *fds, size_t *nfds)
{
	struct datagram	one = { .data = buffer, .size = size };

	*nfds = 0;
	if (packet_receive_some(fd, &one, 1, fds != NULL) == -1)
		return -1;
	if (one.is_bad) {
		errno = EPROTO;
		return -1;
	}
	*nfds = one.nfds;
	if (fds != NULL)
		memcpy(fds, one.fds, one.nfds * sizeof(*fds));
	return (ssize_t)one.len;
}

/* One datagram out. */
int
packet_send(int fd, const void *data, size_t len, const int *fds, size_t nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(PACKET_FDS *
	    sizeof(int))];
	struct iovec	 part = { (void *)(uintptr_t)data, len };
	struct msghdr	 message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr	*c;
	ssize_t		 n;

	CLAIM(nfds <= PACKET_FDS);
	log_flush();			/* its G1: nobody hears of it before */
	if (nfds > 0) {
		memset(control, 0, sizeof(control));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

/* Several datagrams out. */
int
packet_send_some(int fd, struct iovec *parts, size_t count)
{
	struct mmsghdr	heads[PACKETS_AT_ONCE];
	size_t		i;
	int		n;

	CLAIM(count > 0 && count <= PACKETS_AT_ONCE);
	log_flush();
	for (i = 0; i < count; i++)
		heads[i] = (struct mmsghdr){ .msg_hdr = {
		    .msg_iov = &parts[i], .msg_iovlen = 1 } };
	do
		n = sendmmsg(fd, heads, (unsigned)count, MSG_DONTWAIT |
		    MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n;
}

/* Has a table, or one of its rows, a field of bytes? */
static bool
has_data(const struct field *f)
{
	for (; f != NULL && f->kind != FIELD_KIND_END; f++)
		if (f->kind == FIELD_KIND_DATA ||
		    (f->kind == FIELD_KIND_LIST && has_data(f->rows)))
			return true;
	return false;
}

/* Would the struct point into the buffer that it was decoded from? */
bool
packet_has_data(unsigned type)
{
	return has_data(packet_fields(type));
}
