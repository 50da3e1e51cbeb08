/*
 * keys_store.c - the identities of the instance, and their private keys.
 *
 * The keys lie in OpenSSL's memory for secrets, which is locked where that is
 * allowed and in no core file. An answer has certificates only.
 */
#include "master/keys_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/tls/provider.h"

enum {
	MEMORY_LEAST = 4 << 20,		/* two thousand keys of RSA */
	MEMORY_MOST = 64 << 20,
	MEMORY_PIECE = 64,
	CHAINS_MOST = 60 * 1024		/* of a name: what a packet takes */
};

static struct {
	struct wallet	*wallet;
	const struct wallet_row **rows;	/* by service, program, name */
	struct keys_key	*keys;		/* by id */
	size_t		 count;
	int64_t		 generation;
	bool		 has_faults;
} store;

/* --- loading -------------------------------------------------------------- */

/* As much as may be locked, within reason; if nothing may, it works without. */
static void
prepare_memory(void)
{
	struct rlimit	limit = { MEMORY_MOST, MEMORY_MOST };
	size_t		size = MEMORY_MOST;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) == -1 &&
	    getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		while (size > MEMORY_LEAST && size > limit.rlim_cur)
			size /= 2;
	switch (CRYPTO_secure_malloc_init(size, MEMORY_PIECE)) {
	case 1:
		break;
	case 2:
		log_debug("the memory of keys cannot be locked");
		break;
	default:
		log_warning("no memory for keys of its own");
	}
}

/* What is wrong with a file, said by the wallet. */
static void
tell(void *unused, const char *problem, bool is_fatal)
{
	(void)unused;
	if (!is_fatal) {
		log_warning("%s", problem);
		return;
	}
	log_error("%s", problem);
	store.has_faults = true;
}

/* The order of ids. */
static int
compare(const void *one, const void *other)
{
	const struct keys_key	*a = one, *b = other;

	return memcmp(a->id, b->id, sizeof(a->id));
}

/* Describe a key of this row. */
static void
add_key(struct keys_key *k, const struct wallet_row *row, EVP_PKEY *key)
{
	*k = (struct keys_key){ .key = key };
	if (provider_key_id(key, k->id) == -1)
		die("a key cannot be named");
	k->is_pss_only = EVP_PKEY_is_a(key, "RSA-PSS");
	k->is_rsa = k->is_pss_only || EVP_PKEY_is_a(key, "RSA");
	k->is_ed25519 = EVP_PKEY_is_a(key, "ED25519");
	k->is_quick = k->is_ed25519 ||
	    (!k->is_rsa && EVP_PKEY_get_bits(key) <= 256);
	k->is_for_server = row->role == TLS_SERVER;
	k->is_for_client = row->role == TLS_CLIENT;
}

/* One entry for each key, however many names have it. */
static void
unite(void)
{
	struct keys_key	*k = store.keys, *last = k;
	size_t		 i;

	if (store.count == 0)
		return;
	qsort(k, store.count, sizeof(*k), compare);
	for (i = 1; i < store.count; i++) {
		if (compare(last, &k[i]) != 0) {
			*++last = k[i];
			continue;
		}
		last->is_for_server |= k[i].is_for_server;
		last->is_for_client |= k[i].is_for_client;
	}
	store.count = (size_t)(last - k) + 1;
}

/* All keys of all rows. */
static void
index_keys(void)
{
	struct wallet	*w = store.wallet;
	size_t		 i, j, count = 0;

	for (i = 0; i < w->count; i++)
		count += w->rows[i].count;
	store.keys = pool_array(w->pool, count + 1, sizeof(*store.keys));
	for (i = 0; i < w->count; i++)
		for (j = 0; j < w->rows[i].count; j++)
			add_key(&store.keys[store.count++], &w->rows[i],
			    w->rows[i].chains[j].key);
	unite();
}

/* The length of a chain in DER. */
static size_t
chain_length(const struct tls_chain *chain)
{
	size_t	len = (size_t)i2d_X509(chain->certificate, NULL);
	int	i;

	for (i = 0; i < sk_X509_num(chain->others); i++)
		len += (size_t)i2d_X509(sk_X509_value(chain->others, i), NULL);
	return len;
}

/* All that clients of a name are shown goes into one packet. */
static void
check_lengths(void)
{
	const struct wallet_row	*row;
	size_t			 i, all;

	for (row = store.wallet->rows; row < store.wallet->rows +
	    store.wallet->count; row++) {
		for (i = all = 0; i < row->count; i++)
			all += chain_length(&row->chains[i]);
		if (all <= CHAINS_MOST)
			continue;
		log_error("the certificates of \"%s\" have %zu bytes, "
		    "expected %d at most: the last of them are left out",
		    row->name, all, CHAINS_MOST);
		store.has_faults = true;
	}
}

