# reload.t - a new configuration without a lost connection or session.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_root wait_for slurp spew free_port is_alive);

my $mail = Postrider->new(settings => { smtpd_banner => 'first' })->start;
my ($status, $text);

my $old = $mail->client;
like $old->expect(220), qr/first/, 'the first settings';
$old->command('EHLO there', 250);
my @before = $mail->children('smtpd');
my ($qmgr) = $mail->children('qmgr');

# M3, W3: sessions go on as they began, others get the new settings, and
# nobody is refused in between.
$mail->set(smtpd_banner => 'second');
$mail->reload;
my $refused = 0;
my $banner = '';
wait_for(sub {
	my $c = eval { $mail->client };
	$refused++ unless $c;
	$banner = $c ? $c->expect(220) : '';
	return $banner =~ /second/;
}, 10, 'the second banner');
is $refused, 0, 'no connection is refused during a reload';
like $old->command('NOOP', 250), qr/^250/, 'the old session still lives';
is_deeply [ $mail->children('qmgr') ], [ $qmgr ], 'qmgr reloads in place';
ok scalar(grep { is_alive($_) } @before), 'an old smtpd stays for its session';
$old->command('QUIT', 221);
wait_for(sub { !grep { is_alive($_) } @before }, 10, 'the end of the old smtpd');
pass 'and leaves after it';

# SIGHUP is the same; many reloads at once end well.
kill 'HUP', $mail->pid for 1 .. 20;
$mail->wait_log(qr/(?:reload -- version.*?){2,}/s);
like $mail->client->expect(220), qr/second/, 'twenty SIGHUPs do no harm';

# New and removed listeners.
my $port = free_port();
$mail->{master} = "127.0.0.1:$port inet n - n - - smtpd -o smtpd_banner=third\n";
$mail->write_config;
$mail->reload;
like $mail->client($port)->expect(220), qr/third/, 'a new service listens';
$mail->{master} = '';
$mail->write_config;
$mail->reload;
wait_for(sub { !eval { $mail->client($port) } }, 10, 'a closed port');
pass 'a removed service does not';

# M2: errors are told and nothing changes.
$mail->set(smtpd_banner => 'fourth', message_size_limit => 'huge');
($status, $text) = $mail->postrider('reload');
is $status, 1, 'a bad value is refused';
like $text, qr/main\.cf:\d+: message_size_limit = huge: expected/,
    'with file, line and value';
kill 'HUP', $mail->pid;
$mail->wait_log(qr/error: \S+main\.cf:\d+: message_size_limit = huge/);
like $mail->client->expect(220), qr/second/, 'the system is as it was';

# A port that somebody else has: refused, the old ones stay.
$mail->set(message_size_limit => undef, smtpd_banner => 'second');
my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
$mail->{master} = '127.0.0.1:' . $taken->sockport .
    " inet n - n - - smtpd\n";
$mail->write_config;
($status, $text) = $mail->postrider('reload');
is $status, 1, 'a port in use is refused';
like $text, qr/cannot listen at 127\.0\.0\.1:\d+: Address already in use/,
    'with the reason';
like $mail->client->expect(220), qr/second/, 'the others still listen';

# L3: a reload opens the log anew.
$mail->{master} = '';
$mail->write_config;
rename $mail->dir . '/log', $mail->dir . '/log.1' or die "$!";
$mail->reload;
wait_for(sub {
	$mail->postrider('log', '-w', 'after the rotation');
	return $mail->log =~ /after the rotation/;
}, 10, 'a line in the new file');
pass 'after a rotation, lines go to the new file';

is $mail->stop, 0, 'stop';
is_deeply [ $mail->complaints ], [], 'nothing crashed';
done_testing;
