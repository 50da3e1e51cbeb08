# 5321-4.5.4.t - RFC 5321 sections 4.5.4 and 4.5.5: the queue, attempts and
# their times, many connections, and mail without a sender. The clocks of the
# system are moved.
use strict;
use warnings;
use List::Util qw(max min);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);
use Postrider qw(free_port spew wait_for);
use Postrider::Fixture;

use constant { HOUR => 3600, DAY => 86400 };

# The times are the defaults, in which the fixture has others.
my $sut = Postrider::Fixture->new(clock => 1,
	remote => { is_noting => 1, replies => sub {
		return $_[0] eq 'RCPT' && $_[1] =~ /<gone/ ?
		    '550 5.1.1 who?' : undef;
	} },
	relay => { is_noting => 1 },
	aliases => "failing \"|exit 67\"\n",
	settings => { minimal_backoff_time => '300s',
	    maximal_backoff_time => '4000s', queue_run_delay => '300s',
	    default_transport => 'smtp', delay_warning_time => '1h',
	    notify_classes => 'policy, resource, software',
	    few_destination_concurrency_limit => 3, dns_servers => '' },
	master => "few unix - - n - - smtp\n");
my $dir = $sut->dir;
mkdir "$dir/open" or die;

# The hosts: what they say until the file NAME.well is there.
my %hosts = (
	busy => { RCPT => '450 4.2.1 not now' },
	down => { CONNECT => '421 4.3.2 down' },
	never => { RCPT => '450 4.2.1 not now' },
	nobody => { RCPT => '450 4.2.1 not now' },
	quick => { RCPT => '450 4.2.1 not now' },
	moody => { EHLO => '421 4.3.0 not now' },
);
my %sink;
sub host
{
	my ($name, $transport, $replies) = @_;

	$sink{$name} = $sut->sink(is_noting => 1, replies => $replies);
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "%s.test %s:[127.0.0.1]:%d\n", $name, $transport,
	    $sink{$name}->port;
}
for my $name (sort keys %hosts) {
	my $say = $hosts{$name};
	host($name, 'smtp', sub {
		return -e "$dir/$name.well" ? undef : $say->{ $_[0] };
	});
}
host('strict', 'smtp', sub {
	return $_[0] eq 'MAIL' && $_[1] =~ /<bad@/ ? '550 5.7.1 not you' :
	    undef;
});
# It notes how many messages are under way at a time.
host('few', 'few', sub {
	my ($verb, $line, $s) = @_;
	spew("$dir/open/$s->{number}", '') if $verb eq 'CONNECT';
	return undef if $verb ne 'DOT';
	sleep 0.03;
	open my $f, '>>', "$dir/at-once";
	syswrite $f, scalar(my @open = glob "$dir/open/*") . "\n";
	unlink "$dir/open/$s->{number}";
	return undef;
});
$sut->start;
my $number = 0;

