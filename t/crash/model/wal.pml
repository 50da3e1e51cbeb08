/*
 * wal.pml - messages in a write-ahead log, and crashes.
 *
 * One log, which is used again and again, with room for two records; two
 * messages; a cleanup that writes, a qmgr that is told by packets, or finds.
 * Everything on the disk is there twice: as programs see it (v), and as it was
 * synced last (d). A power cut leaves either, of each head, mark, record and
 * file by itself. Messages that get a file at once are in commit.pml, and so
 * is what becomes of a file: here it is delivered and removed.
 *
 * What is checked, after each step and after each power cut:
 *	KEPT	who was told 250 can rely on it: the message is delivered, or
 *		in a whole file, or stands without a mark in a log that is not
 *		released
 *	ONCE	copies <= 1 + crashes
 *	REFUSED	a refused message is nowhere, unless power was cut, or its writer
 *		was killed before he could mark it
 *	RELEASE	what is released has nothing open in it
 *	WINDOW	what a synced mark has ended, or a synced new generation, is
 *		never taken in again
 *	STUCK	when nothing more can happen all is delivered, and the log,
 *		which has been sealed or left by then, is released; with IDLE
 *		its writer does neither, and all is delivered nevertheless
 *
 * What is taken for granted: a head, 40 bytes within a sector, is stored or
 * not; marks and notes can be written in the end. With ONE, only one message
 * comes.
 */
#ifndef CRASHES
#define CRASHES	1
#endif
#ifndef GENERATIONS
#define GENERATIONS 2
#endif
#define MESSAGES	2
#define RECORDS		2	/* for which a log has room */
#define ALL		RECORDS

/* the writer of the log, cleanup/batch.c */
#define LEFT		0	/* nobody has the lock */
#define SEALED		1
#define HEAD		2	/* wal_begin(): written */
#define HEAD_SYNCED	3
#define WIPED		4
#define READY		5
#define GIVEN_UP	6	/* what was refused is not marked yet */
/* a message there */
#define NEW		0
#define WRITING		1
#define TOLD		2	/* 250, or not any more */
#define REFUSED		3
/* a message at qmgr */
#define UNKNOWN		0
#define HELD		1	/* in memory, from the packet */
#define FILING		2	/* its file is not synced yet */
#define FILED		3	/* it is; the mark is not there */
#define ORPHAN		4	/* known by its record only */
#define O_FILING	5
#define O_FILED		6
#define IN_FILE		7	/* no matter of the log any more */
/* a file */
#define NONE		0
#define HALF		1	/* without the bit */
#define DAMAGED		2	/* with the bit, and without what it says */
#define WHOLE		3

/* The log: generation, what is sealed and released, marks, records. */
typedef log {
	byte	generation, sealed, released;
	bit	mark[RECORDS];
	byte	record[RECORDS]		/* a message's number + 1 */
};
log v, d;
byte noted, noted_end;		/* writes of this generation have said 0 */
byte v_file[MESSAGES], d_file[MESSAGES];

byte writer, room, latest;
byte at_cleanup[MESSAGES], generation[MESSAGES], place[MESSAGES];
bit accepted[MESSAGES], packet[MESSAGES];

/* qmgr: what it knows of the log (struct held_log), messages, looks. */
byte known, seen_end;
bit is_released, is_closed, is_looked, has_begun;
byte at_qmgr[MESSAGES];
bit is_sent[MESSAGES];
bit is_orphan[MESSAGES];		/* too, while it is IN_FILE */
typedef look {
	bit	is_busy;
	byte	end, seen_end;
	byte	proven;			/* records whose write had ended */
	byte	record[RECORDS]		/* as they were read */
};
look looks[2];			/* the scanner's, the watch's */

byte copies[MESSAGES], crashes;
bit has_excuse;				/* for what was refused */
bit settled[MESSAGES];

#define BOTH		i : 0 .. MESSAGES - 1
#define PLACES		j : 0 .. RECORDS - 1
#define IS_THERE(m)	(generation[m] != 0 && \
			generation[m] == v.generation && \
			v.record[place[m]] == (m) + 1)
