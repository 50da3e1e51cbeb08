#ifndef QMGR_SCAN_H
#define QMGR_SCAN_H

#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"

/*
 * How messages get into memory: by cleanup's packet, or because their time has
 * come, or because a look through the directories found them.
 */
/* PACKET_NEW_MAIL. */
void	 on_new_mail(struct request *);

/* Start to look through the directories and to open what is due. */
void	 scan_start(void);
/* There may be room for more messages, or something due earlier. */
void	 feed_wake(void);
/* Look through the directories now. */
void	 scan_now(void);

#endif
