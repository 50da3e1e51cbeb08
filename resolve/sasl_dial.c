/*
 * sasl_dial.c - connections to the Dovecot that smtpd asks who its users are.
 *
 * SD1  smtpd names a line of master.cf, never an endpoint: where to connect
 *      is what smtpd_sasl_path says for that line, and only if its
 *      smtpd_sasl_type is dovecot and its smtpd_sasl_auth_enable is yes.
 */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/link.h"
#include "common/net/dial.h"
#include "common/param/site.h"
#include "resolve/resolve.h"

#define INET_PREFIX	"inet:"
#define UNIX_PREFIX	"unix:"

enum { CONNECT_TIME = 5000 };	/* milliseconds */

/* --- where --------------------------------------------------------------- */

/* What we look for in the settings, and what was found. */
struct search {
	struct pool	*pool;
	const char	*service;
	bool		 is_found;
	char		*enable, *type, *path;
};

/* A setting as this line has it. */
static char *
value_of(struct search *s, struct maincf *mc, const char *name,
    const char *otherwise)
{
	char		*why = NULL;
	const char	*value = maincf_value(mc, s->pool, name, &why);

	return pool_strdup(s->pool, value != NULL ? value : otherwise);
}

/* One line of master.cf, or (first) main.cf alone. */
static void
look_at_service(void *context, const char *service, const char *program,
    struct maincf *mc)
{
	struct search	*s = context;

	if (*service != '\0' && (s->is_found ||
	    strcmp(service, s->service) != 0 || strcmp(program, "smtpd") != 0))
		return;
	s->is_found = *service != '\0';
	s->enable = value_of(s, mc, "smtpd_sasl_auth_enable", "no");
	s->type = value_of(s, mc, "smtpd_sasl_type", "postrider");
	s->path = value_of(s, mc, "smtpd_sasl_path", "smtpd");
}

/* The endpoint of this line, NULL when it has none. */
static const char *
find_endpoint(struct pool *pool, const char *service)
{
	struct search	s = { .pool = pool, .service = service };

	services_walk(look_at_service, &s);
	return text_equal(s.enable, "yes") && text_equal(s.type, "dovecot") &&
	    *s.path != '\0' ? s.path : NULL;
}

/* --- how ----------------------------------------------------------------- */

/* The addresses of a host's name. */
static WAITS int
ask_dns(struct pool *pool, const char *host, struct hosts *found)
{
	static struct link	*dns;
	struct ask_hosts	 ask = { .name = pool_strdup(pool, host),
				    .flags = HOSTS_FROM_DNS |
				    HOSTS_FROM_FILE };

	if (dns == NULL)
		dns = link_new("dns", site_processes("dns"), NULL);
	if (link_ask(dns, PACKET_ASK_HOSTS, &ask, PACKET_HOSTS, found, pool,
	    clock_now() + CONNECT_TIME, true) == -1)
		return -1;
	if (found->result == HOSTS_OK && found->count > 0)
		return 0;
	errno = EHOSTUNREACH;
	return -1;
}

/* Try all addresses of a host. */
static WAITS int
dial_name(struct pool *pool, const char *host, uint16_t port)
{
	struct inetaddr	to;
	struct hosts	found;
	size_t		i;
	int		fd = -1;

	if (ask_dns(pool, host, &found) == -1)
		return -1;
	errno = EHOSTUNREACH;
	for (i = 0; fd == -1 && i < found.hosts[0].count; i++) {
		if (!inetaddr_parse(&to, found.hosts[0].addresses[i].address))
			continue;
		to.port = port;
		fd = dial(&to, NULL, clock_now() + CONNECT_TIME);
	}
	return fd;
}

/* "host:port", "[::1]:port". */
static WAITS int
dial_inet(struct pool *pool, const char *endpoint)
{
	char		*host = pool_strdup(pool, endpoint), *colon;
	struct inetaddr	 to;
	int64_t		 port;

	if ((colon = strrchr(host, ':')) == NULL ||
	    text_integer(colon + 1, 1, 65535, &port) != NULL) {
		errno = EINVAL;
		return -1;
	}
	*colon = '\0';
	if (*host == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		host++;
	}
	if (!inetaddr_parse(&to, host))
		return dial_name(pool, host, (uint16_t)port);
	to.port = (uint16_t)port;
	return dial(&to, NULL, clock_now() + CONNECT_TIME);
}

/* Either kind. */
static WAITS int
dial_endpoint(struct pool *pool, const char *endpoint)
{
	if (strncmp(endpoint, INET_PREFIX, strlen(INET_PREFIX)) == 0)
		return dial_inet(pool, endpoint + strlen(INET_PREFIX));
	if (strncmp(endpoint, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		endpoint += strlen(UNIX_PREFIX);
	return dial_socket(endpoint);
}

/* Answer smtpd. */
WAITS void
sasl_dial(struct pool *pool, const struct ask_sasl *ask, struct dialed *to)
{
	const char	*endpoint = find_endpoint(pool, ask->service);
	int		 problem;

	memset(to, 0, sizeof(*to));
	to->text = pool_strdup(pool, "");
	to->socket = -1;
	to->result = ROUTE_TEMPORARY;
	if (endpoint == NULL) {
		log_warning("no SASL server for %s: it has smtpd_sasl_type = "
		    "dovecot with smtpd_sasl_auth_enable = yes nowhere",
		    ask->service);
		to->text = pool_strdup(pool, "this service has none");
		return;
	}
	to->socket = dial_endpoint(pool, endpoint);
	problem = errno;
	if (to->socket != -1)
		to->result = ROUTE_OK;
	else
		to->text = pool_printf(pool, "%.1000s: %s%s", endpoint,
		    strerror(problem), dial_advice(problem));
}
