# relay.t - who may send where, and which recipients there are.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', mynetworks => '127.0.0.2/32',
	relay_domains => 'relay.test', relayhost => '[127.0.0.1]:9',
	local_recipient_maps => '$alias_maps',
	smtpd_relay_restrictions =>
	    'permit_mynetworks, reject_unauth_destination',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
}, files => { aliases => "known root\npostmaster root\n" })->start;

sub rcpt {
	my ($to, %o) = @_;
	my $c = Postrider::Client->new($mail->port, %o);
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@remote.test>' => 250);
	my $reply = $c->command("RCPT TO:<$to>");
	$c->command('QUIT', 221);
	return $reply;
}

like(rcpt('known@local.test'), qr/^250 2\.1\.5/, 'a stranger may write to us');
like(rcpt('any@relay.test'), qr/^250/, 'and to a domain we relay for');
like(rcpt('x@else.test'), qr/^554 5\.7\.1 <x\@else\.test>: Relay access denied/,
    'but not through us to others');
like(rcpt('x@else.test', from => '127.0.0.2'), qr/^250/,
    'a client in mynetworks may');
like(rcpt('nobody@local.test'),
    qr/^550 5\.1\.1 <nobody\@local\.test>: Recipient address rejected: User unknown in local recipient table/,
    'an unknown recipient is refused at RCPT');
like(rcpt('known%else.test@local.test'), qr/^55\d/,
    'the percent trick does not relay');
like(rcpt('"x@else.test"@local.test'), qr/^55\d/,
    'nor does a quoted address');
like(rcpt('@else.test:known@local.test'), qr/^250/,
    'a source route is ignored, not followed');
ok($mail->wait_log(qr/smtpd\[\d+\]: NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.1\]: 554 5\.7\.1 <x\@else\.test>: Relay access denied; from=<s\@remote\.test> to=<x\@else\.test> proto=ESMTP helo=<c\.test>\n/),
    'a refusal is logged as log readers expect it');

# Postponed instead of refused.
$mail->set(smtpd_relay_restrictions =>
    'permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination');
$mail->reload;
ok(Postrider::wait_for(sub { rcpt('x@else.test') =~ /^454 4\.7\.1/ }, 10,
    'the new settings to act'), 'defer_unauth_destination acts after a reload');

# Never fail open.
$mail->set(smtpd_relay_restrictions => 'permit_mynetworks');
my ($status, $text) = $mail->postrider('check');
isnt($status, 0, 'check fails over lists that would let anybody relay');
like($text, qr/would let anybody relay/, 'and says so');
$mail->stop;
$mail->start;
like(rcpt('known@local.test'), qr/^451 4\.3\.5/,
    'lists that would let anybody relay serve nobody');
$mail->set(smtpd_relay_restrictions =>
    'permit_mynetworks, reject_unauth_destination',
    smtpd_milters => 'inet:127.0.0.1:9');
($status, $text) = $mail->postrider('check');
isnt($status, 0, 'check fails over a filter that there is not');
like($text, qr/main\.cf:\d+.*smtpd_milters/, 'naming file, line and setting');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
