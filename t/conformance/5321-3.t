# 5321-3.t - RFC 5321 sections 3.1 to 3.4: the session, the greeting, a mail
# transaction, addresses that have changed.
use strict;
use warnings;
use lib 't/resolve';
use Alone;
use IO::Socket::INET;
use Test::More;
use Postrider qw(free_port spew wait_for);
use Postrider::Fixture;

plan skip_all => 'nsd is not installed' unless Alone::nsd();

my %port = map { ($_ => free_port()) } qw(dns plain refuse blocked busy
    delayed strict);
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1 },
	relay => { is_noting => 1 },
	aliases => "moved-on u\@relay-ok.test\n" .
	    "loop-1 loop-2\nloop-2 loop-1\n" .
	    "failing \"|exit 67\"\n",
	settings => { dns_servers => "127.0.0.1\@$port{dns}",
	    relocated_maps => 'inline:{ { moved@local.test = ' .
	    'new@remote.test } }',
	    relay_domains => 'relay-ok.test, mx.test, at.test' },
	master => <<"END");
shy unix - - n - - smtp -o smtp_never_send_ehlo=yes
127.0.0.1:$port{plain} inet n - n - - smtpd
  -o { smtpd_banner = \$myhostname ESMTP }
127.0.0.1:$port{refuse} inet n - n - - smtpd
  -o { smtpd_refusal_greeting = 554 this host is only for tests }
127.0.0.1:$port{blocked} inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_sender_restrictions=reject
127.0.0.1:$port{busy} inet n - n - - smtpd
  -o smtpd_delay_reject=no -o smtpd_sender_restrictions=defer
127.0.0.1:$port{delayed} inet n - n - - smtpd
  -o smtpd_sender_restrictions=reject
END
my $dir = $sut->dir;

# --- hosts --------------------------------------------------------------------

# What the hosts say that are reached by a transport: NAME.at.test.
my %hosts = (
	helo => { EHLO => '500 5.5.1 what?', HELO => '250 helo.test' },
	nodata => { DATA => '250 2.0.0 Ok' }, data4 => { DATA => '451 later' },
	data503 => { DATA => '503 no' }, data554 => { DATA => '554 never' },
	told251 => { RCPT => '251 2.1.5 will forward to <new@at.test>' },
	told551 => { RCPT => '551 5.1.6 try <victim@remote.test>' },
	shy => { CONNECT => '220 old' }, null => {},
);
my %sink;
for my $name (sort keys %hosts) {
	my $say = $hosts{$name};
	$sink{$name} = $sut->sink(is_noting => 1,
	    replies => sub { return $say->{ $_[0] } });
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "%s.at.test %s:[127.0.0.1]:%d\n", $name,
	    $name eq 'shy' ? 'shy' : 'smtp', $sink{$name}->port;
}

# Those that are found by MX: 127.0.0.11 and on, all at one port.
my %mx = (
	good => {}, angry => { CONNECT => '554 5.7.1 no service' },
	ascii => { EHLO => "250-ascii.mx.test\r\n250 8BITMIME" },
	unicode => { EHLO => "250-unicode.mx.test\r\n250-8BITMIME\r\n" .
	    '250 SMTPUTF8' },
);
my %at = map { my $n = $_; ((sort keys %mx)[$n] => "127.0.0." . (31 + $n)) }
    0 .. keys(%mx) - 1;
sub take_port
{
	for (1 .. 50) {
		my $try = free_port();
		my @taken = map { IO::Socket::INET->new(Listen => 1,
		    LocalAddr => $_, LocalPort => $try, Proto => 'tcp') }
		    values %at;
		return $try if grep({ defined } @taken) == keys %at;
	}
	die "no port\n";
}
my $port = take_port();
for my $name (keys %mx) {
	my $say = $mx{$name};
	$sink{$name} = $sut->sink(is_noting => 1, address => $at{$name},
	    port => $port, replies => sub { return $say->{ $_[0] } });
}
my %domains = (skip => ['MX 10 angry', 'MX 20 good'], all => ['MX 10 angry'],
    mixed => ['MX 10 ascii', 'MX 20 unicode']);
