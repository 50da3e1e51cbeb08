/*
 * fields.c - one encoder and one decoder for everything that has a table.
 *
 * The form of the bytes is told in fields.h. What arrives may come from an
 * owned process or a damaged disk, hence:
 *
 * P1  No byte is read that was not checked to be there, and no size is
 *     computed from the input before it is bounded by what remains.
 * P2  Memory is bounded by the tables: a list never has more rows than its
 *     table allows or its bytes could hold.
 * P3  A decode that fails leaves an empty object and takes no descriptor.
 */
#include "common/base/fields.h"

#include <endian.h>
#include <string.h>

#include "common/base/bug.h"

enum { MAX_FDS = 4 };

static const uint32_t ABSENT = 0xffffffff;	/* length of a NULL OPT */

struct encoder {
	struct str	*to;
	int		*fds;
	size_t		 nfds;
};

struct decoder {
	struct pool	*pool;
	const char	*at;
	size_t		 left;
	const int	*fds;
	size_t		 nfds;
	size_t		 fds_used;
};

static const char	*encode_row(struct encoder *, const struct field *,
			    const char *);
static const char	*decode_row(struct decoder *, const struct field *,
			    char *);
static void		 empty_row(const struct field *, char *);

/* A pointer out of a struct, whatever it points to. */
static void *
get_pointer(const char *place)
{
	void	*p;

	memcpy(&p, place, sizeof(p));
	return p;
}

/* And into it. */
static void
set_pointer(char *place, const void *p)
{
	memcpy(place, &p, sizeof(p));
}

/* A length in four bytes. */
static void
add_length(struct str *to, uint32_t len)
{
	uint32_t	raw = htole32(len);

	str_add_mem(to, &raw, sizeof(raw));
}

/* Does a length keep to the field's bounds? */
static bool
fits(const struct field *f, size_t len)
{
	return len < ABSENT && (int64_t)len >= f->min && (int64_t)len <= f->max;
}

/* The sentence for a length out of bounds. */
static const char *
bad_length(struct pool *pool, const struct field *f, size_t len)
{
	return pool_printf(pool, "field %s has %zu bytes, expected %jd to %jd",
	    f->name, len, (intmax_t)f->min, (intmax_t)f->max);
}

/* The sentence for a number out of bounds. */
static const char *
bad_number(struct pool *pool, const struct field *f, int64_t n)
{
	return pool_printf(pool, "field %s is %jd, expected %jd to %jd",
	    f->name, (intmax_t)n, (intmax_t)f->min, (intmax_t)f->max);
}

/* INT: eight bytes, little endian. */
static const char *
encode_int(struct encoder *e, const struct field *f, const char *place)
{
	int64_t		n;
	uint64_t	raw;

	memcpy(&n, place, sizeof(n));
	if (n < f->min || n > f->max)
		return bad_number(e->to->pool, f, n);
	raw = htole64((uint64_t)n);
	str_add_mem(e->to, &raw, sizeof(raw));
	return NULL;
}

/* BOOL: one byte. */
static const char *
encode_bool(struct encoder *e, const char *place)
{
	bool	value;

	memcpy(&value, place, sizeof(value));
	str_add_char(e->to, value ? 1 : 0);
	return NULL;
}

/* STR and OPT: length, bytes, NUL. */
static const char *
encode_string(struct encoder *e, const struct field *f, const char *place)
{
	const char	*text = get_pointer(place);
	size_t		 len;

	if (text == NULL && f->kind == FIELD_KIND_STR)
		return pool_printf(e->to->pool, "field %s is missing", f->name);
	if (text == NULL) {
		add_length(e->to, ABSENT);
		return NULL;
	}
	len = strlen(text);
	if (!fits(f, len))
		return bad_length(e->to->pool, f, len);
	add_length(e->to, (uint32_t)len);
	str_add_mem(e->to, text, len + 1);
	return NULL;
}

/* DATA: length, bytes. */
static const char *
encode_data(struct encoder *e, const struct field *f, const char *place)
{
	struct bytes	data;

	memcpy(&data, place, sizeof(data));
	if (!fits(f, data.len))
		return bad_length(e->to->pool, f, data.len);
	add_length(e->to, (uint32_t)data.len);
	str_add_mem(e->to, data.data, data.len);
	return NULL;
}

