#!/usr/bin/perl
# refuse.t - the transports that return, postpone and swallow mail.

use strict;
use warnings;
use lib 't/lib';

use Postrider;
use Test::More;

my $mail = Postrider->new(
    files => { transport => <<'END' },
closed.test	error:5.1.6 this domain has moved
wrong.test	error:4.2.1 nobody reads the code's class
plain.test	error:no code in front
later.test	retry:4.4.9 come back tomorrow
gone.test	discard:2.7.0 silently
END
    settings => { relay_domains => 'closed.test wrong.test plain.test ' .
    'later.test gone.test', minimal_backoff_time => '300s' });
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport');
$mail->start;

# The log's end of a line for this recipient, after "dsn=".
sub outcome
{
	my ($to) = @_;

	# smtpd would refuse what is known to fail
	$mail->sendmail("Subject: x\n\ny\n", '-f', '', $to);
	$mail->wait_log(qr/ to=<\Q$to\E>, .*dsn=.*\n/) =~ /relay=(\S+), .*dsn=(.*)\n/;
	return "$1 $2";
}

is(outcome('a@closed.test'),
    'none 5.1.6, status=bounced (this domain has moved)', 'error');
is(outcome('a@wrong.test'),
    "none 5.2.1, status=bounced (nobody reads the code's class)",
    'error returns, whatever the code says');
is(outcome('a@plain.test'), 'none 5.0.0, status=bounced (no code in front)',
    'error without a code');
is(outcome('a@later.test'), 'none 4.4.9, status=deferred (come back tomorrow)',
    'retry');
is(outcome('a@gone.test'), 'none 2.7.0, status=sent (silently)', 'discard');
is_deeply([$mail->complaints], [], 'no complaints');

done_testing();
