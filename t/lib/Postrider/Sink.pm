package Postrider::Sink;

# A server that takes mail by SMTP (or LMTP) and keeps it, in a process of its
# own; it can be told to misbehave:
#
#	my $sink = Postrider::Sink->new(directory => $d, replies => sub {
#		my ($verb, $line, $session) = @_;
#		return '450 4.2.1 later' if $verb eq 'RCPT' && $line =~ /bob/;
#		return undef;		# as usual
#	});
#	my @messages = $sink->messages;	# { helo, from, rcpt => [], data, ... }
#
# The verbs are those of SMTP, CONNECT for the greeting, CONTENT when a message
# is about to come, and DOT for its end. CRLF inside an answer makes more lines.
# Instead of an answer there may be: CLOSE, which hangs up; RESET, which does so
# rudely; HANG, which says nothing any more; a reference to bytes that are sent
# as they are; or a list of all these, in turn. $session has helo, from, rcpt,
# number (of the session, from 1), count (messages of this session so far) and
# data (of the last one).
#
# BDAT is understood by whoever offers CHUNKING in `extensions`: its verb comes
# when the chunk has been read, and DOT behind the last one; after a refusal
# the sink wants RSET. A message has chunks then, the sizes it came in.
#
# With tls => { cert => FILE, key => FILE } it offers STARTTLS and does it when
# the answer to that begins with 2, without CLOSE behind it; bytes after a
# "220" in the answer reach the client in one packet with it. More of tls:
#
#	wrapped => 1	TLS from the first byte
#	version		'TLSv12', 'TLSv1'..., as IO::Socket::SSL has it
#	ciphers		OpenSSL's words
#	client_ca	a file: the client must have a certificate of it
#	garbage		bytes to send in place of a handshake
#
# In TLS, $session->{tls} has version, cipher, sni, is_resumed, client (the
# name in its certificate) and first, the first byte behind STARTTLS' answer;
# what was said before is forgotten. A handshake that fails is in trouble().
#
# With auth => { mechanisms => 'PLAIN LOGIN', user => ..., password => ...,
# token => ... } it offers AUTH and takes it (Postrider::Sasl); MAIL is refused
# before that if is_required is set. Its verbs are AUTH, and RESPONSE for each
# line of the client's behind a challenge; a reply that begins with 334 goes on
# with the exchange of the sink's own. $session->{auth} is who it was, then,
# and auth_lines what he said.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::IP;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Storable ();
use Time::HiRes qw(sleep time);

sub new
{
	my ($class, %o) = @_;
	my $self = bless { %o }, $class;
	my $listener;

	mkdir $o{directory} or die "$o{directory}: $!";
	if (defined $o{path}) {
		$listener = IO::Socket::UNIX->new(Local => $o{path},
		    Listen => 128);
	} else {
		my $family = ($o{address} // '') =~ /:/ ? 'IO::Socket::IP' :
		    'IO::Socket::INET';
		# Another sink may want the same port at the address next to it,
		# where old clients can occupy it for a minute.
		for (1 .. 20) {
			$listener = $family->new(LocalAddr =>
			    $o{address} // '127.0.0.1',
			    LocalPort => $o{port} // 0,
			    Listen => 128, ReuseAddr => 1, Proto => 'tcp');
			last if !$listener || $o{port} ||
			    IO::Socket::INET->new(LocalAddr => '127.0.0.2',
			    LocalPort => $listener->sockport, Listen => 1,
			    ReuseAddr => 1, Proto => 'tcp');
		}
		$self->{port} = $listener->sockport if $listener;
	}
	die "cannot listen: $!" unless $listener;
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0) {
		$self->_serve($listener);
		POSIX::_exit(0);
	}
	return $self;
}

sub port { return $_[0]{port} }

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} // return;

	kill 'TERM', $pid;
	waitpid $pid, 0;
}

# What has arrived, in the order of the dots.
sub messages
{
	my ($self) = @_;

	return map { Storable::retrieve($_) }
	    sort glob("$self->{directory}/message.*");
}

sub count { return scalar(my @files = glob("$_[0]{directory}/message.*")) }

# With is_noting => 1: what the client sent in each session, byte by byte.
sub raw
{
	my ($self) = @_;

	return map { Postrider::slurp($_) } sort glob("$self->{directory}/raw.*");
}

# What handshakes failed for, a line each.
sub trouble { return Postrider::slurp("$_[0]{directory}/trouble") }

# How clients left TLS: "polite" (with close_notify) or "rude", a line each.
sub farewells { return Postrider::slurp("$_[0]{directory}/farewells") }

# How many connections there were.
sub sessions { return -s "$_[0]{directory}/sessions" || 0 }

# --- the process --------------------------------------------------------------

