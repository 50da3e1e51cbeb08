/*
 * id.c - names of messages.
 *
 * An id is 15 digits to the base of 52: ten of the time in microseconds since
 * 1970, two of the worker that made it, three of a count that begins anywhere.
 * The digits are in ASCII's order, so that names sort by time, and contain no
 * vowels, so that no id is a word. Programs that read logs expect \w+.
 *
 * P1  No two ids of a process are alike: the time in them grows with each,
 *     whatever the clock does.
 * P2  Two processes differ in the worker (smtpd and postdrop take their process
 *     id for it) or, one draining beside its successor, in time and count;
 *     O_EXCL has the last word, but for messages of a log.
 */
#include "common/queue/queue.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/hash.h"

enum {
	BASE = 52,
	TIME_DIGITS = 10, WORKER_DIGITS = 2, COUNT_DIGITS = 3,
	ID_DIGITS = TIME_DIGITS + WORKER_DIGITS + COUNT_DIGITS,
	FAST_DIGITS = 7,	/* last two of the time, worker, count */
	CLOCK_STEP_US = 1000 * 1000
};

static const char	digits[] =
    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
static const char	hex[] = "0123456789abcdef";

/* What this process gave out last. */
static struct {
	int64_t		 time_us;
	uint32_t	 count;
	bool		 has_begun;
} last;

/* Write `n` with exactly `width` digits; higher ones fall off. */
static void
put_digits(char *to, int width, uint64_t n)
{
	while (width-- > 0) {
		to[width] = digits[n % BASE];
		n /= BASE;
	}
}

/* A time that this process has not used, and the next count. */
static void
advance(void)
{
	int64_t	now = clock_wall_us();

	if (!last.has_begun) {
		if (getrandom(&last.count, sizeof(last.count), 0) == -1)
			last.count = (uint32_t)clock_now();
		last.has_begun = true;
	}
	last.time_us = now > last.time_us ? now : last.time_us + 1;
	last.count++;
}

/* Make a fresh id. */
char *
queue_id_new(char to[QUEUE_ID_MAX + 1], unsigned worker)
{
	advance();
	put_digits(to, TIME_DIGITS, (uint64_t)last.time_us);
	put_digits(to + TIME_DIGITS, WORKER_DIGITS, worker);
	put_digits(to + TIME_DIGITS + WORKER_DIGITS, COUNT_DIGITS, last.count);
	to[ID_DIGITS] = '\0';
	return to;
}

/* Could it be an id? Letters and digits only: nothing that leaves a
 * directory or hides in one. */
bool
queue_id_is_valid(const char *id)
{
	size_t	len = strnlen(id, QUEUE_ID_MAX + 1), i;

	if (len == 0 || len > QUEUE_ID_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (!isascii((unsigned char)id[i]) ||
		    !isalnum((unsigned char)id[i]))
			return false;
	return true;
}

/* When an id was made; -1 if it does not tell. */
int64_t
queue_id_time(const char *id)
{
	const char	*digit;
	int64_t		 time_us = 0;
	int		 i;

	if (strnlen(id, QUEUE_ID_MAX + 1) != ID_DIGITS)
		return -1;
	for (i = 0; i < TIME_DIGITS; i++) {
		if ((digit = strchr(digits, id[i])) == NULL)
			return -1;
		time_us = time_us * BASE + (digit - digits);
	}
	return time_us;
}

/* By its digits and by the clock, which may be a moment behind. */
bool
queue_id_is_of(const char *id, unsigned worker, int64_t age)
{
	int64_t	made_us = queue_id_time(id), now_us = clock_wall_us();
	char	digits_of[WORKER_DIGITS];

	put_digits(digits_of, WORKER_DIGITS, worker);
	return made_us >= 0 && made_us < now_us + CLOCK_STEP_US &&
	    now_us - made_us < age * 1000 && queue_id_is_valid(id) &&
	    memcmp(id + TIME_DIGITS, digits_of, WORKER_DIGITS) == 0;
}

/* The directory for an id: a byte of FNV-1a over the digits that move. */
char *
queue_id_hash(char to[3], const char *id)
{
	size_t		len = strnlen(id, QUEUE_ID_MAX);
	size_t		skip = len > FAST_DIGITS ? len - FAST_DIGITS : 0;
	uint32_t	hash = hash_bytes(HASH_START, id + skip, len - skip);

	hash ^= hash >> 16;
	to[0] = hex[hash >> 4 & 15];
	to[1] = hex[hash & 15];
	to[2] = '\0';
	return to;
}

/* Is that the name of such a directory? */
bool
queue_is_hash(const char *name)
{
	return strlen(name) == 2 && strspn(name, hex) == 2;
}