#define IS_OPEN(m)	(IS_THERE(m) && !v.mark[place[m]])
#define KEPT(m)		(!accepted[m] || copies[m] > 0 || \
			v_file[m] == WHOLE || \
			(IS_OPEN(m) && v.released != v.generation))
#define IS_NOWHERE(m)	(at_cleanup[m] != REFUSED || (copies[m] == 0 && \
			v_file[m] == NONE && at_qmgr[m] == UNKNOWN))
#define IS_LIVE(m)	((at_qmgr[m] != UNKNOWN && at_qmgr[m] != IN_FILE) || \
			is_orphan[m])
#define IS_WRITING	(at_cleanup[0] == WRITING || at_cleanup[1] == WRITING)

inline check()
{
	assert(KEPT(0) && KEPT(1));			/* KEPT */
	assert(copies[0] <= 1 + crashes && copies[1] <= 1 + crashes); /* ONCE */
	assert(has_excuse || (IS_NOWHERE(0) && IS_NOWHERE(1))); /* REFUSED */
}

/* --- the disk -------------------------------------------------------------- */

/* fsync() of the log. */
inline sync_log()
{
	d.generation = v.generation;
	d.sealed = v.sealed;
	d.released = v.released;
	for (PLACES) {
		d.mark[j] = v.mark[j];
		d.record[j] = v.record[j]
	}
	for (BOTH) {
		if
		:: generation[i] != 0 && (!IS_THERE(i) || v.mark[place[i]]) &&
			at_cleanup[i] != WRITING -> settled[i] = 1
		:: else
		fi
	}
}

/* One item: stored, or as it was synced. */
#define ITEM(new, old) \
	if \
	:: new != old -> new = old \
	:: true \
	fi

inline cut_file(m)
{
	if
	:: true
	:: v_file[m] != d_file[m] -> v_file[m] = d_file[m]
	:: v_file[m] == WHOLE && d_file[m] != WHOLE -> v_file[m] = HALF
	:: v_file[m] == WHOLE && d_file[m] != WHOLE -> v_file[m] = DAMAGED
	fi;
	d_file[m] = v_file[m]
}

inline power_cut()
{
	has_excuse = 1;
	cleanup_dies();
	qmgr_dies();
	ITEM(v.generation, d.generation);
	ITEM(v.sealed, d.sealed);
	ITEM(v.released, d.released);
	d.generation = v.generation;
	d.sealed = v.sealed;
	d.released = v.released;
	for (PLACES) {
		ITEM(v.mark[j], d.mark[j]);
		ITEM(v.record[j], d.record[j]);
		d.mark[j] = v.mark[j];
		d.record[j] = v.record[j]
	}
	cut_file(0);
	cut_file(1);
	packet[0] = 0; packet[1] = 0;
	refresh();
	check()
}

/* --- cleanup --------------------------------------------------------------- */

/* Nobody asks for the note of a log that is sealed, left, or begun anew. It is
 * there still; without this there were as many states more. */
inline forget_note()
{
#ifndef MUTANT_NOTE_OF_ANY_AGE
	noted = 0; noted_end = 0
#else
	skip
#endif
}

inline cleanup_dies()
{
	if
	:: writer == GIVEN_UP -> has_excuse = 1
	:: else
	fi;
	forget_note();
	writer = LEFT;
	for (BOTH) {
		if
		:: at_cleanup[i] == WRITING -> at_cleanup[i] = TOLD
		:: else
		fi
	}
}

inline wipe()
{
#ifdef MUTANT_NOT_WIPED
	skip
#else
	for (PLACES) {
		v.mark[j] = 0
	}
#endif
}

#ifdef MUTANT_BEGIN_EARLY
#define MAY_BEGIN	true
#else
#define MAY_BEGIN	(v.released == v.generation)
#endif

