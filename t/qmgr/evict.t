# evict.t - one site never fills the open messages: with room for few, a site
# that takes its time delays nobody else, and gets all its mail in the end.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(spew wait_for);
use Test::More;
use Time::HiRes qw(time);

use constant { ROOM => 40, MESSAGES => 400 };

my $mail = Postrider->new(settings => {
	qmgr_message_active_limit => ROOM, qmgr_clog_warn_time => '1h',
	in_flow_delay => '0s',
	default_destination_concurrency_limit => '5',
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	smtpd_peername_lookup => 'no', notify_classes => '' });
my $open = "$mail->{dir}/open";
my $tar = $mail->sink(replies => sub {
	my ($verb) = @_;
	while ($verb eq 'DATA' && !-e $open) {
		select undef, undef, undef, 0.05;
	}
	return undef;
});
my $good = $mail->sink;
my $table = $mail->etc . '/transport';

spew($table, <<"END");
tar.test	smtp:[127.0.0.1]:@{[ $tar->port ]}
good.test	smtp:[127.0.0.1]:@{[ $good->port ]}
also.test	smtp:[127.0.0.1]:@{[ $good->port ]}
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

# Send these in one session; the queue ids.
sub post
{
	my (@to) = @_;
	my $c = $mail->client;
	my @ids;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	for my $to (@to) {
		$c->command('MAIL FROM:<al@good.test>', 250);
		$c->command("RCPT TO:<$_>", 250) for ref $to ? @$to : $to;
		$c->command('DATA', 354);
		push @ids, $c->data("Subject: test\n\nHello.\n") =~
		    /queued as (\w+)/;
	}
	$c->command('QUIT', 221);
	return @ids;
}

# How long until these are gone?
sub time_of
{
	my (@to) = @_;
	my $start = time;

	$mail->wait_log(qr/$_: removed/, 10) for post(@to);
	return time - $start;
}

# Which of these have each arrived how often?
sub copies
{
	my ($sink) = @_;
	my %seen;

	$seen{$_}++ for map { @{ $_->{rcpt} } } $sink->messages;
	return \%seen;
}

my @tarred = post(map { "t$_\@tar.test" } 1 .. MESSAGES);
my $mixed;

subtest 'others pass while a site has more messages than there is room' => sub {
	wait_for(sub { $mail->said(qr/to=<t\d+\@tar/) == 0 &&
	    $mail->said(qr/queue active/) >= ROOM }, 10, 'a full queue');
	my $took = time_of(map { "g$_\@good.test" } 1 .. 20);
	cmp_ok($took, '<', 3, "twenty others took $took s");
	for (1 .. 3) {
		$took = time_of("one$_\@also.test");
		cmp_ok($took, '<', 1, "and one $took s");
	}
};

subtest 'a message for both sites reaches the one that takes it' => sub {
	($mixed) = post(['both@tar.test', 'both@good.test']);
	$mail->wait_log(qr/$mixed: to=<both\@good\.test>.*status=sent/);
	my $took = time_of('after@good.test');
	cmp_ok($took, '<', 1, "the next one took $took s");
};

subtest 'it is told once, and nothing counts as an attempt' => sub {
	$mail->wait_log(qr/warning: mail for \[127\.0\.0\.1\]:\d+ \(transport smtp\) is using up \d+ of 40 active queue entries/);
	is($mail->said(qr/is using up/), 1, 'once in that time');
	is($mail->said(qr/status=deferred/), 0, 'nothing is deferred');
	is($mail->queue_count('deferred'), 0);
	is($mail->queue_count('incoming'), MESSAGES + 1, 'all are there');
};

subtest 'a flush brings them back, and still others pass' => sub {
	$mail->postrider('queue', 'flush');
	my $took = time_of(map { "h$_\@good.test" } 1 .. 5);
	cmp_ok($took, '<', 2, "five others took $took s");
};

subtest 'when the site takes its mail, all of it comes, once' => sub {
	spew($open, '');
	wait_for(sub { $mail->queue_count('incoming', 'deferred') == 0 }, 25,
	    'an empty queue');
	my $seen = copies($tar);
	is(scalar(grep { ($seen->{"t$_\@tar.test"} // 0) == 1 }
	    1 .. MESSAGES), MESSAGES, 'each once');
	is($seen->{'both@tar.test'}, 1);
	is(copies($good)->{'both@good.test'}, 1);
};

subtest 'many recipients wait when there are many, few do not' => sub {
	$mail->set(qmgr_message_recipient_limit => '50',
	    qmgr_message_recipient_minimum => '2');
	unlink $open;
	$mail->stop;
	$mail->start;
	my ($first) = post([map { "a$_\@tar.test" } 1 .. 60]);
	$mail->wait_log(qr/$first: from=.*nrcpt=60 \(queue active\)/);
	$mail->postrider('queue', 'hold', $first);
	$mail->postrider('queue', 'release', $first);
	my $took = time_of('few@good.test');
	cmp_ok($took, '<', 1, "one recipient took $took s");
	spew($open, '');
	$mail->wait_log(qr/$first: removed/, 20);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
