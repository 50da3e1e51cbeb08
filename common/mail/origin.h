#ifndef MAIL_ORIGIN_H
#define MAIL_ORIGIN_H

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * What one mail server tells another of a client: the attributes of XCLIENT
 * and XFORWARD, "NAME=mx.example.org ADDR=192.0.2.1", values in xtext.
 */
enum origin_attribute {
	ORIGIN_NAME, ORIGIN_ADDR, ORIGIN_PORT, ORIGIN_PROTO, ORIGIN_HELO,
	ORIGIN_IDENT, ORIGIN_SOURCE,
	ORIGIN_REVERSE_NAME, ORIGIN_LOGIN, ORIGIN_DESTADDR,
	ORIGIN_DESTPORT,
	ORIGIN_ATTRIBUTES
};
/* Which of them a command knows, as bits. */
enum {
	ORIGIN_XFORWARD = 1 << ORIGIN_NAME | 1 << ORIGIN_ADDR |
	    1 << ORIGIN_PORT | 1 << ORIGIN_PROTO | 1 << ORIGIN_HELO |
	    1 << ORIGIN_IDENT | 1 << ORIGIN_SOURCE,
	ORIGIN_XCLIENT = 1 << ORIGIN_NAME | 1 << ORIGIN_ADDR |
	    1 << ORIGIN_PORT | 1 << ORIGIN_PROTO | 1 << ORIGIN_HELO |
	    1 << ORIGIN_REVERSE_NAME | 1 << ORIGIN_LOGIN |
	    1 << ORIGIN_DESTADDR | 1 << ORIGIN_DESTPORT
};

/* Decoded values: NULL when not given, "" for [UNAVAILABLE], and for
 * [TEMPUNAVAIL], which are told apart by nobody here. ADDR is as
 * inetaddr_parse() wants it, without "IPV6:". */
struct origin { char *values[ORIGIN_ATTRIBUTES]; };

/*
 * Take the attributes of a command, over those that came before. NULL, or the
 * complaint to reply with ("Bad ADDR syntax: 1.2.3"); then some may have been
 * taken. Values are bounded: 255 bytes, IDENT 64.
 */
const char	*origin_parse(struct origin *, struct pool *,
		    unsigned known, const char *text);

/* Append those of `which` that are given, with a blank between them. */
void		 origin_format(struct str *, const struct origin *,
		    unsigned which);

const char	*origin_name(enum origin_attribute);

/* PROTO knows SMTP and ESMTP only: what "ESMTPSA" (RFC 3848) and the like are
 * here, in logs, and for commands; "" for "". */
const char	*origin_protocol(const char *with);

/* The bits of what a server offers behind its keyword, "NAME ADDR ...". */
unsigned	 origin_offered(const char *words);

#endif
