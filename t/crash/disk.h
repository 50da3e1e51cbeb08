/*
 * disk.h - what disk.c writes down and cut.c reads.
 *
 * The log is records one behind the other. Behind a WRITE are its bytes,
 * behind a MARK its text; a ZERO is a write of nothing but zeros.
 */
#ifndef T_CRASH_DISK_H
#define T_CRASH_DISK_H

#include <stdint.h>

enum { DISKS = 2 };			/* "queue" and "home" */

enum kind { RECORD_WRITE = 1, RECORD_ZERO, RECORD_FLUSH, RECORD_MARK };

struct record {
	int64_t		 when_ns;	/* wall clock */
	uint64_t	 offset;
	uint32_t	 len;
	uint16_t	 kind;
	uint16_t	 disk;
};

#endif
