/*
 * encode.c - fuzz: base64, quoted-printable, names for headers, UTF-8 and
 * what is written to the log.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/chars.h"
#include "common/mail/encode.h"

/* Bytes to base64 and back; and the input as base64 itself. */
static void
try_base64(struct pool *pool, const uint8_t *data, size_t len)
{
	char		*to = pool_alloc(pool, len + 1);
	struct str	 text;
	ssize_t		 n;

	str_init(&text, pool, 0);
	base64_encode(&text, data, len);
	MUST(text.len == (len + 2) / 3 * 4);
	n = base64_decode(to, text.data, text.len);
	MUST(n == (ssize_t)len && memcmp(to, data, len) == 0);

	to = pool_alloc(pool, len / 4 * 3 + 3);
	n = base64_decode(to, (const char *)data, len);
	if (n == -1)
		return;
	str_clear(&text);
	base64_encode(&text, to, (size_t)n);
	MUST(text.len == len && memcmp(text.data, data, len) == 0);
}

/* Seven bits, short lines. */
static void
try_quoted_printable(struct pool *pool, const uint8_t *data, size_t len)
{
	struct str	 text;
	size_t		 i, column = 0;

	str_init(&text, pool, 0);
	qp_encode(&text, data, len);
	for (i = 0; i < text.len; i++) {
		column = text.data[i] == '\n' ? 0 : column + 1;
		MUST(column <= 77 && !is_8bit(text.data[i]));
	}
}

/* A display name must not break its header. */
static void
try_phrase(struct pool *pool, const char *name)
{
	const char	*phrase = phrase_encode(pool, name), *c;

	for (c = phrase; *c != '\0'; c++)
		if (*c == '\n')
			MUST(c > phrase && c[-1] == '\r' && is_blank(c[1]));
		else
			MUST(*c == '\r' ? c[1] == '\n' : !is_8bit(*c));
}

/* No control byte reaches the log. */
static void
try_log(struct pool *pool, const uint8_t *data, size_t len)
{
	size_t	 size = 1 + len % 100, n, i;
	char	*to = pool_alloc(pool, size);

	n = log_escape(to, size, (const char *)data, len);
	MUST(n < size && to[n] == '\0');
	for (i = 0; i < n; i++)
		MUST(!is_control((unsigned char)to[i]));
	MUST(utf8_is_valid(to, n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	struct pool	*pool = pool_new("fuzz", 0);

	try_base64(pool, data, len);
	try_quoted_printable(pool, data, len);
	try_log(pool, data, len);
	try_phrase(pool, input_text(pool, &in));
	pool_free(pool);
	return 0;
}
