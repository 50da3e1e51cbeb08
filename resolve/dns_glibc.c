/*
 * dns_glibc.c - DNS by the C library's resolver, on threads, for builds that
 * have no libunbound. It caches nothing and validates nothing.
 *
 * Each resolver state reads /etc/resolv.conf when it is made, before the
 * doors close, and serves one question at a time.
 */
#ifndef HAVE_UNBOUND

#include <netinet/in.h>
#include <arpa/nameser.h>

#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/offload.h"
#include "common/fiber/queue.h"
#include "resolve/dns.h"

enum { STATES = 16, SERVERS = MAXNS, ANSWER_MAX = 65535,
    QUESTION_MAX = 512, DNS_PORT = 53 };

/* A resolver; the free ones form a list. */
struct state {
	struct __res_state	 res;
	struct state		*next;
};

static struct state	 states[STATES], *idle;
static struct semaphore	 idle_count;

/* "address" or "address@port". */
static struct inetaddr
parse_server(char *word)
{
	struct inetaddr	 address;
	const char	*why = NULL;
	int64_t		 port = DNS_PORT;
	char		*at = strchr(word, '@');

	if (at != NULL) {
		*at++ = '\0';
		why = text_integer(at, 1, 65535, &port);
	}
	if (why != NULL || !inetaddr_parse(&address, word))
		die("dns_servers: %s: expected an address or address@port",
		    word);
	address.port = (uint16_t)port;
	return address;
}

/* The resolver keeps IPv6 addresses beside the array for IPv4. */
static void
set_server(struct __res_state *res, int number, const struct inetaddr *server)
{
	struct sockaddr_storage	 ss;
	struct sockaddr_in6	*six;

	(void)inetaddr_to_sockaddr(server, &ss);
	memset(&res->nsaddr_list[number], 0,
	    sizeof(res->nsaddr_list[number]));
	if (server->family == AF_INET) {
		memcpy(&res->nsaddr_list[number], &ss,
		    sizeof(res->nsaddr_list[number]));
		return;
	}
	six = mem_alloc(sizeof(*six));
	memcpy(six, &ss, sizeof(*six));
	res->_u._ext.nsaddrs[number] = six;
	res->_u._ext.nssocks[number] = -1;
}

/* dns_servers instead of /etc/resolv.conf's. */
static void
set_servers(struct __res_state *res)
{
	struct inetaddr	 server;
	char		*list = mem_strdup(dns_set.servers), *at = list, *word;
	int		 n = 0;

	while ((word = text_next_word(&at)) != NULL && n < SERVERS) {
		server = parse_server(word);
		set_server(res, n++, &server);
	}
	if (n > 0)
		res->nscount = n;
	free(list);
}

/* Share dns_timeout out among servers and tries, as the resolver counts: one
 * round with this much for each server, then a round with twice as much for
 * all together. */
static void
set_patience(struct __res_state *res)
{
	int	seconds = (int)(dns_set.timeout / 1000);
	int	servers = res->nscount > 0 ? res->nscount : 1;

	res->retry = seconds >= servers + 2 ? 2 : 1;
	res->retrans = seconds / (res->retry == 2 ? servers + 2 : servers);
	if (res->retrans < 1)
		res->retrans = 1;
}

/* Make all resolvers while /etc/resolv.conf is in sight. */
void
backend_prepare(void)
{
	int	i;

	if (*dns_set.trust_anchor_file != '\0')
		log_warning("dns_trust_anchor_file: this build has no "
		    "libunbound and does not validate");
	for (i = 0; i < STATES; i++) {
		memset(&states[i].res, 0, sizeof(states[i].res));
		if (res_ninit(&states[i].res) == -1)
			die("the resolver cannot be initialised");
		set_servers(&states[i].res);
		set_patience(&states[i].res);
		states[i].next = idle;
		idle = &states[i];
	}
}

/* Start the threads. */
void
backend_start(void)
{
	semaphore_init(&idle_count, STATES);
	offload_threads(STATES);
	offload_prepare();
}

/* What a thread gets and gives. */
struct job {
	struct state	*state;
	const char	*name;
	enum answer_type type;
	unsigned char	*bytes;
};

/* Ask, on a thread. The length of whatever answer there is, or -1: the
 * library's res_nquery() would keep answers without records to itself. */
static int
work(void *arg)
{
	struct job	*job = arg;
	unsigned char	 question[QUESTION_MAX];
	int		 len;

	len = res_nmkquery(&job->state->res, QUERY, job->name, C_IN,
	    (int)job->type, NULL, 0, NULL, question, sizeof(question));
	return len == -1 ? -1 : res_nsend(&job->state->res, question, len,
	    job->bytes, ANSWER_MAX);
}

/* Ask one question with a free resolver. */
WAITS void
backend_query(struct pool *pool, const char *name, enum answer_type type,
    int64_t deadline, struct raw_answer *to)
{
	struct job	job = { .name = name, .type = type };
	int		len;

	if (semaphore_take(&idle_count, deadline) == -1) {
		to->why = "too many questions at once";
		return;
	}
	job.state = idle;
	idle = idle->next;
	job.bytes = mem_alloc(ANSWER_MAX);
	len = offload(work, &job);
	if (len >= 0) {
		to->kind = RAW_BYTES;
		to->len = (size_t)len < ANSWER_MAX ? (size_t)len : ANSWER_MAX;
		to->bytes = (unsigned char *)pool_strndup(pool, job.bytes,
		    to->len);
	} else {
		to->why = "no answer from any name server";
	}
	free(job.bytes);
	job.state->next = idle;
	idle = job.state;
	semaphore_give(&idle_count);
}

#else
typedef int with_unbound;	/* ISO C wants something in a file */
#endif
