/*
 * waiting.c - the messages that are known and not open.
 *
 * A million of them must fit into little memory: an array of slots of 64 bytes,
 * a binary heap of slot numbers ordered by the time they are due, and a hash
 * table of slot numbers by id (open addressing, linear probing, half empty at
 * least). What somebody waits for is found by looking at all of them, seldom.
 * Free slots are chained through `place`.
 */
#include "qmgr/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

enum { NONE = UINT32_MAX, FIRST_ROOM = 1024, FREE = QUEUE_DIRS };

struct slot {
	int64_t		 due;
	uint32_t	 place;		/* in the heap; of the next free slot */
	uint32_t	 site, names[MARKS];	/* as in struct marks */
	uint8_t		 count, flags;
	uint8_t		 dir;		/* or FREE */
	char		 id[QUEUE_ID_MAX + 1];
};

static struct slot	*slots;
static uint32_t		*heap, *table;
static uint32_t		 room, count, used, free_slot = NONE, mask;

/* --- marks --------------------------------------------------------------- */

/* FNV-1a. */
uint32_t
marks_hash(const char *name, size_t len)
{
	uint32_t	 h = 2166136261u;
	size_t		 i;
	unsigned char	 c;

	for (i = 0; i < len; i++) {
		c = (unsigned char)name[i];
		h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
	}
	return h != 0 ? h : 1;
}

/* Is one of these hashes among those names? */
static bool
has_any(const uint32_t *names, size_t n, const uint32_t *hashes, size_t m)
{
	size_t	i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < m; j++)
			if (names[i] == hashes[j])
				return true;
	return false;
}

/* Know one more, if there is room. */
void
marks_add(struct marks *m, uint32_t hash)
{
	if (m->count == MARKS_MANY || has_any(m->names, m->count, &hash, 1))
		return;
	if (m->count == MARKS)
		m->count = MARKS_MANY;
	else
		m->names[m->count++] = hash;
}

/* One of them? */
bool
marks_have(const struct marks *m, const uint32_t *hashes, size_t n)
{
	return m->count != MARKS_MANY && has_any(m->names, m->count, hashes,
	    n);
}

/* --- heap ---------------------------------------------------------------- */

/* Put a slot at a place of the heap. */
static void
set_place(uint32_t place, uint32_t slot)
{
	heap[place] = slot;
	slots[slot].place = place;
}

/* Towards the top while it is due before its parent. */
static void
move_up(uint32_t place)
{
	uint32_t	slot = heap[place], parent;

	for (; place > 0; place = parent) {
		parent = (place - 1) / 2;
		if (slots[heap[parent]].due <= slots[slot].due)
			break;
		set_place(place, heap[parent]);
	}
	set_place(place, slot);
}

/* Towards the bottom while a child is due before it. */
static void
move_down(uint32_t place)
{
	uint32_t	slot = heap[place], child;

	for (; (child = 2 * place + 1) < count; place = child) {
		if (child + 1 < count && slots[heap[child + 1]].due <
		    slots[heap[child]].due)
			child++;
		if (slots[slot].due <= slots[heap[child]].due)
			break;
		set_place(place, heap[child]);
	}
	set_place(place, slot);
}

/* Take a slot out of the heap. */
static void
heap_remove(uint32_t place)
{
	uint32_t	last = heap[--count];

	if (place == count)
		return;
	set_place(place, last);
	move_up(place);
	move_down(slots[last].place);
}

/* Bring all into order, which is quicker than one after the other. */
static void
heapify(void)
{
	uint32_t	i;

	for (i = count / 2; i > 0; i--)
		move_down(i - 1);
}

/* --- hash table ---------------------------------------------------------- */

/* FNV-1a. */
static uint32_t
hash(const char *id)
{
	uint32_t	h = 2166136261u;

	while (*id != '\0')
		h = (h ^ (unsigned char)*id++) * 16777619u;
	return h ^ h >> 15;
}

/* Where the id is in the table, or where it would be. */
static uint32_t
find(const char *id)
{
	uint32_t	at = hash(id) & mask;

	while (table[at] != NONE && strcmp(slots[table[at]].id, id) != 0)
		at = (at + 1) & mask;
	return at;
}

