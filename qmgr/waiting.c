/*
 * waiting.c - the messages that are known and not open.
 *
 * A million of them must fit into little memory: an array of slots of 64 bytes,
 * binary heaps of slot numbers ordered by the time they are due, and a hash
 * table of slot numbers by id (open addressing, linear probing, half empty at
 * least). What somebody waits for is found by looking at all of them, seldom.
 * Free slots are chained through `place`.
 *
 * P1  New mail (incoming/) and mail that was tried before have a heap each and
 *     are taken by turns when both are due: after an outage, or when somebody
 *     flushes a long queue, new mail passes it.
 */
#include "qmgr/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
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

/* Slots by the time they are due. */
struct heap {
	uint32_t	*at;
	uint32_t	 count;
};
enum { HEAP_NEW, HEAP_TRIED, HEAPS };

static struct slot	*slots;
static struct heap	 heaps[HEAPS];
static uint32_t		*table;
static uint32_t		 room, used, free_slot = NONE, mask;
static unsigned		 turn;			/* whose it is (P1) */

/* --- heaps --------------------------------------------------------------- */

/* How many. */
size_t
waiting_count(void)
{
	return (size_t)heaps[HEAP_NEW].count + heaps[HEAP_TRIED].count;
}

/* How many that are new. */
size_t
waiting_count_new(void)
{
	return heaps[HEAP_NEW].count;
}

/* The heap that a slot belongs to. */
static struct heap *
heap_of(uint32_t slot)
{
	return &heaps[slots[slot].dir == QUEUE_INCOMING ? HEAP_NEW :
	    HEAP_TRIED];
}

/* Put a slot at a place of the heap. */
static void
set_place(struct heap *h, uint32_t place, uint32_t slot)
{
	h->at[place] = slot;
	slots[slot].place = place;
}

/* Towards the top while it is due before its parent. */
static void
move_up(struct heap *h, uint32_t place)
{
	uint32_t	slot = h->at[place], parent;

	for (; place > 0; place = parent) {
		parent = (place - 1) / 2;
		if (slots[h->at[parent]].due <= slots[slot].due)
			break;
		set_place(h, place, h->at[parent]);
	}
	set_place(h, place, slot);
}

/* Towards the bottom while a child is due before it. */
static void
move_down(struct heap *h, uint32_t place)
{
	uint32_t	slot = h->at[place], child;

	for (; (child = 2 * place + 1) < h->count; place = child) {
		if (child + 1 < h->count && slots[h->at[child + 1]].due <
		    slots[h->at[child]].due)
			child++;
		if (slots[slot].due <= slots[h->at[child]].due)
			break;
		set_place(h, place, h->at[child]);
	}
	set_place(h, place, slot);
}

/* Its time has changed. */
static void
heap_settle(struct heap *h, uint32_t slot)
{
	move_up(h, slots[slot].place);
	move_down(h, slots[slot].place);
}

/* Take a slot out of its heap. */
static void
heap_remove(uint32_t slot)
{
	struct heap	*h = heap_of(slot);
	uint32_t	 place = slots[slot].place, last = h->at[--h->count];

	if (place == h->count)
		return;
	set_place(h, place, last);
	heap_settle(h, last);
}

/* Bring all into order, which is quicker than one after the other. */
static void
heapify(struct heap *h)
{
	uint32_t	i;

	for (i = h->count / 2; i > 0; i--)
		move_down(h, i - 1);
}

/* --- hash table ---------------------------------------------------------- */

