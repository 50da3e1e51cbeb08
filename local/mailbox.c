/*
 * mailbox.c - the program that is the recipient: writes to his mailbox, reads
 * his .forward and runs his commands, with his rights and no others.
 *
 * helper starts it as the recipient, with a channel to local as descriptor 3
 * and the log as 4. local sends STORE, READ_FORWARD and RUN; it closes the
 * channel when it has no mail for him for some seconds, and this process ends.
 * What can block runs on threads, so that syncs of several messages go
 * together.
 *
 * P1  When local is gone, what has begun is finished; signals that ask for
 *     the end are ignored, because half a message in a mailbox is worse.
 * P2  For root the only verb is STORE, and the only place his own name in the
 *     spool: nothing in a directory of root's is touched, nothing is read. For
 *     owners of virtual mailboxes, whose groups come from a table, the only
 *     verb is STORE as well, and only into what is theirs.
 * P3  Commands run in processes that have nothing of this one (running.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/handover.h"
#include "common/fiber/loop.h"
#include "common/fiber/offload.h"
#include "common/fiber/queue.h"
#include "common/ipc/channel.h"

#include "local/mbox.h"
#include "local/reading.h"
#include "local/run.h"
#include "local/store.h"

enum {
	THREADS = 12,			/* beside those that run commands */
	THREADS_MAX = 64,
	RUNS = 8,
	RUNS_MAX = 60,
	TURN_TIME = 5 * 60 * 1000	/* local waits for ten minutes; what is
					 * done later is delivered twice */
};

static struct {
	const char	*user, *host, *spool;
	const char	*root;		/* of commands, or "" */
	gid_t		 spool_group;
	struct semaphore runs;
	int64_t		 run_count;	/* commands at a time */
	bool		 only_stores;	/* or root (P2) */
	unsigned	 count;		/* messages so far */
	unsigned	 busy;
	bool		 is_over;
} self = { .root = "", .spool_group = STORE_NO_GROUP, .run_count = RUNS };

/* --- the life of the process --------------------------------------------- */

/* One more thing to do. */
static void
begin(void)
{
	self.busy++;
}

/* One less; the last one after the channel's end ends the process (P1). */
static void
end(void)
{
	if (--self.busy == 0 && self.is_over)
		loop_stop();
}

/* local has no more mail for this user, or is gone. */
static void
on_closed(struct channel *c, void *context)
{
	(void)c;
	(void)context;
	self.is_over = true;
	if (self.busy == 0)
		loop_stop();
}

/* --- STORE --------------------------------------------------------------- */

/* Is the path in the spool, under the user's own name? */
static bool
is_in_spool(const char *path)
{
	size_t	len = strlen(self.spool), name = strlen(self.user);

	while (len > 0 && self.spool[len - 1] == '/')
		len--;
	return len > 0 && strncmp(path, self.spool, len) == 0 &&
	    path[len] == '/' &&
	    strncmp(path + len + 1, self.user, name) == 0 &&
	    (path[len + 1 + name] == '\0' ||
	    strcmp(path + len + 1 + name, "/") == 0);
}

/* Put it there. */
WAITS static void
store(struct storing *s)
{
	if (s->what->kind == STORE_MAILDIR)
		maildirs_store(s);
	else
		mboxes_store(s);
}

/* Tell comsat(8), if it listens, that there is mail at this place of the
 * user's mailbox: one datagram, for which nobody waits. */
