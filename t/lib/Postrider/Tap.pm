package Postrider::Tap;

# A TCP relay on loopback that writes down what passes, so that a test sees the
# wire between two real programs:
#
#	my $tap = Postrider::Tap->new(file => "$dir/tap", to => $port);
#	... connect to $tap->port ...
#	my @flights = $tap->flights;
#
# A flight is what the client said until the server said something.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);

my @living;
my $parent = $$;

# new(file => of the record, to => port)
sub new
{
	my ($class, %o) = @_;
	my $self = bless { %o }, $class;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
	    Listen => 32, Proto => 'tcp') or die "cannot listen: $!";

	$self->{port} = $listener->sockport;
	mkdir $o{file} or die "$o{file}: $!";
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0) {
		$SIG{TERM} = 'DEFAULT';
		$self->_serve($listener);
	}
	push @living, $self;
	return $self;
}

sub port { return $_[0]{port} }

# Flights of all connections, one connection after the other.
sub flights
{
	my ($self) = @_;

	return map { split /\0/, Postrider::slurp($_) }
	    sort glob("$self->{file}/*");
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} // return;

	kill 'TERM', $pid;
	waitpid $pid, 0;
}

# One process carries all connections.
sub _serve
{
	my ($self, $listener) = @_;
	my $select = IO::Select->new($listener);
	my (%other, %record, %ended);
	my $number = 0;

	$SIG{PIPE} = 'IGNORE';
	for (;;) {
		for my $from ($select->can_read) {
			if ($from == $listener) {
				my $client = $listener->accept // next;
				my $server = IO::Socket::INET->new(
				    PeerAddr => '127.0.0.1',
				    PeerPort => $self->{to}) // next;
				@other{$client, $server} = ($server, $client);
				open $record{$client}, '>>:raw', sprintf
				    '%s/%04d', $self->{file}, $number++;
				for ($client, $server) {
					setsockopt $_, IPPROTO_TCP,
					    TCP_NODELAY, 1;
					$select->add($_);
				}
				next;
			}
			my $to = $other{$from} // next;
			my $count = sysread $from, my $bytes, 65536;
			if (!$count) {		# one direction is over
				$select->remove($from);
				shutdown $to, 1;
				$ended{$from} = 1;
				next unless $ended{$to};
				delete @other{$from, $to};
				delete @ended{$from, $to};
				delete @record{$from, $to};
				next;
			}
			syswrite $record{$from} // $record{$to},
			    $record{$from} ? $bytes : "\0";
			for (my $at = 0; $at < $count; ) {
				$at += syswrite($to, $bytes, $count - $at,
				    $at) // last;
			}
		}
	}
}

END {
	if ($$ == $parent) {
		my $status = $?;
		$_->stop for @living;
		$? = $status;
	}
}

1;
