#ifndef SMTP_RECORDS_H
#define SMTP_RECORDS_H

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

/*
 * Drop the records that smtp_dns_reply_filter does not want: MX or SRV of
 * the name that was asked for with these flags, addresses of the hosts.
 */
enum records_result { RECORDS_LEFT, RECORDS_NONE, RECORDS_UNKNOWN };
WAITS enum records_result records_filter(struct pool *, const char *name,
		    int64_t flags, struct hosts *);

#endif
