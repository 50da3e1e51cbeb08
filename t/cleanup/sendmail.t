# sendmail.t - the command that every program knows: options, exit codes,
# what becomes of the input.

use strict;
use warnings;

use Cwd ();
use lib 't/lib';
use Postrider qw(slurp wait_for);
use Postrider::QueueFile;
use Test::More;

# Nobody listens at the next hop: messages stay in the queue to be read.
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	relay_domains => 'flush.test',
	minimal_backoff_time => '1000s' })->start;

# Post, expect success; the queue file. The id is in pickup's line.
my $seen = 0;
sub post
{
	my ($input, @words) = @_;
	my ($status, $output) = $mail->sendmail($input, @words);

	is($status, 0, "sendmail @words") or diag($output);
	my @ids;
	$seen++;
	wait_for(sub {
		@ids = $mail->log =~ /pickup\[\d+\]: (\w+): uid=/g;
		return @ids >= $seen;
	}, 10, 'the line in the log');
	is(scalar @ids, $seen, 'one message');
	return Postrider::QueueFile->find($mail, $ids[-1]);
}

sub refuse
{
	my ($expected, $re, $input, @words) = @_;
	my ($status, $output) = $mail->sendmail($input, @words);

	is($status, $expected, "sendmail @words: exit $expected");
	like($output, $re, 'and says why');
	is(() = $mail->log =~ /pickup\[\d+\]: \w+: uid=/g, $seen,
	    'and nothing was queued');
}

subtest 'a message with recipients on the command line' => sub {
	my $f = post("Subject: one\n\nHello\n", 'bob@far.test',
	    'Carol <carol@far.test>', 'dave@far.test, eve@far.test');
	is_deeply($f->{recipients}, [qw(bob@far.test carol@far.test
	    dave@far.test eve@far.test)]);
	is($f->{sender}, getpwuid($>) . '@local.test', 'the user is the sender');
	is($f->{origin}, 'pickup');
	like($f->{content}, qr/^Received: by mail\.local\.test \(Postrider, from userid $>\)\r\n\tid /);
	like($f->{content}, qr/\r\nSubject: one\r\n/);
	like($f->{content}, qr/\r\nDate: /);
	like($f->{content}, qr/\r\nMessage-ID: <\S+>\r\n/);
	like($f->{content}, qr/\r\nFrom: .*<?\Q$f->{sender}\E>?\r\n/);
	like($f->{content}, qr/\r\n\r\nHello\r\n\z/);
	unlike($f->{content}, qr/[^\r]\n/, 'only CRLF');
};

subtest 'sender and name' => sub {
	my $f = post("\nx\n", '-f', 'al@some.test', '-F', 'Al Pine',
	    'bob@far.test');
	is($f->{sender}, 'al@some.test');
	like($f->{content}, qr/\r\nFrom: "?Al Pine"? <al\@some\.test>\r\n/);
	is(post('', '-ral@some.test', 'bob@far.test')->{sender},
	    'al@some.test', '-r is -f');
	is(post('', '-f', 'al', 'bob@far.test')->{sender}, 'al@local.test',
	    'it is completed');
	is(post('', '-f', '<>', 'bob@far.test')->{sender}, '',
	    'the null sender');
	is(post('', '-f', '', 'bob@far.test')->{sender}, '',
	    'an empty one');
	is(post('', '-f', 'Al <al@some.test>', 'b@far.test')->{sender},
	    'al@some.test', 'as people write it');
};

subtest 'recipients from headers' => sub {
	my $f = post("To: a\@far.test,\n b\@far.test\nCc: C <c\@far.test>\n" .
	    "Bcc: secret\@far.test\nBCC:\n more\@far.test\nSubject: t\n\nx\n",
	    '-t');
	is_deeply($f->{recipients}, [map { "$_\@far.test" }
	    qw(a b c secret more)]);
	unlike($f->{content}, qr/secret|more|bcc/i, 'Bcc: is gone');
	$f = post("To: a\@far.test\n\n", '-t', 'z@far.test');
	is_deeply($f->{recipients}, [qw(z@far.test a@far.test)],
	    'together with those of the command line');
};

