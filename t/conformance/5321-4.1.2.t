# 5321-4.1.2.t - RFC 5321 sections 4.1.2 and 4.1.3: the syntax of addresses,
# parameters and literals.
use strict;
use warnings;
use lib 't/lib', 't/resolve';
use Alone;
use IO::Socket::INET;
use Test::More;
use Postrider qw(free_port spew wait_for);
use Postrider::Fixture;

# A name server that only tells what it is asked.
my $asked = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')
    or die "no port: $!";
my $port = free_port();
my $sut = Postrider::Fixture->new(aliases => "joe.smith BOB\n\"x y\" BOB\n",
    relay => { is_noting => 1 },
    settings => { smtpd_authorized_xclient_hosts => '127.0.0.7',
	dns_servers => '127.0.0.1@' . $asked->sockport,
	dns_timeout => '2s', smtp_tcp_port => $port,
	inet_interfaces => '127.0.0.1', smtp_connect_timeout => '2s' });
my $literal = $sut->sink(address => '127.0.0.9', port => $port,
    is_noting => 1);
open my $routes, '>>', $sut->etc . '/transport';
print $routes "[127.0.0.9] smtp:\n";
close $routes;
$sut->start;
my $number = 0;

sub transaction
{
	my $c = $sut->stranger;

	$c->command('MAIL FROM:<s@remote.test>', 250);
	return $c;
}

# A message from here to these; its subject.
sub mail
{
	my ($who, @to) = @_;
	my $subject = 'number-' . $number++;
	my $c = $who eq 'friend' ? $sut->friend : $sut->stranger;

	$sut->take($c, from => 's@remote.test', to => \@to,
	    text => "Subject: $subject\n\nx\n");
	$c->command('QUIT', 221);
	return $subject;
}

sub printable { return $_[0] =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger }

# --- 4.1.2: paths -------------------------------------------------------------

