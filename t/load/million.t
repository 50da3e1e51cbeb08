# million.t - a very long queue: it starts at once, is known soon, costs little
# memory, is listed from the first second on, and delays no new mail, neither
# while it waits nor when all of it is due at the same moment.
#
#	POSTRIDER_LONG=1000000 prove -v ... t/load/million.t
#
# A long one has a file system of its own, which is mounted afresh before the
# start, so that nothing of it is in the kernel's memory. POSTRIDER_IMAGE=FILE
# keeps it for the next time. A table of the figures stands at the end.

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Postrider qw(bin is_alive is_root slurp spew wait_for);
use Postrider::Disk;
use Postrider::Mounts;
use Test::More;
use Time::HiRes qw(sleep time);

my $is_alone = Postrider::Mounts::alone();
my $count = $ENV{POSTRIDER_LONG} || 20_000;
$count = 1_000_000 if $count == 1;
my $image = $ENV{POSTRIDER_IMAGE};
my $fill = ($ENV{BUILD} // 'build') . '/t/lib/fill';
my $is_long = $count > 50_000;
my $is_slow = Postrider::is_sanitized();
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', notify_classes => '',
	minimal_backoff_time => '4000s', maximal_backoff_time => '4000s' });
my $disk;
my $owner = $$;
END {
	if ($disk && $$ == $owner) {
		local $?;
		$mail->stop;
		eval { Postrider::Disk::detach($mail->spool) };
		unlink $disk unless $image;
	}
}

# --- the queue ----------------------------------------------------------------

# Mount it.
sub mount_disk
{
	$disk = $image // $mail->dir . '/disk';
	my $is_new = !-s $disk;

	if ($is_new) {
		open my $f, '>', $disk or die "$disk: $!";
		truncate $f, 9 * 2 ** 30 or die "$disk: $!";
		close $f;
		system('mkfs.ext4', '-q', '-F', '-m', 0, '-N', $count + 300_000,
		    $disk) == 0 or die 'mkfs.ext4';
	}
	Postrider::Disk::attach($disk, $mail->spool, 'noatime');
}

# The rest of so many, due in so many seconds.
sub fill
{
	my ($wait) = @_;
	my $start = time;

	is(system($fill, $mail->spool, 'deferred', $count -
	    $mail->queue_count('deferred'), 1000, $wait), 0,
	    "$count messages are in the queue");
	note(sprintf 'filled in %.1f s', time - $start);
}

# Nothing of the disk is in memory any more, neither as files nor as parts of
# the image.
sub cool
{
	return if !$disk;
	Postrider::Disk::detach($mail->spool);
	is(system('dd', "of=$disk", 'oflag=nocache', 'conv=notrunc,fdatasync',
	    'count=0', 'status=none'), 0, 'the disk is cold');
	Postrider::Disk::attach($disk, $mail->spool, 'noatime');
}

mount_disk() if $is_long && $is_alone;
my $sink = $mail->sink;
my $fresh = $mail->sink;
my $table = $mail->etc . '/transport';
spew($table, "fresh.test\tsmtp:[127.0.0.1]:" . $fresh->port . "\n");
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port,
    transport_maps => "texthash:$table");
$mail->start;
$mail->stop;
fill(4000);
cool();

# --- measuring ----------------------------------------------------------------

# What was measured, and what was asked for.
my @figures;
sub figure
{
	my ($what, $figure, $bound) = @_;

	push @figures, [$what, $figure, $bound // ''];
	diag("$what: $figure");
}

# New messages, one after the other, each until the next hop has it; returns
# how to end that and to get the seconds that each took.
sub flow
{
	my $stop = $mail->dir . '/stop-flow';
	my $told = $mail->dir . '/flow';

	unlink $stop, $told;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open my $f, '>', $told or die "$told: $!";
		for (my $n = 0; !-e $stop; $n++) {
			printf $f "%.4f\n", one_message("f$$.$n");
			$f->flush;
			sleep 0.02;
		}
		POSIX::_exit(0);
	}
	return sub {
		wait_for(sub { -s $told }, 60, 'one of the flow');
		spew($stop, '');
		waitpid $pid, 0;
		my @took = sort { $a <=> $b } split /\n/, slurp($told);
		return @took;
	};
}

