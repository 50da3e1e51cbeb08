#ifndef NET_INETADDR_H
#define NET_INETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* IPv4 and IPv6 addresses: printing, reading, comparing, masking. A mapped
 * IPv4 address (::ffff:a.b.c.d) is treated as IPv4 everywhere. */
struct inetaddr {
	int		 family;	/* AF_INET, AF_INET6 */
	unsigned char	 bytes[16];
	uint16_t	 port;
	uint32_t	 scope;
};
enum { INETADDR_TEXT = 64 };

bool		 inetaddr_parse(struct inetaddr *, const char *text);
void		 inetaddr_from_sockaddr(struct inetaddr *,
		    const struct sockaddr *);
socklen_t	 inetaddr_to_sockaddr(const struct inetaddr *,
		    struct sockaddr_storage *);
/* "192.0.2.1" or "2001:db8::1", without port. */
char		*inetaddr_print(const struct inetaddr *, char *to, size_t);
bool		 inetaddr_equal(const struct inetaddr *,
		    const struct inetaddr *);
bool		 inetaddr_in(const struct inetaddr *,
		    const struct inetaddr *network, unsigned prefix);
bool		 inetaddr_is_loopback(const struct inetaddr *);

/* "192.0.2.0/24", "[2001:db8::]/32", "[::1]": NULL, or what is wrong (host
 * bits set: the network that was meant is named). */
const char	*inetaddr_parse_network(const char *, struct inetaddr *,
		    unsigned *prefix);

/* The addresses of this host's interfaces, for mynetworks_style and loops. */
int		 inetaddr_of_interfaces(struct inetaddr *to, int room);

#endif
