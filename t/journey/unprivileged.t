# unprivileged.t - without root: one user, high ports, that user's own files.
use strict;
use warnings;
use Test::More;
use File::Path qw(remove_tree);
use POSIX ();
use Postrider;

# Root becomes the first test user for good, once the programs are where that
# user can run them; a process that stays root removes their copy in the end.
sub become_user {
	Postrider::_make_users();
	Postrider::bin();
	my ($uid, $gid) = (getpwnam $Postrider::USERS[0])[2, 3];
	my @copies = splice @Postrider::copies;
	pipe my $end, my $held or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		close $held;
		open STDOUT, '>', '/dev/null';	# prove waits for its end
		open STDERR, '>', '/dev/null';
		sysread $end, my $nothing, 1;
		remove_tree(@copies);
		POSIX::_exit(0);
	}
	close $end;
	chdir '/' or die;
	$ENV{HOME} = (getpwuid $uid)[7];
	$( = $gid;
	$) = "$gid $gid";
	POSIX::setuid($uid);
	die 'still root' if $> == 0 || POSIX::setuid(0);
	return $held;
}

my $held;
$held = become_user() if Postrider::is_root();
my $uid = $>;
my $maildir = "Maildir-test-$$";
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s',
});
my $user = $mail->user;
my $sink = $mail->sink;
my ($status, $text);
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
END {
	if ($mail) {
		local $?;
		$mail->stop;
		remove_tree($mail->home . "/$maildir");
	}
}

# It starts, and says what is missing.
($status, $text) = $mail->postrider('check');
is($status, 0, 'check finds nothing wrong') or diag $text;
$mail->start;
$mail->wait_log(qr/master\[\d+\]: warning: not started by root: .*isolation is off\n/);
is(() = $mail->log =~ /isolation is off/g, 1, 'the log says once that ' .
    'isolation is off');
is((stat $mail->spool)[2] & 07777, 0700, 'the queue is its user\'s alone');
my @open = grep { (stat)[2] & 077 } glob $mail->spool . '/*';
is("@open", '', 'and so are the directories in it');

# In by SMTP and by sendmail, out to the mailbox and to the next hop.
sub both {
	my ($subject) = @_;
	my @to = ("$user\@local.test", "$subject-smtp\@relay.test");
	like($mail->send(from => 's@far.test', to => \@to, text =>
	    "Subject: $subject by SMTP\n\nx\n"), qr/^250/,
	    'SMTP takes a message');
	($status, $text) = $mail->sendmail("To: $user, " .
	    "$subject-sendmail\@relay.test\nSubject: $subject by sendmail\n\nx\n",
	    '-t');
	is($status, 0, 'sendmail takes a message') or diag $text;
	Postrider::wait_for(sub {
		my %seen = map { $_->{rcpt}[0] => 1 } $sink->messages;
		$seen{"$subject-smtp\@relay.test"} &&
		    $seen{"$subject-sendmail\@relay.test"};
	}, 20, "the next hop\n" . $mail->log);
	pass('both are at the next hop');
}
both('mbox');
Postrider::wait_for(sub { $mail->mbox($user) >= 2 }, 20,
    "two messages in the mbox\n" . $mail->log);
my $box = join '', $mail->mbox($user);
like($box, qr/^Subject: mbox by SMTP$/m, 'the mbox has the one from SMTP');
like($box, qr/^Subject: mbox by sendmail$/m, 'and the one from sendmail');
like($box, qr/^Received: by mail\.local\.test \(Postrider, from userid $uid\)$/m,
    'which tells who sent it');

$mail->set(home_mailbox => "$maildir/");
$mail->reload;
both('maildir');
Postrider::wait_for(sub { $mail->maildir($mail->home . "/$maildir") >= 2 },
    20, "two messages in the Maildir\n" . $mail->log);
like(join('', $mail->maildir($mail->home . "/$maildir")),
    qr/^Subject: maildir by sendmail$/m, 'the Maildir has them');

# Whose mailbox it is not, must wait for somebody with more rights.
$mail->send(from => 's@far.test', to => ['daemon@local.test']);
like($mail->wait_log(qr/to=<daemon\@local\.test>.*/),
    qr/status=deferred \(.*without root.*cannot deliver to user "daemon"/,
    'another user\'s mail waits');
is($mail->queue_count('deferred', 'incoming'), 1, 'and is kept');

# Everything runs as this user, whatever it started from.
my %ids = map { join(' ', Postrider::slurp("/proc/$_/status") =~
    /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)/m) => 1 } $mail->pid, $mail->children;
is(join(', ', keys %ids), "$uid $uid $uid", 'every process is this user\'s');

# The verbs work for this user, too.
($status, $text) = $mail->postrider('status');
is($status, 0, 'status') or diag $text;
like($text, qr/smtpd .* ready /, 'shows what runs');
($status, $text) = $mail->postrider('queue');
is($status, 0, 'queue') or diag $text;
like($text, qr/daemon\@local\.test/, 'shows what waits');
is(join('', $mail->complaints), '', 'nothing crashed');
is($mail->stop, 0, 'it stops');

# While it is down, mail is kept for later.
($status, $text) = $mail->sendmail("To: later\@relay.test\n\nx\n", '-t');
is($status, 0, 'sendmail takes mail while the system is down') or diag $text;
is($mail->queue_count('maildrop'), 1, 'and leaves it in maildrop/');
$mail->start;
Postrider::wait_for(sub { grep { $_->{rcpt}[0] eq 'later@relay.test' }
    $sink->messages }, 20, "what was posted meanwhile\n" . $mail->log);
pass('it is delivered after the start');
$mail->stop;

# A port that only root may open.
SKIP: {
	my ($first) = Postrider::slurp(
	    '/proc/sys/net/ipv4/ip_unprivileged_port_start') =~ /(\d+)/;
	skip 'everybody may open low ports here', 2
	    if defined $first && $first <= 25;
	$mail->{wants_port} = 0;
	$mail->{master} = "127.0.0.1:25 inet n - n - - smtpd\n";
	$mail->write_config;
	($status, $text) = $mail->postrider('start');
	isnt($status, 0, 'port 25 is refused');
	like($text, qr/master\.cf:1: port 25 at 127\.0\.0\.1: Permission denied/,
	    'and why');
}
done_testing();
