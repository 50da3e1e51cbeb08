/*
 * io.c - a stream that waits politely: bytes and buffered writing.
 *
 * Every call tries first and waits only after EAGAIN, or after a read that
 * brought less than it could have: a stream is empty then, and what comes
 * later is an event (epoll(7)), unless its end or urgent data was told before.
 *
 * A buffer exists while it holds something: before a wait for input an empty
 * input buffer is freed, and the output buffer is freed when it is flushed,
 * so ten thousand silent sessions own no buffers.
 *
 * One fiber may read while another writes; only when neither waits may the
 * io be closed (cancel the other fiber first).
 */
#include "common/fiber/io.h"

#include <sys/epoll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/mem.h"
#include "common/fiber/io_inside.h"

enum {
	OUTPUT_SIZE = 16 * 1024,
	TURN_MS = 20,			/* until we look again */
	SPARES = 16
};

/* Buffers that wait for the next io. They are too long for the cache of
 * malloc(3), and each message takes and gives back a dozen. */
struct spares {
	size_t	 count;
	char	*buffers[SPARES];
};
static struct spares	 spare_inputs, spare_outputs;

/* Those of this size; NULL if none are kept. A sanitizer finds who uses one
 * that was freed. */
static struct spares *
spares_of(size_t size)
{
#ifdef SANITIZED
	size = 0;
#endif
	return size == INPUT_MIN ? &spare_inputs :
	    size == OUTPUT_SIZE ? &spare_outputs : NULL;
}

/* Take over a descriptor. */
struct io *
io_new(int fd)
{
	struct io	*io = mem_alloc(sizeof *io);

	*io = (struct io){ .fd = fd, .patience = NEVER, .deadline = NEVER };
	if (fs_set_nonblocking(fd, true) == -1)
		io->read_error = io->write_error = errno;
	return io;
}

/* A buffer of this size, a spare one if there is. */
static char *
take_buffer(size_t size)
{
	struct spares	*s = spares_of(size);

	if (s == NULL || s->count == 0)
		return mem_alloc(size);
	return s->buffers[--s->count];
}

/* Free a buffer; of who hears secrets, nothing stays behind. */
static void
free_buffer(const struct io *io, char *buffer, size_t size)
{
	struct spares	*s = spares_of(size);

	if (io->wipes && buffer != NULL)
		explicit_bzero(buffer, size);
	if (s != NULL && s->count < SPARES && buffer != NULL)
		s->buffers[s->count++] = buffer;
	else
		free(buffer);
}

/* Free the input buffer, whatever is in it. */
static void
free_input(struct io *io)
{
	free_buffer(io, io->in, io->in_size);
	io->in = NULL;
	io->in_start = io->in_end = io->in_size = 0;
}

/* Free the output buffer, whatever is in it. */
static void
free_output(struct io *io)
{
	free_buffer(io, io->out, OUTPUT_SIZE);
	io->out = NULL;
	io->out_start = io->out_end = 0;
}

/* Close; what was not flushed is forgotten. errno stays. */
void
io_close(struct io *io)
{
	int	error = errno;

	if (io == NULL)
		return;
	CLAIM(io->watch.reader == NULL && io->watch.writer == NULL);
	if (io->has_layer)
		io->layer.close(io->layer.state);
	if (io->is_watched)
		loop_remove(&io->watch);
	close(io->fd);
	free_input(io);
	free_output(io);
	free(io);
	errno = error;
}

/* The descriptor, for getpeername(2) and the like. */
int
io_fd(const struct io *io)
{
	return io->fd;
}

/* Read and write through a layer from now on. */
void
io_set_layer(struct io *io, const struct io_layer *layer)
{
	CLAIM(!io->has_layer);
	io->layer = *layer;
	io->has_layer = true;
}

/* How long each wait may last. */
void
io_patience(struct io *io, int64_t milliseconds)
{
	io->patience = milliseconds;
}

/* The instant that no wait passes. */
void
io_deadline(struct io *io, int64_t deadline)
{
	io->deadline = deadline;
}

/* When a wait that begins now must end. */
static int64_t
wait_deadline(const struct io *io)
{
	int64_t	now = clock_now();

	if (io->patience < io->deadline - now)	/* both far from overflow */
		return now + io->patience;
	return io->deadline;
}

/* The same for those of a read. If there can be none, no event will tell what
 * has come since the last read: that one has to look. */
static int64_t
read_deadline(struct io *io)
{
	int64_t	deadline = wait_deadline(io);

	if (io->is_dry && (fiber_is_cancelled() || deadline <= clock_now()))
		io->is_dry = false;
	return deadline;
}

/* Reading is over. A timeout or a cancel leaves the other direction usable,
 * for a last word; an error of the connection does not. */
