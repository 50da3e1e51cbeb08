/*
 * proxy.c - a proxy stands in front of us, and tells whose connection it is.
 *
 * Called by client.c for each connection, before a word is said. Only a
 * service with smtpd_upstream_proxy_protocol looks for a header, and there
 * nobody comes in without one: a client that reaches the port past the proxy
 * could call itself anybody. What the header says replaces the address of the
 * connection for everything that follows.
 *
 * P1  Exactly the header is read; what comes behind it (TLS perhaps) is for
 *     somebody else.
 * P2  However slowly it comes, it has smtpd_upstream_proxy_timeout in all.
 */

#include "smtpd/proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/loop.h"
#include "common/net/match.h"

#include "smtpd/settings.h"

const struct param proxy_params[] = {
	PARAM_STRING("smtpd_upstream_proxy_protocol", set.proxy_protocol, "",
	    0, 20, "haproxy: a proxy is in front of this service, and each "
	    "connection begins with its header (versions 1 and 2)."),
	PARAM_TIME("smtpd_upstream_proxy_timeout", set.proxy_timeout, "5s", 1,
	    3600, "How long the proxy's header may take."),
	PARAM_STRING("smtpd_upstream_proxy_networks", set.proxy_networks, "",
	    0, 100000, "Networks of the proxies: others are turned away. "
	    "Empty: whoever reaches the port is taken for the proxy."),
	PARAM_END
};

static struct match	*proxies;

void
proxy_prepare(void)
{
	struct pool	*pool;
	const char	*table;
	char		*why;

	if (set.proxy_protocol[0] == '\0')
		return;
	if (!text_equal(set.proxy_protocol, "haproxy"))
		die("smtpd_upstream_proxy_protocol = %s: expected haproxy or "
		    "nothing", set.proxy_protocol);
	if (set.proxy_networks[strspn(set.proxy_networks, " \t,")] == '\0')
		return;
	pool = pool_new("proxies", 0);
	proxies = match_networks(pool, set.proxy_networks, &why);
	if (proxies == NULL)
		die("smtpd_upstream_proxy_networks: %s", why);
	if ((table = match_tables(proxies)) != NULL)
		die("smtpd_upstream_proxy_networks: %s: expected networks or "
		    "files; a lookup table is not supported here", table);
}

bool
proxy_is_expected(void)
{
	return set.proxy_protocol[0] != '\0';
}

/* Like recv(2), but it waits. 0 is the end. */
WAITS static ssize_t
receive(struct loop_fd *from, void *to, size_t len, int flags,
    int64_t deadline)
{
	ssize_t	n;

	while ((n = recv(from->fd, to, len, flags | MSG_DONTWAIT)) == -1) {
		if (errno == EINTR)
			continue;
		if ((errno != EAGAIN && errno != EWOULDBLOCK) ||
		    loop_wait_readable(from, deadline) == -1)
			return -1;
	}
	return n;
}

/* Take so many bytes off. */
WAITS static int
skip(struct loop_fd *from, size_t len, int64_t deadline)
{
	char	some[256];
	ssize_t	n;

	for (; len > 0; len -= (size_t)n) {
		n = receive(from, some, len < sizeof(some) ? len :
		    sizeof(some), 0, deadline);
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return -1;
	}
	return 0;
}

/* P1: look at what is there; while it does not decide, all of it belongs to
 * the header. */
WAITS static int
read_header(struct loop_fd *from, struct haproxy *h, int64_t deadline)
{
	char			data[HAPROXY_DECIDED];
	size_t			len = 0, left;
	ssize_t			n;
	enum haproxy_result	result;

	for (;;) {
		n = receive(from, data + len, sizeof(data) - len, MSG_PEEK,
		    deadline);
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return -1;
		result = haproxy_parse(h, data, len + (size_t)n);
		if (result == HAPROXY_BAD)
			return 0;
		left = result == HAPROXY_OK ? h->length - len : (size_t)n;
		if (skip(from, left, deadline) == -1)
			return -1;
		if (result == HAPROXY_OK)
			return 0;
		len += (size_t)n;
	}
}

/* What the log says of a failure. */
static const char *
name_error(int error)
{
	return error == ETIMEDOUT ? "it did not come in time" :
	    error == ECANCELED ? "the system stops" :
	    error == ECONNRESET ? "the connection was closed in front of it" :
	    strerror(error);
}

int
proxy_receive(int fd, const struct inetaddr *peer, struct haproxy *h)
{
	struct loop_fd	watch;
	char		address[INETADDR_TEXT];
	int		error = 0;

	inetaddr_print(peer, address, sizeof(address));
	if (proxies != NULL && !match_address(proxies, peer)) {
		log_warning("connection from %s refused: it is not in "
		    "smtpd_upstream_proxy_networks", address);
		return -1;
	}
	memset(h, 0, sizeof(*h));
	if (loop_add(&watch, fd) == -1)
		return -1;
	if (read_header(&watch, h, clock_now() + set.proxy_timeout) == -1)
		error = errno;
	loop_remove(&watch);
	if (error == 0 && h->why == NULL)
		return 0;
	log_warning("no proxy header from %s: %s", address,
	    error != 0 ? name_error(error) : h->why);
	return -1;
}
