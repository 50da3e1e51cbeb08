/*
 * version.c - two versions of Postrider at a time.
 *
 * While an upgrade is under way old and new processes call each other, and
 * fresh daemons call a master that is older than they: neighbours understand
 * each other, both ways.
 *
 * V1  A packet whose meaning or fields change needs a new type, and the old one
 *     stays for one version more. Where that was not done the version grows by
 *     two, and who speaks the one before hears a refusal, not a riddle.
 * V2  Who asks with a type that the version before does not know hears REFUSED
 *     from it, and the channel stays.
 */
#include "common/ipc/inside.h"
#include "common/ipc/packets.h"

/* One of ours, or of a neighbour? */
bool
version_is_understood(int64_t version)
{
	return version >= IPC_VERSION - 1 && version <= IPC_VERSION + 1;
}

/* A question that only the next version knows is refused (V2). */
bool
version_takes(struct channel *c, const struct packet *p)
{
	struct refused	refused = { .why = (char *)(uintptr_t)
			    "this version does not know such a question" };

	if (!c->is_newer || p->type < PACKET_TYPES ||
	    (p->flags & PACKET_IS_REPLY))
		return false;
	(void)send_post(c, PACKET_REFUSED, PACKET_IS_REPLY, p->id, &refused);
	return true;
}
