# sites.t - sites that do not answer, mail that grows old, transports that are
# not there, and mailings that let others pass.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Test::More;
use Time::HiRes qw(time);

my $closed = Postrider::free_port();
my $mail = Postrider->new(settings => {
	minimal_backoff_time => '2s', maximal_backoff_time => '3s',
	queue_run_delay => '1s', defer_transports => 'asleep',
	initial_destination_concurrency => '2',
	default_destination_concurrency_limit => '2' },
	master => "asleep unix - - n - - smtp\n");
my $slow = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	select undef, undef, undef, 0.1 if $verb eq 'DATA';
	return undef;
});
my $back = $mail->sink;
my $first = "$mail->{dir}/first";
my $stuck = $mail->sink(replies => sub {
	my ($verb) = @_;
	return undef if $verb ne 'DATA' || -e $first;
	spew($first, '');
	return 'HANG';
});
my $table = $mail->etc . '/transport';

spew($table, <<"END");
dead.test	smtp:[127.0.0.1]:$closed
slow.test	smtp:[127.0.0.1]:@{[ $slow->port ]}
back.test	smtp:[127.0.0.1]:@{[ $back->port ]}
stuck.test	smtp:[127.0.0.1]:@{[ $stuck->port ]}
asleep.test	asleep:[127.0.0.1]:@{[ $back->port ]}
lost.test	nowhere:
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

sub post
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

sub copies { return scalar(my @all = $back->messages) }
sub count_log { my ($re) = @_; return scalar(my @all = $mail->log =~ /$re/g) }

subtest 'a site that does not answer is left alone' => sub {
	post('al@back.test', "r$_\@dead.test") for 1 .. 8;
	$mail->wait_log(qr/site \S+ of transport smtp is left alone for 2/);
	$mail->wait_log(
	    qr/relay=none.*dsn=4\.\d\.\d, status=deferred \(delivery temporarily suspended: /);
	wait_for(sub { $mail->queue_count('deferred') == 8 }, 20, 'all');
	# and tried again by itself
	wait_for(sub { count_log(qr/: to=<r1\@dead\.test>/) > 2 }, 20,
	    'a second and a third try');
	is(copies(), 0);
	$mail->postrider('queue', 'delete', 'ALL');
	wait_for(sub { $mail->postrider('queue', 'delete', 'ALL');
	    $mail->queue_count == 0 }, 20, 'an empty queue');
};

subtest 'a transport that sleeps, and one that is not there' => sub {
	my $a = post('al@back.test', 'x@asleep.test');
	my $b = post('al@back.test', 'x@lost.test');

	$mail->wait_log(qr/$a: .*relay=none.*dsn=4\.3\.2, status=deferred \(deferred transport\)/);
	$mail->wait_log(qr/$b: .*relay=none.*dsn=4\.3\.0, status=deferred \(mail transport unavailable\)/);
	wait_for(sub { $mail->queue_count('deferred') == 2 }, 20, 'both');
	$mail->set(defer_transports => '');
	$mail->stop;
	$mail->start;
	$mail->wait_log(qr/$a: removed/, 20);
	$mail->postrider('queue', 'delete', 'ALL');
	$mail->wait_empty;
	is(copies(), 1);
};

subtest 'one message overtakes a mailing, to the same site and another' => sub {
	my @many = map { "m$_\@slow.test" } 1 .. 1000;
	my $mailing = post('list@back.test', @many);

	$mail->wait_log(qr/$mailing: to=<m1\@slow\.test>/);
	my $start = time;
	my $same = post('al@back.test', 'one@slow.test');
	my $other = post('al@back.test', 'one@back.test');
	$mail->wait_log(qr/$other: removed/);
	$mail->wait_log(qr/$same: removed/);
	my $took = time - $start;
	unlike($mail->log, qr/$mailing: removed/, 'the mailing goes on');
	cmp_ok($took, '<', 1, "in $took s");
	$mail->wait_log(qr/$mailing: removed/, 30);
	my %seen;
	$seen{$_}++ for map { @{ $_->{rcpt} } } $slow->messages;
	is(scalar(grep { ($seen{$_} // 0) == 1 } @many), 1000,
	    'each of them once');
};

subtest 'who was crossed off stays so when qmgr is killed' => sub {
	my $id = post('al@back.test', 'once@back.test', 'x@stuck.test');

	$mail->wait_log(qr/$id: to=<once\@back\.test>.*status=sent/);
	wait_for(sub { -e $first }, 10, 'the other delivery');
	my ($file) = glob($mail->spool . "/incoming/$id");
	wait_for(sub { slurp($file) =~ /X.{4}.{1,12}once\@back\.test/s }, 5,
	    'the status byte');
	kill 'KILL', $mail->children('qmgr');
	$mail->wait_log(qr/$id: to=<x\@stuck\.test>.*status=sent/, 20);
	$mail->wait_log(qr/$id: removed/);
	is(scalar(grep { $_->{rcpt}[0] eq 'once@back.test' }
	    $back->messages), 1);
	kill 'KILL', $mail->children('smtp');	# it still waits for an answer
};

subtest 'a warning, then the end' => sub {
	$mail->set(delay_warning_time => '1s', maximal_queue_lifetime => '8s',
	    bounce_queue_lifetime => '1s');
	$mail->stop;
	$mail->start;
	my $id = post('old@back.test', 'x@dead.test');
	my $null = post('', 'y@dead.test');

	$mail->wait_log(qr/$id: sender delay notification: \w+/, 20);
	$mail->wait_log(qr/$id: from=<old\@back\.test>, status=expired, returned to sender/, 30);
	$mail->wait_log(qr/$id: sender non-delivery notification: \w+/);
	$mail->wait_log(qr/$id: removed/);
	$mail->wait_log(qr/$null: removed/);
	$mail->wait_empty;
	is(count_log(qr/$id: sender delay notification/), 1, 'warned once');
	my @reports = grep { $_->{rcpt}[0] eq 'old@back.test' }
	    $back->messages;
	is(@reports, 2);
	like($reports[0]{data}, qr/^Action: delayed\r$/m);
	like($reports[1]{data}, qr/^Action: failed\r$/m);
};

subtest 'few may be open, all get there' => sub {
	$mail->set(qmgr_message_active_limit => '3');
	$mail->stop;
	$mail->start;
	my @ids = map { post('al@back.test', "few$_\@slow.test") } 1 .. 20;

	$mail->wait_log(qr/$_: removed/, 20) for @ids;
	$mail->wait_empty;
	my %seen;
	$seen{$_}++ for map { @{ $_->{rcpt} } } $slow->messages;
	is(scalar(grep { ($seen{"few$_\@slow.test"} // 0) == 1 } 1 .. 20), 20,
	    'each once');
};

is_deeply([grep { !/signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
