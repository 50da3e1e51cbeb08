# injection.t - what strangers say, on its way into queue files, reports and
# lists that programs read: it stays one value in its place.
use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use Postrider qw(slurp spew wait_for);
use Postrider::Fixture;
use Test::More;

my $sut = Postrider::Fixture->new(remote => { is_noting => 1 }, settings => {
	notify_classes => '', smtp_mail_timeout => '2s',
	smtp_rcpt_timeout => '3s' });
my $canary = $sut->dir . '/canary';
my $type = "type: mda\nmda-exec: touch $canary\n";
my @replies = (
	\"553-\r\n553\r\n\n$type\r\n", \"553 \n$type\r\n", \"553\r\n",
	\("553-" . 'x' x 900 . "\r\n553 " . 'y' x 900 . "\r\n"),
	join("\r\n", (map { "553-" . 'z' x 990 } 1 .. 100), '553 end'),
	\"553 a\rb\n$type\r\n", \"553 5.1.1 \"; touch $canary; \$(touch $canary)\r\n",
	\"553 5.1.1 a\x00b\x1b[2J\x07\x7f\r\n", \"553 5.1.1 {\"a\": \"b\", \\u000a\r\n",
	\"553 5.1.1 \\n*** RECIPIENT 2 ***\\nsender: x\r\n",
	\"553 5.1.1 \xff\xfe\xc3\r\n", \"553 \r\n", \"553\t\r\n",
	\"553-a\r\n\r\n--boundary--\r\n553 b\r\n", \"453\n$type\r\n",
	\"453-\r\n453\r\n",
);
my $nasty = $sut->sink(replies => sub {
	my ($verb, $line) = @_;
	return undef unless $verb eq 'RCPT' && $line =~ /<r(\d+)\@/;
	return $replies[$1];
});
{
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "nasty.test smtp:[127.0.0.1]:%d\n", $nasty->port;
}
$sut->start;