{
	my $subject = mail('stranger',
	    '@a.test,@b.test:alice@local.test', '@a.test:u@relay-ok.test',
	    '@[192.0.2.1],@b.test:v@relay-ok.test');
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-4.1.2-a a route is accepted, and ignored');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is(join(' ', sort @{ $m->{rcpt_lines} }), 'RCPT TO:<u@relay-ok.test> ' .
	    'RCPT TO:<v@relay-ok.test>', '5321-4.1.2-a and not generated');
	ok(!IO::Select->new($asked)->can_read(0),
	    '5321-4.1.2-a the name service is not asked for its hosts');
}
{
	my $c = transaction();
	# Strangers may not hide a second route in a local part.
	my $parsed = qr/^(?:250|554 5\.7\.1 <.*[!%@].*\@relay-ok)/;
	for my $domain ('b..c', '.b', 'b-', '-b', 'b-.test', '-b.test',
	    'b.-test', 'b c', 'b!c', 'b/c.test', '(b).test', 'b@c.test',
	    'b*.test', '', 'x' x 64 . '.test', join '.', ('x' x 60) x 5) {
		like($c->command("RCPT TO:<a\@$domain>"), qr/^(?:501|553)/,
		    "5321-4.1.2-b $domain is no domain");
	}
	for my $domain ('tld', 'a1.test', '1a.2b.test', 'a--b.test',
	    'xn--bcher-kva.test', 'x' x 63 . '.test') {
		like($c->command("RCPT TO:<a\@$domain>"),
		    qr/^(?:250|55[04] 5\.7\.1)/,
		    "5321-4.1.2-b $domain is one");
	}
	for my $char (split //, q{!#$%&'*+-/=?^_`{|}~}) {
		my $reply = $c->command("RCPT TO:<a${char}b\@relay-ok.test>");
		like($reply, $parsed, "5321-4.1.2-c $char is atext");
		like($c->command("RCPT TO:<$char\@relay-ok.test>"), $parsed,
		    "5321-4.1.2-c $char alone too");
	}
	for my $char (split //, q{,(:;[)]<\\" }) {
		like($c->command("RCPT TO:<a${char}b\@relay-ok.test>"),
		    qr/^(?:501|553)/, "5321-4.1.2-c \"$char\" is not");
	}
	for my $local ('a b', 'a\"b', 'a@b', 'a,b', '(x)', 'a\\\\b', '\a\b',
	    ' ', 'a>b', '.', 'a..b', '\ ') {
		like($c->command("RCPT TO:<\"$local\"\@relay-ok.test>"),
		    $parsed, "5321-4.1.2-d \"$local\" is a quoted string");
		unlike($c->command("RCPT TO:<\"$local\"\@local.test>"),
		    qr/^50/, "5321-4.1.2-d \"$local\" here as well");
	}
	for my $local ('"a', 'a"', '"a"b', 'a"b"', '"a"."', '"a\\"',
	    '"a""b"') {
		like($c->command("RCPT TO:<$local\@relay-ok.test>"),
		    qr/^(?:501|553)/, "5321-4.1.2-d $local is none");
	}
	# All that may be quoted, one by one.
	my @bad = grep { $c->command(sprintf 'RCPT TO:<"x\\%cx"@relay-ok.test>',
	    $_) !~ $parsed } 32 .. 126;
	is("@bad", '', '5321-4.1.2-d a backslash quotes all of 32 to 126');
	@bad = grep { $c->command(sprintf 'RCPT TO:<"x%cx"@relay-ok.test>',
	    $_) !~ $parsed } 32, 33, 35 .. 91, 93 .. 126;
	is("@bad", '', '5321-4.1.2-d and all of qtext needs none');
	like($c->command('RCPT TO:<""@local.test>'), qr/^(?:501|550|553)/,
	    '5321-4.1.2-g an empty string is nobody');
	like($c->command('MAIL FROM:<""@local.test>'), qr/^5/,
	    '5321-4.1.2-g nor a sender');
	for my $byte (0, 1 .. 31, 127) {
		next if $byte == 10 || $byte == 13;
		for my $local (sprintf('"a%cb"', $byte),
		    sprintf('a%cb', $byte), sprintf('"a\\%cb"', $byte)) {
			$c->raw("RCPT TO:<$local\@local.test>\r\n");
			like($c->reply, qr/^50[01]/, '5321-4.1.2-i ' .
			    printable($local) . ' is no mailbox');
		}
	}
	like($c->command("RCPT TO:<\xc3\xa9\@local.test>"), qr/^5(?:0[01]|53)/,
	    '5321-4.1.2-i nor is one that is not ASCII');
	like($c->command("RCPT TO:<\"\xe9\"\@local.test>"), qr/^5(?:0[01]|53)/,
	    '5321-4.1.2-i quoted or not');
	ok(!$c->has_input(0.1), '5321-4.1.2-i a reply for each');
	for my $domain ("a\x7fb.test", 'a$b.test', 'a b.test', 'a,b.test',
	    "a\x01b.test") {
		like($c->command("RCPT TO:<a\@$domain>"), qr/^(?:501|553)/,
		    '5321-4.1.2-j ' . printable($domain) . ' is no host');
	}
}
# They are the same.
{
	my $subject = mail('stranger', 'joe.smith@local.test');
	$sut->wait_mail('bob', qr/^Subject: $subject$/m);
	for my $form ('"joe.smith"', '"joe\.smith"', '"\j\o\e\.\s\m\i\t\h"',
	    '"joe\.smit\h"') {
		$subject = mail('stranger', "$form\@local.test");
		is(scalar($sut->wait_mail('bob', qr/^Subject: $subject$/m)),
		    1, "5321-4.1.2-e $form is the same mailbox");
	}
	$subject = mail('stranger', 'JOE.Smith@local.test');
	is(scalar($sut->wait_mail('bob', qr/^Subject: $subject$/m)), 1,
	    '5321-4.1.2-h local names do not differ in case');
	$subject = mail('stranger', 'aLiCe@LOCAL.test');
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-4.1.2-h users neither');
	$subject = mail('stranger', 'JOE.Smith@relay-ok.test');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is($m->{rcpt_lines}[0], 'RCPT TO:<JOE.Smith@relay-ok.test>',
	    '5321-4.1.2-h while others see the case that was written');
}
{
	my %wire = ('"joe.smith"' => 'joe.smith', '"a b"' => '"a b"',
	    '"\a\"\b"' => '"a\"b"', '"a\@b"' => '"a@b"',
	    '"a\\\\b"' => '"a\\\\b"', '"a..b"' => '"a..b"', '"a!b"' => 'a!b');
	my $subject = mail('friend', map { "$_\@relay-ok.test" } keys %wire);
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my @lines = @{ $m->{rcpt_lines} };
	for my $form (sort keys %wire) {
		ok(scalar(grep { $_ eq "RCPT TO:<$wire{$form}\@relay-ok.test>" }
		    @lines), "5321-4.1.2-f $form is sent as $wire{$form}");
	}
	is(scalar @lines, scalar keys %wire, '5321-4.1.2-f each once');
	my ($raw) = grep { /^Subject: $subject\r$/m } $sut->relay->raw;
	unlike($raw, qr/[^\x09\x0a\x0d\x20-\x7e]/,
	    '5321-4.1.2-i and nothing but printing ASCII is sent');
}

