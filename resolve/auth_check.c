/*
 * auth_check.c - is this the password?
 *
 * Finding out takes milliseconds on purpose, so threads do it: as many as
 * there are processors. Who has to wait for more than some seconds is told to
 * come again, and before others who guesses many at once.
 */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/base/log.h"
#include "common/fiber/offload.h"
#include "resolve/auth.h"

enum {
	THREADS_MAX = 16,
	WAITING_EACH = 100,	/* of a thread: three seconds of yescrypt */
	SHARES = 8		/* one of them for each when there are many */
};

struct check {
	LIST_ENTRY(check)	 entry;
	const char		*client;
	const char		*hash;		/* or NULL */
	struct scram_verifier	*verifier;
	const char		*password;
	size_t			 len;
	struct crypt_data	*room;		/* 32 KiB */
};

static LIST_HEAD(, check)	checks = LIST_HEAD_INITIALIZER(checks);
static unsigned			waiting, waiting_max;

/* How many threads there will be. */
void
check_prepare(void)
{
	long	threads = sysconf(_SC_NPROCESSORS_ONLN);

	if (threads < 1)
		threads = 1;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	offload_threads((int)threads);
	waiting_max = (unsigned)threads * WAITING_EACH;
}

/* On a thread: compare with the hash. */
static int
check_hash(struct check *c)
{
	const char	*computed;
	size_t		 len;

	/* crypt(3) would take what stands before a NUL for the whole. */
	if (memchr(c->password, '\0', c->len) != NULL)
		return 0;
	computed = crypt_r(c->password, c->hash, c->room);
	if (computed == NULL || *computed == '*')
		return 0;
	len = strlen(computed);
	return len == strlen(c->hash) &&
	    CRYPTO_memcmp(computed, c->hash, len) == 0;
}

/* On a thread. */
static int
check(void *arg)
{
	struct check	*c = arg;

	return c->hash != NULL ? check_hash(c) :
	    scram_verifier_check(c->verifier, c->password, c->len);
}

/* May one more of this client's wait? Half of the room is for anybody, the rest
 * for those who have not had much of it. */
static bool
has_room(const char *client)
{
	const struct check	*c;
	unsigned		 his = 0;

	if (waiting >= waiting_max) {
		log_warning("%u passwords wait to be checked: no more now",
		    waiting);
		return false;
	}
	if (waiting < waiting_max / 2)
		return true;
	LIST_FOREACH(c, &checks, entry)
		his += strcmp(c->client, client) == 0;
	if (his < waiting_max / SHARES)
		return true;
	log_warning("%u passwords wait to be checked, %u of them from %s: no "
	    "more of those now", waiting, his, client);
	return false;
}

/* The hash counts, if there is one: it knows every byte of the password. */
WAITS int
check_password(struct pool *pool, const struct account *a,
    const char *password, size_t len, const char *client)
{
	struct check	c = { .hash = a->hash, .password = password,
			    .len = len, .client = client };
	int		result;

	if (!has_room(client))
		return -1;
	if (c.hash != NULL) {
		c.room = mem_alloc(sizeof(*c.room));
		memset(c.room, 0, sizeof(*c.room));
	} else {
		c.verifier = pool_alloc(pool, sizeof(*c.verifier));
		if (!scram_verifier_parse(c.verifier, a->verifier))
			return 0;
	}
	LIST_INSERT_HEAD(&checks, &c, entry);
	waiting++;
	result = offload(check, &c);
	waiting--;
	LIST_REMOVE(&c, entry);
	if (c.room != NULL)
		explicit_bzero(c.room, sizeof(*c.room));
	free(c.room);
	return result;
}
