/*
 * tally.c - what a load left in mailboxes.
 *
 *	tally PATH...
 *
 * A path is an mbox or a directory with messages, one in each file. It prints a
 * line for each recipient found: the key, and "whole", "damaged" or "returned"
 * (in a report of ours); or "? damaged" for what is no message of a load.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "t/crash/message.h"

/* The next place of a word in a text, or NULL. */
static const char *
seek(const char *text, const char *end, const char *word)
{
	return text >= end ? NULL :
	    memmem(text, (size_t)(end - text), word, strlen(word));
}

/* The key in the line that begins with this word, behind a place. */
static const char *
key_behind(const char *text, const char *end, const char *word, char *key)
{
	const char	*p, *line_end;

	if ((p = seek(text, end, word)) == NULL)
		return NULL;
	p += strlen(word);
	line_end = memchr(p, '\n', (size_t)(end - p));
	if (line_end == NULL || !message_key(p, line_end, key))
		strcpy(key, "?");
	return p;
}

/* One message. */
static void
count(const char *text, const char *end)
{
	const char	*p = text;
	char		 key[KEY_MAX];

	if (seek(text, end, "\nContent-Type: multipart/report") != NULL) {
		while ((p = key_behind(p, end, "\nFinal-Recipient: rfc822;",
		    key)) != NULL)
			printf("%s returned\n", key);
		return;
	}
	if (key_behind(text, end, "Delivered-To: ", key) == NULL)
		strcpy(key, "?");
	printf("%s %s\n", key, message_is_whole(text, (size_t)(end - text)) ?
	    "whole" : "damaged");
}

/* All messages of an mbox. */
static void
count_mbox(const char *text, const char *end)
{
	const char	*start, *next;

	for (start = text; start < end; start = next) {
		next = seek(start, end, "\n\nFrom ");
		next = next == NULL ? end : next + 2;
		count(start, next);
	}
}

/* A file, which may be a message or many. */
static void
count_file(int directory, const char *name, bool is_mbox)
{
	struct stat	 st;
	char		*text;
	int		 fd;

	if ((fd = openat(directory, name, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE,
		    fd, 0);
		if (text != MAP_FAILED) {
			(is_mbox ? count_mbox : count)(text,
			    text + st.st_size);
			munmap(text, (size_t)st.st_size);
		}
	}
	close(fd);
}

int
main(int argc, char **argv)
{
	struct dirent	*e;
	DIR		*d;

	while (--argc > 0) {
		if ((d = opendir(*++argv)) == NULL) {
			count_file(AT_FDCWD, *argv, true);
			continue;
		}
		while ((e = readdir(d)) != NULL)
			if (e->d_name[0] != '.')
				count_file(dirfd(d), e->d_name, false);
		closedir(d);
	}
	return 0;
}
