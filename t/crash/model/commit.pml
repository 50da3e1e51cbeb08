/*
 * commit.pml - a message, its recipients, its reports, and crashes.
 *
 * One message for two recipients, one with a Maildir and one with an mbox on
 * another file system, and up to two reports (DSN), which are messages like
 * any other. Everything on a disk is there twice: as programs see it (v), and
 * as it was synced last (d). A crash is the kill of one program, or a power cut:
 * then each item that was not synced is on the disk or not, whatever became of
 * the others, which is the same as write-back in any order before.
 *
 * The steps are those of the code; README.md says where each one is. Calls of
 * one program between which nothing can be seen that a crash before or behind
 * them does not show as well are one step.
 *
 * What is checked, after each step that changes what is relied on, and after
 * each power cut:
 *	KEPT	who was told 250 can rely on it: each recipient's mail is
 *		stored in the mailbox, or reported by a stored report, or
 *		stored in the queue and not crossed off there
 *	WHOLE	nothing half-written is delivered, or shown by a Maildir
 *	COPIES	copies and reports <= 1 + crashes
 *	WINDOW	what the group commit has synced is never delivered again
 *	REASON	a stored byte that says failed has its stored reason
 *	NO_DSN	no report answers a report
 *
 * What is taken for granted, and fails when it is taken away (ASSUME_...):
 * fsync() of a file stores its name, too, in the queue's file system (ext4,
 * XFS, btrfs; not POSIX); a file that was not synced does not keep its end
 * and lose what is before it. rename() is one step on the disk.
 */
#ifndef CRASHES
#define CRASHES	2
#endif
#define RECIPIENTS	2
#ifndef REPORTS
#define REPORTS		1
#endif
#define MESSAGES	(1 + REPORTS)
#define BOXES		(2 + REPORTS)

/* places */
#define NOWHERE		0
#define INCOMING	1
#define DEFERRED	2
#define CORRUPT		3
/* status bytes; a recipient that the message does not have is DONE */
#define TO_DO		0
#define DONE		1
#define FAILED		2
/* recipients in qmgr's memory: enum work_state */
#define WAITING		0
#define SENT		1
#define W_FAILED	2
#define W_DEFERRED	3
#define OVER		4
#define OUT		5	/* an agent has it */
/* the writer, cleanup/commit.c */
#define NEW		0
#define CREATED		1
#define MARKED		2
#define STORED		3	/* mutants only */
#define ANSWERED	4
#define LEFT		5	/* killed, or given up */
/* qmgr */
#define ASLEEP		0
#define OPEN		1
#define TELLING		2
#define TOLD		3

/* a queue file */
typedef file {
	unsigned place	: 2;
	bit	mode;
	bit	text;		/* the content */
	bit	end;		/* envelope and preamble */
	byte	status[RECIPIENTS];
	bit	reason[RECIPIENTS]	/* in the journal */
};
file v[MESSAGES], d[MESSAGES];
bit spoilt[MESSAGES];		/* a failed fsync: the kernel forgot its text */

byte writer[MESSAGES], manager[MESSAGES];
byte about[MESSAGES];		/* whom a report tells of: 1, 2, 3 */
byte report;			/* the one that is waited for */
bit settled[MESSAGES * RECIPIENTS];	/* by the group commit */
byte work[MESSAGES * RECIPIENTS];
bit to_sync[MESSAGES], has_removed;
bit accepted[MESSAGES], nobody[MESSAGES];
byte crashes;

/* Maildirs (box 0 and those of the reports): files in new/. */
byte agent[BOXES];		/* 0, or its next step */
bit orphan[BOXES];		/* its qmgr is gone */
byte v_new[BOXES], d_new[BOXES];
bit whole[BOXES];		/* the last file's bytes are on the disk */
/* The mbox (box 1): messages in the file, whether it is longer than nothing,
 * whether its name is there. */
