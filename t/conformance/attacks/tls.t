# tls.t - attacks on TLS, and by means of it, against a server.
use strict;
use warnings;
use Test::More;
use IO::Socket::SSL;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);
use Postrider qw(free_port slurp wait_for);
use Postrider::CA;
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(smtps need other);
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_loglevel => 1,
	smtpd_tls_CAfile => '${config_directory}/ca/ca.pem',
	smtpd_client_connection_count_limit => 0 },
    master => "127.0.0.1:$port{smtps} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes\n" .
    "127.0.0.1:$port{need} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_wrappermode=yes -o smtpd_tls_req_ccert=yes\n" .
    "127.0.0.1:$port{other} inet n - n - - smtpd\n" .
    "  -o smtpd_tls_CAfile=\${config_directory}/other/ca.pem\n" .
    "  -o smtpd_tls_ask_ccert=yes\n");
$port{smtp} = $sut->port;
my $ca = Postrider::CA->new($sut->etc . '/ca');
Postrider::CA->new($sut->etc . '/other');
my $mx = $ca->issue(name => 'sut.test');
$sut->set(smtpd_tls_chain_files => $mx->{all});
$sut->start;

sub s_client
{
	my ($name, $input, @options) = @_;
	my @way = $name eq 'smtp' || $name eq 'other' ? qw(-starttls smtp) : ();

	local $ENV{OPENSSL_CONF} = '/dev/null';
	return scalar `($input) | timeout 30 openssl s_client -connect 127.0.0.1:$port{$name} @way @options 2>&1`;
}

# CPU seconds and memory in kB of all smtpd.
sub cpu
{
	my $sum = 0;

	for my $pid ($sut->children('smtpd')) {
		my @field = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //r;
		$sum += ($field[11] // 0) + ($field[12] // 0);
	}
	return $sum / 100;
}

sub memory
{
	my $most = 0;

	for my $pid ($sut->children('smtpd')) {
		my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
		$most = $kb if ($kb // 0) > $most;
	}
	return $most;
}

# All that comes until the end.
sub rest
{
	my ($socket) = @_;
	my $all = '';

	local $SIG{ALRM} = sub { die "no end\n" };
	alarm 20;
	while (sysread $socket, my $some, 65536) { $all .= $some }
	alarm 0;
	return $all;
}

# --- commands behind STARTTLS -------------------------------------------------
for my $tail ("RSET\r\nEHLO inj\r\n", "NO", "\x16\x03\x01", "\r\n") {
	my $c = $sut->stranger;
	$c->raw("STARTTLS\r\n$tail");
	my $shown = $tail =~ s/[^ -~]/?/gr;
	my $heard = $c->reply;
	like($heard, qr/^[45]\d\d /, "TLS-01 \"$shown\" behind STARTTLS");
	is(rest($c->socket), '', 'TLS-01 ends the session');
}
{
	# It may come a moment later as well: then it is no handshake.
	my $c = $sut->stranger;
	$c->command('STARTTLS', 220);
	$c->raw("RSET\r\nEHLO inj\r\n");
	unlike(rest($c->socket), qr/\d\d\d /,
	    'TLS-01 nothing of it is a command');
	unlike($sut->log, qr/helo=<inj>|rset=/, 'TLS-01 nor was any of it run');
}
{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<a@b.test>', 250);
	$c->command('RCPT TO:<alice@local.test>', 250);
	$c->command('STARTTLS', 220);
	$c->encrypt;
	like($c->command('DATA'), qr/^503 5\.5\.1 /,
	    'TLS-03 the transaction did not come along');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^503 5\.5\.1 /,
	    'TLS-03 nor did EHLO');
	$c->command('EHLO c.test', 250);
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250 /,
	    'TLS-03 which is to be said again');
}

# --- renegotiation ------------------------------------------------------------
{
	my $before = cpu();
	my $said = s_client('smtp', join('; ', 'sleep 0.3',
	    "printf 'MAIL FROM:<a\@b.test>\\r\\n'", 'sleep 0.2',
	    'for i in 1 2 3 4 5 6 7 8 9 10; do echo R; sleep 0.05; done'),
	    '-tls1_2');
	my $times = () = $said =~ /RENEGOTIATING/g;
	cmp_ok($times, '>=', 1, 'TLS-07 a client tries');
	like($said, qr/no renegotiation|unexpected eof/i,
	    'TLS-07 and is refused');
	cmp_ok(cpu() - $before, '<', 1, 'TLS-07 at little cost');
}

# --- other protocols ----------------------------------------------------------
{
	my $c = Postrider::Client->new($port{smtps}, from => '127.0.0.2');
	my $why = $c->encrypt(SSL_alpn_protocols => ['http/1.1']);
	like($why // 'TLS', qr/no application protocol|alert/i,
	    'TLS-09 another protocol by ALPN is refused');
	$c = Postrider::Client->new($port{smtps}, from => '127.0.0.2');
	is($c->encrypt(SSL_alpn_protocols => ['smtp', 'http/1.1']), undef,
	    'TLS-09 our own may be among others');
	$c = Postrider::Client->new($port{smtps}, from => '127.0.0.2');
	is($c->encrypt, undef, 'TLS-09 who names none is let in');
	$c->expect(220);
	$c->raw("POST /secret HTTP/1.1\r\nHost: x\r\n\r\nEHLO a\r\n" .
	    "MAIL FROM:<a\@b.test>\r\n");
	my $said = $c->reply;
	like($said, qr/^(?:221|521) /, 'TLS-09 and sent away as HTTP');
	unlike($said, qr/secret/, 'TLS-09 without an echo');
	ok($c->is_closed, 'TLS-09 at once');
}

