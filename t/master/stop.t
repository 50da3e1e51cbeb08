# stop.t - the system ends at once, whatever has just been handed out.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port);

# Agents start when they are called. What qmgr hands to one that the end has
# kept from starting would have no answer; qmgr must not wait for it.
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . free_port(),
	minimal_backoff_time => '1000s' });
my ($longest, @trouble) = (0);
for my $n (1 .. 12) {
	$mail->start;
	$mail->sendmail("Subject: $n\n\nx\n", 'bob@far.test');
	sleep 0.0005 * $n;
	my $begun = time;
	my $status = $mail->stop;
	my $took = time - $begun;
	$longest = $took if $took > $longest;
	push @trouble, "round $n ended with $status after $took s"
	    if $status != 0 || $took > 10;
}
is("@trouble", '', 'no daemon has to be killed');
note(sprintf 'the longest end took %.1f s', $longest);
unlike($mail->log, qr/does not end/, 'and none was');

# Nothing was lost on the way.
$mail->start;
is($mail->queue_count, 12, 'every message is still there');

# qmgr ends before cleanup, which may have no channel to it yet and finds no
# socket any more: what it has just committed is for the next scan, and cleanup
# does not wait for somebody to tell. A slow machine gets three attempts.
my ($socket, $shortest) = ($mail->spool . '/private/qmgr.1', 60);
$mail->set(defer_transports => 'smtp');
for my $n (13 .. 15) {
	$mail->stop;
	$mail->start;
	rename $socket, "$socket.away" or die "$socket: $!";
	like($mail->send(from => '', to => ['bob@far.test']), qr/^250/,
	    'a message that qmgr does not hear of');
	my $begun = time;
	is($mail->stop, 0, 'the system stops');
	my $took = time - $begun;
	$shortest = $took if $took < $shortest;
}
cmp_ok($shortest, '<', 4, 'at once');
$mail->start;
$mail->settle;
is($mail->queue_count, 15, 'the next qmgr has found them');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
