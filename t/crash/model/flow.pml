/*
 * flow.pml - back pressure goes round no circle: smtpd gives mail to cleanup,
 * cleanup tells qmgr, qmgr hands what failed to bounce, and bounce gives its
 * report to cleanup. What comes from outside goes through a content filter,
 * which answers qmgr only when it has given the mail back to cleanup.
 *
 * Mail from outside waits while the backlog is long, for a bounded time
 * (cleanup/inflow.c); mail of our own making does not, and commits by turns of
 * its own (cleanup/commit.c), with room that others leave (cleanup/room.c P1).
 * Nor does what the filter gives back wait (cleanup/inflow.c P2).
 * A fiber that receives never waits to send (common/ipc/send.c): what does not
 * fit is kept. Clients may wait for ever, if nothing bounds them.
 *
 *	ENDS	when nothing can happen any more, every message is delivered or
 *		its report is, and no client waits
 */
#define CLIENTS	3
#define BACKLOG	1
#define PIPE	1		/* packets that a socket holds */
#define FILTERS	1		/* messages that the filter has at once */

byte clients = CLIENTS;
byte turns = 1, own_turns = 1;
byte waiting;			/* for the backlog to go */
byte committing, own_committing;
byte to_qmgr, to_cleanup;	/* packets in the sockets */
byte fresh, filtering;		/* not yet in the filter; there */
byte backlog, failed, done, kept;
#define MUCH	(fresh + backlog + failed >= BACKLOG)

#ifdef MUTANT_WAITS_FOR_EVER
#define TIRED	0
#else
#define TIRED	1
#endif
/* Whoever waits for the backlog has no turn meanwhile. */
#ifdef MUTANT_HOLDS_A_TURN
#define TURN(n)	turns = turns - n
#else
#define TURN(n)	skip
#endif
#ifdef MUTANT_ONE_POOL
#define OWN	turns
#else
#define OWN	own_turns
#endif
#ifdef MUTANT_SLOWS_FILTERS
#define FILTER_MAY	(!MUCH || TIRED)
#else
#define FILTER_MAY	1
#endif
#ifdef MUTANT_SLOWS_REPORTS
#define REPORT_MAY	(!MUCH)
#else
#define REPORT_MAY	1
#endif

init
{
end:	do
	/* a client's mail */
	:: atomic { clients > 0 && turns > 0 && MUCH ->
		clients--; waiting++; TURN(1) }
	:: atomic { waiting > 0 && (!MUCH || TIRED) ->
		waiting--;
#ifdef MUTANT_HOLDS_A_TURN
		turns++;
#endif
		committing++ }
	:: atomic { clients > 0 && turns > 0 && !MUCH ->
		clients--; committing++ }
	/* committed; qmgr is told */
#ifdef MUTANT_RECEIVER_WAITS
	:: atomic { committing > 0 && to_qmgr < PIPE ->
		committing--; to_qmgr++ }
#else
	:: atomic { committing > 0 ->
		committing--;
		if
		:: to_qmgr < PIPE -> to_qmgr++
		:: else -> kept++
		fi }
	:: atomic { kept > 0 && to_qmgr < PIPE -> kept--; to_qmgr++ }
#endif
	/* qmgr reads whenever there is something */
#ifdef MUTANT_RECEIVER_WAITS
	:: atomic { to_qmgr > 0 && to_cleanup < PIPE ->
		to_qmgr--; fresh++; to_cleanup++ }
	:: atomic { to_cleanup > 0 && committing == 0 -> to_cleanup-- }
#else
	:: atomic { to_qmgr > 0 -> to_qmgr--; fresh++ }
#endif
	:: atomic { fresh > 0 && filtering < FILTERS -> fresh--; filtering++ }
	:: atomic { filtering > 0 && FILTER_MAY -> filtering--; backlog++ }
	/* delivered, or its report is to be written first */
	:: atomic { backlog > 0 -> backlog--; done++ }
	:: atomic { backlog > 0 -> backlog--; failed++ }
	:: atomic { failed > 0 && OWN > 0 && REPORT_MAY ->
		failed--; OWN--; own_committing++ }
	:: atomic { own_committing > 0 -> own_committing--; OWN++; done++ }
	:: timeout -> assert(done == CLIENTS); break	/* ENDS */
	od
}
