package Calls;

# The system calls of a mail system, counted and put in order by strace.
#
#	my $calls = Calls::counted($mta, sub { ... });
#	# $calls->{smtpd}{sendto}: how often
#	my ($replies, $early) = Calls::ordered($mta, sub { ... });

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use List::Util qw(sum0);
use POSIX ();

use Bench qw($dir count note slurp wait_for);
use Relay;

# Do the work while strace looks at each process, with these options, and
# writes to a file with its name and id: the files.
sub _watched
{
	my ($mta, $work, @options) = @_;
	my (@tracers, @files);

	remove_tree("$dir/trace");
	make_path("$dir/trace");
	my @pids = $mta->pids;
	for my $pid (@pids) {
		my $file = "$dir/trace/" . System::name_of($pid) . ".$pid";
		my $tracer = fork // die "fork: $!";
		if ($tracer == 0) {
			open STDERR, '>', "$file.errors";
			exec 'strace', '-f', @options, '-o', $file, '-p', $pid
			    or POSIX::_exit(127);
		}
		push @tracers, $tracer;
		push @files, $file;
	}
	wait_for(sub { !grep { _is_free($_) } @pids }, 60, 'strace');
	$work->();
	kill 'INT', @tracers;
	waitpid $_, 0 for @tracers;
	return grep { -s } @files;
}

# Has it a thread that nobody traces?
sub _is_free
{
	my ($pid) = @_;

	return grep { slurp($_) =~ /^TracerPid:\s+0$/m }
	    glob "/proc/$pid/task/*/status";
}

# How often each process calls what: name => { call => count }. Processes that
# begin meanwhile count as their master.
sub counted
{
	my ($mta, $work) = @_;
	my %calls;

	for my $file (_watched($mta, $work, '-c', '-U', 'name,calls')) {
		my ($process) = $file =~ m{([^/]+)\.\d+$};
		for (split /\n/, slurp($file)) {
			$calls{$process}{$1} += $2
			    if /^\s*(\w+)\s+(\d+)\s*$/ && $1 ne 'total';
		}
	}
	return \%calls;
}

# For each call of a trace: when it ended, what it was, and the time of its
# line; a call that another thread interrupts in the trace has two.
sub _ends
{
	my ($text) = @_;
	my (%begun, @ends);

	for (split /\n/, $text) {
		my ($thread, $start, $what) = /^(?:(\d+)\s+)?([\d.]+) (.*)/
		    or next;
		if ($what =~ /<unfinished \.\.\.>$/) {
			$begun{$thread} = $what;
			next;
		}
		my ($took) = $what =~ /<([\d.]+)>$/ or next;
		my $is_resumed = $what =~ /^<\.\.\. \w+ resumed>/;
		my $begun = $is_resumed ? delete $begun{$thread} // '' : '';
		# A resumed line has the time of its end, another its start.
		push @ends, [$is_resumed ? $start : $start + $took,
		    $begun . $what, $start];
	}
	return @ends;
}

# How many times 250 was said for a message, and how many of those were said
# though no sync, or write that syncs, had ended since the one before. Messages
# must come one after the other.
sub ordered
{
	my ($mta, $work) = @_;
	my (@syncs, @replies);

	for my $file (_watched($mta, $work, '-ttt', '-T', '-s', 64, '-e',
	    'trace=fsync,fdatasync,pwritev2,write,writev,sendto,sendmsg')) {
		my ($process) = $file =~ m{([^/]+)\.\d+$};
		for my $end (_ends(slurp($file))) {
			my ($ended, $what, $begun) = @$end;
			push @syncs, $ended
			    if $process =~ /^(?:cleanup|smtpd)$/ &&
			    $what =~ /^(?:f(?:data)?sync\(.*=\ 0
				|pwritev2\(.*\bRWF_DSYNC\b.*=\ [1-9]\d*)\ /x;
			push @replies, $begun if $process eq 'smtpd' &&
			    $what =~ /"250 2\.0\.0 Ok: queued/;
		}
	}
	my ($before, $early) = (0, 0);
	for my $reply (sort { $a <=> $b } @replies) {
		$early++ unless grep { $_ > $before && $_ <= $reply } @syncs;
		$before = $reply;
	}
	return (scalar @replies, $early);
}

# What each process calls for a message, the most frequent calls first.
sub tell_calls
{
	my ($name, $calls, $count) = @_;

	for my $process (sort keys %$calls) {
		my $of = $calls->{$process};
		my @most = sort { $of->{$b} <=> $of->{$a} || $a cmp $b }
		    keys %$of;
		my $all = sum0(values %$of) / $count;
		next if $all < 0.05;
		splice @most, 8 if @most > 8;
		note(sprintf '%s: %-12s %6.2f calls a message: %s', $name,
		    $process, $all, join ', ', map { sprintf '%s %.2f', $_,
		    $of->{$_} / $count } @most);
	}
}

sub _work
{
	my ($mta) = @_;
	my $count = count(1000, 20);
	my $one = count(100, 10);

	Relay::load($mta, count(100, 20), @Relay::kept);	# warm
	my $calls = counted($mta, sub {
		Relay::load($mta, $count, @Relay::kept);
	});
	tell_calls($mta->name, $calls, $count);
	my ($replies, $early) = ordered($mta, sub {
		Relay::load($mta, $one, '-d', '-s', 1, @Relay::plain);
	});
	die $mta->name . ": $replies replies seen, $one messages sent\n"
	    unless $replies == $one;
	die $mta->name . ": $early of $replies before their sync\n" if $early;
	my $syncs = sum0(map { my $of = $_; map { $of->{$_} // 0 }
	    qw(fsync fdatasync pwritev2) } values %$calls);
	note(sprintf '%s: %d messages, one after another: a sync had ended ' .
	    'before each 250', $mta->name, $replies);
	return (calls => sum0(map { values %$_ } values %$calls) / $count,
	    syncs => $syncs / $count);
}

sub scenarios
{
	return ({ id => 'calls', about => 'relay 4 KB, 10 kept sessions',
	    work => \&_work, figures => [['calls', 'system calls a message',
	    'less'], ['syncs', 'syncs a message', 'less']] });
}

1;
