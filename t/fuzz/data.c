/*
 * data.c - fuzz: where a message ends, and its dots, beside a second reading
 * of RFC 5321 4.1.1.4 and 4.5.2 that is slow and simple.
 *
 * First byte: how the input is cut into runs. Then wire bytes in; the same
 * bytes as a message out and back in.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/smtp.h"

/* What the slow reading found. */
struct answer {
	char	*out;
	size_t	 len, used;
	int	 is_over;
	int64_t	 bare_cr, bare_lf;
};

/* Count line ends that are none among the bytes that were used. */
static void
count_bare(struct answer *a, const char *in)
{
	size_t	i;

	for (i = 0; i < a->used; i++) {
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			a->bare_lf++;
		if (in[i] == '\r' && i + 1 < a->used && in[i + 1] != '\n')
			a->bare_cr++;
	}
}

/* Byte by byte, with the whole input in sight. */
static void
read_slowly(struct answer *a, struct pool *pool, const char *in, size_t len)
{
	size_t	i;
	int	at_start = 1;

	*a = (struct answer){ .out = pool_alloc(pool, len + 1), .used = len };
	for (i = 0; i < len; i++) {
		if (at_start && len - i >= 3 &&
		    memcmp(in + i, ".\r\n", 3) == 0) {
			a->used = i + 3;
			a->is_over = 1;
			break;
		}
		if (at_start && in[i] == '.') {
			at_start = 0;
			continue;
		}
		a->out[a->len++] = in[i];
		at_start = in[i] == '\n' && i > 0 && in[i - 1] == '\r';
	}
	count_bare(a, in);
}

/* The real one, run by run, each in memory of its exact size. */
static void
read_in_runs(struct smtp_data *d, struct pool *pool, const char *in,
    size_t len, size_t run, struct str *out, size_t *used)
{
	char	*from, *to;
	size_t	 n, took, got;

	smtp_data_start(d);
	for (*used = 0; *used < len && !d->is_over; *used += took) {
		n = len - *used < run ? len - *used : run;
		from = pool_strndup(pool, in + *used, n);
		to = pool_alloc(pool, n + 2);
		took = smtp_data_decode(d, from, n, to, &got);
		MUST(got <= n + 2 && (took == n || d->is_over));
		str_add_mem(out, to, got);
	}
}

/* Both readings of the same wire bytes. */
static void
compare_readings(struct pool *pool, const char *in, size_t len, size_t run)
{
	struct smtp_data	d;
	struct answer		a;
	struct str		out;
	size_t			used;

	str_init(&out, pool, 0);
	read_slowly(&a, pool, in, len);
	read_in_runs(&d, pool, in, len, run, &out, &used);
	MUST(used == a.used && d.is_over == a.is_over);
	/* a CR behind a dot at the end of the input may be held back */
	if (!a.is_over && a.len == out.len + 1 && a.out[out.len] == '\r')
		a.len--;
	MUST(out.len == a.len && memcmp(out.data, a.out, a.len) == 0);
	MUST(d.bare_lf == a.bare_lf && d.bare_cr == a.bare_cr);
}

/* The message as its receiver should see it. */
static void
normalize(struct str *to, const char *in, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		if (in[i] == '\n')
			str_add(to, "\r\n");
		else if (in[i] != '\r')
			str_add_char(to, in[i]);
		else if (i + 1 == len || in[i + 1] != '\n')
			str_add_char(to, ' ');
	}
	if (to->len > 0 && to->data[to->len - 1] != '\n')
		str_add(to, "\r\n");
}

/* A message out and in again. */
static void
send_and_receive(struct pool *pool, const char *in, size_t len, size_t run)
{
	struct smtp_stuff	s;
	struct smtp_data	d;
	struct str		wire, out, wanted;
	char			*to;
	size_t			i, n, used;

	str_init(&wire, pool, 0);
	str_init(&out, pool, 0);
	str_init(&wanted, pool, 0);
	smtp_stuff_start(&s);
	for (i = 0; i < len; i += n) {
		n = len - i < run ? len - i : run;
		to = pool_alloc(pool, 2 * n + 8);
		str_add_mem(&wire, to, smtp_stuff_encode(&s,
		    pool_strndup(pool, in + i, n), n, to));
	}
	to = pool_alloc(pool, 8);
	str_add_mem(&wire, to, smtp_stuff_finish(&s, to));
	read_in_runs(&d, pool, wire.data, wire.len, run, &out, &used);
	normalize(&wanted, in, len);
	MUST(d.is_over && used == wire.len);
	MUST(d.bare_cr == 0 && d.bare_lf == 0);
	MUST(out.len == wanted.len &&
	    memcmp(out.data, wanted.data, out.len) == 0);
}

/* Line ends completed are the same however the input is cut. */
static void
complete_lines(struct pool *pool, const char *in, size_t len, size_t run)
{
	struct crlf	 whole = { false }, cut = { false };
	char		*all = pool_alloc(pool, 2 * len + 1), *part;
	struct str	 out;
	size_t		 n, i, got = crlf_encode(&whole, in, len, all);

	str_init(&out, pool, 0);
	for (i = 0; i < len; i += n) {
		n = len - i < run ? len - i : run;
		part = pool_alloc(pool, 2 * n);
		str_add_mem(&out, part, crlf_encode(&cut,
		    pool_strndup(pool, in + i, n), n, part));
	}
	MUST(got == out.len && memcmp(all, out.data, got) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	size_t		 run = 1 + input_byte(&in) % 64;
	struct pool	*pool = pool_new("fuzz", 0);
	const char	*bytes = (const char *)in.at;

	compare_readings(pool, bytes, in.left, run);
	send_and_receive(pool, bytes, in.left, run);
	complete_lines(pool, bytes, in.left, run);
	pool_free(pool);
	return 0;
}
