# 5321-4.1.4.t - RFC 5321 section 4.1.4, the server: the order of commands.
use strict;
use warnings;
use lib 't/lib', 't/resolve';
use Alone;
use Test::More;
use Postrider qw(free_port slurp spew);
use Postrider::Fixture;

# Clients must greet, as in the main.cf that is installed. A proxy in front
# brings one from 192.0.2.7, whose name a name server tells.
my ($dns, $proxied) = (free_port(), free_port());
my $sut = Postrider::Fixture->new(
    master => "127.0.0.1:$proxied inet n - n - - smtpd\n" .
	"  -o smtpd_upstream_proxy_protocol=haproxy\n",
    settings => { smtpd_helo_required => 'yes',
	smtpd_peername_lookup => 'yes', dns_servers => "127.0.0.1\@$dns",
	dns_timeout => '2s' });
spew($sut->etc . '/reverse.zone', <<'END');
$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@	SOA	ns.test. hostmaster.test. 1 3600 600 86400 60
@	NS	ns.test.
7	PTR	real-name.test.
END
spew($sut->etc . '/test.zone', <<'END');
$ORIGIN test.
$TTL 300
@	SOA	ns hostmaster 1 3600 600 86400 60
@	NS	ns
ns	A	127.0.0.1
real-name	A	192.0.2.7
wrong	A	192.0.2.8
END
Alone::name_server($sut->etc, $dns, 'test' => 'test.zone',
    '2.0.192.in-addr.arpa' => 'reverse.zone') if Alone::nsd();
$sut->start;
my $number = 0;

# DATA and a message; its subject.
sub finish
{
	my ($c, $row, $about) = @_;
	my $subject = 'number-' . $number++;

	like($c->command('DATA'), qr/^354 /, "$row $about");
	$c->data("Subject: $subject\n\nx\n", 250);
	return $subject;
}

sub copies
{
	my ($who, $subject) = @_;

	$sut->wait_empty;
	return grep { /^Subject: \Q$subject\E$/m } $sut->mail($who);
}

# Steps and what they are answered with.
sub steps
{
	my ($c, $row, @steps) = @_;

	while (my ($command, $code) = splice @steps, 0, 2) {
		like($c->command($command), qr/^(?:$code)/,
		    "$row $command: $code");
	}
	return $c;
}

# --- EHLO comes first ---------------------------------------------------------

like(slurp('conf/main.cf'), qr/^smtpd_helo_required = yes$/m,
    '5321-4.1.4-b the main.cf that is installed wants a greeting');
{
	my $c = steps($sut->stranger(helo => undef), '5321-4.1.4-b',
	    'MAIL FROM:<a@b.test>' => 503, 'RCPT TO:<alice@local.test>' => 503,
	    'DATA' => 503, 'EHLO' => 501, 'MAIL FROM:<a@b.test>' => 503,
	    'EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	steps($sut->stranger(helo => undef), '5321-4.1.4-b', 'HELO c.test' =>
	    250, 'MAIL FROM:<a@b.test>' => 250);
	for my $command ('NOOP', 'RSET', 'HELP', 'VRFY alice', 'EXPN team') {
		$c = $sut->stranger(helo => undef);
		my $reply = $c->command($command);
		unlike($reply, qr/^503/, "5321-4.1.4-c $command before EHLO");
		like($reply, qr/^(?:2|502)/,
		    '5321-4.1.4-c is answered as always');
		is($reply, $sut->stranger->command($command),
		    '5321-4.1.4-c word for word');
	}
	steps($sut->stranger(helo => undef), '5321-4.1.4-d',
	    'EHLO c.test' => 250, 'EHLO c.test' => 250, 'EHLO d.test' => 250,
	    'HELO c.test' => 250, 'EHLO c.test' => 250,
	    'MAIL FROM:<a@b.test> SIZE=1' => 250);
}
for my $again ('EHLO c.test', 'EHLO other.test', 'HELO c.test') {
	my $c = steps($sut->stranger, '5321-4.1.4-e',
	    'MAIL FROM:<a@b.test>' => 250, 'RCPT TO:<alice@local.test>' => 250,
	    $again => 250, 'RCPT TO:<alice@local.test>' => 503, 'DATA' => 503,
	    'MAIL FROM:<t@remote.test>' => 250,
	    'RCPT TO:<bob@local.test>' => 250);
	my $subject = finish($c, '5321-4.1.4-e', "a message after $again");
	is(scalar copies('alice', $subject), 0,
	    '5321-4.1.4-e is not for who was named before');
	like((copies('bob', $subject))[0] // '', qr/^Return-Path: <t\@/m,
	    '5321-4.1.4-e nor from him');
}
{
	my $c = steps($sut->stranger, '5321-4.1.4-f',
	    'MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'EHLO' => '501|50[02]|550',
	    'EHLO @' => '501|50[02]|550', 'HELO' => '501|50[02]|550',
	    'HELO [1.2.3]' => '501|50[02]|550');
	my $subject = finish($c, '5321-4.1.4-f', 'the state is as it was');
	my ($m) = copies('alice', $subject);
	like($m // '', qr/^Received: from c\.test /m,
	    '5321-4.1.4-f with the good name');
	like($m // '', qr/^\s+by sut\.test .*with ESMTP /m,
	    '5321-4.1.4-f and the protocol');
}

