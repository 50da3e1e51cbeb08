[Postrider]
title=Mail server (SMTP)
description=Postrider, a mail transport agent
ports=25/tcp

[Postrider submission]
title=Mail server (submission)
description=Postrider, a mail transport agent
ports=465,587/tcp
