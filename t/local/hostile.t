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
		my $end = time + 4;
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

subtest 'INJ: a line of the envelope cannot become a line of the head' => sub {
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
