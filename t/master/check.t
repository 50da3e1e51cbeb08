# check.t - every mistake has one clear line, before anything is started.

use strict;
use warnings;
use Test::More;
use Postrider qw(is_root slurp spew);

my $mail = Postrider->new;
my ($status, $text);

# Check with some settings, without them afterwards.
sub check
{
	my (%settings) = @_;
	my %before = map { $_ => $mail->{settings}{$_} } keys %settings;

	$mail->set(%settings);
	($status, $text) = $mail->postrider('check');
	$mail->set(%before);
}

check();
is $status, 0, 'a good configuration passes' or diag $text;
is $text, '', 'without a word';

chmod 0775, $mail->etc or die "$!";
check();
is $status, 0, 'a group that may write the configuration stops nothing'
    or diag $text;
like $text, qr/warning: \S+\/etc may be written by others/, 'but is told';
chmod 0777, $mail->etc or die "$!";
check();
is $status, 1, 'everybody does';
chmod 0755, $mail->etc or die "$!";

check(message_size_limit => 'ten');
is $status, 1, 'a bad number';
like $text, qr/^postrider: error: \S+main\.cf:\d+: message_size_limit = ten: expected /m,
    'file, line, name, value, what was expected';

check(smtpd_timeout => '1y');
is $status, 1, "a daemon's own parameter";
like $text, qr/error: \S+main\.cf:\d+: smtpd_timeout = 1y: expected /,
    'is checked by the daemon';
is scalar(() = $text =~ /smtpd_timeout/g), 1, 'and told once';

check(no_such_thing => 'x');
is $status, 0, 'an unknown parameter stops nothing';
like $text, qr/warning: \S+main\.cf:\d+: no_such_thing is not a parameter/,
    'but is told';

check(smtpd_banner => '$myhostname $mail_nam $$x ${stress?1} ${none?2} ' .
    '${mail_version} $(mail_nome)');
is $status, 0, 'nor does one in a value';
is join(' ', $text =~ /main\.cf:\d+: smtpd_banner: \$(\w+) is not a par/g),
    'mail_nam mail_nome', 'but it is told, unless its value is asked for';
check(mailbox_command => '/bin/cat $EXTENSION', mine => 'x',
    smtpd_banner => '$mine ESMTP');
unlike $text, qr/not a parameter/, 'those of recipients and of yours are none';

check(slwo_destination_rate_delay => '2s', smtp_destination_rate_delay => '2s');
is $status, 0, 'a transport that is not there stops nothing';
is join(' ', $text =~ /warning: \S+main\.cf:\d+: (\S+: master\.cf has no \S+ \S+)/g),
    'slwo_destination_rate_delay: master.cf has no service slwo', 'but is told';
$mail->{master} = "fast unix - - n - 2 smtp -o smtp_hello_timeout=5s\n" .
    "  -o my_name=x -o smtp_helo_name=\$my_name\n";
check(fast_destination_rate_delay => '1s');
is $status, 0, 'an unknown name behind -o';
is join(' ', $text =~ /warning: \S+(master\.cf:\d+: \w+) is not a par/g),
    'master.cf:2: smtp_hello_timeout', 'is told, and none of yours';
unlike $text, qr/fast/, 'nor a transport that is there';
$mail->{master} = '';

for my $hop ('[smtp.far.test', 'smtp.far.test:nosuch', '[a]:25, b:') {
	check(relayhost => $hop);
	is $status, 0, "a next hop that is none stops nothing: $hop";
	like $text, qr/warning: \S+main\.cf:\d+: relayhost: bad next hop "[^"]+": expected host, \[host\], /,
	    'but is told';
}
check(relayhost => '[smtp.far.test]:587, [192.0.2.1] mx.far.test:smtp',
    smtp_fallback_relay => '');
unlike $text, qr/next hop/, 'others are not';

for my $bad ('bad_host!', 'mail example', '[192.0.2.1]', '.example.com') {
	check(myhostname => $bad);
	is $status, 0, "a host name that is none stops nothing: $bad";
	like $text, qr/warning: \S+main\.cf:\d+: myhostname = \Q$bad\E: expected a name /,
	    'but is told';
}
check(myhostname => 'mail', mydomain => 'b\xc3\xbccher.example',
    myorigin => '/nowhere');
unlike $text, qr/expected a name/, 'others are not';

check(smtpd_milters => 'inet:localhost:1');
is $status, 1, 'a protecting setting that is not supported is an error';
like $text, qr/error: \S+main\.cf:\d+: smtpd_milters/, 'with its line';

is scalar(() = $text =~ /smtpd_milters/g), 1, 'once, whoever is stopped';

check(maillog_file => '/nowhere/at/all');
is $status, 1, 'a log that cannot be written';
like $text, qr/error: \S+main\.cf:\d+: maillog_file = \/nowhere\/at\/all: No such file/,
    'is named, with its line';

check(smtp_tls_security_level => 'verfy');
is $status, 1, 'a word that nobody knows';
like $text, qr/error: \S+main\.cf:\d+: smtp_tls_security_level = verfy: expected none, may, /,
    'is told with its line and those that are known';

