# watchdog.t - agents that do not answer: one delivery that is stuck, and one
# that is hung altogether. What they say later counts for nothing.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Test::More;
use Time::HiRes qw(time);

# A delivery for one recipient may take six times as long as the timeout.
my $mail = Postrider->new(settings => {
	qmgr_daemon_timeout => '1s', transport_retry_time => '2s',
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	hung_minimal_backoff_time => '1s', hung_maximal_backoff_time => '1s',
	smtp_processes => '1',
	smtpd_peername_lookup => 'no', notify_classes => '' },
	master => "hung unix - - n - - smtp\n");
my $go = "$mail->{dir}/go";
my $stuck = $mail->sink(replies => sub {
	my ($verb) = @_;
	while ($verb eq 'DATA' && !-e $go) {
		select undef, undef, undef, 0.05;
	}
	return undef;
});
my $good = $mail->sink;
my $table = $mail->etc . '/transport';

spew($table, <<"END");
stuck.test	smtp:[127.0.0.1]:@{[ $stuck->port ]}
good.test	smtp:[127.0.0.1]:@{[ $good->port ]}
hung.test	hung:[127.0.0.1]:@{[ $good->port ]}
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

sub post
{
	my (@to) = @_;
	my $reply = $mail->send(from => 'al@good.test', to => \@to);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# The processes of a service.
sub agents
{
	my ($service) = @_;

	return grep { slurp("/proc/$_/cmdline") =~ /\0-n\0\Q$service\E\0/ }
	    $mail->children('smtp');
}

my $one = post('x@stuck.test');
my $warm = post('warm@hung.test');	# there is a process now
$mail->wait_log(qr/$warm: removed/);
my @agents = agents('hung');
ok(@agents, 'the service runs');
kill 'STOP', @agents;
my $two = post('y@hung.test');
my $other = post('z@good.test');	# smtp is alive
$mail->wait_log(qr/$other: removed/);

subtest 'a delivery that is stuck is given up alone' => sub {
	$mail->wait_log(qr/$one: transport smtp has not answered for \d+ seconds$/m,
	    15);
	$mail->wait_log(qr/$one: to=<x\@stuck\.test>, relay=none, .*dsn=4\.3\.0, status=deferred \(the delivery agent did not answer in time\)/);
	wait_for(sub { $mail->queue_count('deferred') >= 1 }, 5, 'deferral');
	spew($go, '');
	$mail->wait_log(qr/an outcome for a delivery that nobody knows/);
	is($mail->queue_count('deferred') >= 1, 1,
	    'what it says later counts for nothing');
	my $id = post('again@good.test');
	$mail->wait_log(qr/$id: removed/);
};

subtest 'an agent that is hung loses its connection' => sub {
	$mail->wait_log(qr/$two: transport hung has not answered for \d+ seconds at all; its connection is closed/,
	    15);
	$mail->wait_log(qr/$two: to=<y\@hung\.test>, .*status=deferred/);
	kill 'CONT', @agents;
	$mail->wait_log(qr/$two: to=<y\@hung\.test>, .*status=sent/, 15);
	ok($mail->wait_log(qr/$two: removed/));
};

$mail->postrider('queue', 'flush');
$mail->wait_log(qr/$one: to=<x\@stuck\.test>.*status=sent/);
$mail->wait_empty;
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
