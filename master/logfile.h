#ifndef MASTER_LOGFILE_H
#define MASTER_LOGFILE_H

/*
 * Open the file that maillog_file names, made if it is missing, for lines at
 * its end. A descriptor, or -1 with errno; ELOOP for a link that somebody
 * else than root may have laid.
 */
int	 logfile_open(const char *path);

#endif