/* The order of rows. */
static int
compare_rows(const void *one, const void *other)
{
	const struct wallet_row	*const *a = one, *const *b = other;
	int			 order;

	if ((order = strcmp((*a)->service, (*b)->service)) == 0 &&
	    (order = strcmp((*a)->program, (*b)->program)) == 0)
		order = strcmp((*a)->name, (*b)->name);
	return order;
}

/* Put them in order: there may be many, and strangers have them looked for. */
static void
index_rows(void)
{
	struct wallet	*w = store.wallet;
	size_t		 i;

	store.rows = pool_array(w->pool, w->count + 1, sizeof(*store.rows));
	for (i = 0; i < w->count; i++)
		store.rows[i] = &w->rows[i];
	qsort(store.rows, w->count, sizeof(*store.rows), compare_rows);
}

void
keys_store_load(struct maincf *mc, const char *directory)
{
	struct pool	*pool = pool_new("master.cf", 0);
	struct mastercf	*file;
	char		*why;

	prepare_memory();
	file = mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    directory), &why);
	if (file == NULL)
		log_warning("%s: only certificates of main.cf are loaded",
		    why);
	store.wallet = wallet_load(mc, file, tell, NULL);
	store.generation = clock_wall_us();
	index_keys();
	index_rows();
	check_lengths();
	/* The wallet's rows point into master.cf's text: it stays. */
	pool_on_free(store.wallet->pool, (void (*)(void *))pool_free, pool);
	log_debug("%zu keys of %zu names", store.count, store.wallet->count);
}

bool
keys_store_is_good(void)
{
	return !store.has_faults;
}

/* --- answers -------------------------------------------------------------- */

/* The row of just this name. */
static const struct wallet_row *
find_row(const char *service, const char *program, const char *name)
{
	const struct wallet_row	 wanted = { .service = service,
				    .program = program, .name = name };
	const struct wallet_row	*key = &wanted, **found;

	found = bsearch(&key, store.rows, store.wallet->count,
	    sizeof(*store.rows), compare_rows);
	return found == NULL ? NULL : *found;
}

/* The row of the name or, by its parents, of the names below ".example". */
static const struct wallet_row *
search(const char *service, const char *program, const char *name)
{
	const struct wallet_row	*row;

	if (find_row(service, program, "") == NULL)
		service = "";		/* it has none of its own */
	if ((row = find_row(service, program, name)) != NULL)
		return row;
	if (name[0] == '.')		/* a pattern is nobody's name */
		return NULL;
	while ((name = strchr(name, '.')) != NULL) {
		if ((row = find_row(service, program, name)) != NULL)
			return row;
		name++;
	}
	return NULL;
}

/* A chain in DER. */
static struct bytes
chain_bytes(struct pool *pool, const struct tls_chain *chain, size_t len)
{
	unsigned char	*data = pool_alloc(pool, len), *at = data;
	int		 i;

	(void)i2d_X509(chain->certificate, &at);
	for (i = 0; i < sk_X509_num(chain->others); i++)
		(void)i2d_X509(sk_X509_value(chain->others, i), &at);
	return (struct bytes){ data, len };
}

void
keys_store_find(const struct ask_certificates *ask, enum tls_role role,
    struct pool *pool, struct certificates *to)
{
	const struct wallet_row	*row;
	size_t			 i, len, all = 0;

	*to = (struct certificates){ .generation = store.generation };
	if (store.wallet == NULL)
		return;
	row = search(ask->service, ask->program, ask->name);
	if (row == NULL || row->role != role)
		return;
	to->chains = pool_array(pool, TLS_CHAINS_MAX, sizeof(*to->chains));
	for (i = 0; i < row->count; i++) {
		len = chain_length(&row->chains[i]);
		if (all + len > CHAINS_MOST)
			continue;	/* check_lengths() has told */
		all += len;
		to->chains[to->count++].der = chain_bytes(pool,
		    &row->chains[i], len);
	}
	to->is_there = to->count > 0;
}

const struct keys_key *
keys_store_key(const unsigned char id[32])
{
	struct keys_key	wanted;

	memcpy(wanted.id, id, sizeof(wanted.id));
	if (store.count == 0)
		return NULL;
	return bsearch(&wanted, store.keys, store.count, sizeof(wanted),
	    compare);
}

size_t
keys_store_count(void)
{
	return store.count;
}

void
keys_store_wipe(void)
{
	store.count = 0;
	store.keys = NULL;
	store.rows = NULL;
	wallet_free(store.wallet);
	store.wallet = NULL;
}
