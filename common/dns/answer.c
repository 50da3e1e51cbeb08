/*
 * answer.c - a DNS answer as bytes to records, trusting nobody.
 *
 * The question section is compared with what was asked, compression pointers
 * may only lead backwards (so that they end), every record must lie inside
 * the message, and names are only taken when a host could be called so. What
 * is used is the chain from the name asked for through its CNAMEs.
 */
#include "common/dns/answer.h"

#include <string.h>
#include <strings.h>

enum {
	HEAD = 12,
	LABEL_MAX = 63,
	NAME_BYTES = 255,
	FLAG_RESPONSE = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	RCODE_MASK = 0x000f,
	RCODE_OK = 0, RCODE_NO_NAME = 3,
	CLASS_IN = 1,
	TYPE_NS = 2, TYPE_SOA = 6
};

struct message {
	const unsigned char	*data;
	size_t			 len;
	size_t			 answers_at;
	unsigned		 answers, authorities;
};

struct record {
	char		 owner[ANSWER_NAME_MAX + 1];
	unsigned	 type, class;
	uint32_t	 ttl;
	size_t		 at, len;	/* of its data */
};

/* Two bytes, the greater first. */
static unsigned
get16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* Four bytes, the greatest first. */
static uint32_t
get32(const unsigned char *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* --- names --------------------------------------------------------------- */

/* Add a label in presentation form. A dot or NUL inside would read as
 * something else, so no such name is taken at all. */
static bool
add_label(char *to, size_t *used, const unsigned char *label, size_t len)
{
	if (memchr(label, '.', len) != NULL || memchr(label, 0, len) != NULL)
		return false;
	if (*used + len + (*used > 0) > ANSWER_NAME_MAX)
		return false;
	if (*used > 0)
		to[(*used)++] = '.';
	memcpy(to + *used, label, len);
	*used += len;
	return true;
}

/* Read a name; each pointer must lead before the place we last came to. */
bool
answer_name(const unsigned char *message, size_t len, size_t *at,
    char to[ANSWER_NAME_MAX + 1])
{
	size_t	p = *at, lowest = *at, used = 0, n, target;
	bool	has_jumped = false;

	for (;;) {
		if (p >= len)
			return false;
		n = message[p];
		if ((n & 0xc0) == 0xc0) {
			if (p + 1 >= len)
				return false;
			target = get16(message + p) & 0x3fff;
			if (target >= lowest)
				return false;
			if (!has_jumped)
				*at = p + 2;
			has_jumped = true;
			p = lowest = target;
			continue;
		}
		if (n > LABEL_MAX || n > len - p - 1)
			return false;
		p += 1 + n;
		if (n == 0)
			break;
		if (!add_label(to, &used, message + p - n, n))
			return false;
	}
	if (!has_jumped)
		*at = p;
	to[used] = '\0';
	return true;
}

/* Letters, digits, hyphens and underscores, in labels that are not empty. */
bool
answer_is_host_name(const char *name)
{
	static const char	allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t			len;

	if (*name == '\0' || strlen(name) > ANSWER_NAME_MAX)
		return false;
	for (;; name++) {
		len = strspn(name, allowed);
		if (len == 0 || len > LABEL_MAX || name[0] == '-')
			return false;
		name += len;
		if (*name == '\0')
			return true;
		if (*name != '.')
			return false;
	}
}

/* --- records ------------------------------------------------------------- */

/* The next record at *at; false when it is malformed. */
static bool
next_record(const struct message *m, size_t *at, struct record *r)
{
	if (!answer_name(m->data, m->len, at, r->owner))
		return false;
	if (m->len - *at < 10)
		return false;
	r->type = get16(m->data + *at);
	r->class = get16(m->data + *at + 2);
	r->ttl = get32(m->data + *at + 4);
	/* RFC 2181 8: the top bit means nothing good. */
	if (r->ttl & 0x80000000)
		r->ttl = 0;
	r->len = get16(m->data + *at + 8);
	r->at = *at + 10;
	if (r->len > m->len - r->at)
		return false;
	*at = r->at + r->len;
	return true;
}

/* A name that must fill the record's data from `skip` on. */
static bool
data_name(const struct message *m, const struct record *r, size_t skip,
    char to[ANSWER_NAME_MAX + 1])
{
	size_t	at = r->at + skip;

	return r->len > skip && answer_name(m->data, r->at + r->len, &at,
	    to) && at == r->at + r->len;
}

/* A host's name behind `skip` bytes of numbers; only with `may_be_root`
 * "", which says that there is none. */
static bool
read_name(const struct message *m, const struct record *r, size_t skip,
    bool may_be_root, struct pool *pool, struct answer_record *to)
{
	char	name[ANSWER_NAME_MAX + 1];

	if (!data_name(m, r, skip, name) ||
	    (*name == '\0' ? !may_be_root : !answer_is_host_name(name)))
		return false;
	to->name = pool_strdup(pool, name);
	return true;
}

/* The data of a record of the type asked for. */
static bool
read_data(const struct message *m, const struct record *r, struct pool *pool,
    struct answer_record *to)
{
	memset(to, 0, sizeof(*to));
	switch (r->type) {
	case ANSWER_A:
	case ANSWER_AAAA:
		if (r->len != (r->type == ANSWER_A ? 4U : 16U))
			return false;
		memcpy(to->address, m->data + r->at, r->len);
		return true;
	case ANSWER_MX:		/* the root is a null MX, RFC 7505 */
		if (!read_name(m, r, 2, true, pool, to))
			return false;
		to->preference = (uint16_t)get16(m->data + r->at);
		return true;
	case ANSWER_SRV:	/* the root: no such service, RFC 2782 */
		if (!read_name(m, r, 6, true, pool, to))
			return false;
		to->preference = (uint16_t)get16(m->data + r->at);
		to->weight = (uint16_t)get16(m->data + r->at + 2);
		to->port = (uint16_t)get16(m->data + r->at + 4);
		return *to->name == '\0' || to->port != 0;
	case ANSWER_PTR:
		return read_name(m, r, 0, false, pool, to);
	default:
		return false;
	}
}

/* --- the message --------------------------------------------------------- */

/* The answer cannot be used. */
static void
fail(struct answer *a, const char *why)
{
	a->result = ANSWER_FAILED;
	a->why = why;
	a->count = 0;
}

/* Head and question. NULL or why it cannot be used. */
static const char *
read_head(struct message *m, const char *name, enum answer_type type,
    unsigned *rcode)
{
	char		asked[ANSWER_NAME_MAX + 1];
	unsigned	flags;
	size_t		at = HEAD;

	if (m->len < HEAD)
		return "the answer is too short";
	flags = get16(m->data + 2);
	*rcode = flags & RCODE_MASK;
	if ((flags & FLAG_RESPONSE) == 0)
		return "the answer is a question";
	if (flags & FLAG_TRUNCATED)
		return "the answer is cut off";
	if (get16(m->data + 4) != 1 ||
	    !answer_name(m->data, m->len, &at, asked) || m->len - at < 4)
		return "the answer has no question";
	if (strcasecmp(asked, name) != 0 ||
	    get16(m->data + at) != (unsigned)type ||
	    get16(m->data + at + 2) != CLASS_IN)
		return "the answer is to another question";
	m->answers_at = at + 4;
	m->answers = get16(m->data + 6);
	m->authorities = get16(m->data + 8);
	return NULL;
}

/* Follow one CNAME of `name`: 1 found, 0 none, -1 malformed. */
static int
follow(const struct message *m, char name[ANSWER_NAME_MAX + 1], uint32_t *ttl)
{
	struct record	r;
	size_t		at = m->answers_at;
	unsigned	i;

	for (i = 0; i < m->answers; i++) {
		if (!next_record(m, &at, &r))
			return -1;
		if (r.type != ANSWER_CNAME || r.class != CLASS_IN ||
		    strcasecmp(r.owner, name) != 0)
			continue;
		if (r.ttl < *ttl)
			*ttl = r.ttl;
		return data_name(m, &r, 0, name) ? 1 : -1;
	}
	return 0;
}

/* All records of the type that belong to the name. false: malformed. */
static bool
collect(const struct message *m, struct pool *pool, const char *name,
    enum answer_type type, struct answer *a)
{
	struct record	r;
	size_t		at = m->answers_at;
	unsigned	i;

	for (i = 0; i < m->answers; i++) {
		if (!next_record(m, &at, &r))
			return false;
		if (r.type != (unsigned)type || r.class != CLASS_IN ||
		    strcasecmp(r.owner, name) != 0 ||
		    a->count == ANSWER_RECORDS_MAX)
			continue;
		if (a->records == NULL)
			a->records = pool_array(pool, ANSWER_RECORDS_MAX,
			    sizeof(*a->records));
		if (!read_data(m, &r, pool, &a->records[a->count])) {
			a->has_refused = true;
			continue;
		}
		a->count++;
		if (r.ttl < a->ttl)
			a->ttl = r.ttl;
	}
	return true;
}

/* RFC 2308 2.2: with name servers and no SOA record "nothing" only means that
 * others should be asked; a server that we rely upon must not say so. */
static bool
is_referral(const struct message *m)
{
	struct record	r;
	size_t		at = m->answers_at;
	unsigned	i;
	bool		has_servers = false;

	for (i = 0; i < m->answers + m->authorities; i++) {
		if (!next_record(m, &at, &r))
			return false;
		if (i < m->answers)
			continue;
		if (r.type == TYPE_SOA)
			return false;
		has_servers |= r.type == TYPE_NS;
	}
	return has_servers;
}

/* Follow the chain of CNAMEs, then collect at its end. */
static void
read_answers(const struct message *m, struct pool *pool, const char *asked,
    enum answer_type type, struct answer *a)
{
	char	name[ANSWER_NAME_MAX + 1];
	int	links = 0, found;

	(void)strlcpy(name, asked, sizeof name);
	while ((found = follow(m, name, &a->ttl)) == 1)
		if (++links > ANSWER_CHAIN_MAX) {
			fail(a, "the aliases (CNAME) of the name lead nowhere");
			return;
		}
	if (found == -1 || !collect(m, pool, name, type, a))
		fail(a, "the answer is malformed");
	else if (a->count == 0 && a->has_refused)
		fail(a, "the answer has nothing but invalid names or data");
	else if (a->count == 0 && is_referral(m))
		fail(a, "the name server only knows others to ask");
	else
		a->result = a->count > 0 ? ANSWER_OK : ANSWER_NO_DATA;
}

/* Read it all. */
void
answer_parse(struct answer *a, struct pool *pool, const char *name,
    enum answer_type type, const void *data, size_t len)
{
	struct message	 m = { .data = data, .len = len };
	unsigned	 rcode = 0;
	const char	*why;

	memset(a, 0, sizeof(*a));
	a->ttl = UINT32_MAX;
	if (strlen(name) > ANSWER_NAME_MAX)
		fail(a, "the name is too long");
	else if ((why = read_head(&m, name, type, &rcode)) != NULL)
		fail(a, why);
	else if (rcode == RCODE_NO_NAME)
		a->result = ANSWER_NO_NAME;
	else if (rcode != RCODE_OK)
		fail(a, "the name server failed or refused");
	else
		read_answers(&m, pool, name, type, a);
	if (a->ttl == UINT32_MAX)
		a->ttl = 0;
}
