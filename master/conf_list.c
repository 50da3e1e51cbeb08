/*
 * conf_list.c - what there is to choose from: table types, locks, ways to
 * authenticate; the TLS library; the texts of notices.
 */
#include "master/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/map/map.h"
#include "common/param/site.h"

enum { TEMPLATE_MAX = 1024 * 1024 };

/* Order of two names. */
static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* -m: "proxy:" stands before another type and means nothing here. */
static int
list_types(struct pool *pool)
{
	const char *const	 *types = map_types();
	const char		**sorted;
	size_t			  count = 0, i;

	while (types[count] != NULL)
		count++;
	sorted = pool_array(pool, count + 1, sizeof(*sorted));
	for (i = 0; i < count; i++)
		sorted[i] = types[i];
	sorted[count++] = "proxy";
	qsort(sorted, count, sizeof(*sorted), compare);
	for (i = 0; i < count; i++)
		puts(sorted[i]);
	return 0;
}

/* -T: the library that the programs were built with, and the one here. */
static int
list_tls(const char *what)
{
	static const char *const	keys[] = { "DSA", "EC", "RSA" };
	static const char *const	names[] = { "dsa", "ecdsa", "rsa" };
	EVP_KEYMGMT			*manager;
	size_t				 i;

	if (strcmp(what, "compile-version") == 0)
		puts(OPENSSL_VERSION_TEXT);
	else if (strcmp(what, "run-version") == 0)
		puts(OpenSSL_version(OPENSSL_VERSION));
	else if (strcmp(what, "public-key-algorithms") == 0)
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			manager = EVP_KEYMGMT_fetch(NULL, keys[i], NULL);
			if (manager != NULL)
				puts(names[i]);
			EVP_KEYMGMT_free(manager);
		}
	else {
		log_error("-T %s: expected compile-version, run-version or "
		    "public-key-algorithms", what);
		return 1;
	}
	return 0;
}

/* -t, -b: the texts, with what their $names stand for if asked. */
static int
list_templates(struct pool *pool, const struct request *r)
{
	struct catalog	 c = { 0 };
	struct maincf	*mc;
	const char	*path = r->word_count > 0 ? r->words[0] : NULL, *value;
	char		*text, *why;
	size_t		 len;

	if ((mc = conf_load(pool, r, &c)) == NULL)
		return 1;
	if (path == NULL)
		path = maincf_value(mc, pool, "bounce_template_file", &why);
	if (path == NULL || *path == '\0')
		path = pool_printf(pool, "%s/bounce.cf.default",
		    site_directory(r->directory));
	if ((text = fs_read_file(pool, path, TEMPLATE_MAX, &len)) == NULL) {
		log_error("%s: %s", path, strerror(errno));
		return 1;
	}
	value = r->list == 't' ? text : maincf_expand(mc, pool, text, &why);
	if (value == NULL) {
		log_error("%s: %s", path, why);
		return 1;
	}
	fputs(value, stdout);
	return 0;
}

/* Print a list. */
int
conf_list(struct pool *pool, const struct request *r)
{
	switch (r->list) {
	case 'm':
		return list_types(pool);
	case 'T':
		return list_tls(r->tls);
	case 'b':
	case 't':
		return list_templates(pool, r);
	case 'l':
		puts("flock\nfcntl\ndotlock");
		return 0;
	default:		/* nobody can authenticate yet */
		return 0;
	}
}
