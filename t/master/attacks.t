# attacks.t - links, sockets, descriptors and half files in the way of a mail
# system that runs.
use strict;
use warnings;
use Test::More;
use File::Path qw(make_path);
use IO::Socket::UNIX;
use Postrider qw(bin is_alive need_root slurp spew wait_for);
use Socket qw(SOCK_SEQPACKET SOCK_STREAM pack_sockaddr_un);

need_root();

my $mail = Postrider->new;
my $dir = $mail->dir;
my $canary = "$dir/canary";
spew($canary, "untouched\n");
chmod 0644, $canary;
my $nobody = getpwnam 'nobody';
my %uid = map { $_ => scalar getpwnam $_ } qw(postrider postrider-log
    postrider-smtpd postrider-drop postrider-map postrider-dns postrider-smtp
    postrider-local);

# Run code as a user; what it returned.
sub as
{
	my ($user, $code) = @_;

	pipe my $in, my $out or die;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		my ($uid, $gid) = (getpwnam $user)[2, 3];
		$( = $gid; $) = "$gid $gid"; $< = $> = $uid;
		print $out $code->() // '';
		close $out;
		POSIX::_exit(0);
	}
	close $out;
	my $said = join '', <$in>;
	waitpid $pid, 0;
	return $said;
}

$mail->start;
$mail->stop;

subtest 'LOC-11: links where root writes' => sub {
	my $spool = $mail->spool;

	for my $user (sort keys %uid) {
		my $could = as($user, sub {
			join ' ', grep { symlink $canary, "$spool/$_" }
			    map { "$_/planted" } qw(pid private public .) });
		is($could, '', "$user can lay none");
	}
	rename "$spool/pid/master.pid", "$dir/pid";
	symlink $canary, "$spool/pid/master.pid" or die;
	eval { $mail->start };
	ok(!defined $mail->pid, 'a linked pid file: no start');
	is(slurp($canary), "untouched\n", 'and nothing is written through it');
	my ($status, $text) = $mail->postrider('check');
	like($text, qr/master\.pid is not a plain file/, 'check tells');
	unlink "$spool/pid/master.pid";

	# data_directory belongs to the queue's user, who may lay any.
	as('postrider', sub { symlink $canary, "$dir/data/$_"
	    for qw(master.lock verify_cache.db psc_cache.db prng_exch) });
	ok(-l "$dir/data/master.lock", 'in the data directory he can');
	$mail->start;
	$mail->reload;
	$mail->stop;
	is(slurp($canary), "untouched\n", 'but root writes nothing there');
};

subtest 'LOC-12: the log in a directory of a service\'s user' => sub {
	my $logs = "$dir/logs";

	mkdir $logs;
	chown $uid{'postrider-log'}, -1, $logs;
	$mail->set(maillog_file => "$logs/maillog");
	as('postrider-log', sub { symlink $canary, "$logs/maillog" });
	eval { local $SIG{ALRM} = sub { die "late\n" }; alarm 8;
	    $mail->start; alarm 0 };
	alarm 0;
	$mail->postrider('log', '-t', 'me', 'through the link');
	is(slurp($canary), "untouched\n", 'a link is not followed');
	$mail->crash if $mail->pid;
	unlink "$logs/maillog";
	link $canary, "$logs/maillog" or die;
	$mail->postrider('log', '-t', 'me', 'through the other name');
	is(slurp($canary), "untouched\n", 'nor a second name of a file');
	unlink "$logs/maillog";
	as('postrider-log', sub { require POSIX;
	    POSIX::mkfifo("$logs/maillog", 0600) });
	$mail->postrider('log', '-t', 'me', 'into the pipe');
	pass('and a pipe stops nobody');
	unlink "$logs/maillog";
	$mail->start;
	$mail->stop;
	like(slurp("$logs/maillog"), qr/daemon started/, 'a plain one works');
	mkdir "$dir/root";
	symlink "$dir/root/log", "$dir/root/maillog" or die;
	$mail->set(maillog_file => "$dir/root/maillog");
	$mail->start;
	$mail->stop;
	like(slurp("$dir/root/log"), qr/daemon started/,
	    'a link of root\'s is one that root wants');
	$mail->set(maillog_file => "$dir/log");
};