/* The hash of an id. */
static uint32_t
hash(const char *id)
{
	uint32_t	h = hash_bytes(HASH_START, id, strlen(id));

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
	return room == 0 ? (uint32_t)NONE : table[find(id)];
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
	uint32_t	i, h;

	CLAIM(room < UINT32_MAX / 4);
	room = room == 0 ? FIRST_ROOM : 2 * room;
	mask = 2 * room - 1;
	slots = mem_resize(slots, room * sizeof(*slots));
	for (h = 0; h < HEAPS; h++)
		heaps[h].at = mem_resize(heaps[h].at,
		    room * sizeof(uint32_t));
	free(table);
	table = mem_alloc(2 * (size_t)room * sizeof(*table));
	memset(table, 0xff, 2 * (size_t)room * sizeof(*table));
	for (i = 0; i < used; i++)
		if (slots[i].dir != FREE)
			table[find(slots[i].id)] = i;
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
	uint32_t	 slot;
	struct heap	*h;

	if (slot_of(id) != NONE)
		return false;
	if (waiting_count() == room)
		grow();
	slot = take_slot();
	strlcpy(slots[slot].id, id, sizeof(slots[slot].id));
	slots[slot].dir = (uint8_t)dir;
	slots[slot].due = due;
	slots[slot].site = 0;
	slots[slot].count = MARKS_UNKNOWN;
	slots[slot].flags = 0;
	table[find(id)] = slot;
	h = heap_of(slot);
	set_place(h, h->count++, slot);
	move_up(h, h->count - 1);
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
	heap_remove(slot);
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
	heap_settle(heap_of(slot), slot);
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

/* What only its file told. */
uint32_t
waiting_set_names(const char *id, const struct marks *m)
{
	uint32_t	 slot = slot_of(id);
	struct slot	*s;

	if (slot == NONE)
		return 0;
	s = &slots[slot];
	if (s->count == MARKS_UNKNOWN) {
		s->count = m->count;
		memcpy(s->names, m->names, sizeof(s->names));
	}
	return s->site;
}

/* The time of the first in a heap. */
static int64_t
first_due(const struct heap *h)
{
	return h->count == 0 ? NEVER : slots[h->at[0]].due;
}

/* The time of the first. */
int64_t
waiting_first_due(void)
{
	int64_t	new = first_due(&heaps[HEAP_NEW]),
		tried = first_due(&heaps[HEAP_TRIED]);

	return new < tried ? new : tried;
}

/* The first of a heap, if its time has come. */
static bool
take_from(unsigned from, int64_t now, struct waiting_one *to)
{
	const struct slot	*s;

	if (heaps[from].count == 0 || first_due(&heaps[from]) > now)
		return false;
	turn = HEAPS - 1 - from;
	s = &slots[heaps[from].at[0]];
	*to = (struct waiting_one){ .dir = s->dir, .due = s->due,
	    .flags = s->flags, .marks = { .site = s->site,
	    .count = s->count } };
	memcpy(to->marks.names, s->names, sizeof(s->names));
	strlcpy(to->id, s->id, sizeof(to->id));
	drop(heaps[from].at[0]);
	return true;
}

/* The first of those whose turn it is, or of the others. */
bool
waiting_take_one(int64_t now, struct waiting_one *to)
{
	unsigned	from = turn;

	return take_from(from, now, to) || take_from(HEAPS - 1 - from, now,
	    to);
}

/* The first that is new. */
bool
waiting_take_new(int64_t now, struct waiting_one *to)
{
	return take_from(HEAP_NEW, now, to);
}

/* It was not its turn after all. */
void
waiting_put_back(const struct waiting_one *one)
{
	if (!waiting_add(one->id, one->dir, one->due))
		return;
	(void)waiting_set_marks(one->id, &one->marks, one->flags);
	turn = one->dir == QUEUE_INCOMING ? HEAP_NEW : HEAP_TRIED;
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

/* --- by what they wait for ----------------------------------------------- */

/* A number below this one; nobody need be surprised. */
static int64_t
below(int64_t limit)
{
	static uint32_t	random = 1;

	random = random * 1664525u + 1013904223u;
	return (int64_t)((double)limit * (random / 4294967296.0));
}

/* It is due earlier now. As long as few are, each finds its place at once. */
static void
advance(struct slot *s, int64_t due, size_t changed)
{
	if (s->due <= due)
		return;
	s->due = due;
	if (changed < waiting_count() / 16 + 1)
		move_up(heap_of((uint32_t)(s - slots)), s->place);
}

/* Many have changed: what advance() left undone. */
static void
settle(size_t changed)
{
	int	h;

	if (changed > waiting_count() / 16)
		for (h = 0; h < HEAPS; h++)
			heapify(&heaps[h]);
}

/* Nobody later than now or a little later. What is new does not wait. */
void
waiting_all_due(int64_t now, int64_t spread)
{
	struct slot	*s;
	int64_t		 due;
	int		 h;

	for (s = slots; s < slots + used; s++) {
		if (s->dir == FREE)
			continue;
		s->flags |= WAITING_FLUSHED;
		due = s->dir == QUEUE_INCOMING ? now : now + below(spread);
		if (s->due > due)
			s->due = due;
	}
	for (h = 0; h < HEAPS; h++)
		heapify(&heaps[h]);
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
		else if (marks_any(s->names, s->count, hashes, n)) {
			s->flags |= WAITING_FLUSHED;
			if (s->site != 0)
				note_site(sites, s->site);
			advance(s, now, found++);
		}
	}
	settle(found);
	return found;
}

/* For qsort(3) and bsearch(3). */
static int
compare_calls(const void *a, const void *b)
{
	uint32_t	x = ((const struct call *)a)->site,
			y = ((const struct call *)b)->site;

	return x < y ? -1 : x > y;
}

/* In order, each site once. */
size_t
waiting_sort(struct call *calls, size_t n)
{
	size_t	i, kept = 0;

	qsort(calls, n, sizeof(*calls), compare_calls);
	for (i = 0; i < n; i++)
		if (kept == 0 || calls[kept - 1].site != calls[i].site)
			calls[kept++] = calls[i];
	return kept;
}

/* The call for the site that it goes to, or NULL. */
static struct call *
call_of(const struct slot *s, struct call *calls, size_t n, unsigned flags)
{
	struct call	key = { .site = s->site };

	return s->dir != FREE && (s->flags & flags) != 0 ? bsearch(&key, calls,
	    n, sizeof(*calls), compare_calls) : NULL;
}

/* How many? */
size_t
waiting_at_sites(struct call *calls, size_t n, unsigned flags)
{
	const struct slot	*s;
	size_t			 found = 0;

	for (s = slots; s < slots + used; s++)
		if (call_of(s, calls, n, flags) != NULL)
			found++;
	return found;
}

/* Those of some sites come forward. Who was passed over the last time is
 * looked at first, so that nobody is passed over for ever. */
size_t
waiting_pull(struct call *calls, size_t n, unsigned flags, int64_t now,
    int64_t spread)
{
	static uint32_t	 from;
	struct slot	*s;
	struct call	*c;
	uint32_t	 i;
	size_t		 found = 0, left = n;

	for (i = 0; i < used && left > 0; i++) {
		s = &slots[(from + i) % used];
		if ((c = call_of(s, calls, n, flags)) == NULL ||
		    c->found == c->limit)
			continue;
		if (++c->found == c->limit)
			left--;
		advance(s, now + below(spread), found++);
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
