package Postrider::Client;

# An SMTP client that says what it is told and minds what it hears:
#
#	my $c = Postrider::Client->new($port);
#	$c->expect(220);
#	$c->command('EHLO there', 250);
#	$c->script('MAIL FROM:<a@b.test>' => 250, 'RCPT TO:<c@d.test>' => 550);
#	$c->starttls;			# STARTTLS, the handshake, and EHLO
#	$c->encrypt(SSL_version => 'TLSv1_2');	# the handshake alone

use strict;
use warnings;

use Carp qw(croak);
use Errno ();
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

sub new
{
	my ($class, $port, %o) = @_;
	my $socket = IO::Socket::INET->new(
	    PeerAddr => $o{host} // '127.0.0.1', PeerPort => $port,
	    Proto => 'tcp',
	    (defined $o{host} ? (Timeout => $o{patience} // 20) : ()),
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

# A handshake, with options as IO::Socket::SSL has them; nothing is verified
# unless they say so. undef, or why it failed.
sub encrypt
{
	my ($self, %o) = @_;

	local $SIG{PIPE} = 'IGNORE';
	require IO::Socket::SSL;
	return undef if IO::Socket::SSL->start_SSL($self->{socket},
	    SSL_verify_mode => 0, Timeout => $self->{patience}, %o);
	no warnings 'once';
	return $IO::Socket::SSL::SSL_ERROR || 'no reason given';
}

# The command and what belongs to it; dies if it fails. The reply to EHLO.
sub starttls
{
	my ($self, %o) = @_;

	$self->command('STARTTLS', 220);
	my $why = $self->encrypt(%o);
	croak "TLS: $why" if defined $why;
	return $self->command('EHLO c.test', 250);
}

# The type of the record that a hand-made ClientHello of TLS 1.2 is answered
# with: 22 is a handshake, 21 an alert, -1 the end. name: of SNI; ciphers: their
# numbers.
sub hello
{
	my ($self, %o) = @_;
	my $extension = sub { pack 'n n/a*', @_ };
	my $extensions = join '', defined $o{name} ? $extension->(0,
	    pack 'n/a*', "\0" . pack 'n/a*', $o{name}) : (),
	    $extension->(10, pack 'n/a*', pack 'n*', 29, 23),
	    $extension->(11, "\1\0"), $extension->(13,
	    pack 'n/a*', pack 'n*', 0x0403, 0x0804, 0x0401, 0x0201);
	my $body = "\3\3" . 'r' x 32 . "\0" . pack('n/a*', pack 'n*',
	    @{ $o{ciphers} // [0xc02b, 0xc02f] }) . "\1\0" .
	    pack('n/a*', $extensions);
	my $answer = '';

	$self->raw("\x16\3\1" . pack 'n/a*', "\1\0" . pack 'n/a*', $body);
	return sysread($self->{socket}, $answer, 1) ? ord $answer : -1;
}

# Read what comes within so many seconds: bytes, 0 at the end, undef for
# nothing. What TLS has decrypted does not show on the socket, and what does may
# be a ticket.
sub _fill
{
	my ($self, $seconds) = @_;
	my $socket = $self->{socket};
	my $is_tls = $socket->can('pending');
	my $end = time + $seconds;

	for (;;) {
		my $left = $end - time;
		return undef unless $is_tls && $socket->pending ||
		    IO::Select->new($socket)->can_read($left > 0 ? $left : 0);
		$socket->blocking(0) if $is_tls;
		my $n = sysread $socket, $self->{buffer}, 65536,
		    length $self->{buffer};
		my $again = !defined $n && $!{EAGAIN};
		$socket->blocking(1) if $is_tls;
		return $n // 0 unless $again;
	}
}

# One line with its end; undef at the end of the connection.
sub line
{
	my ($self) = @_;
	my $end = time + $self->{patience};

	while (index($self->{buffer}, "\n") < 0) {
		my $left = $end - time;
		my $n = $self->_fill($left) // croak 'no answer';
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
	    defined $self->_fill($seconds // 0) ? 1 : 0;
}

# What has come, as bytes; '' when there is nothing.
sub input
{
	my ($self) = @_;

	$self->_fill(0);
	my $bytes = $self->{buffer};
	$self->{buffer} = '';
	return $bytes;
}

sub close { CORE::close $_[0]{socket} }

1;