static void
notify(const struct storing *s)
{
	enum { BIFF_PORT = 512 };	/* "biff" of services(5) */
	struct sockaddr_in	to = {
		.sin_family = AF_INET, .sin_port = htons(BIFF_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	char			text[300];
	int			fd, n;

	if (s->outcome != OUTCOME_SENT || s->what->kind != STORE_MBOX)
		return;
	n = snprintf(text, sizeof(text), "%s@%lld", self.user,
	    (long long)s->position);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	if (n > 0 && (size_t)n < sizeof(text))
		(void)sendto(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
		    (struct sockaddr *)&to, sizeof(to));
	close(fd);
}

/* STORE: one message into one mailbox. */
WAITS static void
on_store(struct request *r)
{
	const struct store	*what = r->object;
	struct storing		*s = pool_alloc(r->pool, sizeof(*s));
	struct stored		 stored = { 0 };

	begin();
	pool_owns_fd(r->pool, what->message);
	s->what = what;
	s->host = self.host;
	s->number = ++self.count;
	s->spool_group = STORE_NO_GROUP;
	if (self.only_stores && ((what->flags & ~STORE_NOTIFIES) != 0 ||
	    what->files > 0)) {
		storing_is(s, OUTCOME_DEFERRED, "4.3.5", "this user writes to "
		    "mailboxes of his own only");
	} else if (is_in_spool(what->path)) {
		s->spool_group = self.spool_group;
		store(s);
		if (what->flags & STORE_NOTIFIES)
			notify(s);
	} else if (geteuid() == 0) {
		storing_is(s, OUTCOME_DEFERRED, "4.3.5", "root has a mailbox "
		    "in %s and nowhere else", self.spool);
	} else {
		store(s);
	}
	if (s->note[0] != '\0')
		log_warning("%s: %s", what->queue_id, s->note);
	stored.outcome = s->outcome;
	stored.dsn = (char *)(uintptr_t)s->dsn;
	stored.text = s->text;
	(void)channel_reply(r, PACKET_STORED, &stored);
	end();
}

/* --- READ_FORWARD -------------------------------------------------------- */

/* READ_FORWARD: what does this file say? */
WAITS static void
on_read_forward(struct request *r)
{
	char		 text[READING_TEXT] = "";
	struct forward	 answer = { .result = ROUTE_IMPOSSIBLE, .owner = -1,
			    .text = text };

	begin();
	if (!self.only_stores)
		reading_answer(r->pool, r->object, &answer, text);
	(void)channel_reply(r, PACKET_FORWARD, &answer);
	end();
}

/* --- RUN ----------------------------------------------------------------- */

/* The words, as exec wants them. */
static char **
vector(struct pool *pool, const struct word_row *rows, size_t count)
{
	char	**words = pool_array(pool, count + 1, sizeof(*words));
	size_t	  i;

	for (i = 0; i < count; i++)
		words[i] = rows[i].word;
	return words;
}

/* The output as text: what is no text, and white space at its ends, goes. */
static char *
make_text(struct pool *pool, struct running *r)
{
	char	*at;
	size_t	 i;

	if (r->result == RUN_FAILED)
		return pool_strdup(pool, r->text);
	for (i = 0; i < r->output_len; i++)
		if (r->output[i] == '\n' || r->output[i] == '\0')
			r->output[i] = ' ';
	at = r->output + strspn(r->output, " \t\r");
	for (i = strlen(at); i > 0 && strchr(" \t\r", at[i - 1]) != NULL; )
		at[--i] = '\0';
	return pool_strdup(pool, at);
}

/* RUN: a command with the message. Whoever waits too long for his turn is
 * tried again later. */
WAITS static void
on_run(struct request *r)
{
	const struct run	*what = r->object;
	struct running		*run = pool_alloc(r->pool, sizeof(*run));
	struct ran		 ran = { .result = RUN_FAILED };
	static char		 nobody[] = "this user runs no commands",
				 crowd[] = "too many commands run";

	begin();
	pool_owns_fd(r->pool, what->message);
	run->what = what;
	run->root = self.root;
	run->argv = vector(r->pool, what->words, what->count);
	run->envp = vector(r->pool, what->environment, what->variables);
	if (self.only_stores || what->count == 0) {
		ran.text = nobody;
	} else if (semaphore_take(&self.runs, clock_now() + TURN_TIME) == -1) {
		ran.text = crowd;
	} else {
		(void)offload(run_command, run);
		semaphore_give(&self.runs);
		ran.result = run->result;
		ran.status = run->status;
		ran.text = make_text(r->pool, run);
	}
	(void)channel_reply(r, PACKET_RAN, &ran);
	end();
}

/* --- main ---------------------------------------------------------------- */

static const struct peer	peers[] = {
	{ "local",	PACKET_STORE,		on_store,	 ON_A_FIBER },
	{ "local",	PACKET_READ_FORWARD,	on_read_forward, ON_A_FIBER },
	{ "local",	PACKET_RUN,		on_run,		 ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		 IN_ORDER }
};

/* -n SYSLOG_NAME -u USER -H HOST -s SPOOL -g GROUP -c ROOT of commands
 * -r (many commands) -x (none) */
static void
read_options(int argc, char **argv)
{
	int64_t	group;
	int	c;

	while ((c = getopt(argc, argv, "n:u:H:s:g:c:rx")) != -1) {
		switch (c) {
		case 'n':
			log_name(optarg, "local");
			break;
		case 'u':
			self.user = optarg;
			break;
		case 'H':
			self.host = optarg;
			break;
		case 's':
			self.spool = optarg;
			break;
		case 'g':
			if (text_integer(optarg, 1, INT32_MAX, &group) == NULL)
				self.spool_group = (gid_t)group;
			break;
		case 'c':
			self.root = optarg;
			break;
		case 'x':
			self.only_stores = true;
			break;
		case 'r':
			self.run_count = RUNS_MAX;
			break;
		default:
			exit(1);
		}
	}
	if (self.user == NULL || self.host == NULL || self.spool == NULL)
		die("this program is started by helper");
}

/* Nobody looks into this process, least of all the recipient: it holds the
 * group of the spool. Sanitizers need to. */
static void
close_doors(void)
{
	static const int	deaf[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE,
				    SIGXFSZ };
	size_t			i;

	for (i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++)
		(void)signal(deaf[i], SIG_IGN);
	umask(077);
#ifndef SANITIZED
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		die("PR_SET_DUMPABLE: %s", strerror(errno));
#endif
}

/* Serve local until it is gone. */
int
main(int argc, char **argv)
{
	read_options(argc, argv);
	self.only_stores |= geteuid() == 0;
	mbox_mark_prepare();
	close_doors();
	if (fcntl(HANDOVER_LOG, F_GETFD) != -1)
		log_to_socket(HANDOVER_LOG);
	if (fs_set_nonblocking(HANDOVER_MASTER, true) == -1)
		die("this program is started by helper");
	offload_threads(self.run_count > THREADS_MAX - THREADS ? THREADS_MAX :
	    THREADS + (int)self.run_count);
	loop_open();
	channel_gather();		/* a batch is answered as a whole */
	semaphore_init(&self.runs, (long)self.run_count);
	channel_set_name(channel_new(HANDOVER_MASTER, false, peers, on_closed,
	    NULL), "local");
	loop_run();
	_exit(0);
}
