# package.t - the Debian packages: built from a clean copy, installed in a
# root of its own, used, upgraded, removed, purged.
#
# The root is an overlay over this machine's, in a mount and a network
# namespace that only this test sees. POSTRIDER_ROOT=DIR takes another one, such
# as debootstrap makes, in which more programs may send mail:
#
#	debootstrap --variant=minbase --include=cron,s-nail,LIBRARIES \
#	    bookworm DIR
use strict;
use warnings;
use Test::More;
use File::Temp ();
use Postrider qw(need_root wait_for slurp spew);

need_root();

sub has { return system("command -v $_[0] >/dev/null 2>&1") == 0 }

my $build = $ENV{BUILD} // 'build';
plan skip_all => 'the package has a build of its own; one round is enough'
    if $build =~ m{/(?:sanitize|minimal)$};
for my $tool (qw(dpkg-buildpackage dh unshare)) {
	plan skip_all => "$tool is not installed" unless has($tool);
}
plan skip_all => 'libraries to build the package are missing'
    if system('dpkg-checkbuilddeps >/dev/null 2>&1') != 0;
if (!$ENV{POSTRIDER_TEST_IS_ALONE}) {
	plan skip_all => 'no namespaces can be had here'
	    if system('unshare -mn --propagation private true 2>/dev/null');
	$ENV{POSTRIDER_TEST_IS_ALONE} = 1;
	exec 'unshare', '-mn', '--propagation', 'private', '--', $^X,
	    '-It/lib', $0;
}

# All of it is in memory, in a mount that nobody else sees: it is gone with this
# process, and nothing is ever removed by walking through what is mounted.
my $parent = $$;
my $dir = File::Temp::tempdir('prt-package-XXXX', DIR => '/var/tmp',
    CLEANUP => 0);
system('mount', '-t', 'tmpfs', '-o', 'size=2g,mode=755', 'tmpfs', $dir) == 0
    or die "mount $dir";
my $root = "$dir/root";
my $log = "$root/var/log/mail.log";

# --- building ------------------------------------------------------------
# A clean copy: what git knows or would take, nothing that was made here.
sub copy_tree
{
	my $list = -e '.git' ?
	    'git ls-files -z --cached --others --exclude-standard' :
	    'find . -path ./build -prune -o -path ./run -prune -o -type f -print0';

	mkdir "$dir/source" or die "$dir/source: $!";
	system("$list | tar --null --ignore-failed-read -cf - -T - " .
	    "2>/dev/null | tar -xf - -C $dir/source") == 0
	    or die 'cannot copy the tree';
}

copy_tree();
my $said = qx(cd $dir/source && env -u BUILD -u MAKEFLAGS -u MAKELEVEL \\
    DEB_BUILD_OPTIONS='parallel=2 noautodbgsym' \\
    dpkg-buildpackage -b -us -uc 2>&1);
is($?, 0, 'dpkg-buildpackage makes the packages') or do {
	diag join "\n", (split /\n/, $said)[-30 .. -1];
	done_testing();
	exit;
};
my ($deb) = glob("$dir/postrider_*.deb");
my ($names) = glob("$dir/postrider-postfix-names_*.deb");
ok($deb && $names, 'two of them');
my ($version) = slurp('Makefile') =~ /^VERSION\s*:=\s*(\S+)/m;
like($deb, qr/_\Q$version\E_/, 'with the version that the programs have');

# --- the root ------------------------------------------------------------
sub mount_at
{
	my ($place, @words) = @_;

	system('mkdir', '-p', $place) == 0 or die "mkdir $place";
	system('mount', @words, $place) == 0 or die "mount $place";
}

my $below = $ENV{POSTRIDER_ROOT} // '/';
note("the root is over $below");
mkdir "$dir/$_" for qw(up work);
mount_at($root, '-t', 'overlay', '-o',
    "lowerdir=$below,upperdir=$dir/up,workdir=$dir/work",
    'overlay');
mount_at("$root/tmp", '-t', 'tmpfs', '-o', 'mode=1777', 'tmpfs');
mount_at("$root/dev", '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs');
for my $name (qw(null zero full random urandom)) {
	spew("$root/dev/$name", '');
	system('mount', '--bind', "/dev/$name", "$root/dev/$name");
}
mount_at("$root/proc", '--bind', '/proc');

