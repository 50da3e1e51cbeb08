# greet.t - clients that talk before they are greeted, and services that take
# no mail.
use strict;
use warnings;
use IO::Select;
use Test::More;
use Postrider;

my ($early, $refuse, $gone) = map { Postrider::free_port() } 1 .. 3;
my $mail = Postrider->new(settings => {
	local_recipient_maps => '', smtpd_peername_lookup => 'no',
	relayhost => '[127.0.0.1]:9', mynetworks => '127.0.0.9/32',
	smtpd_relay_restrictions => 'permit_mynetworks, ' .
	    'reject_unauth_destination',
	smtpd_processes => 1, postscreen_greet_wait => '1s',
	postscreen_greet_action => 'enforce',
}, master => <<"END")->start;
127.0.0.1:$early inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
  -o { smtpd_banner = \$myhostname ESMTP behind }
127.0.0.1:$refuse inet n - n - - smtpd
  -o { smtpd_refusal_greeting = 554 no mail for you }
127.0.0.1:$gone inet n - n - - smtpd
  -o { smtpd_refusal_greeting = 521 does not accept mail }
END

sub client { return Postrider::Client->new($_[0], from => $_[1]) }

# Who waits is greeted, and the next time at once.
{
	my $c = client($early, '127.0.0.2');
	like($c->line, qr/^220-mail\.local\.test /,
	    'a first line comes at once');
	ok(!IO::Select->new($c->socket)->can_read(0.5), 'the rest does not');
	like($c->line, qr/^220 mail\.local\.test ESMTP behind/,
	    'it comes in the end, as of the smtpd behind');
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<c@local.test>' => 250, 'QUIT' => 221);
	$c = client($early, '127.0.0.2');
	like($c->line, qr/^220 /, 'the second time there is no pause');
	$c = client($early, '127.0.0.9');
	like($c->line, qr/^220 /, 'nor is there one for mynetworks');
	$c = client($mail->port, '127.0.0.2');
	like($c->line, qr/^220 /, 'nor in services that are not postscreen');
}

# Who waits is counted as others are.
$mail->set(smtpd_client_connection_count_limit => 2,
    smtpd_client_event_limit_exceptions => '');
$mail->reload;
{
	my @c = map { client($early, '127.0.0.8') } 1 .. 2;
	like($_->line, qr/^220-/, 'one that waits') for @c;
	my $c = client($early, '127.0.0.8');
	like($c->line, qr/^421 4\.7\.0 .*too many connections/,
	    'one too many is not even let in');
	like($_->line, qr/^220 /, 'the others are greeted once') for @c;
	$_->close for @c;
}
$mail->set(smtpd_client_connection_count_limit => undef,
    smtpd_client_event_limit_exceptions => undef);
$mail->reload;

# Who does not wait is heard, and believed nothing.
{
	my $c = client($early, '127.0.0.3');
	$c->raw("EHLO c.test\r\n");
	like($c->reply, qr/^220-mail.*\n220 mail/, 'the greeting is whole');
	like($c->reply, qr/^250/, 'EHLO is answered');
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<c@local.test>'),
	    qr/^550 5\.5\.1 .*Protocol error/, 'every recipient is refused');
	like($c->command('DATA'), qr/^554/, 'there is no mail');
	$c->command('QUIT', 221);
	$mail->wait_log(
	    qr/PREGREET 13 after \d\.\d\d from \[127\.0\.0\.3\]:\d+: EHLO c/);
	$mail->wait_log(
	    qr/NOQUEUE: reject: RCPT from .*Protocol error; from=<a\@b/);
}
$mail->set(postscreen_greet_action => 'drop');
$mail->reload;
{
	my $c = client($early, '127.0.0.4');
	$c->raw("EHLO c.test\r\n");
	$c->line;
	like($c->reply, qr/^521 5\.5\.1 Protocol error/,
	    'or hears 521, if we drop those');
	ok($c->is_closed, 'and is gone');
	$c = client($early, '127.0.0.5');
	$c->line;
	$c->close;
	$mail->wait_log(qr/lost connection after CONNECT from .*127\.0\.0\.5/);
}
$mail->set(postscreen_greet_action => 'ignore',
    smtpd_forbid_unauth_pipelining => 'yes');
$mail->reload;
{
	my $c = client($early, '127.0.0.6');
	$c->raw("EHLO c.test\r\n");
	like($c->reply, qr/^220-.*\n220 /, 'who is ignored is greeted');
	like($c->reply, qr/^250/, 'and served');
}

# RFC 5321 3.1, RFC 7504 3.
{
	my $c = client($refuse, '127.0.0.2');
	like($c->reply, qr/^554 mail\.local\.test no mail for you$/,
	    'a service may refuse everybody');
	like($c->command('EHLO c.test'), qr/^503 5\.7\.0/,
	    'then it hears nothing');
	like($c->command('MAIL FROM:<a@b.test>'), qr/^503/, 'from anybody');
	like($c->command('WHAT'), qr/^503/, 'whatever it is');
	like($c->command('QUIT'), qr/^221/, 'but QUIT');
	$c = client($gone, '127.0.0.2');
	like($c->reply, qr/^521 mail\.local\.test does not accept mail$/,
	    'or say that there is no mail here at all');
	like($c->command('EHLO c.test'), qr/^521 5\.3\.2/, 'again and again');
	like($c->command('QUIT'), qr/^221/, 'until QUIT');
	$c = client($gone, '127.0.0.2');
	$c->expect(521);
	$c->raw("BDAT 6\r\nQUIT\r\n");
	like($c->reply, qr/^521 5\.3\.2/, 'so does who says BDAT');
	ok($c->is_closed, 'whose octets are no commands');
}

# Who waits when the system stops hears 421, as all do.
{
	my $idle = client($mail->port, '127.0.0.2');
	$idle->expect(220);
	my $waits = client($early, '127.0.0.7');
	$waits->line;
	$mail->stop;
	like($idle->reply, qr/^421 4\.3\.2 mail\.local\.test /,
	    'an idle client hears 421 at the end');
	like($waits->reply, qr/^421 4\.3\.2/, 'so does one in the pause');
}

done_testing();
