# options.t - every option of sendmail(1), one by one: what it changes in the
# message that is queued, what else it does, or that nothing comes of it.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use File::Temp ();
use Postrider qw(bin slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

# A port that nobody listens at, and nobody else can take.
my $shut = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
    or die "socket: $!";
my $mail = Postrider->new(settings => {
	relayhost => '', defer_transports => 'smtp',
	fast_flush_domains => 'site.test', relay_domains => 'site.test',
	minimal_backoff_time => '1000s' },
	files => { source => "postmaster: root\nal: bob\@far.test\n" });
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return $verb ne 'RCPT' ? undef : $line =~ /nobody/ ?
	    '550 5.1.1 no such user' : undef;
});
my $user = $mail->user;
spew($mail->etc . '/transport', 'reached.test smtp:[127.0.0.1]:' .
    $sink->port . "\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport',
    alias_database => 'texthash:' . $mail->etc . '/aliases',
    defer_transports => '', relayhost => '[127.0.0.1]:' .
    $shut->sockport);
spew($mail->etc . '/aliases', "postmaster root\nboth $user, " .
    "x\@reached.test\ncommand \"|/bin/cat\"\n");
$mail->start;

my $text = "Subject: one\n\nHello.\n";
my $me = getpwuid($>) . '@local.test';
my $seen = 0;

sub posted
{
	return $mail->log =~ /pickup\[\d+\]: (\w+): uid=/g;
}

