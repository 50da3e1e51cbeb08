# unfiled_full.t - a full disk gives no files to messages that stand in a
# write-ahead log only: who looks at the queue is answered with what is there,
# at once, and when there is room again all of them are.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(bin need_root spew wait_for);
use Postrider::Mounts;
use Test::More;
use Time::HiRes qw(time);

need_root();
plan(skip_all => 'a private mount namespace cannot be had here')
    unless Postrider::Mounts::alone();

my $mail = Postrider->new(settings => {
	cleanup_processes => 1, cleanup_wal_rate => 0,
	cleanup_wal_size => '256K', relay_domains => 'far.test',
	smtpd_peername_lookup => 'no', in_flow_delay => '0s',
	message_size_limit => 100000, minimal_backoff_time => '1000s' });
END {
	if ($mail) {
		local $?;
		$mail->stop(now => 1);
		Postrider::Mounts::leave();
	}
}
Postrider::Mounts::tmpfs($mail->spool, 'size=32m,mode=755');
my $is_slow = $mail->dir . '/slow';
my $sink = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' && -e $is_slow ? '450 4.2.1 later' : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
my $incoming = $mail->spool . '/incoming';

sub post
{
	my ($to) = @_;

	return $mail->send(from => 's@one.test', to => ["$to\@far.test"]) =~
	    /queued as (\w+)/ ? $1 : die;
}

sub queue { return $mail->run('', bin() . '/postrider-queue', '-c',
    $mail->etc, 'list') }

# What the queue command says, and the seconds that it took.
sub list
{
	my $began = time;
	my ($status, $text) = queue();

	is($status, 0, 'there is a list');
	return ($text, time - $began);
}

# Messages that stay in the log, and a disk that fills meanwhile.
my $warm = 0;
wait_for(sub {
	my $id = post('warm' . $warm++);
	$mail->wait_log(qr/$id: removed/);
	return grep { Postrider::records_of($_) } glob "$incoming/wal.*";
}, 20, 'a log');
kill 'STOP', $mail->children('smtp');
my @ids = map { post("stays$_") } 1 .. 12;
open my $filler, '>', $mail->spool . '/filler' or die;
for my $size (65536, 4096, 1) {
	1 while syswrite $filler, 'x' x $size;
}
ok($!{ENOSPC}, 'the disk is full');
is(scalar(grep { -e "$incoming/$_" } @ids), 0, 'they have no files');

# The patience with who makes files is ten seconds.
my ($text, $seconds) = list();
cmp_ok($seconds, '<', 8, 'an answer while nobody can make a file');
$mail->wait_log(qr/$ids[-1]: cannot get a file: No space/, 20);
($text, $seconds) = list();
cmp_ok($seconds, '<', 8, 'and when it was tried before');

spew($is_slow, '');
kill 'CONT', $mail->children('smtp');
$mail->wait_log(qr/$_: to=.*status=deferred/, 20) for @ids;
($text, $seconds) = list();
cmp_ok($seconds, '<', 8, 'and when what happened cannot be written down');

close $filler;
unlink $mail->spool . '/filler' or die;
wait_for(sub {
	my (undef, $now) = queue();
	return @ids == grep { $now =~ /$_/ } @ids;
}, 8, 'all of them, with room');
pass('with room all are shown');
is(join('', grep { !/cannot get a file|no room/i } $mail->complaints), '',
    'nothing crashed');
done_testing;
