/*
 * cache.pml - conversations that are kept for the next message: smtp/cache.c.
 *
 * Two deliveries, to different next hops of the same host, one of which wants
 * TLS; two conversations; a host that may hang up or speak out of turn while
 * a conversation is idle.
 *
 *	SAME	a delivery has a conversation that it would have opened (C1)
 *	ONE	a conversation has one user, or waits, or is closed
 *	TURN	the n-th reply is the reply to the n-th command
 *	END	when the process ends none is left open
 */
#define OPENS	4

/* a conversation */
#define CLOSED	0
#define USED	1
#define WARM	2
#define GIVEN	3		/* is_wanted() asks resolve and waits */

byte c[2];
bit tls[2], broken[2], owes[2];
byte user[2];
byte unread[2];			/* said by the host, not read */
byte has[2] = { 9, 9 };		/* a delivery's conversation */
byte opens;
bit is_closing, hung_up[2];

#define WANTS(d)	d	/* TLS */
#ifdef MUTANT_BY_NAME
#define SERVES(d, x)	1
#else
#define SERVES(d, x)	(tls[x] == WANTS(d))
#endif
#ifdef MUTANT_NOT_QUIET
#define QUIET(x)	1
#else
#define QUIET(x)	(unread[x] == 0 && !hung_up[x])
#endif
#ifdef MUTANT_KEEPS_BROKEN
#define WANTED(x)	1
#else
#define WANTED(x)	(!broken[x])
#endif
/* It may have begun to end while resolve was asked. */
#ifdef MUTANT_ASKED_TOO_EARLY
#define STILL	1
#else
#define STILL	(!is_closing)
#endif

inline shut(x)
{
	c[x] = CLOSED; unread[x] = 0; hung_up[x] = 0; broken[x] = 0; owes[x] = 0
}

#define HOST(x) \
	:: atomic { c[x] == WARM && unread[x] == 0 -> unread[x] = 1 } \
	:: atomic { c[x] == WARM -> hung_up[x] = 1 } \
	/* We have waited enough; what it owes comes when it likes. */ \
	:: atomic { c[x] == USED && !broken[x] -> broken[x] = 1; owes[x] = 1 } \
	:: atomic { owes[x] -> owes[x] = 0; unread[x] = 1; \
		assert(c[x] != USED || broken[x]) }		/* TURN */

#define TAKE(d, x) \
	:: atomic { has[d] == 9 && c[x] == WARM && SERVES(d, x) -> \
		if \
		:: QUIET(x) -> \
			assert(c[x] == WARM);			/* ONE */ \
			c[x] = USED; broken[x] = 0; user[x] = d; has[d] = x; \
			assert(tls[x] == WANTS(d));		/* SAME */ \
			assert(unread[x] == 0)			/* TURN */ \
		:: else -> shut(x) \
		fi } \
	:: atomic { has[d] == 9 && c[x] == CLOSED && !is_closing && \
		opens < OPENS -> opens++; \
		c[x] = USED; tls[x] = WANTS(d); user[x] = d; has[d] = x } \
	:: atomic { has[d] == x -> \
		assert(c[x] == USED && user[x] == d);		/* ONE */ \
		has[d] = 9; \
		if \
		:: WANTED(x) && !is_closing -> c[x] = GIVEN \
		:: else -> shut(x) \
		fi }

#define HOUSE(x) \
	:: atomic { c[x] == GIVEN && STILL -> c[x] = WARM } \
	:: atomic { c[x] == GIVEN && !STILL -> shut(x) } \
	:: atomic { c[x] == WARM -> shut(x) }		/* it has grown cold */

init
{
end:	do
	HOST(0) HOST(1)
	TAKE(0, 0) TAKE(0, 1) TAKE(1, 0) TAKE(1, 1)
	HOUSE(0) HOUSE(1)
	:: atomic { !is_closing -> is_closing = 1;
		if
		:: c[0] == WARM -> shut(0)
		:: else
		fi;
		if
		:: c[1] == WARM -> shut(1)
		:: else
		fi }
	/* Nobody looks again: what is warm now stays so. */
	:: atomic { is_closing -> assert(c[0] != WARM && c[1] != WARM) } /* END */
	od
}