# In it: exit status and what was said.
sub inside
{
	my ($command, $input) = @_;

	spew("$root/tmp/input", $input // '');
	spew("$root/tmp/command", "$command\n");
	my $text = qx(chroot $root env -i HOME=/root \\
	    PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \\
	    sh /tmp/command </dev/null 2>&1);
	return ($? >> 8, $text);
}

sub works
{
	my ($command, $name, $input) = @_;
	my ($status, $text) = inside($command, $input);

	is($status, 0, $name) or diag $text;
	return $text;
}

# However this ends: what was started stops, and the empty directory goes.
END {
	if (defined $parent && $$ == $parent) {
		my $status = $?;

		inside('postrider stop --now')
		    if -e "$root/usr/sbin/postrider" && -e "$root/proc/self";
		system('umount', '-R', '-l', $dir);
		rmdir $dir;
		$? = $status;
	}
}

# lo, for a system that listens there.
sub open_loopback
{
	socket my $s, 2, 2, 0 or die "socket: $!";
	my $request = pack 'a16 s x22', 'lo', 0x41;	# UP, RUNNING
	ioctl $s, 0x8914, $request or die "SIOCSIFFLAGS: $!";
}

open_loopback();

# Neither our users nor another mail system are there yet.
for my $file (qw(passwd shadow group gshadow)) {
	my $text = slurp("$root/etc/$file");
	$text =~ s/^postrider.*\n//mg;
	spew("$root/etc/$file", $text);
}
for (split /\n/, (inside(q(dpkg-query -W -f '${Package} ${Provides}\n' |
    grep mail-transport-agent)))[1]) {
	inside('dpkg --force-depends --purge ' . (split ' ')[0]);
}
inside('rm -rf /etc/postrider /var/spool/postrider /etc/mailname ' .
    '/etc/aliases /etc/aliases.db');
works('useradd -m prt-pat', 'there is a user');
system('cp', $deb, "$root/tmp/postrider.deb") == 0 &&
    system('cp', $names, "$root/tmp/names.deb") == 0 or die 'cp failed';

# --- installing ----------------------------------------------------------
my $dpkg = 'dpkg --force-unsafe-io --force-confold --force-depends';
works("$dpkg -i /tmp/postrider.deb /tmp/names.deb", 'the packages install');
works('getent passwd postrider-smtpd postrider-map postrider && ' .
    'getent group postrider-to-qmgr', 'users and groups are made');
like(works('stat -c "%a %U %G" /usr/sbin/postdrop', 'postdrop is there'),
    qr/^2755 root postrider-drop$/, 'and set-gid');
works('test -s /etc/mailname && test -s /etc/aliases.db',
    'the name and the aliases of this machine are there');
works('postrider check', 'the configuration is good as it comes');
like(works('postconf -h myorigin', 'postconf answers'), qr{^\S},
    'and mail is from the name of the machine');
works('postrider conf -e maillog_file=/var/log/mail.log', 'a setting changes');
works('test -e /usr/share/man/man8/postrider.8.gz', 'the manual is there');

# --- using it ------------------------------------------------------------
# Wait for a line of the mailbox.
sub arrives
{
	my ($line, $name) = @_;
	my $box = "$root/var/mail/prt-pat";

	ok(eval { wait_for(sub { slurp($box) =~ /$line/m }, 20, $line) },
	    $name) or diag $@, slurp($log);
}

my $message = "To: prt-pat\nSubject: SUBJECT\n\nHello.\n";
my $send = 'runuser -u nobody -- /usr/sbin/sendmail -t -i < /tmp/input';
$send = 'cat /tmp/input | setpriv --reuid=65534 --regid=65534 ' .
    '--clear-groups /usr/sbin/sendmail -t -i' unless has('runuser');

sub post
{
	my ($subject, $name) = @_;

	works($send, $name, $message =~ s/SUBJECT/$subject/r);
}

post('before the start', 'a user posts while nothing runs');
works('postrider start', 'the system starts');
arrives('^Subject: before the start', 'what was posted before arrives');
post('after it', 'a user posts while it runs');
arrives('^Subject: after it', 'and that arrives');
like(slurp("$root/var/mail/prt-pat"), qr/^From: nobody <nobody\@/m,
    'from whom it is');
like(works('postqueue -p', 'postqueue lists'), qr/^Mail queue is empty/,
    'the empty queue');
like(works('mailq', 'so does mailq'), qr/^Mail queue is empty/, 'the same');
# Programs that send mail, as they come: what they are, what must be there, and
# how they are called. Each names itself in a line of its mail.
my @senders = (
	['bsd-mailx', '/usr/bin/bsd-mailx',
	    'echo Hello | bsd-mailx -s "by bsd-mailx" prt-pat'],
	['s-nail', '/usr/bin/s-nail',
	    'echo Hello | s-nail -s "by s-nail" prt-pat'],
	['mutt', '/usr/bin/mutt', 'echo Hello | mutt -s "by mutt" prt-pat'],
	['nmh', '/usr/lib/mh/post', 'printf "To: prt-pat\nFrom: root\n' .
	    'Subject: by nmh\n\nHello\n" >/tmp/draft && ' .
	    'PATH=$PATH:/usr/bin/mh && mkdir -p /root/Mail && ' .
	    'echo "Path: Mail" >/root/.mh_profile && ' .
	    'send -mts sendmail/pipe /tmp/draft'],
	["PHP's mail()", '/usr/bin/php',
	    q(php -r 'exit(mail("prt-pat", "by PHP", "Hello") ? 0 : 1);')],
	["Python's smtplib", '/usr/bin/python3', "python3 -c '\n" .
	    "import smtplib\n" .
	    "to = [\"prt-pat\@localhost\"]\n" .
	    "text = \"Subject: by smtplib\\n\\nHello\\n\"\n" .
	    "smtplib.SMTP(\"localhost\").sendmail(\"root\", to, text)'"],
	['git send-email', '/usr/lib/git-core/git-send-email',
	    'printf "From: root <root@localhost>\nSubject: by git\n\nHello\n"' .
	    ' >/tmp/0001.patch && cd /tmp && git send-email --quiet ' .
	    '--confirm=never --suppress-cc=all --from=root ' .
	    '--to=prt-pat /tmp/0001.patch'],
	['at', '/usr/sbin/atd', '(pidof atd || atd) && ' .
	    'setpriv --reuid=prt-pat --regid=prt-pat --init-groups ' .
	    'sh -c "echo echo by at | at now" && sleep 1'],
	['anacron', '/usr/sbin/anacron', 'printf "MAILTO=prt-pat\n' .
	    'SHELL=/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n' .
	    '1 0 job echo by anacron\n" >/tmp/tab && mkdir -p /tmp/spool && ' .
	    'anacron -d -f -n -t /tmp/tab -S /tmp/spool'],
	['sudo', '/usr/bin/sudo', 'printf "Defaults mail_always, ' .
	    'mailto=prt-pat, mailsub=\"by sudo\"\n" >/etc/sudoers.d/test && ' .
	    'sudo true'],
	['logwatch', '/usr/sbin/logwatch', 'mkdir -p /var/cache/logwatch && ' .
	    'logwatch --output mail --mailto prt-pat --range all ' .
	    '--detail high --subject "by logwatch"']
);
for my $sender (@senders) {
	my ($name, $program, $command) = @$sender;
	my ($word) = $name =~ /(\w+)(?:\(\))?$/;
	my %line = (mail => 'by PHP', nail => 'by s-nail', email => 'by git',
	    mailx => 'by bsd-mailx');

	SKIP: {
		skip "$name is not in this root", 2
		    if (inside("test -x $program"))[0] != 0;
		works($command, "$name sends");
		arrives($line{$word} // "by $word", 'and it arrives');
	}
}
inside('kill $(pidof atd)');
SKIP: {
	skip 'cron takes a minute: POSTRIDER_LONG=1', 1
	    unless $ENV{POSTRIDER_LONG} && -x "$root/usr/sbin/cron";
	spew("$root/etc/cron.d/test", "MAILTO=prt-pat\n" .
	    "* * * * * root echo from cron\n");
	chmod 0644, "$root/etc/cron.d/test";
	works('cron', 'cron starts');
	ok(eval { wait_for(sub { slurp("$root/var/mail/prt-pat") =~
	    /^from cron/m }, 80, 'cron') }, 'cron mails');
	inside('kill $(cat /run/crond.pid)');
}

# --- upgrading, removing, purging ----------------------------------------
my ($before) = (inside('postrider status'))[1] =~ /process (\d+)/;
works("$dpkg -i /tmp/postrider.deb", 'the same package again');
my ($after) = (inside('postrider status'))[1] =~ /process (\d+)/;
isnt($after, $before, 'runs from then on');
like(works('postrider conf -h maillog_file', 'still there'),
    qr{^/var/log/mail\.log$}, 'leaves what the administrator set');
post('after the upgrade', 'a user posts after it');
arrives('^Subject: after the upgrade', 'and that arrives');
like((inside('postrider stop; postrider status'))[1], qr/not running/,
    'the system stops');
post('in the queue', 'a user posts once more');
works("$dpkg -r postrider-postfix-names", 'the names go');
ok(!-l "$root/usr/sbin/postconf", 'all of them');
my $said_purge = works("$dpkg -P postrider", 'the package is purged');
like($said_purge, qr/there is mail in/, 'which tells of the mail there is');
ok(!-e "$root/etc/postrider", 'the configuration is gone');
ok(scalar(glob("$root/var/spool/postrider/maildrop/*")), 'the mail is not');

works("$dpkg -i /tmp/postrider.deb", 'the package comes back');
works('postrider conf -e maillog_file=/var/log/mail.log && postrider start',
    'and runs');
arrives('^Subject: in the queue', 'the mail that waited arrives');
works("$dpkg -r postrider", 'a running system is removed');
ok(!-e "$root/usr/sbin/sendmail", 'sendmail is gone');
my $is_over = eval {
	wait_for(sub { !glob("$root/var/spool/postrider/pid/master.pid") ||
	    !kill(0, slurp("$root/var/spool/postrider/pid/master.pid") + 0) },
	    20, 'the end of master');
};
ok($is_over, 'nothing of it runs');
ok(-e "$root/etc/postrider/main.cf", 'the configuration stays');
works("$dpkg -P postrider", 'and is purged');
ok(!-e "$root/etc/postrider" && !-e "$root/var/spool/postrider",
    'with the queue, which is empty');
ok(-e "$root/etc/aliases", 'the aliases are everybody\'s');
done_testing();
