/*
 * reload.pml - reload and stop: master's generations of a daemon.
 *
 * The configuration changes, reloads are asked for at any time, also during a
 * reload and after a stop was; the listening socket is master's, and each
 * generation that runs inherits it (master/main.c reload(), stop();
 * common/daemon/daemon.c daemon_drain(), D4). A session keeps the settings it
 * began with.
 *
 *	OPEN	who connects while the system runs is accepted
 *	LATEST	when nothing is left to do, the latest settings run
 *	KEPT	a session is ended by nobody but itself, unless all stops
 *	STOPS	after a stop nothing is left, and nothing is started
 */
#define RELOADS	3
#define PEOPLE	2

byte settings = 1;		/* in the files */
byte running = 1;		/* the generation that accepts; 0: none */
byte draining;			/* an older one, with sessions */
byte reading;			/* what a reload has read; 0: none is made */
bit again;			/* another one was asked for meanwhile */
byte reloads, waiting, people;
byte sessions, old_sessions, ended;
bit stopping, stopped, tired;

init
{
end:	do
	:: atomic { reloads < RELOADS && !stopped -> reloads++; settings++;
		if
		:: stopping
		:: !stopping && reading == 0 -> reading = settings
		:: !stopping && reading != 0 ->
#ifdef MUTANT_RELOAD_LOST
			skip
#else
			again = 1
#endif
		fi }
	/* the new one runs; the old one drains, or ends if it has nobody */
	:: atomic { reading != 0 && draining == 0 && !stopping ->
#ifdef MUTANT_OLD_KILLED
		assert(sessions == 0);				/* KEPT */
#endif
		if
		:: sessions > 0 -> draining = running
		:: else
		fi;
		old_sessions = sessions; sessions = 0;
		running = reading; reading = 0;
		if
		:: again -> again = 0; reading = settings
		:: else
		fi }
#ifdef MUTANT_CLOSED_FIRST
	:: atomic { reading != 0 && running != 0 && draining == 0 &&
		sessions == 0 && !stopping -> running = 0 }
#endif
	:: atomic { people < PEOPLE && !stopping -> people++; waiting++ }
	:: atomic { waiting > 0 && !stopping ->
		assert(running != 0);				/* OPEN */
		waiting--; sessions++ }
	:: atomic { sessions > 0 -> sessions--; ended++ }
	:: atomic { old_sessions > 0 -> old_sessions--; ended++ }
	:: atomic { draining != 0 && old_sessions == 0 -> draining = 0 }
	:: atomic { !stopping -> stopping = 1;
#ifndef MUTANT_RELOAD_GOES_ON
		reading = 0; again = 0;
#endif
		waiting = 0 }
	/* sessions get a moment */
	:: atomic { stopping && !tired -> tired = 1 }
	:: atomic { tired && !stopped ->
#ifndef MUTANT_NO_LIMIT
		sessions = 0; old_sessions = 0;
#endif
		draining = 0; running = 0; stopped = 1 }
#ifdef MUTANT_RELOAD_GOES_ON
	:: atomic { stopped && reading != 0 -> running = reading; reading = 0 }
#endif
	:: atomic { stopped -> assert(running == 0 && draining == 0 &&
		sessions == 0 && old_sessions == 0) }		/* STOPS */
	:: atomic { !stopping && reading == 0 && !again ->
		assert(running == settings) }			/* LATEST */
	od
}