# --- names --------------------------------------------------------------------

# What a ClientHello with this name is answered with: 22 is the server's hello,
# 21 an alert.
sub answer
{
	my ($name) = @_;
	my $c = Postrider::Client->new($port{smtps}, from => '127.0.0.2');
	my $type = $c->hello(name => $name);

	$c->close;
	return $type;
}

for my $name ('a\\', 'a' x 255, '../../etc/passwd', "a\0b", '%s%n%s%n',
    "\xc3\xa9.test", "a\r\nb", '', 'x' x 300, '.', '-.-') {
	my $type = answer($name);
	my $shown = substr $name =~ s/[^ -~]/?/gr, 0, 20;
	ok($type == 22 || $type == 21, "TLS-10 the name \"$shown\" is answered");
}
is(answer('sut.test'), 22, 'TLS-10 a good one with a handshake');
{
	answer("n$_.test") for 1 .. 50;
	my $before = memory();
	answer("name$_.test") for 1 .. 1000;
	# A sanitizer keeps what was freed.
	cmp_ok(memory() - $before, '<', 4096,
	    'TLS-10 a thousand names take no memory')
	    unless Postrider::is_sanitized();
	unlike($sut->log, qr/[^ -~\n\t]/, 'TLS-10 nothing is logged raw');
}

# --- tickets ------------------------------------------------------------------
for my $version ('tls1_2', 'tls1_3') {
	my $file = $sut->etc . '/session';
	my $quit = "sleep 0.3; printf 'QUIT\\r\\n'";
	s_client('smtp', $quit, "-$version", '-ign_eof', '-sess_out', $file);
	my %said = map { $_ => s_client($_, $quit, "-$version", '-ign_eof',
	    '-sess_in', $file) } qw(smtp need other smtps);
	like($said{smtp}, qr/^Reused, /m,
	    "TLS-11 $version: a ticket is good where it comes from");
	like($said{$_}, qr/^New, TLSv1/m, "TLS-11 $version: and not at $_")
	    for qw(need other smtps);
}

# --- connections that are cut -------------------------------------------------

# Send what is given inside TLS, then break off, by RST or FIN.
sub cut
{
	my ($how, $subject, $chunked, $bytes) = @_;
	my $c = $sut->stranger;

	$c->starttls;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command('RCPT TO:<alice@local.test>', 250);
	$c->command('DATA', 354) unless $chunked;
	$c->raw($bytes);
	my $socket = $c->socket;
	setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
	    if $how eq 'RST';
	$socket->close(SSL_no_shutdown => 1, SSL_ctx_free => 1);
}
for my $how ('FIN', 'RST') {
	for my $chunked (0, 1) {
		my $text = "Subject: cut $how $chunked\r\n\r\n" .
		    "A line of the text, and another one.\r\n";
		my $all = $chunked ? 'BDAT ' . length($text) .
		    " LAST\r\n$text" : "$text.\r\n";
		cut($how, 'cut', $chunked, substr $all, 0,
		    length($all) - $_) for 1 .. 40;
	}
}
{
	my $subject = $sut->post('alice@local.test');
	$sut->wait_mail('alice', qr/^Subject: $subject$/m);
	wait_for(sub {
		my $log = $sut->log;
		my $n = () = $log =~ /lost connection after (?:DATA|BDAT)/g;
		return $n >= 150;
	}, 30, 'the end of all that were cut');
	is(scalar(grep { /^Subject: cut/m } $sut->mail('alice')), 0,
	    'TLS-15 no message that was cut off is taken');
	my @files = grep { -f } glob $sut->spool . '/{incoming,deferred}/* ' .
	    $sut->spool . '/{incoming,deferred}/*/*';
	is("@files", '', 'TLS-15 nothing of them is left');
}

# --- the end of TLS -----------------------------------------------------------
{
	my $c = $sut->stranger;
	$c->starttls;
	$c->command('MAIL FROM:<a@b.test>', 250);
	$c->command('RCPT TO:<alice@local.test>', 250);
	$c->raw('NO');
	my $socket = $c->socket;
	$socket->stop_SSL(SSL_fast_shutdown => 1);
	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, "OP\r\n";
	unlike(rest($socket), qr/250/, 'TLS-22 nothing is heard behind close_notify');
	ok($sut->wait_log(qr/lost connection after RCPT from unknown\[127\.0\.0\.2\]/),
	    'TLS-22 it is the end');

	$c = $sut->stranger;
	$c->starttls;
	$c->raw("STARTTLS\r\nNO");
	my $heard = $c->reply;
	like($heard, qr/^5\d\d /, 'TLS-22 no second STARTTLS');
	$c->raw("OP\r\n");
	like($c->reply // 'closed', qr/^250 |closed/,
	    'TLS-22 half a command behind it is one, or nothing');

	$c = $sut->stranger;
	$c->starttls;
	$c->raw("MAIL FROM:<a\@b.test>\r\n" .
	    "RCPT TO:<alice\@local.test>\r\n" x 50);
	$c->socket->close(SSL_no_shutdown => 1);
	my $friend = $sut->stranger;
	$friend->starttls;
	like($friend->command('NOOP'), qr/^250 /,
	    'TLS-22 answers that nobody reads do no harm');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
