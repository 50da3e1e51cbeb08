/*
 * trust.c - certificates that are trusted, from files.
 *
 * All of it is read at start, before the chroot hides it. A file that was
 * named and cannot be read is an error; a system without certificates of its
 * own is not, only nobody is trusted then.
 */
#include "common/tls/inside.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"

/* Where distributions keep all authorities in one file. */
static const char *const	bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem"
};
enum {
	BUNDLES = sizeof bundles / sizeof *bundles,
	FILE_BYTES = 16 * 1024 * 1024	/* a system's have some 300 KB */
};

/* The next certificate of a PEM file; NULL at its end, and *is_bad then if
 * that was no good end. */
static X509 *
next_certificate(BIO *file, bool *is_bad)
{
	X509		*x = X509_new_ex(tls_library(), NULL);
	unsigned long	 error;

	if (x == NULL)
		die("OpenSSL has no memory");
	if (PEM_read_bio_X509_AUX(file, &x, NULL, NULL) != NULL)
		return x;
	X509_free(x);
	error = ERR_peek_last_error();
	*is_bad = ERR_GET_LIB(error) != ERR_LIB_PEM ||
	    ERR_GET_REASON(error) != PEM_R_NO_START_LINE;
	ERR_clear_error();
	return NULL;
}

/* The text of a file, for OpenSSL to read; NULL with *why. */
static BIO *
open_file(struct pool *pool, const char *path, const char **why)
{
	size_t	 len;
	char	*text = fs_read_file(pool, path, FILE_BYTES, &len);
	BIO	*file;

	if (text == NULL) {
		*why = pool_printf(pool, "%s: %s", path, errno == EINVAL ?
		    "expected a regular file" : strerror(errno));
		return NULL;
	}
	if ((file = BIO_new_mem_buf(text, (int)len)) == NULL)
		die("OpenSSL has no memory");
	return file;
}

/* All certificates of a file; NULL with *why, also if there are none. */
static STACK_OF(X509) *
read_file(struct pool *pool, const char *path, const char **why)
{
	struct pool	*scratch = pool_new("trust", 0);
	STACK_OF(X509)	*all = sk_X509_new_null();
	X509		*x;
	BIO		*file;
	bool		 is_bad;

	if (all == NULL)
		die("OpenSSL has no memory");
	if ((file = open_file(scratch, path, why)) == NULL) {
		*why = pool_strdup(pool, *why);
		pool_free(scratch);
		sk_X509_free(all);
		return NULL;
	}
	while ((x = next_certificate(file, &is_bad)) != NULL)
		if (sk_X509_push(all, x) == 0)
			die("OpenSSL has no memory");
	BIO_free(file);
	pool_free(scratch);
	if (!is_bad && sk_X509_num(all) > 0)
		return all;
	*why = pool_printf(pool, is_bad ? "%s: a certificate in it is damaged" :
	    "%s: there is no certificate in it", path);
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

/* Trust the certificates of a file; their names, if asked for. */
static int
add_file(struct pool *pool, X509_STORE *store, const char *path,
    STACK_OF(X509_NAME) *names, const char **why)
{
	STACK_OF(X509)	*all;
	X509_NAME	*name;
	int		 i;

	if ((all = read_file(pool, path, why)) == NULL)
		return -1;
	for (i = 0; i < sk_X509_num(all); i++) {
		if (X509_STORE_add_cert(store, sk_X509_value(all, i)) != 1)
			die("OpenSSL has no memory");
		if (names == NULL)
			continue;
		name = X509_NAME_dup(
		    X509_get_subject_name(sk_X509_value(all, i)));
		if (name == NULL || sk_X509_NAME_push(names, name) == 0)
			die("OpenSSL has no memory");
	}
	sk_X509_pop_free(all, X509_free);
	return 0;
}

/* "5ed36f99.0": a name that OpenSSL would look for? */
static bool
is_hashed(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' &&
	    name[9] != '\0' &&
	    strspn(name + 9, "0123456789") == strlen(name + 9);
}

/* Trust what is in a directory; a bad file in it is told and left out. */
static int
add_directory(struct pool *pool, X509_STORE *store, const char *path,
    const char **why)
{
	struct dirent	*entry;
	const char	*trouble;
	DIR		*directory;

	if ((directory = opendir(path)) == NULL) {
		*why = pool_printf(pool, "%s: %s", path, strerror(errno));
		return -1;
	}
	while ((entry = readdir(directory)) != NULL)
		if (is_hashed(entry->d_name) && add_file(pool, store,
		    pool_printf(pool, "%s/%s", path, entry->d_name), NULL,
		    &trouble) == -1)
			log_warning("%s", trouble);
	closedir(directory);
	return 0;
}

/* Trust whom the system trusts. */
static void
add_system(struct pool *pool, X509_STORE *store)
{
	const char	*why;
	size_t		 i;

	if (add_file(pool, store, X509_get_default_cert_file(), NULL,
	    &why) == 0)
		return;
	for (i = 0; i < BUNDLES; i++)
		if (add_file(pool, store, bundles[i], NULL, &why) == 0)
			return;
	if (add_directory(pool, store, X509_get_default_cert_dir(),
	    &why) == -1)
		log_warning("the system has no certificate authorities, so "
		    "none is trusted: %s", why);
}

/* All that a context trusts. */
X509_STORE *
trust_new(struct pool *pool, const struct tls_setup *setup,
    STACK_OF(X509_NAME) *names, const char **why)
{
	struct pool	*scratch = pool_new("trust", 0);
	X509_STORE	*store = X509_STORE_new();
	const char	*trouble = NULL;

	if (store == NULL)
		die("OpenSSL has no memory");
	if (*setup->ca_file != '\0')
		(void)add_file(scratch, store, setup->ca_file, names,
		    &trouble);
	if (trouble == NULL && *setup->ca_path != '\0')
		(void)add_directory(scratch, store, setup->ca_path, &trouble);
	if (trouble == NULL &&
	    (setup->wants_system_ca || tls_set.appends_default_ca))
		add_system(scratch, store);
	if (trouble != NULL) {
		*why = pool_strdup(pool, trouble);
		X509_STORE_free(store);
		store = NULL;
	}
	pool_free(scratch);
	return store;
}

/* The anchors of a file. */
STACK_OF(X509) *
trust_anchors(struct pool *pool, const char *file, const char **why)
{
	return read_file(pool, file, why);
}