subtest 'LOC-17: rubbish into every socket that nobody reaches' => sub {
	$mail->start;
	$mail->send(from => 'a@local.test', to => ['prt-alice@local.test'],
	    text => "Subject: x\n\nx\n");
	my $spool = $mail->spool;
	my @all = (glob("$spool/public/*"), glob("$spool/private/*"));
	cmp_ok(scalar @all, '>', 15, 'sockets there are: ' . @all);
	my @before = sort $mail->children;
	my ($qmgr, $pickup) = map { $mail->children($_) } qw(qmgr pickup);
	my $open = sub { map { scalar(() = glob "/proc/$_/fd/*") }
	    $qmgr, $pickup };
	my @descriptors = $open->();

	my $reached = as('nobody', sub {
		my @reached;
		for my $path (@all) {
			socket my $s, Socket::AF_UNIX(), SOCK_SEQPACKET, 0
			    or next;
			connect $s, pack_sockaddr_un($path) or next;
			push @reached, $path =~ m{([^/]+/[^/]+)$};
			rubbish($path);
		}
		return join ' ', sort @reached;
	});
	is($reached, 'public/pickup public/qmgr', 'two of them');
	ok($mail->wait_log(qr/user $nobody\): packet/), 'whose user is logged');
	is(join(' ', grep { !is_alive($_) } @before), '',
	    'the daemons live on');
	wait_for(sub { my @now = $open->();
	    $now[0] <= $descriptors[0] + 20 && $now[1] <= $descriptors[1] + 20 },
	    10, 'their descriptors to be closed');
	pass('what was passed or left open is closed');
	like($mail->send(from => 'a@local.test', to => ['prt-bob@local.test'],
	    text => "Subject: x\n\nx\n"), qr/^250/, 'and mail goes on');
	is(($mail->postrider('queue'))[0] // 0, 0, 'so do commands');
};

# Everything that is no packet, as whoever we are now.
sub rubbish
{
	my ($path) = @_;
	my @packets = ('', 'x', "\0" x 16, "\xff" x 16, 'A' x 65536,
	    pack('v v v v Q<', 1, 65535, 0, 0, 1),
	    pack('v v v v Q<', 1, 1, 253, 0, 1),
	    pack('v v v v Q< C V', 1, 1, 0, 0, 1, 3, 0xffffffff),
	    map { join '', map { chr int rand 256 } 0 .. int rand 300 } 1 .. 50);

	for my $packet (@packets) {
		socket my $s, Socket::AF_UNIX(), SOCK_SEQPACKET, 0 or die;
		connect $s, pack_sockaddr_un($path) or next;
		send $s, $packet, 0x4000;
		send $s, $packet, 0x4000 if rand() < 0.5;
	}
	# Many who say nothing, and descriptors by the hundred.
	for (1 .. 2000) {
		socket my $s, Socket::AF_UNIX(), SOCK_SEQPACKET, 0 or last;
		connect $s, pack_sockaddr_un($path) or last;
	}
	system('python3', '-c', <<'END', $path);
import array, os, socket, sys
for n in (1, 5, 253):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(sys.argv[1])
    fds = [os.open("/dev/null", os.O_RDONLY) for i in range(n)]
    head = (1).to_bytes(2, "little") + b"\1\0" + n.to_bytes(2, "little") + \
        b"\0\0" + bytes(8)
    try:
        s.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
            array.array("i", fds))])
    except OSError:
        pass
    for fd in fds:
        os.close(fd)
END
}

subtest 'LOC-16: a daemon that breaks leaves no core, and nobody looks into it' => sub {
	for my $program (qw(smtpd qmgr resolve cleanup pickup)) {
		my ($pid) = $mail->children($program);
		like(slurp("/proc/$pid/limits"), qr/^Max core file size +0 /m,
		    "$program: no core files");
		my $owner = slurp("/proc/$pid/status") =~ /^Uid:\s+(\d+)/m ?
		    getpwuid $1 : 'root';
		is(as($owner, sub { join ' ', grep { open my $f, '<',
		    "/proc/$pid/$_" } qw(mem environ maps) }), '',
		    "$program: not even $owner reads its memory")
		    unless Postrider::is_sanitized();
		is(as('nobody', sub { join ' ', grep { open my $f, '<',
		    "/proc/$pid/$_" } qw(mem environ maps) }), '',
		    "$program: nor does nobody");
	}
	return if Postrider::is_sanitized();	# it would report the signal
	my ($smtpd) = $mail->children('smtpd');
	kill 'SEGV', $smtpd;
	$mail->wait_log(qr/process \S+smtpd pid $smtpd killed by signal 11/);
	is(join(' ', glob("$dir/core* $dir/spool/core* $dir/spool/*/core*")),
	    '', 'a daemon that breaks leaves none');
	wait_for(sub { eval { $mail->client->expect(220) } }, 15,
	    'another one');
	pass('and is replaced');
};

