#ifndef FIBER_IO_H
#define FIBER_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"

/*
 * A stream socket or pipe that waits politely. Buffers exist only while they
 * hold something, so an idle session costs none. All waiting calls fail with
 * -1 and ETIMEDOUT (patience or deadline over), ECANCELED, or the kernel's
 * errno; the end of input is reported as told below. After an error the io
 * is dead: every later call fails with the same errno. One mercy: after a
 * read that failed with ETIMEDOUT, ECANCELED or ECONNABORTED one may still
 * write, for a last word (421) to the peer.
 *
 * One fiber may read and another write. Close only when neither waits: to
 * stop a fiber, cancel it and let it close.
 *
 * TLS takes the two lowest calls over (io_layer); nothing else changes.
 */
struct io;

struct io_layer {
	/* Like read(2) and write(2) on a non-blocking descriptor; EAGAIN after
	 * setting *wants to EPOLLIN or EPOLLOUT. */
	ssize_t	(*read)(void *state, void *to, size_t, unsigned *wants);
	ssize_t	(*write)(void *state, const void *, size_t, unsigned *wants);
	void	(*close)(void *state);
	void	*state;
};

/* Take over a descriptor; it is made non-blocking, and closed by io_close(). */
struct io	*io_new(int fd);
void		 io_close(struct io *);			/* NULL is fine */
int		 io_fd(const struct io *);
void		 io_set_layer(struct io *, const struct io_layer *);

/* For who reads or writes the descriptor itself, as a handshake does: wait
 * until it has what the last EAGAIN wanted (EPOLLIN, EPOLLOUT), within
 * patience and deadline. 0, or -1 with errno; the io does not die of it. */
WAITS int	 io_wait(struct io *, unsigned wants);

/* Each single wait lasts at most this long (milliseconds)... */
void		 io_patience(struct io *, int64_t milliseconds);
/* ...and none passes this instant. NEVER lifts it. */
void		 io_deadline(struct io *, int64_t deadline);

/* What is in the input buffer now; valid until the next call on the io. */
size_t		 io_peek(struct io *, const char **data);
void		 io_consume(struct io *, size_t);
/* Read more into the buffer (it grows to `room` bytes, at most 128 KiB): 1,
 * or 0 at the end; EMSGSIZE if that much is in it already (not an error that
 * kills). */
WAITS int	 io_fill(struct io *, size_t room);

/*
 * One line, up to LF, without LF or CRLF; *line is ended by NUL and valid
 * until the next call. 1: a line. 0: end of input before any byte. -1:
 * EMSGSIZE when it passes `limit` bytes (the rest of it is skipped, at most
 * 1 MiB, then ECONNABORTED); ECONNRESET when the input ends inside it.
 * *bare_lf, if asked for, tells that the LF had no CR. The limit is for the
 * line without its end, and less than 128 KiB. After EMSGSIZE the io lives.
 */
WAITS int	 io_line(struct io *, char **line, size_t *len, size_t limit,
		    bool *bare_lf);

/* Exactly `len` bytes, or -1 (ECONNRESET at the end). */
WAITS int	 io_read(struct io *, void *to, size_t len);

/* Buffered writing; a full buffer (16 KiB) is flushed, which waits. */
WAITS int	 io_write(struct io *, const void *, size_t);
WAITS int	 io_printf(struct io *, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));
WAITS int	 io_flush(struct io *);
size_t		 io_pending(const struct io *);	/* bytes not yet written */

/* Forget buffered input (STARTTLS); returns how many bytes there were. */
size_t		 io_discard_input(struct io *);

/* From now on what was read or written leaves no trace in our memory: buffers
 * are wiped before they are freed or moved. For who hears passwords. */
void		 io_wipes(struct io *);

/* Is there unread input, in the buffer or in the kernel, right now? */
bool		 io_has_input(struct io *);
/* Has a call seen that no input will come any more: the end, or an error? */
bool		 io_is_over(const struct io *);
/* After a write that failed because the peer has hung up: what it said before
 * may still be read. */
void		 io_hear_last_words(struct io *);

#endif
