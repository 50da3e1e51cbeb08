package System;

# A mail system that is measured: started, stopped and looked at from outside.
# Ours.pm and Theirs.pm are the two; each says how it is configured, started
# and stopped, and in which directories messages wait.
#
#	my $mta = Ours->new($receivers);
#	$mta->ensure({ home_mailbox => 'Mailbox' });	# runs, with that
#	my $before = $mta->cpu;
#	...
#	$mta->wait_empty(300);
#	my $seconds = $mta->cpu - $before;

use strict;
use warnings;

use File::Path qw(make_path);
use POSIX ();
use Time::HiRes qw(sleep time);

use Bench qw($dir slurp spew wait_for free_port);

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());

sub new
{
	my ($class) = @_;
	my $self = bless { port => free_port(), extra => '' }, $class;

	$self->{home} = "$dir/" . $self->name;
	$self->{spool} = "$self->{home}/spool";
	make_path("$self->{home}/etc", $self->{spool});
	$self->prepare;
	return $self;
}

sub port { return $_[0]{port} }
sub spool { return $_[0]{spool} }

# The text of a file of this directory, with its @NAMES@ filled in.
sub settings_of
{
	my ($self, $file, %value) = @_;
	my $text = slurp("t/bench/$file");

	$text =~ s/@(\w+)@/$value{$1} \/\/ die "$file: \@$1\@?\n"/ge;
	return $text;
}

# Run with these settings beside those that every scenario has. A system that
# has them already goes on: what it has warmed up stays warm.
sub ensure
{
	my ($self, $settings) = @_;
	my $extra = join '', map { "$_ = $settings->{$_}\n" }
	    sort keys %$settings;

	return if $self->{runs} && $self->{extra} eq $extra;
	$self->stop;
	$self->{extra} = $extra;
	$self->start;
}

sub start
{
	my ($self) = @_;
	my $is_over = 0;

	spew("$self->{home}/etc/main.cf", $self->{main} . $self->{extra});
	# Only what has started can be stopped: whoever ends the bench waits.
	local $SIG{TERM} = local $SIG{INT} = sub { $is_over = 1 };
	$self->command_start;
	$self->{runs} = 1;
	Bench::at_end(sub { $self->stop }) unless $self->{is_promised}++;
	exit 1 if $is_over;
}

sub stop
{
	my ($self) = @_;

	return unless $self->{runs};
	my @pids = $self->pids;
	$self->command_stop;
	$self->{runs} = 0;
	wait_for(sub { !grep { Postrider::is_alive($_) } @pids }, 60,
	    $self->name . ' to stop');
}

# As after a start: what earlier rounds left in memory is gone.
sub restart
{
	my ($self) = @_;

	$self->stop;
	$self->start;
}

# --- its processes -----------------------------------------------------------

# All of them: the master and its descendants.
sub pids
{
	my ($self) = @_;
	my ($top) = slurp("$self->{spool}/pid/master.pid") =~ /(\d+)/
	    or return ();
	my %children;

	for my $file (glob '/proc/[0-9]*/stat') {
		slurp($file) =~ /^(\d+) \(.*\) \S (\d+)/
		    and push @{ $children{$2} }, $1;
	}
	my @found = ($top);
	for (my $i = 0; $i < @found; $i++) {
		push @found, @{ $children{ $found[$i] } // [] };
	}
	return @found;
}

sub name_of
{
	my ($pid) = @_;

	return slurp("/proc/$pid/stat") =~ /^\d+ \((.*)\)/ ? $1 : '?';
}

# Seconds of CPU: by process name, [user, kernel]. What a process that has
# ended used is its parent's.
sub cpu_by_process
{
	my ($self) = @_;
	my %used;

	for my $pid ($self->pids) {
		my $name = name_of($pid);
		my @f = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //r;
		next unless @f > 14;
		$used{$name}[0] += ($f[11] + $f[13]) / $ticks;
		$used{$name}[1] += ($f[12] + $f[14]) / $ticks;
	}
	return \%used;
}

sub cpu
{
	my ($self) = @_;
	my ($sum, $used) = (0, $self->cpu_by_process);

	$sum += $_->[0] + $_->[1] for values %$used;
	return $sum;
}

# How often a process went to sleep and was woken, and how often it was
# interrupted: by process name, [voluntary, involuntary].
sub switches_by_process
{
	my ($self) = @_;
	my %count;

	for my $pid ($self->pids) {
		my $name = name_of($pid);
		for my $file (glob "/proc/$pid/task/*/status") {
			my $text = slurp($file);
			$text =~ /^voluntary_ctxt_switches:\s+(\d+)/m
			    and $count{$name}[0] += $1;
			$text =~ /^nonvoluntary_ctxt_switches:\s+(\d+)/m
			    and $count{$name}[1] += $1;
		}
	}
	return \%count;
}

# KiB of memory, shared pages divided among those who share them.
sub memory
{
	my ($self) = @_;
	my $sum = 0;

	for my $pid ($self->pids) {
		slurp("/proc/$pid/smaps_rollup") =~ /^Pss:\s+(\d+)/m
		    and $sum += $1;
	}
	return $sum;
}

# --- its queue ---------------------------------------------------------------

# Is there a file in or below this directory, but for write-ahead logs? It stops
# at the first, so that asking costs little while there is much.
sub _holds_file
{
	my ($path) = @_;
	my @below;

	opendir my $d, $path or return 0;
	while (defined(my $entry = readdir $d)) {
		next if $entry =~ /^(\.\.?|wal\.\d+)$/;
		lstat "$path/$entry" or next;
		return 1 if -f _;
		push @below, "$path/$entry" if -d _;
	}
	for my $directory (@below) {
		return 1 if _holds_file($directory);
	}
	return 0;
}

sub is_empty
{
	my ($self, @but) = @_;

	for my $queue ($self->queues) {
		next if grep { $_ eq $queue } @but;
		return 0 if _holds_file("$self->{spool}/$queue");
	}
	return 1;
}

# Wait so many seconds at most until nothing waits, but in these queues.
sub wait_empty
{
	my ($self, $patience, @but) = @_;
	my $end = time + $patience;

	until ($self->is_empty(@but)) {
		die $self->name . ": queue not empty after $patience s\n"
		    if time > $end;
		sleep 0.02;
	}
}

1;
