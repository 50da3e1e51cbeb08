#ifndef DAEMON_HANDOVER_H
#define DAEMON_HANDOVER_H

/*
 * What master gives a daemon when it starts it. Standard input, output and
 * error are /dev/null (in the foreground, error stays). Descriptors:
 *
 *	3	SEQPACKET socket to master: the daemon says HELLO with its
 *		service's name, READY when it serves, STATUS when asked;
 *		master says DRAIN, RELOAD, ASK_STATUS. Its end: exit at once
 *		if idle, drain otherwise.
 *	4	socket to the log program (log itself: the end to read)
 *	5...	listeners, one for each -l in their order
 *		(log: 5 is the open log file, or absent)
 *
 * Arguments: -c DIR  -n SERVICE  -t TYPE  -w WORKER (from 1)
 * -p PROCESSES (workers of this service)  -m MAXPROC (0: no limit)
 * -l unix|inet (one for each listener)  -o name=value  -v
 * -P COMMAND (of master.cf, when it is another name for the program)
 * -a WORD (one for each word behind it)
 *
 * Alone, any daemon also answers to
 *	--parameters	print its rows: name, kind, default, min, max, text,
 *			separated by tabs, and exit
 *	--check -c DIR [-o name=value]	load the configuration, run before()
 *			without side effects on the system, say every
 *			problem on standard error, exit 0 or 1
 */
enum {
	HANDOVER_MASTER = 3,
	HANDOVER_LOG = 4,
	HANDOVER_LISTENERS = 5,
	HANDOVER_LISTENERS_MAX = 64
};

#endif
