#!/usr/bin/perl
# command.t - commands and files of aliases and .forward files: as whom they
# run, what they inherit, what their end means. Names like DLV-01 are those of
# the attacks that the mail system is held against.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew wait_for is_alive);
use Test::More;

need_root();

my $mail = Postrider->new(settings => { recipient_delimiter => '+',
    minimal_backoff_time => '300s', command_time_limit => '3s' });
my ($dir, $etc) = ($mail->dir, $mail->etc);
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my ($home, $bobs) = map { (getpwnam $_)[7] } $alice, $bob;
my ($uid, $gid) = (getpwnam $alice)[2, 3];
my $out = "$dir/out";

mkdir $out;
chmod 01777, $out;

# A script that everybody may run.
sub script
{
	my ($name, $text) = @_;

	spew("$etc/$name", "#!/bin/sh\n$text");
	chmod 0755, "$etc/$name";
	return "$etc/$name";
}

my $tell = script('tell', <<"END");
{ id -u; id -g; id -G; cat /proc/self/status; ls -l /proc/\$\$/fd; pwd
ulimit -a; ps -o sid= -p \$\$; echo \$\$; trap; } > $out/facts.\$(id -un) 2>&1
cat > /dev/null
END
my $keep = script('keep', "cat > $out/\$1.new && mv $out/\$1.new $out/\$1\n");
my $hang = script('hang', <<"END");
sleep 1000 & echo \$! > $out/child
echo \$\$ > $out/parent
wait
END

spew("$etc/aliases", <<"END");
postmaster root
facts "|$tell"
keep "|$keep alias"
words "|$keep simple"
fds "|(ls /proc/\$\$/fd > $out/fds); cat > /dev/null"
two "|$keep one", "|$keep two", $alice
deaf "|exit 0"
exec "|exec $keep exec"
early "|/bin/true"
missing |/nowhere/to/be/found
unknown "|nosuchprogram; exit \\\$?"
loud "|yes 'a long word' | head -c 300000; exit 69"
code "|echo '4.7.9 come again'; exit 65"
hang "|$hang"
killed "|kill -9 \\\$\\\$"
file $out/file
maildir $out/maildir/
null /dev/null
dir $out
program $out/program
fifo $out/fifo
link $out/link
many "|cat >> $out/many"
slow "|sleep 1; cat > $out/slow"
e64 "|exit 64"
e65 "|exit 65"
e67 "|echo no such person; exit 67"
e70 "|exit 70"
e71 "|exit 71"
e75 "|exit 75"
e77 "|exit 77"
e99 "|exit 99"
background "|sleep 1000 & echo \\\$! > $out/background; cat > $out/done"
END
END { kill 'KILL', slurp("$out/background") =~ /(\d+)/ if defined $out &&
    -s "$out/background" }

