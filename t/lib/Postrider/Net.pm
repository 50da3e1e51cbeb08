package Postrider::Net;

# A network that only this test and what it starts can see: a loopback with
# every port free, and a name service whose questions are written down.
#
#	use Postrider::Net;
#	my $alone = Postrider::Net::alone('fd00::11');	# the first statement
#	Postrider::Net::names($dir, 'r.test' => "zone's text");
#	my @asked = Postrider::Net::asked();		# "one.r.test MX"
#	Postrider::Net::trouble(servfail => 'broken', silent => 'mute');
#
# The name service is nsd at port 5300, and before it, at port 53, a process of
# ours, which can answer for names that match with SERVFAIL, or not at all.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Postrider qw(slurp spew);

my ($asked, $trouble, $pid);
my %type = (1 => 'A', 5 => 'CNAME', 15 => 'MX', 28 => 'AAAA', 33 => 'SRV',
    52 => 'TLSA');

# Begin this test again, in a network namespace of its own, where the loopback
# has these addresses as well. False when that cannot be had.
sub alone
{
	my (@addresses) = @_;

	return 1 if delete $ENV{POSTRIDER_TEST_HAS_NET};
	return 0 if $> != 0 || system('unshare -n ip link set lo up ' .
	    '>/dev/null 2>&1') != 0;
	$ENV{POSTRIDER_TEST_HAS_NET} = 1;
	my $setup = join ' && ', 'ip link set lo up',
	    (map { "ip addr add $_/128 dev lo" } @addresses), 'exec "$@"';
	exec 'unshare', '-n', '--', 'sh', '-c', $setup, 'sh', $^X,
	    (map { "-I$_" } grep { !ref } @INC), $0, @ARGV;
	die "unshare: $!";
}

# The name and the type of a question.
sub _question
{
	my ($packet) = @_;
	my ($at, @labels) = (12);

	while (my $len = unpack 'C', substr $packet, $at, 1) {
		push @labels, substr $packet, $at + 1, $len;
		$at += $len + 1;
	}
	my $type = unpack 'n', substr $packet, $at + 1, 2;
	return (join('.', map { lc } @labels) || '.', $type, $at + 5);
}

# What to do about a name, as trouble() has said: servfail, silent, ''.
sub _trouble_of
{
	my ($name) = @_;

	for my $line (split /\n/, slurp($trouble)) {
		my ($kind, $re) = split / /, $line, 2;
		return $kind if $name =~ /$re/;
	}
	return '';
}

sub _serve
{
	my ($socket) = @_;

	while (my $from = $socket->recv(my $packet, 4096)) {
		next if length $packet < 17;
		my ($name, $type, $end) = _question($packet);
		open my $f, '>>', $asked or die "$asked: $!";
		syswrite $f, "$name " . ($type{$type} // $type) . "\n";
		my $kind = _trouble_of($name);
		next if $kind eq 'silent';
		my $answer = substr($packet, 0, 2) .
		    pack('n5', 0x8182, 1, 0, 0, 0) .
		    substr($packet, 12, $end - 12);
		if ($kind eq '') {
			my $behind = IO::Socket::INET->new(Proto => 'udp',
			    PeerAddr => '127.0.0.1', PeerPort => 5300) or next;
			$behind->send($packet);
			next unless IO::Select->new($behind)->can_read(2);
			$behind->recv($answer, 65535);
		}
		$socket->send($answer, 0, $from);
	}
}

# Start the name service with these zones.
sub names
{
	my ($dir, %zones) = @_;

	($asked, $trouble) = ("$dir/asked", "$dir/trouble");
	spew($_, '') for $asked, $trouble;
	spew("$dir/zone.$_", $zones{$_}) for keys %zones;
	require Alone;
	Alone::name_server($dir, 5300, map { $_ => "zone.$_" } keys %zones);
	my $socket = IO::Socket::INET->new(Proto => 'udp', LocalPort => 53,
	    LocalAddr => '127.0.0.1') or die "port 53: $!";
	$pid = fork // die "fork: $!";
	if ($pid == 0) {
		$SIG{TERM} = 'DEFAULT';
		_serve($socket);
		POSIX::_exit(1);
	}
}

# All questions so far.
sub asked { return split /\n/, slurp($asked) }

# From now on: kind => regular expression of names.
sub trouble
{
	my (%o) = @_;

	spew("$trouble.new", join '', map { "$_ $o{$_}\n" } sort keys %o);
	rename "$trouble.new", $trouble or die "$trouble: $!";
}

END {
	if ($pid) {
		local $?;
		kill 'TERM', $pid;
		waitpid $pid, 0;
	}
}

1;
