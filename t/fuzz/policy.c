/*
 * policy.c - fuzz: values of smtp_tls_policy_maps, and the words of protocols
 * and ciphers.
 *
 * First byte: which of the three.
 *
 * needs: smtp/policy.c
 */
#include "t/fuzz/fuzz.h"

#include "common/base/text.h"
#include "common/tls/inside.h"
#include "smtp/policy.h"

#define SPACES	" \t\r\n,:"

/* Words to the bits of versions, lowest SSLv2; R1 told anew. */
static const struct {
	const char	*name, *digits;
	int		 number;
	uint64_t	 option;
} versions[] = {
	{ "SSLv2", "0002", 2, 0 }, { "SSLv3", "0300", 0x300, 0 },
	{ "TLSv1", "0301", 0x301, SSL_OP_NO_TLSv1 },
	{ "TLSv1.1", "0302", 0x302, SSL_OP_NO_TLSv1_1 },
	{ "TLSv1.2", "0303", 0x303, SSL_OP_NO_TLSv1_2 },
	{ "TLSv1.3", "0304", 0x304, SSL_OP_NO_TLSv1_3 }
};

/* The place of a version; -1. */
static int
place(const char *word)
{
	int	i;

	for (i = 0; i < 6; i++)
		if (strcasecmp(word, versions[i].name) == 0 ||
		    strcasecmp(word, versions[i].digits) == 0)
			return i;
	return -1;
}

/* Is this version within what was parsed? */
static bool
speaks(const struct protocols *p, int i)
{
	return versions[i].number >= p->min && versions[i].number <= p->max &&
	    (p->holes & versions[i].option) == 0;
}

/* No word is passed over, none forgotten. */
static void
try_protocols(struct pool *pool, const char *text)
{
	struct protocols	 p;
	const char		*why = protocols_parse(pool, text, &p);
	char			*rest = pool_strdup(pool, text), *word;
	bool			 names_old = false;
	int			 i;

	MUST((why == NULL) == (tls_check_protocols(pool, text) == NULL));
	if (why != NULL)
		return;
	MUST(p.min >= TLS1_VERSION && p.min <= p.max &&
	    p.max <= TLS1_3_VERSION);
	while ((word = strsep(&rest, SPACES)) != NULL) {
		if (*word == '\0')
			continue;
		i = place(word + strspn(word, "<>=!"));
		MUST(i >= 0);
		if (*word == '!')
			MUST(!speaks(&p, i));
		else
			names_old = names_old || (*word != '<' && i < 4);
	}
	/* R1 */
	MUST(p.min >= TLS1_2_VERSION || names_old);
}

/* Is anything in the list that must not be? */
static void
try_list(struct pool *pool, const char *list, const char *exclude)
{
	SSL_CTX			*ssl = SSL_CTX_new_ex(tls_library(), NULL,
				    TLS_server_method());
	STACK_OF(SSL_CIPHER)	*all;
	const SSL_CIPHER	*c;
	char			*rest, *word;
	int			 i;

	MUST(ssl != NULL);
	SSL_CTX_set_security_level(ssl, 0);
	SSL_CTX_set_ciphersuites(ssl, "");
	MUST(SSL_CTX_set_cipher_list(ssl, list) == 1);
	all = SSL_CTX_get_ciphers(ssl);
	for (i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		c = sk_SSL_CIPHER_value(all, i);
		MUST(SSL_CIPHER_get_auth_nid(c) != NID_auth_null);
		MUST(SSL_CIPHER_get_kx_nid(c) != NID_kx_rsa);
		rest = pool_strdup(pool, exclude);
		while ((word = strsep(&rest, SPACES)) != NULL)
			MUST(strcmp(word, SSL_CIPHER_get_name(c)) != 0);
	}
	SSL_CTX_free(ssl);
}

/* Whatever is excluded: never anonymous, never RSA's own exchange (C1). */
static void
try_ciphers(struct pool *pool, const char *grade, const char *exclude)
{
	const struct tls_wishes	 wishes = { .ciphers = grade,
				    .exclude = exclude };
	const char		*list;

	if (tls_check_ciphers(pool, grade, exclude) != NULL)
		return;
	MUST(ciphers_list(pool, TLS_SERVER, &wishes, &list) == NULL);
	try_list(pool, list, exclude);
}

/* What a policy says, each thing at a level where it means something. */
static void
try_policy(struct pool *pool, const char *value)
{
	struct security	 s;
	const char	*why = security_parse(pool, value, &s);
	size_t		 i;

	if (why != NULL)
		return;
	MUST(s.level < TLS_LEVEL_UNKNOWN);
	MUST(s.match_count == 0 || (s.level >= TLS_LEVEL_FINGERPRINT &&
	    s.level <= TLS_LEVEL_SECURE));
	for (i = 0; i < s.match_count; i++)
		MUST(s.matches[i][0] != '\0' &&
		    strpbrk(s.matches[i], " \t|*/\r\n") == NULL);
	MUST(s.level != TLS_LEVEL_NONE || (s.protocols == NULL && s.ciphers ==
	    NULL && s.exclude == NULL && s.servername == NULL));
	MUST(s.protocols == NULL || tls_check_protocols(pool, s.protocols) ==
	    NULL);
	MUST(s.anchors == NULL || s.anchors[0] == '/');
	MUST(s.servername == NULL || strpbrk(s.servername, " /\r\n*") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 which = input_byte(&in) % 3;
	struct pool	*pool = pool_new("fuzz", 0);
	const char	*grade;

	if (which == 0)
		try_policy(pool, input_text(pool, &in));
	else if (which == 1)
		try_protocols(pool, input_text(pool, &in));
	else if ((grade = input_line(pool, &in)) != NULL)
		try_ciphers(pool, grade, input_text(pool, &in));
	pool_free(pool);
	return 0;
}
