/*
 * answer.c - fuzz: an answer of the domain name system.
 *
 * First byte: the type that was asked for; the name is always host.example.
 */
#include "t/fuzz/fuzz.h"

#include "common/dns/answer.h"

/* What every accepted answer promises. */
static void
check(const struct answer *a, enum answer_type type)
{
	size_t	i;

	MUST((a->result == ANSWER_FAILED) == (a->why != NULL));
	MUST((a->result == ANSWER_OK) == (a->count > 0));
	MUST(a->count <= ANSWER_RECORDS_MAX);
	for (i = 0; i < a->count && (type == ANSWER_MX ||
	    type == ANSWER_PTR || type == ANSWER_SRV); i++)
		MUST(strlen(a->records[i].name) <= ANSWER_NAME_MAX &&
		    (a->records[i].name[0] == '\0' ||
		    answer_is_host_name(a->records[i].name)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum answer_type	 types[] = {
		ANSWER_A, ANSWER_AAAA, ANSWER_MX, ANSWER_PTR, ANSWER_SRV
	};
	struct input			 in = { data, len };
	enum answer_type		 type = types[input_byte(&in) % 5];
	struct pool			*pool = pool_new("fuzz", 0);
	struct answer			 a;
	char				 name[ANSWER_NAME_MAX + 1];
	const unsigned char		*message;
	size_t				 at;

	message = (const unsigned char *)pool_strndup(pool, in.at, in.left);
	answer_parse(&a, pool, "host.example", type, message, in.left);
	check(&a, type);
	for (at = 0; at < in.left; at++) {
		size_t	behind = at;

		if (answer_name(message, in.left, &behind, name))
			MUST(behind > at && behind <= in.left &&
			    strlen(name) <= ANSWER_NAME_MAX);
	}
	pool_free(pool);
	return 0;
}