spew("$dir/mx.zone", join '', <<'END',
$ORIGIN mx.test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
END
    (map { "$_\tA\t$at{$_}\n" } sort keys %at),
    map { my $name = $_; map { "$name\t$_\n" } @{ $domains{$name} } }
    sort keys %domains);
Alone::name_server($dir, $port{dns}, 'mx.test' => 'mx.zone');
{
	open my $f, '>>', $sut->etc . '/transport';
	print $f "$_.mx.test smtp:$_.mx.test:$port\n" for sort keys %domains;
}
$sut->start;

# One message, by a stranger; its subject, by which it is found.
sub mail { return $sut->post(@_) }

sub wait_sink
{
	my ($name, $subject) = @_;

	return ($sut->wait_at($sink{$name}, qr/^Subject: $subject\r$/m))[0];
}

# The line of the log about this recipient.
sub line { return $sut->wait_log(qr/to=<\Q$_[0]\E>,.*\n/, 20) }

# What may take its time is on its way while the rest is asked.
my %sent = map { ($_ => mail("r\@$_.at.test")) } keys %hosts;
my %routed = map { ($_ => mail("r\@$_.mx.test")) } qw(skip all);
my $clean = mail('r@helo.at.test', body => "caf\xe9\n", header =>
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n" .
    "Content-Transfer-Encoding: 8bit\n");

# --- 3.1: the greeting --------------------------------------------------------

{
	my $c = Postrider::Client->new($sut->port);
	like($c->expect(220), qr/^220 sut\.test .*Postrider/,
	    '5321-3.1-a the greeting names the software');
	$c = Postrider::Client->new($port{plain});
	is($c->expect(220), '220 sut.test ESMTP',
	    '5321-3.1-a unless smtpd_banner does not');
}
{
	my $c = Postrider::Client->new($port{refuse}, from => '127.0.0.2');
	my $said = $c->reply;
	like($said, qr/^554 /, '5321-3.1-b a service may refuse all with 554');
	like($said, qr/^554 sut\.test .{10,}$/,
	    '5321-3.1-e which names the host and a reason');
	ok(!$c->has_input(2), '5321-3.1-c then the client is waited for');
	for my $command ('EHLO c.test', 'MAIL FROM:<a@b.test>',
	    'RCPT TO:<alice@local.test>', 'DATA', 'NOOP', 'WHAT') {
		like($c->command($command), qr/^503 /,
		    "5321-3.1-d $command gets 503");
	}
	like($c->command('QUIT'), qr/^221 /,
	    '5321-3.1-c until it says QUIT');
	ok($c->is_closed, '5321-3.1-c and then it is over');
}

# --- 3.2: HELO and EHLO -------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	$c->raw("HELO c.test\r\n");
	like($c->line, qr/\A250 sut\.test\b/, '5321-3.2-a HELO gets a line');
	is($c->command('NOOP'), '250 2.0.0 Ok', '5321-3.2-a and no other');
	my $m = wait_sink('helo', $sent{helo});
	is($m->{helo}, 'HELO sut.test',
	    '5321-3.2-b HELO where EHLO is not known');
	is($m->{mail}, 'MAIL FROM:<s@remote.test>',
	    '5321-3.2-b and no parameter of MAIL');
	is($m->{rcpt_lines}[0], 'RCPT TO:<r@helo.at.test>',
	    '5321-3.2-b nor of RCPT');
	$m = wait_sink('shy', $sent{shy});
	my ($raw) = $sink{shy}->raw;
	like($raw, qr/\AHELO sut\.test\r\n/,
	    '5321-3.2-c HELO is the first word with smtp_never_send_ehlo');
	unlike($raw, qr/EHLO/, '5321-3.2-c EHLO is not heard');
	is($m->{mail}, 'MAIL FROM:<s@remote.test>',
	    '5321-3.2-c nor are parameters');
}

