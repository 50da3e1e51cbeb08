# etrn.t - ETRN (RFC 1985): what it answers, to whom, and what it starts.
use strict;
use warnings;

use lib 't/lib';
use Postrider;
use Test::More;

my $port = Postrider::free_port();
my $mail = Postrider->new(settings => {
	relay_domains => 'far.test, other.test, busy.test, idle.test',
	relay_recipient_maps => '', smtpd_peername_lookup => 'no',
	minimal_backoff_time => '1000s', maximal_backoff_time => '1000s',
	smtp_connect_timeout => '2s', smtpd_error_sleep_time => '0s' },
    files => { transport => "far.test smtp:[127.0.0.1]:$port\n" .
	"other.test smtp:[127.0.0.1]:$port\n" .
	"busy.test retry:4.0.0 not now\n" });
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport');
$mail->start;

sub session
{
	my (%o) = @_;
	my $c = Postrider::Client->new($mail->port, %o);

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	return $c;
}

# Syntax and order.
{
	my $c = $mail->client;
	$c->expect(220);
	like($c->command('ETRN far.test'), qr/^503 5\.5\.1/, 'not before HELO');
	my $ehlo = $c->command('EHLO client.test', 250);
	like($ehlo, qr/^250[- ]ETRN$/m, 'EHLO offers it');
	my @steps = (
		'ETRN' => qr/^500 5\.5\.2 Syntax: ETRN domain/,
		'ETRN a b' => qr/^500/, 'ETRN #queue' => qr/^459/,
		'ETRN -bad-.test' => qr/^501/, 'ETRN @' => qr/^501/,
		'ETRN a..b' => qr/^501/, 'MAIL FROM:<a@b.test>' => qr/^250/,
		'ETRN far.test' => qr/^503 5\.5\.1 .*transaction/,
		'RSET' => qr/^250/,
		'ETRN idle.test' => qr/^251 2\.0\.0 .*no messages waiting/,
		'ETRN elsewhere.test' => qr/^459 4\.7\.1/,
		'ETRN @elsewhere.test' => qr/^459 4\.7\.1 Node elsewhere/,
	);
	while (my ($command, $re) = splice @steps, 0, 2) {
		like($c->command($command), $re, $command);
	}
}

# It starts what waits, and nothing else.
{
	$mail->send(from => 's@some.test', to => ['a@far.test']);
	$mail->send(from => 's@some.test', to => ['b@other.test']);
	$mail->wait_log(qr/to=<$_>, .*status=deferred/)
	    for 'a@far\.test', 'b@other\.test';
	Postrider::wait_for(sub { $mail->queue_count('deferred') == 2 }, 10,
	    'two deferred messages');
	my $sink = $mail->sink(port => $port);
	like(session()->command('ETRN far.test'),
	    qr/^25[023] 2\.0\.0 .*far\.test started/, 'ETRN is answered');
	$mail->wait_log(qr/to=<a\@far\.test>, .*status=sent/);
	pass('the message is sent');
	is(scalar(grep { /to=<b\@other\.test>, .*status=sent/ }
	    split /^/, $mail->log), 0, 'the other one is not');
}

# Restrictions: known ones act, unknown ones refuse.
{
	$mail->set(smtpd_etrn_restrictions => 'permit_mynetworks, reject',
	    mynetworks => '127.0.0.9/32', smtpd_delay_reject => undef);
	$mail->reload;
	like(Postrider::wait_for(sub {
		my $reply = session()->command('ETRN far.test');
		return $reply =~ /^459/ ? $reply : undef;
	}, 20, 'the new settings'), qr/^459 4\.7\.1 .*access denied/,
	    'strangers are refused');
	$mail->wait_log(qr/NOQUEUE: reject: ETRN from unknown\[127\.0\.0\.1\]: 459 4\.7\.1 .*; data=<far\.test> proto=ESMTP helo=<client\.test>/);
	like(session(from => '127.0.0.9')->command('ETRN far.test'), qr/^25/,
	    'others are not');
	$mail->set(smtpd_etrn_restrictions => 'check_etrn_access hash:/x, permit');
	my ($status, $text) = $mail->postrider('check');
	like($text, qr/"check_etrn_access" is not supported: every ETRN/,
	    'check tells what is not known');
	$mail->stop;
	$mail->start;
	like(session()->command('ETRN far.test'), qr/^451 4\.3\.5/,
	    'which refuses');
	like(session(from => '127.0.0.9')->command('MAIL FROM:<a@b.test>'),
	    qr/^250/, 'ETRN alone');
}

# The first few are free; then each costs what NOOP costs.
{
	$mail->set(smtpd_etrn_restrictions => undef, mynetworks => undef,
	    smtpd_junk_command_limit => 5, smtpd_hard_error_limit => 3,
	    smtpd_soft_error_limit => 2);
	$mail->stop;
	$mail->start;
	my $n = Postrider::wait_for(sub {
		my $c = session();
		my $n = 0;
		$n++ while $n < 50 &&
		    ($c->command('ETRN far.test') // '421') =~ /^25|^458/;
		return $n < 50 ? $n : undef;
	}, 20, 'an end');
	cmp_ok($n, '>', 5, "a few may be asked ($n)");
	cmp_ok($n, '<', 15, 'not any number');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
