# listed.t - which recipients must be in a table, where a line of master.cf
# says something else than main.cf.
use strict;
use warnings;

use lib 't/lib';
use Postrider;
use Test::More;

my ($off, $own) = map { Postrider::free_port() } 1, 2;
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '$alias_maps',
	relay_domains => 'relay.test', smtpd_error_sleep_time => '0s' },
    files => { aliases => "known root\npostmaster root\n",
	relayed => "known\@relay.test x\n" },
    master => "127.0.0.1:$off inet n - n - - smtpd\n" .
	" -o local_recipient_maps= -o relay_recipient_maps=\n");
$mail->set(relay_recipient_maps => 'texthash:' . $mail->etc . '/relayed');
$mail->start;

sub rcpt
{
	my ($port, $to) = @_;
	my $c = Postrider::Client->new($port);

	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@remote.test>' => 250);
	my $reply = $c->command("RCPT TO:<$to>");
	$c->command('QUIT', 221);
	return $reply;
}

for my $domain ('local.test', 'relay.test') {
	like(rcpt($mail->port, "known\@$domain"), qr/^250/);
	like(rcpt($mail->port, "nobody\@$domain"), qr/^550 5\.1\.1/,
	    "who is in no table of $domain is refused");
	like(rcpt($off, "nobody\@$domain"), qr/^250/,
	    'but not where the line takes the tables away');
}
like(rcpt($off, 'x@else.test'), qr/^454 4\.7\.1|^250/, 'for our domains only');
my ($status, $text) = $mail->postrider('check');
is($status, 0, $text);

# Never fail open.
open my $master, '>>', $mail->etc . '/master.cf' or die;
print $master "127.0.0.1:$own inet n - n - - smtpd\n" .
    " -o local_recipient_maps=texthash:/nowhere\n";
close $master;
($status, $text) = $mail->postrider('check');
isnt($status, 0, 'tables that nobody would ask are an error');
like($text, qr/local_recipient_maps = texthash:\/nowhere: only main\.cf/,
    'in words');
$mail->stop;
$mail->start;
like(rcpt($own, 'known@local.test'), qr/^451 4\.3\.5/,
    'and recipients there wait');
like(rcpt($mail->port, 'known@local.test'), qr/^250/, 'not elsewhere');

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
