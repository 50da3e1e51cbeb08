# envelope.t - what our sendmail queues beside what Debian's Postfix makes of
# the same call: sender, recipients, notifications, body type, VERP, and the
# headers that are added.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Postrider qw(slurp spew wait_for);
use Postrider::Postfix;
use Postrider::QueueFile;
use Test::More;

# A port that nobody listens at, and nobody else can take.
my $shut = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
    or die "socket: $!";
my %same = (myorigin => 'local.test', mydestination => 'local.test',
    relayhost => '[127.0.0.1]:' . $shut->sockport,
    append_dot_mydomain => 'no', recipient_delimiter => '+',
    minimal_backoff_time => '1000s', enable_long_queue_ids => 'yes');
my $postfix = Postrider::Postfix->new(settings => { %same,
    in_flow_delay => '0s', local_recipient_maps => '' })
    or plan skip_all => 'no Postfix to compare with: ' .
	Postrider::Postfix::why();
my $mail = Postrider->new(settings => { %same,
    defer_transports => 'smtp local relay', local_recipient_maps => '' });
# Without a queue manager what is queued stays as it was queued; something
# else hears that it is there.
my $master = $postfix->dir . '/etc/master.cf';
spew($master, slurp($master) =~ s/^(qmgr .*)qmgr$/$1error/mr);
$postfix->start;
$mail->start;

my $text = "Subject: one\n\nHello.\n";
my $full = "From: Al <al\@one.test>\nTo: x\@far.test\nSubject: two\n" .
    "Date: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <1\@one.test>\n\n" .
    "Hello.\n";

# Name, input, words; a hash in front of the input is for the environment.
my @calls = (
	['one recipient', $text, 'bob@far.test'],
	['three', $text, 'bob@far.test', 'carol@far.test', 'dave'],
	['a list', $text, 'bob@far.test, carol@far.test'],
	['a list with blanks', $text, 'bob carol dave@far.test'],
	['a name', $text, 'Bob B <bob@far.test>'],
	['a quoted name', $text, '"B, Bob" <bob@far.test>'],
	['a comment', $text, 'bob@far.test (Bob)'],
	['a group', $text, 'friends: bob@far.test, carol;'],
	['a quoted local part', $text, '"bob b"@far.test'],
	['the same twice', $text, 'bob@far.test', 'bob@far.test'],
	['a user with an extension', $text, 'bob+ext'],
	['a domain in capitals', $text, 'Bob@FAR.Test'],
	['a host without a dot', $text, 'bob@far'],
	['-f', $text, '-f', 'al@one.test', 'bob@far.test'],
	['-f at once', $text, '-fal@one.test', 'bob@far.test'],
	['-f without a domain', $text, '-f', 'al', 'bob@far.test'],
	['-f empty', $text, '-f', '', 'bob@far.test'],
	['-f <>', $text, '-f', '<>', 'bob@far.test'],
	['-f with a name', $text, '-f', 'Al <al@one.test>', 'bob@far.test'],
	['-r', $text, '-r', 'al@one.test', 'bob@far.test'],
	['-F', $text, '-F', 'Al Pine', 'bob@far.test'],
	['-F and -f', $text, '-F', 'Al P. Pine', '-f', 'al@one.test',
	    'bob@far.test'],
	['-F empty', $text, '-F', '', 'bob@far.test'],
	['-F with eight bits', $text, '-F', "Ren\xc3\xa9", 'bob@far.test'],
	['NAME', { NAME => 'Al by name' }, $text, 'bob@far.test'],
	['-t', "To: a\@far.test,\n b\@far.test\nCc: C <c\@far.test>\n" .
	    "Bcc: d\@far.test\n$text", '-t'],
	['-t with a word', "To: a\@far.test\n$text", '-t', 'z@far.test'],
	['-t, only Bcc:', "Bcc: d\@far.test\n$text", '-t'],
	['-t, Resent-', "To: a\@far.test\nResent-To: r\@far.test\n" .
	    "Resent-Bcc: s\@far.test\n$text", '-t'],
	['-t and a group', "To: undisclosed-recipients:;\n" .
	    "Bcc: d\@far.test\n$text", '-t'],
	['-t with a folded name', "To: \"A, a\"\n <a\@far.test>\n$text", '-t'],
	['-t with blanks', "To: a b\n$text", '-t'],
	['a complete header', $full, 'bob@far.test'],
	['a complete header with -F', $full, '-F', 'Other', 'bob@far.test'],
	['a From without an address', "From: al\n$text", 'bob@far.test'],
	['-i', "Subject: x\n\nx\n.\ny\n", '-i', 'bob@far.test'],
	['a dot', "Subject: x\n\nx\n.\ny\n", 'bob@far.test'],
	['a mailbox line', "From al Sat Jan 1\n$text", 'bob@far.test'],
	['no header', "just text\n", 'bob@far.test'],
	['nothing', '', 'bob@far.test'],
	['-N success', $text, '-N', 'success', 'bob@far.test'],
	['-N success,delay', $text, '-N', 'success,delay', 'bob@far.test'],
	['-N SUCCESS,FAILURE,DELAY', $text, '-N', 'SUCCESS,FAILURE,DELAY',
	    'bob@far.test', 'carol@far.test'],
	['-N never', $text, '-N', 'never', 'bob@far.test'],
	['-R hdrs', $text, '-R', 'hdrs', 'bob@far.test'],
	['-R FULL', $text, '-R', 'FULL', 'bob@far.test'],
	['-V', $text, '-V', 'ID-7.x', 'bob@far.test'],
	['-B 8BITMIME', $text, '-B', '8BITMIME', 'bob@far.test'],
	['-B 7BIT', $text, '-B', '7BIT', 'bob@far.test'],
	['-B8bitmime', $text, '-B8bitmime', 'bob@far.test'],
	['eight bits', "Subject: x\n\n\xc3\xa4\n", 'bob@far.test'],
	['-XV', $text, '-XV', '-f', 'list@one.test', 'bob@far.test'],
	['-XV-=', $text, '-XV-=', '-f', 'list@one.test', 'bob@far.test'],
	['-G', "To: bob\n$text", '-G', 'bob@far.test'],
	['-v', $text, '-v', 'bob@far.test'],
	['a row of history', $text, '-oem', '-odb', '-oi', '-om', '-U', '-m',
	    '-x', '-Am', '-h', '5', '-L', 'tag', '-p', 'x', '-OQueueDirectory=/x',
	    '-oA/x', '-e', 'm', '-c', '-o7', 'bob@far.test'],
	['-X and a file', $text, '-X', '/dev/null', 'bob@far.test'],
	['-n', $text, '-n', 'bob@far.test'],
	['--', $text, '--', '-bob@far.test'],
	['many letters', $text, '-ioem', 'bob@far.test'],
	['two @', $text, 'a@b@far.test'],
	['-f with two words', $text, '-f', 'a b', 'bob@far.test'],
	['-f with two addresses', $text, '-f', 'a@b.test, c@d.test',
	    'bob@far.test'],
	['-N with a strange word', $text, '-N', 'sometimes', 'bob@far.test'],
	['-R with a strange word', $text, '-R', 'half', 'bob@far.test'],
	['-f behind a recipient', $text, 'bob@far.test', '-f', 'al@one.test'],
	['two lines', $text, "bob\@far.test\r\ncarol\@far.test"],
	['no recipient', $text],
	['no recipient in the header', $text, '-t'],
	['-B and a strange word', $text, '-B', 'BINARY', 'bob@far.test'],
	['-XV without a sender', $text, '-XV', '-f', '', 'bob@far.test'],
	['-bz', $text, '-bz', 'bob@far.test'],
	['-bs and a recipient', $text, '-bs', 'bob@far.test'],
	['-bv and -t', $text, '-bv', '-t'],
	['-ti', "To: a\@far.test\n\nx\n.\ny\n", '-ti'],
);

