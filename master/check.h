#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

#include "common/base/mem.h"
#include "common/param/maincf.h"

/*
 * Everything that would stop the system or a service, told on standard error
 * one line each, with file and line where there is one: what is an error,
 * and what is worth knowing. Returns the number of errors. `site` and the
 * settings are loaded as far as they are good.
 */
unsigned	 check_all(struct pool *, const char *directory);


#endif
