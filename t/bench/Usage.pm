package Usage;

# Where the CPU time of a relayed message goes, process by process.

use strict;
use warnings;

use Bench qw(count note);
use Relay;

# What was used meanwhile, by process name and message.
sub _difference
{
	my ($before, $after, $count) = @_;
	my %used;

	for my $name (keys %$after) {
		for my $i (0, 1) {
			$used{$name}[$i] = (($after->{$name}[$i] // 0) -
			    ($before->{$name}[$i] // 0)) / $count;
		}
	}
	return \%used;
}

# Do this work of so many messages, and tell what each process used: us of CPU,
# as user and kernel, and how often it slept or was interrupted. The sums: us,
# sleeps.
sub observed
{
	my ($mta, $count, $work) = @_;
	my ($cpu, $switches) = ($mta->cpu_by_process,
	    $mta->switches_by_process);

	$work->();
	$cpu = _difference($cpu, $mta->cpu_by_process, $count);
	$switches = _difference($switches, $mta->switches_by_process, $count);
	my ($us, $sleeps) = (0, 0);
	for my $name (sort keys %$cpu) {
		my ($user, $kernel) = map { 1e6 * $_ } @{ $cpu->{$name} };
		my ($slept, $stopped) = @{ $switches->{$name} };
		$us += $user + $kernel;
		$sleeps += $slept;
		next if $user + $kernel < 0.5 && $slept < 0.01;
		note(sprintf '%s: %-12s %5.0f us a message (user %.0f, ' .
		    'kernel %.0f), slept %.2f times, interrupted %.2f',
		    $mta->name, $name, $user + $kernel, $user, $kernel,
		    $slept, $stopped);
	}
	note(sprintf '%s: together %.0f us a message, slept %.2f times',
	    $mta->name, $us, $sleeps);
	return (cpu => $us, sleeps => $sleeps);
}

sub _work
{
	my ($mta) = @_;
	my $count = count(5000);

	Relay::load($mta, count(200), @Relay::kept);	# all processes are up
	return observed($mta, $count, sub {
		Relay::load($mta, $count, @Relay::kept);
	});
}

sub scenarios
{
	return ({ id => 'cpu', about => 'relay 4 KB, 10 kept sessions',
	    work => \&_work, figures => [['cpu', 'us of CPU', 'less', 6],
	    ['sleeps', 'wake-ups a message', 'less']] });
}

1;
