# crowd.t - a transport with something for each of very many sites fills the
# memory as one greedy site would: new mail for others passes all the same,
# while it is slow and while it stands still.

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Postrider qw(bin spew wait_for);
use Test::More;
use Time::HiRes qw(time);

use constant { ROOM => 40, MESSAGES => 400 };

my $fill = ($ENV{BUILD} // 'build') . '/t/lib/fill';
# With one recipient in a delivery each recipient is a site of his own.
my $mail = Postrider->new(settings => {
	qmgr_message_active_limit => ROOM,
	slow_destination_recipient_limit => '1',
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	smtpd_peername_lookup => 'no', notify_classes => '' },
	master => "slow unix - - n - 2 smtp\n");
my $stop = "$mail->{dir}/stop";
my $hurry = "$mail->{dir}/hurry";
my $slow = $mail->sink(replies => sub {
	my ($verb) = @_;
	return undef if $verb ne 'DATA' || -e $hurry;
	do {
		select undef, undef, undef, 0.2;
	} while -e $stop;
	return undef;
});
my $good = $mail->sink;
my $table = $mail->etc . '/transport';

spew($table, <<"END");
*	slow:[127.0.0.1]:@{[ $slow->port ]}
good.test	smtp:[127.0.0.1]:@{[ $good->port ]}
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;
$mail->stop;
is(system($fill, $mail->spool, 'deferred', MESSAGES, MESSAGES), 0, 'filled');
$mail->start;
$mail->wait_log(qr/@{[MESSAGES]} messages were in the queue/);

# How long until it is delivered?
sub time_of
{
	my ($to, $patience) = @_;
	my $start = time;
	my ($id) = $mail->send(from => 'al@good.test', to => [$to]) =~
	    /queued as (\w+)/;

	$mail->wait_log(qr/$id: removed/, $patience);
	return time - $start;
}

subtest 'new mail passes a long queue that is flushed' => sub {
	$mail->postrider('queue', 'flush');
	wait_for(sub { $mail->said(qr/queue active/) >= ROOM }, 10,
	    'a full memory');
	for (1 .. 3) {
		my $took = time_of("a$_\@good.test", 30);
		cmp_ok($took, '<', 3, "one took $took s");
	}
	cmp_ok($mail->queue_count('deferred'), '>', MESSAGES / 2,
	    'most of the others are still there');
};

subtest 'new mail passes a transport that stands still' => sub {
	spew($stop, '');
	my $took = time_of('b@good.test', 30);
	cmp_ok($took, '<', 8, "the first one took $took s");
	for (1 .. 3) {
		$took = time_of("c$_\@good.test", 30);
		cmp_ok($took, '<', 1, "then one took $took s");
	}
	$mail->wait_log(qr/warning: mail for many sites of transport slow is using up \d+ of \d+ active queue entries/);
	is($mail->said(qr/is using up/), 1, 'that is told once');
	is($mail->said(qr/status=deferred/), 0, 'and counts as no attempt');
};

subtest 'a mailing that takes hours keeps nobody out' => sub {
	my $list = join ', ', map { "l$_\@list.test" } 1 .. 20_500;
	my ($status) = $mail->run("To: $list\nSubject: news\n\nNews.\n",
	    bin() . '/sendmail', '-C', $mail->etc, '-f', 'al@good.test', '-t');
	is($status, 0, 'it is taken');
	my ($mailing) = $mail->wait_log(qr/(\w+): from=.*nrcpt=20500 /) &&
	    $mail->log =~ /(\w+): from=.*nrcpt=20500 /;
	my ($id) = $mail->send(from => 'al@good.test',
	    to => [map { ("m$_\@good.test", "m$_\@list.test") } 1 .. 100]) =~
	    /queued as (\w+)/;
	$mail->wait_log(qr/$id: to=<m100\@good\.test>.*status=sent/);
	$mail->postrider('queue', $_, $id) for 'hold', 'release';
	ok($mail->wait_log(qr/$id: from=.*\n(?:.*\n)*?.*$id: from=/, 8),
	    'one with some recipients is opened again beside it');
	$mail->postrider('queue', 'delete', $id, $mailing);
};

subtest 'however many ask, a flush is done now and then' => sub {
	my $start = time;
	my @pids = map {
		my $pid = fork // die "fork: $!";
		if ($pid == 0) {
			$mail->postrider('queue', 'flush');
			POSIX::_exit(0);
		}
		$pid;
	} 1 .. 4;
	waitpid $_, 0 for @pids;
	cmp_ok(time - $start, '>=', 1.4, 'four take their time');
};

subtest 'all of it comes in the end, once' => sub {
	spew($hurry, '');
	unlink $stop;
	wait_for(sub { $mail->queue_count('incoming', 'deferred') == 0 }, 30,
	    'an empty queue');
	my %seen;
	$seen{$_}++ for map { @{ $_->{rcpt} } } $slow->messages;
	is(scalar(grep { $_ == 1 } values %seen), MESSAGES);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
