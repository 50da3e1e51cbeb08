#ifndef DAEMON_PEERS_H
#define DAEMON_PEERS_H

#include "common/net/inetaddr.h"
#include "common/param/param.h"

/* debug_peer_list and debug_peer_level. */
extern const struct param	peers_params[];

/* Read the list, and what files it names; before the chroot. */
void		 peers_prepare(struct maincf *);

/*
 * How much the log tells of a session with this peer: 0 is the usual; from 1
 * on what is said; from 2 on what is decided as well. The address may be NULL
 * for a peer that has none.
 */
int		 peers_detail(const char *name, const struct inetaddr *);

/*
 * An address as info_log_address_format wants it shown; the text stays until
 * the fourth call after this one.
 */
const char	*log_address(const char *address);

#endif
