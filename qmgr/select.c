/*
 * select.c - which messages an administrator means.
 *
 * Used by the queue command only: it sees every message as a struct
 * queue_entry, whoever has read it.
 */
#include "qmgr/select.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/queue/queue.h"

enum { LONGEST = 10 * 366 * 86400 };	/* seconds */

static const char *const	queues[SELECT_QUEUES] = {
	"incoming", "active", "deferred", "hold", "corrupt"
};

/* Everything. */
void
select_init(struct selection *s)
{
	*s = (struct selection){ .older = -1, .younger = -1, .smallest = -1,
	    .largest = -1, .limit = -1 };
}

/* --- options ------------------------------------------------------------- */

/* The number of a queue. */
int
select_queue(const char *name)
{
	int	i;

	for (i = 0; i < SELECT_QUEUES; i++)
		if (strcmp(queues[i], name) == 0)
			return i;
	return -1;
}

/* One word of a list "hold,deferred". */
static const char *
add_queue(struct selection *s, const char *name, size_t len)
{
	char	word[16];
	int	queue;

	if (len >= sizeof(word))
		return "expected incoming, active, deferred, hold or corrupt";
	memcpy(word, name, len);
	word[len] = '\0';
	if ((queue = select_queue(word)) == -1)
		return "expected incoming, active, deferred, hold or corrupt";
	s->queues |= 1u << queue;
	return NULL;
}

/* --queue NAME[,NAME...] */
static const char *
take_queues(struct selection *s, const char *value)
{
	const char	*why;
	size_t		 len;

	for (;; value += len + 1) {
		len = strcspn(value, ",");
		if ((why = add_queue(s, value, len)) != NULL)
			return why;
		if (value[len] == '\0')
			return NULL;
	}
}

/* --size [+|-]SIZE */
static const char *
take_size(struct selection *s, const char *value)
{
	int64_t		*to = *value == '-' ? &s->largest : &s->smallest;

	if (*value == '-' || *value == '+')
		value++;
	return text_size(value, 0, INT64_MAX / 2, to);
}

/* A pattern; "<>" is how people write the null sender. */
static const char *
take_address(const char **to, const char *value)
{
	*to = strcmp(value, "<>") == 0 || text_equal(value, "MAILER-DAEMON") ?
	    "" : value;
	return NULL;
}

static const char *
take_sender(struct selection *s, const char *value)
{
	return take_address(&s->sender, value);
}

static const char *
take_recipient(struct selection *s, const char *value)
{
	s->recipient = value;
	return *value == '\0' ? "expected a pattern" : NULL;
}

static const char *
take_domain(struct selection *s, const char *value)
{
	s->domain = *value == '@' ? value + 1 : value;
	return *s->domain == '\0' ? "expected a pattern" : NULL;
}

static const char *
take_reason(struct selection *s, const char *value)
{
	s->reason = value;
	return *value == '\0' ? "expected a pattern" : NULL;
}

static const char *
take_older(struct selection *s, const char *value)
{
	return text_duration(value, 's', 0, LONGEST, &s->older);
}

static const char *
take_younger(struct selection *s, const char *value)
{
	return text_duration(value, 's', 0, LONGEST, &s->younger);
}

static const char *
take_limit(struct selection *s, const char *value)
{
	return text_integer(value, 0, INT64_MAX / 2, &s->limit);
}

