# probes.t - the system is stopped while more questions (sendmail -bv) wait for
# their reports than reports are made at a time: each is answered afterwards.
use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for);
use Test::More;

use constant PROBES => 25;		# storm.c lets 20 be made at a time

my $mail = Postrider->new(settings => { ipc_timeout => '2s',
	minimal_backoff_time => '2s', maximal_backoff_time => '2s',
	queue_run_delay => '2s', smtpd_peername_lookup => 'no' });
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# Ask about these.
sub ask
{
	my ($first, $last) = @_;

	for ($first .. $last) {
		my ($status, $text) = $mail->sendmail("Subject: x\n\nx\n",
		    '-bv', '-f', 'al@back.test', "who$_\@far.test");

		is($status, 0, 'sendmail -bv') or diag $text;
	}
}

ask(0, 0);
$mail->wait_log(qr/sender delivery status notification/, 20);
my ($bounce) = $mail->children('bounce');
kill 'STOP', $bounce;
ask(1, PROBES);
wait_for(sub { $mail->said(qr/to=<who\d+\@.*status=deliverable/) >
    PROBES }, 20, 'the answers');
is($mail->stop, 0, 'the system is stopped');
$mail->start;
wait_for(sub { $mail->queue_count == 0 }, 40, 'an empty queue');
my %told;
for my $m ($sink->messages) {
	$told{$1}++ while $m->{data} =~ /^Final-Recipient: rfc822; (\S+)\@/mg;
}
is_deeply([grep { !$told{"who$_"} } 0 .. PROBES], [],
    'each question has its answer');
is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nothing crashed');
done_testing;
