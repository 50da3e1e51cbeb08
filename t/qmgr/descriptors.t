# descriptors.t - however many messages are put back in a second, qmgr has few
# files open: it would stop hearing of new mail if it had none left.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(spew wait_for);
use Test::More;
use Time::HiRes qw(sleep time);

use constant MESSAGES => 3000;

my $fill = ($ENV{BUILD} // 'build') . '/t/lib/fill';
my $mail = Postrider->new(settings => {
	qmgr_message_active_limit => '50',
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	smtpd_peername_lookup => 'no', notify_classes => '' });
my $good = $mail->sink;
my $table = $mail->etc . '/transport';

spew($table, "*	smtp:[127.0.0.1]:@{[ Postrider::free_port() ]}\n" .
    "good.test	smtp:[127.0.0.1]:@{[ $good->port ]}\n");
$mail->set(transport_maps => "texthash:$table");
$mail->start;
$mail->stop;
is(system($fill, $mail->spool, 'deferred', MESSAGES, 100), 0, 'filled');
$mail->start;
$mail->wait_log(qr/@{[MESSAGES]} messages were in the queue/);

my ($qmgr) = $mail->children('qmgr');
my $most = 0;

$mail->postrider('queue', 'flush');
my $start = time;
while (time - $start < 30) {
	opendir my $fds, "/proc/$qmgr/fd" or last;
	my $n = () = readdir $fds;
	$most = $n if $n > $most;
	last if $mail->said(qr/status=deferred/) >= MESSAGES;
	sleep 0.02;
}
is($mail->said(qr/status=deferred/), MESSAGES, 'all were tried and put back');
note(sprintf 'in %.1f s, with %d files open at most', time - $start, $most);
cmp_ok($most, '<', 300, 'few files were open');
$mail->send(from => 'al@good.test', to => ['new@good.test']);
ok($mail->wait_log(qr/to=<new\@good\.test>.*status=sent/), 'new mail flows');
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
