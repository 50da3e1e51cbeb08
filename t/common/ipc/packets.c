/*
 * packets.c - every table encodes, decodes, and refuses what was damaged.
 *
 * The objects are made from the tables themselves, so a new packet is tried
 * without a new line here.
 */
#include "common/ipc/packets.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ipc/inside.h"
#include "common/ipc/packet.h"

enum { ROWS = 2, TEXT = 12 };

static struct pool	*pool;
static int		 null_fd;

static void	fill(const struct field *, char *);

/* A text as long as the bounds allow, up to TEXT. */
static char *
some_text(const struct field *f)
{
	size_t	len = f->max < TEXT ? (size_t)f->max : TEXT;
	char	*text = pool_alloc(pool, len + 1);

	memset(text, 'x', len);
	return text;
}

/* Bytes of a length within the field's bounds. */
static struct bytes
some_data(const struct field *f)
{
	static const char	bytes[1024] = "some\0data";
	size_t			len = 9;

	if (f->min > (int64_t)len)
		len = (size_t)f->min;
	if (f->max < (int64_t)len)
		len = (size_t)f->max;
	assert_in_range(len, 0, sizeof(bytes));
	return (struct bytes){ bytes, len };
}

/* A value that keeps to the bounds of one field. */
static void
fill_field(const struct field *f, char *object)
{
	char		*place = object + f->offset, *rows;
	size_t		 i, count = ROWS;
	struct bytes	 data = some_data(f);
	bool		 yes = true;

	switch (f->kind) {
	case FIELD_KIND_INT:
		memcpy(place, &f->max, sizeof(f->max));
		break;
	case FIELD_KIND_BOOL:
		memcpy(place, &yes, sizeof(yes));
		break;
	case FIELD_KIND_STR:
	case FIELD_KIND_OPT:
		memcpy(place, &(char *){ some_text(f) }, sizeof(char *));
		break;
	case FIELD_KIND_DATA:
		memcpy(place, &data, sizeof(data));
		break;
	case FIELD_KIND_LIST:
		rows = pool_array(pool, ROWS, f->row_size);
		for (i = 0; i < ROWS; i++)
			fill(f->rows, rows + i * f->row_size);
		memcpy(place, &rows, sizeof(rows));
		memcpy(object + f->count_offset, &count, sizeof(count));
		break;
	case FIELD_KIND_FD:
	case FIELD_KIND_OPT_FD:
		memcpy(place, &null_fd, sizeof(null_fd));
		break;
	case FIELD_KIND_END:
		break;
	}
}

/* A struct of such values. */
static void
fill(const struct field *f, char *object)
{
	for (; f->kind != FIELD_KIND_END; f++)
		fill_field(f, object);
}

/* A full packet of this type, encoded. */
static void
make(unsigned type, struct str *to, int *fds, size_t *nfds)
{
	char	*object = pool_alloc(pool, packet_struct_size(type) + 1);

	fill(packet_fields(type), object);
	str_init(to, pool, PACKET_MAX);
	assert_null(packet_encode(type, 0, 42, object, to, fds, nfds));
}

/* Read bytes as a packet: NULL or why not. */
static const char *
parse(const char *data, size_t len, const int *fds, size_t nfds, void *object)
{
	struct packet	p;
	const char	*why;

	if ((why = packet_parse(&p, data, len)) != NULL)
		return why;
	if (p.nfds != nfds)
		return "descriptors";
	memcpy(p.fds, fds, nfds * sizeof(*fds));
	return packet_decode(&p, object, pool);
}

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	null_fd = open("/dev/null", O_RDONLY);
	return null_fd == -1 ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return close(null_fd);
}

static void
every_type_has_a_name_a_table_and_a_size(void **state)
{
	unsigned	type;

	(void)state;
	assert_null(packet_name(PACKET_NONE));
	assert_null(packet_name(PACKET_TYPES));
	assert_int_equal(packet_struct_size(PACKET_TYPES + 1000), 0);
	for (type = PACKET_NONE + 1; type < PACKET_TYPES; type++) {
		assert_non_null(packet_name(type));
		assert_non_null(packet_fields(type));
		assert_true(packet_struct_size(type) > 0);
	}
}

static void
every_packet_comes_out_as_it_went_in(void **state)
{
	struct str	 first, second;
	int		 fds[PACKET_FDS], again[PACKET_FDS];
	size_t		 nfds, nagain;
	unsigned	 type;
	void		*object;

	(void)state;
	for (type = PACKET_NONE + 1; type < PACKET_TYPES; type++) {
		make(type, &first, fds, &nfds);
		object = pool_alloc(pool, packet_struct_size(type));
		assert_null(parse(first.data, first.len, fds, nfds, object));
		str_init(&second, pool, PACKET_MAX);
		assert_null(packet_encode(type, 0, 42, object, &second, again,
		    &nagain));
		assert_int_equal(nfds, nagain);
		assert_int_equal(first.len, second.len);
		assert_memory_equal(first.data, second.data, first.len);
	}
}