inline begin()
{
	if
	:: writer <= SEALED ->
		latest++; v.generation = latest; writer = HEAD;
#ifdef MUTANT_WIPED_FIRST
		wipe()
#endif
	:: writer == HEAD -> sync_log(); writer = HEAD_SYNCED
	:: writer == HEAD_SYNCED -> wipe(); writer = WIPED
	:: writer == WIPED ->
#ifndef MUTANT_WIPE_NOT_SYNCED
		sync_log();
#endif
		writer = READY; room = 0
	:: writer >= HEAD && writer <= WIPED -> writer = LEFT	/* an error */
	fi;
	check()
}

inline tell(m)
{
	accepted[m] = 1;
	if
	:: packet[m] = 1
	:: true				/* it is lost, or nobody is there */
	fi
}

inline write_record(m)
{
	generation[m] = latest; place[m] = room; room++;
	v.record[place[m]] = m + 1;
	at_cleanup[m] = WRITING;
#ifdef MUTANT_ANSWER_EARLY
	tell(m);
#endif
	check()
}

/* The sync has said 0; or not, and what is there is anybody's guess. Who was
 * refused may hear of it before he is marked. */
inline end_write(m)
{
	if
	:: d.record[place[m]] = m + 1; at_cleanup[m] = TOLD; tell(m)
	:: if
	   :: d.record[place[m]] = m + 1
	   :: v.record[place[m]] = d.record[place[m]]
	   :: true
	   fi;
	   at_cleanup[m] = REFUSED;
#ifdef MUTANT_LEFT_FIRST
	   forget_note();
	   writer = LEFT
#else
	   writer = GIVEN_UP
#endif
	fi;
	check()
}

/* Mark what was refused, then leave the log. */
inline refuse()
{
#ifndef MUTANT_REFUSED_UNMARKED
	v.mark[room - 1] = 1;
#endif
	forget_note();
	writer = LEFT;
	check()
}

/* How many records are there whose write has said 0: while the next one is
 * written it says the same of those in front of it. */
#ifdef MUTANT_NOTED_EARLY
#define HAS_ENDED	true
#else
#define HAS_ENDED	!IS_WRITING
#endif
#ifdef MUTANT_NOT_NOTED
#define HAS_NOTE	false
#else
#define HAS_NOTE	(writer == READY && HAS_ENDED && room > 0 && \
			(noted != latest || noted_end != room))
#endif

/* --- qmgr: its log --------------------------------------------------------- */

/* open_log(), refresh() */
inline refresh()
{
	known = v.generation;
	is_released = v.released == v.generation;
	seen_end = 0; is_closed = 0; is_looked = 0
}

#define MAY_REFRESH	(is_released && known != v.generation && \
			!looks[0].is_busy && !looks[1].is_busy)

/* A file whose maker is killed may have the bit or not. */
inline qmgr_dies()
{
	for (BOTH) {
		if
		:: at_qmgr[i] == FILING || at_qmgr[i] == O_FILING ->
			if
			:: v_file[i] == WHOLE -> v_file[i] = HALF
			:: true
			fi
		:: else
		fi;
		at_qmgr[i] = UNKNOWN; is_sent[i] = 0; is_orphan[i] = 0
	}
	for (j : 0 .. 1) {
		looks[j].is_busy = 0; looks[j].end = 0; looks[j].proven = 0;
		looks[j].record[0] = 0; looks[j].record[1] = 0
	}
	has_begun = 0;
	refresh()
}

inline set_mark(m)
{
	v.mark[place[m]] = 1
}

#define WAS_READ(n)	(v.record[n] != 0 && !v.mark[n] && \
			generation[v.record[n] - 1] == known)

/* Records whose write had ended: those that were noted, and those in front of
 * the last one, since the next write begins when the one before has said 0. */
#ifdef MUTANT_NOTE_OF_ANY_AGE
#define NOTED		noted_end
#else
#define NOTED		(noted == known -> noted_end : 0)
#endif
#define IN_FRONT	(IS_RECORD_OF(1) -> 1 : 0)
#define IS_RECORD_OF(n)	(v.record[n] != 0 && \
			generation[v.record[n] - 1] == known)