# One message at a time: the id that pickup tells.
my %seen;
sub id_of
{
	my ($system) = @_;
	my @ids;

	$seen{$system} //= 0;
	wait_for(sub {
		@ids = $system->log =~ /pickup\[\d+\]: (\w+): uid=/g;
		return @ids > $seen{$system};
	}, 10, 'a line of pickup: ' . $system->log);
	$seen{$system} = @ids;
	return $ids[-1];
}

# The fields of a header that are of interest.
sub headers
{
	my ($head) = @_;
	my %h;

	$head =~ s/\n[ \t]+/ /g;
	for my $name (qw(From To Cc Bcc Resent-From Resent-To Resent-Bcc)) {
		my @all = $head =~ /^$name: *(.*)$/mg;
		$h{$name} = join '|', @all if @all;
	}
	for my $name (qw(Date Message-Id Resent-Date Resent-Message-Id)) {
		$h{$name} = () = $head =~ /^$name:/mgi;
	}
	$h{Date} .= ' given' if $head =~ /^Date: Sun, 22 Nov 2026 10:00:00/m;
	return \%h;
}

sub ours
{
	my ($input, @words) = @_;
	my ($status, $output) = $mail->sendmail($input, @words);

	return { refused => 1 } if $status != 0;
	my $f = Postrider::QueueFile->find($mail, id_of($mail));
	my ($head, $body) = split /\r\n\r\n/, $f->{content}, 2;
	return { sender => $f->{sender}, envelope_id => $f->{envelope_id},
	    full_name => $f->{full_name},
	    return_what => $f->{return_what}, verp => $f->{verp},
	    is_8bit => $f->{flags} & 2 ? 1 : 0,
	    recipients => [ map { join ' ', $f->{recipients}[$_],
	    'notify=' . $f->{notify}[$_] } 0 .. $#{ $f->{recipients} } ],
	    header => headers($head =~ s/\r\n/\n/gr),
	    body => ($body // '') =~ s/\r\n/\n/gr };
}

# postcat shows an attribute as "named_attribute: name=value", another record
# as "name: value".
sub theirs
{
	my ($input, @words) = @_;
	my ($status, $output) = $postfix->sendmail($input, 'sendmail', @words);

	return { refused => 1 } if $status != 0;
	my $id = id_of($postfix);
	my $cat = '';
	wait_for(sub {
		$cat = ($postfix->run('postcat', '-q', $id))[1];
		return $cat =~ /\n\*\*\* MESSAGE FILE END/;
	}, 10, 'the file');
	my ($envelope, $content, $more) = $cat =~ /\A
	    (.*?) ^\*{3}\ MESSAGE\ CONTENTS .*?\n
	    (.*?) ^\*{3}\ HEADER\ EXTRACTED .*?\n (.*) \z/msx or die $cat;
	$envelope .= $more;
	my ($head, $body) = split /\n\n/, $content, 2;
	my %notify = (NEVER => 1, SUCCESS => 2, FAILURE => 4, DELAY => 8);
	my (@to, $flags);
	for (split /\n/, $envelope) {
		$flags = $1 if /^named_attribute: notify_flags=(\d+)/;
		push @to, "$1 notify=" . ($flags // 0) if /^recipient: (.*)/;
		undef $flags if /^recipient: /;
	}
	my $value = sub { $envelope =~ /^$_[0](.*)$/m ? "$1" : '' };
	return { sender => $value->('sender: '),
	    full_name => $value->('sender_fullname: '),
	    envelope_id => $value->('named_attribute: envelope_id='),
	    return_what => ('', 'FULL', 'HDRS')[
	    $value->('named_attribute: ret_flags=') || 0],
	    verp => $value->('verp_delimiters: '),
	    is_8bit => $value->('named_attribute: encoding=') eq '8bit' ? 1 : 0,
	    recipients => \@to, header => headers($head), body => $body // '' };
}

# What is not the same on purpose: the fields as ours has them, and why.
my %differences = (
	'a quoted local part' => ['the queue has addresses as SMTP has them',
	    { recipients => ['"bob b"@far.test notify=0'] }],
	'-f empty' => ['the name of who calls stays, and the address has a ' .
	    'domain', { From => 'root <MAILER-DAEMON@local.test>' }],
	'-f <>' => ['the same',
	    { From => 'root <MAILER-DAEMON@local.test>' }],
	'-F with eight bits' => ['a header is ASCII (RFC 2047)',
	    { From => '=?utf-8?B?UmVuw6k=?= <root@local.test>' }],
	'-t with blanks' => ['a header that is no list of addresses is not ' .
	    'made one', { To => 'a b' }],
	'-B8bitmime' => ['case is of no importance',
	    { is_8bit => 1 }],
	'eight bits' => ['that it has eight bits is noticed, so that nobody ' .
	    'gets it who cannot take it', { is_8bit => 1 }],
	'-X and a file' => ['programs pass it: there is no such log', {}],
	'-n' => ['sendmail takes it, and its manual says so', {}],
	'two @' => ['no address', undef],
	'-f with two words' => ['no address: who would get the report?',
	    undef],
	'-f with two addresses' => ['which?', undef],
	'-N with a strange word' => ['the sender would wait for a report ' .
	    'that never comes', undef],
	'-R with a strange word' => ['the same', undef],
	'-f behind a recipient' => ['its value would be a recipient, who ' .
	    'gets mail that is not for him', undef],
	'two lines' => ['a line end in an address is an attack', undef],
);

# Ours with these fields: of the header, or of the envelope.
sub with
{
	my ($of, $fields) = @_;
	my $base = $of->{refused} ? { sender => 'root@local.test',
	    full_name => 'root', envelope_id => '', return_what => '',
	    verp => '', is_8bit => 0,
	    recipients => ['bob@far.test notify=0'], body => "Hello.\n",
	    header => { From => 'root <root@local.test>', Date => 1,
	    'Message-Id' => 1, 'Resent-Date' => 0, 'Resent-Message-Id' => 0 }
	} : { %$of, header => { %{ $of->{header} } } };

	for my $name (keys %$fields) {
		my $place = $name =~ /^[A-Z]/ ? $base->{header} : $base;
		$place->{$name} = $fields->{$name};
	}
	return $base;
}

for my $call (@calls) {
	my ($name, @words) = @$call;
	local %ENV = (%ENV, %{ ref $words[0] ? shift @words : {} });
	my ($input, @rest) = @words;
	my ($their, $our) = (theirs($input, @rest), ours($input, @rest));
	my $difference = delete $differences{$name};
	my $expected = $their;

	if (defined $difference) {
		my ($why, $fields) = @$difference;
		$expected = defined $fields ? with($their, $fields) :
		    { refused => 1 };
		$name .= " (not the same: $why)";
		isnt(join("", explain $their), join("", explain $expected),
		    "$name: it is so");
	}
	is_deeply($our, $expected, $name) or diag explain $our;
}
is(join(', ', keys %differences), '', 'no other difference is listed');
is_deeply([ $mail->complaints ], [], 'nothing crashed');
done_testing;