byte v_box, d_box;
bit v_long, d_long, v_name, d_name, was_empty;

#define W(m, r)		work[(m) * RECIPIENTS + (r)]
#define IS_SETTLED(m, r) settled[(m) * RECIPIENTS + (r)]
#define BOX(m, r)	((m) == 0 -> (r) : (m) + 1)
#define IS_WHOLE(m)	((v[m].place == INCOMING || v[m].place == DEFERRED) && \
			v[m].mode && v[m].text && v[m].end)
#define IS_QUEUED(m, r)	(IS_WHOLE(m) && v[m].status[r] == TO_DO)
#define IN_BOX(b)	((b) == 1 -> v_box > 0 : v_new[b] > 0)
#if REPORTS == 2
#define TOLD_BY(m, r)	(accepted[m] && (about[m] & (1 << (r))) != 0)
#define IS_TOLD(r)	(TOLD_BY(1, r) || TOLD_BY(2, r))
#define N_TOLD(r)	(TOLD_BY(1, r) + TOLD_BY(2, r))
#else
#define IS_TOLD(r)	(accepted[1] && (about[1] & (1 << (r))) != 0)
#define N_TOLD(r)	IS_TOLD(r)
#endif
#ifdef ONLY			/* this recipient, and not the other */
#define IS_THERE(r)	(r == ONLY)
#else
#define IS_THERE(r)	true
#endif
#define KEPT0(r)	(!IS_THERE(r) || IS_QUEUED(0, r) || IN_BOX(r) || IS_TOLD(r))
#define KEPT(m)		(!accepted[m] || nobody[m] || IS_QUEUED(m, 0) || \
			IN_BOX(BOX(m, 0)))
#define REASON(r)	(v[0].status[r] != FAILED || v[0].reason[r] || \
			v[0].place == NOWHERE)

inline check()
{
	assert(!accepted[0] || (KEPT0(0) && KEPT0(1)));	/* KEPT */
	assert(KEPT(1));
#if REPORTS == 2
	assert(KEPT(2));
#endif
	assert(v_new[0] <= 1 + crashes && v_box <= 1 + crashes);  /* COPIES */
	assert(v_new[2] <= 1 + crashes);
	assert(N_TOLD(0) <= 1 + crashes && N_TOLD(1) <= 1 + crashes);
	assert(REASON(0) && REASON(1));
}

#define BOTH	r : 0 .. RECIPIENTS - 1
#define ALL	n : 0 .. MESSAGES - 1

/* fsync() of a queue file. A removed one needs none (qmgr/sync.c). */
inline sync_file(m)
{
	d[m].mode = v[m].mode;
	if
	:: spoilt[m]
	:: else -> d[m].text = v[m].text; d[m].end = v[m].end
	fi;
	for (BOTH) {
		d[m].status[r] = v[m].status[r];
		d[m].reason[r] = v[m].reason[r]
	}
#ifndef ASSUME_NO_NAME
	d[m].place = v[m].place
#endif
}

/* Nothing of it is left: one state, however that came. */
inline forget_file(m)
{
	if
	:: v[m].place == NOWHERE && d[m].place == NOWHERE ->
		v[m].mode = 0; v[m].text = 0; v[m].end = 0;
		d[m].mode = 0; d[m].text = 0; d[m].end = 0;
		for (BOTH) {
			v[m].status[r] = 0; d[m].status[r] = 0;
			v[m].reason[r] = 0; d[m].reason[r] = 0
		}
	:: else
	fi
}

inline forget_all_mail()
{
	for (ALL) {
		manager[n] = ASLEEP;
		to_sync[n] = 0;
		for (BOTH) {
			W(n, r) = OVER
		}
	}
	has_removed = 0;
	report = 0
}

/* Whoever writes is gone; his lock with him. */
inline writer_dies(m)
{
	if
	:: writer[m] != NEW && writer[m] != ANSWERED -> writer[m] = LEFT
	:: else
	fi
}

