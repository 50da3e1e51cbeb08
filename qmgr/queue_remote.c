/*
 * queue_remote.c - the queue command has qmgr do the work.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/fiber/loop.h"
#include "common/ipc/channel.h"
#include "qmgr/queue.h"

enum { PATIENCE = 600 * 1000 };

/* What the fiber is to do. */
struct talk {
	struct task	*tasks;
	size_t		 count;
	int		 fd;
};

/* An entry of a list. */
static void
on_entry(struct request *r)
{
	(void)print_entry(NULL, r->object);
}

static const struct peer	peers[] = {
	{ "qmgr",	PACKET_QUEUE_ENTRY,	on_entry,	IN_ORDER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* One task: ask, and hear the entries until it is done. */
static WAITS int
ask(struct channel *c, struct task *t)
{
	static char		 nothing[1];
	struct pool		*pool = pool_new("task", 0);
	struct queue_command	 q = { .verb = (char *)(uintptr_t)t->verb,
	    .id = t->id != NULL ? (char *)(uintptr_t)t->id : nothing,
	    .argument = t->argument != NULL ?
	    (char *)(uintptr_t)t->argument : nothing };
	struct queue_done	 done;
	int			 result;

	result = channel_ask(c, PACKET_QUEUE_COMMAND, &q, PACKET_QUEUE_DONE,
	    &done, pool, clock_now() + PATIENCE);
	if (result == 0) {
		t->status = (int)done.exit_status;
		t->count = done.count;
		snprintf(t->text, sizeof(t->text), "%s", done.text);
	} else {
		t->status = 75;			/* EX_TEMPFAIL */
		snprintf(t->text, sizeof(t->text),
		    "no answer from the queue manager: %s", strerror(errno));
	}
	pool_free(pool);
	return result;
}

/* The fiber. */
static void
talk(void *arg)
{
	struct talk	*t = arg;
	struct hello	 hello = { (char *)(uintptr_t)"queue", IPC_VERSION };
	struct channel	*c;
	size_t		 i;

	c = channel_new(t->fd, false, peers, NULL, NULL);
	channel_hold(c);
	channel_set_name(c, "qmgr");
	(void)channel_post(c, PACKET_HELLO, 0, &hello);
	for (i = 0; i < t->count; i++)
		if (ask(c, &t->tasks[i]) == -1)
			break;
	channel_release(c);
	loop_stop();
}

/* Connect; the directory is the queue's. */
static int
connect_qmgr(void)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX,
				    .sun_path = "public/qmgr" };
	int			fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1) {
		close(fd);
		return -1;
	}
	(void)fs_set_nonblocking(fd, true);
	return fd;
}

/* All tasks, one after the other. */
bool
remote_run(struct task *tasks, size_t count)
{
	struct talk	t = { .tasks = tasks, .count = count };
	size_t		i;

	if ((t.fd = connect_qmgr()) == -1)
		return false;
	for (i = 0; i < count; i++) {
		tasks[i].status = 75;		/* unless it is answered */
		snprintf(tasks[i].text, sizeof(tasks[i].text),
		    "not done");
	}
	loop_open();
	fiber_start(talk, &t);
	loop_run();
	return true;
}