/* LIST: row count, rows. */
static const char *
encode_list(struct encoder *e, const struct field *f, const char *object)
{
	const char	*row = get_pointer(object + f->offset), *why;
	size_t		 count;

	memcpy(&count, object + f->count_offset, sizeof(count));
	if (!fits(f, count))
		return pool_printf(e->to->pool,
		    "field %s has %zu rows, expected at most %jd", f->name,
		    count, (intmax_t)f->max);
	add_length(e->to, (uint32_t)count);
	for (; count > 0; count--, row += f->row_size)
		if ((why = encode_row(e, f->rows, row)) != NULL)
			return why;
	return NULL;
}

/* FD: one byte here, the descriptor beside. */
static const char *
encode_fd(struct encoder *e, const struct field *f, const char *place)
{
	int	fd;

	memcpy(&fd, place, sizeof(fd));
	if (fd < 0 && f->kind == FIELD_KIND_FD)
		return pool_printf(e->to->pool, "field %s is missing", f->name);
	str_add_char(e->to, fd < 0 ? 0 : 1);
	if (fd < 0)
		return NULL;
	if (e->fds == NULL || e->nfds == MAX_FDS)
		return pool_printf(e->to->pool,
		    "field %s is one descriptor too many", f->name);
	e->fds[e->nfds++] = fd;
	return NULL;
}

/* One field, its kind first. */
static const char *
encode_field(struct encoder *e, const struct field *f, const char *object)
{
	const char	*place = object + f->offset;

	str_add_char(e->to, (char)f->kind);
	switch (f->kind) {
	case FIELD_KIND_INT:
		return encode_int(e, f, place);
	case FIELD_KIND_BOOL:
		return encode_bool(e, place);
	case FIELD_KIND_STR:
	case FIELD_KIND_OPT:
		return encode_string(e, f, place);
	case FIELD_KIND_DATA:
		return encode_data(e, f, place);
	case FIELD_KIND_LIST:
		return encode_list(e, f, object);
	case FIELD_KIND_FD:
	case FIELD_KIND_OPT_FD:
		return encode_fd(e, f, place);
	case FIELD_KIND_END:
		break;
	}
	bug("field %s has no kind %d", f->name, (int)f->kind);
}

/* All fields of a struct, in the table's order. */
static const char *
encode_row(struct encoder *e, const struct field *f, const char *object)
{
	const char	*why;

	for (; f->kind != FIELD_KIND_END; f++) {
		if ((why = encode_field(e, f, object)) != NULL)
			return why;
		if (e->to->is_cut)
			return pool_printf(e->to->pool,
			    "field %s does not fit into %zu bytes", f->name,
			    e->to->limit);
	}
	return NULL;
}

/* A struct to bytes; `to` is as it was if that fails. */
const char *
fields_encode(const struct field *f, const void *object, struct str *to,
    int *fds, size_t *nfds)
{
	struct encoder	 e = { to, nfds != NULL ? fds : NULL, 0 };
	size_t		 start = to->len;
	const char	*why;

	if (nfds != NULL)
		*nfds = 0;
	if ((why = encode_row(&e, f, object)) != NULL) {
		str_cut(to, start);
		return why;
	}
	if (nfds != NULL)
		*nfds = e.nfds;
	return NULL;
}

/* Step over `len` bytes; NULL if they are not there. */
static const char *
take(struct decoder *d, size_t len)
{
	const char	*here = d->at;

	if (len > d->left)
		return NULL;
	d->at += len;
	d->left -= len;
	return here;
}

/* The sentence for bytes that end too early. */
static const char *
ends_early(struct decoder *d, const struct field *f)
{
	return pool_printf(d->pool, "the data ends in field %s", f->name);
}

/* Four bytes of length. */
static bool
take_length(struct decoder *d, uint32_t *len)
{
	const char	*raw = take(d, sizeof(*len));

	if (raw == NULL)
		return false;
	memcpy(len, raw, sizeof(*len));
	*len = le32toh(*len);
	return true;
}

/* INT: eight bytes, little endian. */
static const char *
decode_int(struct decoder *d, const struct field *f, char *place)
{
	const char	*raw = take(d, sizeof(uint64_t));
	uint64_t	 number;
	int64_t		 n;

	if (raw == NULL)
		return ends_early(d, f);
	memcpy(&number, raw, sizeof(number));
	n = (int64_t)le64toh(number);
	if (n < f->min || n > f->max)
		return bad_number(d->pool, f, n);
	memcpy(place, &n, sizeof(n));
	return NULL;
}

