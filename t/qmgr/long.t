# long.t - people look at a long queue and change it, and mail flows on: how
# long the commands take, how much memory they and qmgr need, and how long a
# new message waits meanwhile at most.
#
#	POSTRIDER_LONG=50000 prove ... t/qmgr/long.t

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Postrider qw(bin is_root slurp spew wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

my $count = $ENV{POSTRIDER_LONG} || 3000;
my $fill = ($ENV{BUILD} // 'build') . '/t/lib/fill';
my $mail = Postrider->new(settings => { smtpd_peername_lookup => 'no' });
my $sink = $mail->sink;

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
$mail->stop;
my $began = time;
is(system($fill, $mail->spool, 'deferred', $count, 100), 0, 'filled');
diag(sprintf 'filled with %d messages in %.1f s', $count, time - $began);
$mail->start;
$mail->wait_log(qr/$count messages were in the queue/, 60);

# Resident memory in KiB, now or at most.
sub memory
{
	my ($pid, $what) = @_;

	return slurp("/proc/$pid/status") =~ /^$what:\s+(\d+)/m ? $1 : 0;
}
my ($qmgr) = $mail->children('qmgr');

# Messages, one after the other, while the work goes on: the longest time from
# the client's dot to the next hop's answer, in seconds.
sub flow
{
	my ($name, $work) = @_;
	my $from = length $mail->log;
	my $stop = "$mail->{dir}/stop-flow";

	unlink $stop;
	my $pid = fork // die;
	if ($pid == 0) {
		for (my $n = 0; !-e $stop; $n++) {
			$mail->send(from => 'al@flow.test',
			    to => ["flow$n\@flow.test"]);
			sleep 0.02;
		}
		POSIX::_exit(0);
	}
	sleep 0.3;
	my $start = time;
	my @result = $work->();
	my $took = time - $start;
	spew($stop, '');
	waitpid $pid, 0;
	wait_for(sub { $mail->queue_count('incoming') == 0 }, 20, 'the flow');
	my ($most, $n) = (0, 0);
	for (substr($mail->log, $from) =~ /to=<flow.*delay=([\d.]+),.*sent/g) {
		$most = $_ if $_ > $most;
		$n++;
	}
	diag(sprintf '%-34s %6.2f s; of %d messages meanwhile the slowest ' .
	    'took %.2f s; qmgr %d KiB', $name, $took, $n, $most,
	    memory($qmgr, 'VmRSS'));
	cmp_ok($n, '>', 0, "$name: mail flowed");
	cmp_ok($most, '<', 1, "$name: no message waited a second");
	return @result;
}

# A command; its exit status, text, greatest memory in KiB.
sub queue
{
	my (@words) = @_;
	my ($status, $text) = $mail->postrider('queue', @words);

	$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
	return ($status, $text);
}

my $before = memory($qmgr, 'VmRSS');
flow('nothing', sub { sleep 1 });
my ($status, $text) = flow('list', sub { queue('list') });
my $listed = () = $text =~ /^\w{10,}[*]? +\d+ /mg;
cmp_ok($listed, '>=', $count, 'all are listed');
($status, $text) = flow('list --summary', sub { queue('list', '--summary') });
like($text, qr/ TOTAL +\d+/);
if (is_root()) {
	($status, $text) = flow('list, by a user, through qmgr', sub {
		$mail->run('', 'runuser', '-u', $mail->user, '--',
		    bin() . '/postrider', '-c', $mail->etc, 'queue', 'list',
		    '-j') });
	is($status, 0);
	$listed = () = $text =~ /"queue_id"/g;
	cmp_ok($listed, '>=', $count, 'all are listed');
}
($status, $text) = flow('hold --domain d1.test', sub {
	queue('hold', '--domain', 'd1.test') });
like($text, qr{Placed on hold: @{[int($count / 100)]} messages});
($status, $text) = flow('delete --sender sender3@*', sub {
	queue('delete', '--sender', 'sender3@*') });
like($text, qr{Deleted: @{[int($count / 10)]} messages});
($status, $text) = flow('expire --later ALL', sub {
	queue('expire', '--later', 'ALL') });
like($text, qr/xpired: \d+ messages/);
($status, $text) = flow('delete ALL deferred, hold', sub {
	queue('delete', 'ALL', 'deferred', 'hold') });
like($text, qr/Deleted: \d+ messages/);
is($mail->queue_count('deferred', 'hold'), 0, 'nothing is left');
my $after = memory($qmgr, 'VmHWM');
diag("qmgr: $before KiB before, $after KiB at most");
SKIP: {
	skip 'a sanitizer needs memory of its own', 1
	    if slurp(bin() . '/qmgr') =~ /__asan_init/;
	cmp_ok($after - $before, '<', 20_000 + $count * 0.15,
	    'a list costs qmgr little memory');
}
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