#if defined(MUTANT_UNPROVEN)
#define PROVEN		ALL
#else
#define PROVEN		(v.sealed == known || writer == LEFT -> ALL : \
			(NOTED > IN_FRONT -> NOTED : IN_FRONT))
#endif

/* How far a look has come: behind the last record without a mark. */
#define SEEN_END	(WAS_READ(1) -> 2 : (WAS_READ(0) -> 1 : 0))

/* Known now, and the log's. What is settled is not. */
inline take_in(m, how)
{
	assert(!settled[m]);			/* WINDOW */
	at_qmgr[m] = how;
	check()
}

/* look_through(): what is read is of a moment ago ... */
inline begin_look(k, until)
{
	looks[k].is_busy = 1;
	looks[k].end = until;
	looks[k].proven = PROVEN;
	looks[k].seen_end = SEEN_END;
	for (PLACES) {
		looks[k].record[j] = (WAS_READ(j) -> v.record[j] : 0)
	}
}

/* ... take_unknown(): one after the other ... */
#ifdef MUTANT_NO_SECOND_QUESTION
#define IS_OVER(m)	false
#else
#define IS_OVER(m)	v.mark[place[m]]
#endif
#ifdef MUTANT_LOOK_INTO_RELEASED
#define IS_OURS		true
#else
#define IS_OURS		!is_released
#endif
/* A file is made of what was told, or proven. */
#ifdef MUTANT_FILE_NO_PROOF
#define IS_PROVEN(k, n)	(n < looks[k].proven)
#else
#define IS_PROVEN(k, n)	(n < looks[k].proven || v_file[who] > HALF)
#endif

inline take(k, n)
{
	who = looks[k].record[n] - 1;
	looks[k].record[n] = 0;
	if
	:: IS_OURS && n < looks[k].end && IS_PROVEN(k, n) && !IS_LIVE(who) &&
		!IS_OVER(who) ->
		if
		:: at_qmgr[who] == IN_FILE -> is_orphan[who] = 1
		:: else -> take_in(who, ORPHAN)
		fi
	:: else
	fi;
	who = 0
}

/* ... and so far it was. */
inline end_look(k)
{
	looks[k].is_busy = 0; looks[k].end = 0; looks[k].proven = 0;
	if
	:: !is_released -> seen_end = looks[k].seen_end
	:: else
	fi;
	looks[k].seen_end = 0;
	if
	:: k == 0 -> has_begun = 1
	:: else
	fi
}

/* scan(): unfiled_start() sees all, later looks what the last one saw: of what
 * came since packets may be on their way. */
#define UNTIL		(!has_begun -> ALL : seen_end)

inline scan()
{
	if
	:: MAY_REFRESH -> refresh()
	:: else
	fi;
	if
	:: is_released -> has_begun = 1
	:: else -> begin_look(0, UNTIL)
	fi
}

/* Would the next look see, or take in, more than the last one? */
#define IS_NEW(n)	(WAS_READ(n) && !IS_LIVE(v.record[n] - 1) && \
			(n >= seen_end || n < PROVEN))
#define HAS_NEWS	(MAY_REFRESH || (!is_released && !is_closed && \
			(IS_NEW(0) || IS_NEW(1))))

/* held_log_is_closed() */
#ifdef MUTANT_LEFT_UNSEEN
#define IS_LEFT		false
#else
#define IS_LEFT		(writer == LEFT)
#endif
#define MAY_CLOSE	(has_begun && !is_released && !is_closed && \
			(v.sealed == known || IS_LEFT))
#ifdef MUTANT_RELEASE_UNSEALED
#define MAY_END		(has_begun && !is_released)
#else
#define MAY_END		(has_begun && !is_released && is_closed)
#endif
#ifdef MUTANT_RELEASE_OPEN
#define HAS_LIVE	false
#else
#define HAS_LIVE	(IS_LIVE(0) || IS_LIVE(1))
#endif

/* close_log(): look ... */
inline close_log()
{
	is_looked = 1;
#ifndef MUTANT_NO_LOOK
	begin_look(1, ALL)
#endif
}