/* One item: stored, or as it was synced. */
#define ITEM(new, old) \
	if \
	:: new != old -> new = old \
	:: true \
	fi

inline power_cut()
{
	for (ALL) {
		ITEM(v[n].place, d[n].place);
		ITEM(v[n].mode, d[n].mode);
		if
		:: spoilt[n] -> v[n].text = d[n].text
		:: else -> ITEM(v[n].text, d[n].text)
		fi;
		ITEM(v[n].end, d[n].end);
#ifndef ASSUME_HOLES
		v[n].end = v[n].end && v[n].text;
#endif
		for (BOTH) {
			ITEM(v[n].status[r], d[n].status[r]);
			ITEM(v[n].reason[r], d[n].reason[r])
		}
		sync_file(n);
		d[n].place = v[n].place;
		forget_file(n);
		writer_dies(n)
	}
	for (b : 0 .. BOXES - 1) {
		agent[b] = 0; orphan[b] = 0;
		ITEM(v_new[b], d_new[b]);
		/* WHOLE: what new/ shows after a cut has its bytes. */
		if
		:: v_new[b] > d_new[b] && !whole[b] -> assert(false)
		:: else
		fi;
		d_new[b] = v_new[b]; whole[b] = 1
	}
	ITEM(v_box, d_box);
	ITEM(v_long, d_long);
	v_long = v_long || v_box > 0;
	ITEM(v_name, d_name);
	if
	:: v_name
	:: else -> v_box = 0; v_long = 0
	fi;
	d_box = v_box; d_long = v_long; d_name = v_name; was_empty = 0;
	forget_all_mail();
	check()
}

/* qmgr alone is killed: agents finish what they have. */
inline qmgr_dies()
{
	forget_all_mail();
	for (b : 0 .. BOXES - 1) {
		if
		:: agent[b] != 0 -> orphan[b] = 1
		:: else
		fi
	}
}

/* An agent is killed: qmgr hands its recipient out again. */
inline agent_dies(m, r)
{
	agent[BOX(m, r)] = 0;
	was_empty = was_empty && BOX(m, r) != 1;
	if
	:: orphan[BOX(m, r)]
	:: else -> W(m, r) = WAITING
	fi;
	orphan[BOX(m, r)] = 0
}

/* --- cleanup --------------------------------------------------------------- */

/* What a committed message relies on from here on. */
inline accept(m)
{
	accepted[m] = 1;
	writer[m] = ANSWERED;
	check()
}

inline write_file(m)
{
	if
	:: writer[m] == CREATED ->
		v[m].text = 1; v[m].end = 1;
#ifdef MUTANT_ANSWER_BEFORE_MODE
		sync_file(m);
		writer[m] = STORED; accepted[m] = 1; check()
	:: writer[m] == STORED -> v[m].mode = 1; writer[m] = ANSWERED
#else
		v[m].mode = 1;
		writer[m] = MARKED
#endif
	:: writer[m] == MARKED ->
#ifndef MUTANT_NO_FSYNC
		sync_file(m);
#endif
		accept(m)
	/* EIO: the file goes, the sender hears 451; the second fsync lies. */
	:: m == 0 && writer[m] == MARKED ->
		spoilt[m] = 1;
#ifndef MUTANT_FSYNC_AGAIN
		v[m].place = NOWHERE; forget_file(m); writer[m] = LEFT
#else
		sync_file(m); accept(m)
#endif
	fi
}

/* --- qmgr ------------------------------------------------------------------ */

/* message_open(), or cleanup's packet. */
inline open_message(m)
{
	if
	:: !v[m].end ->			/* set_aside() */
		v[m].place = CORRUPT;
		assert(!accepted[m])
	:: else ->
		for (BOTH) {
			W(m, r) = (v[m].status[r] == TO_DO && (m == 0 ||
			    r == 0) -> WAITING : OVER)
		}
		manager[m] = OPEN
	fi
}