sub _serve
{
	my ($self, $listener) = @_;
	my %children;

	setpgrp 0, 0;
	$self->_prepare_tls if $self->{tls};
	$SIG{TERM} = sub { kill 'KILL', keys %children; POSIX::_exit(0) };
	$SIG{CHLD} = 'DEFAULT';
	for (my $number = 1; ; ) {
		my $client = $listener->accept;
		while ((my $gone = waitpid(-1, POSIX::WNOHANG())) > 0) {
			delete $children{$gone};
		}
		next unless $client;
		open my $f, '>>', "$self->{directory}/sessions";
		syswrite $f, '.';
		my $pid = fork;
		if (defined $pid && $pid == 0) {
			$SIG{TERM} = 'DEFAULT';
			$self->_session($client, $number);
			POSIX::_exit(0);
		}
		$children{$pid} = 1 if defined $pid;
		$number++;
	}
}

# One context for all sessions, so that they can be resumed in another child.
sub _prepare_tls
{
	my ($self) = @_;
	my $o = $self->{tls};

	require IO::Socket::SSL;
	$self->{context} = IO::Socket::SSL::SSL_Context->new(SSL_server => 1,
	    SSL_session_id_context => 'sink',
	    ($o->{cert} ? (SSL_cert_file => $o->{cert},
	    SSL_key_file => $o->{key}) : ()),
	    SSL_version => $o->{version} // 'SSLv23:!SSLv3:!SSLv2',
	    ($o->{ciphers} ? (SSL_cipher_list => $o->{ciphers}) : ()),
	    ($o->{client_ca} ? (SSL_ca_file => $o->{client_ca},
	    SSL_verify_mode => 0x01 | 0x02) : (SSL_verify_mode => 0)))
	    or die "no TLS in a sink: $IO::Socket::SSL::SSL_ERROR\n";
}

# TLS from here on; false if that failed.
sub _start_tls
{
	my ($self, $s) = @_;

	$self->_flush;
	@$self{qw(in at)} = ('', 0);
	recv $self->{client}, my $first, 1, Socket::MSG_PEEK();
	if (defined $self->{tls}{garbage}) {
		syswrite $self->{client}, $self->{tls}{garbage};
		return 0;
	}
	if (!IO::Socket::SSL->start_SSL($self->{client}, SSL_server => 1,
	    SSL_reuse_ctx => $self->{context})) {
		open my $f, '>>', "$self->{directory}/trouble";
		print $f "$IO::Socket::SSL::SSL_ERROR\n";
		return 0;
	}
	my $c = $self->{client};
	$self->{is_encrypted} = 1;
	%$s = (number => $s->{number}, count => 0, rcpt => [], tls => {
	    version => $c->get_sslversion, cipher => $c->get_cipher,
	    sni => $c->get_servername // '', first => $first,
	    is_resumed => $c->get_session_reused ? 1 : 0,
	    client => scalar($c->peer_certificate('commonName')) // '' });
	return 1;
}

my %usual = (
	CONNECT => '220 sink.test ESMTP', HELO => '250 sink.test',
	MAIL => '250 2.1.0 Ok', RCPT => '250 2.1.5 Ok',
	DATA => '354 go ahead', DOT => '250 2.0.0 Ok: taken',
	RSET => '250 2.0.0 Ok', NOOP => '250 2.0.0 Ok',
	QUIT => '221 2.0.0 Bye', STARTTLS => '220 2.0.0 go',
);

# What this verb is answered with.
sub _reply
{
	my ($self, $session, $verb, $line) = @_;
	my $reply;

	$reply = $self->{replies}->($verb, $line, $session)
	    if $self->{replies};
	if (!defined $reply && $verb =~ /^[EL]HLO$/) {
		$reply = join "\r\n", (map { "250-$_" } 'sink.test',
		    @{ $self->{extensions} // [qw(PIPELINING 8BITMIME
		    ENHANCEDSTATUSCODES DSN), 'SIZE 0'] },
		    $self->{tls} && !$session->{tls} ? 'STARTTLS' : (),
		    $self->{auth} ? "AUTH $self->{auth}{mechanisms}" : ()),
		    '250 HELP';
	}
	$reply //= '530 5.7.0 who are you?' if $verb eq 'MAIL' &&
	    $self->{auth} && $self->{auth}{is_required} &&
	    !defined $session->{auth};
	$reply //= '554 5.5.1 no valid recipients'
	    if $verb eq 'DATA' && !@{ $session->{rcpt} };
	return $reply // $usual{$verb} // '500 5.5.2 what?';
}