sub post
{
	my ($to, %o) = @_;
	my $c = $sut->friend;

	$c->command("MAIL FROM:<$o{from}>" . ($o{mail} // ''), 250);
	$c->command("RCPT TO:<$_>" . ($o{rcpt} // ''), 250)
	    for ref $to ? @$to : $to;
	$c->command('DATA', 354);
	my $reply = $c->data($o{text} // "Subject: x\n\nx\n");
	$c->command('QUIT', 221);
	return ($reply =~ /queued as (\w+)/)[0];
}

# The queue as JSON; a sanitizer has a line of its own to say.
sub listed
{
	my ($status, $text) = $sut->postrider('queue', 'list', '-j');

	return map { eval { JSON::PP::decode_json($_) } // 'broken' }
	    grep { !/^==\d+==WARNING: ASan/ } split /\n/, $text;
}

# A file of the queue in words; the lines about its envelope.
sub words_of
{
	my ($id) = @_;
	my ($status, $text) = $sut->postrider('queue', 'cat', '-e', $id);

	is($status, 0, 'the file can be read') or diag $text;
	return grep { length && !/^==\d+==WARNING: ASan/ } split /\n/, $text;
}

# --- INJ-02 -------------------------------------------------------------------

{
	my %id = map { ($_ => post("r$_\@nasty.test",
	    from => "keeper$_\@remote.test", text => "Subject: n$_\n\nx\n")) }
	    0 .. $#replies;
	my @kept;
	for my $n (sort { $a <=> $b } keys %id) {
		my $line = $sut->wait_log(
		    qr/ $id{$n}: to=<r$n\@nasty.*status=.*\n/, 20);
		like($line, qr/\A[ -~]{1,2048}\n\z/,
		    "INJ-02 reply $n is one line of the log");
		like($line, qr/status=(?:bounced|deferred) \(.+\n\z/,
		    "INJ-02 reply $n has a reason");
		push @kept, $n if $line =~ /status=deferred/;
	}
	cmp_ok(scalar @kept, '>=', 2, 'INJ-02 some wait in the queue');
	$sut->settle(20);
	my @rows = listed();
	is(scalar(grep { !ref } @rows), 0, 'INJ-02 JSON is JSON');
	is(scalar @rows, scalar @kept, 'INJ-02 one row a message');
	for my $row (grep { ref } @rows) {
		my @recipients = @{ $row->{recipients} };
		is(scalar @recipients, 1, 'INJ-02 one recipient');
		like($recipients[0]{delay_reason}, qr/\A[ -~]{1,2048}\z/,
		    'INJ-02 one reason that can be read');
		ok(!grep({ /^(?:type|mda)/ } keys %$row,
		    keys %{ $recipients[0] }), 'INJ-02 no fields of his');
	}
	for my $n (@kept) {
		my @words = words_of($id{$n});
		is(scalar(grep { /^\s*(?:type:|mda-exec:)/ } @words), 0,
		    "INJ-02 nor in the queue file ($n)");
	}
	my ($status, $text) = $sut->postrider('queue', 'list');
	is(scalar(grep { /^(?:type:|mda-exec:)/ } split /\n/, $text), 0,
	    'INJ-02 nor in the list for people');
	($status, $text) = $sut->postrider('queue', 'check');
	is($status, 0, 'INJ-02 the queue is sound') or diag $text;
	$sut->crash;
	$sut->start;
	wait_for(sub { my @rows = listed(); @rows == @kept }, 15, 'the queue after a crash');
	pass('INJ-02 and can be read again');
	is($sut->queue_count('corrupt'), 0, 'INJ-02 nothing is corrupt');
	ok(!-e $canary, 'INJ-02 nothing was run');
}

# --- INJ-12: the reports of all those -------------------------------------------

# The parts of a report, by a reader of headers and MIME that is not ours.
sub parse
{
	my ($data) = @_;
	my ($status, $text) = $sut->run($data, 'python3', '-c', <<'END');
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
def fields(p):
    return [[k, str(v)] for k, v in p.items()]
parts = list(m.iter_parts()) if m.is_multipart() else []
status = parts[1] if len(parts) > 1 else None
print(json.dumps({
    "type": m.get_content_type(), "report": m.get_param("report-type"),
    "fields": fields(m), "boundary": m.get_boundary(),
    "types": [p.get_content_type() for p in parts],
    "defects": [str(d) for p in m.walk() for d in p.defects],
    "status": [fields(b) for b in status.get_payload()] if status else [],
    "human": parts[0].get_content() if parts else "",
    "subject": [str(q.get("Subject")) for p in parts[2:] for q in p.walk()
        if q.get("Subject")]}))
END
	return $status == 0 ? JSON::PP::decode_json($text) : { error => $text };
}

sub check_report
{
	my ($name, $data) = @_;
	my $r = parse($data);

	is($r->{error}, undef, "INJ-12 $name: can be parsed") and return $r
	    if $r->{error};
	is("$r->{type} $r->{report}", 'multipart/report delivery-status',
	    "INJ-12 $name: is a report");
	is(join(' ', @{ $r->{types} }[0, 1]), 'text/plain ' .
	    'message/delivery-status', "INJ-12 $name: with its two parts");
	is(scalar @{ $r->{types} }, 3, "INJ-12 $name: and one returned");
	is("@{ $r->{defects} }", '', "INJ-12 $name: without defects");
	is(scalar @{ $r->{status} }, 2, "INJ-12 $name: of one recipient");
	my @names = map { $_->[0] } @{ $r->{status}[0] };
	is(join(' ', grep { !/^(?:Reporting-MTA|X-Postrider-\w+(?:-\w+)*|Arrival-Date|Original-Envelope-Id|Received-From-MTA)$/ }
	    @names), '', "INJ-12 $name: fields of the message");
	@names = map { $_->[0] } @{ $r->{status}[1] };
	is(join(' ', grep { !/^(?:Final-Recipient|Original-Recipient|Action|Status|Remote-MTA|Diagnostic-Code|Last-Attempt-Date|Final-Log-ID|Will-Retry-Until)$/ }
	    @names), '', "INJ-12 $name: fields of the recipient");
	my %seen;
	is(scalar(grep { $seen{$_}++ } @names), 0,
	    "INJ-12 $name: each of them once");
	unlike($data =~ s/\r\n//gr, qr/[\x00-\x08\x0a-\x1f\x7f]/,
	    "INJ-12 $name: without control bytes");
	like($r->{boundary}, qr/\A(?=.*[A-Za-z0-9])[-A-Za-z0-9_=.\/+']{16,70}\z/,
	    "INJ-12 $name: a boundary nobody could guess");
	is(scalar(() = $data =~ /^--\Q$r->{boundary}\E(?:--)?\r$/mg), 4,
	    "INJ-12 $name: which stands in no part");
	return $r;
}
{
	my $log = $sut->log;
	my @reports = grep { $_->{rcpt}[0] =~ /^keeper/ } $sut->remote->messages;
	is(scalar @reports, (() = $log =~ /status=bounced/g),
	    'INJ-12 a report of each');
	my %boundary;
	for my $m (@reports) {
		my $r = check_report($m->{rcpt}[0], $m->{data});
		$boundary{ $r->{boundary} // '' }++;
	}
	is(scalar(grep { $_ > 1 } values %boundary), 0,
	    'INJ-12 each has a boundary of its own');
	# A message that guesses: the subject is a boundary, the text has all
	# that were there before.
	my ($guess) = sort keys %boundary;
	for my $case (['guess', "Subject: $guess\nFrom: \"a\\\"\\\\\" <x\@y.test>" .
	    "\n\n--$guess--\n--$guess\n" . join('', map { "--$_--\n" }
	    keys %boundary)],
	    ['quoted', "Subject: q\nFrom: \"\\\"; boundary=x\" <a\@b.test>\n" .
	    "MIME-Version: 1.0\nContent-Type: multipart/report; " .
	    "report-type=delivery-status; boundary=x\n\n--x\nContent-Type: " .
	    "message/delivery-status\n\nFinal-Recipient: rfc822; a\n--x--\n"],
	    ['none', "no header at all\n\n--x--\n"],
	    ['eight', "Subject: caf\xc3\xa9\n\ncaf\xe9\xff\n"]) {
		my ($name, $text) = @$case;
		post('r11@nasty.test', from => "$name\@remote.test",
		    text => $text, mail => ' RET=FULL ENVID=a+20b+3Bc');
		my ($m) = wait_for(sub { my @m = grep { $_->{rcpt}[0] eq
		    "$name\@remote.test" } $sut->remote->messages;
		    return @m ? $m[0] : undef }, 20, "a report on $name");
		my $r = check_report($name, $m->{data});
		is((map { $_->[1] } grep { $_->[0] eq 'Original-Envelope-Id' }
		    @{ $r->{status}[0] })[0], 'a b;c',
		    "INJ-12 $name: with the envelope's id");
		ok(!$boundary{ $r->{boundary} }++,
		    "INJ-12 $name: and a new boundary");
	}
}

# --- INJ-03 -------------------------------------------------------------------

{
	my $c = $sut->stranger;
	for my $bad ('AUTH=a+0Aacl_c 0', 'ENVID=+0A', 'ENVID=a+0D+0Ab',
	    'ENVID=+00', 'AUTH=<a+0Ab>', "ENVID=a\nb", "ENVID=a\rb",
	    'RET=HDRS+0A', 'ENVID=+7F', 'ENVID=+80') {
		my $said = $c->command("MAIL FROM:<a\@b.test> $bad");
		like($said, qr/^(?:500|501|503|555) /, 'INJ-03 MAIL ' .
		    $bad =~ s/[^ -~]/?/gr) or $c->command('RSET');
	}
	$c->command('RSET', 250);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	for my $bad ('ORCPT=rfc822;x+0A', 'ORCPT=rfc822;x+0D+0Ay',
	    'ORCPT=rfc822;+00', "ORCPT=rfc822;a\rb",
	    'NOTIFY=SUCCESS+0A', 'ORCPT=utf-8;a\x{0A}b') {
		like($c->command("RCPT TO:<alice\@local.test> $bad"),
		    qr/^(?:500|501|555) /, 'INJ-03 RCPT ' .
		    $bad =~ s/[^ -~]/?/gr);
	}
	# The words of a file do not depend on what they say.
	my @ids = map { post('r15@nasty.test', from => 's@remote.test',
	    mail => " ENVID=$_->[0]", rcpt => " ORCPT=rfc822;$_->[1]") }
	    ['plain', 'plain@a.test'], ['a+20b+3Dc', 'x+20y+3D@a.test'],
	    ['recipient:+20x+7C', '+22x+22+20+5Cn@a.test'],
	    ['+2A+2A+2A+20end', 'sender:+20x@a.test'];
	$sut->settle(20);
	my @shape;
	for my $id (@ids) {
		my @words = words_of($id);
		push @shape, join ' ', map { /^\s*([\w-]+)/ ? $1 : '?' } @words;
		ok(!grep({ /[^\t -~]/ } @words), "INJ-03 $id: text");
	}
	is($shape[$_], $shape[0], "INJ-03 file $_ has the records of the first")
	    for 1 .. $#shape;
	is(scalar(grep { !ref } listed()), 0, 'INJ-03 and JSON is JSON');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
