# proxy.t - the PROXY protocol, XCLIENT: who speaks for somebody else.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(AF_INET6 inet_aton inet_pton);
use Test::More;
use Time::HiRes qw(time);
use Postrider qw(free_port wait_for);
use Postrider::Fixture;

my ($behind, $fenced, $trusting) = map { free_port() } 1 .. 3;
my $sut = Postrider::Fixture->new(settings => { smtpd_processes => 1 },
    master => <<"END")->start;
127.0.0.1:$behind inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy -o smtpd_upstream_proxy_timeout=2s
127.0.0.1:$fenced inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_upstream_proxy_networks=127.0.0.3
127.0.0.1:$trusting inet n - n - - smtpd
  -o smtpd_authorized_xclient_hosts=127.0.0.1
END

my $number = 0;

# Connect and write these bytes before anything is said; pieces go apart.
sub knock
{
	my ($port, @pieces) = @_;
	my $c = Postrider::Client->new($port);

	for my $piece (@pieces) {
		$c->raw($piece);
		select undef, undef, undef, 0.02 if @pieces > 1;
	}
	return $c;
}

# Send a message; the addresses in the log and in Received.
sub heard_from
{
	my ($c, $helo) = @_;
	my $subject = 'from-' . $number++;

	$c->command($helo // 'EHLO c.test', 250);
	my $id = $sut->take($c, from => 's@remote.test',
	    to => ['alice@local.test'], text => "Subject: $subject\n\nx\n");
	my ($logged) = $sut->wait_log(qr/\b$id: client=.*\n/) =~
	    /client=\S*\[(\S+)\]/;
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	my ($received) = $m =~ /^Received: from [^\n]*\[(\S+?)\]\)?/m;
	$c->command('QUIT', 221);
	return "$logged " . ($received // '-');
}

sub is_from
{
	my ($bytes, $address, $name) = @_;
	my $c = knock($behind, ref $bytes ? @$bytes : $bytes);
	my $shown = $address =~ /:/ ? "IPv6:$address" : $address;

	like($c->reply, qr/^220 /, "$name: a greeting");
	like(heard_from($c), qr/^\Q$address\E \Q$shown\E$/,
	    "$name: the log and Received");
}

sub is_refused
{
	my ($bytes, $name) = @_;
	my $c = knock($behind, $bytes);

	ok(!defined eval { $c->reply }, "$name: closed, no greeting");
}

# --- version 1 ----------------------------------------------------------------

my $line = "PROXY TCP4 203.0.113.9 192.0.2.1 5555 25\r\n";
is_from($line, '203.0.113.9', 'PROXY-v1-a TCP4');
is_from([split /(?<=[ .])/, $line], '203.0.113.9', 'PROXY-v1-a in pieces');
is_from("PROXY TCP6 2001:db8::9 2001:db8::1 5555 25\r\n", '2001:db8::9',
    'PROXY-v1-a TCP6');
is_from("PROXY TCP6 ffff:f7ff:ffff:ffff:ffff:ffff:ffff:ff77 " .
    "ffff:f7ff:ffff:ffff:ffff:ffff:ffff:ff77 65535 65535\r\n",
    'ffff:f7ff:ffff:ffff:ffff:ffff:ffff:ff77', 'PROXY-v1-a a long one');
is_from("PROXY UNKNOWN\r\n", '127.0.0.1', 'PROXY-v1-a UNKNOWN');
is_from('PROXY UNKNOWN ' . 'x' x 91 . "\r\n", '127.0.0.1',
    'PROXY-v1-a UNKNOWN with what nobody reads, 107 octets');
is_refused('PROXY UNKNOWN ' . 'x' x 92 . "\r\n",
    'PROXY-v1-a 108 octets are too many');

my %bad = ('no header' => "EHLO x\r\n",
	'a short one' => "PROXY TCP4 1.2.3\r\n",
	'no end' => 'PROXY TCP4 ' . 'x' x 189,
	'LF alone' => "PROXY TCP4 203.0.113.9 192.0.2.1 5555 25\n\n\n\n" .
	    'x' x 100, 'small letters' => "proxy TCP4 203.0.113.9 192.0.2.1 " .
	    "5555 25\r\n", 'another family' => "PROXY UDP4 203.0.113.9 " .
	    "192.0.2.1 5555 25\r\n", 'a mixed one' => "PROXY TCP4 " .
	    "2001:db8::9 192.0.2.1 5555 25\r\n", 'a big port' => "PROXY TCP4 " .
	    "203.0.113.9 192.0.2.1 65536 25\r\n", 'no ports' => "PROXY TCP4 " .
	    "203.0.113.9 192.0.2.1\r\n", 'two spaces' => "PROXY TCP4  " .
	    "203.0.113.9 192.0.2.1 5555 25\r\n", 'a name' => "PROXY TCP4 " .
	    "mx.test 192.0.2.1 5555 25\r\n", 'leading zeros' => "PROXY TCP4 " .
	    "203.000.113.09 192.0.2.1 5555 25\r\n", 'TLS' =>
	    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 100);
is_refused($bad{$_}, "PROXY-v1e-a $_") for sort keys %bad;

# --- version 2 ----------------------------------------------------------------

my $signature = "\r\n\r\n\0\r\nQUIT\n";
sub v2
{
	my ($version, $family, $body, $length) = @_;

	return $signature . pack('CCn', $version, $family,
	    $length // length $body) . $body;
}
my $four = inet_aton('203.0.113.9') . inet_aton('192.0.2.1') .
    pack('nn', 5555, 25);
my $six = inet_pton(AF_INET6, '2001:db8::9') .
    inet_pton(AF_INET6, '2001:db8::1') . pack('nn', 5555, 25);

is_from(v2(0x21, 0x11, $four), '203.0.113.9', 'PROXY-v2-a TCP4');
is_from(v2(0x21, 0x21, $six), '2001:db8::9', 'PROXY-v2-a TCP6');
is_from([split //, v2(0x21, 0x11, $four)], '203.0.113.9',
    'PROXY-v2-a byte by byte');
is_from(v2(0x21, 0x11, $four . "\x03\0\x04abcd\x04\0\x02zz" x 20),
    '203.0.113.9', 'PROXY-v2-a TLVs are passed over');
is_from(v2(0x20, 0, ''), '127.0.0.1', 'PROXY-v2-a LOCAL');
is_from(v2(0x20, 0x11, $four), '127.0.0.1',
    'PROXY-v2-a LOCAL with addresses nobody asks for');
is_from(v2(0x21, 0x00, 'xxxxx'), '127.0.0.1', 'PROXY-v2-a UNSPEC');
is_refused(v2(0x21, 0x11, 'xxxx'), 'PROXY-v2-a too short for addresses');
is_refused(v2(0x21, 0x21, $four), 'PROXY-v2-a too short for IPv6');
is_refused(v2(0x21, 0x11, $four, 65535), 'PROXY-v2-a a length of 65535');
is_refused(v2(0x11, 0x11, $four), 'PROXY-v2-a another version');
is_refused(v2(0x22, 0x11, $four), 'PROXY-v2-a another command');
is_refused(v2(0x21, 0x41, $four), 'PROXY-v2-a another family');
is_refused($signature =~ s/QUIT/QUIX/r . pack('CCn', 0x21, 0x11, 12) . $four,
    'PROXY-v2-a another signature');
{
	my $c = knock($behind, substr v2(0x21, 0x11, $four), 0, 20);
	shutdown $c->socket, 1;
	ok(!defined eval { $c->reply }, 'PROXY-v2-a cut short: closed');
}

# --- mapped addresses ---------------------------------------------------------

is_from("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 5555 25\r\n",
    '192.0.2.7', 'PROXY-map-a version 1');
is_from(v2(0x21, 0x21, inet_pton(AF_INET6, '::ffff:192.0.2.7') .
    inet_pton(AF_INET6, '::ffff:192.0.2.1') . pack('nn', 5555, 25)),
    '192.0.2.7', 'PROXY-map-a version 2');

# --- who may ------------------------------------------------------------------

{
	my $c = knock($fenced, $line);
	ok(!defined eval { $c->reply },
	    'PROXY-acl-a another peer than the proxies is sent away');
	my $d = Postrider::Client->new($fenced, from => '127.0.0.3');
	$d->raw($line);
	like($d->reply, qr/^220 /, 'PROXY-acl-a the proxy is not');
	like(heard_from($d), qr/^203\.0\.113\.9 /, 'PROXY-acl-a and believed');
	my $e = $sut->friend(helo => undef);
	like($e->command($line =~ s/\r\n//r), qr/^500 /,
	    'PROXY-acl-a elsewhere the header is no command');
	like(heard_from($e), qr/^127\.0\.0\.1 /, 'PROXY-acl-a and no address');
	my $f = $sut->friend(helo => undef);
	$f->raw(v2(0x21, 0x11, $four));
	my $said = eval { $f->reply } // '';
	unlike($said, qr/^2(?!21)/, 'PROXY-acl-a nor is the binary one');
	# What is believed decides: the proxy is of our networks, its client
	# is not.
	my $g = knock($behind, $line);
	$g->expect(220);
	$g->script('EHLO c.test' => 250, 'MAIL FROM:<s@remote.test>' => 250);
	like($g->command('RCPT TO:<x@elsewhere.test>'), qr/^554 5\.7\.1 /,
	    'PROXY-acl-a the client behind the proxy is who may relay or not');
}

# --- time, and no octet more --------------------------------------------------

{
	my @slow = map { my $c = Postrider::Client->new($behind);
	    $c->raw($_); $c } 'P', substr($line, 0, 20),
	    substr v2(0x21, 0x11, $four), 0, 14;
	my $began = time;
	my $dripping = Postrider::Client->new($behind);
	for my $byte (split //, $line) {
		local $SIG{PIPE} = 'IGNORE';
		syswrite $dripping->socket, $byte or last;
		select undef, undef, undef, 0.1;
		last if $dripping->has_input(0);
	}
	ok(!defined eval { $dripping->reply },
	    'PROXY-time-a a header that drips is not waited for');
	for my $c (@slow) {
		ok(!defined eval { $c->reply },
		    'PROXY-time-a nor one that stops');
	}
	my $took = time - $began;
	cmp_ok($took, '<', 5, sprintf 'PROXY-time-a %.1f s are enough', $took);
	cmp_ok($took, '>', 1.5, 'PROXY-time-a and it had them');
	for my $header ($line, v2(0x21, 0x11, $four), v2(0x21, 0x11,
	    $four . "\x04\0\x02zz" x 50)) {
		my $c = knock($behind, "${header}EHLO early.test\r\nNOOP\r\n");
		$c->expect(220);
		like($c->reply, qr/^250-sut\.test\n/,
		    'PROXY-time-a what is behind the header is not read with it');
		like($c->reply, qr/^250 2\.0\.0/, 'PROXY-time-a none of it');
	}
}

# --- XCLIENT ------------------------------------------------------------------

{
	my $c = $sut->stranger(port => $trusting, helo => undef);
	unlike($c->command('EHLO c.test'), qr/XCLIENT|XFORWARD/,
	    'XCLIENT+XFORWARD-x1-a a stranger is not offered them');
	for my $verb ('XCLIENT', 'XFORWARD') {
		like($c->command("$verb ADDR=1.2.3.4"),
		    qr/^(?:550 5\.7\.0|500) /,
		    "XCLIENT+XFORWARD-x1-a nor may he use $verb");
	}
	like(heard_from($c), qr/^127\.0\.0\.2 /,
	    'XCLIENT+XFORWARD-x1-a who he is does not change');
	my $d = $sut->friend(port => $trusting, helo => undef);
	like($d->command('EHLO c.test'), qr/^250[- ]XCLIENT NAME ADDR/m,
	    'XCLIENT+XFORWARD-x1-a who is listed is');
	my $e = $sut->friend(helo => undef);
	unlike($e->command('EHLO c.test'), qr/XCLIENT/,
	    'XCLIENT+XFORWARD-x1-a our network alone is no reason');
}
{
	my $c = $sut->friend(port => $trusting);
	like($c->command('XCLIENT NAME=mx+2Efar.test ADDR=203.0.113.9 ' .
	    'PORT=4711 PROTO=SMTP HELO=a+2Bb.test LOGIN=[UNAVAILABLE] ' .
	    'DESTADDR=192.0.2.1 DESTPORT=25'), qr/^220 sut\.test /,
	    'XCLIENT+XFORWARD-x2-a all attributes, and a greeting');
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<x@elsewhere.test>'), qr/^554 5\.7\.1/,
	    'XCLIENT+XFORWARD-x2-a it is that client\'s session');
	like($sut->wait_log(qr/reject: RCPT from mx\.far\.test\[203\.0\.113\.9\].*\n/),
	    qr/proto=SMTP helo=<a\+b\.test>/,
	    'XCLIENT+XFORWARD-x2-a xtext is decoded');
	$c->command('RSET', 250);
	like(heard_from($c), qr/^203\.0\.113\.9 203\.0\.113\.9$/,
	    'XCLIENT+XFORWARD-x2-a in the log and in Received');

	my $d = $sut->friend(port => $trusting);
	$d->script('MAIL FROM:<s@remote.test>' => 250);
	like($d->command('XCLIENT ADDR=192.0.2.5'), qr/^503 /,
	    'XCLIENT+XFORWARD-x2-a not amid a transaction');
	$d->script('RSET' => 250, 'XCLIENT ADDR=IPV6:2001:db8::7 ' .
	    'NAME=[UNAVAILABLE]' => 220);
	like($d->command('RCPT TO:<alice@local.test>'), qr/^503 /,
	    'XCLIENT+XFORWARD-x2-a what was said before is forgotten');
	like(heard_from($d), qr/^2001:db8::7 IPv6:2001:db8::7$/,
	    'XCLIENT+XFORWARD-x2-a IPv6');

	for my $name ('[UNAVAILABLE]', '[TEMPUNAVAIL]') {
		my $e = $sut->friend(port => $trusting);
		my $last = length $name;
		$e->command("XCLIENT NAME=$name ADDR=203.0.113.$last", 220);
		$e->script('EHLO c.test' => 250,
		    'MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<x@elsewhere.test>' => 554, 'QUIT' => 221);
		like($sut->wait_log(qr/disconnect from \S+\[203\.0\.113\.$last\]/),
		    qr/ unknown\[/,
		    "XCLIENT+XFORWARD-x2-a NAME=$name has no name");
	}
	my $f = $sut->friend(port => $trusting);
	for my $bad ('ADDR=1.2.3', 'PORT=x', 'PROTO=UUCP', 'HELO=a+0Db',
	    'FOO=1', 'NAME', '', 'DESTPORT=70000', 'DESTADDR=here') {
		like($f->command("XCLIENT $bad"), qr/^501 5\.5\.4 /,
		    "XCLIENT+XFORWARD-x2-a XCLIENT $bad is bad");
	}
	like(heard_from($f), qr/^127\.0\.0\.1 /,
	    'XCLIENT+XFORWARD-x2-a and changes nothing');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