# Post with these words; the queue file.
sub post
{
	my ($words, $input) = @_;
	my ($status, $output) = $mail->sendmail($input // $text, @$words);
	my @ids;

	is($status, 0, "sendmail @$words") or diag($output);
	$seen++;
	wait_for(sub { @ids = posted(); @ids >= $seen }, 10, 'a message');
	is(scalar @ids, $seen, 'one message');
	return Postrider::QueueFile->find($mail, $ids[-1]);
}

# Run it; nothing may be posted. Its output.
sub idle
{
	my ($expected, @words) = @_;
	my ($status, $output) = $mail->sendmail($text, @words);

	is($status, $expected, "sendmail @words: exit $expected")
	    or diag($output);
	is(scalar(() = posted()), $seen, 'and no message');
	return $output;
}

# The same program under another name; with a hash: its path.
my $names = File::Temp->newdir('prt-names-XXXX', DIR => '/tmp');
chmod 0755, "$names";
sub under_name
{
	my ($name, $input, @words) = @_;
	my $path = "$names/$name";

	unless (-e $path) {
		(my $directory = $path) =~ s{/[^/]+$}{};
		system('mkdir', '-p', $directory) == 0 or die;
		symlink bin() . '/sendmail', $path or die "$path: $!";
	}
	return $mail->run($input, $path, '-C', $mail->etc, @words);
}

subtest '-t' => sub {
	my $f = post(['-t'], "To: a\@far.test\nCc: b\@far.test\n" .
	    "Bcc: c\@far.test\n$text");
	is_deeply($f->{recipients}, [map { "$_\@far.test" } qw(a b c)]);
	unlike($f->{content}, qr/^Bcc/m);
	is_deeply(post(['-t', 'z@far.test'], "To: a\@far.test\n$text")
	    ->{recipients}, ['z@far.test', 'a@far.test'], 'and a word');
};

subtest '-f and -r' => sub {
	my @senders = (['-f', 'a@b.test'], 'a@b.test', ['-fa@b.test'],
	    'a@b.test', ['-r', 'a@b.test'], 'a@b.test', ['-ra@b.test'],
	    'a@b.test', ['-f', ''], '', ['-f', '<>'], '', ['-f<>'], '',
	    ['-f', 'al'], 'al@local.test', ['-f', 'Al <a@b.test>'],
	    'a@b.test', ['-f', 'a@b.test', '-r', 'c@d.test'], 'c@d.test');
	while (my ($words, $expected) = splice @senders, 0, 2) {
		is(post([@$words, 'bob@far.test'])->{sender}, $expected);
	}
	is(post(['bob@far.test'])->{sender}, $me, 'without: who calls');
};

subtest '-F, and NAME' => sub {
	like(post(['-F', 'Al Pine', 'bob@far.test'])->{content},
	    qr/^From: Al Pine <\Q$me\E>\r$/m);
	like(post(['-FAl Pine', 'bob@far.test'])->{content},
	    qr/^From: Al Pine </m);
	like(post(['-F', '', 'bob@far.test'])->{content},
	    qr/^From: \Q$me\E\r$/m, 'an empty one');
	local $ENV{NAME} = 'By Name';
	like(post(['bob@far.test'])->{content}, qr/^From: By Name </m);
	like(post(['-F', 'Other', 'bob@far.test'])->{content},
	    qr/^From: Other </m, '-F comes first');
	like(post(['-F', 'Other', 'bob@far.test'], "From: x\@y.test\n$text")
	    ->{content}, qr/^From: x\@y\.test\r$/m,
	    'only when From: is missing');
};

subtest '-i and -oi, and without' => sub {
	my $dots = "Subject: x\n\na\n.\nb\n";

	like(post([$_, 'bob@far.test'], $dots)->{content},
	    qr/\r\na\r\n\.\r\nb\r\n\z/) for qw(-i -oi);
	like(post(['bob@far.test'], $dots)->{content}, qr/\r\na\r\n\z/);
};

subtest '-bm' => sub {
	is(post(['-bm', 'bob@far.test'])->{sender}, $me);
	is(post(['-ba', 'bob@far.test'])->{sender}, $me);
};

subtest '-B' => sub {
	is(post(['-B', '8BITMIME', 'bob@far.test'])->{flags} & 2, 2);
	is(post(['-B8BITMIME', 'bob@far.test'])->{flags} & 2, 2);
	is(post(['-B', '7BIT', 'bob@far.test'])->{flags} & 2, 0);
	like(idle(64, '-B', 'BINARY', 'bob@far.test'), qr/-B/);
};

subtest '-N' => sub {
	is_deeply(post(['-N', $_->[0], 'bob@far.test'])->{notify}, [$_->[1]])
	    for ['success,delay', 10], ['never', 1], ['failure', 4],
	    ['SUCCESS,FAILURE,DELAY', 14];
	like(idle(64, '-N', 'never,success', 'bob@far.test'), qr/-N/);
};

subtest '-R' => sub {
	is(post(['-R', 'hdrs', 'bob@far.test'])->{return_what}, 'HDRS');
	is(post(['-R', 'full', 'bob@far.test'])->{return_what}, 'FULL');
	like(idle(64, '-R', 'x', 'bob@far.test'), qr/-R/);
};

subtest '-V' => sub {
	is(post(['-V', 'id 7+', 'bob@far.test'])->{envelope_id}, 'id 7+');
	is(post(['-Vid', 'bob@far.test'])->{envelope_id}, 'id');
};

subtest '-XV' => sub {
	is(post(['-XV', '-f', 'a@b.test', 'bob@far.test'])->{verp}, '+=');
	is(post(['-XV-=', '-f', 'a@b.test', 'bob@far.test'])->{verp}, '-=');
};

subtest '-G' => sub {
	my $f = post(['-G', 'bob@far.test'], "To: bob\n$text");
	unlike($f->{content}, qr/^(?:From|Date|Message-ID):/mi,
	    'no header is added');
	like($f->{content}, qr/^To: bob\r$/m, 'and none is completed');
	is($f->{sender}, $me, 'but addresses of the envelope are');
};

# What has no meaning is taken, with its argument if it has one.
for my $words (['-A', 'm'], ['-Am'], ['-Ac'], ['-c'], ['-h', '7'], ['-h7'],
    ['-L', 'label'], ['-m'], ['-p', 'x'], ['-U'], ['-x'], ['-n'],
    ['-X', '/nonexistent/log'], ['-e', 'm'], ['-em'],
    ['-O', 'requiretls=yes'], ['-O', 'smtputf8=yes'],
    ['-OQueueDirectory=/tmp'], ['-O', 'Option=value'], ['-oem'], ['-oee'],
    ['-oep'], ['-odq'], ['-odb'], ['-odi'], ['-om'], ['-o7'], ['-o8'],
    ['-oMr'], ['-oo'], ['-o', 'x'], ['-oee', '-odq'], ['-oA/etc/x'],
    ['-d'], ['-d0.1'], ['-D', '/tmp/x'], ['-s', 'x'], ['-a'], ['-q1h', '-i']) {
	subtest "@$words is of no consequence" => sub {
		my $f = post([@$words, 'bob@far.test']);
		is_deeply($f->{recipients}, ['bob@far.test']);
		is($f->{sender}, $me);
	};
}

subtest '-bh and -bH' => sub {
	is(idle(0, $_), '') for qw(-bh -bH);
};

subtest '-q and a time alone' => sub {
	is(idle(0, $_), '') for qw(-q1h -q30m -q15);
};

subtest '--' => sub {
	is_deeply(post(['--', '-bob@far.test'])->{recipients},
	    ['-bob@far.test']);
};

subtest 'options behind recipients' => sub {
	like(idle(64, 'bob@far.test', '-f', 'al@some.test'),
	    qr/-f: options come before recipients/);
	like(idle(64, 'bob@far.test', '-t'), qr/-t: options come before/);
};

subtest 'letters together' => sub {
	my $f = post(['-iF', 'Al', 'bob@far.test'], "\nx\n.\ny\n");
	like($f->{content}, qr/^From: Al </m);
	like($f->{content}, qr/\r\n\.\r\ny\r\n\z/);
	is_deeply(post(['-ti'], "To: a\@far.test\n\nx\n.\ny\n")->{recipients},
	    ['a@far.test']);
};

subtest '-bs' => sub {
	my $many = join '', map { "MAIL FROM:<a$_\@b.test>\r\n" .
	    "RCPT TO:<c$_\@far.test>\r\nDATA\r\nSubject: $_\r\n\r\n$_\r\n.\r\n"
	} 1 .. 20;
	my ($status, $output) = $mail->sendmail("EHLO me\r\n${many}QUIT\r\n",
	    '-bs');
	is($status, 0);
	my @ids = $output =~ /^250 2\.0\.0 Ok: queued as (\w+)\r$/mg;
	is(scalar @ids, 20, 'many messages in one session');
	$seen += 20;
	is(Postrider::QueueFile->find($mail, $ids[19])->{sender},
	    'a20@b.test', 'each with its envelope');
	like(idle(64, '-bs', 'bob@far.test'), qr/-bs: it takes no recipients/);
	($status, $output) = $mail->sendmail("EHLO me\r\nXCLIENT NAME=x\r\n" .
	    "QUIT\r\n", '-bs');
	like($output, qr/^500 /m, 'XCLIENT is not for users');
};

subtest '-bp and mailq' => sub {
	my $list = idle(0, '-bp');
	like($list, qr/bob\@far\.test/);
	my ($status, $output) = under_name('mailq', '');
	is($status, 0);
	like($output, qr/bob\@far\.test/, 'mailq lists the same');
};

subtest '-q, -qI, -qR, -qS' => sub {
	post(['one@site.test']);
	my $id = (posted())[-1];
	my $tries = 0;

	for my $word (undef, '-q', "-qI$id", '-qRsite.test') {
		idle(0, $word) if defined $word;
		$tries++;
		wait_for(sub { (() = $mail->log =~
		    /\b$id: to=\S+ .*status=deferred/g) >= $tries }, 10,
		    "try $tries");
		wait_for(sub { $mail->queue_count('incoming') == 0 }, 10,
		    'rest');
	}
	like(idle(69, '-qSal'), qr/-qSal: not available/);
};

subtest '-bi, -I and newaliases; -oA' => sub {
	my $table = $mail->etc . '/source.db';

	spew($mail->etc . '/db', "postmaster: root\n");
	$mail->set(alias_database => 'hash:' . $mail->etc . '/db');
	for my $how (['-bi'], ['-I'], undef) {
		unlink $mail->etc . '/db.db';
		if (defined $how) {
			idle(0, @$how);
		} else {
			is((under_name('newaliases', ''))[0], 0, 'newaliases');
		}
		ok(-s $mail->etc . '/db.db', 'the table is there');
	}
	unlink $mail->etc . '/db.db';
	is((under_name('newaliases', '', '-oAhash:' . $mail->etc .
	    '/source'))[0], 0, 'newaliases -oA');
	ok(-s $table, 'another file');
	ok(!-e $mail->etc . '/db.db', 'and only that one');
};

subtest 'smtpd' => sub {
	my ($status, $output) = under_name('smtpd', "QUIT\r\n");

	is($status, 0);
	like($output, qr/\A220 .*\r\n221 /);
};

subtest 'lib/sendmail' => sub {
	my ($status, $output) = under_name('lib/sendmail', $text, '-i',
	    'bob@far.test');
	is($status, 0) or diag $output;
	$seen++;
	wait_for(sub { (() = posted()) == $seen }, 10, 'the message');
};

subtest '-C' => sub {
	my ($status, $output) = $mail->run($text, bin() . '/sendmail', '-C',
	    $mail->etc . '/main.cf', 'bob@far.test');
	is($status, 0, 'a file') or diag $output;
	$seen++;
	($status, $output) = $mail->run($text, bin() . '/sendmail', '-C',
	    '/nonexistent', 'bob@far.test');
	is($status, 78, 'a directory that is not there: 78');
	local $ENV{MAIL_CONFIG} = $mail->etc;
	is(($mail->run($text, bin() . '/sendmail', 'bob@far.test'))[0], 0,
	    'MAIL_CONFIG');
	$seen++;
	wait_for(sub { (() = posted()) == $seen }, 10, 'two messages');
};

subtest '-bd and -bl while it runs' => sub {
	isnt(($mail->sendmail('', $_))[0], 0, "$_ starts no second system")
	    for qw(-bd -bl);
	is(scalar(@{[ $mail->children('pickup') ]}), 1);
};

subtest 'nobody to send to' => sub {
	like(idle(64), qr/recipient names must be specified/);
	like(idle(64, '-t'), qr/no recipient addresses found/);
	like(idle(64, '-Z', 'bob@far.test'), qr/./);
	like(idle(64, '-be', '${run{id}}', 'bob@far.test'), qr/unknown mode/);
	like(idle(65, 'bob@carol@far.test'), qr/recipient/);
	like(idle(65, '-f', 'a b', 'bob@far.test'), qr/sender/);
};

# The report to a sender: its text, and what it says of each recipient.
my $reports = 0;
sub report
{
	my @all;

	wait_for(sub {
		@all = grep { /^Subject: Mail Delivery Status Report/m }
		    $mail->mbox($user);
		@all > $reports;
	}, 15, 'a report');
	is(scalar @all, ++$reports, 'one report');
	my %of;
	while ($all[-1] =~ /^Final-Recipient: rfc822; *(\S+)\nAction: (\S+)\nStatus: (\S+)\n/mg) {
		$of{$1} = "$2 $3";
	}
	return (\%of, $all[-1] =~ s/\n\s+/ /gr);
}

subtest '-bv' => sub {
	my $delivered = $sink->messages;
	my ($status, $output) = $mail->sendmail('', '-bv', '-f', $user, $user,
	    'unknown-user', 'both', 'command', 'ok@reached.test',
	    'nobody@reached.test', 'bob@far.test');
	is($status, 0);
	like($output, qr/Report will be mailed to <$user>/);
	$seen++;
	my ($of, $report) = report();
	is_deeply($of, { "$user\@local.test" => 'deliverable 2.0.0',
	    'unknown-user@local.test' => 'undeliverable 5.1.1',
	    'both@local.test' => 'deliverable 2.0.0',
	    'command@local.test' => 'deliverable 2.0.0',
	    'ok@reached.test' => 'deliverable 2.1.5',
	    'nobody@reached.test' => 'undeliverable 5.1.1',
	    'bob@far.test' => 'undeliverable 4.4.1' },
	    'what would become of each');
	like($report, qr/delivers to mailbox/);
	like($report, qr{delivers to command: /bin/cat});
	like($report, qr/forwards to \S+ and others/);
	wait_for(sub { $mail->log =~ /status=undeliverable/ }, 5, 'the log');
	is(scalar($mail->mbox($user)), $reports, 'nothing was delivered here');
	is($sink->messages, $delivered, 'nor elsewhere');
	my ($id) = (posted())[-1];
	$mail->wait_log(qr/qmgr\[\d+\]: $id: removed/);
	pass('and nothing waits');
	like(idle(64, '-bv', '-t'), qr/-bv/);
	like(idle(64, '-bv'), qr/recipient names must be/);
};

subtest '-v' => sub {
	my ($status, $output) = $mail->sendmail($text, '-v', '-f', $user,
	    'ok@reached.test', 'nobody@reached.test', 'bob@far.test');
	is($status, 0);
	like($output, qr/Report will be mailed to <$user>/);
	$seen++;
	my ($of) = report();
	is_deeply($of, { 'ok@reached.test' => 'relayed 2.0.0',
	    'nobody@reached.test' => 'failed 5.1.1',
	    'bob@far.test' => 'delayed 4.4.1' }, 'the first attempt');
	wait_for(sub { grep { /Undelivered Mail/ } $mail->mbox($user) }, 10,
	    'the failure is reported as always');
	is(scalar(grep { $_->{rcpt}[0] eq 'ok@reached.test' }
	    $sink->messages), 1, 'and it was delivered');
	my $id = (posted())[-1];
	my $before = () = $mail->log =~ /\b$id: to=<bob/g;
	$mail->sendmail('', "-qI$id");
	wait_for(sub { $before < (() = $mail->log =~ /\b$id: to=<bob/g) }, 10,
	    'another attempt');
	$mail->settle;
	is(scalar(grep { /^Subject: Mail Delivery Status/m }
	    $mail->mbox($user)), $reports, 'which makes no report');
};

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
done_testing;
