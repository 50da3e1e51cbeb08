/*
 * mailbox.c - the program that is the recipient: writes to his mailbox and
 * reads his .forward, with his rights and no others.
 *
 * helper starts it as the recipient, with a channel to local as descriptor 3
 * and the log as 4. local sends STORE and READ_FORWARD and closes the channel
 * when it has no mail for him for some seconds; then this process ends. What
 * can block runs on threads, so that syncs of several messages go together.
 *
 * P1  When local is gone, what has begun is finished; signals that ask for
 *     the end are ignored, because half a message in a mailbox is worse.
 * P2  For root the only verb is STORE, and the only place his own name in the
 *     spool: nothing in a directory of root's is touched, nothing is read.
 * P3  A .forward that others could have written says nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

#include "local/store.h"

enum {
	THREADS = 4,
	EXPLANATION = 256,
	TURN_TIME = 5 * 60 * 1000	/* local waits for ten minutes; what is
					 * done later is delivered twice */
};

static struct {
	const char	*user, *host, *spool;
	gid_t		 spool_group;
	struct semaphore mbox;		/* one mbox at a time: locks are the
					 * process's, and order is wanted */
	unsigned	 count;		/* messages so far */
	unsigned	 busy;
	bool		 is_over;
} self = { .spool_group = STORE_NO_GROUP };

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

/* Have a thread do it; mboxes one after the other. */
WAITS static void
store(struct storing *s)
{
	if (s->what->kind == STORE_MAILDIR) {
		(void)offload(maildir_store, s);
		return;
	}
	if (semaphore_take(&self.mbox, clock_now() + TURN_TIME) == -1) {
		storing_failed(s, "wait for", s->what->path, errno);
		return;
	}
	(void)offload(mbox_store, s);
	semaphore_give(&self.mbox);
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
	if (is_in_spool(what->path)) {
		s->spool_group = self.spool_group;
		store(s);
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

/* A .forward that is read on a thread. */
struct reading {
	const char	*path;
	struct pool	*pool;		/* of the request; its fiber waits */
	int		 fd;
	struct stat	 st;
	char		*data;
	size_t		 len;
};

/* Thread work: open and look, without following links. */
static int
open_forward(void *arg)
{
	struct reading	*f = arg;

	f->fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	return f->fd == -1 ? -1 : fstat(f->fd, &f->st);
}

/* Thread work: read all of it. */
static int
read_forward(void *arg)
{
	struct reading	*f = arg;
	ssize_t		 n = fs_pread(f->fd, f->data, CONTENT_MAX + 1, 0);

	if (n == -1)
		return -1;
	f->len = (size_t)n;
	return 0;
}

/* Why this file must not be believed; NULL if it may (P3). */
static const char *
distrust(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to somebody else";
	if (st->st_mode & S_IWOTH)
		return "everybody can write to it";
	return NULL;
}

/* Fill the answer for a file that did not open. */
static void
no_forward(const struct reading *f, int error, struct forward *answer,
    char text[EXPLANATION])
{
	answer->result = ROUTE_IMPOSSIBLE;
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		break;
	case EACCES:
	case EPERM:
	case ELOOP:
		log_warning("%s is ignored: %s", f->path, error == ELOOP ?
		    "it is a symbolic link" : strerrordesc_np(error));
		break;
	default:
		answer->result = ROUTE_TEMPORARY;
		snprintf(text, EXPLANATION, "cannot read %.180s: %s", f->path,
		    strerrordesc_np(error));
		break;
	}
}

/* Read it, if it may be believed. */
WAITS static void
find_forward(struct reading *f, struct forward *answer,
    char text[EXPLANATION])
{
	const char	*why;

	if (offload(open_forward, f) == -1) {
		no_forward(f, errno, answer, text);
		return;
	}
	if ((why = distrust(&f->st)) != NULL) {
		log_warning("%s is ignored: %s", f->path, why);
		answer->result = ROUTE_IMPOSSIBLE;
		return;
	}
	f->data = pool_alloc(f->pool, CONTENT_MAX + 1);
	if (offload(read_forward, f) == -1) {
		no_forward(f, errno, answer, text);
	} else if (f->len > CONTENT_MAX) {
		answer->result = ROUTE_TEMPORARY;
		snprintf(text, EXPLANATION, "%.180s is too long", f->path);
	} else {
		answer->result = ROUTE_OK;
		answer->data.data = f->data;
		answer->data.len = f->len;
	}
}

/* READ_FORWARD: what does this file say? */
WAITS static void
on_read_forward(struct request *r)
{
	const struct read_forward	*what = r->object;
	struct reading			 f = { .path = what->path,
					    .pool = r->pool, .fd = -1 };
	char				 text[EXPLANATION] = "";
	struct forward			 answer = { .text = text };

	begin();
	if (geteuid() == 0)
		answer.result = ROUTE_IMPOSSIBLE;	/* P2 */
	else
		find_forward(&f, &answer, text);
	if (f.fd != -1)
		close(f.fd);
	(void)channel_reply(r, PACKET_FORWARD, &answer);
	end();
}

/* --- main ---------------------------------------------------------------- */

static const struct peer	peers[] = {
	{ "local",	PACKET_STORE,		on_store,	 ON_A_FIBER },
	{ "local",	PACKET_READ_FORWARD,	on_read_forward, ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		 IN_ORDER }
};

/* -n SYSLOG_NAME -u USER -H HOST -s SPOOL -g GROUP */
static void
read_options(int argc, char **argv)
{
	int64_t	group;
	int	c;

	while ((c = getopt(argc, argv, "n:u:H:s:g:")) != -1) {
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
	static const int	deaf[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
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
	close_doors();
	if (fcntl(HANDOVER_LOG, F_GETFD) != -1)
		log_to_socket(HANDOVER_LOG);
	if (fs_set_nonblocking(HANDOVER_MASTER, true) == -1)
		die("this program is started by helper");
	offload_threads(THREADS);
	loop_open();
	semaphore_init(&self.mbox, 1);
	channel_set_name(channel_new(HANDOVER_MASTER, false, peers, on_closed,
	    NULL), "local");
	loop_run();
	_exit(0);
}
