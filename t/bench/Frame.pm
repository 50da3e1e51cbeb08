package Frame;

# Rounds, figures and the table.
#
# A scenario is a hash:
#
#	id		its name on the command line
#	about		what it is, for the table
#	settings	what both systems are set to, beside the usual
#	figures		[key, unit, 'more' or 'less' (is better), target]
#	before		code for each round before the systems' turns: takes
#			both systems
#	work		code: takes the system, returns key => value, ...
#
# Each round gives every figure for both systems, one after the other; who is
# first changes from round to round. A ratio says how many times better
# Postrider was, within a round. A target is a ratio, or, as "60 %", the least
# value of Postrider's own figure. All values go to a table of tabs as well.

use strict;
use warnings;

use POSIX ();

use Bench qw($build);
use Machine;
use Ours;

my $started = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);
my $version = Ours->version;

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# A number with as many digits as mean something.
sub digits
{
	my ($value) = @_;

	return sprintf $value >= 100 ? '%.0f' : $value >= 10 ? '%.1f' : '%.2f',
	    $value;
}

# Median, least and greatest.
sub spread
{
	my @sorted = sort { $a <=> $b } @_;

	return sprintf '%s (%s - %s)',
	    map { digits($_) } median(@sorted), @sorted[0, -1];
}

sub ratio
{
	my ($better, $ours, $theirs) = @_;

	($ours, $theirs) = ($theirs, $ours) if $better eq 'less';
	return $theirs == 0 ? 0 : $ours / $theirs;
}

# --- running -----------------------------------------------------------------

# One system's turn, when the disk has become quiet.
sub _turn
{
	my ($scenario, $mta) = @_;

	$mta->ensure({ %{ $scenario->{settings} // {} } });
	Machine::settle();
	my %value = $scenario->{work}->($mta);
	for my $figure (@{ $scenario->{figures} }) {
		die "$scenario->{id}: no $figure->[0]\n"
		    unless defined $value{ $figure->[0] };
	}
	return \%value;
}

# All rounds of a scenario: key => { postrider => [...], postfix => [...] }.
sub measure
{
	my ($scenario, $rounds, @mtas) = @_;
	my %values;

	for my $round (1 .. $rounds) {
		my @order = $round % 2 ? @mtas : reverse @mtas;
		$scenario->{before}->(@mtas) if $scenario->{before};
		for my $mta (@order) {
			my $value = _turn($scenario, $mta);
			push @{ $values{ $_->[0] }{ $mta->name } },
			    $value->{ $_->[0] } for @{ $scenario->{figures} };
		}
	}
	return \%values;
}

# --- telling -----------------------------------------------------------------

my $shape = "%-44s %26s %26s %22s %7s %s\n";

sub head
{
	my ($rounds) = @_;

	printf $shape, "median of $rounds (least - greatest)", 'Postrider',
	    'Postfix', 'ratio', 'target', '';
}

sub _is_met
{
	my ($target, $ours, $ratio) = @_;

	return $target =~ /^([\d.]+) %$/ ? $ours >= $1 : $ratio >= $target;
}

# The lines of a scenario: one for each figure.
sub tell
{
	my ($scenario, $values) = @_;

	for my $figure (@{ $scenario->{figures} }) {
		my ($key, $unit, $better, $target) = @$figure;
		my ($ours, $theirs) = @{ $values->{$key} }{qw(postrider
		    postfix)};
		my @ratios = map { ratio($better, $ours->[$_], $theirs->[$_]) }
		    0 .. $#$ours;
		printf $shape, "$scenario->{about}, $unit", spread(@$ours),
		    spread(@$theirs), spread(@ratios),
		    !defined $target ? '' : $target =~ /%/ ? $target :
		    "${target}x", !defined $target ? '' :
		    _is_met($target, median(@$ours), median(@ratios)) ?
		    'met' : 'missed';
		_keep($scenario, $figure, $ours, $theirs, \@ratios);
	}
}

# Add the rounds of a figure to the table of all runs.
sub _keep
{
	my ($scenario, $figure, $ours, $theirs, $ratios) = @_;
	my $file = "$build/bench/results.tsv";

	mkdir "$build/bench";
	my $is_new = !-s $file;
	open my $out, '>>', $file or die "$file: $!\n";
	print $out join("\t", qw(run version load scenario figure better round
	    postrider postfix ratio)), "\n" if $is_new;
	printf $out join("\t", ('%s') x 10) . "\n", $started,
	    $version, Machine::busy(), $scenario->{id}, $figure->[0],
	    $figure->[2], $_ + 1, $ours->[$_], $theirs->[$_], $ratios->[$_]
	    for 0 .. $#$ratios;
	close $out or die "$file: $!\n";
}

1;
