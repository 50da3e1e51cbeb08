/*
 * process.c - one daemon's process: started, ready, leaving, gone.
 */
#include "master/process.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"
#include "master/certificates.h"
#include "master/orphans.h"

enum { STATUS_TIME = 1000 };	/* for an answer to ASK_STATUS */

struct processes	processes = TAILQ_HEAD_INITIALIZER(processes);

/* Send it a word without fields. */
void
process_tell(struct process *p, unsigned type)
{
	const struct empty	nothing = { 0 };

	if (p->channel != NULL)
		(void)channel_post(p->channel, type,
		    channel_next_id(p->channel), &nothing);
}

/* A file of configuration, open; -1 if it cannot be. */
static int
open_file(const char *path)
{
	return path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

/* Read your configuration again: here it is, since your jail hides it. */
void
process_reload(struct process *p)
{
	struct pool	*pool = pool_new("reload", 0);
	struct reload	 files;

	files.origin = site.origin_file != NULL ? site.origin_file :
	    pool_strdup(pool, "");
	files.main_cf = open_file(pool_printf(pool, "%s/main.cf",
	    site.config_directory));
	files.master_cf = open_file(pool_printf(pool, "%s/master.cf",
	    site.config_directory));
	files.origin_file = open_file(files.origin);
	pool_owns_fd(pool, files.main_cf);
	pool_owns_fd(pool, files.master_cf);
	pool_owns_fd(pool, files.origin_file);
	if (p->channel != NULL)
		(void)channel_post(p->channel, PACKET_RELOAD,
		    channel_next_id(p->channel), &files);
	pool_free(pool);
}

/* Ask it to finish what it has and leave. */
void
process_drain(struct process *p)
{
	if (p->is_leaving)
		return;
	p->is_leaving = true;
	process_tell(p, PACKET_DRAIN);
}

/* The channel is gone, and with a dead process all of it. */
static void
channel_gone(struct channel *channel, void *context)
{
	struct process	*p = context;

	(void)channel;
	p->channel = NULL;
	if (!p->is_dead)
		return;
	free(p->path);
	free(p);
}

/* It serves: those before it in the same place may leave. It stays itself,
 * though another reload has made it old, until its own successor serves. */
static void
on_ready(struct request *request)
{
	struct process	*p = channel_context(request->channel), *old;

	if (p->is_dead)
		return;
	p->is_ready = true;
	if (p->worker != NULL)
		p->worker->falls = 0;
	for (old = TAILQ_FIRST(&processes); old != p;
	    old = TAILQ_NEXT(old, entry))
		if (old->worker == NULL && old->number == p->number &&
		    strcmp(old->service, p->service) == 0)
			process_drain(old);
	watch_changed();
}

/* Start a process in this place. */
struct process *
process_start(struct worker *w)
{
	struct process	*p;
	struct pool	*pool;
	const char	*why = "";
	int		 fd;
	pid_t		 pid;

	if ((pid = spawn(w, &fd, &why)) == -1) {
		log_warning("cannot start %s: %s", w->unit->program, why);
		return NULL;
	}
	p = mem_alloc(sizeof(*p));
	pool = pool_new("path", 0);
	*p = (struct process){
		.pid = pid, .program = w->unit->role->program,
		.path = mem_strdup(services_path(pool, w->unit)),
		.number = w->number, .worker = w, .started = clock_now()
	};
	pool_free(pool);
	strlcpy(p->service, w->unit->name, sizeof(p->service));
	spawn_look(w->unit, &p->file);
	if (w->unit->flags & UNIT_ALONE)
		orphans_note(p->service, pid);
	p->peers[0] = (struct peer){ p->service, PACKET_READY, on_ready,
	    IN_ORDER };
	TAILQ_INSERT_TAIL(&processes, p, entry);
	p->channel = channel_new(fd, true, p->peers, channel_gone, p);
	return p;
}

/* Say how it ended, in words that log readers know. */
void
process_describe(const struct process *p, int status, char *to, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(to, size, "process %s pid %d killed by signal "
		    "%d", p->path, (int)p->pid, WTERMSIG(status));
	else
		(void)snprintf(to, size, "process %s pid %d exit status %d",
		    p->path, (int)p->pid, WEXITSTATUS(status));
}

/* Forget one that was collected. */
static void
forget(struct process *p)
{
	TAILQ_REMOVE(&processes, p, entry);
	p->is_dead = true;
	if (p->channel != NULL) {
		channel_close(p->channel);
		return;
	}
	free(p->path);
	free(p);
}

/* Collect everybody who ended; as process 1 of a container, orphans too. */
void
process_reap(void (*ended)(struct process *, int))
{
	struct process	*p;
	pid_t		 pid;
	int		 status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		TAILQ_FOREACH(p, &processes, entry)
			if (p->pid == pid)
				break;
		if (p == NULL) {
			certificates_ended(pid, status);
			continue;
		}
		ended(p, status);
		forget(p);
	}
}

/* Ask one process how it does. */
static WAITS void
ask(struct process *p, struct watch_row *row)
{
	const struct empty	 nothing = { 0 };
	struct channel		*channel = p->channel;
	struct status		 status = { 0 };
	struct pool		*pool;

	if (channel == NULL || !p->is_ready)
		return;
	pool = pool_new("status", 0);
	channel_hold(channel);
	if (channel_ask(channel, PACKET_ASK_STATUS, &nothing, PACKET_STATUS,
	    &status, pool, clock_now() + STATUS_TIME) == 0) {
		row->is_answering = true;
		row->sessions = status.sessions;
		strlcpy(row->note, status.note, sizeof(row->note));
	}
	channel_release(channel);
	pool_free(pool);
}

/* The process with the next greater pid; NULL: no more. */
static struct process *
after(pid_t pid)
{
	struct process	*p, *next = NULL;

	TAILQ_FOREACH(p, &processes, entry)
		if (p->pid > pid && (next == NULL || p->pid < next->pid))
			next = p;
	return next;
}

/* Tell about each of them. The list may change while one is asked. */
void
watch_status(void (*say)(const struct watch_row *, void *), void *context)
{
	struct watch_row	 row;
	struct process		*p;
	char			 service[SERVICE_NAME_SIZE];
	pid_t			 last = 0;

	while ((p = after(last)) != NULL) {
		last = p->pid;
		strlcpy(service, p->service, sizeof(service));
		row = (struct watch_row){
			.service = service, .program = p->program,
			.number = p->number, .pid = p->pid,
			.started = p->started, .is_ready = p->is_ready,
			.is_leaving = p->is_leaving
		};
		ask(p, &row);
		say(&row, context);
	}
}
