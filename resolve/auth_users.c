/*
 * auth_users.c - the table of users.
 *
 *	ann@example.com	{CRYPT}$y$j9T$... SCRAM-SHA-256$16384:...$...:...
 *
 * A key is a login name, the value words of which each is a way to know the
 * password: a hash of crypt(3), a verifier of scram.h. A texthash is read here,
 * so that one bad line costs one user and not all; tables of other types are
 * asked, and what is wrong in them is told when somebody asks for it.
 */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/lines.h"
#include "resolve/auth.h"

#define CRYPT_WORD	"{CRYPT}"
#define SCRAM_WORD	"SCRAM-SHA-256$"
#define TEXT_TYPE	"texthash:"

enum { SALT = 16, DES_LENGTH = 13, FILE_MAX = 256 * 1024 * 1024 };

static struct pool	*pool;
static struct account	*accounts;	/* of a texthash, sorted */
static size_t		 count, room;
static struct maps	*maps;		/* of other types */
static struct account	 sample;	/* the first one that is complete */
static const char	*without;	/* the first one without verifier */
static unsigned char	 key[SCRAM_KEY];	/* for decoys */

/* --- a row --------------------------------------------------------------- */

/* Does crypt(3) know the method? To it any two letters are a salt of DES, so
 * those hashes have to have their length. */
static bool
is_hash(const char *hash)
{
	int	state = crypt_checksalt(hash);

	if (*hash != '$' && *hash != '_' && strlen(hash) != DES_LENGTH)
		return false;
	return state != CRYPT_SALT_INVALID &&
	    state != CRYPT_SALT_METHOD_DISABLED;
}

/* One word of the value. */
static const char *
take_word(char *word, struct account *a)
{
	struct scram_verifier	v;

	if (strncmp(word, CRYPT_WORD, strlen(CRYPT_WORD)) == 0) {
		a->hash = word + strlen(CRYPT_WORD);
		return is_hash(a->hash) ? NULL :
		    "crypt(3) does not know such a hash";
	}
	if (strncmp(word, SCRAM_WORD, strlen(SCRAM_WORD)) == 0) {
		a->verifier = word;
		return scram_verifier_parse(&v, word) ? NULL :
		    "expected SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:"
		    "SERVERKEY";
	}
	return "expected words that begin with {CRYPT} or SCRAM-SHA-256$";
}

/* All words. */
const char *
account_parse(char *value, struct account *a)
{
	const char	*why;
	char		*word;

	a->hash = a->verifier = NULL;
	while ((word = strsep(&value, " \t")) != NULL)
		if (*word != '\0' && (why = take_word(word, a)) != NULL)
			return why;
	return a->hash != NULL || a->verifier != NULL ? NULL :
	    "there is nothing behind the name";
}

/* --- a texthash ---------------------------------------------------------- */

/* A logical line of the file: NULL, or what is wrong with it. */
static const char *
take_line(char *line)
{
	struct account	 a = { 0 };
	size_t		 len = strcspn(line, " \t");
	const char	*why;

	a.name = line;
	if (line[len] != '\0')
		line[len++] = '\0';
	text_lower(line);
	if ((why = account_parse(line + len, &a)) != NULL)
		return why;
	accounts = pool_grow(pool, accounts, &room, count + 1,
	    sizeof(*accounts));
	accounts[count++] = a;
	return NULL;
}