/* BOOL: one byte, 0 or 1. */
static const char *
decode_bool(struct decoder *d, const struct field *f, char *place)
{
	const char	*raw = take(d, 1);
	bool		 value;

	if (raw == NULL)
		return ends_early(d, f);
	if (*raw != 0 && *raw != 1)
		return pool_printf(d->pool, "field %s is neither yes nor no",
		    f->name);
	value = *raw == 1;
	memcpy(place, &value, sizeof(value));
	return NULL;
}

/* STR and OPT: length, bytes without NUL, NUL. */
static const char *
decode_string(struct decoder *d, const struct field *f, char *place)
{
	static char	 nothing[1];
	const char	*text;
	uint32_t	 len;

	if (!take_length(d, &len))
		return ends_early(d, f);
	if (len == ABSENT && f->kind == FIELD_KIND_OPT) {
		set_pointer(place, NULL);
		return NULL;
	}
	if (!fits(f, len))
		return bad_length(d->pool, f, len);
	if ((text = take(d, (size_t)len + 1)) == NULL)
		return ends_early(d, f);
	if (text[len] != '\0' || memchr(text, '\0', len) != NULL)
		return pool_printf(d->pool, "field %s is not one string",
		    f->name);
	/* Most are empty, and a mailing has a million of them. */
	set_pointer(place, len == 0 ? nothing : pool_strndup(d->pool, text,
	    len));
	return NULL;
}

/* DATA: length, bytes, which stay where they are. */
static const char *
decode_data(struct decoder *d, const struct field *f, char *place)
{
	struct bytes	data;
	uint32_t	len;

	if (!take_length(d, &len))
		return ends_early(d, f);
	if (!fits(f, len))
		return bad_length(d->pool, f, len);
	if ((data.data = take(d, len)) == NULL)
		return ends_early(d, f);
	data.len = len;
	memcpy(place, &data, sizeof(data));
	return NULL;
}

/* The fewest bytes that a row of this table takes. */
static size_t
least_size(const struct field *f)
{
	size_t	size = 0;

	for (; f->kind != FIELD_KIND_END; f++) {
		switch (f->kind) {
		case FIELD_KIND_INT:
			size += 1 + 8;
			break;
		case FIELD_KIND_STR:
			size += 1 + 4 + (size_t)f->min + 1;
			break;
		case FIELD_KIND_DATA:
			size += 1 + 4 + (size_t)f->min;
			break;
		case FIELD_KIND_OPT:
		case FIELD_KIND_LIST:
			size += 1 + 4;
			break;
		default:
			size += 1 + 1;
			break;
		}
	}
	return size > 0 ? size : 1;
}

/* LIST: row count, rows. */
static const char *
decode_list(struct decoder *d, const struct field *f, char *object)
{
	const char	*why;
	uint32_t	 len;
	size_t		 count, i;
	char		*rows;

	if (!take_length(d, &len))
		return ends_early(d, f);
	count = len;
	if (!fits(f, count))
		return pool_printf(d->pool,
		    "field %s has %zu rows, expected at most %jd", f->name,
		    count, (intmax_t)f->max);
	if (count > d->left / least_size(f->rows))
		return ends_early(d, f);
	if (count == 0)
		return NULL;
	rows = pool_array(d->pool, count, f->row_size);
	for (i = 0; i < count; i++)
		empty_row(f->rows, rows + i * f->row_size);
	for (i = 0; i < count; i++)
		if ((why = decode_row(d, f->rows, rows + i * f->row_size))
		    != NULL)
			return why;
	set_pointer(object + f->offset, rows);
	memcpy(object + f->count_offset, &count, sizeof(count));
	return NULL;
}

/* FD: a byte, and the next of the descriptors. */
static const char *
decode_fd(struct decoder *d, const struct field *f, char *place)
{
	const char	*raw = take(d, 1);

	if (raw == NULL)
		return ends_early(d, f);
	if (*raw == 0 && f->kind == FIELD_KIND_OPT_FD)
		return NULL;
	if (*raw != 1 || d->fds_used >= d->nfds)
		return pool_printf(d->pool, "field %s has no descriptor",
		    f->name);
	memcpy(place, &d->fds[d->fds_used++], sizeof(int));
	return NULL;
}

