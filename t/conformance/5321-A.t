# 5321-A.t - RFC 5321, appendices: bytes, messages made from headers, source
# routes, the dialogues of appendix D, gateways, and what is deprecated.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1 }, relay => { is_noting => 1 },
	settings => { relay_domains => 'relay-ok.test, lmtp.test, pipe.test',
	    default_transport => 'smtp', smtp_host_lookup => 'native',
	    dns_hosts_file => '/dev/null' },
	master => 'gate unix - n n - - pipe user=prt-alice argv=GATE ' .
	    "\${sender} \${recipient}\n");
my $dir = $sut->dir;
my $lmtp = $sut->sink(lmtp => 1, is_noting => 1);
mkdir "$dir/gate";
chmod 0777, "$dir/gate";
spew("$dir/gate/keep", "#!/bin/sh\n{ cat; echo \"\$1 \$2\"; } > " .
    "$dir/gate/pipe.out\n");
chmod 0755, "$dir/gate/keep";
$sut->{master} =~ s{GATE}{$dir/gate/keep};
$sut->write_config;
{
	open my $f, '>>', $sut->etc . '/transport' or die;
	print $f 'lmtp.test lmtp:inet:127.0.0.1:' . $lmtp->port . "\n" .
	    "pipe.test gate:\n";
}
$sut->start;
my $number = 0;

# One message; its subject.
sub mail { return $sut->post(@_) }

# One message by sendmail -t; its subject.
sub post
{
	my ($header, @words) = @_;
	my $subject = 'posted-' . $number++;
	my ($status, $text) = $sut->sendmail("${header}Subject: $subject\n\n" .
	    "x\n", @words ? @words : '-t');

	die "sendmail: $text" if $status != 0;
	return $subject;
}

# --- A: bytes -----------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	my $heard = '';
	for my $command ('EHLO c.test', 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<no-such@local.test>', 'RCPT TO:<u@relay-ok.test>',
	    'VRFY alice', 'HELP', 'FOO', 'DATA', "Subject: ascii\r\n\r\nx\r\n.",
	    'QUIT') {
		$heard .= $c->command($command) . "\n";
	}
	unlike($heard, qr/[\x80-\xff]/, '5321-A-a replies are 7-bit');
	$sut->wait_relay(qr/^Subject: ascii\r$/m);
	my $raw = '';
	wait_for(sub { ($raw) = $sut->relay->raw; $raw =~ /^QUIT\r\n\z/m },
	    10, 'QUIT');
	like($raw, qr/\AEHLO .*^QUIT\r\n\z/ms, '5321-A-a a whole session');
	unlike($raw, qr/[\x80-\xff]/, '5321-A-a has no byte above 127');
}

# --- B: messages that come as headers -----------------------------------------

{
	my $subject = post("To: A group: a\@relay-ok.test, " .
	    "\"b,c\" <d\@relay-ok.test>;, e\@relay-ok.test (f\@x.test)\n" .
	    "Cc: <g\@relay-ok.test>,\n  h\@relay-ok.test\n" .
	    "Bcc: Hidden <i\@relay-ok.test>\nFrom: me\@local.test\n");
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(join(' ', sort @{ $m->{rcpt} }), join(' ',
	    map { "$_\@relay-ok.test" } qw(a d e g h i)),
	    '5321-B-a To, Cc and Bcc make the recipients');
	unlike($m->{data}, qr/^Bcc:/mi, '5321-B-b Bcc is taken out');
	unlike($m->{data}, qr/Hidden|i\@relay-ok/, '5321-B-b with what it had');
	like($m->{data}, qr/^Cc: <?g\@relay-ok\.test>?,\r\n\s+h\@relay-ok/m,
	    '5321-B-b and nothing else');
}
{
	my $user = (getpwuid $>)[0];
	my $subject = post("To: a\@relay-ok.test\nFrom: other\@x.test\n");
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is($m->{from}, "$user\@local.test",
	    '5321-B-d the return address is that of the user');
	like($m->{data}, qr/^From: other\@x\.test\r$/m,
	    '5321-B-d whatever From says');
}
{
	my $subject = mail('u@relay-ok.test', header =>
	    "To: x\@remote.test\nCc: y\@relay-ok.test\nBcc: z\@relay-ok.test\n");
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is("@{ $m->{rcpt} }", 'u@relay-ok.test',
	    '5321-B-f who sends an envelope has no recipients of the header');
	is("@{ $m->{rcpt} }", 'u@relay-ok.test',
	    '5321-C-d mail goes where the envelope says');
	$sut->wait_empty;
	is(scalar(grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sut->remote->messages), 0, '5321-C-d and nowhere else');
	$subject = mail('u@pipe.test', header => "To: x\@remote.test\n");
	my $got = wait_for(sub {
		my $text = slurp("$dir/gate/pipe.out");
		return $text =~ /^\S+ \S+\n\z/m ? $text : undef;
	}, 20, 'the gateway');
	$sut->wait_empty;
	like($got, qr/^s\@remote\.test u\@pipe\.test\n\z/m,
	    '5321-B-f a gateway is told the envelope');
	like($got, qr/^s\@remote\.test u\@pipe\.test\n\z/m,
	    '5321-E-a apart from the header');
	like($got, qr/^To: x\@remote\.test$/m,
	    '5321-E-a which stays as it was');
	is(scalar(grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sut->remote->messages), 0, '5321-B-f and whom the header names ' .
	    'gets nothing');
	$subject = mail('u@lmtp.test', header => "To: x\@remote.test\n");
	my ($kept) = wait_for(sub { $lmtp->messages }, 20, 'LMTP') &&
	    $lmtp->messages;
	is("$kept->{from} @{ $kept->{rcpt} }", 's@remote.test u@lmtp.test',
	    '5321-E-a LMTP has an envelope as well');
}

