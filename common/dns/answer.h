#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

/*
 * A DNS answer as bytes (RFC 1035 4) to records. Pure; every length and every
 * pointer in the bytes is taken for a lie until it is checked.
 */
enum answer_type {
	ANSWER_A = 1, ANSWER_CNAME = 5, ANSWER_PTR = 12, ANSWER_MX = 15,
	ANSWER_AAAA = 28, ANSWER_SRV = 33
};

enum {
	ANSWER_NAME_MAX = 253,		/* presentation form, no final dot */
	ANSWER_RECORDS_MAX = 200,	/* more are not looked at */
	ANSWER_CHAIN_MAX = 16		/* CNAMEs */
};

enum answer_result {
	ANSWER_OK,		/* records of the type asked for */
	ANSWER_NO_DATA,		/* the name exists, such records do not */
	ANSWER_NO_NAME,		/* NXDOMAIN */
	ANSWER_FAILED		/* SERVFAIL, REFUSED, malformed, a lie */
};

struct answer_record {
	uint16_t	 preference;	/* MX; priority of SRV */
	uint16_t	 weight, port;	/* SRV (RFC 2782) */
	char		*name;		/* MX, PTR, SRV: "" is the root */
	unsigned char	 address[16];	/* A: the first 4 */
};

struct answer {
	enum answer_result	 result;
	const char		*why;		/* FAILED: a literal */
	uint32_t		 ttl;		/* the least of all used */
	bool			 has_refused;	/* records left out */
	struct answer_record	*records;
	size_t			 count;
};

/*
 * Read the answer to (name, type). CNAMEs are followed inside the message
 * from `name` on; records of other names are ignored. Names that are not host
 * names (control bytes, spaces, empty labels, too long) are left out.
 */
void	 answer_parse(struct answer *, struct pool *, const char *name,
	    enum answer_type, const void *message, size_t len);

/* A name at *at, decompressed in presentation form without the final dot;
 * *at moves behind it. false: malformed. */
bool	 answer_name(const unsigned char *message, size_t len, size_t *at,
	    char to[ANSWER_NAME_MAX + 1]);

/* May it be the name of a host: labels of letters, digits, - and _? */
bool	 answer_is_host_name(const char *);

#endif
