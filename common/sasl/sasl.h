#ifndef SASL_SASL_H
#define SASL_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/link.h"

/*
 * SASL (RFC 4422). server.c asks somebody else who knows the users: a Dovecot
 * (dovecot.c) or our own auth process (builtin.c). client.c shows who we are.
 * Challenges and responses are base64 text as SMTP has them (RFC 4954).
 */

/* What a mechanism does, for smtpd_sasl_security_options. */
enum sasl_properties {
	SASL_PLAINTEXT = 1,	/* shows the password */
	SASL_ANONYMOUS = 2, SASL_DICTIONARY = 4, SASL_ACTIVE = 8,
	SASL_MUTUAL = 16, SASL_FORWARD_SECRECY = 32
};
/* "noplaintext, noanonymous" to what is forbidden and what is needed; -1: an
 * unknown word. */
int		 sasl_security_parse(const char *options, unsigned *forbidden,
		    unsigned *needed);
/* Is it in a list like smtpd_sasl_mechanism_filter ("!external, static:rest",
 * "plain, login"; the first word that fits decides, an empty list has all)? */
bool		 sasl_is_allowed(const char *filter, const char *mechanism);
/* Has the list words that only resolve can tell about: files, tables? */
bool		 sasl_filter_has_tables(const char *filter);

/* --- server -------------------------------------------------------------- */

struct sasl_server;
struct sasl_exchange;

/* Who is at the other end. */
struct sasl_peer {
	const char	*service;		/* "smtp", "submission" */
	const char	*client_address, *server_address, *local_name;
	uint16_t	 client_port, server_port;
	bool		 is_encrypted;		/* TLS */
	const unsigned char *exporter, *end_point;	/* channel bindings */
	size_t		 exporter_length, end_point_length;
};

enum sasl_result {
	SASL_OK,		/* text: who it is */
	SASL_CONTINUE,		/* text: the challenge, base64 */
	SASL_REFUSED,		/* text: the reason, for the log; user: whom he
				 * tried to be, or "" */
	SASL_MALFORMED,		/* not as the mechanism wants it */
	SASL_UNKNOWN,		/* no such mechanism */
	SASL_TOO_WEAK,		/* not without encryption */
	SASL_UNAVAILABLE	/* nobody to ask now */
};
struct sasl_step {
	enum sasl_result	 result;
	const char		*text;		/* never NULL, in the pool */
	const char		*user;		/* never NULL, in the pool */
	const char		*final;		/* with OK: data for the client
						 * that goes before 235, base64;
						 * or NULL */
};

/*
 * type: "dovecot" with the path of its socket (below the queue directory, or
 * absolute, or "inet:host:port"), which resolve opens for us; or "postrider",
 * whose users the auth process knows. NULL with *why for another type.
 * Lives as long as the process.
 */
struct sasl_server *sasl_server_new(const char *type, const char *service,
		    struct link *to_resolve, struct link *to_auth,
		    const char **why);

/* The mechanisms that this peer may use, as EHLO lists them ("PLAIN LOGIN"),
 * in the pool; "" while there is nobody to ask. `allowed` is a filter like
 * smtpd_sasl_mechanism_filter ("!external, static:rest", "plain, login"). */
WAITS const char *sasl_mechanisms(struct sasl_server *, struct pool *,
		    const struct sasl_peer *, unsigned forbidden,
		    unsigned needed, const char *allowed);

/* Begin with a mechanism that sasl_mechanisms() listed; initial: the response
 * that came with it ("" for "="), or NULL. *exchange is for
 * sasl_continue() and is always to be ended. */
WAITS struct sasl_exchange *sasl_begin(struct sasl_server *, struct pool *,
		    const struct sasl_peer *, const char *mechanism,
		    const char *initial, struct sasl_step *);
WAITS void	 sasl_continue(struct sasl_exchange *, struct pool *,
		    const char *response, struct sasl_step *);
/* The client gave up, or it is over; NULL is fine. */
void		 sasl_end(struct sasl_exchange *);

/* --- client -------------------------------------------------------------- */

struct sasl_credentials {
	const char	*user, *authorize;	/* authorize: "" for himself */
	const char	*password;		/* or NULL */
	const char	*token;			/* OAuth, or NULL */
	const char	*host;			/* "smtp.example.net", and its */
	uint16_t	 port;
	bool		 is_encrypted;
	const unsigned char *exporter, *end_point;
	size_t		 exporter_length, end_point_length;
};
struct sasl_client;

/* Is it a mechanism that we have at all? */
bool		 sasl_client_knows(const char *mechanism);
/* The best of the offered mechanisms ("PLAIN LOGIN SCRAM-SHA-256") that these
 * credentials can do and that is not forbidden; NULL with *why. */
struct sasl_client *sasl_client_new(struct pool *, const char *offered,
		    const char *allowed, unsigned forbidden, unsigned needed,
		    const struct sasl_credentials *, const char **why);
const char	*sasl_client_mechanism(const struct sasl_client *);
/* The initial response, base64 ("=" for an empty one), or NULL: none. */
const char	*sasl_client_initial(struct sasl_client *);
/* The response to a challenge (the text behind 334); NULL: the server is not
 * what it should be, *why; say "*". */
const char	*sasl_client_answer(struct sasl_client *,
		    const char *challenge, const char **why);
/* What the server said is wrong, in a challenge that was an error answer
 * (RFC 7628 3.2.2); or "". */
const char	*sasl_client_complaint(const struct sasl_client *);
/* After 235 (with what stood behind it): is the server who it should be
 * (mutual authentication of SCRAM)? */
bool		 sasl_client_is_satisfied(struct sasl_client *);
/* Wipe what was secret. */
void		 sasl_client_end(struct sasl_client *);

#endif
