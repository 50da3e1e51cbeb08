/*
 * offload.c - threads that do what would stop everyone.
 *
 * A fiber puts its job, which lies on its own stack, in line and sleeps; a
 * thread takes it, does it, puts it on the list of finished jobs and rings
 * the loop by an eventfd, once per batch. Who wakes somebody has let go of
 * the lock before, or the other one would wake only to wait for it.
 *
 * The thread owns job and arguments until then: neither cancel nor time can
 * wake the fiber earlier. A job that may hang for ever lies on the heap and
 * is left alone when time is up; what it holds is released when it comes back.
 *
 * Several syncs at once are the point: the file system merges them.
 */
#include "common/fiber/offload.h"

#include <sys/eventfd.h>
#include <sys/queue.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fiber/inside.h"

enum { THREADS_DEFAULT = 8, THREADS_MAX = 64 };

struct job {
	int			(*work)(void *);
	void			*arg;
	int			 result;
	int			 error;
	bool			 is_done;
	struct fiber		*fiber;
	void			(*release)(void *);	/* of one left alone */
	STAILQ_ENTRY(job)	 next;
};

STAILQ_HEAD(job_list, job);

static int		 wanted = THREADS_DEFAULT;
static pthread_t	 threads[THREADS_MAX];
static int		 thread_count;
static int		 bell = -1;
static sem_t		 work_to_do;	/* jobs in line, and threads to end */

/* What the threads share with the loop, all under the lock. */
static pthread_mutex_t	 lock = PTHREAD_MUTEX_INITIALIZER;
static struct job_list	 waiting = STAILQ_HEAD_INITIALIZER(waiting);
static struct job_list	 finished = STAILQ_HEAD_INITIALIZER(finished);

/* Wait for a job; NULL when this thread is to end. */
static struct job *
next_job(void)
{
	struct job	*job;

	while (sem_wait(&work_to_do) == -1)
		CLAIM(errno == EINTR);
	pthread_mutex_lock(&lock);
	if ((job = STAILQ_FIRST(&waiting)) != NULL)
		STAILQ_REMOVE_HEAD(&waiting, next);
	pthread_mutex_unlock(&lock);
	return job;
}

/* Put a job on the finished list; the first one there rings. */
static void
finish(struct job *job)
{
	uint64_t	one = 1;
	bool		is_first;

	pthread_mutex_lock(&lock);
	is_first = STAILQ_EMPTY(&finished);
	STAILQ_INSERT_TAIL(&finished, job, next);
	pthread_mutex_unlock(&lock);
	if (is_first && write(bell, &one, sizeof one) == -1)
		bug("cannot ring the loop: %s", strerror(errno));
}

/* The life of a thread. */
static void *
thread(void *unused)
{
	struct job	*job;

	(void)unused;
	while ((job = next_job()) != NULL) {
		errno = 0;
		job->result = job->work(job->arg);
		job->error = errno;
		finish(job);
	}
	return NULL;
}

/* The bell rang: resume the fibers whose jobs are done. Each ring is an event,
 * whether the rings before were read or not. */
static void
collect(int fd)
{
	struct job_list	 done = STAILQ_HEAD_INITIALIZER(done);
	struct job	*job;

	(void)fd;
	pthread_mutex_lock(&lock);
	STAILQ_CONCAT(&done, &finished);
	pthread_mutex_unlock(&lock);
	while ((job = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, next);
		job->is_done = true;
		if (job->fiber != NULL) {
			fiber_resume(job->fiber, 0);
			continue;
		}
		job->release(job->arg);
		free(job);
	}
}

/* Choose the number of threads. */
void
offload_threads(int number)
{
	CLAIM(number >= 1 && number <= THREADS_MAX);
	CLAIM(thread_count == 0);
	wanted = number;
}

/* Start the threads, all signals blocked: they belong to the loop. One is
 * enough to live; fewer than wanted is worth a line. */
void
offload_prepare(void)
{
	sigset_t	all, before;
	int		error = 0;

	if (thread_count > 0)
		return;
	if (bell == -1) {
		if ((bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) == -1)
			die("eventfd: %s", strerror(errno));
		if (sem_init(&work_to_do, 0, 0) == -1)
			die("sem_init: %s", strerror(errno));
		loop_on_readable(bell, collect);
	}

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (thread_count < wanted && error == 0)
		if ((error = pthread_create(&threads[thread_count], NULL,
		    thread, NULL)) == 0)
			thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (thread_count == 0)
		die("cannot start a thread: %s", strerror(error));
	if (error != 0)
		log_warning("only %d of %d threads started: %s", thread_count,
		    wanted, strerror(error));
}

/* Let the threads finish what is in line, and end them: a thread that is told
 * of work and finds none ends. */
void
offload_finish(void)
{
	int	i;

	for (i = 0; i < thread_count; i++)
		(void)sem_post(&work_to_do);
	while (thread_count > 0)
		pthread_join(threads[--thread_count], NULL);
}

/* Into the line. */
static void
hand_over(struct job *job)
{
	offload_prepare();
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&waiting, job, next);
	pthread_mutex_unlock(&lock);
	if (sem_post(&work_to_do) == -1)
		bug("too many jobs: %s", strerror(errno));
}

/* Have a thread do it. */
int
offload(int (*work)(void *), void *arg)
{
	struct job	job = { .work = work, .arg = arg };

	job.fiber = fiber_self();
	hand_over(&job);
	while (!job.is_done)
		(void)fiber_suspend(NEVER, FIBER_WAIT_FIRM);
	if (job.result < 0)
		errno = job.error;
	return job.result;
}

/* Have a thread do what may hang, and do not wait for ever. */
int
offload_until(int (*work)(void *), void *arg, void (*release)(void *),
    int64_t deadline)
{
	struct job	*job = mem_alloc(sizeof(*job));
	int		 outcome, result;

	*job = (struct job){ .work = work, .arg = arg, .release = release,
	    .fiber = deadline != 0 ? fiber_self() : NULL };
	hand_over(job);
	if (deadline == 0)
		return 0;
	while (!job->is_done) {
		outcome = fiber_suspend(deadline, FIBER_WAIT_SOFT);
		if (outcome != 0 && !job->is_done) {
			job->fiber = NULL;
			errno = outcome;
			return OFFLOAD_LEFT;
		}
	}
	result = job->result;
	if (result < 0)
		errno = job->error;
	free(job);
	return result;
}

/* fsync(2), once: after a failure a second one would lie. */
static int
sync_work(void *arg)
{
	return fsync(*(int *)arg);
}

/* Sync a descriptor on a thread. */
int
offload_sync(int fd)
{
	return offload(sync_work, &fd);
}
