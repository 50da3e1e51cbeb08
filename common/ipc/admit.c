/*
 * admit.c - nobody takes all of a daemon.
 *
 * Every connection and every request is a fiber with a stack, and often a
 * descriptor. Any user may call pickup and qmgr, and an owned daemon may call
 * those that it is allowed to: none of them may use up what the others need.
 *
 * A1  A user has a bounded number of connections, whether he has said HELLO
 *     or not, and so have all users together.
 * A2  A user's command has a few requests at once; the rest waits unread.
 * A3  A user's descriptors are taken only by a daemon that has said how it
 *     closes them: close(2) may hang in a file system that he serves himself.
 *     Nobody's are taken before HELLO.
 *
 * Root is bound as far as it comes by commands, and so is our own user, who
 * is everybody where root is missing: master's socket pairs are theirs.
 */
#include <unistd.h>

#include "common/ipc/inside.h"

enum {
	STRANGERS_MAX = 100,		/* of one user */
	ALL_STRANGERS_MAX = 1000,
	USER_MAX = 1000,		/* of a daemon's user */
	STRANGER_REQUESTS = 4,
	STRANGER_KEPT = 256 * 1024
};

static bool	(*may_bring)(uid_t);
static void	(*discard)(int, uid_t);

/* Root, or our own user? */
static bool
is_ours(const struct channel *c)
{
	return c->uid == 0 || c->uid == geteuid();
}

/* May it stay? */
const char *
admit(const struct channel *c)
{
	const struct channel	*other;
	unsigned		 strangers = 0, his = 0, known = 0;

	if (is_ours(c) && !c->is_stranger)
		return NULL;
	LIST_FOREACH(other, &channels, entry) {
		if (!other->is_server || !other->is_open)
			continue;
		if (other->is_known && !other->is_stranger) {
			known += other->uid == c->uid;
		} else {
			his += other->uid == c->uid;
			strangers++;
		}
	}
	if (his > STRANGERS_MAX || (known >= USER_MAX && !is_ours(c)))
		return "too many connections of this user";
	return strangers > ALL_STRANGERS_MAX ? "too many connections" : NULL;
}

/* Handlers at once. */
unsigned
admit_requests(const struct channel *c)
{
	return c->is_stranger ? STRANGER_REQUESTS : REQUESTS_MAX;
}

/* Bytes that wait for it. */
size_t
admit_kept(const struct channel *c)
{
	return c->is_stranger ? STRANGER_KEPT : KEPT_MAX;
}

/* Take what users bring, as long as this says so. */
void
channel_take_files(bool (*may)(uid_t), void (*how)(int, uid_t))
{
	may_bring = may;
	discard = how;
}

/* Descriptors? Whom we have called we believe. */
bool
admit_files(const struct channel *c)
{
	if (c->is_stranger)
		return may_bring != NULL && may_bring(c->uid);
	return !c->is_server || c->is_known;
}

/* A stranger's are closed where a hang hurts nobody. */
void
admit_discard(const struct channel *c, const int *fds, size_t nfds)
{
	while (nfds > 0)
		if (c->is_stranger)
			discard(fds[--nfds], c->uid);
		else
			close(fds[--nfds]);
}

/* Those who are still there. */
unsigned
channel_connected(void)
{
	struct channel	*c;
	unsigned	 n = 0;

	LIST_FOREACH(c, &channels, entry)
		if (c->is_server && c->is_open && !c->is_stranger)
			n++;
	return n;
}
