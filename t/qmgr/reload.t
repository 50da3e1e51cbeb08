# reload.t - qmgr reads both files again in place, though its jail hides them;
# and it finds what a cleanup process could not tell it.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	relay_domains => 'relay.test', queue_run_delay => '300s',
});
my $origin = $mail->dir . '/mailname';
Postrider::spew($origin, "origin.test\n");
my $sink = $mail->sink;
my $host = '[127.0.0.1]:' . $sink->port;
$mail->set(relayhost => $host, myorigin => $origin);
$mail->start;
my ($qmgr) = $mail->children('qmgr');

$mail->{master} = "slow unix - - n - 2 smtp\n";
$mail->set(transport_maps => "inline:{relay.test=slow:$host}");
$mail->reload;
$mail->send(from => 's@local.test', to => ['one@relay.test']);
ok($mail->wait_log(qr/to=<one\@relay\.test>.*status=sent/),
    'a transport that is new in master.cf delivers after a reload');

$mail->set(defer_transports => 'slow');
$mail->reload;
$mail->send(from => 's@local.test', to => ['two@relay.test']);
ok($mail->wait_log(qr/qmgr\[\d+\]: \w+: to=<two\@relay\.test>.*status=deferred \(deferred transport\)/),
    'a setting that is new in main.cf acts after a reload');
is("@{[ $mail->children('qmgr') ]}", $qmgr, 'and qmgr is the process it was');

SKIP: {
	skip 'only root can tell the processes apart here', 1
	    unless Postrider::is_root();
	# A file that was committed, and nobody told: as after a kill.
	$mail->set(defer_transports => '');
	$mail->stop;
	my ($file) = glob($mail->spool . '/deferred/*/*');
	my ($id) = $file =~ m{([^/]+)$};
	my $aside = $mail->spool . '/pid/aside';
	rename $file, $aside or die "$file: $!";
	$mail->start;
	rename $aside, $mail->spool . "/incoming/$id" or die "$aside: $!";
	utime time, time, $mail->spool . "/incoming/$id";
	$mail->send(from => 's@local.test', to => ['three@relay.test']);
	$mail->wait_log(qr/to=<three\@relay\.test>.*status=sent/);
	kill 'KILL', $mail->children('cleanup');
	ok($mail->wait_log(qr/$id: removed/, 20),
	    'mail that qmgr was not told of is found when cleanup dies');
}
is(join('', grep { !/cleanup.*killed by signal 9/ } $mail->complaints), '',
    'nothing else crashed');
done_testing();
