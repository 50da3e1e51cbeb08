package Sessions;

# Those who are connected: who says nothing, who begins TLS, who comes anew.
#
# Postfix has a process for each, a hundred at most by default, so that it gets
# as many as it can hold; figures are by session.

use strict;
use warnings;

use IO::Socket::INET;
use IPC::Open2;
use POSIX ();
use Time::HiRes qw(sleep time);

use Bench qw($build capture count note percentile);
use Relay;

my $gib = 1048576;		# KiB
my $postfix_most = 90;		# some of its hundred are for who comes anew

sub _dial
{
	my ($mta) = @_;

	return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $mta->port, Timeout => 20);
}

# So many sessions, each of which was greeted.
sub _greeted
{
	my ($mta, $want) = @_;
	my @sessions;

	for (1 .. $want) {
		push @sessions, _dial($mta) // die $mta->name .
		    ': session ' . (1 + @sessions) . ": $!\n";
	}
	for my $s (@sessions) {
		die $mta->name . ": no greeting\n"
		    unless (<$s> // '') =~ /^220/;
	}
	return @sessions;
}

# So many from Postrider, and what Postfix can hold.
sub _many
{
	my ($mta, $ours) = @_;

	return $mta->name eq 'postfix' ? $postfix_most : count($ours, 100);
}

sub _tell_each
{
	my ($mta, $what, $many, $kib) = @_;

	note(sprintf '%s: %d %s, %.1f KiB each', $mta->name, $many, $what,
	    $kib / $many);
	return (sessions => $kib > 0 ? $gib * $many / $kib : 0);
}

sub _idle
{
	my ($mta) = @_;
	my $many = _many($mta, 10000);

	$mta->restart;		# processes of earlier rounds would not count
	my $before = $mta->memory;
	my @sessions = _greeted($mta, $many);
	my %value = _tell_each($mta, 'idle sessions', $many,
	    $mta->memory - $before);
	close $_ for @sessions;
	return %value;
}

# Like _idle(), inside TLS.
sub _idle_tls
{
	my ($mta) = @_;
	my $many = _many($mta, 5000);

	$mta->restart;
	my $before = $mta->memory;
	my $pid = open2(my $out, my $in, "$build/t/bench/tlsload", 'idle',
	    $mta->port, $many);
	(<$out> // '') eq "held\n" or die $mta->name . ": idle sessions\n";
	my %value = _tell_each($mta, 'idle TLS sessions', $many,
	    $mta->memory - $before);
	close $in;
	waitpid $pid, 0;
	return %value;
}

# Sessions with a handshake each, in a second.
sub _handshakes
{
	my ($mta, $how) = @_;

	return (rate => capture("$build/t/bench/tlsload", $how, $mta->port,
	    count(2000, 16), 8) + 0);
}

# A client that comes while a load runs: milliseconds until its 220.
sub _greeting_time
{
	my ($mta) = @_;
	my $start = time;
	my $s = _dial($mta) // die $mta->name . ": crowd: connect: $!\n";

	die $mta->name . ": crowd: no greeting\n"
	    unless (<$s> // '') =~ /^220/;
	my $took = 1000 * (time - $start);
	syswrite $s, "QUIT\r\n";
	return $took;
}

# Who says nothing, who brings mail, and who comes anew: how long the latter
# waits for 220, and how much mail is taken.
sub _crowd
{
	my ($mta) = @_;
	my $is_postfix = $mta->name eq 'postfix';
	my ($idle, $active) = $is_postfix ? (45, 40) :
	    (count(5000, 45), count(500, 10));
	my $count = count($is_postfix ? 5000 : 20000, 500);
	my @waits;

	$mta->restart;
	my @sessions = _greeted($mta, $idle);
	syswrite $_, "EHLO idle.test\r\n" for @sessions;
	my $start = time;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		eval { Relay::source($mta->port, $count, '-d', '-s', $active,
		    '-l', 4096, @Relay::plain); 1 } or POSIX::_exit(1);
		POSIX::_exit(0);
	}
	while (waitpid($pid, POSIX::WNOHANG()) == 0) {
		push @waits, _greeting_time($mta);
		sleep 0.02;
	}
	die $mta->name . ": crowd: smtp-source failed\n" if $?;
	my $rate = $count / (time - $start);
	$mta->wait_empty(600);
	note(sprintf '%s: %d idle and %d active sessions; %d came anew, ' .
	    'greeted after %.1f ms at most', $mta->name, $idle, $active,
	    scalar @waits, percentile(100, @waits));
	return (rate => $rate, p50 => percentile(50, @waits),
	    p99 => percentile(99, @waits));
}

sub scenarios
{
	my %tls = (settings => { Relay::tls_settings() });

	return (
		{ id => 'idle', about => 'idle sessions', work => \&_idle,
		    figures => [['sessions', 'by GiB', 'more', 50]] },
		{ id => 'tls-idle', about => 'idle TLS sessions', %tls,
		    figures => [['sessions', 'by GiB', 'more']],
		    work => \&_idle_tls },
		{ id => 'tls-new', about => 'TLS, full handshakes', %tls,
		    figures => [['rate', 'by second', 'more']],
		    work => sub { _handshakes($_[0], 'new') } },
		{ id => 'tls-resumed', about => 'TLS, resumed sessions', %tls,
		    figures => [['rate', 'by second', 'more']],
		    work => sub { _handshakes($_[0], 'resumed') } },
		{ id => 'crowd', about => 'beside 5000 idle, 500 active',
		    figures => [['rate', 'msg/s accepted', 'more'],
		    ['p50', 'ms to 220, p50', 'less'],
		    ['p99', 'ms to 220, p99', 'less']], work => \&_crowd },
	);
}

1;