sub in_home
{
	my ($name, $text, $mode, $user) = @_;
	my ($u, $g, $where) = (getpwnam($user // $alice))[2, 3, 7];
	my $path = "$where/$name";

	unlink $path;
	return unless defined $text;
	spew($path, $text);
	chown $u, $g, $path;
	chmod $mode // 0644, $path;
}
in_home($_) for qw(.forward .forward+x .forward+y);
in_home('.forward', undef, 0, $bob);

$mail->start;

sub post
{
	my ($to, %o) = @_;

	my $reply = $mail->send(from => $o{from} // '', to => [$to],
	    text => $o{text} // "Subject: x\n\nFrom here\n.dot\n");
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# "dsn status (text)" of all deliveries of a message.
sub outcome
{
	my ($id, $seconds) = @_;

	$mail->wait_log(qr/\b$id: to=.*status=.*\n/, $seconds);
	return join "\n", map { /dsn=(\S+), status=(.*)/ ? "$1 $2" : () }
	    grep { /\b$id: to=/ } split /^/, $mail->log;
}
sub of { my $to = shift; return outcome(post("$to\@local.test"), @_) }

# What `tell` wrote down of itself.
sub facts
{
	my ($user) = @_;

	return wait_for(sub { slurp("$out/facts.$user") }, 5, 'facts');
}

subtest 'DLV-01: a user\'s command is the user and has nothing else' => sub {
	in_home('.forward', "|$tell\n");
	is(of($alice), "2.0.0 sent (delivered to command: $tell)", 'sent');
	my $facts = facts($alice);

	like($facts, qr/\A$uid\n$gid\n$gid\n/, 'user, group, groups');
	like($facts, qr/^Uid:\t$uid\t$uid\t$uid\t$uid$/m, 'all user ids');
	like($facts, qr/^Gid:\t$gid\t$gid\t$gid\t$gid$/m,
	    'all group ids: that of the spool is gone');
	like($facts, qr/^Cap(?:Prm|Eff|Inh|Amb):\t0+$/m, 'no capabilities');
	like($facts, qr/^NoNewPrivs:\t0$/m, 'set-gid postdrop works');
	# Two signals belong to the C library, and pass from who began us.
	like($facts, qr/^SigIgn:\t0{7}[01][08]0{7}$/m, 'no signal is ignored');
	like($facts, qr/^SigBlk:\t0+$/m, 'none is blocked');
	my @fds = $facts =~ / (\d+) -> /g;
	is_deeply([ grep { $_ > 2 && $_ < 10 } @fds ], [], 'descriptors');
	unlike($facts, qr/socket:|\Q$dir\E\/spool/, 'no socket, no queue');
	like($facts, qr/^\Q$home\E$/m, 'in the home directory');
	like($facts, qr/^ *(\d+)\n\1$/m, 'a session of its own');
	in_home('.forward');
};

subtest 'DLV-02: neither has an alias\'s' => sub {
	like(of('fds'), qr/^2\.0\.0 sent \(delivered to command: /, 'sent');
	is(slurp("$out/fds"), "0\n1\n2\n", 'three descriptors');
};

subtest 'DLV-03: an alias of root\'s runs as default_privs' => sub {
	is(of('facts'), "2.0.0 sent (delivered to command: $tell)", 'sent');
	my ($u, $g) = (getpwnam 'nobody')[2, 3];
	like(facts('nobody'), qr/\A$u\n$g\n$g\n/, 'nobody');
};

subtest 'the message is what a mailbox would get' => sub {
	of('keep');
	my $text = wait_for(sub { slurp("$out/alias") }, 5, 'the copy');
	like($text, qr/\AFrom MAILER-DAEMON \w{3} .*\d{4}\nReturn-Path: <>\nX-Original-To: keep\@local\.test\nDelivered-To: keep\@local\.test\nReceived: /,
	    'head');
	like($text, qr/\n\nFrom here\n\.dot\n\z/, 'nothing is quoted or added');
	unlike($text, qr/\r/, 'line ends');
	is(of('words'), "2.0.0 sent (delivered to command: $keep simple)",
	    'words alone');
	ok(wait_for(sub { -s "$out/simple" }, 5), 'without a shell');
	of('exec');
	ok(wait_for(sub { -s "$out/exec" }, 5), 'a word of the shell');
};

subtest 'several things in one alias' => sub {
	my $id = post('two@local.test');
	$mail->wait_log(qr/$id: to=.*forwarded/);
	is(scalar(() = outcome($id) =~ /^2\.0\.0 sent/mg), 3, 'all are done');
	ok(-s "$out/one" && -s "$out/two", 'both commands');
};

subtest 'a command need not read the message' => sub {
	my $text = "Subject: x\n\n" . ('x' x 70 . "\n") x 20000;

	like(outcome(post('early@local.test', text => $text)), qr/^2\.0\.0 sent/,
	    'true');
	like(outcome(post('deaf@local.test', text => $text)), qr/^2\.0\.0 sent/,
	    'a shell');
};

subtest 'exit statuses' => sub {
	is(of('e64'), '5.3.0 bounced (command line usage error)', 'EX_USAGE');
	is(of('e65'), '5.6.0 bounced (data format error)', 'EX_DATAERR');
	is(of('e67'), '5.1.1 bounced (user unknown. Command output: no such person)',
	    'EX_NOUSER');
	is(of('e70'), '5.3.0 bounced (internal software error)', 'EX_SOFTWARE');
	is(of('e71'), '4.3.0 deferred (system resource problem)', 'EX_OSERR');
	is(of('e75'), '4.3.0 deferred (temporary failure)', 'EX_TEMPFAIL');
	is(of('e77'), '5.7.0 bounced (permission denied)', 'EX_NOPERM');
	is(of('e99'), '5.3.0 bounced (Command died with status 99: "exit 99")',
	    'another one');
	is(of('code'), '4.7.9 deferred (come again)', 'a code outweighs it');
	like(of('killed'), qr/^4\.3\.0 deferred \(Command died with signal 9: /,
	    'a signal');
	like(of('missing'), qr{^4\.3\.0 deferred \(cannot run /nowhere/to/be/found: No such file},
	    'a program that is not there');
	like(of('unknown'), qr/^4\.3\.5 deferred \(the command cannot be found\. Command output: .*nosuchprogram/,
	    'the same by the shell');
};

subtest 'big output is read and cut' => sub {
	my $text = of('loud', 20);

	like($text, qr/^5\.3\.0 bounced \(service unavailable\. Command output: a long word/,
	    'it is shown');
	cmp_ok(length $text, '<', 3000, 'not all of it');
};

subtest 'a command that does not end is killed with all its children' => sub {
	like(of('hang', 15), qr/^4\.3\.0 deferred \(Command time limit exceeded: /,
	    'it is tried again');
	for my $name (qw(parent child)) {
		my ($pid) = slurp("$out/$name") =~ /(\d+)/;
		ok(wait_for(sub { !is_alive($pid) }, 5), "$name is dead");
	}
};

subtest 'who is left in the background is not waited for' => sub {
	like(of('background', 3), qr/^2\.0\.0 sent/, 'sent');
};

subtest 'a hanging command does not stop others' => sub {
	my @ids = map { post('hang@local.test') } 1 .. 3;
	my $id = post("$alice\@local.test");

	like(outcome($id, 3), qr/^2\.0\.0 sent/, 'a mailbox');
	outcome($_, 20) for @ids;
};

subtest 'DLV-08: many messages to one file' => sub {
	my @ids = map { post('many@local.test') } 1 .. 20;

	like(outcome($_, 20), qr/^2\.0\.0 sent/, 'sent') for @ids;
	is(scalar(() = slurp("$out/many") =~ /^From MAILER/mg), 20, 'all');
};

subtest 'DLV-05: files' => sub {
	is(of('file'), "2.0.0 sent (delivered to file: $out/file)", 'sent');
	my $text = slurp("$out/file");
	like($text, qr/\AFrom MAILER-DAEMON /, 'an mbox');
	like($text, qr/^>From here$/m, 'with quoting');
	is((stat "$out/file")[4], scalar(getpwnam 'nobody'), 'nobody\'s');
	of('file');
	is(scalar(() = slurp("$out/file") =~ /^From /mg), 2, 'appended');
	is(of('maildir'), "2.0.0 sent (delivered to file: $out/maildir/)",
	    'a Maildir');
	is(scalar($mail->maildir("$out/maildir")), 1, 'one message');
	is(of('null'), '2.0.0 sent (delivered to file: /dev/null)', '/dev/null');
	like(of('dir'), qr/^4\.2\.0 deferred/, 'a directory');
	spew("$out/program", '');
	chown +(getpwnam 'nobody')[2, 3], "$out/program";
	chmod 0755, "$out/program";
	like(of('program'), qr/^4\.2\.0 deferred \(mailbox .* is a program/,
	    'a program');
	system('mkfifo', '-m', '666', "$out/fifo");
	like(of('fifo'), qr/^4\.2\.0 deferred .* is not a regular file/, 'a FIFO');
	spew("$etc/canary", 'x');
	symlink "$etc/canary", "$out/link";
	like(of('link'), qr/^4\.2\.0 deferred .* is a symbolic link/, 'a link');
	is(slurp("$etc/canary"), 'x', 'and what it names is as it was');
};

subtest 'files and commands of a .forward' => sub {
	in_home('.forward', "$home/saved, \"|$keep fwd\", \\$alice\n");
	my $id = post("$alice\@local.test");
	$mail->wait_log(qr/$id: to=.*command: /);
	is(outcome($id), "2.0.0 sent (delivered to mailbox)\n" .
	    "2.0.0 sent (delivered to file: $home/saved)\n" .
	    "2.0.0 sent (delivered to command: $keep fwd)", 'all three');
	is((stat "$home/saved")[4], $uid, 'hers');
	is((stat "$out/fwd")[4], $uid, 'by her');
	unlink "$home/saved";

	in_home('.forward+y', "\"|$keep $alice-y\"\n");
	of("$alice+y");
	ok(-s "$out/$alice-y", 'by extension');
	in_home('.forward', "$bobs/.profile\n");
	like(of($alice), qr/^4\.2\.0 deferred \(cannot open mailbox .*Permission/,
	    'LOC-07: not another user\'s');
	in_home('.forward', "\"|cat > $bobs/stolen\"\n");
	like(of($alice), qr/bounced|deferred/, 'nor by a command');
	ok(!-e "$bobs/stolen", 'nothing was written');
	in_home('.forward');
	in_home('.forward+y');
};

subtest 'LOC-06: a .forward that is not to be believed' => sub {
	symlink '/etc/shadow', "$home/.forward";
	like(of($alice), qr/^2\.0\.0 sent \(delivered to mailbox\)/, 'a link');
	unlink "$home/.forward";
	system('mkfifo', "$home/.forward");
	like(of($alice), qr/^2\.0\.0 sent \(delivered to mailbox\)/, 'a FIFO');
	unlink "$home/.forward";
	mkdir "$home/.forward";
	like(of($alice), qr/^2\.0\.0 sent \(delivered to mailbox\)/,
	    'a directory');
	rmdir "$home/.forward";
	in_home('.forward', "\"|$keep bad\"\n", 0666);
	like(of($alice), qr/^2\.0\.0 sent \(delivered to mailbox\)/,
	    'everybody can write it');
	in_home('.forward', "\"|$keep bad\"\n", 0644, $bob);
	system('mv', "$bobs/.forward", "$home/.forward");
	is((stat "$home/.forward")[4], scalar(getpwnam $bob), 'it has moved');
	like(of($alice), qr/^2\.0\.0 sent \(delivered to mailbox\)/,
	    'it is bob\'s');
	in_home('.forward', '');
	truncate "$home/.forward", 10 << 30;
	like(of($alice), qr/^4\.3\.5 deferred .* is too long/, 'ten GB');
	in_home('.forward');
	ok(!-e "$out/bad", 'no command ran');
	unlike($mail->log, qr/root:\$|root:\*/, 'nothing of it is in the log');
};

subtest 'DLV-09: two users who forward to each other' => sub {
	in_home('.forward', "$bob\n");
	in_home('.forward', "$alice\n", 0644, $bob);
	post("$alice\@local.test");
	ok($mail->wait_log(qr/dsn=5\.4\.6, status=bounced \(mail forwarding loop for $alice/),
	    'the loop ends');
	in_home('.forward');
	in_home('.forward', undef, 0, $bob);
};

my @complaints = $mail->complaints;
is_deeply(\@complaints, [], 'no complaints');
$mail->stop;

subtest 'where commands and files may stand' => sub {
	my $m = Postrider->new(settings => { alias_maps => "texthash:$etc/aliases",
	    allow_mail_to_commands => 'forward', allow_mail_to_files => '' });
	$m->start;
	for (['keep', 'command'], ['file', 'file']) {
		my ($to, $what) = @$_;
		$m->send(from => '', to => ["$to\@local.test"]);
		like($m->wait_log(qr/to=<$to\@local.test>.*\n/),
		    qr/dsn=5\.7\.1, status=bounced \(mail to $what is restricted\)/,
		    $what);
	}
	is_deeply([$m->complaints], [], 'no complaints');
};

subtest 'DLV-03: an alias table of a user\'s gives his rights' => sub {
	spew("$etc/hers", "mine \"|id -un > $out/owner\"\n");
	chown $uid, $gid, "$etc/hers";
	my $m = Postrider->new(settings => {
	    alias_maps => "texthash:$etc/aliases, texthash:$etc/hers" });
	$m->start;
	$m->send(from => '', to => ['mine@local.test']);
	$m->wait_log(qr/to=<mine\@local.test>.*status=sent/);
	is(slurp("$out/owner"), "$alice\n", 'hers');
	is_deeply([$m->complaints], [], 'no complaints');
};

subtest 'DLV-03: an alias table of everybody\'s says nothing' => sub {
	spew("$etc/open", "mine $alice, \"|id > $out/open\"\n");
	chmod 0666, "$etc/open";
	my $m = Postrider->new(settings => {
	    alias_maps => "texthash:$etc/aliases, texthash:$etc/open" });
	$m->start;
	$m->send(from => '', to => ['mine@local.test']);
	like($m->wait_log(qr/to=<mine\@local\.test>.*status=.*/),
	    qr/dsn=4\.3\.5, status=deferred \(alias database is not to be trusted/,
	    'its mail waits');
	ok(!-e "$out/open", 'nothing was run');
	$m->send(from => '', to => ['keep@local.test']);
	$m->wait_log(qr/to=<keep\@local\.test>.*status=sent/);
	is_deeply([grep { !/everybody can write to the table/ }
	    $m->complaints], [], 'others do their work');
};

done_testing();
