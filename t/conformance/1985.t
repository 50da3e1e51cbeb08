# 1985.t - RFC 1985: ETRN, by which a host asks for what waits for its domain.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Postrider qw(free_port wait_for);
use Postrider::Fixture;

my ($far, $quiet, $strict) = map { free_port() } 1 .. 3;
my $sut = Postrider::Fixture->new(
	settings => { relay_domains => 'relay-ok.test, far.test, other.test',
	    smtp_connect_timeout => '2s' },
	master => <<"END");
127.0.0.1:$quiet inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=ETRN
127.0.0.1:$strict inet n - n - - smtpd -o smtpd_junk_command_limit=5
  -o smtpd_hard_error_limit=3 -o smtpd_soft_error_limit=2
END
{
	open my $f, '>>', $sut->etc . '/transport' or die;
	print $f "$_ smtp:[127.0.0.1]:$far\n" for 'far.test', 'other.test';
}
$sut->start;

my $c = $sut->stranger;
$sut->take($c, from => 's@remote.test', to => ["u\@$_"],
    text => "Subject: for-$_\n\nx\n") for 'far.test', 'other.test';
$sut->settle;
is($sut->queue_count('deferred'), 2, 'two messages wait');

like($sut->stranger->command('EHLO c.test'), qr/^250[- ]ETRN$/m,
    '1985-5-c EHLO lists ETRN');
{
	my $c = $sut->stranger(port => $quiet, helo => undef);
	unlike($c->command('EHLO c.test'), qr/ETRN/,
	    '1985-5-c unless it is switched off');
	like($c->command('ETRN far.test'), qr/^50[02] /,
	    '1985-5-c and then there is none');
}
$c->command('MAIL FROM:<s@remote.test>', 250);
like($c->command('ETRN far.test'), qr/^503 /,
    '1985-5-a ETRN is illegal inside a transaction');
like($c->command('RCPT TO:<alice@local.test>'), qr/^250/,
    '1985-5-a which goes on');
$c->command('RSET', 250);
like($c->command($_), qr/^50[01] /, "1985-5.1-a \"$_\" is a bad command")
    for 'ETRN', 'ETRN a b', 'ETRN -bad-.test';
like($c->command('ETRN elsewhere.test'), qr/^459 /,
    '1985-5.1-a a domain that may not be asked for: 459');
like($c->command('ETRN elsewhere.test'), qr/^459 /,
    '1985-5-b only configured domains may be asked for');
like($c->command('ETRN relay-ok.test'), qr/^25[01] /,
    '1985-5.1-a nothing waits');
like($c->command('ETRN @elsewhere.test'), qr/^459 /,
    '1985-5.3-a subdomains of a foreign domain: no');
like($c->command('ETRN @relay-ok.test'), qr/^25[013] /,
    '1985-5.3-a of a domain of ours: yes');
like($c->command('ETRN #queue'), qr/^(?:459|501) /,
    '1985-5.3-a there are no queues with names');

my $sink = $sut->sink(port => $far);
my $begin = time;
like($c->command('ETRN far.test'), qr/^25[0-3] /, '1985-5.1-a started');
ok(time - $begin < 1, '1985-5.1-b the answer comes at once');
wait_for(sub { $sink->count }, 20, 'the message');
ok(!$c->has_input(0.2), '1985-5.1-b nothing is sent to who asked');
like($c->command('NOOP'), qr/^250/, '1985-5.1-b whose session goes on');
is(join(' ', map { @{ $_->{rcpt} } } $sink->messages), 'u@far.test',
    '1985-5.1-b the domain\'s own host gets it, and nothing else');
{
	my $c = $sut->stranger(port => $strict);
	my $count = 0;
	$count++ while $count < 100 &&
	    ($c->command('ETRN far.test') // '421') =~ /^25|^458/;
	ok($count < 15, "1985-5-b who asks on and on is sent away ($count)");
	my $friend = $sut->friend;
	$friend->command('ETRN other.test', qr/^25/) for 1 .. 100;
	$sut->settle;
	my $tries = () = $sut->log =~ /to=<u\@other\.test>, /g;
	ok($tries < 20, '1985-5-b a hundred requests are not a hundred ' .
	    "attempts ($tries)");
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
