/*
 * wallet_chains.c - private keys and the certificates that belong to them.
 *
 * C1  A key is only used with a certificate that has its public half.
 * C2  The same files are loaded once, and complained of once.
 *
 * Of two keys of one type the later counts, as OpenSSL has it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/tls/provider.h"
#include "common/tls/wallet_inside.h"

enum {
	FILE_BYTES	= 256 * 1024,	/* a long chain has some ten KiB */
	SOON_DAYS	= 14,		/* when we begin to warn */
	RSA_BITS	= 2048
};

/* What a list of files, or a pair, gave before. */
struct wallet_known {
	struct wallet_known	*next;
	const char		*what;
	struct tls_chain	 chains[TLS_CHAINS_MAX];
	struct pem_item		 keys[TLS_CHAINS_MAX];	/* where they are */
	size_t			 count;
};

/* --- looking at one ------------------------------------------------------ */

/* "RSA", "EC", "ED25519" ... */
static const char *
type_of(EVP_PKEY *key)
{
	const char	*name = EVP_PKEY_get0_type_name(key);

	return name == NULL ? "unknown" : name;
}

/* The same with its curve: "EC (secp256k1)". */
static const char *
exact_type_of(struct pool *pool, EVP_PKEY *key)
{
	char	curve[64];
	size_t	len;

	if (!EVP_PKEY_is_a(key, "EC") ||
	    EVP_PKEY_get_group_name(key, curve, sizeof(curve), &len) != 1)
		return type_of(key);
	return pool_printf(pool, "%s (%s)", type_of(key), curve);
}

/* "2026-11-22" */
static const char *
date(struct pool *pool, const ASN1_TIME *at)
{
	char		text[32];
	struct tm	tm;

	if (ASN1_TIME_to_tm(at, &tm) != 1 ||
	    strftime(text, sizeof(text), "%Y-%m-%d", &tm) == 0)
		return "an unknown day";
	return pool_strdup(pool, text);
}

/* Its subject's common name, or all of its subject. */
static const char *
subject(struct pool *pool, X509 *x)
{
	X509_NAME	*name = X509_get_subject_name(x);
	char		 text[256];
	struct str	 printable;

	if (X509_NAME_get_text_by_NID(name, NID_commonName, text,
	    sizeof(text)) <= 0)
		(void)X509_NAME_oneline(name, text, sizeof(text));
	str_init(&printable, pool, 0);
	str_add_escaped(&printable, text, strlen(text));
	return printable.data;
}

/* Is it its time? */
static void
check_time(struct wallet_loading *l, const struct pem_item *item)
{
	struct pool	*pool = l->wallet->pool;
	X509		*x = item->certificate;
	const ASN1_TIME	*end = X509_get0_notAfter(x),
			*start = X509_get0_notBefore(x);
	int		 days, seconds;

	if (X509_cmp_current_time(start) > 0)
		wallet_tell(l, false, "%s:%u: the certificate of %s is not "
		    "valid before %s", item->file, item->line,
		    subject(pool, x), date(pool, start));
	if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1)
		return;
	if (days < 0 || seconds < 0)
		wallet_tell(l, false, "%s:%u: the certificate of %s expired "
		    "on %s", item->file, item->line, subject(pool, x),
		    date(pool, end));
	else if (days < SOON_DAYS)
		wallet_tell(l, false, "%s:%u: the certificate of %s expires "
		    "in %d day%s (%s)", item->file, item->line,
		    subject(pool, x), days, days == 1 ? "" : "s",
		    date(pool, end));
}

/* Is the key strong enough, and of a type that peers accept? False: not to be
 * used. */
static bool
check_key(struct wallet_loading *l, const struct pem_item *item)
{
	int	bits = EVP_PKEY_get_bits(item->key);

	if (!provider_knows(item->key)) {
		wallet_tell(l, false, "%s:%u: expected a key of type RSA, "
		    "ECDSA (P-256, P-384, P-521) or Ed25519, found %s, which "
		    "clients do not take; left out", item->file, item->line,
		    exact_type_of(l->wallet->pool, item->key));
		return false;
	}
	if (strncmp(type_of(item->key), "RSA", 3) == 0 && bits < RSA_BITS)
		wallet_tell(l, false, "%s:%u: the RSA key has %d bits, "
		    "expected %d or more: clients may refuse it", item->file,
		    item->line, bits, RSA_BITS);
	return true;
}