# --- whose name it is ---------------------------------------------------------

{
	my $c = $sut->stranger(helo => 'EHLO wrong.test');
	my $subject = finish(steps($c, '5321-4.1.4-i',
	    'MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250), '5321-4.1.4-i',
	    'a name of another address is no ground to refuse');
	is(scalar copies('alice', $subject), 1, '5321-4.1.4-i delivered');
	for my $name ('no-such-name.test', 'sut.test', '[192.0.2.99]',
	    'localhost') {
		$c = steps($sut->stranger(helo => "EHLO $name"),
		    '5321-4.1.4-i', 'MAIL FROM:<s@remote.test>' => 250,
		    'RCPT TO:<alice@local.test>' => 250);
		finish($c, '5321-4.1.4-i', "and $name is none either");
	}
}
SKIP: {
	skip 'nsd is not installed', 4 unless Alone::nsd();
	my $c = Postrider::Client->new($proxied);
	$c->raw("PROXY TCP4 192.0.2.7 192.0.2.1 4321 25\r\n");
	$c->expect(220);
	my $subject = finish(steps($c, '5321-4.1.4-h', 'EHLO wrong.test' => 250,
	    'MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250), '5321-4.1.4-h',
	    'both names are known');
	like((copies('alice', $subject))[0] // '',
	    qr/^Received: from wrong\.test \(real-name\.test \[192\.0\.2\.7\]\)/m,
	    '5321-4.1.4-h and told');
}

# --- the order ----------------------------------------------------------------

steps($sut->stranger, '5321-4.1.4-k', 'DATA' => '503|554',
    'RCPT TO:<alice@local.test>' => '503|554',
    'MAIL FROM:<s@remote.test>' => 250, 'DATA' => '503|554',
    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354, '.' => '[25]');
steps($sut->stranger, '5321-4.1.4-k', 'RCPT TO:<alice@local.test>' => 503,
    'MAIL FROM:<s@remote.test>' => 250, 'DATA' => '503|554');
{
	my $c = steps($sut->stranger, '5321-4.1.4-k',
	    'MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<no-such@local.test>' => 550, 'DATA' => '503|554',
	    'RCPT TO:<alice@local.test>' => 250);
	is(scalar copies('alice', finish($c, '5321-4.1.4-k',
	    'MAIL, RCPT, DATA')), 1, '5321-4.1.4-k that is the order');

	$c = steps($sut->stranger, '5321-4.1.4-m',
	    'MAIL FROM:<a@remote.test>' => 250,
	    'MAIL FROM:<b@remote.test>' => 503,
	    'RCPT TO:<alice@local.test>' => 250,
	    'MAIL FROM:<c@remote.test>' => 503);
	my ($m) = copies('alice', finish($c, '5321-4.1.4-m',
	    'the transaction is still open'));
	like($m // '', qr/^Return-Path: <a\@remote\.test>$/m,
	    '5321-4.1.4-m with its first sender');
}
steps($sut->stranger, '5321-4.1.4-n', 'MAIL FROM:<bad' => 501,
    'RCPT TO:<alice@local.test>' => 503, 'DATA' => 503,
    'MAIL FROM:<s@remote.test>' => 250, 'RCPT TO:<alice@local.test>' => 250,
    'DATA' => 354, '.' => '[25]');
steps($sut->stranger, '5321-4.1.4-n', 'MAIL FROM:<s@b.test> SIZE=x' => 501,
    'RCPT TO:<alice@local.test>' => 503, 'MAIL FROM:<s@b.test>' => 250);
{
	my $c = steps($sut->stranger, '5321-4.1.4-o', 'DATA' => 503,
	    'RCPT TO:<alice@local.test>' => 503,
	    'MAIL FROM:<a@remote.test>' => 250, 'DATA' => 503,
	    'RCPT TO:<alice@local.test>' => 250,
	    'MAIL FROM:<b@remote.test>' => 503);
	my ($m) = copies('alice', finish($c, '5321-4.1.4-o',
	    'and the state is as if nothing had been'));
	like($m // '', qr/^Return-Path: <a\@remote\.test>$/m,
	    '5321-4.1.4-o delivered');
	is(scalar(() = ($m // '') =~ /^Subject:/mg), 1, '5321-4.1.4-o once');
}
is(join('', $sut->complaints), '', 'nothing crashed');

# --- policy -------------------------------------------------------------------

{
	my $strict = Postrider::Fixture->new(settings => {
		strict_rfc821_envelopes => 'yes', smtpd_delay_reject => 'no',
		smtpd_helo_restrictions => 'permit_mynetworks, reject' })
	    ->start;
	steps($strict->stranger(helo => undef), '5321-4.1.4-r',
	    'EHLO bad.test' => '55[04] 5\.7\.1 <bad\.test>: Helo',
	    'HELO bad.test' => '55[04] 5\.7\.1 <bad\.test>: Helo',
	    'NOOP' => 250, 'QUIT' => 221);
	steps($strict->friend(helo => undef), '5321-4.1.4-r',
	    'EHLO good.test' => 250, 'MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354,
	    '.' => '[25]');
	steps($strict->friend, 'strict_rfc821_envelopes:',
	    'MAIL FROM:a@b.test' => 501, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:alice@local.test' => 501);
	is(join('', $strict->complaints), '', 'nor there');
}
done_testing();
