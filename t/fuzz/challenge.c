/*
 * challenge.c - fuzz: the challenges of a hostile server, for each mechanism
 * that we have as a client.
 *
 * First byte: the mechanism, and whether the server says base64 that is whole.
 * Then the user, and a challenge a line, in which "@" is the nonce that a
 * SCRAM client said.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/encode.h"
#include "common/sasl/sasl.h"

#define SECRET	"pa55-of-fuzz"
#define TOKEN	"t0ken-of-fuzz"

enum { DEAR = 4200, PATIENT = 10, MECHANISMS = 7 };

/* How many responses there are at most, and which one shows a secret. */
static const struct known {
	const char	*name;
	int		 responses, shows;
	bool		 is_late;	/* no initial response */
} known[MECHANISMS] = {
	{ "OAUTHBEARER", 2, 0, false }, { "XOAUTH2", 2, 0, false },
	{ "SCRAM-SHA-256-PLUS", 3, -1, false },
	{ "SCRAM-SHA-256", 3, -1, false }, { "CRAM-MD5", 1, -1, true },
	{ "PLAIN", 1, 0, false }, { "LOGIN", 2, 2, true }
};

/* Y1: the n-th response is base64 of what may be said then. */
static struct bytes
try_response(struct pool *pool, const struct known *k, int n,
    const char *response)
{
	size_t		 len = strlen(response);
	char		*data = pool_alloc(pool, len + 1);
	ssize_t		 size = 0;

	MUST(strpbrk(response, " \t\r\n*") == NULL);
	if (strcmp(response, "=") != 0)
		size = base64_decode(data, response, len);
	MUST(size >= 0);
	if (n != k->shows)
		MUST(memmem(data, (size_t)size, SECRET, strlen(SECRET)) ==
		    NULL && memmem(data, (size_t)size, TOKEN,
		    strlen(TOKEN)) == NULL);
	else
		MUST(memmem(data, (size_t)size, SECRET, strlen(SECRET)) !=
		    NULL || memmem(data, (size_t)size, TOKEN,
		    strlen(TOKEN)) != NULL);
	return (struct bytes){ .data = data, .len = (size_t)size };
}

/* The client's nonce: what stands behind the last "r=" of its message. */
static const char *
nonce_of(struct pool *pool, const struct bytes *first)
{
	const char	*text = pool_strndup(pool, first->data, first->len);
	const char	*at, *found = "";

	for (at = text; (at = strstr(at, ",r=")) != NULL; at += 3)
		found = at + 3;
	return found;
}

/* A challenge as it is said; NULL when it asks for too much work, or has the
 * secrets in it, which a nonce would bring back. */
static const char *
encode(struct pool *pool, const char *line, const char *nonce, bool is_whole)
{
	struct str	text, out;
	const char	*i;

	str_init(&text, pool, 0);
	for (i = line; *i != '\0'; i++)
		if (*i == '@')
			str_add(&text, nonce);
		else
			str_add_char(&text, *i);
	if (strstr(text.data, SECRET) != NULL ||
	    strstr(text.data, TOKEN) != NULL)
		return NULL;
	for (i = text.data; (i = strstr(i, "i=")) != NULL; i += 2)
		if (strtoul(i + 2, NULL, 10) > DEAR)
			return NULL;
	if (!is_whole)
		return text.data;
	str_init(&out, pool, 0);
	base64_encode(&out, text.data, text.len);
	return out.data;
}

/* One conversation. */
static void
converse(struct pool *pool, struct input *in, struct sasl_client *c,
    const struct known *k, bool is_whole)
{
	const char	*said = sasl_client_initial(c), *nonce = "", *why;
	const char	*line, *challenge;
	struct bytes	 first;
	int		 n, responses = said != NULL;

	MUST((said == NULL) == k->is_late);
	if (said != NULL) {
		first = try_response(pool, k, 0, said);
		nonce = nonce_of(pool, &first);
	}
	for (n = 1; n < PATIENT && (line = input_line(pool, in)) != NULL; n++) {
		challenge = encode(pool, line, nonce, is_whole);
		if (challenge == NULL)
			break;
		if ((said = sasl_client_answer(c, challenge, &why)) == NULL) {
			MUST(why != NULL && is_one_line(why));
			continue;
		}
		(void)try_response(pool, k, responses + k->is_late, said);
		MUST(++responses <= k->responses);
	}
	MUST(is_one_line(sasl_client_complaint(c)));
	/* Nobody but who has the verifier makes SCRAM's last word. */
	MUST(sasl_client_is_satisfied(c) ==
	    (strncmp(k->name, "SCRAM", 5) != 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input		 in = { data, len };
	unsigned		 which = input_byte(&in);
	const struct known	*k = &known[which % 8 % MECHANISMS];
	struct pool		*pool = pool_new("fuzz", 0);
	struct sasl_credentials	 who = { .authorize = "", .host = "mx.test",
	    .port = 587, .password = SECRET, .token = TOKEN, .exporter =
	    (const unsigned char *)"exported", .exporter_length = 8 };
	const char		*why = NULL;
	struct sasl_client	*c;

	who.user = input_line(pool, &in);
	if (who.user != NULL && strstr(who.user, SECRET) == NULL &&
	    strstr(who.user, TOKEN) == NULL) {
		c = sasl_client_new(pool, k->name, "", 0, 0, &who, &why);
		MUST(c != NULL || why != NULL);
		if (c != NULL) {
			MUST(strcmp(sasl_client_mechanism(c), k->name) == 0);
			converse(pool, &in, c, k, which & 8);
			sasl_client_end(c);
		}
	}
	pool_free(pool);
	return 0;
}
