#ifndef FIBER_IO_INSIDE_H
#define FIBER_IO_INSIDE_H

#include "common/fiber/io.h"
#include "common/fiber/loop.h"

/*
 * What io.c and io_line.c share; nobody else includes it.
 */
enum {
	INPUT_MIN = 4 * 1024,
	INPUT_MAX = 128 * 1024
};

struct io {
	int		 fd;
	struct loop_fd	 watch;		/* from the first wait on */
	bool		 is_watched;
	bool		 is_dry;	/* the last read took all there was */
	bool		 has_layer;
	struct io_layer	 layer;
	int64_t		 patience;
	int64_t		 deadline;

	int		 read_error;	/* errno of the first failure; 0 */
	int		 write_error;
	bool		 is_at_end;
	bool		 wipes;		/* secrets may be in the buffers */

	char		*in;
	size_t		 in_start, in_end, in_size;
	char		*out;
	size_t		 out_start, out_end;
};

/* May we read? Sets errno. */
bool	 io_may_read(struct io *);

/* Reading is over, for this reason: -1 with errno. */
int	 io_fail_reading(struct io *, int error);

#endif