check(inet_interfaces => 'no-such-host.invalid');
is $status, 0, 'a host of inet_interfaces does not matter to 127.0.0.1:port'
    or diag $text;

$mail->{master} = "2x inet n - n - - smtpd\n";
check();
is $status, 1, 'a port that does not exist';
like $text, qr/master\.cf:2: 2x: there is no TCP service/, 'has its line';
$mail->{master} = "old unix - n n - - oldmail flags=DR\n";
check();
is $status, 0, 'a transport that is not here stops nothing';
like $text, qr/warning: \S+master\.cf:2: old: there is no program oldmail/,
    'but is told';
$mail->{master} = "p unix - n n - - pipe user=no-such-user argv=/bin/sh\n" .
    "q unix - n n - - pipe user=nobody argv=/no/such/program\n";
check(relay_transport => 'nobody:x');
is $status, 0, 'mail that will wait stops nothing';
like $text, qr/warning: \S+master\.cf:2: p: there is no user no-such-user\n/,
    'a user who is not there is told';
like $text, qr/warning: \S+master\.cf:3: q: there is no program \/no\/such\//,
    'and a program';
like $text, qr/warning: \S+main\.cf:\d+: relay_transport = nobody:x: master\.cf has no service nobody /,
    'and a transport';
$mail->{master} = "127.0.0.1:2525 inet n - n - - smtpd\n" .
    "  -o content_filter=scan:there\n" .
    "127.0.0.1:2526 inet n - n - - smtpd -o content_filter=\n";
check(content_filter => 'other:there');
is $status, 0, 'nor does a filter that is not there';
like $text, qr/warning: \S+master\.cf:2: content_filter = scan:there: master\.cf has no service scan /,
    'which is told of services';
like $text, qr/warning: \S+main\.cf:\d+: content_filter = other:there: master\.cf has no service other /,
    'and of all';
check(transport_maps => 'hash:/no/such/table');
is $status, 1, 'a table that is not there';
like $text, qr/error: \S+main\.cf:\d+: transport_maps: hash:/,
    'is told with the line that names it';
like $text, qr/^postrider: 1 error$/m, 'and is one error';
$mail->{master} = "slow unix - - n - 2 smtp -o smtp_helo_timeout=5x\n" .
    "fast unix - - n - 2 smtp -o smtp_tls_security_level=verfy\n";
check(smtp_tls_security_level => 'may');
is $status, 1, 'a bad value of one service';
like $text, qr/error: \S+master\.cf:2: smtp_helo_timeout = 5x: expected a time /,
    'has the line of the service';
like $text, qr/error: \S+master\.cf:3: smtp_tls_security_level = verfy: /,
    'and not that of another setting of its name';
$mail->{master} = "smtp unix - - n - -\n";
check();
is $status, 1, 'a line that is too short';
like $text, qr/master\.cf:2: expected eight columns/, 'has its number';
$mail->{master} = "tlsmgr unix - - n 1000? 1 tlsmgr\n";
check();
is $status, 0, "Postfix's helpers are accepted";
unlike $text, qr/warning|error/, 'and merely noted';
$mail->{master} = '';
$mail->write_config;

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
    LocalPort => $mail->port, ReuseAddr => 1) or die "$!";
check();
is $status, 1, 'a port in use';
like $text, qr/master\.cf:1: port \d+ at 127\.0\.0\.1: Address already in use/,
    'is told with the line that wants it';
close $taken;

$mail->start;
check();
is $status, 0, 'the ports of the running system are its own' or diag $text;
$mail->stop;

check(queue_minfree => '900000000000000');
is $status, 0, 'a disk that is full stops nothing';
like $text, qr/warning: \S+: \d+ MB are free, and 858306884 MB have to be \(queue_minfree, /,
    'but is told, with what is needed';

chmod 0777, $mail->spool . '/incoming';
check();
is $status, 1, 'a directory that is too open';
like $text, qr/incoming has mode 0777, expected 0700/, 'is told';
# On a copy: the programs that are tested are everybody's.
my $commands = $mail->dir . '/commands';
mkdir $commands or die;
system('cp', Postrider::bin() . '/postdrop', $commands) == 0 or die;
$mail->set(command_directory => $commands);
($status, $text) = $mail->postrider('set-permissions');
is $status, 0, 'set-permissions';
is +(stat "$commands/postdrop")[2] & 07777, 02755,
    'lends the posting command its group' if is_root;
$mail->set(command_directory => Postrider::bin());
check();
is $status, 0, 'makes it right' or diag $text;

unlink $mail->etc . '/master.cf';
($status, $text) = $mail->postrider('check');
is $status, 1, 'no master.cf';
like $text, qr/master\.cf: No such file/, 'is told';
unlink $mail->etc . '/main.cf';
($status, $text) = $mail->postrider('start');
is $status, 1, 'no main.cf: no start';
like $text, qr/main\.cf: No such file/, 'and why';

done_testing;
