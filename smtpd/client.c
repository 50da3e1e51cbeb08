/*
 * client.c - who is there: address, verified name, and whether we trust it.
 *
 * Called by session.c at both ends of a visit, and when XCLIENT says that the
 * client is somebody else. The name is only believed when it resolves back to
 * the address; dns does both lookups. Behind a proxy (proxy.c) all of this is
 * about the client of the proxy.
 */

#include "smtpd/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "smtpd/crowd.h"
#include "smtpd/limits.h"
#include "smtpd/proxy.h"
#include "smtpd/settings.h"

enum { REVERSE_PATIENCE = 20 * 1000 };

const struct param client_params[] = {
	PARAM_BOOL("smtpd_peername_lookup", set.wants_reverse, "yes",
	    "Look up and verify the client's name; without it every client is "
	    "\"unknown\"."),
	PARAM_BOOL("smtpd_client_port_logging", set.shows_port, "no",
	    "Show the client's port behind its name and address in the log: "
	    "name[address]:port."),
	PARAM_BOOL("smtpd_hide_client_session", set.hides_client, "no",
	    "Leave the client's name and address out of Received:, for "
	    "services whose clients log in; the log has them."),
	PARAM_STRING("smtpd_authorized_verp_clients", set.verp_clients, "", 0,
	    10000, "Names and networks of clients that may ask for XVERP."),
	PARAM_STRING("smtpd_authorized_xclient_hosts", set.xclient_hosts, "",
	    0, 10000, "Names and networks of clients that may say for whom "
	    "else they speak, by XCLIENT: they can become anybody."),
	PARAM_STRING("smtpd_authorized_xforward_hosts", set.xforward_hosts, "",
	    0, 10000, "Names and networks of clients whose XFORWARD is logged "
	    "as where mail came from at first."),
	PARAM_END
};

static struct match	*trusted, *verp, *xclient, *xforward;

/* A list of networks and names; what would have to be looked up lets nobody
 * in. */
static struct match *
prepare_list(struct pool *pool, const char *parameter, const char *value)
{
	struct match	*list;
	char		*why;

	if ((list = match_clients(pool, value, &why)) == NULL)
		die("%s: %s", parameter, why);
	if (match_tables(list) != NULL)
		die("%s: %s: expected networks, names or files; a lookup table "
		    "is not supported here", parameter, match_tables(list));
	return list;
}

/* Say so where everybody is trusted, which hardly anybody means: these are in
 * the networks of no two sites. */
static void
warn_of_everybody(void)
{
	static const char *const	far[] = { "198.51.100.1", "203.0.113.1",
					    "2001:db8::1", "3fff::1" };
	struct inetaddr			address;
	size_t				i;

	for (i = 0; i < 4; i += 2)
		if (inetaddr_parse(&address, far[i]) &&
		    match_address(trusted, &address) &&
		    inetaddr_parse(&address, far[i + 1]) &&
		    match_address(trusted, &address))
			log_warning("mynetworks = %s: this trusts every "
			    "client", site.mynetworks);
}

void
client_prepare(void)
{
	struct pool	*pool;
	const char	*table;
	char		*why;

	pool = pool_new("networks", 0);
	if ((trusted = match_networks(pool, site.mynetworks, &why)) == NULL)
		die("mynetworks: %s", why);
	if ((table = match_tables(trusted)) != NULL)
		die("mynetworks: %s: expected networks or files; a lookup "
		    "table is not supported here", table);
	warn_of_everybody();
	verp = prepare_list(pool, "smtpd_authorized_verp_clients",
	    set.verp_clients);
	xclient = prepare_list(pool, "smtpd_authorized_xclient_hosts",
	    set.xclient_hosts);
	xforward = prepare_list(pool, "smtpd_authorized_xforward_hosts",
	    set.xforward_hosts);
	proxy_prepare();
	peers_prepare(daemon_maincf());
}

/* --- names ---------------------------------------------------------------- */

/* The verified name, and the one that it has by its address alone; both
 * "unknown" while dns cannot tell. */
WAITS static void
find_name(struct session *s)
{
	struct ask_reverse	 question;
	struct reverse		 answer;
	struct pool		*pool;

	s->name = s->reverse_name = "unknown";
	if (!set.wants_reverse)
		return;

	pool = pool_new("reverse name", 0);
	question.address = s->address_text;
	if (link_ask(to_dns, PACKET_ASK_REVERSE, &question, PACKET_REVERSE,
	    &answer, pool, clock_now() + crowd_hasten(REVERSE_PATIENCE),
	    true) == 0) {
		s->name = pool_strdup(s->pool, answer.name);
		if (answer.claimed[0] != '\0')
			s->reverse_name = pool_strdup(s->pool, answer.claimed);
		if (strcmp(s->name, "unknown") == 0 &&
		    answer.claimed[0] != '\0')
			log_warning("hostname %s does not resolve to address "
			    "%s", answer.claimed, s->address_text);
	}
	pool_free(pool);
}

