# passing.t - from one host to the next: what sends a recipient on, what not.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_helo_timeout => '2s', smtp_rcpt_timeout => '2s',
	smtp_mail_timeout => '2s', smtp_data_init_timeout => '2s',
	smtp_data_done_timeout => '30s', smtp_connect_timeout => '2s',
	smtp_randomize_addresses => 'no', smtp_host_lookup => 'native',
	minimal_backoff_time => '1000s', notify_classes => '',
});
my $etc = $mail->etc;

# A pair of hosts for each case, behind one name; the first one misbehaves,
# the second takes everything. `passes`: does the second get it?
my %cases = (
	dead        => { passes => 1, log => qr/connect to dead\.test\[127\.0\.0\.1\]:\d+: Connection refused/ },
	'greet-421' => { CONNECT => '421 4.3.2 busy', passes => 1,
	    log => qr/: host greet-421\.test\[127\.0\.0\.1\] refused to talk to me: 421 4\.3\.2 busy/ },
	'greet-554' => { CONNECT => '554 go away', passes => 1 },
	'greet-close' => { CONNECT => 'CLOSE', passes => 1,
	    log => qr/lost connection with greet-close\.test\[127\.0\.0\.1\] while receiving the initial server greeting/ },
	'greet-hang' => { CONNECT => 'HANG', passes => 1,
	    log => qr/conversation with greet-hang\.test\[127\.0\.0\.1\] timed out while receiving the initial server greeting/ },
	'greet-junk' => { CONNECT => 'who is there?', passes => 1 },
	'ehlo-both' => { EHLO => '554 no', HELO => '554 no', passes => 1 },
	'mail-450'  => { MAIL => '450 4.7.1 later', passes => 1,
	    log => qr/: host mail-450\.test\[127\.0\.0\.1\] said: 450 4\.7\.1 later \(in reply to MAIL FROM command\)/ },
	'mail-421'  => { MAIL => '421 4.7.1 tired', passes => 1 },
	'mail-550'  => { MAIL => '550 5.7.1 never', passes => 0 },
	'rcpt-450'  => { RCPT => '450 4.2.1 later', passes => 1 },
	'rcpt-421'  => { RCPT => '421 4.2.1 bye', passes => 1 },
	'rcpt-550'  => { RCPT => '550 5.1.1 never', passes => 0 },
	'rcpt-hang' => { RCPT => 'HANG', passes => 1 },
	'data-451'  => { DATA => '451 4.3.0 later', passes => 1 },
	'data-250'  => { DATA => '250 2.0.0 what', passes => 1 },
	'dot-452'   => { DOT => '452 4.3.1 full', passes => 1 },
	'dot-554'   => { DOT => '554 5.7.1 spam', passes => 0 },
	'dot-close' => { DOT => 'CLOSE', passes => 0 },
);

my ($hosts, $routes, %second) = ('', '');
for my $case (sort keys %cases) {
	my %say = %{ $cases{$case} };
	my $port = $case eq 'dead' ? Postrider::free_port() :
	    $mail->sink(replies => sub { return $say{ $_[0] } })->port;
	$second{$case} = $mail->sink(address => '127.0.0.2', port => $port);
	$hosts .= "127.0.0.1 $case.test\n127.0.0.2 $case.test\n";
	$routes .= "$case.test smtp:[$case.test]:$port\n";
}

# Three hosts of which no more than two are asked.
my $third_port = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '450 4.2.1 one' : undef;
})->port;
$mail->sink(address => '127.0.0.2', port => $third_port, replies => sub {
	return $_[0] eq 'RCPT' ? '451 4.2.2 two' : undef;
});
my $third = $mail->sink(address => '127.0.0.3', port => $third_port);
$hosts .= "127.0.0.$_ three.test\n" for 1 .. 3;

# Too many recipients for one transaction: more of them, not more hosts.
my $small = $mail->sink(replies => sub {
	my ($verb, $line, $s) = @_;
	return $verb eq 'RCPT' && @{ $s->{rcpt} } >= 2 ?
	    '452 4.5.3 too many' : undef;
});
my $small_second = $mail->sink(address => '127.0.0.2', port => $small->port);
$hosts .= "127.0.0.1 small.test\n127.0.0.2 small.test\n";

# A list of next hops, and one for what nobody takes.
my $fallback = $mail->sink;
my $dead = Postrider::free_port();
my $never = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '550 5.1.1 never' : undef;
});
my $greylist = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '450 4.7.1 greylisted' : undef;
});
$routes .= "three.test smtp:[three.test]:$third_port\n" .
    'small.test smtp:[small.test]:' . $small->port . "\n";
Postrider::spew("$etc/hosts", $hosts);
Postrider::spew("$etc/routes", $routes);
$mail->set(dns_hosts_file => "$etc/hosts",
    transport_maps => "texthash:$etc/routes");
$mail->start;

sub outcome {
	my (@to) = @_;

	$mail->send(from => '', to => \@to);
	return (map { $mail->wait_log(qr/to=<\Q$_\E>, relay=.*\n/, 20) } @to)[-1];
}

for my $case (sort keys %cases) {
	my $say = $cases{$case};
	my $line = outcome("r\@$case.test");
	if ($say->{passes}) {
		like($line, qr/relay=\Q$case\E\.test\[127\.0\.0\.2\]:\d+, .*status=sent/,
		    "$case: the next host has it");
	} else {
		like($line, qr/relay=\Q$case\E\.test\[127\.0\.0\.1\]:\d+, .*status=(?:bounced|deferred)/,
		    "$case: nobody else is asked");
	}
	is($second{$case}->count, $say->{passes},
	    "$case: that many copies there");
	like($mail->log, $say->{log}, "$case: the log tells why")
	    if $say->{log};
}