# --- C, F.2: source routes ----------------------------------------------------

{
	my $c = $sut->stranger;
	my @routes = ('@sut.test,@b.test:x@relay-ok.test',
	    '@b.test:x@relay-ok.test', '@[192.0.2.1]:x@relay-ok.test',
	    '@b.test,@sut.test:x@relay-ok.test');
	for my $route (@routes) {
		$c->command('MAIL FROM:<@a.test,@c.test:s@remote.test>', 250);
		like($c->command("RCPT TO:<$route>"), qr/^250/,
		    "5321-F.2-a <$route> is accepted");
		$c->command('DATA', 354);
		my $subject = 'route-' . $number++;
		$c->data("Subject: $subject\n\nx\n", 250);
		my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
		is($m->{rcpt_lines}[0] =~ s/> .*/>/r,
		    'RCPT TO:<x@relay-ok.test>',
		    '5321-C-b no name of ours is left in a route');
		is($m->{from}, 's@remote.test',
		    '5321-C-a the reverse path has no route');
	}
	my $subject = mail('x@relay-ok.test', from => 'S.x@remote.test');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is($m->{from}, 'S.x@remote.test',
	    '5321-C-c a reverse path goes on as it came');
	unlike($sut->log, qr/\bb\.test\b/,
	    '5321-F.2-b no host of a route is a next hop instead of another');
	unlike(join('', $sut->relay->raw), qr/<@/,
	    '5321-F.2-b nor is a route passed on half');
	$sut->take($sut->friend, from => '@a.test,@b.test:user@remote.test',
	    to => ['u@nowhere.test'], text => "Subject: lost\n\nx\n");
	my ($report) = $sut->wait_remote(qr/^Subject: lost\r$/m);
	is("@{ $report->{rcpt} }", 'user@remote.test',
	    '5321-C-e a report takes no route');
	ok(!grep({ /^(?:MAIL FROM|RCPT TO):<@/m } $sut->relay->raw,
	    $sut->remote->raw), '5321-C-a no path with a route is sent');
}

# --- D: the dialogues ---------------------------------------------------------

