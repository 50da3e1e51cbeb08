# reroute.t - recipients that an agent passes on to another transport get
# there in the same attempt; those that are passed on for ever wait.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(spew wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	local_recipient_maps => '', smtpd_peername_lookup => 'no',
	notify_classes => '' },
	master => "ring unix - n n - - local -o fallback_transport=local:\n");
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return '550 5.1.1 not here' if $verb eq 'RCPT' && $line =~ /noone/;
	return undef;
});
$mail->set(relayhost => '[127.0.0.1]:1',
    fallback_transport => 'smtp:[127.0.0.1]:' . $sink->port);
$mail->start;

sub post
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

sub copies
{
	my ($to) = @_;

	return scalar grep { grep { $_ eq $to } @{ $_->{rcpt} } }
	    $sink->messages;
}

my $user = $mail->user;

subtest 'who is not here is passed on, the others are not' => sub {
	my $id = post('al@local.test', 'away@local.test', "$user\@local.test",
	    'away2@local.test');

	$mail->wait_log(qr/$id: to=<away\@local\.test>, relay=127\.0\.0\.1.*status=sent/);
	$mail->wait_log(qr/$id: removed/);
	is(copies("away\@local.test"), 1);
	is(copies("away2\@local.test"), 1);
	is(copies("$user\@local.test"), 0);
	is(scalar($mail->mbox($user)), 1);
	is($mail->said(qr/$id: .*nrcpt=3 \(queue active\)/), 1,
	    'in one attempt');
};

subtest 'what the other transport says counts' => sub {
	my $id = post('al@local.test', 'noone@local.test');

	$mail->wait_log(qr/$id: to=<noone\@local\.test>.*dsn=5\.1\.1, status=bounced/);
	ok($mail->wait_log(qr/$id: removed/));
};

subtest 'a hundred at once' => sub {
	my $id = post('al@local.test', map { "h$_\@local.test" } 1 .. 100);

	$mail->wait_log(qr/$id: removed/, 20);
	is(scalar(grep { copies("h$_\@local.test") == 1 } 1 .. 100), 100);
};

subtest 'a ring of transports ends' => sub {
	$mail->set(fallback_transport => 'ring:');
	$mail->stop;
	$mail->start;
	my $id = post('al@local.test', 'round@local.test');

	$mail->wait_log(qr/$id: to=<round\@local\.test>, .*dsn=4\.3\.5, status=deferred \(transports pass this recipient on to each other\)/);
	wait_for(sub { $mail->queue_count('incoming') == 0 }, 5, 'deferral');
	is($mail->queue_count('deferred'), 1);
};

subtest 'a transport that is not there' => sub {
	$mail->set(fallback_transport => 'nowhere:');
	$mail->stop;
	$mail->start;
	my $id = post('al@local.test', 'lost@local.test');

	$mail->wait_log(qr/$id: to=<lost\@local\.test>, .*status=deferred \(mail transport unavailable\)/);
	wait_for(sub { $mail->queue_count('incoming') == 0 }, 5, 'deferral');
	is($mail->queue_count('deferred'), 2);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
