#ifndef SASL_DOVECOT_H
#define SASL_DOVECOT_H

#include <stdbool.h>

#include "common/base/str.h"

/* Words of Dovecot's protocols: tabs, line ends and bytes 1 are escaped. */
void	 dovecot_escape(struct str *, const char *value);
/* In place; false: there is an escape that no text has. */
bool	 dovecot_unescape(char *);

#endif
