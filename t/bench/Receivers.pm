package Receivers;

# Those whom the two systems deliver to. They are started when somebody first
# asks for their port, and end with the bench:
#
#	relay	smtp-sink, for all mail to strangers
#	lmtp	smtp-sink that speaks LMTP
#	sites	our sink: a site at each address of loopback
#	slow	the same, each answer a second late
#	tls	the same in TLS
#
# transport() is a table for the settings of both that leads there.

use strict;
use warnings;

use IO::Handle;
use IO::Socket::INET;
use IPC::Open2;
use POSIX ();

use Bench qw($build $dir $unpacked at_end free_port spew wait_for);

my (%port, %ask, %hear);

my %sink_options = (sites => [], slow => ['-w', 1000],
    tls => ['-t', "$dir/tls.pem"]);

# smtp-sink tells nobody when it listens.
sub _smtp_sink
{
	my (@options) = @_;
	my $at = free_port();
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		open STDOUT, '>', '/dev/null';
		exec "$unpacked/usr/sbin/smtp-sink", '-u', 'prt-postfix',
		    @options, "inet:127.0.0.1:$at", '1000' or POSIX::_exit(1);
	}
	at_end(sub { kill 'TERM', $pid; waitpid $pid, 0 });
	wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $at) }, 10, 'smtp-sink');
	return $at;
}

sub _our_sink
{
	my ($name) = @_;
	my $pid = open2($hear{$name}, $ask{$name}, "$build/t/bench/sink",
	    @{ $sink_options{$name} });
	my $told = readline $hear{$name};

	at_end(sub { close $ask{$name}; waitpid $pid, 0 });
	$ask{$name}->autoflush(1);
	return ($told // '') =~ /^(\d+)$/ ? $1 : die "bench: no sink\n";
}

sub port
{
	my ($name) = @_;

	return $port{$name} //= $name eq 'relay' ? _smtp_sink() :
	    $name eq 'lmtp' ? _smtp_sink('-L') : _our_sink($name);
}

# What one of our sinks has counted since it was last asked: most (deliveries
# at once), now, messages, recipients, encrypted (messages).
sub counts
{
	my ($name) = @_;
	my %count;

	print { $ask{$name} } "?\n";
	@count{qw(most now messages recipients encrypted)} =
	    split ' ', readline $hear{$name};
	return \%count;
}

# The setting that sends lmtp.test, tls.test and, N being 0 to 999, sN.test
# and lateN.test where they belong.
sub transport
{
	my $table = "$dir/transport";

	if (!-e $table) {
		my $text = 'lmtp.test lmtp:inet:127.0.0.1:' . port('lmtp') .
		    "\n" . 'tls.test smtp:[127.0.0.1]:' . port('tls') . "\n";
		for my $n (0 .. 999) {
			my $at = '127.1.' . int($n / 250) . '.' .
			    (1 + $n % 250);
			$text .= "s$n.test smtp:[$at]:" . port('sites') .
			    "\nlate$n.test smtp:[$at]:" . port('slow') . "\n";
		}
		spew($table, $text);
	}
	return (transport_maps => "texthash:$table");
}

1;
