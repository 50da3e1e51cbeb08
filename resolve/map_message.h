#ifndef RESOLVE_MAP_MESSAGE_H
#define RESOLVE_MAP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

/*
 * Call `each` for what header_checks (`headers`) and body_checks (`body`) are
 * asked for when this message passes by. Without `mime` the parts of a message
 * are lines of its body like others.
 */
struct map_message {
	bool	headers, body, mime;
	void	(*each)(void *context, const char *key);
	void	*context;
};

void	 map_message_keys(struct pool *, const struct map_message *,
	    const char *text, size_t len);

#endif
