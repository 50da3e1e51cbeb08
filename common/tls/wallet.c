/*
 * wallet.c - all certificates and private keys of an instance.
 *
 * Loaded at once, as root, before the process that has them lets go of every
 * file. Each problem is told once, whatever number of services it concerns.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/tls/wallet_inside.h"

/* Was this said, or read, already? If not, remember it. */
static bool
is_new(struct pool *pool, const char ***list, size_t *count, size_t *room,
    const char *text)
{
	size_t	i;

	for (i = 0; i < *count; i++)
		if (strcmp((*list)[i], text) == 0)
			return false;
	*list = pool_grow(pool, *list, room, *count + 1, sizeof(**list));
	(*list)[(*count)++] = pool_strdup(pool, text);
	return true;
}

/* Say what is wrong. */
void
wallet_tell(struct wallet_loading *l, bool is_fatal, const char *format, ...)
{
	struct str	text;
	va_list		ap;

	str_init(&text, l->wallet->pool, 0);
	va_start(ap, format);
	str_addv(&text, format, ap);
	va_end(ap);
	if (!is_new(l->wallet->pool, &l->told, &l->told_count, &l->told_room,
	    text.data))
		return;
	l->tell(l->context, pool_printf(l->wallet->pool, "%s: %s", l->about,
	    text.data), is_fatal);
}

/* A file was read. */
void
wallet_read(struct wallet_loading *l, const char *path)
{
	(void)is_new(l->wallet->pool, &l->wallet->files,
	    &l->wallet->file_count, &l->file_room, path);
}

/* One more row. */
struct wallet_row *
wallet_row_new(struct wallet_loading *l, const struct wallet_names *n,
    const char *name)
{
	struct wallet		*w = l->wallet;
	struct wallet_row	*row;

	w->rows = pool_grow(w->pool, w->rows, &l->row_room, w->count + 1,
	    sizeof(*row));
	row = &w->rows[w->count++];
	*row = (struct wallet_row){ .service = n->service, .role = n->role,
	    .program = n->program, .name = pool_strdup(w->pool, name) };
	return row;
}

/* "main.cf:7: smtpd_tls_cert_file": where the files of this are named. */
static void
be_about(struct wallet_loading *l, const struct wallet_names *n,
    const char *parameter)
{
	struct pool	*pool = l->wallet->pool;

	l->about = pool_printf(pool, "%s: %s", maincf_where(pool,
	    maincf_find(n->mc, parameter)), parameter);
}

/* The certificates without SNI. */
static void
load_default(struct wallet_loading *l, const struct wallet_names *n)
{
	struct pool		*pool = l->wallet->pool;
	struct wallet_row	*row = wallet_row_new(l, n, "");
	size_t			 i;

	if (*n->chain_files != '\0') {
		be_about(l, n, wallet_parameter(pool, n, 0, "chain_files"));
		wallet_add_files(l, row, n->chain_files);
	}
	for (i = 0; i < WALLET_KINDS; i++) {
		if (*n->cert[i] == '\0')
			continue;
		be_about(l, n, wallet_parameter(pool, n, i, "cert_file"));
		if (*n->chain_files != '\0')
			wallet_tell(l, false, "ignored, because "
			    "%s_tls_chain_files is set", n->program);
		else
			wallet_add_pair(l, row, n->cert[i], n->key[i]);
	}
	/* Nothing is what main.cf's services have without a row. */
	if (row->count == 0 && *n->service == '\0')
		l->wallet->count--;
}

/* Load everything. */
struct wallet *
wallet_load(struct maincf *mc, const struct mastercf *file,
    void (*tell)(void *, const char *, bool), void *context)
{
	struct pool		*pool = pool_new("wallet", 0);
	struct wallet_loading	 l = { .tell = tell, .context = context };
	struct wallet_names	*names;
	size_t			 i, count;

	l.wallet = pool_alloc(pool, sizeof(*l.wallet));
	l.wallet->pool = pool;
	names = wallet_names(pool, mc, file, &count);
	for (i = 0; i < count; i++) {
		load_default(&l, &names[i]);
		if (*names[i].sni == '\0')
			continue;
		be_about(&l, &names[i], "tls_server_sni_maps");
		wallet_add_sni(&l, &names[i]);
	}
	return l.wallet;
}

/* Keys are wiped by OpenSSL. */
void
wallet_free(struct wallet *w)
{
	if (w != NULL)
		pool_free(w->pool);
}
