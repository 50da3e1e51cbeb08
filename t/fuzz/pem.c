/*
 * pem.c - fuzz: files of keys and certificates.
 *
 * First byte: 0, PEM text is read. 1, it is a file of smtpd_tls_chain_files.
 * 2, cut at a byte 255 it is a file of certificates and one with a key. 3, the
 * first line is a name in tls_server_sni_maps, the rest its file. "@N" at the
 * beginning of a line is a good block: a key, its certificate, another key.
 */
#include "t/fuzz/fuzz.h"

#include <ctype.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/base/fields.h"
#include "common/tls/pem.h"
#include "common/tls/wallet.h"

enum { BLOCKS = 3 };

static char	*blocks[BLOCKS];

/* What OpenSSL wrote. */
static char *
take_text(BIO *bio)
{
	char	*data, *text;
	long	 len = BIO_get_mem_data(bio, &data);

	text = mem_alloc((size_t)len + 1);
	memcpy(text, data, (size_t)len);
	text[len] = '\0';
	BIO_free(bio);
	return text;
}

/* The good blocks, once. */
static void
make_blocks(void)
{
	EVP_PKEY	*key;
	X509		*x;
	BIO		*bio;
	int		 i;

	for (i = 0; i < BLOCKS && blocks[i] == NULL; i += 2) {
		key = EVP_PKEY_Q_keygen(tls_library(), NULL, "EC", "P-256");
		bio = BIO_new(BIO_s_mem());
		MUST(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL,
		    NULL) == 1);
		blocks[i] = take_text(bio);
		x = X509_new_ex(tls_library(), NULL);
		X509_gmtime_adj(X509_getm_notBefore(x), 0);
		X509_gmtime_adj(X509_getm_notAfter(x), 8640000);
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
		    MBSTRING_UTF8, (const unsigned char *)"a\nb\33", 4, -1, 0);
		MUST(X509_set_pubkey(x, key) == 1 &&
		    X509_sign(x, key, EVP_sha256()) > 0);
		bio = BIO_new(BIO_s_mem());
		MUST(PEM_write_bio_X509(bio, x) == 1);
		if (i == 0)
			blocks[1] = take_text(bio);
		else
			BIO_free(bio);
		X509_free(x);
		EVP_PKEY_free(key);
	}
}

/* The input with its blocks. */
static struct bytes
fill_in(struct pool *pool, const uint8_t *data, size_t len)
{
	struct str	text;
	size_t		i;

	str_init(&text, pool, 0);
	for (i = 0; i < len; i++) {
		if (data[i] == '@' && i + 1 < len && data[i + 1] >= '0' &&
		    data[i + 1] < '0' + BLOCKS && (i == 0 ||
		    data[i - 1] == '\n'))
			str_add(&text, blocks[data[++i] - '0']);
		else
			str_add_char(&text, (char)data[i]);
	}
	return (struct bytes){ .data = text.data, .len = text.len };
}

/* --- PEM ----------------------------------------------------------------- */

/* Each item is one thing and stands where it says. */
static void
try_pem(struct pool *pool, const struct bytes *text)
{
	struct pem_list	 list = { 0 };
	char		*copy = pool_strndup(pool, text->data, text->len);
	const char	*why = pem_read(pool, &list, "file", copy, text->len);
	size_t		 i;

	MUST(why == NULL || (is_one_line(why) &&
	    strncmp(why, "file:", 5) == 0 && isdigit((unsigned char)why[5])));
	for (i = 0; i < list.count; i++) {
		MUST((list.items[i].certificate == NULL) !=
		    (list.items[i].key == NULL));
		MUST(strcmp(list.items[i].file, "file") == 0 &&
		    list.items[i].line > 0);
		MUST(i == 0 || list.items[i].line > list.items[i - 1].line);
	}
}

/* --- wallets ------------------------------------------------------------- */

/* Something is wrong: one line, and nothing that a terminal obeys. */
static void
hear(void *context, const char *problem, bool is_fatal)
{
	const char	*c;

	(void)is_fatal;
	for (c = problem; *c != '\0'; c++)
		MUST(*c >= ' ' && *c < 0x7f);
	++*(unsigned *)context;
}

/* C1 */
static void
try_rows(const struct wallet *w)
{
	const struct wallet_row	*row;
	size_t			 i;

	for (row = w->rows; row < w->rows + w->count; row++) {
		MUST(row->count <= TLS_CHAINS_MAX);
		MUST(row->count > 0 || *row->service != '\0');
		for (i = 0; i < row->count; i++)
			MUST(X509_check_private_key(row->chains[i].certificate,
			    row->chains[i].key) == 1);
	}
}

/* Load what a main.cf names: something, or a word why not. */
static void
try_wallet(struct pool *pool, const char *const settings[][2], size_t count)
{
	struct maincf	*mc = maincf_empty(pool);
	struct wallet	*w;
	unsigned	 problems = 0;
	size_t		 i;

	for (i = 0; i < count; i++)
		maincf_set(mc, settings[i][0], settings[i][1], "main.cf:1");
	w = wallet_load(mc, NULL, hear, &problems);
	try_rows(w);
	MUST(w->count > 0 || problems > 0);
	wallet_free(w);
}

static char *
path(struct pool *pool, int fd)
{
	return pool_printf(pool, "/proc/self/fd/%d", fd);
}

static void
try_files(struct pool *pool, const struct bytes *text)
{
	int			 fd = input_file(text->data, text->len);
	const char *const	 settings[][2] = {
		{ "smtpd_tls_chain_files", path(pool, fd) }
	};

	try_wallet(pool, settings, 1);
	close(fd);
}

static void
try_pair(struct pool *pool, const struct bytes *text)
{
	const char	*cut = memchr(text->data, 255, text->len);
	const char	*end = (const char *)text->data + text->len;
	int		 a, b;

	if (cut == NULL)
		return;
	a = input_file(text->data, (size_t)(cut - (const char *)text->data));
	b = input_file(cut + 1, (size_t)(end - cut - 1));
	const char *const	 settings[][2] = {
		{ "smtpd_tls_cert_file", path(pool, a) },
		{ "smtpd_tls_key_file", path(pool, b) }
	};
	try_wallet(pool, settings, 2);
	close(a);
	close(b);
}

static void
try_sni(struct pool *pool, const struct bytes *text)
{
	struct input	 in = { text->data, text->len };
	const char	*name = input_line(pool, &in);
	const char	*c;
	int		 fd;

	if (name == NULL || *name == '\0' || strpbrk(name, "{}=$, ") != NULL)
		return;
	for (c = name; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return;			/* the administrator's words */
	fd = input_file(in.at, in.left);
	const char *const	 settings[][2] = {
		{ "tls_server_sni_maps", pool_printf(pool,
		    "inline:{{%s = %s}}", name, path(pool, fd)) }
	};
	try_wallet(pool, settings, 1);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void	(*const try[])(struct pool *, const struct bytes *) = {
		try_pem, try_files, try_pair, try_sni
	};
	struct input	 in = { data, len };
	unsigned	 which = input_byte(&in) % 4;
	struct pool	*pool = pool_new("fuzz", 0);
	struct bytes	 text;

	make_blocks();
	text = fill_in(pool, in.at, in.left);
	try[which](pool, &text);
	ERR_clear_error();
	pool_free(pool);
	return 0;
}
