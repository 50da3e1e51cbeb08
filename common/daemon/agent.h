#ifndef DAEMON_AGENT_H
#define DAEMON_AGENT_H

#include "common/ipc/channel.h"
#include "common/ipc/packets.h"

/*
 * What every delivery agent does the same way: the log line of a recipient,
 * and the answer to qmgr.
 */
struct agent_times {
	int64_t	 start_us;	/* the agent began */
	int64_t	 ready_us;	/* connected, or the mailbox was found */
	int64_t	 done_us;	/* there is an outcome */
};

/*
 * "QID: to=<R>, orig_to=<O>, relay=W, conn_use=N, delay=D, delays=a/b/c/d,
 * dsn=X.Y.Z, status=sent (TEXT)"; conn_use only above 1. relay: "local",
 * "none", "host[192.0.2.1]:25".
 */
void	 agent_log(const struct deliver *, const struct deliver_row *,
	    const char *relay, unsigned conn_use, const struct agent_times *,
	    const struct outcome_row *);

/* Tell qmgr these outcomes of the delivery that `request` asked for, split
 * into packets that fit; the last one ends the delivery. */
void	 agent_report(struct request *, struct outcome_row *, size_t count);

/* The same while the delivery of others goes on: who has the mail does not get
 * it again if this process dies. */
void	 agent_report_some(struct request *, struct outcome_row *,
	    size_t count);

/* Log and report the same outcome for every recipient. */
void	 agent_report_all(struct request *, const char *relay,
	    enum outcome, int64_t flags, const char *dsn, const char *text);

/* "0.03", "1.2", "12": two digits that mean something, 10 ms at best. */
char	*agent_seconds(char to[32], int64_t microseconds);

#endif
