#ifndef SMTPD_DATA_H
#define SMTPD_DATA_H

/* Read the parameters of DATA; die()s on bad ones. */
void	 data_prepare(void);

#endif
