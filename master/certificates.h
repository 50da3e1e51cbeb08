#ifndef MASTER_CERTIFICATES_H
#define MASTER_CERTIFICATES_H

#include <sys/types.h>

#include "common/param/param.h"
#include "master/services.h"

/*
 * Certificates and keys that are renewed while the system runs: the keys
 * process is replaced by one that has read them, and nothing else is touched.
 */
extern const struct param	certificates_params[];

/* Watch the files that these settings name, as they are now: whoever reads
 * them from here on is up to date. At the start and after each reload. */
void		 certificates_use(const struct services *);
/* A child that is no daemon was collected. */
void		 certificates_ended(pid_t, int status);

#endif