/* Does each certificate sign the one before it? */
static void
check_order(struct wallet_loading *l, const struct pem_item *certificates,
    size_t count)
{
	struct pool		*pool = l->wallet->pool;
	const struct pem_item	*c = certificates;
	size_t			 i;

	for (i = 1; i < count; i++)
		if (X509_check_issued(c[i].certificate, c[i - 1].certificate)
		    != X509_V_OK)
			wallet_tell(l, false, "%s:%u: expected the "
			    "certificate that signed that of %s, found %s",
			    c[i].file, c[i].line,
			    subject(pool, c[i - 1].certificate),
			    subject(pool, c[i].certificate));
	ERR_clear_error();
}

/* Is a server's certificate for servers? */
static void
check_purpose(struct wallet_loading *l, X509 *x, const char *file)
{
	const uint32_t	usage = X509_get_extended_key_usage(x);

	if (usage != UINT32_MAX &&
	    (usage & (XKU_SSL_SERVER | XKU_ANYEKU | XKU_SGC)) == 0)
		wallet_tell(l, false, "%s: the certificate of %s is not for "
		    "servers (extended key usage)", file,
		    subject(l->wallet->pool, x));
}

/* --- putting one together ------------------------------------------------ */

/* Does the key belong to the first certificate? (C1) */
static bool
check_pair(struct wallet_loading *l, const struct pem_item *key,
    const struct pem_item *certificates, size_t count)
{
	const struct pem_item	*c = certificates;
	size_t			 i;

	for (i = 0; i < count; i++)
		if (X509_check_private_key(c[i].certificate, key->key) == 1)
			break;
	ERR_clear_error();
	if (i == 0)
		return true;
	if (i < count)
		wallet_tell(l, true, "%s:%u: the private key at %s:%u belongs "
		    "to this certificate; expected it first, found %s before "
		    "it", c[i].file, c[i].line, key->file, key->line,
		    subject(l->wallet->pool, c[0].certificate));
	else
		wallet_tell(l, true, "%s:%u: the certificate of %s does not "
		    "belong to the private key at %s:%u", c[0].file,
		    c[0].line, subject(l->wallet->pool, c[0].certificate),
		    key->file, key->line);
	return false;
}

/* The pool is freed. */
static void
free_stack(void *stack)
{
	sk_X509_free(stack);
}

/* Another chain, in the place of one with a key of the same type. */
static void
keep(struct wallet_loading *l, struct wallet_known *to,
    const struct pem_item *key, const struct tls_chain *chain)
{
	size_t	i;

	for (i = 0; i < to->count; i++)
		if (strcmp(type_of(to->chains[i].key), type_of(key->key)) == 0)
			break;
	if (i < to->count)
		wallet_tell(l, false, "%s:%u: a second key of type %s; the "
		    "last one counts", key->file, key->line,
		    type_of(key->key));
	if (i == TLS_CHAINS_MAX) {
		wallet_tell(l, false, "%s:%u: expected no more than %d keys; "
		    "left out", key->file, key->line, TLS_CHAINS_MAX);
		return;
	}
	to->chains[i] = *chain;
	to->keys[i] = *key;
	if (i == to->count)
		to->count++;
}

/* The bytes of certificates in DER. */
static size_t
length_of(const struct pem_item *certificates, size_t count)
{
	size_t	i, length = 0;
	int	len;

	for (i = 0; i < count; i++) {
		len = i2d_X509(certificates[i].certificate, NULL);
		length += len < 0 ? 0 : (size_t)len;
	}
	return length;
}

/* Is it short enough for those who show it? */
static bool
check_length(struct wallet_loading *l, const struct pem_item *certificates,
    size_t count)
{
	size_t	length = length_of(certificates, count);

	if (length <= WALLET_CHAIN_BYTES)
		return true;
	wallet_tell(l, true, "%s:%u: expected a chain of certificates of at "
	    "most %d bytes, found %zu in the %zu that begin here",
	    certificates->file, certificates->line, WALLET_CHAIN_BYTES,
	    length, count);
	return false;
}

