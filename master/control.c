/*
 * control.c - answers the administrator: status, reload, stop, post.
 *
 * A command opens private/control, says HELLO and one CONTROL; lines of text
 * go back as CONTROL_LINE, then CONTROL_DONE with the exit status.
 */
#include "master/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/loop.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"
#include "common/net/dial.h"
#include "common/param/site.h"
#include "master/watch.h"

static const char	path[] = "private/control";

enum { SEND_TIME = 10 * 1000 };

static struct loop_fd			 watch = { .fd = -1 };
static struct control_acts		 acts;

static void	 on_control(struct request *);

static const struct peer	peers[] = {
	{ "postrider",	PACKET_CONTROL,	on_control,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	NULL,		ON_A_FIBER }
};

/* Say one line. */
static WAITS void
say(struct request *r, const char *text)
{
	struct control_line	line = { .text = (char *)(uintptr_t)text };

	(void)channel_send(r->channel, PACKET_CONTROL_LINE, r->id, &line,
	    clock_now() + SEND_TIME);
}

/* Say each line of a text. */
static WAITS void
say_all(struct request *r, struct str *text)
{
	char	*line, *rest = text->data;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			say(r, line);
}

/* "3d04h", "2h10m", "5m12s". */
static const char *
age(char *to, size_t size, int64_t since)
{
	int64_t	s = (clock_now() - since) / 1000;

	if (s >= 86400)
		(void)snprintf(to, size, "%" PRId64 "d%02dh", s / 86400,
		    (int)(s % 86400 / 3600));
	else if (s >= 3600)
		(void)snprintf(to, size, "%dh%02dm", (int)(s / 3600),
		    (int)(s % 3600 / 60));
	else
		(void)snprintf(to, size, "%dm%02ds", (int)(s / 60),
		    (int)(s % 60));
	return to;
}

/* One process's line of the status. */
static void
say_process(const struct watch_row *row, void *context)
{
	struct request	*r = context;
	char		 up[32], sessions[32] = "-", name[160],
			 note[sizeof(row->note)];

	/* A daemon's own words, on the administrator's terminal. */
	(void)log_escape(note, sizeof(note), row->note, strlen(row->note));
	if (row->is_answering)
		(void)snprintf(sessions, sizeof(sessions), "%" PRId64,
		    row->sessions);
	(void)snprintf(name, sizeof(name), "%s.%u", row->service,
	    row->number);
	say(r, pool_printf(r->pool, "%-20s %-8s %8d %-9s %8s %9s  %s", name,
	    row->program, (int)row->pid,
	    row->is_leaving ? "leaving" : row->is_ready ? "ready" : "starting",
	    age(up, sizeof(up), row->started), sessions, note));
}

/* One name of a service that nobody needed yet. */
static void
add_idle(const char *name, void *context)
{
	str_addf(context, " %s", name);
}

/* status */
static WAITS int
status(struct request *r)
{
	struct str	idle;
	char		up[32];

	say(r, pool_printf(r->pool, "Postrider " POSTRIDER_VERSION
	    " is running: process %d, up %s, configuration %s, queue %s",
	    (int)getpid(), age(up, sizeof(up), acts.started),
	    site.config_directory, site.queue_directory));
	say(r, pool_printf(r->pool, "%-20s %-8s %8s %-9s %8s %9s", "SERVICE",
	    "PROGRAM", "PID", "STATE", "UP", "SESSIONS"));
	watch_status(say_process, r);
	str_init(&idle, r->pool, 0);
	watch_idle(add_idle, &idle);
	if (idle.len > 0)
		say(r, pool_printf(r->pool, "started when needed:%s",
		    idle.data));
	return 0;
}

/* reload */
static WAITS int
reload(struct request *r)
{
	struct str	problems;

	str_init(&problems, r->pool, 0);
	if (acts.reload(&problems) == 0)
		return 0;
	say_all(r, &problems);
	say(r, "the configuration is as it was before");
	return 1;
}

/* post LEVEL TAG TEXT: the line of somebody else, under his name. */
static int
post_text(struct pool *pool, const char *words)
{
	const enum log_level	 most = LOG_LEVEL_PANIC;
	char			*rest = pool_strdup(pool, words), *program;
	int64_t			 level;
	const char		*tag, *name = site.syslog_name;

	if (text_integer(strsep(&rest, " "), 0, most, &level) != NULL ||
	    (tag = program = strsep(&rest, " ")) == NULL || rest == NULL)
		return 1;
	if ((program = strrchr(program, '/')) != NULL) {
		*program++ = '\0';
		name = tag;
		tag = program;
	}
	log_name(name, tag);
	log_at((enum log_level)level, "%s", rest);
	log_name(site.syslog_name, "master");
	return 0;
}

/* Do what was asked. */
static WAITS int
act(struct request *r, const char *verb)
{
	if (strcmp(verb, "status") == 0)
		return status(r);
	if (strcmp(verb, "reload") == 0)
		return reload(r);
	if (strncmp(verb, "post ", 5) == 0)
		return post_text(r->pool, verb + 5);
	if (strcmp(verb, "stop") == 0 || strcmp(verb, "stop now") == 0) {
		acts.stop(strcmp(verb, "stop now") == 0);
		return 0;
	}
	say(r, pool_printf(r->pool, "master does not know \"%s\"", verb));
	return 1;
}

/* A CONTROL packet came. */
static void
on_control(struct request *r)
{
	struct control		*control = r->object;
	struct control_done	 done;
	bool			 is_stop;

	fiber_name("control");
	is_stop = strncmp(control->verb, "stop", 4) == 0;
	done.exit_status = act(r, control->verb);
	(void)channel_reply(r, PACKET_CONTROL_DONE, &done);
	if (is_stop)
		acts.leave();
}

/* Fiber: accept commands. */
static void
accept_all(void *arg)
{
	int	fd;

	(void)arg;
	fiber_name("control");
	for (;;) {
		fd = accept4(watch.fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1)
			(void)channel_new(fd, true, peers, NULL, NULL);
		else if (errno == EAGAIN) {
			if (loop_wait_readable(&watch, NEVER) == -1)
				return;
		} else if (fiber_sleep(100) == -1 || watch.fd == -1)
			return;
	}
}

/* Listen. */
const char *
control_open(const struct control_acts *a)
{
	int	fd;

	acts = *a;
	fd = listen_unix(path, SOCK_SEQPACKET, 0600, (uid_t)-1, (gid_t)-1);
	if (fd == -1 || loop_add(&watch, fd) == -1)
		return strerror(errno);
	fiber_start(accept_all, NULL);
	return NULL;
}

/* Nobody may ask any more. */
void
control_close(void)
{
	int	fd = watch.fd;

	if (fd == -1)
		return;
	loop_remove(&watch);
	close(fd);
	unlink(path);
}
