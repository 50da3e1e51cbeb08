/*
 * answer.pml - descriptors that are passed on, and answers that come late.
 *
 * qmgr hands a message's descriptor to an agent in a packet; the agent may
 * refuse the packet, answer, or die with packets unread; another takes its
 * place (common/ipc/channel.c C2, qmgr/dispatch.c P1, P2). And resolve, whose
 * tables change while a question waits (resolve/memory.c).
 *
 *	LEAK	when all is over every descriptor is closed, each once
 *	WHOSE	an answer counts for the delivery that it belongs to
 *	STALE	nothing is remembered of tables that are gone
 */
#define SENDS	4
#define DEATHS	2
#define CHANGES	2

bit crossed;
byte latest, out;		/* numbers of deliveries; 0: none is out */
byte out_channel, channel = 1;	/* each agent has one of its own */
byte sent, deaths;
byte flying, flying_channel, at_agent, answer, answer_channel;
byte copies, files;		/* descriptors besides qmgr's own */

byte tables = 1, asked, kept, changes;

#ifdef MUTANT_NUMBERS_AGAIN
#define NEXT_NUMBER	1
#else
#define NEXT_NUMBER	(latest + 1)
#endif
#ifdef MUTANT_ANY_CHANNEL
#define IS_MINE		(answer == out)
#else
#define IS_MINE		(answer == out && answer_channel == out_channel)
#endif

byte delivered;			/* number of what the agent has delivered */
byte real, answer_real;		/* deliveries by birth, for the claims */

init
{
end:	do
	:: atomic { out == 0 && !crossed && sent < SENDS && flying == 0 &&
		at_agent == 0 ->
		latest = NEXT_NUMBER; sent++; real = sent;
		out = latest; out_channel = channel;
		flying = latest; flying_channel = channel; files++ }
	/* received and taken */
	:: atomic { flying != 0 && flying_channel == channel ->
		at_agent = flying; flying = 0 }
	/* received and refused: a malformed packet, or no memory */
	:: atomic { flying != 0 && flying_channel == channel ->
		flying = 0; out = 0;
#ifndef MUTANT_REFUSED_OPEN
		files--
#endif
		}
	:: atomic { at_agent != 0 && answer == 0 ->
		copies++; answer = at_agent; answer_channel = channel;
		answer_real = real; at_agent = 0; files-- }
	/* the agent is gone: the kernel closes what it had, and what flew;
	 * an answer on its way may still be read, before or after the new one
	 * is called */
	:: atomic { deaths < DEATHS -> deaths++; channel++;
		if
		:: flying != 0 -> flying = 0; files--
		:: else
		fi;
		if
		:: at_agent != 0 -> at_agent = 0; files--
		:: else
		fi;
		out = 0 }
	:: atomic { answer != 0 ->
		if
		:: IS_MINE ->
			assert(answer_real == real);		/* WHOSE */
			out = 0; crossed = 1
		:: else
		fi;
		answer = 0; answer_channel = 0 }

	:: atomic { asked == 0 -> asked = tables }
	:: atomic { changes < CHANGES -> changes++; tables++; kept = 0 }
	:: atomic { asked != 0 ->
		if
#ifdef MUTANT_KEEPS_STALE
		:: kept = asked
#else
		:: asked == tables -> kept = asked
		:: asked != tables
#endif
		fi;
		asked = 0; assert(kept == 0 || kept == tables) } /* STALE */
	:: atomic { out == 0 && flying == 0 && at_agent == 0 && answer == 0 ->
		assert(files == 0); assert(copies <= 1 + deaths) } /* LEAK */
	od
}