/* By name. */
static int
by_name(const void *a, const void *b)
{
	const struct account	*x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Sort them; of two with one name the first counts, whatever the sort does. */
static void
sort(const char *path)
{
	size_t	i, kept = 0;

	if (count > 0)
		(void)mergesort(accounts, count, sizeof(*accounts), by_name);
	for (i = 0; i < count; i++) {
		if (kept > 0 &&
		    by_name(&accounts[kept - 1], &accounts[i]) == 0) {
			log_warning("%s: %s is there twice; the first one "
			    "counts", path, accounts[i].name);
			continue;
		}
		accounts[kept++] = accounts[i];
	}
	count = kept;
}

/* Read the file; a missing one has no lines. */
static void
read_text(const char *path)
{
	struct lines	 in;
	const char	*problem;
	char		*line, *text, *why = NULL;
	unsigned	 number;
	size_t		 len;

	text = fs_read_file(pool, path, FILE_MAX, &len);
	if (text == NULL && errno == ENOENT) {
		if (!daemon_is_checking())
			log_info("%s is not there: there are no users", path);
		return;
	}
	if (text == NULL)
		die("smtpd_sasl_users: %s: %s", path, strerror(errno));
	lines_open_text(&in, pool, path, text, len);
	while ((line = lines_next(&in, &number, &why)) != NULL)
		if ((problem = take_line(text_trim(line))) != NULL)
			log_warning("%s:%u: passed over: %s", path, number,
			    problem);
	if (why != NULL)
		die("smtpd_sasl_users: %s", why);
	sort(path);
}

/* --- decoys -------------------------------------------------------------- */

/* A secret of this machine and table, which is the same after a restart. */
static void
make_key(void)
{
	struct pool	*p = pool_new("machine", 0);
	const char	*machine;
	char		*text;
	size_t		 len;

	if ((machine = fs_read_file(p, "/etc/machine-id", 1000, &len)) == NULL)
		machine = "";
	text = pool_printf(p, "%s %s %s", machine,
	    sample.hash != NULL ? sample.hash : "",
	    sample.verifier != NULL ? sample.verifier : "");
	if (EVP_Digest(text, strlen(text), key, NULL, EVP_sha256(),
	    NULL) != 1)
		die("OpenSSL has no SHA-256");
	pool_free(p);
}

/* What they look like. */
static void
look_at_accounts(void)
{
	static char	setting[CRYPT_GENSALT_OUTPUT_SIZE];
	size_t		i;

	for (i = 0; i < count; i++) {
		if (sample.hash == NULL)
			sample.hash = accounts[i].hash;
		if (sample.verifier == NULL)
			sample.verifier = accounts[i].verifier;
		if (accounts[i].verifier == NULL && without == NULL)
			without = accounts[i].name;
	}
	if (without != NULL)
		log_info("SCRAM is not offered: %s has no verifier for it",
		    without);
	make_key();
	/* Decoys are hashed as new users are, if there are no others. */
	if (sample.hash == NULL && sample.verifier == NULL)
		sample.hash = crypt_gensalt_rn("$y$", 0, NULL, 0, setting,
		    sizeof(setting));
}

/* The same name, in any case of its letters, gets the same salt, and no
 * password fits. */
void
users_decoy(struct pool *to, const char *name, struct account *a,
    struct scram_verifier *v)
{
	unsigned char	bytes[SCRAM_KEY];
	char		*lower = pool_strdup(to, name);

	text_lower(lower);
	*a = sample;
	a->name = lower;
	if (sample.verifier == NULL ||
	    !scram_verifier_parse(v, sample.verifier)) {
		v->iterations = auth_set.iterations;
		v->salt_length = SALT;
	}
	CLAIM(HMAC(EVP_sha256(), key, sizeof(key),
	    (const unsigned char *)lower, strlen(lower), bytes, NULL) != NULL);
	if (v->salt_length > sizeof(bytes))
		v->salt_length = sizeof(bytes);
	memcpy(v->salt, bytes, v->salt_length);
	arc4random_buf(v->stored_key, sizeof(v->stored_key));
	arc4random_buf(v->server_key, sizeof(v->server_key));
}

/* --- all of them --------------------------------------------------------- */

/* Open the table, or read it. */
void
users_load(void)
{
	const char	*list = auth_set.users;
	char		*why = NULL;

	pool = pool_new("users", 0);
	pool_make_secret(pool);
	if (strncmp(list, TEXT_TYPE, strlen(TEXT_TYPE)) == 0 &&
	    strpbrk(list, ", \t") == NULL) {
		read_text(list + strlen(TEXT_TYPE));
	} else {
		maps = maps_open_all(pool, list, &why);
		if (why != NULL)
			log_error("smtpd_sasl_users: %s", why);
	}
	look_at_accounts();
}

/* Ask tables that are not ours to read. */
static enum map_result
ask_maps(struct pool *to, const char *name, struct account *a)
{
	enum map_result	 result;
	const char	*problem;
	char		*value, *why;

	result = maps_find(maps, to, name, &value, &why);
	if (result == MAP_ERROR)
		log_error("smtpd_sasl_users: %s", why);
	if (result != MAP_FOUND)
		return result;
	a->name = name;
	if ((problem = account_parse(value, a)) == NULL)
		return MAP_FOUND;
	log_warning("smtpd_sasl_users: the row of %s is passed over: %s",
	    name, problem);
	return MAP_NOT_FOUND;
}

/* The account of this name, whatever the case of its letters. */
enum map_result
users_find(struct pool *to, const char *name, struct account *a)
{
	struct account	 wanted = { 0 }, *found = NULL;
	char		*lower = pool_strdup(to, name);

	text_lower(lower);
	wanted.name = lower;
	if (maps != NULL)
		return ask_maps(to, lower, a);
	if (count > 0)
		found = bsearch(&wanted, accounts, count, sizeof(wanted),
		    by_name);
	if (found == NULL)
		return MAP_NOT_FOUND;
	*a = *found;
	return MAP_FOUND;
}

/* As far as is known. */
bool
users_have_verifiers(void)
{
	return without == NULL;
}