/* A key and the certificates behind it. */
static void
add_chain(struct wallet_loading *l, struct wallet_known *to,
    const struct pem_item *key, const struct pem_item *certificates,
    size_t count)
{
	struct tls_chain	chain;
	size_t			i;

	if (count == 0) {
		wallet_tell(l, true, "%s:%u: expected a certificate behind "
		    "this private key, found none", key->file, key->line);
		return;
	}
	if (!check_key(l, key) || !check_pair(l, key, certificates, count) ||
	    !check_length(l, certificates, count))
		return;
	check_order(l, certificates, count);
	chain = (struct tls_chain){
		.certificate = certificates[0].certificate,
		.others = sk_X509_new_null(), .key = key->key
	};
	pool_on_free(l->wallet->pool, free_stack, chain.others);
	for (i = 0; i < count; i++) {
		check_time(l, &certificates[i]);
		if (i > 0)
			(void)sk_X509_push(chain.others,
			    certificates[i].certificate);
	}
	keep(l, to, key, &chain);
}

/* What was found so far of a list. */
struct run {
	const struct pem_item	*key, *first;	/* of its certificates */
	size_t			 count;
	bool			 is_lost;	/* behind a file that is bad */
};

/* The end of a chain. One of which nothing but the key could be read is not
 * complained of again. */
static void
end_run(struct wallet_loading *l, struct wallet_known *to, struct run *r)
{
	if (r->key != NULL && (r->count > 0 || !r->is_lost))
		add_chain(l, to, r->key, r->first, r->count);
	r->key = NULL;
	r->count = 0;
}

/* Keys, each before its certificates. */
static void
add_list(struct wallet_loading *l, struct wallet_known *to,
    const struct pem_list *list)
{
	const struct pem_item	*item;
	struct run		 r = { 0 };

	for (item = list->items; item < list->items + list->count; item++)
		if (item->key != NULL) {
			end_run(l, to, &r);
			r = (struct run){ .key = item, .first = item + 1 };
		} else if (item->certificate == NULL) {
			r.is_lost = true;
			end_run(l, to, &r);
		} else if (r.key != NULL) {
			r.count++;
		} else if (!r.is_lost) {
			wallet_tell(l, true, "%s:%u: expected a private key "
			    "before the certificate", item->file, item->line);
			r.is_lost = true;
		}
	end_run(l, to, &r);
}

/* --- files --------------------------------------------------------------- */

/* Who else can read or change a file with a key? */
void
wallet_check_file(struct wallet_loading *l, const char *path)
{
	struct stat	st;

	if (stat(path, &st) == -1)
		return;
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		wallet_tell(l, false, "%s has a private key and can be "
		    "written by others than its owner (mode %04o); expected "
		    "0600", path, st.st_mode & 07777);
	else if (st.st_mode & S_IROTH)
		wallet_tell(l, false, "%s has a private key and can be read "
		    "by everybody (mode %04o); expected 0600", path,
		    st.st_mode & 07777);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		wallet_tell(l, false, "%s has a private key and belongs to "
		    "user %u; expected root", path, (unsigned)st.st_uid);
}

/* Is there a key among the items from here on? */
static bool
has_key(const struct pem_list *list, size_t from)
{
	for (; from < list->count; from++)
		if (list->items[from].key != NULL)
			return true;
	return false;
}

/* A place in the list where something could not be read, which was told. */
static void
add_gap(struct wallet_loading *l, struct pem_list *to)
{
	to->items = pool_grow(l->wallet->pool, to->items, &to->room,
	    to->count + 1, sizeof(*to->items));
	to->items[to->count++] = (struct pem_item){ .file = "" };
}

/* What stands in a text; its secrets are wiped. */
static void
read_text(struct wallet_loading *l, const char *name, char *text, size_t len,
    struct pem_list *to)
{
	size_t		 before = to->count;
	const char	*why;

	why = pem_read(l->wallet->pool, to, name, text, len);
	explicit_bzero(text, len);
	if (why != NULL)
		wallet_tell(l, true, "%s", why);
	else if (to->count == before)
		wallet_tell(l, true, "%s: expected certificates and private "
		    "keys in PEM, found none", name);
	if (why != NULL || to->count == before)
		add_gap(l, to);
}

/* What stands in a file. */
static void
read_file(struct wallet_loading *l, const char *path, struct pem_list *to)
{
	struct pool	*scratch = pool_new("PEM", 0);
	size_t		 len, before = to->count;
	char		*text;

	wallet_read(l, path);
	text = *path != '/' ? NULL :
	    fs_read_file(scratch, path, FILE_BYTES, &len);
	if (text != NULL) {
		read_text(l, path, text, len, to);
	} else {
		wallet_tell(l, true, "%s: %s", path, *path != '/' ?
		    "expected a path that begins with /" : errno == EFBIG ?
		    "expected a file of at most 256 KiB" : strerror(errno));
		add_gap(l, to);
	}
	if (has_key(to, before))
		wallet_check_file(l, path);
	pool_free(scratch);
}