subtest 'dots' => sub {
	like(post("a: b\n\nx\n.\ny\n", 'b@far.test')->{content},
	    qr/\r\nx\r\n\z/, 'a lone dot ends the message');
	like(post("a: b\n\nx\n.\ny\n", $_, 'b@far.test')->{content},
	    qr/\r\nx\r\n\.\r\ny\r\n\z/, "not with $_") for qw(-i -oi);
	like(post("a: b\n\n..\n.x\n", 'b@far.test')->{content},
	    qr/\r\n\.\.\r\n\.x\r\n\z/, 'others stay');
};

subtest 'what programs pass and nobody needs' => sub {
	post("\nx\n", @$_, 'b@far.test')
	    for ['-oem'], ['-odb'], ['-oeq'], ['-om'], ['-bm'], ['-U'],
	    ['-v'], ['-n'], ['-m'], ['-x'], ['-Am'], ['-Ac'], ['-G'],
	    ['-h', '5'], ['-L', 'tag'], ['-p', 'x'], ['-X', '/dev/null'],
	    ['-OQueueDirectory=/x'], ['-oA/etc/aliases'], ['-e', 'm'],
	    ['-q1h'], ['-o7'], ['-o8'], ['-i', '--'];
};

subtest 'notifications and body types' => sub {
	my $f = post("\nx\n", '-N', 'success,delay', '-R', 'hdrs', '-V',
	    'ID7', '-B', '8BITMIME', 'b@far.test');
	is_deeply($f->{notify}, [2 | 8]);
	is($f->{return_what}, 'HDRS', '-R');
	is($f->{envelope_id}, 'ID7', '-V');
	is($f->{flags} & 2, 2, '8BITMIME');
	is(post("\nx\n", '-V', 'a+b = c', 'b@far.test')->{envelope_id},
	    'a+b = c', '-V takes any printable text');
	refuse(64, qr/-V.*too long/, '', '-V', 'x' x 101, 'b@far.test');
	refuse(64, qr/-V/, '', '-V', "caf\xc3\xa9", 'b@far.test');
	is(post("\n\xc3\xa4\n", 'b@far.test')->{flags} & 2, 2,
	    '8 bit content is noticed');
	refuse(64, qr/-N/, '', '-N', 'sometimes', 'b@far.test');
	refuse(64, qr/-R/, '', '-R', 'half', 'b@far.test');
	refuse(64, qr/-B/, '', '-B', '9BIT', 'b@far.test');
};

subtest 'VERP' => sub {
	is(post("\nx\n", '-XV', '-f', 'list@some.test', 'b@far.test')
	    ->{verp}, '+=', 'the default delimiters');
	is(post("\nx\n", '-XV-=', '-f', 'list@some.test', 'b@far.test')
	    ->{verp}, '-=', 'others');
	is(post("\nx\n", 'b@far.test')->{verp}, '', 'none');
	refuse(64, qr/-XV.*not allowed/, '', '-XV/%', 'b@far.test');
	refuse(64, qr/-XV.*two delimiter/, '', '-XV+', 'b@far.test');
	refuse(64, qr/-XV.*needs a sender/, '', '-XV', '-f', '',
	    'b@far.test');
};

