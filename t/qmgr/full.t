# full.t - a full disk: what is known of an attempt is lost, the attempts are
# not.
use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for);
use Postrider::Mounts;
use Test::More;

plan(skip_all => 'a private mount namespace cannot be had here')
    unless Postrider::Mounts::alone();

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	message_size_limit => 100000, minimal_backoff_time => '1s',
	maximal_backoff_time => '1s', queue_run_delay => '1s' });
END {
	if ($mail) {
		local $?;
		$mail->stop;
		Postrider::Mounts::leave();
	}
}
Postrider::Mounts::tmpfs($mail->spool, 'size=4m,mode=755');

# A long reply, unlike the one before: it is news each time.
my ($tries, $is_up) = (0, "$mail->{dir}/up");
my $sink = $mail->sink(replies => sub {
	my ($verb) = @_;

	return undef if $verb ne 'RCPT' || -e $is_up;
	return sprintf '450 4.2.0 not now, %d %s', ++$tries, 'x' x 400;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

my ($id) = $mail->send(from => 's@far.test',
    to => [map { "r$_\@relay.test" } 1 .. 9]) =~ /queued as (\w+)/;
$mail->wait_log(qr/$id: to=<r9\@relay\.test>.*status=deferred/);

open my $filler, '>', $mail->spool . '/filler' or die;
for my $size (65536, 4096, 1) {
	1 while syswrite $filler, 'x' x $size;
}
ok($!{ENOSPC}, 'the disk is full');
my $before = $mail->said(qr/$id: to=.*status=deferred/);
$mail->wait_log(qr/$id: no room for what happened to it: No space/, 15);
wait_for(sub { $mail->said(qr/$id: to=.*status=deferred/) > $before + 30 },
    20, 'more attempts');
pass('attempts go on');
unlike($mail->log, qr/cannot be written down/, 'and none stands still');

Postrider::spew($is_up, '');
$mail->wait_log(qr/$id: removed/, 15);
is(scalar(map { @{ $_->{rcpt} } } $sink->messages), 9,
    'each gets it once, on the full disk');
close $filler;
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
