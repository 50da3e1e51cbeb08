#ifndef CLEANUP_STRAY_H
#define CLEANUP_STRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * CR and LF that do not stand together become spaces: a host that takes one of
 * them for the end of a line would find other lines in the message than we did
 * (and, in "<LF>.<CR><LF>", another end). Content comes in pieces, cut anywhere.
 */
struct stray {
	bool	holds_cr;	/* the last byte, not passed on yet */
};

/*
 * The next piece is changed in place; its length afterwards is returned.
 * *before is what stands in front of it, '\r' or ' ', or 0. At the end of the
 * content a piece without bytes tells what is left.
 */
size_t		 stray_replace(struct stray *, char *data, size_t len,
		    bool is_last, char *before);

#endif