# Commands and the codes they are answered with, in one connection.
sub dialogue
{
	my ($name, @steps) = @_;
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.2');

	like($c->reply, qr/^220 sut\.test /, "5321-D-a $name: greeting");
	while (my ($command, $code) = splice @steps, 0, 2) {
		like($c->command($command), qr/\A$code[ -]/,
		    "5321-D-a $name: " . $command =~ s/\r\n.*//sr);
	}
	ok($c->is_closed, "5321-D-a $name: the end");
}

my @begin = ('EHLO bar.test' => 250, 'MAIL FROM:<smith@bar.test>' => 250);
dialogue('D.1', @begin, 'RCPT TO:<alice@local.test>' => 250,
    'RCPT TO:<green@local.test>' => 550, 'RCPT TO:<bob@local.test>' => 250,
    'DATA' => 354, "Subject: d1\r\n\r\nBlah blah\r\n...etc.\r\n." => 250,
    'QUIT' => 221);
for my $who (qw(alice bob)) {
	like(($sut->wait_mail($who, qr/^Subject: d1$/m))[0],
	    qr/^Blah blah\n\.\.etc\.$/m, "5321-D-a D.1: $who has it");
}
dialogue('D.2', @begin, 'RCPT TO:<alice@local.test>' => 250,
    'RCPT TO:<green@local.test>' => 550, 'RSET' => 250, 'QUIT' => 221);
dialogue('D.3', @begin, 'RCPT TO:<@sut.test:jones@relay-ok.test>' => 250,
    'DATA' => 354, "Date: Thu, 21 May 1998 05:33:29 -0700\r\n" .
    "From: John Q. Public <JQP\@bar.test>\r\nSubject: d3\r\n" .
    "To: jones\@relay-ok.test\r\n\r\nBill:\r\n." => 250, 'QUIT' => 221);
{
	my ($m) = $sut->wait_relay(qr/^Subject: d3\r$/m);
	is("$m->{from} @{ $m->{rcpt} }", 'smith@bar.test jones@relay-ok.test',
	    '5321-D-a D.3: and goes to the next host');
	my $raw = wait_for(sub { (grep { /^Subject: d3\r$/m && /^QUIT/m }
	    $sut->relay->raw)[0] }, 10, 'QUIT');
	like($raw, qr/\AEHLO .*^MAIL .*^RCPT .*^DATA\r\n.*^\.\r\nQUIT\r\n\z/ms,
	    '5321-D-a D.3: by the same dialogue');
}
dialogue('D.4', 'EHLO bar.test' => 250, 'VRFY alice' => '25[02]',
    'MAIL FROM:<smith@bar.test>' => 250, 'RCPT TO:<alice@local.test>' => 250,
    'DATA' => 354, "Subject: d4\r\n\r\nx\r\n." => 250, 'QUIT' => 221);

# --- F: what is deprecated ----------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	my $ehlo = $c->command('EHLO c.test', 250);
	for my $verb (qw(SEND SOML SAML)) {
		like($c->command("$verb FROM:<a\@b.test>"), qr/^50[02] /,
		    "5321-F.6-b there is no $verb");
		unlike($ehlo, qr/$verb/, '5321-F.6-b and it is not offered');
	}
	like($c->command('TURN'), qr/^50[02] /, '5321-F.1-a there is no TURN');
	unlike($ehlo, qr/TURN\b/, '5321-F.1-a nor an offer of it');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^250/,
	    '5321-F.1-a the client is still the client');
	like($c->command("RCPT TO:<a\@$_>"), qr/^(?:501|553)/,
	    "5321-F.4-a a\@$_ is no address") for '#3232235777', '#1', '[#1]';
	$c->command('QUIT', 221);
	$c = $sut->stranger(helo => undef);
	my @steps = ('HELO c.test' => 250, 'MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354,
	    "Subject: by-helo\r\n\r\nx\r\n." => 250, 'QUIT' => 221);
	while (my ($command, $code) = splice @steps, 0, 2) {
		like($c->command($command), qr/\A$code /,
		    '5321-F.3-a HELO: ' . $command =~ s/\r\n.*//sr);
	}
	ok(scalar($sut->wait_mail('alice', qr/^Subject: by-helo$/m)),
	    '5321-F.3-a and the mail is there');
}
{
	my @sessions = ($sut->relay->raw, $sut->remote->raw);
	my %verbs;
	for my $raw (@sessions) {
		$raw =~ s/^(DATA\r\n).*?^\.\r\n/$1/msg;
		$verbs{$_}++ for $raw =~ /^(\S+)/mg;
	}
	ok(@sessions > 5, '5321-F-a of all commands that were sent');
	is(join(' ', sort keys %verbs), 'DATA EHLO MAIL QUIT RCPT',
	    '5321-F-a none is of RFC 821 only');
	is(join(' ', grep { /^(?:SEND|SAML|SOML)$/ } keys %verbs), '',
	    '5321-F.6-a SEND, SAML and SOML are not used');
	unlike(join('', @sessions), qr/^(?:MAIL|RCPT|EHLO) .*@?#\d/m,
	    '5321-F.4-a and no host is a number');
	my $text = join '', map { $_->{data} } $sut->relay->messages,
	    $sut->remote->messages;
	my @dates = $text =~ /(?:;\s|Date:\s)([A-Z][a-z]+,\s[^\r\n]*)/g;
	ok(@dates > 10, '5321-F.5-a of all dates');
	is(join('|', grep { !/^\w+, \d+ [A-Z][a-z]{2} \d{4} / } @dates), '',
	    '5321-F.5-a each has a year of four digits');
	like($text, qr/^Arrival-Date: \w+, \d+ \w+ \d{4} /m,
	    '5321-F.5-a in reports too');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