/* An agent begins; a delivery that was synced as done is never repeated. */
inline hand_out(m, r)
{
	assert(v[m].text);		/* WHOLE */
	assert(!IS_SETTLED(m, r));	/* WINDOW */
	W(m, r) = OUT;
	agent[BOX(m, r)] = 1
}

/* The agent says: delivered. */
inline say_sent(m, r)
{
	if
	:: orphan[BOX(m, r)]
	:: else -> W(m, r) = SENT
	fi;
	orphan[BOX(m, r)] = 0;
	agent[BOX(m, r)] = 0
}

inline maildir_step(m, r)
{
	if
	:: agent[BOX(m, r)] == 1 ->	/* tmp/, fs_sync(fd), publish() */
#ifdef MUTANT_NO_BOX_FSYNC
		whole[BOX(m, r)] = 0;
#endif
		v_new[BOX(m, r)]++; agent[BOX(m, r)] = 2; check()
	:: agent[BOX(m, r)] == 2 ->	/* fs_sync(new) */
#ifndef MUTANT_NO_DIRECTORY_SYNC
		d_new[BOX(m, r)] = v_new[BOX(m, r)];
#endif
		say_sent(m, r)
	fi
}

inline sync_parent()
{
	if
	:: was_empty -> d_name = 1
	:: else
	fi
}

inline mbox_step()
{
	if
	:: agent[1] == 1 ->		/* open_file(), check_file() */
		v_name = 1; was_empty = !v_long; agent[1] = 2
	:: agent[1] == 2 ->		/* a part of it */
#ifndef MUTANT_MBOX_NAME_LATE
		sync_parent();
#endif
		v_long = 1; agent[1] = 3
	:: agent[1] == 3 -> v_box++; agent[1] = 4; check()
	:: agent[1] == 4 ->		/* fs_sync(fd) */
#ifndef MUTANT_NO_MBOX_FSYNC
		d_box = v_box; d_long = v_long;
#endif
#ifdef MUTANT_MBOX_NAME_LATE
		agent[1] = 5
	:: agent[1] == 5 ->
		sync_parent();
#endif
		was_empty = 0;
		say_sent(0, 1)
	fi
}

/* outcome.c: check(), settle(), and what follows. */
inline remove_file(m)
{
	v[m].place = NOWHERE;
	has_removed = 1;
	manager[m] = ASLEEP;
	W(m, 0) = OVER; W(m, 1) = OVER;
	check()
}

#define IS_BUSY(m, r)	(W(m, r) == WAITING || W(m, r) == OUT)
#define IS_DONE(m, r)	(W(m, r) == SENT || W(m, r) == OVER)
#define HAS(m, x)	(W(m, 0) == x || W(m, 1) == x)
#define FAILED_ONES	((W(0, 0) == W_FAILED) + 2 * (W(0, 1) == W_FAILED))
/* Deliveries of a message that nobody settles go on. */
#define GOES_ON(m)	(manager[m] == OPEN)

inline cross_off_sent(m)
{
	for (BOTH) {
		if
		:: W(m, r) == SENT -> v[m].status[r] = DONE
		:: else
		fi
	}
	check()
}

/* notify.c, bounce.c: a report becomes a message of its own; of a report
 * there is none: nobody is told, but the log. */
inline tell_sender(m)
{
	if
#ifndef MUTANT_REPORT_OF_REPORT
	:: m != 0 -> nobody[m] = 1; manager[m] = TOLD
	:: m == 0 && writer[1] == NEW -> report = 1
#else
	:: writer[1] == NEW -> report = 1
	:: writer[1] != NEW && writer[REPORTS] == NEW ->
		assert(m == 0);			/* NO_DSN */
		report = REPORTS
#endif
#if REPORTS == 2
	:: m == 0 && writer[1] != NEW && writer[2] == NEW -> report = 2
#endif
	/* bounce, or cleanup, cannot: 451 */
	:: m == 0 -> not_told()
	fi;
	if
	:: report != 0 && manager[m] == OPEN ->
		about[report] = FAILED_ONES;
		v[report].place = INCOMING;
		writer[report] = CREATED;
#if defined(MUTANT_UNLINK_FIRST)
		manager[m] = TOLD; report = 0
#else
		manager[m] = TELLING
#endif
	:: else
	fi
}

