/*
 * message.h - what the loads of the crash laboratory send and find again.
 *
 * A message has an id. Its body follows from id and size, so that whoever has
 * it can tell whether it is whole. A recipient is known by its key, "ID-NUMBER",
 * which is the last thing before the @ of its address.
 */
#ifndef T_CRASH_MESSAGE_H
#define T_CRASH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

enum { ID_MAX = 48, KEY_MAX = 64, HEADER_MAX = 256 };

/* The whole message with CRLF, in memory of its own; its length to *length. */
char	*message_make(const char *id, size_t size, size_t *length);

/* Is it as it was made? Lines may end with LF alone, more header lines may
 * come first, and empty lines last. */
bool	 message_is_whole(const char *text, size_t length);

/* The key in an address, behind `text`; false if there is none. */
bool	 message_key(const char *text, const char *end, char key[KEY_MAX]);

#endif
