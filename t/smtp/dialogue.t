# dialogue.t - every answer that a command may get, and what is said then.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_helo_timeout => '3s', smtp_mail_timeout => '3s',
	smtp_rcpt_timeout => '3s', smtp_data_init_timeout => '3s',
	smtp_data_done_timeout => '3s', smtp_processes => 1,
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_connection_cache_time_limit => '1s',
	smtpd_recipient_limit => 2000, smtp_destination_recipient_limit => 1000,
});
my $etc = $mail->etc;
my ($routes, @servers, %expected) = ('');
my $own = $$;
END { kill 'KILL', @servers if defined $own && $$ == $own }

# A server whose answers are scripted: { verb => answer }, bytes as they are
# but for the last line end. It notes each segment that it reads.
sub server {
	my ($name, $says, %o) = @_;
	my $listener = IO::Socket::INET->new(Listen => 20,
	    LocalAddr => '127.0.0.1', Proto => 'tcp') or die "no listener: $!";
	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, $o{buffer} if $o{buffer};

	$routes .= "$name.test smtp:[127.0.0.1]:" . $listener->sockport . "\n";
	my $pid = fork // die "fork: $!";
	push @servers, $pid;
	return if $pid != 0;
	while (my $client = $listener->accept) {
		next if fork;
		converse($client, $name, $says);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

my %usual = (CONNECT => '220 server.test', HELO => '250 server.test',
    EHLO => "250-server.test\r\n250-PIPELINING\r\n250-SIZE\r\n250 DSN",
    MAIL => '250 Ok', RCPT => '250 Ok', DATA => '354 go', DOT => '250 taken',
    RSET => '250 Ok', QUIT => '221 bye');

sub converse {
	my ($client, $name, $says) = @_;
	my ($in, $in_data, $out) = ('', 0, '');
	my $say = sub {
		my $answer = $says->{$_[0]} // $usual{$_[0]} // '500 what?';
		$answer = $answer->() if ref $answer;
		POSIX::_exit(0) if $answer eq 'CLOSE';
		$out .= "$answer\r\n";
		return $answer;
	};
	my $note = sub {
		open my $f, '>>', "$etc/$name.heard" or return;
		syswrite $f, $_[0];
	};

	$say->('CONNECT');
	for (;;) {
		syswrite $client, $out if length $out;
		$out = '';
		sysread $client, my $bytes, 65536 or last;
		$note->("[$bytes]");
		$in .= $bytes;
		while ($in =~ s/^(.*?)\r\n//s) {
			my $line = $1;
			if ($in_data) {
				next if $line ne '.';
				$in_data = 0;
				$say->('DOT');
				next;
			}
			my $verb = uc(($line =~ /^(\S+)/)[0] // '');
			my $answer = $say->($verb);
			$in_data = $verb eq 'DATA' && $answer =~ /^3/;
			if ($verb eq 'QUIT') {
				syswrite $client, $out;
				POSIX::_exit(0);
			}
		}
	}
}
sub heard { return Postrider::slurp("$etc/$_[0].heard") }
sub lines { return heard($_[0]) =~ s/\]\[|^\[|\]\z//gr =~ s/\r//gr }

# Name, script, what becomes of a message, and what of the lines that the
# server gets.
my $no_text = qr/\A(?!.*^Subject:)/ms;
my @cases = (
	# DATA
	(map { [ "data$_->[0]", { DATA => $_->[1] },
	    $_->[2], qr/$no_text.*^DATA\n/ms ] }
	    ['250', '250 fine', qr/dsn=4\.5\.0, status=deferred/],
	    ['451', '451 4.3.0 later', qr/dsn=4\.3\.0, status=deferred/],
	    ['503', '503 5.5.1 what', qr/dsn=5\.5\.1, status=bounced/],
	    ['554', '554 5.7.1 no', qr/dsn=5\.7\.1, status=bounced/]),
	[ 'data354', { RCPT => '550 5.1.1 who?' }, qr/dsn=5\.1\.1, status=bounced/,
	    qr/$no_text.*^DATA\n\.\n/ms ],
	[ 'mail354', { MAIL => '550 5.7.1 no' }, qr/dsn=5\.7\.1, status=bounced/,
	    qr/$no_text.*^DATA\n\.\n/ms ],
	[ 'continued', { DATA => "354-go\r\n354 on", CONNECT =>
	    "220-a\r\n220-b\r\n220 c", MAIL => "250-x\r\n250 y",
	    RCPT => "250-x\r\n250-y\r\n250 z", DOT => "250-a\r\n250 b" },
	    qr/status=sent \(250-a 250 b\)/, qr/^Subject:/m ],
	# codes
	[ 'rcpt259', { RCPT => '259 odd' }, qr/status=sent/, qr/^Subject:/m ],
	[ 'rcpt251', { RCPT => '251 elsewhere' }, qr/status=sent/,
	    qr/^Subject:/m ],
	[ 'rcpt551', { RCPT => '551 5.1.6 try <x@elsewhere.test>' },
	    qr/dsn=5\.1\.6, status=bounced/, qr/\A(?!.*elsewhere)/s ],
	[ 'rcpt459', { RCPT => '459 odd' }, qr/status=deferred/, $no_text ],
	[ 'rcpt559', { RCPT => '559 odd' }, qr/status=bounced/, $no_text ],
	[ 'words', { RCPT => '250 error: failed' }, qr/status=sent/, qr// ],
	[ 'nowords', { RCPT => '550 OK' }, qr/status=bounced/, qr// ],
	(map { [ "out$_", { RCPT => "$_ hi" },
	    qr/dsn=4\.4\.2, status=deferred \(malformed reply/, $no_text ] }
	    650, 199, 25, 'abc', '2500'),
	[ 'wait', { DOT => '350 and?' }, qr/dsn=4\.5\.0, status=deferred/,
	    qr/^Subject:/m ],
	# sizes
	[ 'mail552', { MAIL => '552 too big' }, qr/dsn=5\.3\.4, status=bounced/,
	    $no_text ],
	[ 'mail452', { MAIL => '452 4.3.1 full' },
	    qr/dsn=4\.3\.1, status=deferred/, $no_text ],
	[ 'dot552', { DOT => '552 too big' }, qr/dsn=5\.3\.4, status=bounced/,
	    qr/^Subject:/m ],
	[ 'dot452', { DOT => '452 4.3.1 full' },
	    qr/dsn=4\.3\.1, status=deferred/, qr/^Subject:/m ],
	[ 'long', { MAIL => '250 ' . 'x' x 5000, RCPT =>
	    join("\r\n", ('250-x') x 2000, '250 y') }, qr/status=sent/, qr// ],
	[ 'endless', { RCPT => join("\r\n", ('250-x') x 20000, '250 y') },
	    qr/status=deferred \(malformed reply/, $no_text ],
	# offers
	[ 'nothing', { EHLO => '250 server.test' }, qr/status=sent/,
	    qr/^MAIL FROM:<s\@remote\.test>\nRCPT TO:<r\@nothing\.test>\nDATA\n/m ],
	[ 'refused', { CONNECT => '554 no' }, qr/status=deferred/,
	    qr/\AQUIT\n\z/ ],
	[ 'noehlo', { EHLO => '502 what', HELO => '550 no' },
	    qr/status=deferred/, qr/\AEHLO \S+\nHELO \S+\nQUIT\n\z/ ],
	[ 'busy', { RCPT => '421 4.3.2 busy' },
	    qr/dsn=4\.3\.2, status=deferred/, $no_text ],
);
server($_->[0], $_->[1]) for @cases;
# The window is small, and answers come before all is read.
server('window', { EHLO => "250-server.test\r\n250 PIPELINING" },
    buffer => 2048);
server('single', { EHLO => '250 server.test' });
Postrider::spew("$etc/routes", $routes);
$mail->set(transport_maps => "texthash:$etc/routes");
$mail->start;

$mail->send(from => 's@remote.test', to => ["r\@$_->[0].test"]) for @cases;
for my $case (@cases) {
	my ($name, undef, $outcome, $lines) = @$case;

	like($mail->wait_log(qr/to=<r\@$name\.test>, relay=.*\n/, 30),
	    $outcome, "$name: the outcome");
	Postrider::wait_for(sub { heard($name) =~ /QUIT\r\n\]?\z/ }, 10,
	    "$name: QUIT") if $lines =~ /QUIT/;
	like(lines($name), $lines, "$name: what was said");
}

# Each session ends with QUIT, after refusals, too; and says it alone.
for my $name (qw(data451 data554 data354 mail354 mail552 dot552 rcpt551)) {
	ok(eval { Postrider::wait_for(sub { heard($name) =~
	    /\[(RSET\r\n\]\[)?QUIT\r\n\]\z/ }, 10, 'QUIT') },
	    "$name: ends with QUIT") or diag heard($name);
}

# A group ends with DATA; RSET, DATA and QUIT stand alone in their lines.
for my $name (map { $_->[0] } grep { $_->[0] ne 'nothing' } @cases) {
	for my $segment (heard($name) =~ /\[([^\]]*)\]/g) {
		next unless $segment =~ /^DATA\r\n/m;
		next if $segment =~ /^DATA\r\n\z/m;
		fail("$name: something follows DATA: $segment");
	}
}
unlike(join('', map { lines($_->[0]) } @cases),
    qr/^(?:RSET|DATA|QUIT)[^\n]|^[a-z]+ |^(?:VRFY|EXPN|SEND|NOOP|HELP|TURN)/m,
    'no arguments, no small letters, nothing that nobody needs');
like(heard('rcpt259'), qr/\[MAIL FROM:<s\@remote\.test> SIZE=(\d+)\r\nRCPT TO:<r\@rcpt259\.test>\r\nDATA\r\n\]/,
    'a group in one segment');
my ($size) = heard('rcpt259') =~ /SIZE=(\d+)/;
my ($data) = heard('rcpt259') =~ s/\]\[//gr =~ /DATA\r\n(.*?\r\n)\.\r\n/s;
is(length $data, $size, 'SIZE is what is sent');

# Many recipients.
for my $name ('window', 'single') {
	$mail->send(from => 's@remote.test',
	    to => [map { "recipient-number-$_\@$name.test" } 1 .. 1000]);
	ok(eval { Postrider::wait_for(sub {
		$mail->said(qr/\@$name\.test>, relay=.*status=sent/) == 1000
	}, 30) }, "$name: a thousand recipients");
}
ok(!(grep { /\n./ } heard('single') =~ /\[((?:MAIL|RCPT|DATA)[^\]]*)\]/g),
    'without PIPELINING each command waits for its answer');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
