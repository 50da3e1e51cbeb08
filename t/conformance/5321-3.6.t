# 5321-3.6.t - RFC 5321 sections 3.6 to 3.9: relaying, gateways, the end of a
# session, aliases and lists.
use strict;
use warnings;
use Test::More;
use IO::Select;
use Postrider qw(bin wait_for spew is_alive);
use Postrider::Fixture;

# What a host answers to these recipients.
my %answers = (
	refused => '550 5.1.1 who?', silent => 'CLOSE',
	busy => '421 4.3.2 busy', later => '451 4.3.0 later',
);
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1 },
	relay => { is_noting => 1, replies => sub {
		my ($verb, $line) = @_;
		return undef unless $verb eq 'RCPT' &&
		    $line =~ /<([a-z]+)\@/;
		return $answers{$1};
	} },
	aliases => "away u\@relay-ok.test\n" .
	    "posted alice, member\@remote.test, refused\@relay-ok.test\n" .
	    "owner-posted keeper\@remote.test\n" .
	    "failing \"|exit 67\"\n",
	settings => { minimal_backoff_time => '1000s' });
$sut->start;


# One message; its subject.
sub mail { return $sut->post(@_) }

# --- 3.6: relaying and routes -------------------------------------------------

{
	my $c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<@x.test,@y.test:alice@local.test>'),
	    qr/^250/, '5321-3.6.1-b a source route is accepted, not declined');
	like($c->command('RCPT TO:<x@unrelated.test>'), qr/^5[0-9]{2} 5\.7\.1/,
	    '5321-3.6.2-a relaying for strangers is refused for good');
	like($c->command('RCPT TO:<@local.test:x@unrelated.test>'), qr/^5/,
	    '5321-3.6.1-c a route lends no right to relay');
	$c->command('RSET', 250);
	my $subject = mail('@nx-host.test:u@relay-ok.test');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is("@{ $m->{rcpt} }", 'u@relay-ok.test',
	    '5321-3.6.1-c mail goes to the last element of the route');
	ok(!grep({ /^(?:MAIL FROM|RCPT TO):<@/m } $sut->relay->raw),
	    '5321-3.6.1-a and the client sends no route');
	is(scalar($sut->wait_relay(qr/^Subject: $subject\r$/m)), 1,
	    '5321-3.6.2-b the accepted message goes to the next host');
	unlike($sut->log, qr/nx-host/,
	    '5321-3.6.1-d the names in a route are not resolved');
	my ($raw) = grep { /^Subject: $subject\r$/m } $sut->relay->raw;
	like($raw, qr/^RCPT TO:<u\@relay-ok\.test>/m,
	    '5321-3.6.1-d the next host gets the plain mailbox');
}

