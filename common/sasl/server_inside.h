#ifndef SASL_SERVER_INSIDE_H
#define SASL_SERVER_INSIDE_H

#include "common/sasl/sasl.h"

/*
 * What server.c and those it asks share; nobody else includes it. Between
 * them data is bytes, not base64.
 */
enum {
	SASL_ASK_TIME = 30 * 1000	/* milliseconds for one answer */
};

struct sasl_offer { const char *name; unsigned properties; };

/* What was answered; the data in the exchange's pool. */
struct sasl_answer {
	enum sasl_result	 result;
	const void		*data;		/* NULL: none */
	size_t			 length;
	const char		*user, *text;	/* NULL: none */
};

struct sasl_backend {
	bool	 binds_channels;		/* does -PLUS make sense? */
	/* What it offers now, at most *count of them; 0 when nobody is there.
	 * Valid until the next wait. */
	WAITS const struct sasl_offer *(*offers)(struct sasl_server *,
		    size_t *count);
	/* said: what the client said, NULL for nothing. */
	WAITS void (*begin)(struct sasl_exchange *, const struct sasl_peer *,
		    const char *mechanism, const struct bytes *said,
		    struct sasl_answer *);
	WAITS void (*next)(struct sasl_exchange *, const struct bytes *said,
		    struct sasl_answer *);
	void	 (*end)(struct sasl_exchange *);
};

struct sasl_server {
	const struct sasl_backend *backend;
	const char	*service;		/* line of master.cf */
	struct link	*link;			/* to resolve, or to auth */
	void		*state;			/* the backend's */
	bool		 hides_plus;		/* -PLUS was filtered out */
};

struct sasl_exchange {
	struct sasl_server	*server;
	struct pool		*pool;		/* wiped at the end */
	bool			 is_over;	/* the backend forgot it */
	void			*state;		/* the backend's */
};

extern const struct sasl_backend	sasl_builtin, sasl_dovecot;
void		 sasl_builtin_open(struct sasl_server *);
void		 sasl_dovecot_open(struct sasl_server *);

/* "nobody can be asked". */
void		 sasl_unavailable(struct sasl_answer *, const char *text);

#endif
