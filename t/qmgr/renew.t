# renew.t - postsuper -r while pickup does not answer: the message stays in the
# administrator's hands, and is queued once.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for);
use Test::More;

my $mail = Postrider->new(clock => 1, settings => {
	relayhost => '[127.0.0.1]:1', minimal_backoff_time => '600s' });

$mail->start;
my ($pickup) = $mail->children('pickup');
my @ids;
for (1 .. 2) {
	my $reply = $mail->send(from => 'al@one.test', to => ['x@far.test']);
	push @ids, $reply =~ /queued as (\w+)/;
}
wait_for(sub { $mail->queue_count('deferred') == 2 }, 20, 'deferrals');

kill 'STOP', $pickup;
my ($status, $text) = $mail->postrider('queue', 'requeue', @ids);
is($status, 0, 'both are to be requeued') or diag $text;
# Time passes in small steps until this is in the log: nobody but qmgr knows
# since when it has been asking.
sub let_time_pass
{
	my ($re) = @_;

	wait_for(sub {
		return 1 if $mail->log =~ $re;
		$mail->advance(3);
		return 0;
	}, 60, "the log to match $re\n" . $mail->log);
}

let_time_pass(qr/$_: cannot be requeued now: pickup: /) for @ids;
($status, $text) = $mail->postrider('queue', 'delete', $ids[0]);
is($status, 0, 'one that cannot be brought can be deleted') or diag $text;

kill 'CONT', $pickup;
wait_for(sub { $mail->log =~ /orig_id=$ids[1]$/m }, 20,
    'the end of the first try');
let_time_pass(qr/$ids[1]: requeued as \w+/);
my ($new) = $mail->log =~ /orig_id=$ids[1]$/m ?
    $mail->log =~ /pickup\[\d+\]: (\w+): uid=.*orig_id=$ids[1]$/m : '';
$mail->wait_log(qr/$ids[1]: requeued as $new$/m);
is($mail->said(qr/orig_id=$ids[1]$/m), 1, 'the other is queued once');
is_deeply([grep { !/cannot be requeued now/ } $mail->complaints], [],
    'no complaints');
done_testing;