# One message; its queue id and subject.
sub mail
{
	my ($to, %o) = @_;
	my $subject = 'number-' . $number++;
	my $c = $sut->friend;
	my $id = $sut->take($c, from => 's@remote.test', %o,
	    to => ref $to ? $to : [$to], text => "Subject: $subject\n\nx\n");
	$c->command('QUIT', 221);
	return ($id, $subject);
}
sub found
{
	my ($name, $subject) = @_;
	return grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    ($sink{$name} // $sut->remote)->messages;
}
sub wait_sink
{
	my ($name, $subject, $count) = @_;
	my @found;

	wait_for(sub { (@found = found($name, $subject)) >= ($count // 1) },
	    20, "$subject at $name\n" . $sut->log);
	return @found;
}
# The ages at which it was tried.
sub ages
{
	my ($id) = @_;
	return map { / $id: to=.* delay=([\d.]+),/ ? $1 : () }
	    split /^/, $sut->log;
}
sub is_gone { return $sut->said(qr/qmgr\[\d+\]: $_[0]: removed/) }

# Go to the moment when this message is due, and let it be tried.
sub step
{
	my ($id) = @_;
	my $tries = ages($id);

	$sut->settle;
	my $due = $sut->due->{$id} // return;
	$sut->advance($due - $sut->now + 0.2) if $due > $sut->now;
	wait_for(sub { ages($id) > $tries }, 20, "$id again\n" . $sut->log);
	$sut->settle;
}

# --- attempts -----------------------------------------------------------------

my ($id, $subject) = mail(['a@busy.test', 'b@busy.test'],
    from => 'al@remote.test', mail => ' ENVID=e1 RET=HDRS');
my ($never, $never_subject) = mail('r@never.test', from => 'old@remote.test');
$sut->wait_log(qr/ $id: to=<b\@busy\.test>.*status=deferred/);
$sut->settle;
is(scalar ages($id), 2, '5321-4.5.4.1-b each recipient is tried once');
$sut->advance(150);
sleep 0.5;
is(scalar ages($id), 2, '5321-4.5.4.1-b there is no other try for a while');
$sut->crash;
$sut->start;
spew("$dir/busy.well", '');
$sut->advance(400);
{
	my ($m) = wait_sink('busy', $subject);
	is($m->{from}, 'al@remote.test',
	    '5321-4.5.4.1-a after a crash it is sent, with its sender');
	is(join(' ', sort @{ $m->{rcpt} }), 'a@busy.test b@busy.test',
	    '5321-4.5.4.1-a and its recipients');
	ok((ages($id))[2] >= 300 * 0.75,
	    '5321-4.5.4.1-b after the least pause');
	$sut->settle;
	is(scalar found('busy', $subject), 1, '5321-4.5.4.1-a once');
}
{
	step($never) until (ages($never))[-1] > 12 * HOUR;
	my @ages = ages($never);
	my @pauses = map { $ages[$_] - $ages[$_ - 1] } 1 .. $#ages;
	note('pauses: ', join ' ', map { int } @pauses);
	cmp_ok(scalar(grep { $_ <= HOUR } @ages), '>=', 2,
	    '5321-4.5.4.1-h two attempts in the first hour');
	ok($pauses[2] > $pauses[0] && $pauses[4] > $pauses[2],
	    '5321-4.5.4.1-h then the pauses grow');
	cmp_ok(max(@pauses[5 .. $#pauses]), '>=', HOUR,
	    '5321-4.5.4.1-h to more than an hour');
	cmp_ok(min(@pauses[5 .. $#pauses]), '>=', HOUR / 2,
	    '5321-4.5.4.1-c later pauses are at least half an hour');
	cmp_ok(min(@pauses), '>=', 300 * 0.75,
	    '5321-4.5.4.1-c the first as long as the settings say');
}
{
	step($never);
	$sut->advance(4.5 * DAY - (ages($never))[-1]);
	step($never);
	ok(!is_gone($never), '5321-4.5.4.1-d after four days and a half it ' .
	    'is still tried');
	ok(!grep({ $_->{data} =~ /^Action: failed\r.*$never_subject/ms }
	    $sut->remote->messages), '5321-4.5.4.1-d nobody heard of an end');
	$sut->advance(0.6 * DAY);
	$sut->wait_log(qr/qmgr\[\d+\]: $never: removed/, 20);
	my @reports = wait_sink('remote', $never_subject, 2);
	like($reports[-1]{data}, qr/^Action: failed\r\nStatus: 4\.\d\.\d\r$/m,
	    '5321-4.5.4.1-d after five days it is returned');
	like($reports[0]{data}, qr/^Action: delayed\r$/m,
	    '5321-4.5.5-a a report of delay');
	is($reports[0]{mail} =~ s/ .*//r . ' ' . $reports[0]{from}, 'MAIL ',
	    '5321-4.5.5-a has no sender');
	is($reports[-1]{from}, '', '5321-4.5.5-a nor has one of failure');
}

# --- settings -----------------------------------------------------------------

$sut->set(bounce_queue_lifetime => '1h', minimal_backoff_time => '60s',
    maximal_backoff_time => '120s', queue_run_delay => '30s');
$sut->reload;
{
	my ($bounce, $text) = mail('r@nobody.test', from => '');
	my ($quick) = mail('r@quick.test');
	$sut->wait_log(qr/ $quick: to=.*deferred/);
	step($quick) for 1 .. 4;
	my @ages = ages($quick);
	my @pauses = map { $ages[$_] - $ages[$_ - 1] } 1 .. $#ages;
	note('pauses: ', join ' ', map { int } @pauses);
	ok(min(@pauses) >= 45 && $pauses[0] < 100,
	    '5321-4.5.4.1-f the first pause can be set');
	ok(max(@pauses) < 200, '5321-4.5.4.1-f and the longest');
	ok(!is_gone($bounce), '5321-4.5.4.1-e what has no sender is tried');
	my $before = $sut->remote->count;
	$sut->advance(0.95 * HOUR);
	$sut->settle;
	$sut->advance(0.2 * HOUR);
	$sut->wait_log(qr/qmgr\[\d+\]: $bounce: removed/, 20);
	ok(!is_gone($quick),
	    '5321-4.5.4.1-e and given up after its own time');
	ok(!grep({ $_->{data} =~ /^Subject: $text\r$/m }
	    $sut->remote->messages), '5321-4.5.4.1-e and nobody is told');
	spew("$dir/quick.well", '');
	step($quick) while !is_gone($quick);
}

# --- hosts that are down, and replies that are kept ---------------------------

{
	my ($first) = mail('x0@down.test');
	$sut->wait_log(qr/ $first: to=.*deferred/);
	my $c = $sut->friend;
	my @ids = map { $sut->take($c, from => 's@remote.test',
	    to => ["x$_\@down.test"]) } 1 .. 60;
	$sut->wait_log(qr/ $_: to=.*deferred/, 20) for @ids;
	cmp_ok($sink{down}->sessions, '<=', 20, '5321-4.5.4.1-g a host that ' .
	    'is down is not asked for each of 61 messages');
	is($sut->queue_count('deferred'), 61,
	    '5321-4.5.4.1-g all of which wait');
	$sut->postrider('queue', 'delete', 'ALL');
}
{
	my ($moody, $text) = mail('r@moody.test');
	$sut->wait_log(qr/ $moody: to=.*dsn=4.*deferred/);
	spew("$dir/moody.well", '');
	step($moody);
	is(scalar found('moody', $text), 1,
	    '5321-4.5.4.1-j 421 to EHLO keeps nothing longer than its pause');
	cmp_ok((ages($moody))[-1], '<', 100, '5321-4.5.4.1-j which is short');
	my ($bad) = mail('r@strict.test', from => 'bad@remote.test');
	$sut->wait_log(qr/ $bad: to=.*bounced/);
	my ($good, $good_text) = mail('r@strict.test');
	is(scalar wait_sink('strict', $good_text), 1,
	    '5321-4.5.4.1-k after 550 to MAIL the next MAIL is said');
	($bad) = mail('r@strict.test', from => 'bad@remote.test');
	$sut->wait_log(qr/ $bad: to=.*bounced/);
	is(scalar(() = join('', $sink{strict}->raw) =~ /^MAIL FROM:<bad@/mg),
	    2, '5321-4.5.4.1-k even by the same sender');
}

# --- transactions and connections ---------------------------------------------

{
	my (undef, $three) = mail([map { "$_\@remote.test" } qw(a b c)]);
	my @m = wait_sink('remote', $three);
	is(join(' ', sort @{ $m[0]{rcpt} }), 'a@remote.test b@remote.test ' .
	    'c@remote.test', '5321-4.5.4.1-l one transaction for all');
	$sut->settle;
	is(scalar found('remote', $three), 1, '5321-4.5.4.1-l and no other');
	my (undef, $many) = mail([map { "m$_\@remote.test" } 1 .. 120]);
	@m = wait_sink('remote', $many, 3);
	is(join(' ', sort { $b <=> $a } map { scalar @{ $_->{rcpt} } } @m),
	    '50 50 20', '5321-4.5.4.1-m at most 50 recipients in one');

	my $c = $sut->friend;
	$sut->take($c, from => 's@remote.test', to => ["n$_\@few.test"])
	    for 1 .. 40;
	wait_for(sub { $sink{few}->count == 40 }, 20, "forty\n" . $sut->log);
	my @at_once = split /\n/, Postrider::slurp("$dir/at-once");
	is(scalar @at_once, 40, 'of all it is known');
	cmp_ok(max(@at_once), '>', 1,
	    '5321-4.5.4.1-n several connections at once');
	cmp_ok(max(@at_once), '<=', 3, '5321-4.5.4.1-n but no more than 3');
}
{
	my $child = fork // die "fork: $!";
	if ($child == 0) {
		$sut->reload for 1 .. 3;
		POSIX::_exit(0);
	}
	my ($greeted, $tried) = (0, 0);
	my $is_done = 0;
	until ($is_done && $tried >= 30) {
		$is_done ||= waitpid($child, POSIX::WNOHANG()) == $child;
		$tried++;
		my $c = eval { Postrider::Client->new($sut->port) } or next;
		$greeted++ if ($c->reply // '') =~ /^220/;
	}
	is($greeted, $tried, "5321-4.5.4.2-a $tried connections during three " .
	    'reloads, all greeted');
	my @all = map { Postrider::Client->new($sut->port,
	    from => '127.0.0.2') } 1 .. 50;
	is(scalar(grep { ($_->reply // '') =~ /^220/ } @all), 50,
	    '5321-4.5.4.2-b fifty connections at once');
	my $c = Postrider::Client->new($sut->port, from => '127.0.0.2');
	like($c->reply, qr/^421 4\.7\.0 .*too many connections/,
	    '5321-4.5.4.2-b one more is too many');
	$c = Postrider::Client->new($sut->port, from => '127.0.0.3');
	like($c->reply, qr/^220/, '5321-4.5.4.2-b but not by somebody else');
	$_->close for @all;
}

# --- mail without a sender ----------------------------------------------------

$sut->settle;
$sut->postrider('queue', 'delete', 'ALL');
{
	my $before = $sut->remote->count;
	my ($null) = mail('failing@local.test', from => '');
	$sut->wait_log(qr/qmgr\[\d+\]: $null: removed/);
	my ($lost) = mail('failing@local.test', from => 'gone@remote.test');
	my ($report) = $sut->wait_log(
	    qr/$lost: sender non-delivery notification: \w+/) =~ /(\w+)$/;
	$sut->wait_log(qr/qmgr\[\d+\]: $report: removed/);
	$sut->wait_empty;
	is($sut->remote->count, $before,
	    '5321-4.5.4-b a report is not answered with a report');
	like($sut->log, qr/ $report: to=<gone\@remote\.test>.*bounced/,
	    '5321-4.5.4-b though it cannot be delivered');
	ok(!grep({ /^Final-Recipient: rfc822; gone/m } $sut->mail('alice'),
	    $sut->mail('bob')), '5321-4.5.4-b nor does a user get it');
}
{
	my $c = $sut->friend;
	my $text = 'number-' . $number++;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    rcpt => ' NOTIFY=SUCCESS', text => "Subject: $text\n\nx\n");
	my ($report) = wait_sink('remote', $text);
	like($report->{data}, qr/^Action: delivered\r$/m,
	    '5321-4.5.5-a a report of success');
	like($report->{mail}, qr/^MAIL FROM:<>/, '5321-4.5.5-a as well');

	$sut->sendmail("Subject: from cron\nTo: root\n\nx\n", '-t');
	my ($m) = $sut->wait_mail('alice', qr/^Subject: from cron$/m);
	like($m, qr/^Return-Path: <[^<>@]+\@local\.test>$/m,
	    '5321-4.5.5-b what is not a report has a sender');
	$c = $sut->stranger;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	$c->command('RCPT TO:<x@elsewhere.test>', qr/^[45]/);
	$c->command('QUIT', 221);
	($m) = $sut->wait_mail('alice', qr/RCPT TO:<x\@elsewhere\.test>/);
	like($m, qr/^Return-Path: <[^<>@]+\@[^<>]+>$/m,
	    '5321-4.5.5-b so has a notice to postmaster');

	my $home = $sut->home(1);
	spew("$home/.forward", "far\@relay-ok.test\n");
	chown((getpwnam $sut->user(1))[2, 3], "$home/.forward");
	(undef, $text) = mail(['far-off@local.test',
	    $sut->user(1) . '@local.test'], from => '');
	($m) = wait_sink('remote', $text);
	like($m->{mail}, qr/^MAIL FROM:<>/,
	    '5321-4.5.5-d an alias keeps the null sender');
	my ($relayed) = $sut->wait_relay(qr/^Subject: $text\r$/m);
	like($relayed->{mail}, qr/^MAIL FROM:<>/,
	    '5321-4.5.5-d and so does .forward');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