/* ... then release. */
inline release()
{
	assert(!WAS_READ(0) && !WAS_READ(1));	/* RELEASE */
	v.released = known; is_released = 1;
	check()
}

/* --- qmgr: messages -------------------------------------------------------- */

#if defined(MUTANT_OLD_PACKET)
#define IS_LATE(m)	false
#elif defined(MUTANT_RELEASED_PACKET)
#define IS_LATE(m)	(known != generation[m] || !IS_RECORD(m))
#else
#define IS_LATE(m)	(known != generation[m] || !IS_RECORD(m) || is_released)
#endif
#define IS_RECORD(m)	(v.record[place[m]] == (m) + 1)

/* unfiled_is_news(), then into memory, or there is no room. */
inline hear(m)
{
	packet[m] = 0;
	if
	:: known != generation[m] && MAY_REFRESH -> refresh()
	:: else
	fi;
	if
	:: !IS_LATE(m) && !v.mark[place[m]] && at_qmgr[m] == UNKNOWN &&
		!is_orphan[m] ->
		if
		:: take_in(m, HELD)
		:: take_in(m, ORPHAN)
		fi
	:: else
	fi
}

inline deliver(m)
{
	copies[m]++; is_sent[m] = 1;
	check()
}

inline drop(m)
{
	at_qmgr[m] = UNKNOWN; is_sent[m] = 0
}

/* unfiled_over(), unfiled_leave(), unfiled_file(), settle() */
inline work_held(m)
{
	if
	:: at_qmgr[m] == HELD && is_sent[m] -> set_mark(m); drop(m)
	:: at_qmgr[m] == HELD && !is_sent[m] ->
#ifndef MUTANT_LEFT_UNLOOKED
		is_looked = 0;
#endif
		drop(m)
	:: at_qmgr[m] == HELD && !is_sent[m] && v_file[m] <= HALF ->
		v_file[m] = WHOLE; at_qmgr[m] = FILING;
#ifdef MUTANT_MARK_EARLY
		set_mark(m)
#endif
	:: at_qmgr[m] == FILING -> d_file[m] = v_file[m]; at_qmgr[m] = FILED
	:: at_qmgr[m] == FILING -> v_file[m] = NONE; at_qmgr[m] = HELD
	:: at_qmgr[m] == FILED -> set_mark(m); at_qmgr[m] = IN_FILE
	:: at_qmgr[m] == IN_FILE && is_sent[m] -> v_file[m] = NONE; drop(m)
	fi;
	check()
}

/* orphan.c file_one(): what is there is synced, or made again. */
inline work_orphan(m)
{
	if
	:: at_qmgr[m] == ORPHAN && v_file[m] <= HALF ->
		v_file[m] = WHOLE; at_qmgr[m] = O_FILING;
#ifdef MUTANT_ORPHAN_MARK_EARLY
		set_mark(m)
#endif
	:: at_qmgr[m] == ORPHAN && v_file[m] == DAMAGED ->
#ifdef MUTANT_FOUND_NOT_COMPARED
		d_file[m] = v_file[m]; at_qmgr[m] = O_FILED
#else
		v_file[m] = NONE
#endif
	:: at_qmgr[m] == ORPHAN && v_file[m] == WHOLE ->
#ifndef MUTANT_FOUND_NOT_SYNCED
		d_file[m] = v_file[m];
#endif
		at_qmgr[m] = O_FILED
	:: at_qmgr[m] == O_FILING -> d_file[m] = v_file[m]; at_qmgr[m] = O_FILED
	:: at_qmgr[m] == O_FILING -> v_file[m] = NONE; at_qmgr[m] = ORPHAN
	:: at_qmgr[m] == O_FILED -> set_mark(m); at_qmgr[m] = IN_FILE
	:: is_orphan[m] && at_qmgr[m] == IN_FILE ->
		d_file[m] = v_file[m]; set_mark(m); is_orphan[m] = 0
	:: is_orphan[m] && at_qmgr[m] == UNKNOWN ->
		is_orphan[m] = 0; at_qmgr[m] = ORPHAN
	fi;
	check()
}

