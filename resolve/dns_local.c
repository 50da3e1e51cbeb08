/*
 * dns_local.c - names that need no DNS: localhost, and the hosts file, which
 * is read once, before it is out of sight.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "resolve/dns.h"

enum { FILE_MAX = 16 << 20 };

struct line {
	struct inetaddr	 address;
	char		*name;
	size_t		 number;
	bool		 is_first;	/* the canonical name of its line */
};

static struct line	*lines;
static size_t		 count, room;
static struct pool	*pool;

/* By name, then as they stand in the file. */
static int
by_name(const void *a, const void *b)
{
	const struct line	*x = a, *y = b;
	int			 order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* One more name of an address. */
static void
add(const struct inetaddr *address, char *name, bool is_first)
{
	if (!answer_is_host_name(name))
		return;
	lines = mem_grow(lines, &room, count + 1, sizeof(*lines));
	text_lower(name);
	lines[count] = (struct line){ .address = *address, .name = name,
	    .number = count, .is_first = is_first };
	count++;
}

/* "address name alias ..." */
static void
read_line(char *line)
{
	struct inetaddr	 address;
	char		*word;
	bool		 is_first = true;

	line[strcspn(line, "#")] = '\0';
	word = text_next_word(&line);
	if (word == NULL || !inetaddr_parse(&address, word))
		return;
	for (; (word = text_next_word(&line)) != NULL; is_first = false)
		add(&address, word, is_first);
}

/* Read dns_hosts_file. */
void
local_read(void)
{
	char	*text, *line;
	size_t	 len;

	if (*dns_set.hosts_file == '\0')
		return;
	pool = pool_new("hosts file", 0);
	text = fs_read_file(pool, dns_set.hosts_file, FILE_MAX, &len);
	if (text == NULL) {
		if (errno != ENOENT)
			log_warning("dns_hosts_file: %s: %s",
			    dns_set.hosts_file, strerror(errno));
		return;
	}
	while ((line = strsep(&text, "\n")) != NULL)
		read_line(line);
	if (count > 1)
		qsort(lines, count, sizeof(*lines), by_name);
}

/* The index of the first line with this name, or one behind the last. */
static size_t
find(const char *name)
{
	size_t	low = 0, high = count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (strcmp(lines[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* RFC 6761 6.3: localhost is this host, whatever files and servers say. */
static size_t
loopback(struct inetaddr *to, size_t free_places)
{
	size_t	n = 0;

	if (n < free_places && inetaddr_parse(&to[n], "::1"))
		n++;
	if (n < free_places && inetaddr_parse(&to[n], "127.0.0.1"))
		n++;
	return n;
}

/* What localhost or the file says of a name. */
size_t
local_addresses(const char *name, struct inetaddr *to, size_t free_places)
{
	size_t	i, n = 0;

	if (text_equal(name, "localhost"))
		return loopback(to, free_places);
	for (i = find(name); i < count && n < free_places &&
	    strcmp(lines[i].name, name) == 0; i++)
		to[n++] = lines[i].address;
	return n;
}

/* The first name of the first line with the address. */
const char *
local_name(const struct inetaddr *address)
{
	const struct line	*found = NULL;
	size_t			 i;

	for (i = 0; i < count; i++)
		if (lines[i].is_first &&
		    inetaddr_equal(&lines[i].address, address) &&
		    (found == NULL || lines[i].number < found->number))
			found = &lines[i];
	if (found != NULL)
		return found->name;
	return inetaddr_is_loopback(address) ? "localhost" : NULL;
}