subtest 'LOC-20: main.cf while somebody writes it' => sub {
	my $etc = $mail->etc;
	my $good = slurp("$etc/main.cf") . "smtpd_banner = first\n";
	my $banner = sub { my $c = eval { $mail->client } or return '';
	    return $c->expect(220) };

	Postrider::_put("$etc/main.cf", $good);
	$mail->reload;
	wait_for(sub { $banner->() =~ /first/ }, 10, 'the first banner');

	my ($status, $text);
	for my $bad ("smtpd_banner = \${x\n", "message_size_limit =\n",
	    "no equals sign\n") {
		Postrider::_put("$etc/main.cf", $good . $bad);
		kill 'HUP', $mail->pid;
		($status, $text) = $mail->postrider('reload');
		is($status, 1, "refused: $bad");
		like($banner->(), qr/first/, 'the old settings stay');
	}
	# All at once: the last signal may not have been acted upon yet.
	spew("$etc/main.new", $good =~ s/first/second/r);
	chmod 0666, "$etc/main.new";
	rename "$etc/main.new", "$etc/main.cf";
	($status, $text) = $mail->postrider('reload');
	is($status, 1, 'a file that everybody may write is refused');
	like($text, qr/may be written by everybody/, 'with the reason');
	kill 'HUP', $mail->pid;
	$mail->wait_log(qr/error: \S+main\.cf may be written by everybody/);
	like($banner->(), qr/first/, 'by a signal, too');
	# Not by chmod: a signal may still be to come, which would find it good.
	Postrider::_put("$etc/main.cf", $good);
	chown $uid{postrider}, -1, "$etc/main.cf";
	($status, $text) = $mail->postrider('check');
	like($text, qr/main\.cf belongs neither to root nor to you/,
	    'somebody else\'s is told');
	chown 0, -1, "$etc/main.cf";
	rename "$etc/main.cf", "$etc/main.away";
	($status, $text) = $mail->postrider('reload');
	is($status, 1, 'a missing one');
	like($banner->(), qr/first/, 'changes nothing');
	rename "$etc/main.away", "$etc/main.cf";

	# An editor that saves in pieces, and signals all the time.
	my $refused = 0;
	for my $i (1 .. 150) {
		spew("$etc/main.cf", substr $good, 0, int rand length $good);
		kill 'HUP', $mail->pid;
		select undef, undef, undef, 0.005;
		spew("$etc/main.cf", $good);
		if ($i % 10 == 0) {
			kill 'HUP', $mail->pid;
			my $c = eval { $mail->client };
			$refused++ unless $c && $c->expect(220) =~ /^220/;
		}
	}
	is($refused, 0, 'nobody is turned away during 150 half files');
	$mail->reload;
	wait_for(sub { $banner->() =~ /first/ }, 10, 'the settings');
	pass('and at the end the settings are those of the file');
	$mail->stop;
};

# All programs at work, with every file they open.
subtest 'LOC-15: nothing in directories that everybody may write' => sub {
	my $trace = "$dir/trace";

	plan skip_all => 'no strace' if system('strace -V >/dev/null 2>&1');
	plan skip_all => 'sanitizers and strace do not go together'
	    if Postrider::is_sanitized();
	my @traced = ('strace', '-f', '-qq', '-e', 'trace=open,openat,creat,' .
	    'mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,'
	    . 'symlink,symlinkat,unlink,unlinkat,bind,connect', '-o');
	my @lines;
	my $run = sub {
		my ($input, @words) = @_;
		my @got = $mail->run($input, @traced, "$trace.$$", @words);
		push @lines, split /^/m, slurp("$trace.$$");
		return @got;
	};

	$mail->start;
	my $pid = fork // die;
	if ($pid == 0) {
		open STDERR, '>', '/dev/null';
		exec @traced, $trace, map { ('-p', $_) } $mail->pid,
		    $mail->children or POSIX::_exit(1);
	}
	wait_for(sub { !grep { slurp("/proc/$_/status") !~
	    /^TracerPid:\s+[1-9]/m } $mail->pid, $mail->children }, 10,
	    'strace');
	spew($mail->etc . '/t', "a b\n");
	$run->('', bin() . '/postrider-map', 'hash:' . $mail->etc . '/t');
	$run->("Subject: x\n\nx\n", bin() . '/sendmail', '-C', $mail->etc,
	    'prt-alice@local.test', 'nosuch@local.test');
	$run->('', bin() . '/postrider-queue', '-c', $mail->etc, '-p');
	$run->('', bin() . '/postrider-conf', '-c', $mail->etc, '-e', 'x=y');
	$mail->send(from => 'prt-bob@local.test',
	    to => ['prt-alice@local.test', 'prt-bob@local.test'],
	    text => "Subject: x\n\n" . ('x' x 70 . "\n") x 3000);
	$mail->wait_log(qr/to=<prt-bob\@local.test>.*status=sent/);
	$mail->wait_log(qr/to=<nosuch\@local.test>.*status=bounced/);
	$mail->reload;
	$mail->stop;
	waitpid $pid, 0;
	push @lines, split /^/m, slurp($trace);
	my $own = qr{\Q$dir\E|\Q@{[bin()]}\E};
	my @named = grep { m{"/} } @lines;
	cmp_ok(scalar @named, '>', 100, 'names that were seen: ' . @named);
	# A file without a name (sendmail's input) is out of everybody's reach.
	is(join('', grep { m{"(?:/tmp|/var/tmp|/dev/shm)(?:/|")} &&
	    !m{"(?:$own)(?:/|[.\w-]*")} && !/\bO_TMPFILE\b/ } @lines), '',
	    'none of them in /tmp, /var/tmp or /dev/shm');
};