# One of them: it leaves incoming/ when it has been delivered. (If it went to
# deferred/ the sink would have it later, which is counted at the end.)
sub one_message
{
	my ($who) = @_;
	my $start = time;
	my ($id) = $mail->send(from => 'al@flow.test',
	    to => ["$who\@fresh.test"]) =~ /queued as (\w+)/;

	wait_for(sub { !-e $mail->spool . "/incoming/$id" }, 60,
	    "the end of $id");
	return time - $start;
}

# What the times of a flow were; nine of ten and more are below the bound.
sub check_flow
{
	my ($what, $bound, @took) = @_;
	my $p95 = $took[@took * 0.95];

	figure("fresh mail $what", sprintf('%d messages: median %.0f ms, p95 ' .
	    '%.0f, greatest %.0f; qmgr %.0f MB', scalar @took,
	    1000 * $took[@took / 2], 1000 * $p95, 1000 * $took[-1],
	    memory() / 1000), "p95 < $bound s");
	cmp_ok($p95, '<', $bound, "$what: fresh mail is not delayed");
}

# Of qmgr, in KB.
sub memory
{
	my ($qmgr) = $mail->children('qmgr');

	return slurp("/proc/$qmgr/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}

# By qmgr, whether from the disk or from memory.
sub bytes_read
{
	my ($qmgr) = $mail->children('qmgr');

	return slurp("/proc/$qmgr/io") =~ /^rchar:\s+(\d+)/m ? $1 : 0;
}

# A command; the seconds until its first line and to its end, and its lines.
sub watch_command
{
	my (@command) = @_;
	my $start = time;
	my ($first, $lines) = (undef, 0);

	open my $p, '-|', @command or die "@command: $!";
	while (<$p>) {
		$first //= time - $start;
		$lines++;
	}
	close $p;
	return ($first // 999, time - $start, $lines);
}

# The same while mail flows; the first line comes within a second.
sub watch_listing
{
	my ($what, @command) = @_;
	my $end = flow();
	sleep 0.2;
	my ($first, $all, $lines) = watch_command(@command);

	figure($what, sprintf('first line after %.2f s, %d lines in %.1f s',
	    $first, $lines, $all), 'first < 1 s');
	cmp_ok($first, '<', 1, "$what: the first line comes within a second");
	cmp_ok($lines, '>=', $count, "$what: all of it comes")
	    if $what !~ /summary|select/;
	check_flow("during $what", 1, $end->());
}

# The seconds from now until a connection is greeted.
sub greeting
{
	my $start = time;

	wait_for(sub {
		my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $mail->port) or return 0;
		return (<$c> // '') =~ /^220/;
	}, 30, 'a greeting');
	return time - $start;
}

# Start; the seconds to the greeting.
sub start
{
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		spew($mail->dir . '/greeted', greeting());
		POSIX::_exit(0);
	}
	$mail->start;
	waitpid $pid, 0;
	my $took = slurp($mail->dir . '/greeted');
	figure('220 after the start', sprintf('%.2f s', $took), '< 1 s');
	cmp_ok($took, '<', $is_slow ? 5 : 1, 'a client is greeted within a second of the start');
}

# --- a cold start ---------------------------------------------------------------

my $began = time;
start();
my $end = flow();
my $first = one_message('first');
figure('the first message after the start', sprintf('%.2f s', time - $began),
    '< 5 s');
cmp_ok(time - $began, '<', 5, 'mail is taken and delivered at once');
$mail->wait_log(qr/ (\d+) messages were in the queue/, 300);
my $known = time - $began;
figure("all $count are known", sprintf('%.1f s; qmgr %.0f MB, %.0f bytes each',
    $known, memory() / 1000, memory() * 1024 / $count), '< 60 s, 600 MB');
cmp_ok($known, '<', 60, 'all are known within a minute');
check_flow('while the index is made', 1, $end->());
cmp_ok(memory(), '<', 20_000 + $count * 0.12, 'in little memory')
    unless $is_slow;

# --- looking at it --------------------------------------------------------------

my @queue = (bin() . '/postrider', '-c', $mail->etc, 'queue');
watch_listing('queue list', @queue, 'list');
watch_listing('queue list -j', @queue, 'list', '-j');
if (is_root()) {
	my @user = ('runuser', '-u', $mail->user, '--');
	watch_listing('a list for a user', @user, @queue, 'list');
	my $before = bytes_read();
	my (undef, $all, $lines) = watch_command(@user, @queue, 'list', '-j',
	    '--limit', 10);
	my $read = bytes_read() - $before;
	figure('the first ten for a user', sprintf('%d lines in %.1f s, %d KB ' .
	    'read', $lines, $all, $read / 1000));
	is($lines, 10, 'who wants ten messages gets ten');
	cmp_ok($read, '<', $count * 100, 'and no more than some are read');
}

for my $select (['--sender', 'sender3@*'], ['--domain', 'd17.test'],
    ['--recipient', 'user5@*'], ['--older', '1h']) {
	my $end = flow();
	my ($first, $all, $lines) = watch_command(@queue, 'list', @$select,
	    '--limit', 50_000);
	figure("list @$select", sprintf('%d lines in %.1f s', $lines, $all));
	check_flow("during list @$select", 1, $end->());
}
$end = flow();
my $start = time;
my ($status, $text) = $mail->postrider('queue', 'delete', '--sender',
    'sender3@*');
figure('delete --sender', sprintf('%.1f s', time - $start));
is($status, 0, 'messages of one sender are deleted');
like($text, qr{Deleted: \d+ messages});
check_flow('during the delete', 1, $end->());

# --- all of it at once ----------------------------------------------------------

# Stop, with all that is going on.
sub stop
{
	my ($what) = @_;
	my $start = time;

	is($mail->stop, 0, "$what: it stops");
	figure("stop, $what", sprintf('%.2f s', time - $start), '< 5 s');
	cmp_ok(time - $start, '<', 5, "$what: within five seconds");
}

# What waits is thrown away by a real agent from now on, as fast as it goes.
stop('a queue that waits');
spew($table, slurp($table) . "*\tdiscard:\n");
start();
wait_for(sub { $mail->said(qr/ \d+ messages were in the queue/) > 1 }, 300,
    'the index');
$end = flow();
$start = time;
($status, $text) = $mail->postrider('queue', 'flush');
figure('flush', sprintf('%.2f s', time - $start));
is($status, 0, 'all of it is flushed');
$mail->wait_log(qr/flush: \d+ messages are tried within/);
sleep($is_long ? 20 : 3);
check_flow('during a flush of all', 2, $end->());
cmp_ok(memory(), '<', 100_000 + $count * 0.3, 'in bounded memory')
    unless $is_slow;
stop('a flush of all');

# The time of the next attempt is the same for all.
my $lead = $is_long ? 60 : 4;
my $due = int(time) + $lead;
is(system("find '" . $mail->spool . "/deferred' -type f -print0 | " .
    "xargs -0 -r touch -d \@$due"), 0, 'all have the same time');
my $left = $mail->queue_count('deferred');
start();
wait_for(sub { $mail->said(qr/ \d+ messages were in the queue/) > 2 }, 300,
    'the index');
sleep $due - time if $due > time;
$end = flow();
sleep($is_long ? 30 : 3);
check_flow("while $left are due at the same moment", 2, $end->());
cmp_ok($mail->queue_count('deferred'), '<', $left, 'they are being delivered');
cmp_ok(memory(), '<', 100_000 + $count * 0.3, 'in bounded memory')
    unless $is_slow;
stop('an outage that is over');
is($mail->said(qr/\@fresh\.test>.*status=deferred/), 0,
    'no fresh message was put off');
is_deeply([$mail->complaints], [], 'no complaints');
diag(sprintf '%-44s %-12s %s', 'what', 'wanted', "with $count messages");
diag(sprintf '%-44s %-12s %s', @$_[0, 2, 1]) for @figures;
done_testing;