# --- 4.1.2: commands ----------------------------------------------------------

{
	my $c = $sut->stranger;
	for my $command ("MAIL FROM:<a\x7f\@b.test>", "MAIL FROM:<a\@b\x7f.test>",
	    "MAIL FROM:<a\x01\@b.test>", "MAIL FROM:<a\@b.test>\x01",
	    "MAIL FROM:<a\tb\@b.test>", "EHLO c\x7f.test", "HELO c\x02.test",
	    "MAIL FROM:<a\@b.test> SI\x7fZE=1") {
		like($c->command($command), qr/^50[01]/,
		    '5321-4.1.2-k ' . printable($command));
	}
	like($c->command("MAIL FROM:<a\x7f\@b.test>"), qr/^501/,
	    '5321-4.1.2-k it is a matter of syntax');
	for my $parameter ('SIZE=1=2', "BODY=8BIT\tMIME", "BODY=\x01",
	    "ENVID=a\x7f", 'SIZE=', 'BODY=8BITMIME=', "RET=F\x0bULL") {
		like($c->command("MAIL FROM:<a\@b.test> $parameter"),
		    qr/^(?:501|555)/, '5321-4.1.2-m ' . printable($parameter));
	}
	like($c->command('NOOP'), qr/^250/, '5321-4.1.2-m the session goes on');
	for my $parameter ('-X=1', '-SIZE=1', '=1', '_A=1', '.B', '*', '"SIZE"=1',
	    'A_B=1') {
		like($c->command("MAIL FROM:<a\@b.test> $parameter"),
		    qr/^(?:501|555)/, "5321-4.1.2-n $parameter");
	}
	for my $path ('<a@b.test', 'a@b.test>', '<<a@b.test>', '<a@b.test>>',
	    '<<a@b.test>>', '>a@b.test<', '<a@b.test> >', '<', '>', '<<>>',
	    '(a@b.test)') {
		like($c->command("MAIL FROM:$path"), qr/^501/,
		    "5321-4.1.2-o MAIL FROM:$path");
	}
	$c->command('MAIL FROM:<a@b.test>', 250);
	for my $path ('<alice@local.test', 'alice@local.test>', '<',
	    '<<alice@local.test>>') {
		like($c->command("RCPT TO:$path"), qr/^501/,
		    "5321-4.1.2-o RCPT TO:$path");
	}
	like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    '5321-4.1.2-o the session goes on');
}
{
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test> ENVID=a+3Db' => 250,
	    'RCPT TO:<u@relay-ok.test> ORCPT=rfc822;a+2Bb+3D@r.test' => 250,
	    'RCPT TO:<a+b=c@relay-ok.test> NOTIFY=FAILURE' => 250,
	    'DATA' => 354);
	$c->data("Subject: xtext\n\nx\n", 250);
	my ($m) = $sut->wait_relay(qr/^Subject: xtext\r$/m);
	my ($u, $a) = sort { $b =~ /<u@/ <=> $a =~ /<u@/ }
	    @{ $m->{rcpt_lines} };
	like($u, qr/ ORCPT=rfc822;a\+2Bb\+3D\@r\.test(?: |\z)/,
	    '5321-4.1.2-l an address in ORCPT is xtext');
	is($a, 'RCPT TO:<a+b=c@relay-ok.test> NOTIFY=FAILURE',
	    '5321-4.1.2-l the path itself is not');
	like($m->{mail}, qr/ ENVID=a\+3Db(?: |\z)/,
	    '5321-4.1.2-l as is ENVID');
}

# --- 4.1.3: literals ----------------------------------------------------------

