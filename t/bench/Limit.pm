package Limit;

# How near relay 4 KB comes to what this machine can do at all.
#
# A relayed message needs at least: a client that sends it and a next hop that
# takes it (measured: the same client straight into the same sink), and a file
# that is created, written, synced and removed (measured: ten at once, by
# disk.c). Both use the same two processors and one disk, so that the least
# time of a message is the sum of the two, and the limit is
#
#	1 / (1 / clients + 1 / files)
#
# with nothing for the mail system itself: parsing, logging, deciding.

use strict;
use warnings;

use Time::HiRes qw(time);

use Bench qw(count note);
use Machine;
use Receivers;
use Relay;

my $limit;		# messages a second, this round

sub _measure
{
	my $count = count(20000, 100);
	my $start = time;

	Relay::source(Receivers::port('relay'), $count, @Relay::kept);
	my $clients = $count / (time - $start);
	my $files = Machine::disk('files', count(5000, 100));
	$limit = 1 / (1 / $clients + 1 / $files);
	note(sprintf 'limit: clients straight into the sink %.0f msg/s, ' .
	    '%.0f us a message; files %.0f a second, %.0f us each; together ' .
	    '%.0f us, %.0f msg/s', $clients, 1e6 / $clients, $files,
	    1e6 / $files, 1e6 / $limit, $limit);
	note(sprintf 'limit: a log with group commit, %.0f messages a second',
	    Machine::disk('log', count(5000, 100)));
}

sub _work
{
	my ($mta) = @_;
	my %value = Relay::load($mta, count(5000), @Relay::kept);

	return (rate => $value{rate}, share => 100 * $value{rate} / $limit);
}

sub scenarios
{
	return ({ id => 'limit', about => 'relay 4 KB, 10 kept sessions',
	    before => \&_measure, work => \&_work,
	    figures => [['rate', 'msg/s', 'more'],
	    ['share', '% of the limit', 'more', '60 %']] });
}

1;