int
io_fail_reading(struct io *io, int error)
{
	io->read_error = error;
	if (error != ETIMEDOUT && error != ECANCELED &&
	    error != ECONNABORTED && io->write_error == 0)
		io->write_error = error;
	free_input(io);		/* not the output: somebody may be writing */
	errno = error;
	return -1;
}

/* The connection is dead. */
static int
fail_writing(struct io *io, int error)
{
	io->write_error = error;
	free_output(io);
	if (io->read_error == 0)
		io->read_error = error;
	errno = error;
	return -1;
}

/* Wait for what the last call wanted. A layer may have to write in order to
 * read; when somebody waits for room already, we come back a little later. */
static int
wait_for(struct io *io, unsigned wants, int64_t deadline)
{
	io->is_dry = false;
	if (!io->is_watched) {
		if (loop_add(&io->watch, io->fd) == -1)
			return -1;
		io->is_watched = true;
	}
	if ((wants & EPOLLOUT ? io->watch.writer : io->watch.reader) != NULL) {
		errno = ETIMEDOUT;
		return clock_now() < deadline ? fiber_sleep(TURN_MS) : -1;
	}
	if (wants & EPOLLOUT)
		return loop_wait_writable(&io->watch, deadline);
	return loop_wait_readable(&io->watch, deadline);
}

/* The same, for who does the calls himself. */
int
io_wait(struct io *io, unsigned wants)
{
	return wait_for(io, wants, wait_deadline(io));
}

/* Did the last read take all, and nothing happened since? */
static bool
is_dry(const struct io *io)
{
	return io->is_dry && !io->has_layer && !io->watch.is_over &&
	    !io->watch.is_urgent && !(io->watch.ready & EPOLLIN);
}

/* One read(2), or the layer's, if there may be anything. */
static ssize_t
read_once(struct io *io, void *to, size_t size, unsigned *wants)
{
	ssize_t	n;

	*wants = EPOLLIN;
	if (is_dry(io)) {
		errno = EAGAIN;
		return -1;
	}
	do {
		n = io->has_layer ?
		    io->layer.read(io->layer.state, to, size, wants) :
		    read(io->fd, to, size);
	} while (n == -1 && errno == EINTR);
	io->is_dry = n > 0 ? (size_t)n < size : n == -1 && errno == EAGAIN;
	return n;
}

/* One write(2), or the layer's. */
static ssize_t
write_once(struct io *io, const void *from, size_t size, unsigned *wants)
{
	ssize_t	n;

	*wants = EPOLLOUT;
	do {
		n = io->has_layer ?
		    io->layer.write(io->layer.state, from, size, wants) :
		    write(io->fd, from, size);
	} while (n == -1 && errno == EINTR);
	return n;
}

/* May we read? Sets errno. */
bool
io_may_read(struct io *io)
{
	errno = io->read_error;
	return io->read_error == 0;
}

/* Bytes in the input buffer. */
static size_t
buffered(const struct io *io)
{
	return io->in_end - io->in_start;
}

/* Make the input buffer, which begins at its front, longer. */
static void
grow_input(struct io *io, size_t size)
{
	char	*fresh = take_buffer(size);

	if (io->in_end > 0)
		memcpy(fresh, io->in, io->in_end);
	free_buffer(io, io->in, io->in_size);
	io->in = fresh;
	io->in_size = size;
}

/* Make room for more input: at the front, then by growing. */
static void
make_room(struct io *io, size_t room)
{
	size_t	size = room < INPUT_MIN ? INPUT_MIN : room;
	size_t	end = io->in_end;

	if (io->in_start > 0) {
		memmove(io->in, io->in + io->in_start, buffered(io));
		io->in_end -= io->in_start;
		io->in_start = 0;
		if (io->wipes)
			explicit_bzero(io->in + io->in_end, end - io->in_end);
	}
	if (io->in_size < size)
		grow_input(io, size);
}

/* Read once into the buffer, which has room: bytes, 0 at the end, or -1. */
static ssize_t
read_into_buffer(struct io *io, unsigned *wants)
{
	ssize_t	n;

	n = read_once(io, io->in + io->in_end, io->in_size - io->in_end,
	    wants);
	if (n > 0)
		io->in_end += (size_t)n;
	else if (n == 0)
		io->is_at_end = true;
	return n;
}

/* Read more into the buffer. */
int
io_fill(struct io *io, size_t room)
{
	unsigned	wants;
	int64_t		deadline;
	ssize_t		n;

	if (room > INPUT_MAX)
		room = INPUT_MAX;
	if (!io_may_read(io))
		return -1;
	if (io->is_at_end)
		return 0;
	if (buffered(io) >= room) {
		errno = EMSGSIZE;
		return -1;
	}
	fiber_breathe();
	/* One for all waits: under a layer many may bring bytes and no data. */
	deadline = read_deadline(io);
	for (;;) {
		make_room(io, room);
		if ((n = read_into_buffer(io, &wants)) >= 0)
			return n > 0;
		if (errno != EAGAIN)
			return io_fail_reading(io, errno);
		if (buffered(io) == 0)
			free_input(io);
		if (wait_for(io, wants, deadline) == -1)
			return io_fail_reading(io, errno);
	}
}