/* The slot of an id, or NONE. */
static uint32_t
slot_of(const char *id)
{
	return count == 0 ? (uint32_t)NONE : table[find(id)];
}

/* Empty a place, and move up those that had to stand behind it. */
static void
table_remove(uint32_t hole)
{
	uint32_t	at = hole, home;

	for (;;) {
		at = (at + 1) & mask;
		if (table[at] == NONE)
			break;
		home = hash(slots[table[at]].id) & mask;
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		table[hole] = table[at];
		hole = at;
	}
	table[hole] = NONE;
}

/* Twice the room. */
static void
grow(void)
{
	uint32_t	i;

	CLAIM(room < UINT32_MAX / 4);
	room = room == 0 ? FIRST_ROOM : 2 * room;
	mask = 2 * room - 1;
	slots = mem_resize(slots, room * sizeof(*slots));
	heap = mem_resize(heap, room * sizeof(*heap));
	free(table);
	table = mem_alloc(2 * (size_t)room * sizeof(*table));
	memset(table, 0xff, 2 * (size_t)room * sizeof(*table));
	for (i = 0; i < count; i++)
		table[find(slots[heap[i]].id)] = heap[i];
}

/* --- the index ----------------------------------------------------------- */

/* A slot that nobody uses. */
static uint32_t
take_slot(void)
{
	uint32_t	slot = free_slot;

	if (slot == NONE)
		return used++;
	free_slot = slots[slot].place;
	return slot;
}

/* Know one more message. */
bool
waiting_add(const char *id, enum queue_dir dir, int64_t due)
{
	uint32_t	slot;

	if (slot_of(id) != NONE)
		return false;
	if (count == room)
		grow();
	slot = take_slot();
	strlcpy(slots[slot].id, id, sizeof(slots[slot].id));
	slots[slot].dir = (uint8_t)dir;
	slots[slot].due = due;
	slots[slot].site = 0;
	slots[slot].count = MARKS_UNKNOWN;
	slots[slot].flags = 0;
	table[find(id)] = slot;
	set_place(count++, slot);
	move_up(count - 1);
	return true;
}

/* Is it known? */
bool
waiting_has(const char *id)
{
	return slot_of(id) != NONE;
}

/* Forget a slot. */
static void
drop(uint32_t slot)
{
	table_remove(find(slots[slot].id));
	heap_remove(slots[slot].place);
	slots[slot].place = free_slot;
	slots[slot].dir = FREE;
	free_slot = slot;
}

/* Forget a message. */
bool
waiting_remove(const char *id)
{
	uint32_t	slot = slot_of(id);

	if (slot == NONE)
		return false;
	drop(slot);
	return true;
}

/* Another time. */
bool
waiting_set_due(const char *id, int64_t due)
{
	uint32_t	slot = slot_of(id);

	if (slot == NONE)
		return false;
	slots[slot].due = due;
	slots[slot].flags |= WAITING_FLUSHED;
	move_up(slots[slot].place);
	move_down(slots[slot].place);
	return true;
}

/* What it waits for. */
bool
waiting_set_marks(const char *id, const struct marks *m, unsigned flags)
{
	uint32_t	 slot = slot_of(id);
	struct slot	*s;

	if (slot == NONE)
		return false;
	s = &slots[slot];
	s->site = m->site;
	s->count = m->count;
	memcpy(s->names, m->names, sizeof(s->names));
	s->flags |= (uint8_t)flags;
	return true;
}

/* Nobody later than that. Cutting off keeps the order of a heap. */
void
waiting_all_due(int64_t due)
{
	uint32_t	i;

	for (i = 0; i < count; i++) {
		slots[heap[i]].flags |= WAITING_FLUSHED;
		if (slots[heap[i]].due > due)
			slots[heap[i]].due = due;
	}
}

/* The time of the first. */
int64_t
waiting_first_due(void)
{
	return count == 0 ? NEVER : slots[heap[0]].due;
}

/* The first, if its time has come. */
bool
waiting_take_one(int64_t now, struct waiting_one *to)
{
	const struct slot	*s;

	if (count == 0 || waiting_first_due() > now)
		return false;
	s = &slots[heap[0]];
	*to = (struct waiting_one){ .dir = s->dir, .due = s->due,
	    .flags = s->flags, .marks = { .site = s->site,
	    .count = s->count } };
	memcpy(to->marks.names, s->names, sizeof(s->names));
	strlcpy(to->id, s->id, sizeof(to->id));
	drop(heap[0]);
	return true;
}