# --- 3.3: what the server makes of a transaction ------------------------------

{
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<a@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'RSET' => 250);
	like($c->command('MAIL FROM:<b@remote.test>'), qr/^250/,
	    '5321-3.3-a a new MAIL');
	like($c->command('DATA'), qr/^(?:503|554)/,
	    '5321-3.3-a knows no recipients of the old one');
	$c->command('RCPT TO:<bob@local.test>', 250);
	my $subject = $sut->subject;
	like($c->command('DATA'), qr/^354 /,
	    '5321-3.3-l DATA is answered with 354');
	like($c->data("Subject: $subject\n\nx\n"), qr/^250 /,
	    '5321-3.3-l and what was stored with 250');
	my ($m) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
	like($m, qr/^Return-Path: <b\@remote\.test>$/m,
	    '5321-3.3-a it comes from the new sender');
	ok(!grep({ /^Subject: $subject$/m } $sut->mail('alice')),
	    '5321-3.3-a to the new recipient only');
}
{
	my $c = $sut->stranger(port => $port{blocked});
	like($c->command('MAIL FROM:<a@b.test>'), qr/^55[0-9] 5\./,
	    '5321-3.3-b a sender is refused for good');
	$c = $sut->stranger(port => $port{busy});
	like($c->command('MAIL FROM:<a@b.test>'), qr/^45[0-9] 4\./,
	    '5321-3.3-b or for now');
	$c = $sut->stranger(port => $port{delayed});
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250/,
	    '5321-3.3-c the verdict on MAIL may wait');
	like($c->command('RCPT TO:<alice@local.test>'), 
	    qr/^55\d 5\.7\.1 .*Sender address rejected/,
	    '5321-3.3-c until RCPT');
}
{
	my $c = $sut->stranger;
	like($c->command('RCPT TO:<alice@local.test>'), qr/^503 5\.5\.1/,
	    '5321-3.3-h RCPT without MAIL');
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<no-such@local.test>'), qr/^550 5\.1\.1/,
	    '5321-3.3-i who is not here is refused at once');
	like($c->command('DATA'), qr/^(?:503|554)/,
	    '5321-3.3-m and without a recipient there is no DATA');
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    '5321-3.3-i who is here is not');
	like($c->command('RCPT TO:<@local.test:x@elsewhere.test>'),
	    qr/^55[04] 5\.7\.1/, '5321-3.3-g a route does not let one relay');
	like($c->command('RCPT TO:<x@elsewhere.test>'), qr/^55[04] 5\.7\.1/,
	    '5321-3.3-g nor does anything else');
	$c = $sut->stranger;
	like($c->command('DATA'), qr/^503/, '5321-3.3-m nor without MAIL');
}
{
	my $subject = mail('@a.test,@b.test:alice@local.test');
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	ok($m, '5321-3.3-e a source route is taken');
	like($m, qr/^Delivered-To: alice\@local\.test$/m,
	    '5321-3.3-e and leads to the mailbox at its end');
	unlike($sut->log, qr/to=<\S+>.*[@.](?:a|b)\.test\b/,
	    '5321-3.3-f its hosts are not asked');
	my $far = mail('@relay-ok.test:u@null.at.test',
	    from => '@x.test:s@remote.test');
	$m = wait_sink('null', $far);
	is("@{ $m->{rcpt} }", 'u@null.at.test',
	    '5321-3.3-f the last domain alone says where it goes');
	is($m->{from}, 's@remote.test', '5321-3.3-d no route in MAIL');
}
{
	my %odd = (
		'without Date' => "To: x\n", 'without any field' => '',
		'with a broken MIME boundary' => "MIME-Version: 1.0\n" .
		    "Content-Type: multipart/mixed; boundary=b\n",
		'with two From' => "From: a\@b.test\nFrom: c\@d.test\n",
		'with an empty From' => "From:\n",
		'with an odd encoding' =>
		    "Content-Transfer-Encoding: x-unheard-of\n",
		'with a bad date' => "Date: yesterday\n",
	);
	for my $what (sort keys %odd) {
		my $subject = mail('alice@local.test', header => $odd{$what},
		    body => "--b\nContent-Type: /\n\nx\n");
		is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)),
		    1, "5321-3.3-q a message $what is taken");
	}
	my $c = $sut->stranger;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "this-is-$$ no header at all\n");
	is(scalar($sut->wait_mail('alice', qr/^this-is-$$ no header/m)), 1,
	    '5321-3.3-q a message without a header is taken');
	for my $resent ("Resent-To: x\@y.test\n", "Resent-From: a\@b.test\n" .
	    "Resent-From: c\@d.test\nResent-Date: " .
	    "Thu, 1 Jan 2026 00:00:00 +0000\n", "Resent-Bcc: x\@y.test\n") {
		my $subject = mail('alice@local.test', header => $resent);
		is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)),
		    1, '5321-3.3-r Resent fields that do not match are taken');
	}
}
for my $who (qw(failing loop-1)) {
	my $subject = mail("$who\@local.test");
	my ($report) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is($report->{from}, '', "5321-3.3-p $who was taken with 250");
	like($report->{data}, qr/^Action: failed\r$/m,
	    "5321-3.3-p and the failure is told in a report");
	is("@{ $report->{rcpt} }", 's@remote.test',
	    '5321-3.3-p to the sender');
}

