# logs.t - pflogsumm, fail2ban and logwatch, as Debian has them, read the log of
# a mixed run and find what the run really had. What that was is known from
# what clients heard, what mailboxes and servers have, and what was done.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(make_path);
use IO::Socket::INET;
use MIME::Base64;
use Postrider qw(free_port is_root need_root slurp spew wait_for);
use Postrider::AuthServer;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

need_root();

my $readers;
for my $place ($ENV{BUILD} // 'build', ($ENV{BUILD} // 'build') . '/..',
    'build') {
	$readers //= abs_path("$place/readers") if -d "$place/readers";
}
plan skip_all => 'the readers of logs are not there (make test-deps)'
    unless defined $readers && -e "$readers/usr/sbin/pflogsumm" &&
    -e "$readers/usr/bin/fail2ban-regex" && -e "$readers/usr/sbin/logwatch";

my %n;			# what happened, and how often
my @doors = map { free_port() } 1 .. 5;
my ($alice, $bob) = @Postrider::USERS;

my $mail = Postrider->new(clock => 1, settings => {
	syslog_name => 'postfix', smtpd_peername_lookup => 'no',
	mynetworks => '127.0.0.1/32', disable_dns_lookups => 'yes',
	smtpd_relay_restrictions =>
	    'permit_mynetworks, reject_unauth_destination',
	smtpd_client_event_limit_exceptions => '127.0.0.0/28',
	smtpd_client_connection_count_limit => 2,
	smtpd_soft_error_limit => 3, smtpd_hard_error_limit => 5,
	smtpd_error_sleep_time => '0s', smtpd_timeout => '20s',
	message_size_limit => 100000, bounce_queue_lifetime => '1d',
	maximal_queue_lifetime => '1d', minimal_backoff_time => '10h',
	maximal_backoff_time => '10h', queue_run_delay => '10h' },
    master => <<"END",
127.0.0.1:$doors[0] inet n - n - - smtpd
    -o smtpd_delay_reject=no -o smtpd_client_restrictions=reject
127.0.0.1:$doors[1] inet n - n - - smtpd
    -o smtpd_client_restrictions=reject
127.0.0.1:$doors[2] inet n - n - - smtpd
    -o smtpd_sender_restrictions=reject
127.0.0.1:$doors[3] inet n - n - - smtpd
    -o smtpd_timeout=1s
127.0.0.1:$doors[4] inet n - n - - smtpd
    -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot
END
    files => { aliases => "postmaster root\nteam $alice, $bob\n" .
	"robot \"|cat >> /tmp/robot.$$\"\naway someone\@far.test\n",
	checks => "/^X-Reject:/ REJECT we do not like it\n" .
	"/^X-Warn:/ WARN we have seen it\n/^X-Hold:/ HOLD\n" .
	"/^X-Discard:/ DISCARD\n" });
my $robot = "/tmp/robot.$$";
spew($robot, '');
chmod 0666, $robot;
END { unlink $robot if defined $robot && $mail }

my $far = $mail->sink;
my $tried = $mail->dir . '/tried';
my $strict = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef unless $verb eq 'RCPT';
	open my $f, '>>', $tried;
	syswrite $f, $line =~ /<later/ ? 'L' : 'N';
	return $line =~ /<later/ ? '450 4.2.1 <x> is not in (yet); come back' :
	    '550 5.1.1 <x> is not known here';
});
my $rude = $mail->sink(replies => sub {
	return $_[0] eq 'CONNECT' ? 'CLOSE' : undef;
});
my $closed = free_port();
spew($mail->etc . '/transport', "far.test smtp:[127.0.0.1]:" . $far->port .
    "\nstrict.test smtp:[127.0.0.1]:" . $strict->port .
    "\nrude.test smtp:[127.0.0.1]:" . $rude->port .
    "\ndead.test smtp:[127.0.0.1]:$closed\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport',
    header_checks => 'regexp:' . $mail->etc . '/checks',
    smtpd_sasl_path => $mail->dir . '/auth');
my $auth = Postrider::AuthServer->new($mail->dir . '/auth',
    users => { $alice => 'good' });
$mail->start;

# --- what is done ---------------------------------------------------------------

