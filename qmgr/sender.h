#ifndef QMGR_SENDER_H
#define QMGR_SENDER_H

#include <stdint.h>

#include "common/ipc/packets.h"

/* Who sent this: a number for struct share. Two senders may have the same one,
 * and then they share their turns. */
uint32_t	 sender_who(const struct mail *);

#endif
