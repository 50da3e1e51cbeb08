package Pace;

# What depends on time more than on work: how soon a reply comes when there is
# room, and how many slow receivers are served at once.

use strict;
use warnings;

use Time::HiRes qw(sleep time);

use Bench qw(count note);
use Receivers;
use Relay;

my $rate;		# half of the messages a second that Postfix can

# What Postfix can relay now.
sub _find_rate
{
	my ($postfix) = grep { $_->name eq 'postfix' } @_;

	$postfix->ensure({});
	my %value = Relay::load($postfix, count(3000), @Relay::kept);
	$rate = $value{rate} / 2;
}

# Mail at that rate for ten seconds, from fifty who take turns.
sub _reply
{
	my ($mta) = @_;
	my $seen = Relay::own_source($mta->port, count(10 * $rate, 50), '-s',
	    50, '-r', sprintf('%.1f', $rate), '-t', 'r@relay.test');

	$mta->wait_empty(600);
	note(sprintf '%s: at %.0f msg/s the longest reply took %.1f ms; 99 ' .
	    'of 100 began %.1f ms late at most', $mta->name, $rate,
	    $seen->{most}, $seen->{late});
	return %$seen;
}

# A thousand sites, each of whose answers takes a second, and three messages for
# each: with one there would be less to do than the target asks for.
sub _slow
{
	my ($mta) = @_;
	my $sites = count(1000, 20);
	my $messages = 3 * $sites;
	my ($start, $memory) = (time, 0);

	$mta->restart;
	my $before = $mta->memory;
	Receivers::counts('slow');
	Relay::own_source($mta->port, $messages, '-s', 10, '-k', $sites, '-t',
	    'r@late%.test');
	until ($mta->is_empty) {
		die $mta->name . ": slow sites: no end\n"
		    if time - $start > 900;
		my $now = $mta->memory;
		$memory = $now if $now > $memory;
		sleep 0.2;
	}
	my $took = time - $start;
	my $got = Receivers::counts('slow');
	die $mta->name . ": $got->{recipients} of $messages delivered\n"
	    unless $got->{recipients} == $messages;
	note(sprintf '%s: %d deliveries at once, %.1f MiB more than idle, ' .
	    'all %d done after %.1f s', $mta->name, $got->{most},
	    ($memory - $before) / 1024, $messages, $took);
	return (most => $got->{most}, seconds => $took,
	    memory => ($memory - $before) / $got->{most});
}

sub scenarios
{
	return (
		{ id => 'reply', about => 'reply at half of Postfix\'s rate',
		    before => \&_find_rate, work => \&_reply,
		    figures => [['p50', 'ms, p50', 'less'],
		    ['p99', 'ms, p99', 'less', 1]] },
		{ id => 'slow', about => '1000 sites, answers in 1 s',
		    settings => { Receivers::transport() },
		    figures => [['most', 'deliveries at once', 'more', 20],
		    ['memory', 'KiB a delivery', 'less'],
		    ['seconds', 's for all', 'less']], work => \&_slow },
	);
}

1;
