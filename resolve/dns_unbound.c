/*
 * dns_unbound.c - DNS by libunbound: asynchronous, cached, validating when a
 * trust anchor is configured.
 *
 * The library reads its files when its context is made final, which we do
 * before the doors close; its worker thread starts with the first question,
 * which is behind them. Answers come through a descriptor that a fiber reads.
 */
#ifdef HAVE_UNBOUND

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/loop.h"
#include "resolve/dns.h"

/* Who waits for an answer; lies on his fiber's stack. */
struct waiter {
	struct fiber		*fiber;
	bool			 is_done;
	int			 error;
	struct ub_result	*result;
};

static struct ub_ctx	*context;
static struct loop_fd	 answers;

/* One setting of the library. */
static void
option(const char *name, const char *value)
{
	int	error = ub_ctx_set_option(context, name, value);

	if (error != 0)
		log_debug("libunbound does not take %s %s: %s", name, value,
		    ub_strerror(error));
}

/* The servers of dns_servers, or of the system. */
static void
choose_servers(void)
{
	char	*list = mem_strdup(dns_set.servers), *at = list, *word;
	bool	 has_any = false;
	int	 error;

	while ((word = text_next_word(&at)) != NULL) {
		if ((error = ub_ctx_set_fwd(context, word)) != 0)
			die("dns_servers: %s: expected an address or "
			    "address@port: %s", word, ub_strerror(error));
		has_any = true;
	}
	free(list);
	if (!has_any && (error = ub_ctx_resolvconf(context, NULL)) != 0)
		log_warning("/etc/resolv.conf: %s; asking the root servers",
		    ub_strerror(error));
}

/* Zones that the library answers itself unless told not to: the networks of
 * the house have names, and tests have a domain. */
static void
unlock_zones(void)
{
	static const char *const	zones[] = { "test.", "home.arpa." };
	size_t				i;
	int				error;

	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if ((error = ub_ctx_zone_remove(context, zones[i])) != 0)
			die("libunbound: %s", ub_strerror(error));
}

/* Make the context and make it final. */
void
backend_prepare(void)
{
	int	error = 0;

	if ((context = ub_ctx_create()) == NULL)
		die("libunbound: cannot create a context: %s",
		    strerror(errno));
	(void)ub_ctx_debugout(context, NULL);
	/* A thread; the other choice is a process with all our memory. */
	(void)ub_ctx_async(context, 1);
	option("do-not-query-localhost:", "no");
	option("unblock-lan-zones:", "yes");
	option("insecure-lan-zones:", "yes");
	option("edns-buffer-size:", "1232");
	/* A library has 16 questions under way, if nobody says more: so many
	 * strangers whose name servers are silent would stop all mail. */
	option("outgoing-range:", "900");
	choose_servers();
	if (*dns_set.trust_anchor_file != '\0')
		error = ub_ctx_add_ta_file(context,
		    dns_set.trust_anchor_file);
	if (error != 0)
		die("dns_trust_anchor_file: %s: %s",
		    dns_set.trust_anchor_file, ub_strerror(error));
	unlock_zones();
}

/* Hand finished answers to their waiters. */
static void
read_answers(void *unused)
{
	int	error;

	(void)unused;
	fiber_name("answers");
	do {
		if ((error = ub_process(context)) != 0)
			die("libunbound: %s", ub_strerror(error));
	} while (loop_wait_readable(&answers, NEVER) == 0 ||
	    errno != ECANCELED);
}

/* Listen for answers. */
void
backend_start(void)
{
	if (loop_add(&answers, ub_fd(context)) == -1)
		die("libunbound: %s", strerror(errno));
	(void)fiber_start(read_answers, NULL);
}

/* Called by ub_process(), on the fiber above. */
static void
finished(void *arg, int error, struct ub_result *result)
{
	struct waiter	*w = arg;

	w->is_done = true;
	w->error = error;
	w->result = result;
	fiber_wake(w->fiber);
}

/* Move the library's answer into ours. */
static void
take(struct pool *pool, const struct waiter *w, struct raw_answer *to)
{
	const struct ub_result	*r = w->result;

	to->kind = RAW_FAILED;
	if (w->error != 0 || r == NULL) {
		to->why = ub_strerror(w->error);
		return;
	}
	to->is_secure = r->secure != 0;
	if (r->bogus)
		to->why = "the answer is forged or its signatures are broken";
	else if (r->answer_packet == NULL || r->answer_len <= 0)
		to->why = "no answer from any name server";
	else {
		to->kind = RAW_BYTES;
		to->len = (size_t)r->answer_len;
		to->bytes = (unsigned char *)pool_strndup(pool,
		    r->answer_packet, to->len);
	}
}

/* Ask one question and wait, until the deadline. */
WAITS void
backend_query(struct pool *pool, const char *name, enum answer_type type,
    int64_t deadline, struct raw_answer *to)
{
	struct waiter	w = { .fiber = fiber_self() };
	int		error, id = 0;

	error = ub_resolve_async(context, name, (int)type, 1, &w, finished,
	    &id);
	if (error != 0) {
		to->why = ub_strerror(error);
		return;
	}
	while (!w.is_done)
		if (fiber_park(deadline) == -1)
			break;
	if (w.is_done) {
		take(pool, &w, to);
		ub_resolve_free(w.result);
		return;
	}
	(void)ub_cancel(context, id);
	to->why = "no answer in time";
}

#else
typedef int without_unbound;	/* ISO C wants something in a file */
#endif
