/*
 * postrider_talk.c - what the administrator says to a running master.
 */
#include "master/postrider.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/fiber/loop.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"
#include "master/directories.h"

enum { ANSWER_TIME = 90 * 1000 };	/* for everything that master does */

struct talk {
	const char	*(*next)(void *context);
	void		*context;
	int		 status;	/* -1: no answer */
};

/* master says a line. */
static void
on_line(struct request *r)
{
	struct control_line	*line = r->object;

	printf("%s\n", line->text);
}

static const struct peer	peers[] = {
	{ "*",	PACKET_CONTROL_LINE,	on_line,	IN_ORDER },
	{ NULL,	PACKET_NONE,		NULL,		IN_ORDER }
};

/* Connect to private/control; the directory is the queue's. */
static int
open_control(void)
{
	const struct sockaddr_un	address = {
		.sun_family = AF_UNIX, .sun_path = "private/control"
	};
	int				fd;

	if (chdir(site.queue_directory) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address,
	    sizeof(address)) == -1) {
		close(fd);
		return -1;
	}
	(void)fs_set_nonblocking(fd, true);
	return fd;
}

/* Ask for one thing after the other; false when there was no answer. */
static WAITS bool
ask_all(struct talk *t, struct channel *channel)
{
	struct control		 control;
	struct control_done	 done;
	struct pool		*pool;
	const char		*verb;
	int			 result, status = 0;

	while ((verb = t->next(t->context)) != NULL) {
		control.verb = (char *)(uintptr_t)verb;
		pool = pool_new("answer", 0);
		result = channel_ask(channel, PACKET_CONTROL, &control,
		    PACKET_CONTROL_DONE, &done, pool,
		    clock_now() + ANSWER_TIME);
		pool_free(pool);
		if (result == -1)
			return false;
		if (done.exit_status != 0)
			status = (int)done.exit_status;
	}
	t->status = status;
	return true;
}

/* Fiber: ask and wait. */
static void
talk(void *arg)
{
	struct talk	*t = arg;
	struct hello	 hello = { "postrider", IPC_VERSION };
	struct channel	*channel;
	int		 fd;

	if ((fd = open_control()) == -1) {
		if (errno == EACCES)
			fprintf(stderr, "postrider: only root and the mail "
			    "system's owner may do that\n");
		else
			fprintf(stderr, "postrider: %s/private/control: %s\n",
			    site.queue_directory, strerror(errno));
		loop_stop();
		return;
	}
	channel = channel_new(fd, false, peers, NULL, NULL);
	channel_hold(channel);
	channel_set_name(channel, "master");
	(void)channel_post(channel, PACKET_HELLO, channel_next_id(channel),
	    &hello);
	if (!ask_all(t, channel))
		fprintf(stderr, "postrider: no answer from master: %s\n",
		    strerror(errno));
	channel_release(channel);
	loop_stop();
}

/* Have master do one thing after the other: its exit status, or 1. */
int
postrider_ask_master_all(const char *(*next)(void *), void *context)
{
	struct talk	t = { next, context, -1 };

	loop_open();
	fiber_start(talk, &t);
	loop_run();
	return t.status == -1 ? 1 : t.status;
}

/* The one verb, then no other. */
static const char *
next_once(void *context)
{
	const char	**verb = context, *now = *verb;

	*verb = NULL;
	return now;
}

/* Have master do something: its exit status, or 1. */
int
postrider_ask_master(const char *verb)
{
	return postrider_ask_master_all(next_once, &verb);
}

/* Who runs this instance? Its configuration is loaded by this. */
int
postrider_find_master(struct pool *pool)
{
	(void)site_load(postrider_directory);
	return pid_file_holder(pool, site.queue_directory);
}

/* The same, and the end if nobody does. */
int
postrider_need_master(struct pool *pool)
{
	int	pid = postrider_find_master(pool);

	if (pid == 0) {
		fprintf(stderr, "postrider: the mail system is not running\n");
		exit(1);
	}
	return pid;
}
