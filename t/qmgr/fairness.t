# fairness.t - a mailing to 100,000, and a site that answers slowly with
# thousands of messages waiting for it, delay nobody else.
#
# POSTRIDER_LONG=1: 50,000 messages for the slow site.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'with sanitizers this measures the sanitizers'
    if Postrider::is_sanitized();

use constant RECIPIENTS => 100_000;
my $messages = $ENV{POSTRIDER_LONG} ? 50_000 : 3_000;

my $mail = Postrider->new(settings => { smtpd_peername_lookup => 'no' });
my $far = $mail->sink;
my $other = $mail->sink;
my $slow = $mail->sink(replies => sub { sleep 5; return undef });
my $table = $mail->etc . '/transport';
Postrider::spew($table, <<"END");
far.test	smtp:[127.0.0.1]:@{[ $far->port ]}
other.test	smtp:[127.0.0.1]:@{[ $other->port ]}
slow.test	smtp:[127.0.0.1]:@{[ $slow->port ]}
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

# --- one message, as its sender sees it ---------------------------------------

my ($number, %sent) = (0);

# Send one to a site; how long the client waited is remembered.
sub probe
{
	my ($site) = @_;
	my $to = 'probe' . ++$number . "\@$site";
	my $start = time;

	$mail->send(from => 'al@local.test', to => [$to]);
	$sent{$to} = time - $start;
}

# The log has hundreds of thousands of lines: what is new is read, once.
my ($log, $half, %delay, $mailing, $is_over) = (undef, '');
sub read_log
{
	open $log, '<', "$mail->{dir}/log" or die "log: $!" unless $log;
	seek $log, 0, 1;		# there may be more by now
	while (defined(my $line = <$log>)) {
		$half .= $line;
		last unless $half =~ /\n\z/;
		$delay{$1} = $2 if $half =~
		    /to=<(probe.*?)>.* delay=([\d.]+),.* status=sent/;
		$mailing = $1 if $half =~
		    /(\w+): from=<list\@local\.test>, size=\d+, nrcpt=100000 /;
		$is_over = 1 if defined $mailing &&
		    $half =~ /qmgr\[\d+\]: $mailing: removed/;
		$half = '';
	}
}

# How long each of these took from the connection to the 250 of its next hop:
# the client's time, and the age that the log tells.
sub latencies
{
	my ($site) = @_;
	my @to = grep { /\@\Q$site\E$/ } keys %sent;

	wait_for(sub { read_log(); !grep { !defined $delay{$_} } @to }, 20,
	    'the last of these');
	return sort { $a <=> $b } map { $sent{$_} + $delay{$_} } @to;
}

sub told
{
	my ($what, @took) = @_;

	note(sprintf '%s: %d messages, median %.0f ms, greatest %.0f ms',
	    $what, scalar @took, 1000 * $took[@took / 2], 1000 * $took[-1]);
	return $took[-1];
}

for (1 .. 5) {
	probe($_) for 'far.test', 'other.test';
}
for my $site ('far.test', 'other.test') {
	my @took = latencies($site);

	told("an idle system, $site", @took);
	# TCP holds small pieces back for 40 ms while others are on their way.
	cmp_ok($took[0], '<', 0.035, 'no piece of a conversation is held back');
}
%sent = ();

# --- a mailing ----------------------------------------------------------------

# More arguments than usual: the kernel gives them a quarter of the stack.
my $list = $mail->dir . '/list';
Postrider::spew($list, join '', map { "m$_\@far.test\n" } 1 .. RECIPIENTS);
my $start = time;
my $pid = fork // die "fork: $!";
if ($pid == 0) {
	my ($status, $text) = $mail->run("Subject: news\n\nNews.\n", 'sh',
	    '-c', 'ulimit -s 65536; exec "$0" "$@" $(cat ' . $list . ')',
	    Postrider::bin() . '/sendmail', '-C', $mail->etc, '-f',
	    'list@local.test');
	print STDERR $text;
	POSIX::_exit($status);
}

# While it is taken, routed, begun and delivered.
while (!$is_over && time - $start < 120) {
	probe($_) for 'far.test', 'other.test';
	read_log();
	sleep 0.1;
}
waitpid $pid, 0;
is($?, 0, 'a mailing is taken');
ok($is_over, 'and delivered');
note(sprintf 'a mailing to %d recipients took %.1f s', RECIPIENTS,
    time - $start);
cmp_ok(told('during the mailing, to its site', latencies('far.test')), '<', 1,
    'a message to the same site does not wait a second');
cmp_ok(told('during the mailing, to another site', latencies('other.test')),
    '<', 1, 'nor does one to another');
%sent = ();

my %seen;
$seen{$_}++ for map { @{ $_->{rcpt} } } $far->messages;
is(scalar(grep { ($seen{"m$_\@far.test"} // 0) == 1 } 1 .. RECIPIENTS),
    RECIPIENTS, 'and each of the many has the mailing once');

# --- a slow site --------------------------------------------------------------

my @clients = map {
	my $c = $mail->client;
	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c;
} 1 .. 10;
$start = time;
for (my $n = 0; $n < $messages; $n += @clients) {
	$_->raw("MAIL FROM:<al\@local.test>\r\nRCPT TO:<s$n\@slow.test>\r\n" .
	    "DATA\r\n") for @clients;
	for my $c (@clients) {
		$c->expect($_) for 250, 250, 354;
		$c->raw("Subject: x\r\n\r\nx\r\n.\r\n");
	}
	$_->expect(250) for @clients;
	next unless $n % 500 == 0;
	probe($_) for 'far.test', 'other.test';
}
$_->command('QUIT', 221) for @clients;
note(sprintf '%d messages for a slow site came in %.1f s', $messages,
    time - $start);
for (1 .. 10) {
	probe($_) for 'far.test', 'other.test';
	sleep 0.1;
}
cmp_ok($mail->queue_count('incoming', 'deferred'), '>', $messages * 0.9,
    'the slow site has nearly all of them to come');
cmp_ok($slow->sessions, '>', 1, 'and they are being delivered');
cmp_ok(told('beside the slow site, to one', latencies('far.test')), '<', 1,
    'a message to another site does not wait a second');
cmp_ok(told('beside the slow site, to another', latencies('other.test')),
    '<', 1, 'nor to yet another');

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->crash;		# the slow site's conversations would take minutes
done_testing;
