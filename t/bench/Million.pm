package Million;

# A long queue of deferred mail, and what it does to a start, to mailq and to
# other mail: POSTRIDER_MILLION messages for Postrider (1000000) and
# POSTFIX_MILLION for Postfix (100000).
#
# Other mail is relayed before the queue is filled, while it is full, and again
# when it has been removed: a disk that was written to that much may be slower
# for a while, and must not be taken for the queue's doing. CPU time by message
# is beside the rates, since it does not depend on the disk.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Find qw(find);
use File::Path qw(remove_tree);
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time sleep utime);

use Bench qw($build count note run_command slurp);
use Machine;
use Relay;

# A message that Postfix has deferred: its file.
sub _deferred_file
{
	my ($mta) = @_;
	my $template;

	$mta->ensure({ defer_transports => 'smtp' });
	open my $mail, '|-', $mta->sendmail, '-f', 's@bench.test',
	    'r@relay.test' or die "sendmail: $!";
	print $mail "Subject: waits\n\nThis waits.\n";
	close $mail or die 'sendmail';
	Bench::wait_for(sub {
		find(sub { $template = $File::Find::name if -f },
		    $mta->spool . '/deferred');
		$template;
	}, 60, 'a deferred message');
	$mta->ensure({});
	return $template;
}

# So many copies of it. A name tells the inode; its first letter is the
# directory.
sub _fill_postfix
{
	my ($mta, $count) = @_;
	my $queue = $mta->spool . '/deferred';
	my ($owner, $later) = (scalar getpwnam 'prt-postfix', time + 4000);
	my $template = _deferred_file($mta);

	$mta->stop;
	for my $n (1 .. $count) {
		copy($template, "$queue/new") or die "$queue/new: $!";
		my $id = sprintf '%05X%X', $n * 7919 % 1000000,
		    (stat "$queue/new")[1];
		my $below = "$queue/" . substr $id, 0, 1;
		-d $below or mkdir $below, 0700 and
		    chown $owner, -1, $below;
		chown $owner, -1, "$queue/new";
		chmod 0700, "$queue/new";
		utime $later, $later, "$queue/new";
		rename "$queue/new", "$below/$id" or die "$below/$id: $!";
	}
}

sub _fill_postrider
{
	my ($mta, $count) = @_;

	$mta->stop;
	run_command("$build/t/lib/fill", $mta->spool, 'deferred', $count,
	    1000, 4000);
}

# Nothing of the disk is in memory, if that is allowed.
sub _cool
{
	system('sync');
	open my $f, '>', '/proc/sys/vm/drop_caches' or return 'warm';
	return (syswrite($f, "3\n") // 0) > 0 && close($f) ? 'cold' : 'warm';
}

# Three rounds of relayed mail beside what waits: (rate, us of CPU).
sub _relay
{
	my ($mta) = @_;
	my (@rates, @cpu);

	for (1 .. 3) {
		my %value = Relay::timed($mta, count(5000), sub {
			Relay::source($mta->port, count(5000), @Relay::kept);
		}, 'deferred');
		push @rates, $value{rate};
		push @cpu, $value{cpu};
	}
	return (Frame::median(@rates), Frame::median(@cpu));
}

# The seconds from the start to a greeting.
sub _start
{
	my ($mta) = @_;
	my $start = time;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		eval { $mta->start; 1 } or print STDERR $@ and POSIX::_exit(1);
		POSIX::_exit(0);
	}
	for (;;) {
		my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $mta->port, Timeout => 5);
		last if $c && (<$c> // '') =~ /^220/;
		die $mta->name . " does not greet\n" if time - $start > 300;
		sleep 0.02;
	}
	my $took = time - $start;
	waitpid $pid, 0;
	die $mta->name . " does not start\n" if $?;
	$mta->{runs} = 1;		# it was a child that started it
	return $took;
}

# The queue manager's resident memory in MB and its CPU seconds.
sub _qmgr
{
	my ($mta) = @_;

	for my $pid ($mta->pids) {
		next unless System::name_of($pid) eq 'qmgr';
		my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
		my @f = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //r;
		return ($kb / 1000, ($f[11] + $f[12]) /
		    POSIX::sysconf(POSIX::_SC_CLK_TCK()));
	}
	return (0, 0);
}

# mailq: the seconds to its first line and to its last.
sub _list
{
	my ($mta) = @_;
	my ($start, $first) = (time);

	open my $p, '-|', $mta->mailq or die "mailq: $!";
	while (<$p>) {
		$first //= time - $start;
	}
	close $p;
	return ($first // -1, time - $start);
}

# Wait until the queue manager has looked at everything: Postrider's says so in
# its log; Postfix's has done it when its CPU rests.
sub _wait_index
{
	my ($mta, $count) = @_;
	my ($start, $quiet, $before) = (time, 0, -1);

	if ($mta->name eq 'postrider') {
		Bench::wait_for(sub { slurp("$mta->{home}/log") =~
		    / $count messages were in the queue/ }, 600, 'the index');
		return time - $start;
	}
	while ($quiet < 4 && time - $start < 600) {
		my (undef, $cpu) = _qmgr($mta);
		$quiet = $cpu - $before < 0.03 ? $quiet + 1 : 0;
		$before = $cpu;
		sleep 0.5;
	}
	return time - $start - 2;
}

# Remove what waits, and wait for the disk.
sub _empty
{
	my ($mta) = @_;
	my $start = time;

	$mta->stop;
	my $took = time - $start;
	for my $queue (qw(deferred defer)) {
		remove_tree($mta->spool . "/$queue", { keep_root => 1 });
	}
	$mta->start;
	Machine::settle(300);
	return $took;
}

sub _work
{
	my ($mta) = @_;
	my $is_ours = $mta->name eq 'postrider';
	my $count = $is_ours ? $ENV{POSTRIDER_MILLION} || 1_000_000 :
	    $ENV{POSTFIX_MILLION} || 100_000;

	my ($before, $before_cpu) = _relay($mta);
	my $start = time;
	$is_ours ? _fill_postrider($mta, $count) : _fill_postfix($mta, $count);
	my $filled = time - $start;
	my $how = _cool();
	my $greeted = _start($mta);
	my $indexed = _wait_index($mta, $count);
	my ($mb, $cpu) = _qmgr($mta);
	Machine::settle(300);
	my ($full, $full_cpu) = _relay($mta);
	my ($first, $all) = _list($mta);
	my $stopped = _empty($mta);
	my ($after, $after_cpu) = _relay($mta);
	my $name = $mta->name;
	note(sprintf '%s, %d deferred (filled in %.0f s): %s start, 220 ' .
	    'after %.2f s, quiet %.0f s later; qmgr %.0f MB, %.1f s of CPU; ' .
	    'mailq: first line %.2f s, all %.1f s; stop %.1f s', $name,
	    $count, $filled, $how, $greeted, $indexed, $mb, $cpu, $first,
	    $all, $stopped);
	note(sprintf '%s relays %.0f a second before (%.0f us of CPU each), ' .
	    '%.0f beside them (%.0f us), %.0f after (%.0f us)', $name,
	    $before, $before_cpu, $full, $full_cpu, $after, $after_cpu);
	return (rate => $full, share => 200 * $full / ($before + $after),
	    cpu => $full_cpu / ($before_cpu + $after_cpu) * 2);
}

sub scenarios
{
	return ({ id => 'million', about => 'relay beside a long queue',
	    work => \&_work, figures => [['rate', 'msg/s', 'more'],
	    ['share', '% of empty', 'more'],
	    ['cpu', 'CPU, times empty', 'less']] });
}

1;