/* settle_batch(): who was not reported comes again. */
inline not_told()
{
	for (BOTH) {
		if
		:: W(0, r) == W_FAILED -> W(0, r) = W_DEFERRED
		:: else
		fi
	}
	manager[0] = TOLD
}

/* record.c: write_back(), the reasons, their sync, then the bytes; and
 * queue_move() to deferred/. */
inline put_back(m)
{
	for (BOTH) {
		if
		:: W(m, r) == W_FAILED -> v[m].reason[r] = 1
		:: else
		fi
	}
#ifndef MUTANT_REASON_NOT_SYNCED
	if
	:: HAS(m, W_FAILED) -> sync_file(m)
	:: else
	fi;
#endif
	for (BOTH) {
		if
		:: W(m, r) == W_FAILED -> v[m].status[r] = FAILED; to_sync[m] = 1
		:: W(m, r) == SENT -> v[m].status[r] = DONE; to_sync[m] = 1
		:: else
		fi;
		W(m, r) = OVER
	}
	v[m].place = DEFERRED;
	manager[m] = ASLEEP;
	check()
}

/* --- the group commit, qmgr/sync.c ----------------------------------------- */

inline group_sync_file(m)
{
	to_sync[m] = 0;
#ifndef MUTANT_NO_GROUP_SYNC
	if
	:: v[m].place != NOWHERE -> sync_file(m)
	:: else
	fi;
#endif
	for (BOTH) {
		if
		:: v[m].place != NOWHERE && v[m].status[r] != TO_DO ->
			IS_SETTLED(m, r) = 1
		:: else
		fi
	}
	check()
}

inline group_sync_directories()
{
	has_removed = 0;
	for (ALL) {
		if
		:: v[n].place == NOWHERE && (accepted[n] || writer[n] == LEFT) ->
#ifndef MUTANT_NO_UNLINK_SYNC
			d[n].place = NOWHERE;
#endif
			forget_file(n);
			IS_SETTLED(n, 0) = 1; IS_SETTLED(n, 1) = 1
		:: else
		fi
	}
	check()
}

/* --- all together ---------------------------------------------------------- */

/* With IDLE_REPORTS, what becomes of a stored report is another run's. */
#ifdef IDLE_REPORTS
#define IS_TURN(m)	(m == 0)
#else
#define IS_TURN(m)	true
#endif
#define MAY_OPEN(m)	(IS_TURN(m) && manager[m] == ASLEEP && v[m].mode && \
			(v[m].place == INCOMING || v[m].place == DEFERRED) && \
			(writer[m] == ANSWERED || writer[m] == LEFT))
