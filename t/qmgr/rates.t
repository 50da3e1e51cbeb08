# rates.t - how fast each transport, site and recipient gets its mail: pauses
# between deliveries, concurrency for each recipient, settings of single
# transports, times of retrying.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(spew wait_for);
use Test::More;
use Time::HiRes qw(time);

my @slow = map { "$_ unix - - n - - smtp\n" }
    qw(paced steady each quick hasty eager);
my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	smtpd_peername_lookup => 'no', notify_classes => '',
	destination_concurrency_feedback_debug => 'yes',
	paced_destination_rate_delay => '300ms',
	steady_transport_rate_delay => '0.2s',
	each_destination_recipient_limit => '1',
	each_destination_concurrency_limit => '1',
	quick_minimal_backoff_time => '1s', quick_maximal_backoff_time => '1s',
	hasty_maximal_queue_lifetime => '0',
}, master => join '', @slow);
my $refused = "$mail->{dir}/refused";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return '450 4.2.0 not now' if $verb eq 'RCPT' && -e $refused;
	return undef;
});
# Takes a while for each message.
my $lazy = $mail->sink(replies => sub {
	my ($verb) = @_;
	select undef, undef, undef, 0.4 if $verb eq 'DOT';
	return undef;
});
my $table = $mail->etc . '/transport';
my $port = $sink->port;

spew($table, <<"END");
paced.test	paced:[127.0.0.1]:$port
steady1.test	steady:[127.0.0.1]:$port
steady2.test	steady:[localhost]:$port
each.test	each:[127.0.0.1]:@{[ $lazy->port ]}
quick.test	quick:[127.0.0.1]:$port
hasty.test	hasty:[127.0.0.1]:$port
eager.test	eager:[127.0.0.1]:@{[ $lazy->port ]}
far.test	smtp:[127.0.0.1]:$port
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

sub post
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# Send them, and say how long it took until all were gone.
sub all_of
{
	my (@to) = @_;
	my $start = time;
	my @ids = map { post('al@local.test', $_) } @to;

	$mail->wait_log(qr/$_: removed/, 20) for @ids;
	return time - $start;
}

subtest 'a pause after each delivery to a site, in fractions of a second' =>
    sub {
	my $took = all_of(map { "p$_\@paced.test" } 1 .. 5);

	cmp_ok($took, '>=', 4 * 0.3, "$took s");
	cmp_ok($took, '<', 6, 'and no more than that');
	cmp_ok(all_of(map { "q$_\@far.test" } 1 .. 5), '<', 1.2,
	    'other transports have none');
};

subtest 'a pause between any two deliveries of a transport' => sub {
	my $took = all_of(map { ("a$_\@steady1.test", "b$_\@steady2.test") }
	    1 .. 4);

	cmp_ok($took, '>=', 7 * 0.2, "$took s");
	cmp_ok($took, '<', 6, 'and no more than that');
};

subtest 'with one recipient in a delivery, limits are those of recipients' =>
    sub {
	my $took = all_of(map { "r$_\@each.test" } 1 .. 6);
	cmp_ok($took, '<', 2, "six recipients at once: $took s");

	$took = all_of(map { "same\@each.test" } 1 .. 4);
	cmp_ok($took, '>=', 4 * 0.4, "one after the other to one: $took s");
	my $id = post('al@local.test', map { "m$_\@each.test" } 1 .. 3);
	$mail->wait_log(qr/$id: removed/);
	is(scalar(grep { @{ $_->{rcpt} } > 1 } $lazy->messages), 0);
};

subtest 'the window is told to who wants to know' => sub {
	ok($mail->wait_log(qr/feedback: site \S+ answers: window \d+ -> \d+, /));
};

subtest 'times of retrying are a transport\'s own' => sub {
	spew($refused, '');
	my $both = post('al@local.test', 'x@far.test', 'x@quick.test');
	my $slow = post('al@local.test', 'y@far.test');
	my $once = post('al@far.test', 'z@hasty.test', 'z@far.test');

	# The message comes back with its quickest recipient.
	wait_for(sub { $mail->said(qr/$both: to=<x\@quick\.test>/) >= 3 }, 15,
	    'three tries');
	is($mail->said(qr/$slow: to=<y\@far\.test>/), 1, 'this one waits');

	$mail->wait_log(qr/$once: from=<al\@far\.test>, status=expired/);
	$mail->wait_log(qr/$once: sender non-delivery notification/);
	is($mail->said(qr/$once: to=<z\@hasty\.test>/), 1, 'after one try');
	my ($file) = wait_for(sub { glob($mail->spool . "/deferred/*/$once") },
	    5, 'the other recipient waits');
	my $text = Postrider::slurp($file);
	like($text, qr/F.{4}.{1,12}z\@hasty\.test/s, 'one has failed');
	like($text, qr/R.{4}.{1,12}z\@far\.test/s, 'one waits');
	unlink $refused;
	$mail->postrider('queue', 'delete', 'ALL');
};

subtest 'a flush reaches transports that are put off' => sub {
	$mail->set(defer_transports => 'quick');
	$mail->reload;
	my $id = post('al@local.test', 'f@quick.test');

	$mail->wait_log(qr/$id: .*deferred transport/);
	my $next = time + 1.8;
	wait_for(sub { time > $next }, 5, 'another try');
	is($mail->said(qr/$id: .*status=sent/), 0);
	$mail->postrider('queue', 'flush');
	$mail->wait_log(qr/$id: .*status=sent/);
};

subtest 'a lower limit holds from the reload on' => sub {
	my $took = all_of(map { "u$_\@eager.test" } 1 .. 5);
	cmp_ok($took, '<', 2, "five at once: $took s");
	$mail->set(eager_destination_concurrency_limit => '1');
	$mail->reload;
	$took = all_of(map { "v$_\@eager.test" } 1 .. 5);
	cmp_ok($took, '>=', 5 * 0.4, "one after the other: $took s");
};

subtest 'what is wrong is told with its line' => sub {
	$mail->set(defer_transports => '',
	    quick_destination_rate_delay => '10 parsecs',
	    paced_destination_concurrency_limit => '-1');
	my ($status, $text) = $mail->postrider('check');
	isnt($status, 0, 'check fails');
	like($text, qr/main\.cf:\d+: quick_destination_rate_delay = 10 parsecs: expected a time from 0 to 86400 seconds/);
	like($text, qr/main\.cf:\d+: paced_destination_concurrency_limit = -1: expected/);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
