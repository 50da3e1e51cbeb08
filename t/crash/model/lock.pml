/*
 * lock.pml - two queue managers: an old one that drains, is killed or was
 * forgotten by a master that died, and its successor.
 *
 * The lock is flock(2) of incoming/; the kernel gives it back when its holder
 * is gone, whatever became of the agents (qmgr/main.c take_lock()). Deliveries
 * that are out when qmgr is killed are made to the end, and their outcome
 * reaches nobody: they are handed out again.
 *
 *	ALONE	a recipient is out at one living qmgr at most
 *	COPIES	<= 1 + kills
 *	ID	an outcome is taken for the delivery that it belongs to, once:
 *		by number, channel and recipient (dispatch.c P2)
 */
#define KILLS	3

/* a qmgr */
#define GONE	0
#define WAITS	1
#define HAS	2		/* the lock */
#define DRAINS	3

byte qmgr[2];
bit out[2];			/* it has handed the recipient out */
byte number[2];			/* of its delivery; no two are alike */
byte latest;
byte holder = 2;		/* of the lock; 2: nobody */
bit crossed;			/* the recipient, off */
byte copies, kills;
byte agent[4];			/* what they are doing: a delivery's number */
bit has_copied[4];

#define LIVES(q)	(qmgr[q] != GONE)

/* The outcome of agent a's delivery reaches whom it belongs to, or nobody. */
inline answer(a)
{
	if
	:: out[0] && number[0] == agent[a] -> out[0] = 0; crossed = 1
	:: out[1] && number[1] == agent[a] -> out[1] = 0; crossed = 1
#ifdef MUTANT_NO_NUMBER
	:: out[0] && number[0] != agent[a] -> out[0] = 0; crossed = 1;
		assert(false)				/* ID */
#endif
	:: else
	fi;
	agent[a] = 0; has_copied[a] = 0
}

inline leave(q)
{
	qmgr[q] = GONE;
	out[q] = 0; number[q] = 0;
	if
	:: holder == q -> holder = 2
	:: else
	fi
}

#ifdef MUTANT_NO_LOCK
#define MAY_HOLD(q)	true
#else
#define MAY_HOLD(q)	(holder == 2)
#endif
/* An old one that drains keeps the lock until its deliveries are over. */
#ifdef MUTANT_UNLOCK_EARLY
#define DRAINING	holder = 2
#else
#define DRAINING	skip
#endif
#define FREE(a)		(agent[a] == 0)

#define QMGR(q) \
	:: atomic { qmgr[q] == GONE -> qmgr[q] = WAITS } \
	:: atomic { qmgr[q] == WAITS && MAY_HOLD(q) -> \
		qmgr[q] = HAS; holder = q } \
	:: atomic { qmgr[q] == HAS -> qmgr[q] = DRAINS; DRAINING } \
	:: atomic { qmgr[q] == DRAINS && !out[q] -> leave(q) } \
	:: atomic { qmgr[q] == HAS && !out[q] && !crossed && \
		(FREE(0) || FREE(1) || FREE(2) || FREE(3)) -> \
		latest++; number[q] = latest; out[q] = 1; \
		assert(!(out[0] && out[1]));		/* ALONE */ \
		if \
		:: FREE(0) -> agent[0] = latest \
		:: !FREE(0) && FREE(1) -> agent[1] = latest \
		:: !FREE(0) && !FREE(1) && FREE(2) -> agent[2] = latest \
		:: else -> agent[3] = latest \
		fi } \
	:: atomic { LIVES(q) && kills < KILLS -> kills++; leave(q) }

#define AGENT(a) \
	:: atomic { !FREE(a) && !has_copied[a] -> \
		has_copied[a] = 1; copies++; \
		assert(copies <= 1 + kills) } \
	:: atomic { !FREE(a) && has_copied[a] -> answer(a) } \
	:: atomic { !FREE(a) && kills < KILLS -> kills++; \
		if \
		:: out[0] && number[0] == agent[a] -> out[0] = 0 \
		:: out[1] && number[1] == agent[a] -> out[1] = 0 \
		:: else \
		fi; \
		agent[a] = 0; has_copied[a] = 0 }

init
{
end:	do
	QMGR(0)
	QMGR(1)
	AGENT(0)
	AGENT(1)
	AGENT(2)
	AGENT(3)
	od
}
