#ifndef MASTER_SINK_H
#define MASTER_SINK_H

/*
 * Where log lines end: the file that maillog_file names, standard output, or
 * the system's log. A datagram socket means the last; the log program tells
 * by looking at the descriptor.
 */

/* A descriptor of its own, or -1 with *why. Without maillog_file and without
 * a system log, in the foreground, standard error. */
int	 sink_open(const char **why);

/* Keep standard output for /dev/stdout before it is closed; in the
 * foreground, standard error serves when there is nothing else. */
void	 sink_prepare(int is_foreground);

#endif