subtest 'what is wrong has its exit code' => sub {
	refuse(64, qr/recipient names must be specified/, "\nx\n");
	refuse(64, qr/no recipient addresses found/, "Subject: x\n\n", '-t');
	refuse(64, qr/./, '', '-Z', 'b@far.test');
	refuse(64, qr/unknown mode/, '', '-bz', 'b@far.test');
	refuse(65, qr/recipient/, '', 'a b@c@d');
	refuse(65, qr/recipient/, '', 'a@b@c');
	refuse(65, qr/To/, "To: <a\@far.test\n\n", '-t');
	refuse(65, qr/sender/, '', '-f', 'a@b, c@d', 'b@far.test');
	my ($status) = $mail->run('', Postrider::bin() . '/sendmail', '-C',
	    '/nonexistent', 'b@far.test');
	is($status, 78, 'no configuration: 78');
	mkdir "$mail->{dir}/later";
	mkdir "$mail->{dir}/later/main.cf";
	($status) = $mail->run('', Postrider::bin() . '/sendmail', '-C',
	    "$mail->{dir}/later", 'b@far.test');
	is($status, 75, 'one that cannot be read now: 75');
};

subtest 'input that no header may come from' => sub {
	refuse(65, qr/./, '', "b\@far.test\nBcc: c\@far.test");
	refuse(65, qr/./, '', '-f', "a\@b.test\r\nX: y", 'b@far.test');
	refuse(65, qr/./, '', '-F', "A\nX-Injected: yes", 'b@far.test');
	refuse(64, qr/-V/, '', '-V', "A\nB", 'b@far.test');
};

subtest 'mailbox lines, empty input, no final newline' => sub {
	unlike(post("From al Sat Jan 1\nSubject: x\n\ny\n",
	    'b@far.test')->{content}, qr/From al/);
	like(post('', 'b@far.test')->{content}, qr/\r\n\r\n\z/);
	like(post("a: b\n\nx", 'b@far.test')->{content}, qr/\r\nx\r\n\z/);
	like(post("a: b\r\n\r\nx\r\n", 'b@far.test')->{content},
	    qr/\r\na: b\r\n.*\r\n\r\nx\r\n\z/s, 'CRLF stays CRLF');
	like(post("just text\nno header\n", 'b@far.test')->{content},
	    qr/\r\n\r\njust text\r\nno header\r\n\z/);
};

subtest 'a message of some megabytes' => sub {
	my $line = 'x' x 70 . "\n";
	my $f = post("Subject: big\n\n" . $line x 60000, 'b@far.test');
	(my $body = $f->{content}) =~ s/^.*?\r\n\r\n//s;
	is(length $body, 60000 * 72);
};

subtest 'a message above message_size_limit' => sub {
	refuse(69, qr/message_size_limit/,
	    "Subject: big\n\n" . ('x' x 99 . "\n") x 110000, 'b@far.test');
};

subtest 'more recipients than a packet holds' => sub {
	my $to = join ",\n ", map { "user$_\@far.test" } 1 .. 20000;
	my ($status, $output) = $mail->sendmail("To: $to\n\nx\n", '-t');
	is($status, 0) or diag($output);
	wait_for(sub { (() = $mail->log =~ /pickup\[\d+\]: \w+: uid=/g)
	    == $seen + 1 }, 30, 'the message');
	$seen++;
	my ($id) = $mail->log =~ /.*pickup\[\d+\]: (\w+): uid=/s;
	my $f = Postrider::QueueFile->find($mail, $id);
	is(scalar @{ $f->{recipients} }, 20000);
	is($f->{recipients}[19999], 'user20000@far.test');
};