my $line = outcome('r@three.test');
like($line, qr/relay=three\.test\[127\.0\.0\.2\].*status=deferred \(host three\.test\[127\.0\.0\.2\] said: 451 4\.2\.2 two/,
    'the answer of who spoke last counts');
is($third->sessions, 0, 'and after two conversations it is enough');

outcome(map { "r$_\@small.test" } 1 .. 5);
is($small->count, 3, '452 for too many: three transactions for five');
is(join(' ', sort map { @{ $_->{rcpt} } } $small->messages),
    join(' ', map { "r$_\@small.test" } 1 .. 5), 'and everybody has it once');
is($small->sessions, 1, 'in one conversation');
is($small_second->sessions, 0, 'and no other host is asked');

# Next hops in a list, smtp_fallback_relay.
Postrider::spew("$etc/routes", "list.test smtp:[127.0.0.1]:$dead, [127.0.0.2]:" .
    $second{'rcpt-450'}->port . "\n" .
    "dead.test smtp:[127.0.0.1]:$dead\n" .
    'never.test smtp:[127.0.0.1]:' . $never->port . "\n" .
    'grey.test smtp:[127.0.0.1]:' . $greylist->port . "\n" .
    "nohost.test smtp:[no-such-host.test]\n" .
    "wrong.test smtp:[127.0.0.1\n");
$mail->set(smtp_fallback_relay => "[127.0.0.1]:$dead, [127.0.0.1]:" .
    $fallback->port);
$mail->reload;
like(outcome('r@list.test'), qr/relay=127\.0\.0\.2.*status=sent/,
    'the second next hop of a list');
like(outcome('f@dead.test'), qr/status=sent/,
    'what cannot be reached goes to smtp_fallback_relay');
like(outcome('f@grey.test'), qr/status=sent/, 'what is told to wait, too');
like(outcome('f@nohost.test'), qr/status=sent/,
    'what cannot be found, too');
is($fallback->count, 3, 'three messages there');
like(outcome('f@never.test'), qr/status=bounced/, 'but not what is refused');
like(outcome('f@wrong.test'), qr/dsn=4\.3\.5, status=deferred \(bad next hop/,
    'a next hop that is none waits for somebody to repair it');
$mail->set(smtp_fallback_relay => undef);

# Greetings that are believed.
$mail->set(smtp_skip_5xx_greeting => 'no', smtp_skip_4xx_greeting => 'no');
for my $case ('greet-554', 'greet-421') {
	Postrider::spew("$etc/routes", join '', map { "$_.test smtp:[$_.test]:" .
	    $second{$_}->port . "\n" } 'greet-554', 'greet-421');
	$mail->reload;
	like(outcome("g\@$case.test"), $case eq 'greet-554' ?
	    qr/dsn=5\.0\.0, status=bounced \(host .* refused to talk to me: 554/
	    : qr/dsn=4\.3\.2, status=deferred \(host .* refused to talk to me: 421/,
	    "$case: smtp_skip_Nxx_greeting = no ends it");
}

# A tar pit: each answer in time, all of them together not.
my $pit = $mail->sink(replies => sub {
	my ($verb) = @_;
	sleep 1 if $verb eq 'RCPT';
	return undef;
}, extensions => []);
Postrider::spew("$etc/routes", 'pit.test smtp:[127.0.0.1]:' . $pit->port . "\n");
$mail->set(smtp_delivery_time_limit => '3s', smtp_rcpt_timeout => '30s');
$mail->reload;
my $began = time;
$mail->send(from => '', to => [map { "r$_\@pit.test" } 1 .. 30]);
$line = $mail->wait_log(qr/to=<r30\@pit.test>, relay=.*\n/, 25);
like($line, qr/status=deferred \(delivery to .* took longer than smtp_delivery_time_limit, given up while sending RCPT TO/,
    'smtp_delivery_time_limit ends a delivery');
cmp_ok(time - $began, '<', 8, 'in time');

# A host that thinks about the final dot, when the system stops, is heard.
my $slow = $mail->sink(replies => sub {
	return undef unless $_[0] eq 'DOT';
	sleep 2;
	return '250 2.0.0 Ok: taken in the end';
});

# A host that says nothing does not keep the system from stopping.
my $mute = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? 'HANG' : undef;
});
Postrider::spew("$etc/routes", 'mute.test smtp:[127.0.0.1]:' . $mute->port .
    "\nslow.test smtp:[127.0.0.1]:" . $slow->port . "\n");
$mail->set(smtp_delivery_time_limit => undef, smtp_rcpt_timeout => '300s');
$mail->reload;
$mail->send(from => '', to => ['r@mute.test']);
Postrider::wait_for(sub { $mute->sessions > 0 }, 10, 'a conversation');
select undef, undef, undef, 0.2;
$began = time;
is($mail->stop, 0, 'a system with a hanging delivery stops');
cmp_ok(time - $began, '<', 5, 'at once (' .
    sprintf('%.1f', time - $began) . ' s)');
like($mail->log, qr/to=<r\@mute\.test>.*dsn=4\.\d\.\d, status=deferred \(.*(?:stop)/,
    'and the log says why it was deferred');
cmp_ok($mail->queue_count('incoming', 'deferred'), '>', 0, 'the mail is kept');

$mail->start;
$mail->send(from => '', to => ['r@slow.test']);
Postrider::wait_for(sub { $slow->sessions > 0 }, 10, 'a conversation');
select undef, undef, undef, 0.3;
is($mail->stop, 0, 'it stops while a host thinks about the final dot');
like($mail->log, qr/to=<r\@slow\.test>.*status=sent \(250 2\.0\.0 Ok: taken in the end\)/,
    'and has heard the answer');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
