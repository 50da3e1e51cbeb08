# compat.t - what compatibility_level and the settings that name places do in
# a running system: older defaults, a debugger, other people's commands.
use strict;
use warnings;
use Test::More;
use Postrider qw(bin is_root need_root slurp spew wait_for);

need_root();

my $mail = Postrider->new(settings => { compatibility_level => '0',
    mynetworks => '127.0.0.9', mydestination => 'local.test',
    smtpd_recipient_restrictions => 'reject_unauth_destination',
    debugger_command => 'echo $daemon_directory/$process_name $process_id ' .
	'$config_directory > $data_directory/$process_name; ls -l ' .
	'/proc/self/fd > $data_directory/open-$process_name; exit 3' },
    master => "local unix - n n - - local -D\n");
$mail->start;

# The reply to RCPT.
sub rcpt
{
	my ($to) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command('MAIL FROM:<a@far.test>', 250);
	my $reply = $c->command("RCPT TO:<$to>");
	$c->command('QUIT', 221);
	return $reply;
}

# --- levels -------------------------------------------------------------------

like(rcpt('x@sub.local.test'), qr/^250/,
    'level 0: relay_domains is mydestination, with its subdomains');
like(rcpt('x@far.test'), qr/^554/, 'and no others');
$mail->set(compatibility_level => '2');
$mail->reload;
like(rcpt('x@sub.local.test'), qr/^4|^5/, 'level 2: it is empty');
like(rcpt('prt-alice@local.test'), qr/^250/, 'which is nothing for our own');

# Nobody decides about relaying at level 0 unless somebody says so.
$mail->set(compatibility_level => '0', smtpd_recipient_restrictions => undef);
my ($status, $text) = $mail->postrider('reload');
is($status, 1, 'level 0 without a restriction that refuses');
like($text, qr/would let anybody relay/, 'is not what anybody wants');
$mail->set(compatibility_level => '1');
$mail->reload;
like(rcpt('prt-alice@local.test'), qr/^250/,
    'level 1 has smtpd_relay_restrictions');
like(rcpt('x@far.test'), qr/^454/, 'by which strangers wait');

# append_dot_mydomain
for (['0', 'prt-bob@host.local.test'], ['1', 'prt-bob@host']) {
	my ($level, $expected) = @$_;
	$mail->set(compatibility_level => $level, mynetworks => '127.0.0.0/8',
	    smtpd_recipient_restrictions => 'reject_unauth_destination');
	$mail->reload;
	($status) = $mail->sendmail("Subject: x\n\nx\n", '-f',
	    'prt-alice', 'prt-bob@host');
	is($status, 0, "level $level: a domain without a dot");
	ok($mail->wait_log(qr/to=<\Q$expected\E>/), "becomes $expected");
}
$mail->set(compatibility_level => 'newest');
($status, $text) = $mail->postrider('check');
is($status, 1, 'a level that is none');
like($text, qr/main\.cf:\d+: compatibility_level = newest: expected a level/,
    'is told');
$mail->set(compatibility_level => undef);

# --- -D -----------------------------------------------------------------------

$mail->reload;
$mail->send(from => 'a@local.test', to => ['prt-bob@local.test'],
    text => "Subject: x\n\nx\n");
$mail->wait_log(qr/status=sent \(delivered to mailbox\)/);
# Each local writes this file when it starts: the last word is a living one's.
my ($program, $pid, $etc);
wait_for(sub {
	($program, $pid, $etc) = split ' ', slurp($mail->dir . '/data/local');
	return grep { $_ eq ($pid // '') } $mail->children('local');
}, 10, 'the number of a local');
is($program, bin() . '/local', '-D runs debugger_command');
is($etc, $mail->etc, 'with main.cf\'s names');
ok(scalar(grep { $_ eq $pid } $mail->children('local')),
    'and the process\'s number');
unlike(slurp($mail->dir . '/data/open-local'), qr/socket:/,
    'and none of its sockets');
ok(!-e $mail->dir . '/data/smtpd', 'for the line that has it');

# --- other people's commands ----------------------------------------------------

my $dir = $mail->dir;
spew("$dir/other", "#!/bin/sh\nexit 0\n");
chmod 0755, "$dir/other";
system('cp', bin() . '/sendmail', "$dir/copy") == 0 or die;
symlink bin() . '/sendmail', "$dir/link" or die;
$mail->set(sendmail_path => "$dir/other", mailq_path => "$dir/link",
    newaliases_path => "$dir/copy");
($status, $text) = $mail->postrider('check');
is($status, 0, 'another sendmail stops nothing');
like($text, qr/sendmail_path = \Q$dir\E\/other: this is not Postrider's: mail /,
    'but is told');
unlike($text, qr/mailq_path|newaliases_path/, 'ours is not, nor a copy');
$mail->set(sendmail_path => "$dir/none");
($status, $text) = $mail->postrider('check');
like($text, qr/sendmail_path = \Q$dir\E\/none: No such file/,
    'nothing there is told, too');

done_testing();