/* The same, for who wants its name only. */
bool
waiting_take(int64_t now, char id[QUEUE_ID_MAX + 1], enum queue_dir *dir)
{
	struct waiting_one	one;

	if (!waiting_take_one(now, &one))
		return false;
	strlcpy(id, one.id, QUEUE_ID_MAX + 1);
	*dir = one.dir;
	return true;
}

/* How many. */
size_t
waiting_count(void)
{
	return count;
}

/* --- by what they wait for ----------------------------------------------- */

/* It is due earlier now. As long as few are, each finds its place at once. */
static void
advance(struct slot *s, int64_t due, size_t changed)
{
	if (s->due <= due)
		return;
	s->due = due;
	if (changed < count / 16 + 1)
		move_up(s->place);
}

/* Many have changed: what advance() left undone. */
static void
settle(size_t changed)
{
	if (changed > count / 16)
		heapify();
}

/* Remember a site, if it is a new one and there is room. */
static void
note_site(uint32_t sites[FLUSHED_SITES], uint32_t site)
{
	size_t	i;

	for (i = 0; i < FLUSHED_SITES && sites[i] != site; i++)
		if (sites[i] == 0) {
			sites[i] = site;
			return;
		}
}

/* Those with these names are due. */
size_t
waiting_flush(const uint32_t *hashes, size_t n, int64_t now, size_t *unknown,
    uint32_t sites[FLUSHED_SITES])
{
	struct slot	*s;
	size_t		 found = 0;

	*unknown = 0;
	memset(sites, 0, FLUSHED_SITES * sizeof(*sites));
	for (s = slots; s < slots + used; s++) {
		if (s->dir == FREE)
			continue;
		if (s->count == MARKS_UNKNOWN || s->count == MARKS_MANY)
			(*unknown)++;
		else if (has_any(s->names, s->count, hashes, n)) {
			s->flags |= WAITING_FLUSHED;
			if (s->site != 0)
				note_site(sites, s->site);
			advance(s, now, found++);
		}
	}
	settle(found);
	return found;
}

/* For bsearch(3). */
static int
compare_sites(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Does it go to one of them? */
static bool
is_at_site(const struct slot *s, const uint32_t *sites, size_t n,
    unsigned flags)
{
	return s->dir != FREE && (s->flags & flags) != 0 &&
	    bsearch(&s->site, sites, n, sizeof(*sites), compare_sites) != NULL;
}

/* How many? */
size_t
waiting_at_sites(const uint32_t *sites, size_t n, unsigned flags)
{
	const struct slot	*s;
	size_t			 found = 0;

	for (s = slots; s < slots + used; s++)
		if (is_at_site(s, sites, n, flags))
			found++;
	return found;
}

/* Those of some sites come forward. Who was passed over the last time is
 * looked at first, so that nobody is passed over for ever. */
size_t
waiting_pull(const uint32_t *sites, size_t n, unsigned flags, size_t limit,
    int64_t now, int64_t spread)
{
	static uint32_t	 from, random = 1;
	struct slot	*s;
	uint32_t	 i;
	size_t		 found = 0;

	for (i = 0; i < used && found < limit; i++) {
		s = &slots[(from + i) % used];
		if (!is_at_site(s, sites, n, flags))
			continue;
		random = random * 1664525u + 1013904223u;
		advance(s, now + (int64_t)((double)spread *
		    (random / 4294967296.0)), found++);
	}
	if (used > 0)
		from = (from + i) % used;
	settle(found);
	return found;
}

/* Whose names nobody has read. */
bool
waiting_next_unknown(uint32_t *cursor, char id[QUEUE_ID_MAX + 1],
    enum queue_dir *dir)
{
	const struct slot	*s;

	for (; *cursor < used; (*cursor)++) {
		s = &slots[*cursor];
		if (s->dir == FREE || (s->count != MARKS_UNKNOWN &&
		    s->count != MARKS_MANY))
			continue;
		strlcpy(id, s->id, QUEUE_ID_MAX + 1);
		*dir = s->dir;
		(*cursor)++;
		return true;
	}
	return false;
}