static const struct {
	const char	*name;
	const char	*(*take)(struct selection *, const char *);
} options[] = {
	{ "sender",	take_sender },
	{ "recipient",	take_recipient },
	{ "domain",	take_domain },
	{ "reason",	take_reason },
	{ "older",	take_older },
	{ "younger",	take_younger },
	{ "size",	take_size },
	{ "queue",	take_queues },
	{ "limit",	take_limit },
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

/* One option. */
const char *
select_option(struct selection *s, const char *name, const char *value)
{
	size_t	i;

	for (i = 0; i < OPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			return options[i].take(s, value);
	return "there is no such option";
}

/* Is there one? */
bool
select_is_option(const char *name)
{
	size_t	i;

	for (i = 0; i < OPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			return true;
	return false;
}

/* --- matching ------------------------------------------------------------ */

/* Lower case, ASCII only. */
static char
fold_case(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/*
 * Does it match? When the text behind a * does not fit, the last * takes one
 * character more; earlier ones need not be tried again, so that the work is
 * at most one length times the other.
 */
bool
select_glob(const char *pattern, const char *text, size_t fold)
{
	const char	*p = pattern, *t = text;
	const char	*star = NULL, *behind = NULL;

	while (*t != '\0') {
		if (*p == '*') {
			star = ++p;
			behind = t;
		} else if (*p == '?' || (*p != '\0' && (*p == *t ||
		    ((size_t)(t - text) >= fold &&
		    fold_case(*p) == fold_case(*t))))) {
			p++;
			t++;
		} else if (star != NULL) {
			p = star;
			t = ++behind;
		} else
			return false;
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

/* An address: its domain without case. */
static bool
matches_address(const char *pattern, const char *address)
{
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	return select_glob(pattern, address, domain == NULL ? SIZE_MAX :
	    (size_t)(domain - address));
}

/* The domain of an address. */
static bool
matches_domain(const char *pattern, const char *address)
{
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	return domain != NULL && select_glob(pattern, domain, 0);
}

/* A pattern somewhere in a text. */
static bool
is_within(const char *pattern, const char *text)
{
	size_t	len = strlen(pattern), at;
	char	whole[1024];

	if (len + 3 > sizeof(whole))
		return false;
	whole[0] = '*';
	for (at = 0; at < len; at++)
		whole[at + 1] = pattern[at];
	whole[len + 1] = '*';
	whole[len + 2] = '\0';
	return select_glob(whole, text, 0);
}

/* Is one recipient as it must be, in every respect? */
static bool
matches_recipient(const struct selection *s, const struct queue_recipient *r)
{
	if (s->recipient != NULL && !matches_address(s->recipient,
	    r->address) && (r->original[0] == '\0' ||
	    !matches_address(s->recipient, r->original)))
		return false;
	if (s->domain != NULL && !matches_domain(s->domain, r->address))
		return false;
	return s->reason == NULL || is_within(s->reason, r->reason);
}

/* Is there a recipient like that? */
static bool
has_recipient(const struct selection *s, const struct queue_entry *e)
{
	size_t	i;

	if (s->recipient == NULL && s->domain == NULL && s->reason == NULL)
		return true;
	for (i = 0; i < e->count; i++)
		if (matches_recipient(s, &e->recipients[i]))
			return true;
	return false;
}

/* Its queue. corrupt/ must be asked for. */
bool
select_takes_queue(const struct selection *s, const char *name)
{
	int	queue = select_queue(name);

	if (queue == -1)
		return s->queues == 0;
	if (s->queues == 0)
		return queue != SELECT_CORRUPT;
	return (s->queues & 1u << queue) != 0;
}

/* All of it. */
bool
select_matches(const struct selection *s, const struct queue_entry *e,
    int64_t now_us)
{
	int64_t	age = (now_us - e->arrival_us) / 1000;

	return select_takes_queue(s, e->queue) &&
	    (s->older == -1 || age > s->older) &&
	    (s->younger == -1 || age < s->younger) &&
	    (s->smallest == -1 || e->size >= s->smallest) &&
	    (s->largest == -1 || e->size <= s->largest) &&
	    (s->sender == NULL || matches_address(s->sender, e->sender)) &&
	    has_recipient(s, e);
}

/* Is more than the name asked about? */
bool
select_needs_file(const struct selection *s)
{
	return s->sender != NULL || s->recipient != NULL ||
	    s->domain != NULL || s->reason != NULL || s->older != -1 ||
	    s->younger != -1 || s->smallest != -1 || s->largest != -1;
}

/* Is nothing asked about? */
bool
select_is_everything(const struct selection *s)
{
	return !select_needs_file(s) && s->queues == 0 && s->limit == -1;
}
