/*
 * dns_query.c - one question to DNS, or several at once.
 *
 * Each question has a fiber. Their memory is a pool of their own, which the
 * last one frees: who asked may have to leave before the answers come.
 */
#include <string.h>

#include "common/base/clock.h"
#include "resolve/dns.h"

struct gathering {
	struct pool	*pool;
	struct fiber	*asker;		/* NULL: he left */
	size_t		 left;
};

struct errand {
	struct gathering	*gathering;
	struct query		 query;
	int64_t			 deadline;
};

/* The type as people write it. */
const char *
type_name(enum answer_type type)
{
	switch (type) {
	case ANSWER_A:		return "A";
	case ANSWER_AAAA:	return "AAAA";
	case ANSWER_MX:		return "MX";
	case ANSWER_PTR:	return "PTR";
	case ANSWER_CNAME:	return "CNAME";
	case ANSWER_SRV:	return "SRV";
	}
	return "?";
}

/* Ask the backend and read what it brings. */
static WAITS void
ask(struct pool *pool, struct query *q, int64_t deadline)
{
	struct raw_answer	raw = { .kind = RAW_FAILED };

	backend_query(pool, q->name, q->type, deadline, &raw);
	q->is_secure = raw.is_secure;
	switch (raw.kind) {
	case RAW_BYTES:
		answer_parse(&q->answer, pool, q->name, q->type, raw.bytes,
		    raw.len);
		break;
	case RAW_FAILED:
		q->answer.result = ANSWER_FAILED;
		q->answer.why = raw.why;
		break;
	}
}

/* One fiber's work. */
static void
run(void *arg)
{
	struct errand		*e = arg;
	struct gathering	*g = e->gathering;

	fiber_name("query");
	ask(g->pool, &e->query, e->deadline);
	if (--g->left > 0)
		return;
	if (g->asker != NULL)
		fiber_wake(g->asker);
	else
		pool_free(g->pool);
}

/* Copy the records out of the pool that goes. */
static void
keep(struct pool *pool, struct query *to, const struct query *from)
{
	size_t	i;

	to->answer = from->answer;
	to->is_secure = from->is_secure;
	if (from->answer.count == 0)
		return;
	to->answer.records = pool_array(pool, from->answer.count,
	    sizeof(*to->answer.records));
	for (i = 0; i < from->answer.count; i++) {
		to->answer.records[i] = from->answer.records[i];
		to->answer.records[i].name =
		    pool_strdup(pool, from->answer.records[i].name);
	}
}

/* Send a fiber for each. */
static struct errand *
send_all(struct gathering *g, const struct query *queries, size_t count)
{
	struct errand	*errands;
	size_t		 i;

	errands = pool_array(g->pool, count, sizeof(*errands));
	for (i = 0; i < count; i++) {
		errands[i].gathering = g;
		errands[i].query = queries[i];
		errands[i].query.name = pool_strdup(g->pool,
		    queries[i].name);
		errands[i].deadline = clock_now() + dns_set.timeout;
		(void)fiber_start(run, &errands[i]);
	}
	return errands;
}

/* Ask all and wait. */
WAITS void
query_all(struct pool *pool, struct query *queries, size_t count)
{
	struct pool		*own;
	struct gathering	*g;
	struct errand		*errands;
	size_t			 i;

	if (count == 0)
		return;
	own = pool_new("queries", 0);
	g = pool_alloc(own, sizeof(*g));
	g->pool = own;
	g->asker = fiber_self();
	g->left = count;
	errands = send_all(g, queries, count);
	while (g->left > 0)
		if (fiber_park(NEVER) == -1)
			break;
	if (g->left > 0) {
		g->asker = NULL;
		for (i = 0; i < count; i++)
			queries[i].answer.result = ANSWER_FAILED;
		return;
	}
	for (i = 0; i < count; i++)
		keep(pool, &queries[i], &errands[i].query);
	pool_free(own);
}