/* What is in the input buffer. */
size_t
io_peek(struct io *io, const char **data)
{
	*data = buffered(io) == 0 ? "" : io->in + io->in_start;
	return buffered(io);
}

/* Take bytes out of the input buffer. */
void
io_consume(struct io *io, size_t len)
{
	CLAIM(len <= buffered(io));
	io->in_start += len;
}

/* No secret stays in the buffers. */
void
io_wipes(struct io *io)
{
	io->wipes = true;
}

/* Forget buffered input. */
size_t
io_discard_input(struct io *io)
{
	size_t	len = buffered(io);

	free_input(io);
	return len;
}

/* Is there input, without waiting for it? The only way to know, under every
 * layer, is to try. */
bool
io_has_input(struct io *io)
{
	unsigned	wants;

	if (buffered(io) > 0)
		return true;
	if (io->read_error != 0 || io->is_at_end)
		return false;
	make_room(io, INPUT_MIN);
	io->is_dry = false;
	if (read_into_buffer(io, &wants) == -1 && errno != EAGAIN)
		(void)io_fail_reading(io, errno);
	if (buffered(io) > 0)
		return true;
	free_input(io);
	return false;
}

/* Will no input come any more? */
bool
io_is_over(const struct io *io)
{
	return io->is_at_end || io->read_error != 0;
}

/* Reading has failed only because writing had. */
void
io_hear_last_words(struct io *io)
{
	if ((io->write_error == EPIPE || io->write_error == ECONNRESET) &&
	    io->read_error == io->write_error)
		io->read_error = 0;
}

/* Read straight into the caller's memory: bytes, 0 at the end, or -1. */
static ssize_t
read_direct(struct io *io, void *to, size_t len)
{
	unsigned	wants;
	int64_t		deadline;
	ssize_t		n;

	fiber_breathe();
	free_input(io);
	deadline = read_deadline(io);
	while ((n = read_once(io, to, len, &wants)) == -1)
		if (errno != EAGAIN || wait_for(io, wants, deadline) == -1)
			return io_fail_reading(io, errno);
	if (n == 0)
		io->is_at_end = true;
	return n;
}

/* Read exactly that many bytes; large pieces are not copied twice. */
int
io_read(struct io *io, void *to, size_t len)
{
	char		*at = to;
	const char	*data;
	size_t		 have;
	ssize_t		 n;

	if (!io_may_read(io))
		return -1;
	while (len > 0) {
		if ((have = io_peek(io, &data)) > 0) {
			n = (ssize_t)(have < len ? have : len);
			memcpy(at, data, (size_t)n);
			io_consume(io, (size_t)n);
		} else if (io->is_at_end)
			return io_fail_reading(io, ECONNRESET);
		else if (len < INPUT_MIN) {
			if (io_fill(io, INPUT_MIN) == -1)
				return -1;
			continue;
		} else if ((n = read_direct(io, at, len)) == -1)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Bytes not yet written. */
size_t
io_pending(const struct io *io)
{
	return io->out_end - io->out_start;
}

/* Write all of it, waiting as often as needed; *done counts. */
static int
write_all(struct io *io, const char *data, size_t len, size_t *done)
{
	unsigned	wants;
	ssize_t		n;

	while (*done < len) {
		fiber_breathe();
		n = write_once(io, data + *done, len - *done, &wants);
		if (n >= 0)
			*done += (size_t)n;
		else if (errno != EAGAIN || wait_for(io, wants,
		    wait_deadline(io)) == -1)
			return fail_writing(io, errno);
	}
	return 0;
}

/* Write what is buffered. */
int
io_flush(struct io *io)
{
	if (io->write_error != 0) {
		errno = io->write_error;
		return -1;
	}
	if (io->out == NULL)
		return 0;
	if (write_all(io, io->out, io->out_end, &io->out_start) == -1)
		return -1;
	free_output(io);
	return 0;
}

/* Write, by way of the buffer unless it is empty and would not hold it. */
int
io_write(struct io *io, const void *data, size_t len)
{
	const char	*from = data;
	size_t		 part, done = 0;

	if (io->write_error != 0) {
		errno = io->write_error;
		return -1;
	}
	while (len > 0) {
		if (io->out == NULL && len >= OUTPUT_SIZE)
			return write_all(io, from, len, &done);
		if (io->out == NULL)
			io->out = take_buffer(OUTPUT_SIZE);
		part = OUTPUT_SIZE - io->out_end;
		if (part > len)
			part = len;
		memcpy(io->out + io->out_end, from, part);
		io->out_end += part;
		from += part;
		len -= part;
		if (io->out_end == OUTPUT_SIZE && io_flush(io) == -1)
			return -1;
	}
	return 0;
}