/* All that follows from address and name. */
static void
judge(struct session *s)
{
	s->is_trusted = match_address(trusted, &s->address);
	s->may_verp = match_client(verp, &s->address, s->name);
	s->may_xclient = match_client(xclient, &s->address, s->name);
	s->may_xforward = match_client(xforward, &s->address, s->name);
	s->shown_port = set.shows_port ? s->address.port : 0;
	s->ident = s->shown_port == 0 ?
	    pool_printf(s->pool, "%s[%s]", s->name, s->address_text) :
	    pool_printf(s->pool, "%s[%s]:%lld", s->name, s->address_text,
	    (long long)s->shown_port);
	s->detail = peers_detail(s->name, &s->address);
}

/* --- who is there --------------------------------------------------------- */

/* An end of the connection, as the kernel knows it. */
static int
find_end(int fd, int (*ask)(int, struct sockaddr *, socklen_t *),
    struct inetaddr *end)
{
	struct sockaddr_storage	 address;
	socklen_t		 len;

	len = sizeof(address);
	memset(&address, 0, sizeof(address));
	if (ask(fd, (struct sockaddr *)&address, &len) == -1)
		return -1;
	if (address.ss_family != AF_INET && address.ss_family != AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	inetaddr_from_sockaddr(end, (struct sockaddr *)&address);
	return 0;
}

int
client_arrive(struct session *s, int fd)
{
	struct haproxy	header;

	if (find_end(fd, getpeername, &s->address) == -1 ||
	    find_end(fd, getsockname, &s->server) == -1)
		return -1;
	if (!proxy_is_expected())
		return 0;
	if (proxy_receive(fd, &s->address, &header) == -1)
		return -1;
	if (header.is_proxied) {
		s->address = header.client;
		s->server = header.server;
	}
	return 0;
}

void
client_identify(struct session *s)
{
	inetaddr_print(&s->address, s->address_text, sizeof(s->address_text));
	find_name(s);
	judge(s);
}

/* --- XCLIENT -------------------------------------------------------------- */

/* The address that was told; without one, none is known and none is
 * trusted. */
static void
take_address(struct session *s, const char *text)
{
	uint16_t	port = s->address.port;

	if (*text == '\0' || !inetaddr_parse(&s->address, text)) {
		memset(&s->address, 0, sizeof(s->address));
		snprintf(s->address_text, sizeof(s->address_text), "unknown");
	} else
		inetaddr_print(&s->address, s->address_text,
		    sizeof(s->address_text));
	s->address.port = port;
	s->name = s->reverse_name = "unknown";
}

static const char *
or_unknown(const struct session *s, const char *name)
{
	return *name == '\0' ? "unknown" : pool_strdup(s->pool, name);
}

/* The number of a port; 0 for one that is not known. */
static uint16_t
port_of(const char *text)
{
	int64_t	port;

	return text_integer(text, 0, 65535, &port) == NULL ? (uint16_t)port :
	    0;
}

void
client_become(struct session *s, const struct origin *f)
{
	char *const	*v = f->values;

	client_forget(s);
	s->is_counted = false;
	if (v[ORIGIN_ADDR] != NULL)
		take_address(s, v[ORIGIN_ADDR]);
	if (v[ORIGIN_NAME] != NULL)
		s->name = or_unknown(s, v[ORIGIN_NAME]);
	if (v[ORIGIN_REVERSE_NAME] != NULL)
		s->reverse_name = or_unknown(s, v[ORIGIN_REVERSE_NAME]);
	if (v[ORIGIN_PORT] != NULL)
		s->address.port = port_of(v[ORIGIN_PORT]);
	if (v[ORIGIN_DESTADDR] != NULL &&
	    !inetaddr_parse(&s->server, v[ORIGIN_DESTADDR]))
		memset(&s->server, 0, sizeof(s->server));
	if (v[ORIGIN_DESTPORT] != NULL)
		s->server.port = port_of(v[ORIGIN_DESTPORT]);
	if (v[ORIGIN_LOGIN] != NULL)
		s->login = pool_strdup(s->pool, v[ORIGIN_LOGIN]);
	judge(s);
}

void
client_forget(struct session *s)
{
	if (s->is_counted)
		limits_client_left(s);
}
