package Relay;

# Mail that comes in by SMTP and goes out by SMTP.
#
#	my %figures = Relay::load($mta, count(5000), '-d', '-s', 10);
#
# Messages are counted from the first connection to the empty queue.

use strict;
use warnings;

use Time::HiRes qw(time);

use Bench qw($build $unpacked capture count run_command);
use Receivers;

our @plain = ('-f', 's@bench.test', '-t', 'r@relay.test');
our @kept = ('-d', '-s', 10, '-l', 4096, @plain);	# -d: kept sessions

# Relay so many, by what the code sends: rate (messages a second), accepted
# (the same until the last 250), cpu (us a message, of all processes).
sub timed
{
	my ($mta, $count, $send, @but) = @_;
	my $before = $mta->cpu;
	my $start = time;

	$send->();
	my $accepted = time - $start;
	$mta->wait_empty(600, @but);
	my $all = time - $start;
	return (rate => $count / $all, accepted => $count / $accepted,
	    cpu => ($mta->cpu - $before) * 1e6 / $count);
}

# The same with smtp-source.
sub load
{
	my ($mta, $count, @source) = @_;

	return timed($mta, $count, sub { source($mta->port, $count,
	    @source) });
}

sub source
{
	my ($port, $count, @source) = @_;

	run_command("$unpacked/usr/sbin/smtp-source", '-m', $count, @source,
	    "inet:127.0.0.1:$port");
}

# The same with our own clients; what they saw: rate, p50, p99, most, late.
sub own_source
{
	my ($port, $count, @source) = @_;
	my %seen;

	@seen{qw(rate p50 p99 most late)} = split ' ',
	    capture("$build/t/bench/source", '-p', $port, '-m', $count,
	    @source);
	return \%seen;
}

# Our clients, and our sink, which must have got everything.
sub _own_load
{
	my ($mta, $sink, $count, $recipients, @source) = @_;

	Receivers::counts($sink);
	my %value = timed($mta, $count, sub { own_source($mta->port, $count,
	    '-n', $recipients, @source) });
	my $got = Receivers::counts($sink);
	die $mta->name . ": $got->{recipients} of " . $count * $recipients .
	    " recipients\n" unless $got->{recipients} == $count * $recipients;
	return (%value, encrypted => $got->{encrypted});
}

sub _both_tls
{
	my ($mta) = @_;
	my $count = count(2000);
	my %value = _own_load($mta, 'tls', $count, 1, '-S', '-s', 10,
	    '-t', 'r@tls.test');

	die $mta->name . ": $value{encrypted} of $count in TLS\n"
	    unless $value{encrypted} == $count;
	return %value;
}

# A scenario with smtp-source.
sub _scenario
{
	my ($id, $about, $count, $target, $cpu, @source) = @_;

	return { id => $id, about => $about,
	    work => sub { load($_[0], count($count), @source) },
	    figures => [['rate', 'msg/s', 'more', $target],
	    ['cpu', 'us of CPU', 'less', $cpu]] };
}

# A scenario with our clients and our sink. smtp-sink is one process that looks
# at each byte: 5 MB take it 12 ms, and no system could relay more than 80 such
# messages a second, or both more than what it leaves of two processors.
sub _big_scenario
{
	my ($id, $about, $count, $target, $size) = @_;

	return { id => $id, about => $about,
	    settings => { Receivers::transport() },
	    work => sub { _own_load($_[0], 'sites', count($count), 1, '-s', 10,
		'-l', $size, '-k', 1, '-t', 'r@s%.test') },
	    figures => [['rate', 'msg/s', 'more', $target],
	    ['cpu', 'us of CPU', 'less']] };
}

sub scenarios
{
	my @both = (['rate', 'msg/s', 'more'], ['cpu', 'us of CPU', 'less']);

	return (
		_scenario('relay-kept', 'relay 4 KB, 10 kept sessions', 5000,
		    6, 6, @kept),
		_scenario('relay-one', 'relay 4 KB, 1 kept session', 2000,
		    2.5, undef, '-d', '-s', 1, '-l', 4096, @plain),
		_scenario('relay-50', 'relay 4 KB, 50 kept sessions', 5000,
		    undef, undef, '-d', '-s', 50, '-l', 4096, @plain),
		_scenario('relay-new', 'relay 4 KB, new session each', 5000,
		    4, undef, '-s', 10, '-l', 4096, @plain),
		_big_scenario('relay-100k', 'relay 100 KB, 10 kept sessions',
		    2000, 3, 102400),
		_big_scenario('relay-5m', 'relay 5 MB, 10 kept sessions', 200,
		    2, 5242880),
		_scenario('rcpt-one-site', '50 recipients, one site', 500,
		    undef, undef, '-r', 50, @kept),
		{ id => 'rcpt-50-sites', about => '50 recipients, 50 sites',
		    settings => { Receivers::transport() },
		    figures => [@both],
		    work => sub { _own_load($_[0], 'sites', count(200), 50,
			'-s', 10, '-k', 50, '-t', 'r@s%.test') } },
		{ id => 'relay-tls', about => 'relay 4 KB, TLS in and out',
		    settings => { Receivers::transport(), tls_settings() },
		    figures => [@both], work => \&_both_tls },
	);
}

# TLS for whoever has it, on both sides.
sub tls_settings
{
	return (smtpd_tls_security_level => 'may',
	    smtpd_tls_chain_files => "$Bench::dir/tls.pem",
	    smtp_tls_security_level => 'may');
}

1;
