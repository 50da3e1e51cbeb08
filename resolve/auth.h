#ifndef RESOLVE_AUTH_H
#define RESOLVE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"
#include "common/map/map.h"
#include "common/param/param.h"
#include "common/sasl/scram.h"

/*
 * The parts of the auth program.
 */
extern struct auth_settings {
	char	*users;			/* smtpd_sasl_users */
	int64_t	 iterations;		/* smtpd_sasl_scram_iterations */
} auth_set;

/* --- auth_users.c: who there is ------------------------------------------ */

/* What is known of somebody's password; at least one of the two. */
struct account {
	const char		*name;		/* in lower case */
	const char		*hash;		/* crypt(3), or NULL */
	const char		*verifier;	/* scram.h's text, or NULL */
};

/* Read the value of a row: NULL, or what is wrong with it. Cut up here. */
const char	*account_parse(char *value, struct account *);

void		 users_load(void);		/* as root */
/* In the pool, if it is there. */
enum map_result	 users_find(struct pool *, const char *name, struct account *);
/* Can all of them use SCRAM? */
bool		 users_have_verifiers(void);
/* One who is not there, but looks like those who are: what is computed for
 * him costs the same, and his salt is always the same one. */
void		 users_decoy(struct pool *, const char *name,
		    struct account *, struct scram_verifier *);

/* --- auth_watch.c: changes of the table's files -------------------------- */

/* Before users_load(), as root. */
void		 watch_open(const char *tables);
/* Leave, for a fresh process, when one changes. */
void		 watch_start(void);

/* --- auth_check.c: passwords, on threads --------------------------------- */

void		 check_prepare(void);
/* 1, 0, -1: it cannot be found out now. client: whose guess it is. */
WAITS int	 check_password(struct pool *, const struct account *,
		    const char *password, size_t len, const char *client);

/* --- auth_mechanism.c: what is said -------------------------------------- */

struct dialogue;

/* The words for EHLO. */
const char	*mechanisms_offered(void);
/* In a pool of its own kind, which is wiped. NULL: no such mechanism. */
struct dialogue	*dialogue_new(struct pool *, const struct authenticate *);
/* The next step, from what the client said; NULL: nothing yet. */
WAITS void	 dialogue_step(struct dialogue *, struct pool *,
		    const struct bytes *said, struct auth_step *);

/* --- auth_exchange.c: who is in the middle of what ----------------------- */

void		 exchanges_begin(struct request *);
void		 exchanges_continue(struct request *);
void		 exchanges_end(struct request *);
void		 exchanges_forget(struct channel *, void *);
unsigned	 exchanges_count(void);

#endif