#ifdef MUTANT_REAP_LOCKED
#define IS_UNLOCKED(m)	true
#else
#define IS_UNLOCKED(m)	(writer[m] == LEFT)
#endif
/* Everything that can happen to a message; one line, one step. */
#define MESSAGE(m) \
	:: atomic { writer[m] >= CREATED && writer[m] <= STORED -> \
		write_file(m) } \
	:: atomic { v[m].place == INCOMING && !v[m].mode && IS_UNLOCKED(m) && \
		writer[m] != NEW -> v[m].place = NOWHERE; forget_file(m) } \
	:: atomic { MAY_OPEN(m) -> open_message(m) } \
	:: atomic { manager[m] == OPEN && !IS_BUSY(m, 0) && !IS_BUSY(m, 1) -> \
		if \
		:: IS_DONE(m, 0) && IS_DONE(m, 1) -> remove_file(m) \
		:: HAS(m, W_FAILED) -> \
			cross_off_sent(m); to_sync[m] = 1; tell_sender(m) \
		:: !HAS(m, W_FAILED) && HAS(m, W_DEFERRED) -> put_back(m) \
		fi } \
	:: atomic { manager[m] == TOLD -> \
		if \
		:: HAS(m, W_DEFERRED) -> put_back(m) \
		:: else -> remove_file(m) \
		fi } \
	:: atomic { m == 0 && manager[m] == OPEN && \
		(W(m, 0) == SENT && v[m].status[0] == TO_DO || \
		W(m, 1) == SENT && v[m].status[1] == TO_DO) -> \
		cross_off_sent(m); to_sync[m] = 1 } \
	:: atomic { to_sync[m] -> group_sync_file(m) }

/* ... and to a recipient of it. */
#define RECIPIENT(m, r) \
	:: atomic { GOES_ON(m) && W(m, r) == WAITING && \
		agent[BOX(m, r)] == 0 -> hand_out(m, r) } \
	:: atomic { W(m, r) == OUT && agent[BOX(m, r)] == 1 -> \
		agent[BOX(m, r)] = 0; W(m, r) = W_FAILED } \
	:: atomic { W(m, r) == OUT && agent[BOX(m, r)] == 1 -> \
		agent[BOX(m, r)] = 0; W(m, r) = W_DEFERRED } \
	:: atomic { crashes < CRASHES && agent[BOX(m, r)] != 0 -> \
		crashes++; agent_dies(m, r) }

#define MAILDIR(m, r) \
	:: atomic { agent[BOX(m, r)] != 0 -> maildir_step(m, r) }

init
{
	byte	r, n, b;

	atomic {
		for (n : 0 .. MESSAGES * RECIPIENTS - 1) {
			work[n] = OVER
		}
		for (b : 0 .. BOXES - 1) {
			whole[b] = 1
		}
	}
end:	do
	/* cleanup: queue_create() of the client's message */
	:: atomic { writer[0] == NEW ->
		for (BOTH) {
			v[0].status[r] = (IS_THERE(r) -> TO_DO : DONE);
			d[0].status[r] = v[0].status[r]
		}
		v[0].place = INCOMING; writer[0] = CREATED }
	MESSAGE(0)
	RECIPIENT(0, 0)
	RECIPIENT(0, 1)
	MAILDIR(0, 0)
	:: atomic { agent[1] != 0 -> mbox_step() }
	MESSAGE(1)
	RECIPIENT(1, 0)
	MAILDIR(1, 0)
#if REPORTS == 2
	MESSAGE(2)
	RECIPIENT(2, 0)
	MAILDIR(2, 0)
#endif
	/* bounce hears from cleanup, qmgr from bounce; or somebody is gone. */
	:: atomic { manager[0] == TELLING && writer[report] == ANSWERED ->
		report = 0; manager[0] = TOLD }
	:: atomic { manager[0] == TELLING && writer[report] == LEFT ->
		report = 0; not_told() }
	:: atomic { has_removed -> group_sync_directories() }
	/* crashes */
	:: atomic { crashes < CRASHES -> crashes++; power_cut() }
	:: atomic { crashes < CRASHES && writer[0] >= CREATED &&
		writer[0] <= STORED -> crashes++; writer[0] = LEFT }
	:: atomic { crashes < CRASHES && writer[1] >= CREATED &&
		writer[1] <= STORED -> crashes++; writer[1] = LEFT }
	:: atomic { crashes < CRASHES && (manager[0] != ASLEEP ||
		manager[1] != ASLEEP) -> crashes++; qmgr_dies() }
	/* bounce dies; cleanup goes on with what it has, or not */
	:: atomic { crashes < CRASHES && manager[0] == TELLING ->
		crashes++; report = 0; not_told() }
	od
}