subtest 'LOC-18: everything that is installed, and everything that runs' => sub {
	my $copy = "$dir/programs";
	my ($status, $text);

	mkdir $copy;
	system('cp', '-a', glob(bin() . '/*'), $copy) == 0 or die;
	chown 0, 0, glob "$copy/*";
	$mail->set(daemon_directory => $copy, command_directory => $copy);
	($status, $text) = $mail->postrider('set-permissions');
	is($status, 0, 'set-permissions') or diag $text;
	$mail->start;
	$mail->send(from => 'a@local.test', to => ['prt-alice@local.test'],
	    text => "Subject: x\n\nx\n");
	$mail->wait_log(qr/status=sent/);
	($status, $text) = $mail->postrider('check');
	is($status, 0, 'a good system') or diag $text;

	# What may be lent to users: the posting command to its group.
	my $spool = $mail->spool;
	my @lent;
	require File::Find;
	File::Find::find(sub {
		my @st = lstat or return;
		push @lent, $_ if -f _ && $st[2] & 06000;
	}, $copy, $spool, $mail->etc, "$dir/data");
	is("@lent", 'postdrop', 'set-uid and set-gid: one file');

	my @sockets = map { s{^\Q$spool/\E}{}r } glob "$spool/private/*.1";
	cmp_ok(scalar @sockets, '>', 10, 'sockets: ' . @sockets);
	my %object = ((map { ("$spool/$_" => 'mode') } qw(maildrop incoming
	    deferred hold corrupt public private pid), @sockets,
	    'public/qmgr', 'public/pickup'),
	    (map { ("$copy/$_" => 'write') } qw(master log smtpd anvil cleanup
	    pickup qmgr bounce resolve dns smtp local helper mailbox error
	    spawn sendmail postdrop postrider postrider-conf postrider-queue
	    postrider-map)), $copy => 'write', $mail->etc => 'write',
	    $mail->etc . '/main.cf' => 'write',
	    $mail->etc . '/master.cf' => 'write', "$dir/data" => 'write',
	    "$spool/pid/master.pid" => 'write');
	my (@untold, @unowned);
	for my $path (sort keys %object) {
		my @st = lstat $path;
		my $mode = $st[2] & 07777;
		my $name = $path =~ s/.*\///r;
		chmod $mode | ($object{$path} eq 'mode' ? 0007 : 0002), $path;
		chmod $mode & ~0002, $path if $mode & 0002;
		push @untold, $name unless
		    ($mail->postrider('check'))[1] =~ /: (?:error|warning): \S*\Q$name\E /;
		chmod $mode, $path;
		chown $nobody, -1, $path;
		chmod $mode, $path;
		push @unowned, $name unless
		    ($mail->postrider('check'))[1] =~ /: (?:error|warning): \S*\Q$name\E /;
		chown $st[4], -1, $path;
		chmod $mode, $path;
	}
	is("@untold", '', 'a mode that is too open is told: ' . keys %object);
	is("@unowned", '', 'so is another owner');
	for my $lent ([ 'smtpd', 04755, 'set-uid' ], [ 'sendmail', 02755,
	    'set-gid' ]) {
		my ($name, $mode, $what) = @$lent;
		chmod $mode, "$copy/$name";
		like(($mail->postrider('check'))[1], qr/\/$name is $what/,
		    "$name is $what");
		chmod 0755, "$copy/$name";
	}
	link "$copy/postdrop", "$dir/kept" or die;
	like(($mail->postrider('check'))[1], qr/postdrop has 2 names/,
	    'a second name of the posting command');
	unlink "$dir/kept";
	spew("$spool/private/planted", 'x');
	like(($mail->postrider('check'))[1], qr/planted is not a socket/,
	    'a file in the jail');
	unlink "$spool/private/planted";
	($status, $text) = $mail->postrider('check');
	is($status, 0, 'all is well again') or diag $text;
	$mail->stop;
};

done_testing();
