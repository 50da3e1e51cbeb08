# proxy.t - a proxy in front tells whose connection it is, and all that is
# decided is about that client.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(inet_aton);
use Test::More;
use Time::HiRes qw(time);
use Postrider qw(free_port wait_for);

my ($behind, $fenced, $named) = map { free_port() } 1 .. 3;
my $mail = Postrider->new(settings => {
	local_recipient_maps => '', mydestination => 'local.test',
	smtpd_peername_lookup => 'no', relayhost => '[127.0.0.1]:9',
	smtpd_error_sleep_time => '0s', mynetworks => '127.0.0.0/8, 192.0.2.0/24',
	smtpd_client_event_limit_exceptions => '',
	smtpd_client_connection_count_limit => 2,
	defer_transports => 'smtp local', smtpd_processes => 2,
}, master => <<"END");
127.0.0.1:$behind inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy -o smtpd_upstream_proxy_timeout=2s
127.0.0.1:$fenced inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_upstream_proxy_networks=127.0.0.2
END
$mail->start;

my $signature = "\r\n\r\n\0\r\nQUIT\n";
sub v4 {
	my ($client, $more) = @_;
	my $body = inet_aton($client) . inet_aton('192.0.2.9') .
	    pack('nn', 4711, 25) . ($more // '');
	return $signature . pack('CCn', 0x21, 0x11, length $body) . $body;
}

# Connect and send these pieces in front; the client.
sub connect_with {
	my ($port, @pieces) = @_;
	my $c = $mail->client($port);
	for my $piece (@pieces) {
		$c->raw($piece);
		select undef, undef, undef, 0.02 if @pieces > 1;
	}
	return $c;
}

# One message; whom the log and the header say it came from.
sub came_from {
	my ($c) = @_;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<r@local.test>' => 250, 'DATA' => 354);
	my ($id) = $c->data("Subject: x\n\ny\n") =~ /queued as (\w+)/;
	$c->command('QUIT', 221);
	my ($client) = $mail->wait_log(qr/\b$id: client=.*\n/) =~
	    /client=(\S+)\n/;
	my ($status, $text) = $mail->postrider('queue', 'cat', $id);
	my ($received) = $text =~ /^Received: from c\.test \((.*?)\)/m;
	return "$client " . ($received // '-');
}

# Version 1 and version 2, at once and in pieces.
my $line = "PROXY TCP4 203.0.113.9 192.0.2.9 5555 25\r\n";
my %good = (
	'a line' => [$line], 'in pieces' => [split /(?<=[ .])/, $line],
	'a binary header' => [v4('203.0.113.9')],
	'in bytes' => [split //, v4('203.0.113.9')],
	'with TLVs' => [v4('203.0.113.9', "\x03\0\x02xy" x 200)],
	'with TLVs that come late' => [v4('203.0.113.9', 'x' x 4000) =~
	    /^(.{40})(.{2000})(.*)$/s],
);
for my $what (sort keys %good) {
	like(came_from(connect_with($behind, @{ $good{$what} })),
	    qr/^unknown\[203\.0\.113\.9\] unknown \[203\.0\.113\.9\]$/,
	    "$what: in the log and in Received");
}
like(came_from(connect_with($behind,
    "PROXY TCP6 2001:db8::9 2001:db8::1 5555 25\r\n")),
    qr/^unknown\[2001:db8::9\] /, 'IPv6');
like(came_from(connect_with($behind,
    "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.9 5555 25\r\n")),
    qr/^unknown\[203\.0\.113\.7\] /, 'mapped addresses are IPv4');

# What belongs to no client is the proxy's own.
for my $own ("PROXY UNKNOWN\r\n", "PROXY UNKNOWN x y z\r\n",
    $signature . pack('CCn', 0x20, 0, 0),
    $signature . pack('CCn', 0x20, 0x11, 12) . 'x' x 12,
    $signature . pack('CCn', 0x21, 0, 5) . 'x' x 5) {
	like(came_from(connect_with($behind, $own)),
	    qr/^unknown\[127\.0\.0\.1\] /, 'the proxy itself');
}

# The header in front of the greeting is not read further than it goes.
{
	my $c = connect_with($behind, "${line}EHLO early.test\r\n");
	$c->expect(220);
	like($c->reply, qr/^250-mail\.local\.test/,
	    'what stands behind the header is read as SMTP');
}

# Decisions: relaying and limits.
{
	my $c = connect_with($behind, v4('203.0.113.9'));
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	like($c->command('RCPT TO:<x@far.test>'), qr/^454/,
	    'a stranger may not relay, though the proxy might');
	my $d = connect_with($behind, v4('192.0.2.77'));
	$d->expect(220);
	$d->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	like($d->command('RCPT TO:<x@far.test>'), qr/^250/,
	    'a client of our networks may');
	my @held = map { my $e = connect_with($behind, v4('198.51.100.1'));
	    $e->expect(220); $e } 1 .. 2;
	like(connect_with($behind, v4('198.51.100.1'))->reply,
	    qr/^421 4\.7\.0 .* too many connections from 198\.51\.100\.1/,
	    'connections are counted by client');
	like(connect_with($behind, v4('198.51.100.2'))->reply, qr/^220/,
	    'each of its own');
}

# No header, no service; nor a greeting that would tell.
my %bad = (
	'EHLO' => "EHLO x\r\n", 'a short one' => "PROXY TCP4 1.2.3\r\n",
	'no end' => 'PROXY TCP4 ' . 'x' x 200,
	'an odd version' => $signature . pack('CCn', 0x31, 0x11, 12) .
	    'x' x 12,
	'a short body' => $signature . pack('CCn', 0x21, 0x11, 4) . 'xxxx',
	'a very long one' => $signature . pack('CCn', 0x21, 0x11, 65535) .
	    'x' x 100,
	'a UNIX socket' => $signature . pack('CCn', 0x21, 0x31, 216) .
	    'x' x 216,
);
for my $what (sort keys %bad) {
	my $c = connect_with($behind, $bad{$what});
	ok($c->is_closed, "$what: closed without a word");
}
is($mail->said(qr/warning: no proxy header from 127\.0\.0\.1: /),
    scalar(keys %bad), 'the log has a line for each');
{
	my $began = time;
	my $c = connect_with($behind, 'PROXY TC');
	ok($c->is_closed, 'one that does not come in time');
	my $waited = time - $began;
	ok($waited > 1.5 && $waited < 6, "is waited for: $waited s");
	ok($mail->wait_log(qr/no proxy header from \S+: it did not come in time/),
	    'and told of');
	connect_with($behind, 'PROXY ')->close;
	ok($mail->wait_log(qr/no proxy header from \S+: the connection was closed in front of it/),
	    'who leaves is told of, too');
}

# Only where it is expected, and from whom.
{
	my $c = $mail->client;
	$c->expect(220);
	like($c->command('PROXY TCP4 203.0.113.9 192.0.2.9 5555 25'),
	    qr/^500/, 'elsewhere it is no command');
	like($c->command('EHLO x.test'), qr/^250/, 'and changes nothing');
	ok(connect_with($fenced, v4('192.0.2.77'))->is_closed,
	    'a client outside of smtpd_upstream_proxy_networks is sent away');
	ok($mail->wait_log(qr/connection from 127\.0\.0\.1 refused: it is not in smtpd_upstream_proxy_networks/),
	    'and the log says why');
	my $d = Postrider::Client->new($fenced, from => '127.0.0.2');
	$d->raw(v4('203.0.113.9'));
	like($d->reply, qr/^220/, 'one inside is believed');
}

# A connection without a header does not keep the system from stopping.
{
	$mail->set(smtpd_upstream_proxy_timeout => '60s');
	my $idle = Postrider::Client->new($fenced, from => '127.0.0.2');
	select undef, undef, undef, 0.2;
	my $began = time;
	is($mail->stop, 0, 'the system stops');
	cmp_ok(time - $began, '<', 15, 'and does not wait for a header');
}

# What is not understood is not overlooked.
$mail->set(smtpd_upstream_proxy_protocol => 'nonsense');
my ($status, $text) = $mail->postrider('check');
isnt($status, 0, 'another protocol is refused');
like($text, qr/smtpd_upstream_proxy_protocol = nonsense: expected haproxy/,
    'by name') or diag $text;

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