# --- 3.4: addresses that have changed -----------------------------------------

my @told;
for my $time (1, 2) {
	my $subject = mail('moved-on@local.test');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is("@{ $m->{rcpt} }", 'u@relay-ok.test',
	    "5321-3.4-a mail is forwarded, and the client hears 250 ($time)");
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	push @told, $c->command('RCPT TO:<moved@local.test>');
	like($told[-1], qr/^55[01] 5\.1\.6 .*\bnew\@remote\.test/,
	    "5321-3.4-b or told where the recipient is now ($time)");
	is($told[-1], $told[0], '5321-3.4-c the second client hears the same')
	    if $time == 2;
}

# --- the client ---------------------------------------------------------------

{
	my @raw = map { $_->raw } $sut->remote, $sut->relay, values %sink;
	my $all = join '', @raw;
	ok(@raw > 8, 'the client has said much');
	unlike($all, qr/^(?:MAIL FROM|RCPT TO):<@/m,
	    '5321-3.3-d no route in any envelope');
	unlike($all, qr/^(?:MAIL FROM|RCPT TO)(?!:<)/mi,
	    '5321-3.3-j no blank at the colon');
	cmp_ok(scalar(() = $all =~ /^(?:MAIL FROM|RCPT TO):</mg), '>', 15,
	    '5321-3.3-j of many');
	my @wrong;
	for my $raw (@raw) {
		my $told = $raw =~ s/^(DATA\r\n)Received:.*?\r\n\.\r\n/$1/mgrs;
		my $order = join ' ', $told =~ /^(\w+).*\r\n/mg;
		push @wrong, $order unless $order =~
		    /\A(?:EHLO[ ]?)?(?:HELO[ ]?)?
		    (?:MAIL(?:[ ]RCPT)+(?:[ ]DATA)?[ ]?|RSET[ ]?)*
		    (?:QUIT)?\z/x;
	}
	is_deeply(\@wrong, [], '5321-3.3-s MAIL, then RCPT, then DATA');
}
for my $name (qw(nodata data4 data503 data554)) {
	my $log = line("r\@$name.at.test");
	my ($raw) = $sink{$name}->raw;
	like($raw, qr/^DATA\r\n/m, "5321-3.3-n $name was told DATA");
	unlike($raw, qr/^Subject:|^Received:/m,
	    '5321-3.3-n and not a byte of the message');
	like($raw, qr/^DATA\r\n(?:(?:RSET|QUIT)\r\n)*\z/m,
	    "5321-3.3-o $name hears RSET, QUIT or nothing after that");
	like($log, $hosts{$name}{DATA} =~ /^5/ ? qr/status=bounced/ :
	    qr/status=deferred/, '5321-3.3-o and the log tells the end');
}
for my $name (qw(data503 data554)) {
	my ($report) = $sut->wait_remote(qr/^Subject: $sent{$name}\r$/m);
	like($report->{data}, qr/^Final-Recipient: rfc822; r\@$name\./m,
	    "5321-3.3-o the sender hears of $name");
}
{
	my $m = wait_sink('told251', $sent{told251});
	ok($m, '5321-3.4-e after 251 the data is sent');
	like(line('r@told251.at.test'), qr/status=sent/,
	    '5321-3.4-e and the message is delivered');
	like(line('r@told551.at.test'), qr/dsn=5\.\d\.\d, status=bounced/,
	    '5321-3.4-f 551 is a failure');
	my @told = $sut->wait_remote(qr/^Subject: $sent{told551}\r$/m);
	is(join(' ', map { @{ $_->{rcpt} } } @told), 's@remote.test',
	    '5321-3.4-f of which the sender hears, and nobody else');
	ok(!grep({ "@{ $_->{rcpt} }" =~ /victim|new\@/ } $sut->remote->messages,
	    map { $_->messages } values %sink),
	    '5321-3.4-f nobody follows the advice');
}
{
	my $m = wait_sink('good', $routed{skip});
	is("@{ $m->{rcpt} }", 'r@skip.mx.test',
	    '5321-3.1-f after a greeting with 554 the next host is tried');
	cmp_ok($sink{angry}->sessions, '>=', 1, '5321-3.1-f which was not ' .
	    'the first');
	like(line('r@all.mx.test'), qr/dsn=4\.\S+, status=deferred \(.*554/,
	    '5321-3.1-f if all say so, the mail waits');
}

# --- 2: what waits, and what is turned into something older -------------------

{
	my $m = wait_sink('helo', $clean);
	like($m->{data}, qr/caf=E9/, '5321-2.2.3-b without an extension the ' .
	    'message is converted');
	unlike($sut->log, qr/to=<r\@helo\.at\.test>.*status=deferred/,
	    '5321-2.2.3-b at once: it never waited');
}
{
	my $c = $sut->stranger;
	my $subject = $sut->subject;
	$sut->take($c, from => "caf\xc3\xa9\@remote.test", mail => ' SMTPUTF8',
	    to => ['r@mixed.mx.test'], text => "Subject: $subject\n\nx\n");
	my $m = wait_sink('unicode', $subject);
	like($m->{mail}, qr/ SMTPUTF8\b/,
	    '5321-2.2.3-a the host that has the extension gets it');
	ok(!$sink{ascii}->count, '5321-2.2.3-a not the one before it');
	cmp_ok($sink{ascii}->sessions, '>=', 1,
	    '5321-2.2.3-a which was asked first');
}

# Without relocated_maps nothing is told; and all goes to a relay.
my $smart = $sut->sink(is_noting => 1, extensions => ['8BITMIME']);
$sut->set(relocated_maps => '', transport_maps => '', default_transport =>
    'smtp', relay_transport => 'smtp',
    relayhost => '[127.0.0.1]:' . $smart->port);
$sut->reload;
{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my $reply = wait_for(sub {
		my $said = $c->command('RCPT TO:<moved@local.test>');
		return $said !~ /5\.1\.6/ && $said;
	}, 10, 'the reload');
	like($reply, qr/^550 5\.1\.1 /, '5321-3.4-d it can be turned off');
	unlike($reply, qr/new@/, '5321-3.4-d and then no address is told');

	my $before = $smart->count;
	$sut->sendmail("Subject: null client\n\nx\n", 'x@far.test');
	wait_for(sub { $smart->count > $before }, 20, 'mail at the relayhost');
	my ($m) = grep { $_->{data} =~ /^Subject: null client\r$/m }
	    $smart->messages;
	is("@{ $m->{rcpt} }", 'x@far.test', '5321-2.1-d mail of a system ' .
	    'that only sends goes to the port of its relayhost');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
