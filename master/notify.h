#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

/*
 * Telling systemd (Type=notify-reload, sd_notify(3)) how we are; nothing
 * happens without NOTIFY_SOCKET.
 */
void	 notify(const char *state);
void	 notify_reloading(void);

#endif