/* --- what the rows are made of ------------------------------------------- */

/* The same as before? (C2) */
static struct wallet_known *
recall(struct wallet_loading *l, const char *what)
{
	struct wallet_known	*k;

	for (k = l->known; k != NULL; k = k->next)
		if (strcmp(k->what, what) == 0)
			break;
	return k;
}

/* Something new to remember. */
static struct wallet_known *
remember(struct wallet_loading *l, const char *what)
{
	struct wallet_known	*k = pool_alloc(l->wallet->pool, sizeof(*k));

	k->what = what;
	k->next = l->known;
	l->known = k;
	return k;
}

/* Into the row. */
static void
take(struct wallet_loading *l, struct wallet_row *row,
    const struct wallet_known *k)
{
	struct wallet_known	all = { .count = row->count };
	size_t			i;

	memcpy(all.chains, row->chains, sizeof(all.chains));
	for (i = 0; i < k->count; i++) {
		if (row->role == TLS_SERVER)
			check_purpose(l, k->chains[i].certificate,
			    k->keys[i].file);
		keep(l, &all, &k->keys[i], &k->chains[i]);
	}
	memcpy(row->chains, all.chains, sizeof(all.chains));
	row->count = all.count;
}

/* Files in which each key stands before its certificates. */
void
wallet_add_files(struct wallet_loading *l, struct wallet_row *row,
    const char *text)
{
	struct pool		*pool = l->wallet->pool;
	struct wallet_known	*k = recall(l, text);
	struct pem_list		 list = { 0 };
	size_t			 i, count;
	char			**words;

	if (k == NULL) {
		k = remember(l, pool_strdup(pool, text));
		words = text_words(pool, text, &count);
		for (i = 0; i < count; i++)
			read_file(l, words[i], &list);
		add_list(l, k, &list);
	}
	take(l, row, k);
}

/* The same as text, which is known again by its digest. */
void
wallet_add_text(struct wallet_loading *l, struct wallet_row *row,
    const char *name, char *text, size_t len)
{
	unsigned char		 digest[EVP_MAX_MD_SIZE];
	size_t			 i, size = 0;
	struct wallet_known	*k;
	struct pem_list		 list = { 0 };
	struct str		 what;

	str_init(&what, l->wallet->pool, 0);
	if (EVP_Q_digest(tls_library(), "SHA256", NULL, text, len, digest,
	    &size) != 1)
		str_add(&what, name);
	for (i = 0; i < size; i++)
		str_addf(&what, "%02x", digest[i]);
	if ((k = recall(l, what.data)) == NULL) {
		k = remember(l, what.data);
		read_text(l, name, text, len, &list);
		add_list(l, k, &list);
	}
	take(l, row, k);
}

/* The first key of a file; NULL, which was told. */
static const struct pem_item *
read_key(struct wallet_loading *l, const char *path)
{
	struct pem_list	list = { 0 };
	size_t		i;

	read_file(l, path, &list);
	for (i = 0; i < list.count; i++)
		if (list.items[i].key != NULL)
			return &list.items[i];
	if (list.items[list.count - 1].certificate != NULL)
		wallet_tell(l, true, "%s: expected a private key, found "
		    "certificates only", path);
	return NULL;
}

/* A file of certificates and one with the key of the first of them. */
static void
load_pair(struct wallet_loading *l, struct wallet_known *to,
    const char *certificates, const char *path)
{
	struct pem_list		 list = { 0 }, own = { 0 };
	const struct pem_item	*key = read_key(l, path);
	size_t			 i;

	read_file(l, certificates, &list);
	own.items = pool_array(l->wallet->pool, list.count,
	    sizeof(*own.items));
	for (i = 0; i < list.count; i++)
		if (list.items[i].certificate != NULL)
			own.items[own.count++] = list.items[i];
	if (key != NULL && (own.count > 0 || list.items[list.count - 1].key !=
	    NULL))
		add_chain(l, to, key, own.items, own.count);
}

/* The same once for all who name it. */
void
wallet_add_pair(struct wallet_loading *l, struct wallet_row *row,
    const char *certificates, const char *key)
{
	const char		*what = pool_printf(l->wallet->pool,
				    "%s with %s", certificates, key);
	struct wallet_known	*k = recall(l, what);

	if (k == NULL) {
		k = remember(l, what);
		load_pair(l, k, certificates, key);
	}
	take(l, row, k);
}
