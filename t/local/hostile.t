#!/usr/bin/perl
# hostile.t - a user who plays with mailboxes while mail arrives. The names are
# those of the attacks that the mail system is held against.

use strict;
use warnings;
use lib 't/lib';

use POSIX qw(_exit setuid setgid);
use Postrider qw(need_root slurp spew wait_for);
use Test::More;
use Time::HiRes qw(time);

need_root();

my $mail = Postrider->new(settings => { minimal_backoff_time => '300s',
    recipient_delimiter => '+' });
my ($dir, $etc) = ($mail->dir, $mail->etc);
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my ($home, $bobs) = map { (getpwnam $_)[7] } $alice, $bob;
my ($uid, $gid) = (getpwnam $alice)[2, 3];
my $canary = "$etc/canary";

spew($canary, "unchanged\n");
unlink "$_/.forward" for $home, $bobs;
$mail->start;

sub outcome
{
	my ($to) = @_;
	my ($id) = $mail->send(from => '', to => ["$to\@local.test"]) =~
	    /queued as (\w+)/ or die;

	return $mail->wait_log(qr/\b$id: to=.*status=.*\n/) =~
	    /dsn=(\S+), status=(.*)/ ? "$1 $2" : '';
}

# Run the code as a user, in a process of its own.
sub as
{
	my ($user, $code) = @_;
	my ($u, $g) = (getpwnam $user)[2, 3];
	my $pid = fork // die "$!";

	if ($pid == 0) {
		$) = "$g $g";
		setgid($g);
		setuid($u);
		$code->();
		_exit(0);
	}
	return $pid;
}

sub forward
{
	my ($text) = @_;

	unlink "$home/.forward";
	return unless defined $text;
	spew("$home/.forward", $text);
	chown $uid, $gid, "$home/.forward";
}