# A conversation from an address that says EHLO.
sub talk
{
	my ($from, $port) = @_;
	my $c = Postrider::Client->new($port // $mail->port, from => $from);

	$n{connections}++;
	$c->expect(220);
	$c->command('EHLO client.test', 250);
	return $c;
}

sub bye
{
	my ($c) = @_;

	$c->command('QUIT', 221);
	ok($c->is_closed) or diag('the session goes on');
}

# Messages in one conversation: ([to, header, expected reply] ...).
sub send_all
{
	my ($sender, @messages) = @_;
	my $c = talk('127.0.0.1');

	for (@messages) {
		my ($to, $header, $code) = @$_;
		$c->script("MAIL FROM:<$sender>" => 250,
		    (map { ("RCPT TO:<$_>" => 250) } split ' ', $to),
		    DATA => 354);
		$c->data(($header // '') . "Subject: hello\n\nHello.\n",
		    $code // 250);
	}
	$n{by_smtp} += grep { ($_->[2] // 250) == 250 } @messages;
	bye($c);
}

sub many
{
	my ($count, @what) = @_;

	return map { [@what] } 1 .. $count;
}

send_all('news@far.test', many(100, "$alice\@local.test"));
send_all('news@far.test', many(50, "$alice\@local.test $bob\@local.test"));
send_all("$alice\@local.test", many(80, 'friend@far.test'));
send_all("$alice\@local.test", many($n{forwarded} = 5, 'team@local.test'));
send_all("$alice\@local.test", many(4, 'robot@local.test'));
send_all("$alice\@local.test", many(3, 'away@local.test'));
$n{forwarded} += 3;
send_all("$alice\@local.test", many($n{reports} = 6, 'never@strict.test'));
send_all('', many($n{lost_reports} = 2, 'never@strict.test'));
send_all("$bob\@local.test", many($n{expired} = 7, 'later@strict.test'));
send_all("$bob\@local.test", ['anybody@rude.test'], ['anybody@dead.test']);
$n{deferred} = $n{expired} + 2;
$n{reports} += ++$n{expired};
send_all('news@far.test', many($n{by_checks} = 3, "$bob\@local.test", "X-Reject: 1\n", 550));
send_all('news@far.test', many($n{warned} = 4, "$bob\@local.test", "X-Warn: 1\n"));
send_all('news@far.test', many($n{held} = 5, "$bob\@local.test", "X-Hold: 1\n"));
send_all('news@far.test', many($n{discarded} = 2, "$bob\@local.test", "X-Discard: 1\n"));

for (1 .. 20) {
	my ($status, $text) = $mail->sendmail("Subject: from here\n\nHi.\n",
	    '-f', "$bob\@local.test", "$alice\@local.test");
	is($status, 0, 'sendmail') or diag($text);
	$n{by_sendmail}++;
}

# --- strangers, each from an address of his own -----------------------------------

{
	my $c = talk('127.0.0.2');
	$c->command('MAIL FROM:<spam@far.test>', 250);
	$c->command("RCPT TO:<victim$_\@else.test>", 554) for 1 .. 3;
	$n{relay_denied} += 3;
	bye($c);
	$c = talk('127.0.0.2');
	$c->command('MAIL FROM:<spam@far.test>', 250);
	$c->command("RCPT TO:<nobody$_\@local.test>", 550) for 1 .. 4;
	$n{unknown_user} += 4;
	bye($c);
	$c = talk('127.0.0.3');
	$c->command('EHLO not/a_name', 501);
	$c->command('HELO !', 501);
	$n{bad_helo} += 2;
	$c->command('MAIL FROM:<a@far.test> SIZE=999999999', 552);
	$n{too_big}++;
	$c->command('MAIL FROM:<a..b@far.test>', 501);
	$n{bad_address}++;
	bye($c);
	$c = talk('127.0.0.3');
	$c->script('MAIL FROM:<a@far.test>' => 250,
	    "RCPT TO:<$bob\@local.test>" => 250, DATA => 354);
	$c->data("Subject: much\n\n" . ('y' x 70 . "\n") x 2000, 552);
	$n{too_big_late}++;
	bye($c);
}

# What the lists of restrictions refuse, at once and later.
{
	my $c = Postrider::Client->new($doors[0], from => '127.0.0.4');
	$c->expect(554);
	$n{connections}++;
	$n{at_connect}++;
	$c->command('EHLO client.test', 503);
	bye($c);
	for ([1, 'client'], [2, 'sender']) {
		$c = talk('127.0.0.4', $doors[$_->[0]]);
		$c->command('MAIL FROM:<a@far.test>', 250);
		$c->command("RCPT TO:<$bob\@local.test>", 554) for 1 .. 2;
		$n{"reject_$_->[1]"} += 2;
		bye($c);
	}
}

# Who knows no password, and who does.
{
	my $c = talk('127.0.0.9', $doors[4]);
	$c->command('AUTH LOGIN', 334);
	$c->command(encode_base64('admin', ''), 334);
	$c->command(encode_base64('guess', ''), 535);
	$n{logins_refused}++;
	bye($c);
	$c = talk('127.0.0.10', $doors[4]);
	$c->command('AUTH PLAIN ' . encode_base64("\0$alice\0good", ''), 235);
	$c->script("MAIL FROM:<$alice\@local.test>" => 250,
	    "RCPT TO:<$bob\@local.test>" => 250, DATA => 354);
	$c->data("Subject: hello\n\nHello.\n", 250);
	$n{by_login}++;
	bye($c);
}

# Who errs too much, hangs up, is silent, talks too early, comes too often.
for (1 .. 2) {
	my $c = talk('127.0.0.5');
	$c->command('WRONG', 500) for 1 .. 4;
	$c->raw("WRONG\r\n");
	$c->reply for 1 .. 2;
	ok($c->is_closed, 'too many errors');
	$n{too_many_errors}++;
}
sub hang_up
{
	my ($c) = @_;

	$c->socket->close;
}
for (1 .. 3) {
	hang_up(talk('127.0.0.6'));
	$n{lost_after_ehlo}++;
}
{
	my $c = talk('127.0.0.6');
	$c->script('MAIL FROM:<a@far.test>' => 250,
	    "RCPT TO:<$bob\@local.test>" => 250, DATA => 354);
	$c->raw("Subject: half\r\n\r\nof a mess");
	hang_up($c);
	$n{lost_after_data}++;
	$c = Postrider::Client->new($mail->port, from => '127.0.0.6');
	$c->expect(220);
	hang_up($c);
	$n{connections}++;
	$n{lost_after_connect}++;
}
for (1 .. 2) {
	my $c = talk('127.0.0.7', $doors[3]);
	$c->expect(421, 'silence');
	$n{timeouts}++;
}
{
	my $c = talk('127.0.0.8');
	$c->raw("DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n");
	$c->expect(503);
	ok($c->is_closed, 'who sends a message nobody asked for');
	$n{pipelining}++;
}
{
	my @held = map { talk('127.0.0.77') } 1 .. 2;
	for (1 .. 3) {
		my $c = Postrider::Client->new($mail->port,
		    from => '127.0.0.77');
		$c->expect(421);
		$n{connections}++;
		$n{too_many}++;
	}
	bye($_) for @held;
}

# --- what becomes of it -----------------------------------------------------------

# One is taken away after its first attempt; the others are tried once more,
# and then they are too old.
$mail->settle;
my ($dead) = $mail->wait_log(qr/ \w+: to=<anybody\@dead\.test>/) =~ / (\w+):/;
is(($mail->postrider('queue', 'delete', $dead))[0], 0, 'one is deleted');
for my $hours (13, 26) {
	my $before = $rude->sessions;
	$mail->advance($hours * 3600);
	wait_for(sub { $rude->sessions > $before }, 30, 'the next attempt');
	$mail->settle;
}
wait_for(sub { $mail->queue_count(qw(incoming deferred)) == 0 }, 30,
    "an empty queue\n" . $mail->log);
is($mail->stop, 0, 'stop');
is(join('', $mail->complaints), '', 'nothing crashed');

# --- what really came of it -------------------------------------------------------

my $log = $mail->dir . '/log';
my $tries = slurp($tried);
my %mailbox = map { $_ => scalar $mail->mbox($_) } $alice, $bob;
my $commands = () = slurp($robot) =~ /^Hello\.$/mg;
my $refused = $n{relay_denied} + $n{unknown_user} + $n{bad_helo} +
    $n{too_big} + $n{too_big_late} + $n{at_connect} + $n{reject_client} +
    $n{reject_sender} + $n{by_checks};
my %really = (
	# Postfix, too, tells who brought what cleanup refuses afterwards.
	received => $n{by_smtp} + $n{by_sendmail} + $n{by_login} +
	    $n{by_checks},
	delivered => $mailbox{$alice} + $mailbox{$bob} + $commands +
	    $far->count,
	forwarded => $n{forwarded}, bounced => ($tries =~ tr/N//),
	deferred => $n{deferred},
	deferrals => ($tries =~ tr/L//) + $rude->sessions + 1,
	rejected => $refused, 'reject warnings' => $n{warned},
	held => $n{held}, discarded => $n{discarded},
	senders => 4, 'sending hosts/domains' => 3,	# <> is its client's
	recipients => 5, 'recipient hosts/domains' => 2,
	connections => $n{connections},
);
cmp_ok($mailbox{$alice} + $mailbox{$bob}, '==', 100 + 2 * 50 + 2 * 5 + 4 +
    $n{by_sendmail} + $n{by_login} + $n{reports},
    'the mailboxes have it all');
is($commands, 4, 'and the command had its mail');
is($far->count, 80 + 3, 'and the next host');
is($really{bounced}, 6 + 2, 'each refused address was tried once');
is($mail->queue_count('hold'), $n{held}, 'what is held is there');

# A program of the packages, which are unpacked, and what it prints.
sub reader
{
	my ($program, @words) = @_;
	local $ENV{PERL5LIB} = "$readers/usr/share/perl5";
	local $ENV{PYTHONPATH} = "$readers/usr/lib/python3/dist-packages";
	my $said = '';

	local $ENV{LANG} = local $ENV{LC_ALL} = 'C.UTF-8';
	open my $pipe, '-|', $program, @words or die "$program: $!";
	while (<$pipe>) {
		$said .= $_;
	}
	ok(close $pipe, 'the reader is content') or diag($said);
	return $said;
}

subtest pflogsumm => sub {
	my $said = reader('perl', "$readers/usr/sbin/pflogsumm",
	    '--smtpd-stats', $log);
	my ($totals) = $said =~ /^Grand Totals\n(.*?)^Per-/ms;
	my %counted = map { reverse split ' ', $_, 2 }
	    map { s/ \(\d+%\)//r } $totals =~ /^ +(\d+   [a-z].*?)$/mg;

	if (($counted{deferred} // '') eq '') {
		($counted{deferred}, $counted{deferrals}) =
		    $totals =~ /^ *(\d+)   deferred  \((\d+)  deferrals\)$/m;
	}
	is($counted{$_}, $really{$_}, "$_: $really{$_}") for sort keys %really;
	my %reason = ('Relay access denied' => 'relay_denied',
	    'Recipient address rejected: User unknown in local recipient table'
	    => 'unknown_user',
	    'Sender address rejected: Access denied' => 'reject_sender');
	for (sort keys %reason) {
		my ($count) = $said =~ /^    \Q$_\E \(total: (\d+)\)$/m;
		is($count, $n{$reason{$_}}, "reason: $_");
	}
	my @clients = $said =~ /Client host rejected: .*?\(total: (\d+)\)/g;
	is_deeply([sort @clients], [sort @n{qw(at_connect reject_client)}],
	    'reason: client host, at once and later');
	my ($warnings) = $said =~ /^Warnings\n-+\n(.*?)\n\n/ms;
	my %warnings = $warnings =~ /^  (\w+) \(total: (\d+)\)$/mg;
	is_deeply(\%warnings, { smtpd => $n{too_many} + $n{bad_address} +
	    $n{logins_refused},
	    cleanup => $n{too_big_late}, qmgr => $n{lost_reports} },
	    'warnings');
	like($said, qr/^Fatal Errors: none$/m, 'no fatal errors');
	like($said, qr/^Panics: none$/m, 'no panics');
	unlike($said, qr/Messages with no size data/, 'all sizes are known');
	my ($by_local) = $said =~ /^ +(\d+) .* local\.test$/m;
	is($by_local, $mailbox{$alice} + $mailbox{$bob} + $commands,
	    'deliveries by domain');
};

subtest logwatch => sub {
	my $dir = $mail->dir . '/logwatch';
	make_path("$dir/etc/conf/services", "$dir/logs", "$dir/tmp");
	spew("$dir/etc/conf/services/postfix.conf",
	    "\$postfix_Enable_Long_Queue_Ids = Yes\n");
	my $program = slurp("$readers/usr/share/logwatch/scripts/logwatch.pl");
	$program =~ s{/usr/share/logwatch}{$readers/usr/share/logwatch}g;
	$program =~ s{/etc/logwatch}{$dir/etc}g;
	spew("$dir/logwatch.pl", $program);
	spew("$dir/logs/mail.log", slurp($log));
	$ENV{TMPDIR} = "$dir/tmp";
	my $said = reader('perl', "$dir/logwatch.pl", '--service', 'postfix',
	    '--detail', 'high', '--range', 'all', '--logdir', "$dir/logs",
	    '--output', 'stdout', '--format', 'text');
	my ($summary) = $said =~ /Summary \*+\n(.*?)\*+ Detail/s;
	my %counted = map { reverse split ' ', $_, 2 } map { s/  .*//r }
	    map { s/^(\d+) +/$1 /r }
	    ($summary // '') =~ /^ +(\d+ +\S.*?)(?:  .*)?$/mg;
	my %expected = (
		Accepted => $really{received}, Rejected => $refused,
		'5xx Reject relay denied' => $n{relay_denied},
		'5xx Reject HELO/EHLO' => $n{bad_helo},
		'5xx Reject unknown user' => $n{unknown_user},
		'5xx Reject sender address' => $n{reject_sender},
		'5xx Reject client host' => $n{at_connect} +
		    $n{reject_client},
		'5xx Reject header' => $n{by_checks},
		'5xx Reject message size' => $n{too_big} + $n{too_big_late},
		'*Warning: Queue file size limit exceeded' =>
		    $n{too_big_late},
		'*Warning: Anvil limit reached' => $n{too_many},
		'Placed on hold' => $n{held}, Connections => $n{connections},
		'Connections lost (inbound)' => $n{lost_after_ehlo} +
		    $n{lost_after_data} + $n{lost_after_connect},
		Disconnections => $n{connections},
		'Removed from queue' => $really{received} -
		    $n{by_checks} - $n{held} -
		    $n{discarded} + $n{forwarded} + $n{reports},
		Delivered => $mailbox{$alice} + $mailbox{$bob} + $commands,
		'Sent via SMTP' => $far->count, Forwarded => $n{forwarded},
		Deferred => $n{deferred}, Deferrals => $really{deferrals},
		'Bounced (local)' => $really{bounced},
		Discarded => $n{discarded}, Warned => $n{warned},
		'Expired and returned to sender' => $n{expired},
		'Notifications sent' => $n{reports},
		'Timeouts (inbound)' => $n{timeouts},
		'Illegal address syntax in SMTP command' => $n{bad_address},
		'SMTP protocol violations' => $n{too_many_errors} +
		    $n{pipelining},
		'Connection failures (outbound)' => 1,
		'Miscellaneous warnings' => $n{lost_reports},
		'SASL authenticated messages' => $n{by_login},
		'SASL authentication failed' => $n{logins_refused},
		'Postfix start' => 1, 'Postfix stop' => 1,
	);
	is($counted{$_}, $expected{$_}, "$_: $expected{$_}")
	    for sort keys %expected;
	delete @counted{keys %expected, 'Total', 'Total 5xx Rejects'};
	is_deeply(\%counted, {}, 'nothing else is counted');
	unlike($said, qr/Unmatched/, 'every line is understood') or
	    diag($said =~ s/.*(?=\*\*Unmatched)//sr);
};

# The readers of attacks, by address. No list of bad addresses is asked: its
# line has the log's own frame around the words that Postfix has.
subtest 'fail2ban' => sub {
	symlink Postrider::bin() . '/postrider', $mail->dir . '/postlog';
	my $say = sub {
		my ($level, $text) = @_;
		my ($status, $said) = $mail->run('', $mail->dir . '/postlog',
		    '-c', $mail->etc, '-t', 'postfix/smtpd', '-p', $level,
		    $text);
		is($status, 0, 'a line as it may be one day') or diag($said);
	};
	$say->('info', 'NOQUEUE: reject: RCPT from unknown[192.0.2.2]: 554 ' .
	    '5.7.1 Service unavailable; Client host [192.0.2.2] blocked ' .
	    'using bl.test; from=<a@far.test> to=<b@local.test> proto=ESMTP ' .
	    'helo=<x>');
	my %normal = (
		'127.0.0.2' => $n{relay_denied} + $n{unknown_user},
		'127.0.0.4' => $n{reject_client},
		'127.0.0.5' => $n{too_many_errors},
		'127.0.0.8' => $n{pipelining}, '192.0.2.2' => 1,
	);
	my %auth = ('127.0.0.9' => $n{logins_refused});
	my %ddos = ('127.0.0.6' => $n{lost_after_ehlo} +
	    $n{lost_after_connect}, '127.0.0.9' => $n{logins_refused});
	my %expected = (
		normal => \%normal, more => \%normal, auth => \%auth,
		rbl => { '192.0.2.2' => 1 }, ddos => \%ddos,
		extra => { %normal, %auth },
		errors => { '127.0.0.5' => $n{too_many_errors} },
		aggressive => { %normal, %ddos,
		    '127.0.0.9' => 2 * $n{logins_refused} },
	);
	for my $mode (sort keys %expected) {
		my %found;
		$found{$_}++ for split ' ', reader('python3',
		    "$readers/usr/bin/fail2ban-regex", '-c',
		    "$readers/etc/fail2ban", '--out', '<ip>', $log,
		    "postfix[mode=$mode]");
		is_deeply(\%found, $expected{$mode}, "mode $mode") or
		    diag(explain(\%found));
	}
};

done_testing();
