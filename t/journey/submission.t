# submission.t - mail that is posted while the system is down, or while pickup
# dies, is delivered.
use strict;
use warnings;
use Test::More;
use File::Temp ();
use IPC::Open3 ();
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);
use Postrider;
use Postrider::Mounts;

my $is_root = Postrider::is_root();
my $alone = Postrider::Mounts::alone();

# The programs as they are installed: postdrop is set-gid.
my $programs;
if ($is_root) {
	Postrider::_make_users();
	$programs = File::Temp->newdir('prt-sgid-XXXX', DIR => '/tmp');
	chmod 0755, "$programs";
	mkdir "$programs/bin" or die;
	system('cp', glob(($ENV{BUILD} // 'build') . '/bin/*'),
	    "$programs/bin") == 0 or die 'cp failed';
	my $postdrop = "$programs/bin/postdrop";
	chown 0, scalar(getgrnam 'postrider-drop'), $postdrop;
	chmod 02755, $postdrop;
	$ENV{BUILD} = "$programs";
}

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s',
});
my $sink = $mail->sink;
my $user = $mail->user(0);
my ($status, $text);
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
my $maildrop = $mail->spool . '/maildrop';
END {
	if ($mail) {
		local $?;
		$mail->stop;
		Postrider::Mounts::leave();
	}
}

# The built-in instance, in an /etc of our own: it says which directories the
# set-gid command may read.
my $can_list = $alone;
sub list {
	my ($directories) = @_;
	mkdir '/etc/postrider';
	Postrider::spew('/etc/postrider/main.cf',
	    "alternate_config_directories = $directories\n");
}
if ($alone) {
	Postrider::Mounts::own_etc($mail->dir);
	list($mail->etc);
}

# Post as this user: exit status and output.
sub post {
	my ($as, $to, @words) = @_;
	my @command = (Postrider::bin() . '/sendmail', '-C', $mail->etc,
	    @words, $to);
	unshift @command, 'setpriv', "--reuid=$as",
	    '--regid=' . (getpwnam $as)[3], '--clear-groups', '--'
	    if $is_root && $as ne 'root';
	return $mail->run("Subject: to $to\n\nHello $to.\n", @command);
}

sub copies {
	my ($to) = @_;
	return grep { $_->{rcpt}[0] eq $to } $sink->messages;
}

sub delivered_once {
	my (@to) = @_;
	for my $to (@to) {
		Postrider::wait_for(sub { copies($to) }, 20,
		    "$to\n" . $mail->log);
	}
	$mail->wait_empty;
	is(join(' ', grep { copies($_) != 1 } @to), '',
	    'each of ' . scalar(@to) . ' is delivered once');
}

# The directories are made by a first start.
$mail->start;
$mail->stop;

# --- while the system is down -------------------------------------------------

SKIP: {
	skip 'postdrop\'s list of directories cannot be changed here', 12
	    if $is_root && !$can_list;
	my @users = $is_root ? ('root', @Postrider::USERS) : ($user);
	my @to;
	for my $name (@users) {
		my $to = "down-$name\@relay.test";
		($status, $text) = post($name, $to);
		is($status, 0, "$name posts while the system is down")
		    or diag $text;
		push @to, $to;
	}
	($status, $text) = post($users[-1], "$user\@local.test");
	is($status, 0, 'also to a mailbox') or diag $text;
	my @files = glob "$maildrop/*";
	is(scalar(@files), @users + 1, 'a file each in maildrop/');
	is(join(',', sort map { (stat)[4] } @files), join(',', sort map {
	    scalar(getpwnam $_) } @users, $users[-1]),
	    'each belongs to who posted it');
	is(join(' ', grep { (stat)[2] & 0007 } @files), '',
	    'none is open to others');
	if ($is_root) {
		is(join(' ', grep { (stat)[5] != getgrnam 'postrider-drop' }
		    @files), '', 'all are of the group that pickup is in');
		my @as = ('setpriv', '--reuid=prt-bob', '--regid=' .
		    (getpwnam 'prt-bob')[3], '--clear-groups', '--');
		isnt(($mail->run('', @as, 'ls', $maildrop))[0], 0,
		    'users cannot list maildrop/');
		isnt(($mail->run('', @as, 'touch', "$maildrop/x"))[0], 0,
		    'nor write to it');
	}
	$mail->start;
	delivered_once(@to);
	Postrider::wait_for(sub { $mail->mbox($user) }, 20,
	    "the mailbox\n" . $mail->log);
	my ($first) = copies($to[-1]);
	is($first->{from}, "$users[-1]\@local.test",
	    'the sender is who posted it');
	like($first->{data}, qr/\r\n\r\nHello \Q$to[-1]\E\.\r\n\z/,
	    'the text is what was posted');
	is(scalar(@{[ glob "$maildrop/*" ]}), 0, 'maildrop/ is empty');
	$mail->stop;
}

