/*
 * waiting.c - the messages that are known and not open.
 *
 * A million of them must fit into little memory: an array of slots, a binary
 * heap of slot numbers ordered by the time they are due, and a hash table of
 * slot numbers by id (open addressing, linear probing, half empty at least).
 * Free slots are chained through `place`.
 */
#include "qmgr/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

enum { NONE = UINT32_MAX, FIRST_ROOM = 1024 };

struct slot {
	int64_t		 due;
	uint32_t	 place;		/* in the heap; of the next free slot */
	uint8_t		 dir;
	char		 id[QUEUE_ID_MAX + 1];
};

static struct slot	*slots;
static uint32_t		*heap, *table;
static uint32_t		 room, count, used, free_slot = NONE, mask;

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
	move_up(slots[slot].place);
	move_down(slots[slot].place);
	return true;
}

/* Nobody later than that. Cutting off keeps the order of a heap. */
void
waiting_all_due(int64_t due)
{
	uint32_t	i;

	for (i = 0; i < count; i++)
		if (slots[heap[i]].due > due)
			slots[heap[i]].due = due;
}

/* The time of the first. */
int64_t
waiting_first_due(void)
{
	return count == 0 ? NEVER : slots[heap[0]].due;
}

/* The first, if its time has come. */
bool
waiting_take(int64_t now, char id[QUEUE_ID_MAX + 1], enum queue_dir *dir)
{
	uint32_t	slot;

	if (count == 0 || waiting_first_due() > now)
		return false;
	slot = heap[0];
	strlcpy(id, slots[slot].id, QUEUE_ID_MAX + 1);
	*dir = slots[slot].dir;
	drop(slot);
	return true;
}

/* How many. */
size_t
waiting_count(void)
{
	return count;
}