# Say it; its first digit, or '' to leave. What is said goes out when nothing
# more is there to be read, as servers do that pipeline.
sub _say
{
	my ($self, $reply) = @_;

	if (ref $reply eq 'ARRAY') {
		my $class = '';
		for my $part (@$reply) {
			$class = $self->_say($part);
			last if $class eq '';
		}
		return $class;
	}
	my $bytes = ref $reply ? $$reply : "$reply\r\n";
	if ($bytes !~ /^(CLOSE|HANG|RESET)\r\n\z/) {
		$self->{out} .= $bytes;
		return substr $bytes, 0, 1;
	}
	$self->_flush;
	sleep 3600 if $1 eq 'HANG';
	setsockopt $self->{client}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
	    if $1 eq 'RESET';
	return '';
}

sub _flush
{
	my ($self) = @_;

	while (length $self->{out}) {
		my $n = syswrite $self->{client}, $self->{out};
		if (!defined $n) {	# nobody listens
			$self->_farewell if $self->{is_encrypted};
			POSIX::_exit(0);
		}
		substr $self->{out}, 0, $n, '';
	}
}

# A line with its end; undef when there will be none.
sub _line
{
	my ($self) = @_;

	for (;;) {
		my $end = index $self->{in}, "\n", $self->{at};
		if ($end >= 0) {
			my $line = substr $self->{in}, $self->{at},
			    $end + 1 - $self->{at};
			$self->{at} = $end + 1;
			return $line;
		}
		substr $self->{in}, 0, $self->{at}, '';
		$self->{at} = 0;
		$self->_flush;
		my $n = sysread $self->{client}, $self->{in}, 65536,
		    length $self->{in};
		return undef unless $n;
		$self->_note(substr $self->{in}, -$n);
	}
}

# Every byte that came, a file for each session, when that is asked for.
sub _note
{
	my ($self, $bytes) = @_;

	return unless $self->{is_noting};
	open my $f, '>>:raw', sprintf '%s/raw.%06d', $self->{directory},
	    $self->{number} or return;
	print $f $bytes;
}

sub _answer
{
	my ($self, @about) = @_;

	return $self->_say($self->_reply(@about));
}

sub _session
{
	my ($self, $client, $number) = @_;
	my $s = { number => $number, count => 0, rcpt => [] };

	@$self{qw(client in at out number)} = ($client, '', 0, '', $number);
	# Who leaves at once has not read the tickets of TLS 1.3.
	$SIG{PIPE} = 'IGNORE' if $self->{tls};
	setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1 unless $self->{path};
	return if $self->{tls} && $self->{tls}{wrapped} &&
	    !$self->_start_tls($s);
	my $class = $self->_answer($s, 'CONNECT', '');
	while ($class ne '') {
		my $line = $self->_line // last;
		$line =~ s/\r\n\z//;
		my $verb = uc($line =~ /^(\S+)/ ? $1 : '');
		if ($verb eq 'BDAT' && $self->_has_chunking) {
			$class = $self->_chunk($s, $line);
			next;
		}
		if ($verb eq 'AUTH' && $self->{auth}) {
			$class = $self->_auth($s, $line);
			next;
		}
		$class = $self->_answer($s, $verb, $line);
		last if $verb eq 'QUIT' || $class eq '';
		next if $class gt '3';
		return if $verb eq 'STARTTLS' && !$self->_start_tls($s);
		$s->{helo} = $line if $verb =~ /^(HELO|[EL]HLO)$/;
		if ($verb eq 'MAIL') {
			@$s{qw(from mail rcpt rcpt_lines)} =
			    ($line =~ /<(.*?)>/, $line, [], []);
		} elsif ($verb eq 'RCPT') {
			push @{ $s->{rcpt} }, $line =~ /<(.*?)>/;
			push @{ $s->{rcpt_lines} }, $line;
		} elsif ($verb eq 'DATA') {
			$class = $self->_data($s);
		} elsif ($verb eq 'RSET') {
			$s->{rcpt} = [];
		}
		delete @$s{qw(chunks chunked is_spoilt)}
		    if $verb =~ /^(MAIL|RSET|EHLO|LHLO)$/;
	}
	$self->_flush unless $class eq '';
	$self->_farewell if $self->{is_encrypted};
}

# The client closes first, politely (close_notify) or not; then we do.
sub _farewell
{
	my ($self) = @_;
	my $c = $self->{client};

	alarm 10;
	1 while sysread $c, my $rest, 4096;
	my $is_polite = Net::SSLeay::get_shutdown($c->_get_ssl_object) & 2;
	open my $f, '>>', "$self->{directory}/farewells";
	print $f $is_polite ? "polite\n" : "rude\n";
	close $f;
	$c->close;
}

my %auth_text = (235 => '2.7.0 welcome', 535 => '5.7.8 you are not',
    501 => '5.5.2 what?', 504 => '5.5.4 unknown mechanism');