subtest 'SMTP on standard input' => sub {
	my $input = join "\r\n", 'EHLO me', 'MAIL FROM:<al@some.test>',
	    'RCPT TO:<b@far.test>', 'RCPT TO:<c@far.test>', 'DATA',
	    'Subject: bs', '', '..dot', 'text', '.', 'RCPT TO:<x@far.test>',
	    'MAIL FROM:<>', 'DATA', 'RSET', 'VRFY x', 'HELP', 'NOOP', 'QUIT',
	    '';
	my ($status, $output) = $mail->sendmail($input, '-bs');
	is($status, 0);
	$seen++;
	my @codes = $output =~ /^(\d+) /mg;
	is("@codes", '220 250 250 250 250 354 250 503 250 503 250 252 500 ' .
	    '250 221');
	my ($id) = $output =~ /250 2\.0\.0 Ok: queued as (\w+)\r$/m;
	$mail->wait_log(qr/pickup\[\d+\]: $id: uid=/);
	my $f = Postrider::QueueFile->find($mail, $id);
	is($f->{sender}, 'al@some.test');
	is_deeply($f->{recipients}, [qw(b@far.test c@far.test)]);
	like($f->{content}, qr/\r\n\r\n\.dot\r\ntext\r\n\z/);

	($status, $output) = $mail->sendmail(join("\r\n", 'EHLO me',
	    'MAIL FROM:<al@some.test> RET=FULL ENVID=E+2B1',
	    'RCPT TO:<b@far.test> NOTIFY=NEVER ORCPT=rfc822;o@x.test',
	    'RCPT TO:<c@far.test> NOTIFY=MAYBE', 'RCPT TO:<c@far.test>',
	    'DATA', 'Subject: dsn', '', 'x', '.', 'QUIT', ''), '-bs');
	$seen++;
	like($output, qr/^250-DSN\r$/m, 'DSN is offered');
	like($output, qr/^501 5\.5\.4 .*NOTIFY is/m, 'bad words are refused');
	($id) = $output =~ /250 2\.0\.0 Ok: queued as (\w+)\r$/m;
	$f = Postrider::QueueFile->find($mail, $id);
	is("$f->{return_what} $f->{envelope_id}", 'FULL E+1');
	is_deeply($f->{notify}, [1, 0]);
	is_deeply($f->{orcpts}, ['rfc822;o@x.test', '']);

	($status, $output) = $mail->sendmail("MAIL FROM:<a\@b.test>\r\n" .
	    "RCPT TO:<c\@far.test>\r\nDATA\r\nSubject: cut\r\n\r\nx\r\n",
	    '-bs');
	is(() = $mail->log =~ /pickup\[\d+\]: \w+: uid=/g, $seen,
	    'a message without its final dot is not posted');
};

subtest 'wherever we are, whoever we are' => sub {
	my $f;
	{
		my $here = Cwd::getcwd();
		chdir '/' or die;
		$f = post("\nfrom the root\n", 'b@far.test');
		chdir $here or die;
	}
	like($f->{content}, qr/from the root/);
	SKIP: {
		skip 'only root can become others', 2 unless Postrider::is_root();
		my $user = $mail->user;
		my ($status, $output) = $mail->run("\nx\n", 'runuser', '-u',
		    $user, '--', Postrider::bin() . '/sendmail', '-C',
		    $mail->etc, 'b@far.test');
		is($status, 0) or diag($output);
		$seen++;
		$mail->wait_log(qr/uid=\Q@{[ scalar getpwnam $user ]}\E from=<\Q$user\E>/);
	}
};

subtest '-q tries again' => sub {
	post("\nx\n", 'b@flush.test');
	my ($id) = $mail->log =~ /.*pickup\[\d+\]: (\w+): uid=/s;
	my $tries = 0;
	for my $word (undef, '-q', "-qI$id", '-qRflush.test') {
		if (defined $word) {
			my ($status, $output) = $mail->sendmail('', $word);
			is($status, 0, "sendmail $word") or diag($output);
		}
		$tries++;
		wait_for(sub { (() = $mail->log =~
		    /\b$id: to=\S+ .*status=deferred/g) >= $tries }, 10,
		    "try $tries");
		wait_for(sub { $mail->queue_count('incoming') == 0 }, 10,
		    'an empty incoming/');
	}
	my ($status, $output) = $mail->sendmail('', '-qSsomebody');
	is($status, 69, '-qS is not there');
	like($output, qr/-qSsomebody: not available/, 'and says so');
};

subtest 'closed descriptors do no harm' => sub {
	my $sendmail = Postrider::bin() . "/sendmail -C @{[ $mail->etc ]}";
	my ($status, $output) = $mail->run('', 'sh', '-c',
	    "$sendmail b\@far.test <&- >&- 2>&-");
	is($status, 0);
	$seen++;
};

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
done_testing;
