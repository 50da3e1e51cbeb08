package Postrider::Client;

# An SMTP client that says what it is told and minds what it hears:
#
#	my $c = Postrider::Client->new($port);
#	$c->expect(220);
#	$c->command('EHLO there', 250);
#	$c->script('MAIL FROM:<a@b.test>' => 250, 'RCPT TO:<c@d.test>' => 550);

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

sub new
{
	my ($class, $port, %o) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $port, Proto => 'tcp',
	    (defined $o{from} ? (LocalAddr => $o{from}) : ()))
	    or croak "cannot connect to port $port: $!";

	$socket->autoflush(1);
	return bless { socket => $socket, buffer => '',
	    patience => $o{patience} // 20 }, $class;
}

sub socket { return $_[0]{socket} }

# Bytes as they are.
sub raw
{
	my ($self, $bytes) = @_;

	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes) {
		my $n = syswrite $self->{socket}, $bytes;
		croak "write: $!" unless defined $n;
		substr $bytes, 0, $n, '';
	}
}

# One line with its end; undef at the end of the connection.
sub line
{
	my ($self) = @_;
	my $end = time + $self->{patience};

	while (index($self->{buffer}, "\n") < 0) {
		my $left = $end - time;
		croak 'no answer' if $left <= 0 ||
		    !IO::Select->new($self->{socket})->can_read($left);
		my $n = sysread $self->{socket}, $self->{buffer}, 65536,
		    length $self->{buffer};
		return undef unless $n;
	}
	return substr $self->{buffer}, 0, 1 + index($self->{buffer}, "\n"), '';
}

# A whole reply, lines joined by \n without CR; undef at the end.
sub reply
{
	my ($self) = @_;
	my @lines;

	for (;;) {
		my $line = $self->line // return undef;
		croak "a bare LF in: $line" unless $line =~ s/\r\n\z//;
		push @lines, $line;
		last unless $line =~ /^\d{3}-/;
	}
	return join "\n", @lines;
}

# A reply with this code (or matching this regular expression).
sub expect
{
	my ($self, $expected, $about) = @_;
	my $reply = $self->reply // '(closed)';
	my $re = ref $expected ? $expected : qr/^\Q$expected\E/;

	croak(($about // 'greeting') . ": expected $expected, got $reply")
	    unless $reply =~ $re;
	return $reply;
}

sub command
{
	my ($self, $command, $expected) = @_;

	$self->raw("$command\r\n");
	return $self->expect($expected, $command) if defined $expected;
	return $self->reply;
}

# Commands and codes in turn.
sub script
{
	my ($self, @steps) = @_;

	while (my ($command, $expected) = splice @steps, 0, 2) {
		$self->command($command, $expected);
	}
}

# A message with \n line ends: dots are stuffed, the end is sent. The reply.
sub data
{
	my ($self, $text, $expected) = @_;

	$text =~ s/\r?\n/\r\n/g;
	$text =~ s/^\./../mg;
	$text .= "\r\n" unless $text =~ /\r\n\z/ || $text eq '';
	$self->raw("$text.\r\n");
	return $self->expect($expected // 250, 'message');
}

# Has the other side closed?
sub is_closed
{
	my ($self) = @_;

	return !defined $self->reply;
}

# Is there something to read, or does it come within so many seconds?
sub has_input
{
	my ($self, $seconds) = @_;

	return length $self->{buffer} > 0 ||
	    IO::Select->new($self->{socket})->can_read($seconds // 0) ? 1 : 0;
}

# What has come, as bytes; '' when there is nothing.
sub input
{
	my ($self) = @_;

	sysread $self->{socket}, $self->{buffer}, 65536,
	    length $self->{buffer} if IO::Select->new($self->{socket})
	    ->can_read(0);
	my $bytes = $self->{buffer};
	$self->{buffer} = '';
	return $bytes;
}

sub close { CORE::close $_[0]{socket} }

1;