# AUTH and all that belongs to it (RFC 4954 4).
sub _auth
{
	my ($self, $s, $line) = @_;
	my ($mechanism, $initial) = $line =~ /^AUTH (\S+)(?: (\S+))?$/i
	    or return $self->_say('501 5.5.4 AUTH mechanism');
	my $reply = $self->{replies} ?
	    $self->{replies}->('AUTH', $line, $s) : undef;

	require Postrider::Sasl;
	push @{ $s->{auth_lines} }, $line;
	return $self->_say('504 5.5.4 unknown mechanism')
	    unless Postrider::Sasl->is_known($mechanism);
	my $sasl = Postrider::Sasl->new($mechanism, %{ $self->{auth} },
	    exporter => $s->{tls} ? Net::SSLeay::export_keying_material(
	    $self->{client}->_get_ssl_object, 32,
	    'EXPORTER-Channel-Binding', '') : '');
	my $said = defined $initial ? MIME::Base64::decode_base64(
	    $initial eq '=' ? '' : $initial) : undef;
	for (;;) {
		my ($code, $text) = $sasl->step($said);
		$reply //= $code == 334 ? '334 ' .
		    MIME::Base64::encode_base64($text, '') :
		    "$code $auth_text{$code}";
		my $class = $self->_say($reply);
		if ($reply !~ /^334/) {
			$s->{auth} = $sasl->who // ''
			    if !ref $reply && $reply =~ /^2/;
			return $class;
		}
		$line = $self->_line // return '';
		$line =~ s/\r\n\z//;
		push @{ $s->{auth_lines} }, $line;
		$reply = $self->{replies} ?
		    $self->{replies}->('RESPONSE', $line, $s) : undef;
		$reply //= '501 5.5.2 cancelled' if $line eq '*';
		return $self->_say($reply) if $line eq '*';
		$said = MIME::Base64::decode_base64($line);
	}
}

# Take a message, keep it if the answer to the dot is good.
sub _data
{
	my ($self, $s) = @_;
	my $data = '';

	$self->_flush;		# the client waits for 354
	my $trouble = $self->{replies} &&
	    $self->{replies}->('CONTENT', '', $s);

	return $self->_say($trouble) if defined $trouble;
	for (;;) {
		my $line = $self->_line // return '';
		last if $line eq ".\r\n";
		$line =~ s/^\.//;
		$data .= $line;
	}
	return $self->_end($s, $data);
}

sub _has_chunking { return grep { /^CHUNKING/ } @{ $_[0]{extensions} // [] } }

# Exactly so many bytes; undef when there are not as many.
sub _bytes
{
	my ($self, $count) = @_;

	while (length($self->{in}) - $self->{at} < $count) {
		$self->_flush;
		my $n = sysread $self->{client}, $self->{in}, 65536,
		    length $self->{in} or return undef;
		$self->_note(substr $self->{in}, -$n);
	}
	$self->{at} += $count;
	return substr $self->{in}, $self->{at} - $count, $count;
}

# A chunk and what is said to it.
sub _chunk
{
	my ($self, $s, $line) = @_;
	my ($count, $is_last) = $line =~ /^BDAT (\d+)( LAST)?$/i
	    or return $self->_say('501 5.5.4 BDAT size [LAST]');
	my $bytes = $self->_bytes($count) // return '';

	$s->{chunked} = ($s->{chunked} // '') . $bytes;
	push @{ $s->{chunks} }, $count;
	my $reply = $s->{is_spoilt} || !@{ $s->{rcpt} } ?
	    '503 5.5.1 no transaction' : undef;
	$reply //= $self->{replies}->('BDAT', $line, $s) if $self->{replies};
	if (defined $reply || !$is_last) {
		$reply //= '250 2.0.0 Ok';
		$s->{is_spoilt} ||= !ref $reply && $reply !~ /^2/;
		return $self->_say($reply);
	}
	return $self->_end($s, $s->{chunked});
}

# A message is here.
sub _end
{
	my ($self, $s, $data) = @_;
	my $class = '';

	$s->{count}++;
	$s->{data} = $data;
	my $message = { %$s, time => time };
	for my $rcpt ($self->{lmtp} ? @{ $s->{rcpt} } : ('')) {
		my $reply = $self->_reply($s, 'DOT', $rcpt);
		$self->_keep($message) if $reply =~ /^2/;
		$class = $self->_say($reply);
		return '' if $class eq '';
	}
	$s->{rcpt} = [];
	return $class;
}

# Written under another name first, so that nobody reads half of it.
sub _keep
{
	my ($self, $message) = @_;
	my $name = sprintf '%s/message.%017.6f.%d.%d', $self->{directory},
	    $message->{time}, $$, $message->{count};

	return if -e $name;
	Storable::nstore($message, "$self->{directory}/new.$$");
	rename "$self->{directory}/new.$$", $name;
}

1;