subtest 'LOC-02: a mailbox that somebody else has made' => sub {
	my $box = "$dir/mail/$alice";

	unlink $box;
	spew($box, '');
	chown +(getpwnam $bob)[2, 3], $box;
	chmod 0666, $box;
	like(outcome($alice), qr/^4\.2\.0 deferred \(mailbox .* does not belong to the recipient/,
	    'gets nothing');
	is(-s $box, 0, 'bob reads nothing');
	unlink $box;
};

subtest 'LOC-04: a file that becomes a link and back' => sub {
	my $box = "$home/box";

	forward("$box\n");
	my $pid = as($alice, sub {
		my $end = time + 3;
		while (time < $end) {
			symlink $canary, "$box.x";
			rename "$box.x", $box;
			symlink "$bobs/.profile", "$box.x";
			rename "$box.x", $box;
			unlink $box;
		}
	});
	my $sent = 0;
	while (waitpid($pid, POSIX::WNOHANG) == 0) {
		$sent += outcome($alice) =~ /sent/;
	}
	is(slurp($canary), "unchanged\n", 'the file of root is as it was');
	unlike(slurp("$bobs/.profile"), qr/^From MAILER/m,
	    'so is that of bob');
	note("$sent deliveries found a file");
	forward();
	unlink $box, "$box.x";
};

subtest 'LOC-04: a Maildir whose new is exchanged for a link all the time' => sub {
	my $maildir = "$home/Swap";
	my $trap = "$bobs/trap";

	system('rm', '-rf', $maildir, $trap);
	mkdir $_ for $maildir, "$maildir/tmp", "$maildir/new", "$maildir/cur",
	    $trap;
	symlink $trap, "$maildir/other";
	symlink $trap, "$home/away";
	chown $uid, $gid, $maildir, map { "$maildir/$_" } qw(tmp new cur);
	chown +(getpwnam $bob)[2, 3], $trap;
	chmod 0755, $trap;
	forward("$maildir/\n");
	my $swaps = 0;
	my $pid = as($alice, sub {
		my $end = time + 3;
		my ($at, $exchange, $renameat2) = (-100, 2, 316);
		while (time < $end) {
			for (["$maildir/new", "$maildir/other"],
			    ["$maildir/tmp", "$maildir/other"],
			    [$maildir, "$home/away"]) {
				my ($one, $two) = @$_;
				syscall $renameat2, $at, $one, $at, $two,
				    $exchange for 1, 2;
			}
		}
	});
	my %end;
	while (waitpid($pid, POSIX::WNOHANG) == 0) {
		$end{(split / /, outcome($alice))[1]}++;
	}
	is(join(' ', glob "$trap/*"), '', 'nothing is made behind the links');
	is(join(' ', grep { !/^(?:sent|deferred)$/ } keys %end), '',
	    'each is delivered or waits');
	my $there = grep { -f } glob "$maildir/new/* $home/away/new/*";
	is($there, $end{sent} // 0, 'what is said to be sent is there');
	system('rm', '-rf', $maildir, $trap, "$home/away");
	forward();
};

subtest 'LOC-06: a .forward that others could have made' => sub {
	my $told = sub { outcome($alice) };
	my $ignored = qr/^2\.0\.0 sent \(delivered to mailbox\)/;

	forward("/dev/null\n");
	like($told->(), qr/file: \/dev\/null/, 'his own is believed');
	chmod 0664, "$home/.forward";
	like($told->(), qr/file: \/dev\/null/, 'with a group of his alone');
	chown $uid, scalar(getgrnam 'users'), "$home/.forward";
	like($told->(), $ignored, 'a group can write to it');
	chmod 0644, "$home/.forward";
	my $mode = (stat $home)[2] & 07777;
	chmod 0777, $home;
	like($told->(), $ignored, 'everybody can write to his home');
	chmod 0775, $home;
	chown $uid, scalar(getgrnam 'users'), $home;
	like($told->(), $ignored, 'a group can write to his home');
	chown $uid, $gid, $home;
	like($told->(), qr/file: \/dev\/null/, 'that is his alone');
	chmod $mode, $home;
	chmod 0, "$home/.forward";
	like($told->(), $ignored, 'one that he himself may not read');
	forward();
	like($mail->log, qr/warning: $home\/\.forward is ignored: $_/,
	    "the log tells: $_") for 'a group can write to it',
	    'others can write to its directory';
};

subtest 'LOC-06: a .forward that is replaced while it is read' => sub {
	my $long = join '', map { "a$_\@far.test\n" } 1 .. 12000;

	forward($long);
	my $pid = as($alice, sub {
		my $end = time + 2;
		my $n = 0;
		while (time < $end) {
			my $text = $long;
			substr $text, 0, 1, ++$n % 2 ? 'b' : 'a';
			spew("$home/.forward.x", $text);
			rename "$home/.forward.x", "$home/.forward";
		}
	});
	my %end;
	while (waitpid($pid, POSIX::WNOHANG) == 0) {
		outcome($alice) =~ /(sent|changed while it was read)/;
		$end{$1 // 'else'}++;
	}
	note(join ', ', map { "$_: $end{$_}" } sort keys %end);
	is($end{else}, undef, 'is read whole, or again later');
	forward();
};

subtest 'LOC-06: a home that is not there' => sub {
	ok(!-e((getpwnam 'nobody')[7]), 'nobody has none');
	like(outcome('nobody'), qr/^2\.0\.0 sent \(delivered to mailbox\)/,
	    'and no .forward');
};

subtest 'LOC-07: a Maildir of links' => sub {
	my $box = "$home/links";

	for my $name (qw(tmp new cur)) {
		system('rm', '-rf', $box);
		mkdir $box;
		mkdir "$box/$_" for qw(tmp new cur);
		rmdir "$box/$name";
		symlink $etc, "$box/$name";
		chown $uid, $gid, $box, map { "$box/$_" } grep { $_ ne $name }
		    qw(tmp new cur);
		forward("$box/\n");
		my $before = join ' ', sort glob "$etc/*";
		like(outcome($alice), $name eq 'cur' ? qr/sent/ :
		    qr/^4\.2\.0 deferred/, $name);
		is(join(' ', sort glob "$etc/*"), $before,
		    'nothing is made behind the link');
	}
	system('rm', '-rf', $box);
	forward();
};

subtest 'DLV-05: a device' => sub {
	forward("/dev/full\n");
	like(outcome($alice), qr/^4\.2\.0 deferred/, 'gets nothing');
	forward("/dev/null/box\n");
	like(outcome($alice), qr/^4\.2\.0 deferred/, 'nor what is below one');
	forward("$home/no/such/directory/box\n");
	like(outcome($alice), qr/^4\.2\.0 deferred .*No such file/,
	    'a directory that is not there');
	forward();
};

subtest 'DLV-05: files with more than a message in them' => sub {
	my $box = "$home/saved";

	forward("$box\n");
	spew($box, '');
	chown $uid, $gid, $box;
	chmod 06644, $box;
	like(outcome($alice), qr/^2\.0\.0 sent/, 'a set-id file, no program');
	is((stat $box)[2] & 04000, 0, 'is none any more');
	chmod 04755, $box;
	like(outcome($alice), qr/^4\.2\.0 deferred .*is a program/,
	    'a set-id program');
	chmod 0600, $box;
	truncate $box, 2 ** 31 - 1;
	like(outcome($alice), qr/^5\.2\.2 bounced \(mailbox full/,
	    'beyond mailbox_size_limit');
	is(-s $box, 2 ** 31 - 1, 'stays as long as it was');
	$mail->set(mailbox_size_limit => 0);
	$mail->stop;
	$mail->start;
	like(outcome($alice), qr/^2\.0\.0 sent/, 'over the bound of 31 bits');
	cmp_ok(-s $box, '>', 2 ** 31, 'and whole');
	$mail->set(mailbox_size_limit => undef);
	unlink $box;
	forward();
};

# A disk of 64 KiB.
my $small = "$dir/small";
mkdir $small;
END { system('umount', '-l', $small) if defined $small && -e "$small/box" }

subtest 'DLV-06: a disk that is full in the middle of a message' => sub {
	plan(skip_all => 'no file system can be mounted here') if system(
	    'mount', '-t', 'tmpfs', '-o', "size=64k,uid=$uid", 'tmpfs',
	    $small) != 0;
	forward("$small/box\n");
	my $post = sub {
		my ($text) = @_;
		my ($id) = $mail->send(from => '', to => ["$alice\@local.test"],
		    text => "Subject: x\n\n$text") =~ /queued as (\w+)/;
		$mail->wait_log(qr/\b$id: to=.*status=.*\n/) =~
		    /dsn=(\S+), status=(.*)/;
		return "$1 $2";
	};
	like($post->("first\n"), qr/^2\.0\.0 sent/, 'one fits');
	my $before = slurp("$small/box");
	my $big = ('x' x 70 . "\n") x 2000;
	like($post->($big),
	    qr/^4\.3\.1 deferred .*No space left/, 'the next one waits');
	is(slurp("$small/box"), $before, 'the mailbox is as it was');
	ok(!-e "$small/box.lock", 'and free');
	like($post->("second\n"), qr/^2\.0\.0 sent/, 'a small one fits');
	my (undef, $count) = $mail->run('', 'python3', '-c', 'import ' .
	    'mailbox, sys; print(len(mailbox.mbox(sys.argv[1])))',
	    "$small/box");
	is($count, "2\n", 'there are two');
	open my $fill, '>', "$small/fill" or die "$!";
	1 while syswrite $fill, 'x' x 512;
	close $fill;
	$big = "third\n" x 2000;
	like($post->($big), qr/^4\.3\.1 deferred/, 'full');
	forward("$small/Maildir/\n");
	like($post->("fourth\n"), qr/^4\.\d\.\d deferred/,
	    'a Maildir on a full disk');
	unlink "$small/fill";
	like($post->("fifth\n"), qr/^2\.0\.0 sent/, 'and on one with room');
	is(join(' ', map { slurp($_) =~ /^(\w+)$/m } glob
	    "$small/Maildir/*/*"), 'fifth', 'nothing else is left there');
	system('umount', '-l', $small);
	forward();
};

subtest 'DLV-10: a shell that lets nobody in' => sub {
	is(system('usermod', '-s', '/usr/sbin/nologin', $alice), 0, 'set');
	forward("\"|exit 0\"\n");
	like(outcome($alice), qr/^2\.0\.0 sent/,
	    'commands are run by /bin/sh, as the policy is');
	forward();
};
END { system('usermod', '-s', '/bin/sh', $alice) if defined $alice }

subtest 'INJ-01: a line of the envelope cannot become a line of the head' => sub {
	forward("\"|cat > $home/copy\"\n");
	my $c = $mail->client;
	$c->expect(220);
	$c->command('EHLO x', 250);
	$c->command('MAIL FROM:<"a\ b: c"@far.test>', 250);
	$c->command("RCPT TO:<$alice\@local.test>", 250);
	$c->command('DATA', 354);
	my ($id) = $c->data("Subject: x\n\ny\n") =~ /queued as (\w+)/;
	$mail->wait_log(qr/$id: to=.*status=sent/);
	like(slurp("$home/copy"), qr/\AFrom .*\nReturn-Path: <"a b: c"\@far\.test>\nX-Original-To: /,
	    'one line each');
	unlink "$home/copy";
	forward();
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