/* The scan of incoming/ finds a file that no orphan waits for. */
inline find_file(m)
{
	if
	:: v_file[m] == WHOLE -> at_qmgr[m] = IN_FILE
	:: else -> v_file[m] = NONE		/* reaped, or corrupt/ */
	fi;
	check()
}

/* --- all together ---------------------------------------------------------- */

#ifdef ONE
#define IS_TURN(m)	(m == 0)
#else
#define IS_TURN(m)	(m == 0 || at_cleanup[0] != NEW)
#endif
/* Everything that can happen to a message; one line, one step. */
#define MESSAGE(m) \
	:: atomic { at_cleanup[m] == NEW && writer == READY && !IS_WRITING && \
		room < RECORDS && IS_TURN(m) -> \
		write_record(m) } \
	:: atomic { at_cleanup[m] == WRITING -> end_write(m) } \
	:: atomic { packet[m] -> hear(m) } \
	:: atomic { !is_sent[m] && (at_qmgr[m] >= HELD && at_qmgr[m] <= FILED \
		|| at_qmgr[m] == IN_FILE) -> deliver(m) } \
	:: atomic { at_qmgr[m] >= HELD && at_qmgr[m] <= FILED || \
		(at_qmgr[m] == IN_FILE && is_sent[m]) -> work_held(m) } \
	:: atomic { is_orphan[m] || \
		(at_qmgr[m] >= ORPHAN && at_qmgr[m] <= O_FILED) -> \
		work_orphan(m) } \
	:: atomic { has_begun && at_qmgr[m] == UNKNOWN && !is_orphan[m] && \
		v_file[m] != NONE -> find_file(m) }

/* The look's next one, or its end. */
#define LOOK(k) \
	:: atomic { looks[k].record[0] != 0 -> take(k, 0) } \
	:: atomic { looks[k].record[0] == 0 && looks[k].record[1] != 0 -> \
		take(k, 1) } \
	:: atomic { looks[k].is_busy && looks[k].record[0] == 0 && \
		looks[k].record[1] == 0 -> end_look(k) }

init
{
	byte	i, j, who;

	do
	/* cleanup */
	:: atomic { writer <= SEALED && MAY_BEGIN && latest < GENERATIONS ->
		begin() }
	:: atomic { writer >= HEAD && writer <= WIPED -> begin() }
	:: atomic { HAS_NOTE -> noted = latest; noted_end = room }
	:: atomic { writer == GIVEN_UP -> refuse() }
#ifndef IDLE
	:: atomic { writer == READY && !IS_WRITING ->
		forget_note(); v.sealed = latest; writer = SEALED }
	:: atomic { (writer == READY || writer == SEALED) && !IS_WRITING ->
		forget_note(); writer = LEFT }
#endif
	MESSAGE(0)
	MESSAGE(1)
	/* qmgr */
	:: atomic { !looks[0].is_busy && (!has_begun || HAS_NEWS) -> scan() }
	LOOK(0)
	:: atomic { MAY_CLOSE -> is_closed = 1 }
	:: atomic { MAY_END && !is_looked && !looks[1].is_busy -> close_log() }
	LOOK(1)
	:: atomic { MAY_END && is_looked && !looks[1].is_busy && !HAS_LIVE ->
		release() }
	/* unfiled_sync() */
	:: atomic { v.mark[0] != d.mark[0] || v.mark[1] != d.mark[1] ->
		sync_log() }
	/* crashes */
	:: atomic { crashes < CRASHES -> crashes++; power_cut() }
	:: atomic { crashes < CRASHES && writer != LEFT ->
		crashes++; cleanup_dies(); check() }
	:: atomic { crashes < CRASHES -> crashes++; qmgr_dies(); check() }
	:: timeout -> break
	od;
	/* STUCK */
	for (BOTH) {
		assert(!accepted[i] || copies[i] > 0)
	}
#ifndef IDLE
	assert(v.released == v.generation)
#endif
}
