#ifndef LOCAL_EXPAND_H
#define LOCAL_EXPAND_H

#include "common/mail/address.h"

#include "local/homes.h"
#include "local/local.h"
#include "local/seen.h"

enum { NESTED_MAX = 20 };

/* A command or file that an alias or .forward names. */
struct errand {
	enum list_kind	 kind;
	char		*value;
	const char	*context;
	struct become	 as;
};

/*
 * The right-hand side of an alias or a .forward, sorted: whom the message is
 * posted to anew, whose mailbox it goes to at once, and what else is done.
 */
struct expansion {
	struct addressee	*to;
	const char		*source;	/* "alias root", a file */
	const char		*context;	/* "alias" "forward" "include" */
	struct become		 as;		/* with whose rights */
	int			 depth;		/* of included lists */
	char			*sender;
	bool			 is_forward;	/* of a user, who is in it */
	bool			 is_list;	/* has an owner of its own */
	bool			 is_single;	/* names one address alone */
	bool			 has_self;	/* the alias or user itself */
	size_t			 items;
	const char		*extension;	/* that all get, or NULL */
	const char		*chain[NESTED_MAX];	/* of aliases */
	size_t			 chain_count;
	struct seen		*expanded;	/* aliases, to their lists */
	unsigned		 lookups;	/* for such aliases */
	struct seen		*seen;		/* of the rows */
	struct recipient_row	*rows;		/* to be posted */
	size_t			 count, room;
	char			**direct;	/* \user */
	size_t			 direct_count, direct_room;
	struct errand		*errands;
	size_t			 errand_count, errand_room;
};

/* expand.c: sort the text. 0, or -1: settled. */
WAITS int	 expand_text(struct expansion *, const char *text);
/* Sort one address in. 0, or -1: settled. */
WAITS int	 expand_address(struct expansion *, char *address);
/* Does propagate_unmatched_extensions name this kind of table? */
bool		 expand_propagates(const char *kind);
/* Deliver to all of it, mailboxes first; settled. */
WAITS void	 expand_deliver(struct expansion *, const char *self,
		    bool asks_forward);
/* The wishes of the recipient for one of so many whom he stands for. */
int64_t		 expand_notify(const struct addressee *, size_t items);
char		*expand_orcpt(const struct addressee *);
char		*expand_as_orcpt(struct pool *, const char *address);

/* nested.c: sort in what an address stands for, if it is an alias that can be
 * taken for a list of addresses. 1, 0 if it is not, or -1: settled. */
WAITS int	 nested_add(struct expansion *, char *address);

/* alias.c: ask for the keys: 1 with the answer, 0, or -1: settled. */
WAITS int	 alias_find(struct addressee *, struct key_row *, size_t count,
		    struct found *);
/* Has the alias an owner who would be the sender? 1, 0, or -1: settled. */
WAITS int	 alias_has_owner(struct expansion *, const char *alias);

/* include.c: add what the file says, read with the rights of e->as. 0, or -1:
 * settled. */
WAITS int	 include_add(struct expansion *, char *path);
/* A file's list, its lines joined: 1, or 0 when there is none (READ_IS_FORWARD)
 * or -1: settled. */
WAITS int	 include_read(struct addressee *, struct home *, int64_t kind,
		    char *path, char **list, int64_t *owner);

/* errand.c: do one; settled. */
WAITS void	 errand_do(struct addressee *, const struct errand *);

/* repost.c: the message for the rows, into cleanup as a new one; settled. */
WAITS int	 repost(struct expansion *);

#endif
