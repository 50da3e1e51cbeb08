#!/usr/bin/perl
# local.t - mail for the users of this machine: mailboxes, aliases, .forward.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(is_root need_root spew slurp wait_for);
use Test::More;

need_root();

my $ALIASES = <<'END';
postmaster: root
team: prt-alice, prt-bob
both: prt-alice, other@local.test
other: prt-bob
MiXed: mixed+1, "prt-bob"
direct: \prt-alice
list: prt-bob
owner-list: prt-alice
ring: ring2
ring2: ring
self: self@localhost, prt-bob
include: :include:/etc/passwd
broken: <<<
END

my $mail = Postrider->new(files => { aliases => $ALIASES },
    settings => { recipient_delimiter => '+',
    minimal_backoff_time => '300s' });
$mail->set(alias_maps => 'hash:' . $mail->etc . '/aliases');
my ($status, $said) = $mail->postrider('map', '-a', $mail->{settings}{alias_maps});
$status == 0 or die "aliases: $said";
$mail->start;
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $home = (getpwnam $alice)[7];
my $number = 0;

# Send to one address; the log's lines of that recipient.
sub post
{
	my ($to, %o) = @_;
	my $from = $o{from} // 'sender@far.test';
	my $mark = 'mark' . ++$number;

	my $reply = $mail->send(from => $from, to => [$to],
	    text => $o{text} // "Subject: $mark\n\nFrom here on: $mark\n");
	my ($id) = $reply =~ /queued as (\w+)/ or die $reply;
	return ($mark, $id);
}

# The outcome of a message: "sent (delivered to mailbox)".
sub outcome
{
	my ($id) = @_;

	$mail->wait_log(qr/$id: to=.*status=.*\n/);
	return join "\n", map { /status=(.*)/ ? $1 : () }
	    grep { /\b$id: to=/ } split /^/, $mail->log;
}

# The message with this mark in the user's mbox, as soon as it is there.
sub find
{
	my ($user, $mark) = @_;

	return wait_for(sub {
		(grep { /Subject: $mark$/m } $mail->mbox($user))[0]
	}, 20, "$mark in the mailbox of $user\n" . $mail->log);
}

sub in_home
{
	my ($name, $text, $mode) = @_;
	my $path = "$home/$name";

	unlink $path;
	return unless defined $text;
	spew($path, $text);
	chown +(getpwnam $alice)[2, 3], $path;
	chmod $mode // 0644, $path;
}
in_home($_) for qw(.forward .forward+x);

subtest 'a message arrives in the mbox' => sub {
	my ($mark, $id) = post("$alice\@local.test");
	my $text = find($alice, $mark);

	is(outcome($id), 'sent (delivered to mailbox)', 'status');
	like($mail->log, qr/local\[\d+\]: $id: to=<$alice\@local\.test>, /,
	    'the recipient');
	like($mail->log, qr/$id: to=\S+ relay=local, delay=[\d.]+, delays=\S+ dsn=2\.0\.0,/,
	    'shape of the line');
	like($text, qr/\AFrom sender\@far\.test \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n/,
	    'From_ line');
	like($text, qr/\A.*\nReturn-Path: <sender\@far\.test>\nX-Original-To: $alice\@local\.test\nDelivered-To: $alice\@local\.test\nReceived: /,
	    'what is put in front');
	like($text, qr/\n\n>From here on: $mark\n\n\z/, 'quoting, empty line');
	unlike($text, qr/\r/, 'line ends');
	my @st = stat $mail->dir . "/mail/$alice";
	is($st[4], (getpwnam $alice)[2], 'the mailbox is hers');
	is($st[5], scalar getgrnam('mail'), 'and of group mail');
	is(sprintf('%o', $st[2] & 07777), '660', 'mode');
};

subtest 'extensions and case do not matter for the user' => sub {
	my ($mark) = post("PRT-Bob+news\@local.test");

	like(find($bob, $mark), qr/^Delivered-To: PRT-Bob\+news\@local\.test$/m,
	    'delivered, as it was addressed');
};

subtest 'an alias is forwarded as a message of its own' => sub {
	my ($mark, $id) = post('team@local.test');

	like(outcome($id), qr/^sent \(forwarded as \w+\)$/, 'status');
	for my $user ($alice, $bob) {
		my $text = find($user, $mark);
		like($text, qr/^X-Original-To: team\@local\.test$/m,
		    "$user: original recipient");
		like($text, qr/^Delivered-To: team\@local\.test$/m,
		    "$user: the way");
		like($text, qr/^Return-Path: <sender\@far\.test>$/m,
		    "$user: the sender stays");
	}
};

subtest 'aliases of aliases' => sub {
	my ($mark) = post('both@local.test');

	ok(find($alice, $mark), 'first');
	ok(find($bob, $mark), 'second, by another alias');
};

subtest 'a name in its own alias is the mailbox' => sub {
	my ($mark, $id) = post('mIXED+1@local.test');

	like(outcome($id), qr/^bounced.*unknown user: "mixed"/,
	    'keys are looked up in lower case, without the extension');
	($mark, $id) = post('direct@local.test');
	ok(find($alice, $mark), 'by backslash');
	is(outcome($id), 'sent (delivered to mailbox)', 'without a way round');
	($mark, $id) = post('self@local.test');
	like(outcome($id), qr/bounced.*unknown user: "self"/,
	    'its own address in another domain of ours is the mailbox too');
	ok(find($bob, $mark), 'the others get it nevertheless');
};

subtest 'a list has its owner as the sender' => sub {
	my ($mark) = post('list@local.test');

	like(find($bob, $mark), qr/^Return-Path: <owner-list\@local\.test>$/m,
	    'owner');
};

subtest 'loops end with a report' => sub {
	my ($mark) = post('ring@local.test', from => "$alice\@local.test");

	ok($mail->wait_log(qr/status=bounced \(mail forwarding loop for ring2?\@local\.test\)/),
	    'found');
};

subtest 'what is malformed waits' => sub {
	my (undef, $id) = post('include@local.test');
	is(outcome($id), 'deferred (/etc/passwd is malformed)', 'include');
	(undef, $id) = post('broken@local.test');
	is(outcome($id), 'deferred (alias broken is malformed)', 'malformed');
	like($mail->log, qr/warning: $id: alias broken: a ">" is missing$/m,
	    'the log tells what is wrong');
};

subtest 'root gets mail in the spool and nowhere else' => sub {
	my ($mark, $id) = post('postmaster@local.test');
	my $text = find('root', $mark);

	like($text, qr/^Delivered-To: root\@local\.test$/m, 'there');
	my @st = stat $mail->dir . '/mail/root';
	is($st[4], 0, 'it is root\'s');
};

subtest '.forward' => sub {
	in_home('.forward', "# to bob\n\\$alice,\n  $bob\@local.test\n");
	my ($mark, $id) = post("$alice\@local.test");
	ok(find($alice, $mark), 'kept');
	like(find($bob, $mark), qr/^X-Original-To: $alice\@local\.test$/m,
	    'and forwarded');
	$mail->wait_log(qr/$id: to=.*forwarded as/);
	like(outcome($id), qr/mailbox\)\nsent \(forwarded as/, 'both are logged');

	in_home('.forward', "$bob\n", 0666);
	($mark, $id) = post("$alice\@local.test");
	ok(find($alice, $mark), 'one that everybody can write is ignored');
	ok($mail->wait_log(qr/warning: $home\/\.forward is ignored: everybody can write to it/),
	    'with a warning');

	in_home('.forward', "$alice\n");
	in_home('.forward+x', "$bob\n");
	($mark) = post("$alice+x\@local.test");
	ok(find($bob, $mark), 'by extension');
	($mark) = post("$alice+y\@local.test");
	ok(find($alice, $mark), 'her own name is her mailbox');
	in_home($_) for qw(.forward .forward+x);
};

subtest 'one process for a user is kept warm, and runs as the user' => sub {
	my ($mark) = post("$bob\@local.test");

	find($bob, $mark);
	my @warm = grep { slurp("$_/cmdline") =~ /\Amailbox\0/ &&
	    slurp("$_/cmdline") =~ /\0\Q$mail->{dir}\E/ &&
	    slurp("$_/cmdline") =~ /\0$bob\0?\z/ } glob('/proc/[0-9]*');
	is(scalar @warm, 1, 'one');
	my $status = slurp("$warm[0]/status");
	my ($uid, $gid) = (getpwnam $bob)[2, 3];
	my $group = getgrnam 'mail';
	like($status, qr/^Uid:\t$uid\t$uid\t$uid\t$uid$/m, 'user');
	like($status, qr/^Gid:\t$group\t$gid\t$gid\t$gid$/m, 'group');
	like($status, qr/^Groups:\t$gid ?$/m, 'no other groups');
	like($status, qr/^CapPrm:\t0+$/m, 'no capabilities');
	my @fds = map { readlink } glob("$warm[0]/fd/*");
	is(scalar(grep { m{^/} && $_ ne '/dev/null' } @fds), 0,
	    'no file is open');
	unlike(slurp("$warm[0]/environ"), qr/MAIL_CONFIG|SUDO|SSH/,
	    'the environment is clean');
};

is_deeply([$mail->complaints], [], 'no complaints');
$mail->stop;

subtest 'Maildir in the home' => sub {
	my $m = Postrider->new(settings => { home_mailbox => 'Maildir/' })
	    ->start;
	my $path = "$home/Maildir";

	system('rm', '-rf', $path);
	$m->send(from => '', to => ["$alice\@local.test"],
	    text => "Subject: x\n\nFrom a\n");
	$m->wait_log(qr/status=sent \(delivered to maildir\)/);
	my @files = $m->maildir($path);
	is(scalar @files, 1, 'one file');
	like($files[0], qr/\AReturn-Path: <>\nX-Original-To: $alice\@local\.test\nDelivered-To: $alice\@local\.test\n/,
	    'head');
	like($files[0], qr/\n\nFrom a\n\z/, 'nothing quoted');
	is((stat((glob "$path/new/*")[0]))[4], (getpwnam $alice)[2], 'hers');
	is(sprintf('%o', (stat $path)[2] & 07777), '700', 'mode');
	ok(!-e $m->dir . "/mail/$alice", 'nothing in the spool');
	$m->send(from => '', to => ['root@local.test']);
	wait_for(sub { scalar $m->mbox('root') }, 10, 'mail for root');
	pass('root has mail in the spool');
	is_deeply([$m->complaints], [], 'no complaints');
	system('rm', '-rf', $path);
};

done_testing();
