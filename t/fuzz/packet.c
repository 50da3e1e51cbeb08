/*
 * packet.c - fuzz: a datagram from another process, every type of it.
 *
 * First byte: the type, whose head is then made right so that the fields are
 * reached; 255 takes the rest as a raw datagram. What is decoded must be
 * encoded to the very same bytes again.
 */
#include "t/fuzz/fuzz.h"

#include "common/ipc/packet.h"
#include "common/ipc/packets.h"

/* A head that packet_parse() takes. */
static void
make_head(unsigned char head[PACKET_HEAD], unsigned type, unsigned nfds)
{
	const struct field	*table = packet_fields(type);
	unsigned		 n = 0;

	while (table[n].kind != FIELD_KIND_END)
		n++;
	memset(head, 0, PACKET_HEAD);
	head[0] = (unsigned char)type;
	head[2] = (unsigned char)n;
	head[4] = (unsigned char)nfds;
	head[8] = 1;
}

/* Decode; if that works, encode and compare. */
static void
round_trip(struct packet *p, const void *data, size_t len, struct pool *pool)
{
	void		*object = pool_alloc(pool, packet_struct_size(p->type));
	struct str	 again;
	int		 fds[PACKET_FDS];
	size_t		 nfds, i;

	for (i = 0; i < p->nfds; i++)
		p->fds[i] = 1000 + (int)i;
	if (packet_decode(p, object, pool) != NULL)
		return;
	str_init(&again, pool, PACKET_MAX);
	MUST(packet_encode(p->type, p->flags, p->id, object, &again, fds,
	    &nfds) == NULL);
	MUST(nfds == p->nfds);
	for (i = 0; i < nfds; i++)
		MUST(fds[i] == p->fds[i]);
	MUST(again.len == len && memcmp(again.data, data, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 type = input_byte(&in), nfds;
	struct pool	*pool = pool_new("fuzz", 0);
	struct packet	 p;
	struct str	 raw;

	str_init(&raw, pool, PACKET_MAX + 1);
	if (type != 255) {
		unsigned char	head[PACKET_HEAD];

		type = 1 + type % (PACKET_TYPES - 1);
		nfds = input_byte(&in) % (PACKET_FDS + 1);
		make_head(head, type, nfds);
		str_add_mem(&raw, head, sizeof(head));
	}
	str_add_mem(&raw, in.at, in.left);
	data = (const uint8_t *)pool_strndup(pool, raw.data, raw.len);
	if (packet_parse(&p, data, raw.len) == NULL)
		round_trip(&p, data, raw.len, pool);
	pool_free(pool);
	return 0;
}
