package Million;

# The bench scenario "million": a long queue of deferred mail, and what it does
# to a start, to mailq and to other mail.
#
#	my $rate = Million::run($mta, $build, $load);
#
# fills the queue of a system that is up, prints what was seen, empties it, and
# returns the messages relayed in a second beside it; $load->() relays some
# thousand and returns that rate. POSTRIDER_MILLION and POSTFIX_MILLION are the
# numbers of messages (1000000 and 100000).

use strict;
use warnings;

use File::Copy qw(copy);
use File::Find qw(find);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time sleep utime);

# So many copies of a message that Postfix has deferred. A name tells the
# inode; its first letter is the directory.
sub _fill_postfix
{
	my ($mta, $count) = @_;
	my $queue = "$mta->{spool}/deferred";
	my $owner = getpwnam 'prt-postfix';
	my ($template, $later) = (undef, time + 4000);

	$mta->{set}->('defer_transports', 'smtp');
	open my $mail, '|-', @{ $mta->{sendmail} }, '-f', 's@bench.test',
	    'r@relay.test' or die "sendmail: $!";
	print $mail "Subject: waits\n\nThis waits.\n";
	close $mail or die 'sendmail';
	while (!$template) {
		sleep 0.1;
		find(sub { $template = $File::Find::name if -f }, $queue);
	}
	$mta->{set}->('defer_transports', '');
	$mta->{stop}->();
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
	my ($mta, $count, $build) = @_;

	$mta->{stop}->();
	system("$build/t/lib/fill", $mta->{spool}, 'deferred', $count, 1000,
	    4000) == 0 or die "fill: exit $?\n";
}

# Nothing of the disk is in memory, if that is allowed.
sub _cool
{
	system('sync');
	open my $f, '>', '/proc/sys/vm/drop_caches' or return 'warm';
	return (syswrite($f, "3\n") // 0) > 0 && close($f) ? 'cold' : 'warm';
}

# The middle one of three rates; one alone says little.
sub _rate
{
	my ($load, $mta) = @_;

	return (sort { $a <=> $b } map { $load->($mta) } 1 .. 3)[1];
}

# The seconds from the start to a greeting.
sub _start
{
	my ($mta) = @_;
	my $start = time;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		$mta->{start}->();
		POSIX::_exit(0);
	}
	for (;;) {
		my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $mta->{port}, Timeout => 5);
		last if $c && (<$c> // '') =~ /^220/;
		die "$mta->{name} does not greet\n" if time - $start > 300;
		sleep 0.02;
	}
	my $took = time - $start;
	waitpid $pid, 0;
	return $took;
}

# The queue manager's resident memory in MB and its CPU seconds.
sub _qmgr
{
	my ($mta) = @_;

	for my $pid ($mta->{pids}->()) {
		open my $f, '<', "/proc/$pid/status" or next;
		my $text = join '', <$f>;
		next unless $text =~ /^Name:\s+qmgr$/m;
		my ($kb) = $text =~ /^VmRSS:\s+(\d+)/m;
		open my $s, '<', "/proc/$pid/stat" or next;
		my @f = split ' ', <$s> =~ s/^.*\) //r;
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

	open my $p, '-|', @{ $mta->{mailq} } or die "mailq: $!";
	while (<$p>) {
		$first //= time - $start;
	}
	close $p;
	return ($first // -1, time - $start);
}

# Wait until the queue manager has looked at everything: its CPU rests.
sub _wait_index
{
	my ($mta) = @_;
	my ($start, $quiet, $before) = (time, 0, -1);

	while ($quiet < 4 && time - $start < 600) {
		my (undef, $cpu) = _qmgr($mta);
		$quiet = $cpu - $before < 0.03 ? $quiet + 1 : 0;
		$before = $cpu;
		sleep 0.5;
	}
	return time - $start - 2;
}

sub run
{
	my ($mta, $build, $load) = @_;
	my $is_ours = $mta->{name} eq 'postrider';
	my $count = $is_ours ? $ENV{POSTRIDER_MILLION} || 1_000_000 :
	    $ENV{POSTFIX_MILLION} || 100_000;

	my $empty = _rate($load, $mta);
	my $start = time;
	$is_ours ? _fill_postrider($mta, $count, $build) :
	    _fill_postfix($mta, $count);
	my $filled = time - $start;
	my $how = _cool();
	my $greeted = _start($mta);
	my $early = $load->($mta);
	my $indexed = _wait_index($mta);
	my $late = _rate($load, $mta);
	my ($mb, $cpu) = _qmgr($mta);
	my ($first, $all) = _list($mta);
	$start = time;
	$mta->{stop}->();
	printf "# %s, %d deferred (filled in %.0f s): %s start, 220 after " .
	    "%.2f s; relayed in a second: %.0f with an empty queue, %.0f " .
	    "(%.0f %%) right after the start, %.0f (%.0f %%) later; quiet " .
	    "%.0f s after that; qmgr %.0f MB, %.1f s of CPU; mailq: first " .
	    "line %.2f s, all %.1f s; stop %.1f s\n", $mta->{name}, $count,
	    $filled, $how, $greeted, $empty, $early, 100 * $early / $empty,
	    $late, 100 * $late / $empty, $indexed, $mb, $cpu, $first, $all,
	    time - $start;
	remove_tree("$mta->{spool}/deferred", { keep_root => 1 });
	remove_tree("$mta->{spool}/defer", { keep_root => 1 });
	$mta->{start}->();
	return $late;
}

1;