static void
a_packet_cut_anywhere_is_refused(void **state)
{
	struct str	 s;
	int		 fds[PACKET_FDS];
	size_t		 nfds, len;
	unsigned	 type;
	void		*object;

	(void)state;
	for (type = PACKET_NONE + 1; type < PACKET_TYPES; type++) {
		make(type, &s, fds, &nfds);
		object = pool_alloc(pool, packet_struct_size(type));
		for (len = 0; len < s.len; len++)
			assert_non_null(parse(s.data, len, fds, nfds, object));
		str_add_char(&s, 'x');
		assert_non_null(parse(s.data, s.len, fds, nfds, object));
	}
}

static void
a_packet_without_its_descriptors_is_refused(void **state)
{
	struct str	 s;
	int		 fds[PACKET_FDS];
	size_t		 nfds;
	unsigned	 type;
	void		*object;

	(void)state;
	for (type = PACKET_NONE + 1; type < PACKET_TYPES; type++) {
		make(type, &s, fds, &nfds);
		object = pool_alloc(pool, packet_struct_size(type));
		if (nfds > 0) {
			s.data[4] = 0;
			assert_non_null(parse(s.data, s.len, fds, 0, object));
		}
		fds[nfds] = null_fd;
		s.data[4] = (char)(nfds + 1);
		assert_non_null(parse(s.data, s.len, fds, nfds + 1, object));
	}
}

/* Whatever a byte becomes, the decoder says yes or no and nothing breaks. */
static void
no_damaged_byte_breaks_the_decoder(void **state)
{
	static const unsigned char	 values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct str			 s;
	int				 fds[PACKET_FDS];
	size_t				 nfds, at, v;
	unsigned			 type;
	void				*object;
	char				 before;

	(void)state;
	for (type = PACKET_NONE + 1; type < PACKET_TYPES; type++) {
		make(type, &s, fds, &nfds);
		/* a damaged type may mean another struct: room for any */
		object = pool_alloc(pool, 4096);
		for (at = 0; at < s.len; at++) {
			before = s.data[at];
			for (v = 0; v < sizeof(values); v++) {
				s.data[at] = (char)values[v];
				(void)parse(s.data, s.len, fds, nfds, object);
			}
			s.data[at] = before;
		}
		assert_null(parse(s.data, s.len, fds, nfds, object));
	}
}

static void
bounds_are_enforced_on_both_sides(void **state)
{
	struct queued	 queued = { "ID", "250 Ok", 250, 0 }, out;
	struct str	 s;
	int		 fds[PACKET_FDS];
	size_t		 nfds;

	(void)state;
	str_init(&s, pool, PACKET_MAX);
	queued.code = 199;
	assert_non_null(packet_encode(PACKET_QUEUED, 0, 1, &queued, &s, fds,
	    &nfds));
	queued.code = 250;
	str_clear(&s);
	assert_null(packet_encode(PACKET_QUEUED, 0, 1, &queued, &s, fds,
	    &nfds));
	assert_null(parse(s.data, s.len, fds, 0, &out));
	s.data[s.len - 9 - 1 - 8] = (char)199;	/* code's lowest byte */
	assert_non_null(parse(s.data, s.len, fds, 0, &out));
}

/* Their bytes stay in the datagram's buffer, which the channels share. */
static void
bytes_in_rows_are_bytes_of_the_packet(void **state)
{
	(void)state;
	assert_true(packet_has_data(PACKET_ASK_SIGNATURE));
	assert_true(packet_has_data(PACKET_CERTIFICATES));
	assert_true(packet_has_data(PACKET_TICKETS));
	assert_false(packet_has_data(PACKET_RECIPIENTS));
	assert_false(packet_has_data(PACKET_TYPES));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(every_type_has_a_name_a_table_and_a_size),
		cmocka_unit_test(every_packet_comes_out_as_it_went_in),
		cmocka_unit_test(a_packet_cut_anywhere_is_refused),
		cmocka_unit_test(a_packet_without_its_descriptors_is_refused),
		cmocka_unit_test(no_damaged_byte_breaks_the_decoder),
		cmocka_unit_test(bounds_are_enforced_on_both_sides),
		cmocka_unit_test(bytes_in_rows_are_bytes_of_the_packet),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