{
	my $c = transaction();
	for my $address ('256.1.1.1', '1.2.3', '1.2.3.4.5', '1.2.3.', '1..3.4',
	    '-1.2.3.4', '0x7f.0.0.1', '1.2.3.4 ', '', '1.2.3.4a', '1.2.3.1000') {
		like($c->command("RCPT TO:<alice\@[$address]>"),
		    qr/^(?:501|553)/, "5321-4.1.3-a [$address] is no literal");
	}
	for my $address ('127.0.0.1', '192.0.2.255', '0.0.0.0',
	    '255.255.255.255') {
		unlike($c->command("RCPT TO:<alice\@[$address]>"), qr/^50/,
		    "5321-4.1.3-a [$address] is one");
	}
	for my $literal ('[127.0.0.1', '127.0.0.1]', '127.0.0.1',
	    '[127.0.0.1].test') {
		like($c->command("RCPT TO:<alice\@$literal>"),
		    qr/^(?:501|553)/, "5321-4.1.3-a $literal is none");
	}
	my $own = mail('stranger', 'alice@[127.0.0.1]');
	is(scalar($sut->wait_mail('alice', qr/^Subject: $own$/m)), 1,
	    '5321-4.1.3-a our own is alice\'s');
}
{
	my $c = $sut->stranger(helo => undef);
	for my $address ('2001:db8::1', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8',
	    '::1', '::', '2001:DB8::A', '1:2:3:4:5:6:192.0.2.1') {
		like($c->command("EHLO [IPv6:$address]"), qr/^250/,
		    "5321-4.1.3-b [IPv6:$address]");
	}
	like($c->command('EHLO [ipv6:2001:db8::1]'), qr/^250/,
	    '5321-4.1.3-b the tag has no case');
	for my $literal ('2001:db8::1', 'IPv6:1:2:3', 'IPv6:1::2::3',
	    'IPv6:12345::', 'IPv6:192.0.2.1', 'IPv6:', 'IPv6:1:2:3:4:5:6:7:8:9',
	    'IPv6:g::') {
		like($c->command("EHLO [$literal]"), qr/^501/,
		    "5321-4.1.3-b [$literal] is none");
	}
	like($c->command('EHLO [IPv6:1:2:3:4:5:6::8]'), qr/^250/,
	    '5321-4.1.3-c a "::" for one group is understood');
	for my $literal ('[X400:foo]', '[foo:bar]', '[:x]') {
		like($c->command("EHLO $literal"), qr/^(?:250|501)/,
		    "5321-4.1.3-d EHLO $literal");
	}
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@remote.test>' => 250);
	like($c->command("RCPT TO:<alice\@[$_]>"), qr/^5/,
	    "5321-4.1.3-d nobody is at [$_]") for 'X400:foo', 'IPv7:1', 'foo:x';
	like($c->command('RCPT TO:<alice@[IPv6:2001:db8::1]>'), qr/^5/,
	    '5321-4.1.3-d nor, for strangers, behind foreign IPv6');
}
# What we write of such an address.
{
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.7');
	$c->expect(220);
	$c->script('EHLO c.test' => 250,
	    'XCLIENT ADDR=IPV6:1:2:3:4:5:6:0:8 NAME=[UNAVAILABLE]' => 220,
	    'EHLO [IPv6:1:2:3:4:5:6::8]' => 250);
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: groups\n\nx\n");
	my ($m) = $sut->wait_mail('alice', qr/^Subject: groups$/m);
	like($m, qr/\[IPv6:1:2:3:4:5:6:0:8\]\)/,
	    '5321-4.1.3-c and not generated');
}
{
	my $c = transaction();
	for my $who ('postmaster', 'POSTMASTER', 'alice') {
		like($c->command("RCPT TO:<$who\@[127.0.0.1]>"), qr/^250/,
		    "5321-4.1.3-e $who at our own address is ours");
	}
	like($c->command("RCPT TO:<postmaster\@[$_]>"), qr/^5.. 5\.7\.1/,
	    "5321-4.1.3-e [$_] is somebody else") for '192.0.2.1', '10.0.0.1';
	like($c->command('RCPT TO:<no-such@[127.0.0.1]>'), qr/^550 5\.1\.1/,
	    '5321-4.1.3-e and not all are here');
}
{
	my $subject = mail('friend', 'user@[127.0.0.9]');
	my $m;
	wait_for(sub { ($m) = grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $literal->messages }, 20, "mail at the literal\n" . $sut->log);
	is($m->{rcpt_lines}[0], 'RCPT TO:<user@[127.0.0.9]>',
	    '5321-4.1.3-f mail for a literal goes there, and keeps it');
	ok(!IO::Select->new($asked)->can_read(0.2),
	    '5321-4.1.3-f without a question to the name service');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