# --- what postdrop must not do ------------------------------------------------

SKIP: {
	skip 'set-gid needs root and an /etc of our own', 4 unless $can_list;
	list('/somewhere/else');
	($status, $text) = post('prt-alice', 'unlisted@relay.test');
	is($status, 78, 'a configuration directory that is not listed: 78');
	like($text, qr/not among the alternate_config_directories/, 'and why');
	is(scalar(@{[ glob "$maildrop/*" ]}), 0, 'nothing is written');
	list($mail->etc);
	chmod 0755, Postrider::bin() . '/postdrop';
	($status, $text) = post('prt-alice', 'plain@relay.test');
	is($status, 75, 'without set-gid users are told to try later: 75');
	chmod 02755, Postrider::bin() . '/postdrop';
}

# --- a postdrop that is killed ------------------------------------------------

SKIP: {
	skip 'postdrop\'s list of directories cannot be changed here', 4
	    if $is_root && !$can_list;
	post($user, 'whole@relay.test');
	my ($file) = glob "$maildrop/*";
	my $drop = Postrider::slurp($file);
	my $pid = IPC::Open3::open3(my $in, my $out, undef,
	    Postrider::bin() . '/postdrop', '-c', $mail->etc);
	syswrite $in, substr $drop, 0, -5;
	my $unfinished = Postrider::wait_for(sub {
		(grep { $_ ne $file } glob "$maildrop/*")[0] }, 10,
		'a second file');
	Postrider::wait_for(sub { -s $unfinished > 100 }, 10, 'its beginning')
	    if length $drop > 70000;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	is(-e $unfinished ? (stat _)[2] & 0100 : -1, 0,
	    'a killed postdrop leaves a file that is not complete');
	my $damaged = "$maildrop/" . (($file =~ m{([^/]+)$})[0] =~ tr/0-9/1-90/r);
	Postrider::spew($damaged, 'no posted message');
	chown 0, scalar(getgrnam 'postrider-drop'), $damaged if $is_root;
	chmod 0740, $damaged;
	$mail->start;
	Postrider::wait_for(sub { !-e $unfinished && !-e $damaged }, 15,
	    "both to go\n" . $mail->log);
	pass('what is not complete is removed');
	ok($mail->wait_log(qr/maildrop\/.*kept as maildrop\/bad-\S+/),
	    'what is no message is told');
	my ($kept) = glob "$maildrop/bad-*";
	is(Postrider::slurp($kept // ''), 'no posted message',
	    'and kept under another name');
	unlink $kept if defined $kept;
	delivered_once('whole@relay.test');
	$mail->stop;
}

# --- pickup is killed while mail is posted ------------------------------------

$mail->start;
my $posters = 4;
my $each = 25;
my @pids;
for my $n (1 .. $posters) {
	my $pid = fork // die;
	if ($pid == 0) {
		open my $ledger, '>>', $mail->dir . "/ledger.$n" or die;
		for my $i (1 .. $each) {
			my ($s) = post($user, "kill-$n-$i\@relay.test");
			syswrite $ledger, "$s kill-$n-$i\@relay.test\n";
		}
		POSIX::_exit(0);
	}
	push @pids, $pid;
}
my $kills = 0;
while (@pids) {
	if (my ($pickup) = $mail->children('pickup')) {
		kill 'KILL', $pickup;
		$kills++;
	}
	sleep 0.1 + rand 0.2;
	@pids = grep { waitpid($_, WNOHANG) == 0 } @pids;
}
my @notes = map { split /\n/, Postrider::slurp($_) }
    glob $mail->dir . '/ledger.*';
is(scalar(@notes), $posters * $each, 'every sendmail came back');
my @taken = map { /^0 (.*)/ ? $1 : () } @notes;
my @other = grep { !/^(?:0|75) / } @notes;
is("@other", '', 'with 0, or with 75 for "try later"');
Postrider::wait_for(sub { my %have = map { $_->{rcpt}[0] => 1 }
    $sink->messages; !grep { !$have{$_} } @taken }, 30,
    "all that was taken\n");
pass('every message that sendmail said 0 for is delivered');
$mail->wait_empty;
my %copies;
$copies{ $_->{rcpt}[0] }++ for $sink->messages;
my $twice = grep { ($copies{$_} // 0) > 1 } @taken;
diag(scalar(@taken) . ' of ' . $posters * $each . " taken during $kills " .
    "kills of pickup, $twice delivered twice");
cmp_ok($kills, '>=', 1, 'pickup was killed');
cmp_ok(scalar(@taken), '>', 0, 'and messages were taken all the same');

my @panics = grep { !/killed by signal 9/ } $mail->complaints;
is(join('', @panics), '', 'nothing crashed of itself');
done_testing();
