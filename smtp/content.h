#ifndef SMTP_CONTENT_H
#define SMTP_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/param/param.h"

struct delivery;
struct connection;

/*
 * The message as one host gets it: addresses in its header rewritten by
 * smtp_generic_maps, fields and lines as smtp_header_checks and its kin want
 * them, eight bits in seven where the host takes no more (RFC 6152 3), no line
 * beyond smtp_line_length_limit. What needs nothing of this is read from the
 * queue file as it is.
 */
struct outgoing;

/*
 * Begin, for this conversation; in the delivery's pool. NULL with *dsn and
 * *why: *dsn "4.y.z" is not now (a table did not answer; the file cannot be
 * read); "5.6.3" is never with this host: it takes no eight bits and they
 * stand in what must not be converted (inside multipart/signed).
 */
WAITS struct outgoing	*content_open(struct delivery *,
			    const struct connection *, const char **dsn,
			    const char **why);

/* For SIZE=: bytes, as good as can be told beforehand (RFC 1870 6.1). */
int64_t			 content_size(const struct outgoing *);

/* Does it still need BODY=8BITMIME? False when it was converted, and when the
 * administrator wants it sent as it is (disable_mime_output_conversion). */
bool			 content_is_8bit(const struct outgoing *);

/*
 * The next bytes, at most `room`, with CRLF line ends and no dots stuffed.
 * 0: the end. -1: the message cannot be had (EIO), or a table does not answer
 * (EAGAIN): then it must not look complete to the host.
 */
WAITS ssize_t		 content_read(struct outgoing *, char *to, size_t room);

/*
 * The envelope address as smtp_generic_maps wants it; in the delivery's pool.
 * NULL with *dsn and *why: not now.
 */
WAITS const char	*content_address(struct delivery *,
			    const char *address, const char **dsn,
			    const char **why);

/* What a host said, as smtp_reply_filter wants it: code, enhanced code and
 * text on lines ended by LF; the same when it has nothing to say. */
WAITS const char	*content_reply(struct delivery *, const char *reply);

/* "X.Y.Z text" of an outcome, as smtp_delivery_status_filter wants it. */
WAITS const char	*content_status(struct delivery *, const char *status);

extern const struct param content_params[];

#endif