# What fails after acceptance is reported.
{
	my $subject = mail('refused@relay-ok.test');
	my ($report) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is("@{ $report->{rcpt} }", 's@remote.test',
	    '5321-3.6.3-a a report goes to the reverse path');
	like($report->{data}, qr{^Content-Type:\ multipart/report;
	    \s+report-type="?delivery-status}mx, '5321-3.6.3-b as RFC 6522 says');
	like($report->{data}, qr{^Content-Type: message/delivery-status}m,
	    '5321-3.6.3-b with the part of RFC 3464');
	is($report->{from}, '', '5321-3.6.3-d its own reverse path is null');
	like($report->{mail}, qr/^MAIL FROM:<>/,
	    '5321-3.6.3-d as MAIL says');
	like($report->{data}, qr/^Reporting-MTA: dns; sut\.test\r$/m,
	    '5321-3.6.3-e the host that found out says so');
	like($report->{data}, qr/^From: .*MAILER-DAEMON\@\S*test/mi,
	    '5321-3.6.3-e and signs it');

	my $before = $sut->remote->count;
	$subject = mail('refused@relay-ok.test', from => '');
	$sut->wait_empty;
	is($sut->remote->count, $before,
	    '5321-3.6.3-c no report about a report');
	ok(!grep({ $_->{data} =~ /^Subject: $subject\r$/m }
	    $sut->remote->messages), '5321-3.6.3-c nor to anybody else');
}

# The data is not touched.
{
	my $text = "Return-Receipt: x\r\nreceived: bad ; line\r\n" .
	    "Received:\r\n\tfrom  y;no date\r\nX-Odd:a\r\n\r\n b \r\n";
	my $subject = $sut->subject;
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<u@relay-ok.test>' => 250, 'DATA' => 354);
	$c->raw("Subject: $subject\r\n$text.\r\n");
	like($c->reply, qr/^250/,
	    '5321-3.7.2-c odd Received fields are no reason to refuse');
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	my $data = $m->{data};
	ok($data =~ s/\AReceived: from c\.test .*?\r\n(?![ \t])//s,
	    '5321-3.7.2-a a Received field is put on top');
	is($data, "Subject: $subject\r\n$text",
	    '5321-3.6.3-f all else is as it came');
	my @received = $data =~ /^(received:.*\r\n(?:[ \t].*\r\n)*)/mig;
	is(join('', @received), "received: bad ; line\r\n" .
	    "Received:\r\n\tfrom  y;no date\r\n",
	    '5321-3.7.2-b older Received fields stay as they were');
}
{
	my $odd = join '', map { "Received: $_\n" } "\xff" x 500,
	    join("\n\t", 'a', ('b' x 70) x 900), ';' x 900, '(' x 300;
	my $subject = mail('alice@local.test', header => $odd);
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-3.7.2-d odd and long Received fields are survived');
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
	like($c->data($odd . "Received: by x; y\n" x 200 .
	    "Subject: loop\n\nx\n", qr/^[25]/), qr/^554 5\.4\.6 /,
	    '5321-3.7.2-d and the loop counter has its say');
	wait_for(sub { $sut->log =~ /too many hops/ }, 10, 'the loop');
	pass('5321-3.7.2-d which is: too many hops');
}

# --- 3.7: gateways ------------------------------------------------------------

{
	my $subject = $sut->subject;
	$sut->sendmail("From: root\nTo: bob, far\@remote.test\n" .
	    "Subject: $subject\n\nx\n", '-t', '-f', 'prt');
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	my ($header) = $m->{data} =~ /\A(.*?\r\n)\r\n/s;
	like($header, qr/\AReceived: by sut\.test \(/,
	    '5321-3.7.2-a what comes from a command gets one too');
	like($header, qr/\AReceived: [^;]*\bid \w+;/s,
	    '5321-3.7.2-e which has no SMTP in it');
	unlike($header, qr/\AReceived: [^;]*with E?SMTP/s,
	    '5321-3.7.2-e since there was none');
	like($header, qr/^From: root\@local\.test\r$/m,
	    '5321-3.7.4-a From is qualified');
	like($header, qr/^To: bob\@local\.test, far\@remote\.test\r$/m,
	    '5321-3.7.4-a To is');
	like($header, qr/^Message-Id: <[^\s<>@]+@[^\s<>@]+>\r$/mi,
	    '5321-3.7.3-b what is added follows the grammar');
	like($header, qr/^Date:\ (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),\ \d{1,2}
	    \ [A-Z][a-z]{2}\ \d{4}\ \d\d:\d\d:\d\d\ [+-]\d{4}\b/mx,
	    '5321-3.7.3-b the date too');
	is($m->{from}, 'prt@local.test',
	    '5321-3.7.5-a -f is the reverse path');
	$subject = $sut->subject;
	$sut->sendmail("Subject: $subject\n\nx\n", 'far@remote.test');
	($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is($m->{from}, getpwuid($>) . '@local.test',
	    '5321-3.7.5-a and the user without it');
}
{
	my @forms = ('"quoted string"@remote.test', 'u@[192.0.2.1]',
	    'l' x 64 . '@remote.test', "a.b+c=d\@remote.test");
	for my $form (@forms) {
		my $subject = mail('alice@local.test', from => $form,
		    header => "To: Friends: alice\@local.test, " .
		    "\"A B\" <bob\@local.test>;, undisclosed:;\n");
		my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
		like($m, qr/^Return-Path: <\Q$form\E>$/m,
		    "5321-3.7.3-a $form is taken");
	}
}
{
	my $subject = mail('failing@local.test',
	    header => "From: other\@relay-ok.test\nErrors-To: e\@x.test\n");
	my ($report) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is("@{ $report->{rcpt} }", 's@remote.test',
	    '5321-3.7.4-b errors go to the reverse path, not to From');
}

# --- 3.8: the end -------------------------------------------------------------

{
	my $c = $sut->stranger;
	for my $command ('FOO', 'FOO', 'FOO', 'FOO', 'FOO', 'RSET', 'RSET',
	    'RSET') {
		my $reply = $c->command($command);
		next if $command eq 'RSET';
		like($reply, qr/^500 5\.5\.\d/,
		    '5321-3.8-c an unknown command gets 500');
		like($c->command('NOOP'), qr/^250/,
		    '5321-3.8-c and the session goes on');
	}
	$c->command('MAIL FROM:<a@b.test>', 250);
	$c->command('RCPT TO:<no-such@local.test>', 550);
	like($c->command('DATA'), qr/^(?:503|554)/,
	    '5321-3.8-b a failed DATA closes nothing');
	like($c->command('NOOP'), qr/^250/, '5321-3.8-b nor do errors');
	like($c->command('QUIT'), qr/^221 2\.0\.0/,
	    '5321-3.8-a QUIT is answered');
	ok($c->has_input(5) && $c->input eq '',
	    '5321-3.8-a and nothing but the end follows');
}

# What a client meets.
{
	my %told;
	for my $what (qw(silent busy later)) {
		$told{$what} = mail("$what\@relay-ok.test");
	}
	for my $what (sort keys %told) {
		$sut->wait_log(qr/to=<$what\@relay-ok\.test>.*status=deferred/);
		ok(!grep({ $_->{data} =~ /^Subject: $told{$what}\r$/m }
		    $sut->remote->messages),
		    "5321-3.8-f $what is no failure for good")
		    if $what ne 'busy';
	}
	my $log = $sut->log;
	like($log, qr/to=<silent\@relay-ok\.test>.*lost connection/,
	    '5321-3.8-f a lost connection is tried again later');
	like($log, qr/to=<busy\@relay-ok\.test>.*dsn=4\..*status=deferred/,
	    '5321-3.8-g 421 is a temporary failure');
	my ($raw) = grep { /^RCPT TO:<busy\@/m } $sut->relay->raw;
	unlike($raw, qr/^RCPT TO:<busy.*^(?:MAIL|RSET)\b/ms,
	    '5321-3.8-g after which the session is not used');
	my ($status) = $sut->postrider('queue', 'delete', 'ALL');
}

# --- 3.9: aliases and lists ---------------------------------------------------

{
	my $subject = mail('team@local.test');
	is(scalar($sut->wait_mail($_, qr/^Subject: $subject$/m)), 1,
	    "5321-3.9-a the alias reaches $_") for qw(alice bob);
	my ($m) = $sut->wait_mail('bob', qr/^Subject: $subject$/m);
	like($m, qr/^Return-Path: <s\@remote\.test>$/m,
	    '5321-3.9.1-a the reverse path stays');

	$subject = mail('away@local.test', header => "From: x\@remote.test\n" .
	    "Sender: y\@remote.test\n");
	my ($far) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	is($far->{from}, 's@remote.test',
	    '5321-3.9.1-a also when it leads away');
	is("@{ $far->{rcpt} }", 'u@relay-ok.test',
	    '5321-3.9.1-a only the recipient is another');
	my $data = $far->{data};
	1 while $data =~ s/\A(?:Received|Delivered-To): .*\r\n(?:[ \t].*\r\n)*//;
	is($data, "From: x\@remote.test\r\nSender: y\@remote.test\r\n" .
	    "Subject: $subject\r\n\r\nx\r\n",
	    '5321-3.9.1-a the message is as it was');
}
{
	my $subject = mail('posted@local.test', from => 'alice@local.test',
	    header => "From: alice\@local.test\nTo: posted\@local.test\n");
	my ($far) = $sut->wait_remote(qr/^Subject: $subject\r\n\r\nx\r$/m);
	is($far->{from}, 'owner-posted@local.test',
	    '5321-3.9-b a list\'s sender is its administrator');
	like($far->{data}, qr/^From:\ alice\@local\.test\r\nTo:\ posted\@local
	    \.test\r\nSubject:\ $subject\r\n/mx,
	    '5321-3.9-c the header stays as it was');
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-3.9-d the poster, a member, gets a copy');
	my @reports;
	Postrider::wait_for(sub {
		@reports = grep { $_->{data} =~ /^Subject: $subject\r$/m &&
		    $_->{from} eq '' } $sut->remote->messages;
	}, 20, 'the report of a member');
	like($reports[0]{data}, qr/^Final-Recipient:\ rfc822;
	    \ refused\@relay-ok\.test\r$/mx, 'which tells whose failure');
	is("@{ $reports[0]{rcpt} }", 'keeper@remote.test',
	    '5321-3.9.2-a a member\'s failure is told to the administrator');
	is(scalar @reports, 1, '5321-3.9.2-a and to nobody else');
	is(scalar($sut->wait_mail('alice', qr/^Subject: $subject$/m)), 1,
	    '5321-3.9-a the list reaches its members');
	ok(!grep({ /^Subject: Undelivered.*$subject/ms } $sut->mail('alice')),
	    '5321-3.9.2-a not to the poster');
}

is(join('', $sut->complaints), '', 'nothing crashed');

# A system that stops says 421 to those who wait.
{
	my @waiting = map { $sut->stranger } 1 .. 3;
	kill 'TERM', $sut->pid;
	my @said = map { $_->reply // '' } @waiting;
	like($_, qr/^421 .*sut\.test/, '5321-3.8-e stopping is told with 421')
	    for @said;
	ok(scalar(grep { $_->is_closed } @waiting) == 3,
	    '5321-3.8-d and then the connection is closed');
	$sut->stop;
}
done_testing();
