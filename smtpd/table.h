#ifndef SMTPD_TABLE_H
#define SMTPD_TABLE_H

#include "common/ipc/lookup.h"

#include "smtpd/session.h"

/*
 * Ask resolve what this service's tables of a parameter say of a key; `how`
 * is a lookup_how. found->result tells all; LOOKUP_TEMPORARY, with a text,
 * when resolve cannot be asked.
 */
WAITS void	 table_ask(struct pool *, const char *parameter,
		    int64_t how, const char *key, struct found *);

#endif
