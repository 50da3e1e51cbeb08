#ifndef MAIL_PLAIN_H
#define MAIL_PLAIN_H

#include <stddef.h>

/*
 * How many bytes of a text, from its first on, are as they should be: every CR
 * stands before an LF and every LF behind a CR. The byte in front of the text
 * is looked at as well, so there must be one; the last of those bytes may be a
 * CR whose LF is not among them. There may be more such bytes than are told:
 * who gets 0, or less than there are, reads the next few himself.
 */
size_t		 plain_lines(const char *text, size_t len);

/* The same, and no line of them begins with a dot. */
size_t		 plain_text(const char *text, size_t len);

#endif