/* One field, which must be of the kind that the table says. */
static const char *
decode_field(struct decoder *d, const struct field *f, char *object)
{
	const char	*kind = take(d, 1);
	char		*place = object + f->offset;

	if (kind == NULL)
		return ends_early(d, f);
	if ((unsigned char)*kind != (unsigned)f->kind)
		return pool_printf(d->pool, "field %s is of kind %u, "
		    "expected %u", f->name, (unsigned char)*kind, f->kind);
	switch (f->kind) {
	case FIELD_KIND_INT:
		return decode_int(d, f, place);
	case FIELD_KIND_BOOL:
		return decode_bool(d, f, place);
	case FIELD_KIND_STR:
	case FIELD_KIND_OPT:
		return decode_string(d, f, place);
	case FIELD_KIND_DATA:
		return decode_data(d, f, place);
	case FIELD_KIND_LIST:
		return decode_list(d, f, object);
	case FIELD_KIND_FD:
	case FIELD_KIND_OPT_FD:
		return decode_fd(d, f, place);
	case FIELD_KIND_END:
		break;
	}
	bug("field %s has no kind %d", f->name, (int)f->kind);
}

/* All fields of a struct, in the table's order. */
static const char *
decode_row(struct decoder *d, const struct field *f, char *object)
{
	const char	*why;

	for (; f->kind != FIELD_KIND_END; f++)
		if ((why = decode_field(d, f, object)) != NULL)
			return why;
	return NULL;
}

/* Nothing in this field: 0, "", NULL, or no descriptor. */
static void
empty_field(const struct field *f, char *object)
{
	static const struct bytes	 no_bytes = { "", 0 };
	static const size_t		 no_rows = 0;
	static const int64_t		 zero = 0;
	static const int		 no_fd = -1;
	char				*place = object + f->offset;

	switch (f->kind) {
	case FIELD_KIND_INT:
		memcpy(place, &zero, sizeof(zero));
		break;
	case FIELD_KIND_BOOL:
		memcpy(place, &zero, sizeof(bool));
		break;
	case FIELD_KIND_STR:
		set_pointer(place, "");
		break;
	case FIELD_KIND_OPT:
		set_pointer(place, NULL);
		break;
	case FIELD_KIND_DATA:
		memcpy(place, &no_bytes, sizeof(no_bytes));
		break;
	case FIELD_KIND_LIST:
		set_pointer(place, NULL);
		memcpy(object + f->count_offset, &no_rows, sizeof(no_rows));
		break;
	case FIELD_KIND_FD:
	case FIELD_KIND_OPT_FD:
		memcpy(place, &no_fd, sizeof(no_fd));
		break;
	case FIELD_KIND_END:
		break;
	}
}

/* Nothing in all of them. */
static void
empty_row(const struct field *f, char *object)
{
	for (; f->kind != FIELD_KIND_END; f++)
		empty_field(f, object);
}

/* Bytes to a struct: all of them, and all descriptors. */
const char *
fields_decode(const struct field *f, void *object, struct pool *pool,
    const void *data, size_t len, const int *fds, size_t nfds)
{
	struct decoder	 d = { pool, len > 0 ? data : "", len, fds, nfds, 0 };
	const char	*why;

	empty_row(f, object);
	why = decode_row(&d, f, object);
	if (why == NULL && d.left > 0)
		why = pool_printf(pool, "%zu bytes follow the last field",
		    d.left);
	if (why == NULL && d.fds_used < nfds)
		why = pool_printf(pool, "%zu descriptors without a field",
		    nfds - d.fds_used);
	if (why != NULL)
		empty_row(f, object);
	return why;
}

/* The first bytes to a struct, no descriptors. */
const char *
fields_decode_part(const struct field *f, void *object, struct pool *pool,
    const void *data, size_t len, size_t *used)
{
	struct decoder	 d = { pool, len > 0 ? data : "", len, NULL, 0, 0 };
	const char	*why;

	empty_row(f, object);
	if ((why = decode_row(&d, f, object)) != NULL) {
		empty_row(f, object);
		return why;
	}
	*used = len - d.left;
	return NULL;
}
