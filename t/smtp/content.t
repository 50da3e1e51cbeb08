# content.t - the message as one host gets it: eight bits in seven, addresses
# and fields as the tables want them, no line too long.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	minimal_backoff_time => '1000s', notify_classes => '',
});
my $eight = $mail->sink;
my $seven = $mail->sink(extensions => ['SIZE 0', 'PIPELINING']);
my $grumpy = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? '550 5.1.1 who is that' : undef;
});
my $lmtp = $mail->sink(lmtp => 1);
my @routes = (
	'{ eight.test = smtp:[127.0.0.1]:' . $eight->port . ' }',
	'{ seven.test = smtp:[127.0.0.1]:' . $seven->port . ' }',
	'{ grumpy.test = smtp:[127.0.0.1]:' . $grumpy->port . ' }',
	'{ lmtp.test = lmtp:inet:[127.0.0.1]:' . $lmtp->port . ' }',
);
$mail->set(transport_maps => 'inline:{ ' . join(', ', @routes) . ' }');
$mail->{master} .= "lmtp unix - - n - 10 lmtp\n"
    unless $mail->{master} =~ /^lmtp /m;
$mail->write_config;
$mail->start;

# Send bytes; the queue id.
sub post
{
	my ($to, $text, %o) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command('MAIL FROM:<' . ($o{from} // '') . '>' .
	    ($o{body} // ''), 250);
	$c->command("RCPT TO:<$to>", 250);
	$c->command('DATA', 354);
	my $reply = $c->data($text);
	$c->command('QUIT', 221);
	$reply =~ /queued as (\w+)/ or die "not queued: $reply";
	return $1;
}

# Send and wait for what the sink got: the message.
sub passes
{
	my ($sink, $to, $text, %o) = @_;
	my $id = post($to, $text, %o);

	$mail->wait_log(qr/$id: to=<[^\n]*status=sent/, 20);
	my ($message) = grep { $_->{data} =~ /\b\Q$id\E\b/ } $sink->messages;
	$message->{id} = $id;
	# without what cleanup added
	$message->{own} = $message->{data} =~
	    s/\AReceived:.*\r\n(?:[ \t].*\r\n)*//r =~
	    s/^(?:Message-ID: |Date: |From: MAILER-DAEMON\@).*\r\n//mgr;
	return $message;
}

sub crlf { my ($text) = @_; return $text =~ s/\r?\n/\r\n/gr }

# Do both have the same parts, as Python's email package decodes them?
sub same_parts
{
	my ($sent, $got) = @_;
	my $dir = $mail->dir;

	Postrider::spew("$dir/sent", $sent);
	Postrider::spew("$dir/got", $got);
	Postrider::spew("$dir/same.py", <<'END');
import email, sys
def leaves(path):
    with open(path, 'rb') as f:
        raw = f.read()
    message = email.message_from_bytes(raw)
    parts = []
    for part in message.walk():
        if part.is_multipart():
            parts.append(part.get_content_type())
        else:
            data = part.get_payload(decode=True)
            parts.append((part.get_content_type(), data))
    return raw, parts
sent, parts = leaves(sys.argv[1])
got, decoded = leaves(sys.argv[2])
head, empty, body = got.partition(b'\r\n\r\n')
bad = [b for b in body if b > 127]
if parts != decoded:
    print('parts differ:', parts, decoded)
elif bad:
    print('bytes above 127:', bad[:10])
elif any(len(line) > 998 for line in got.split(b'\r\n')):
    print('a line is too long')
else:
    print('same')
END
	my $said = qx(python3 $dir/same.py $dir/sent $dir/got 2>&1);
	chomp $said;
	return $said;
}

# --- eight bits to seven ------------------------------------------------------

my $image = join '', map { chr } 0 .. 9, 11, 12, 14 .. 255;
my %texts = (
	plain => "Subject: x\nMIME-Version: 1.0\n" .
	    "Content-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: 8bit\n\nH\xc3\xa4 = ll o \n.\n..\n" .
	    "From me\n--\n-- \nlong " . "\xc3\xa4b " x 200 . "\n\n\n",
	bare => "Subject: no MIME\n\nH\xe4ll\xf6\n",
	binary => "MIME-Version: 1.0\nContent-Type: image/x-test\n" .
	    "Content-Transfer-Encoding: 8bit\n\n$image\n\n$image\n",
	tree => "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n" .
	    " boundary*0=\"a \"; boundary*1=b\n" .
	    "Content-Transfer-Encoding: 8bit\n\npre\xe4mble\n--a b\n\n7bit\n" .
	    "--a b\nContent-Type: text/html; charset=iso-8859-1\n" .
	    "Content-Transfer-Encoding: 8bit\n\n<p>\xe4</p>\n\n--a b\n" .
	    "Content-Type: application/x-any\n\n$image\n--a b\n" .
	    "Content-Type: message/rfc822\n" .
	    "Content-Transfer-Encoding: 8bit\n\nSubject: inner\n" .
	    "Content-Type: multipart/alternative; boundary=c\n\n--c\n\n" .
	    "in\xe4\n--c\nContent-Type: text/plain\n" .
	    "Content-Transfer-Encoding: base64\n\n5A==\n--c--\n" .
	    "--a b--\nepilogue \xe4\n",
);
for my $name (sort keys %texts) {
	my $text = $texts{$name};
	my $m = passes($eight, "$name\@eight.test", $text,
	    body => ' BODY=8BITMIME');
	is($m->{own}, crlf($text), "$name: 8BITMIME takes it as it is");
	like($m->{mail}, qr/ BODY=8BITMIME/, "$name: and is told so");
	$m = passes($seven, "$name\@seven.test", $text,
	    body => ' BODY=8BITMIME');
	is(same_parts(crlf($text), $m->{own}), 'same',
	    "$name: without 8BITMIME the same comes in seven bits");
	unlike($m->{mail}, qr/BODY/, "$name: without BODY=");
	my ($size) = $m->{mail} =~ /SIZE=(\d+)/;
	cmp_ok($size, '>=', length($m->{data}), "$name: SIZE is enough");
	cmp_ok($size, '<', 4 * length($m->{data}) + 1000,
	    "$name: and not absurd");
}
my $undeclared = passes($seven, 'u@seven.test', $texts{bare});
is(same_parts(crlf($texts{bare}), $undeclared->{own}), 'same',
    'eight bits that nobody declared are converted too');
my $wide = "Subject: x\n\n" . "\xc3\xa4-- " x 1000 . "\n";
is(same_parts(crlf($wide), passes($seven, 'w@seven.test', $wide)->{own}),
    'same', 'a long line is not broken, but encoded');

my $signed = "MIME-Version: 1.0\n" .
    "Content-Type: multipart/signed; boundary=s\n\n--s\n" .
    "Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n%s\n" .
    "--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n";
my $harmless = sprintf $signed, 'seven';
is(passes($seven, 's@seven.test', $harmless,
    body => ' BODY=8BITMIME')->{own}, crlf($harmless),
    'a signed message of seven bits is not touched');
my $id = post('s@seven.test', sprintf($signed, "\xe4"),
    body => ' BODY=8BITMIME');
like($mail->wait_log(qr/$id: to=<s\@seven\.test>[^\n]*status=\w+ .*\n/, 20),
    qr/dsn=5\.6\.3, status=bounced \(.*8BITMIME.*signed/,
    'one of eight bits is returned, with the reason');

# --- long lines ---------------------------------------------------------------

my $long = 'x' x 1500;
my $folded = passes($eight, 'long@eight.test', "Subject: $long\n\n$long\n$long");
like($folded->{own}, qr/\ASubject: x{989}\r\n x{511}\r\n\r\nx{998}\r\n x{502}\r\nx{998}\r\n x{502}\r\n\z/,
    'long lines are broken by a line end and a space');
my $id_long = $folded->{id};
is($mail->said(qr/$id_long: breaking line > 998 bytes with <CR><LF>SPACE/),
    1, 'the log says so, once');

# --- tables -------------------------------------------------------------------

my $etc = $mail->etc;
sub table
{
	my ($name, $text) = @_;

	Postrider::spew("$etc/$name", $text);
	chmod 0644, "$etc/$name";
	return "regexp:$etc/$name";
}

$mail->set(
	smtp_generic_maps => 'inline:{ { alice@local.test = a@public.test }, ' .
	    '{ @inside.test = @public.test }, { bob@inside.test = ' .
	    'robert@public.test } }',
	recipient_delimiter => '+',
	propagate_unmatched_extensions => 'generic',
	smtp_header_checks => table('header', <<'END'),
/^Subject: (.*)secret(.*)/	REPLACE Subject: $1public$2
/^X-Drop:/	IGNORE
/^X-Strip:/	STRIP because
/^X-Front:/	PREPEND X-Added: yes
/^X-Warn:/	WARN look here
/^X-Reject:/	REJECT no
/^Content-/	REPLACE X-Wrong-Table: yes
END
	smtp_mime_header_checks => table('mime',
	    "/^Content-Disposition: .*/	REPLACE Content-Disposition: inline\n"),
	smtp_nested_header_checks => table('nested',
	    "/^Subject: /	REPLACE Subject: nested\n"),
	smtp_body_checks => table('body', <<'END'),
/^leave out/	IGNORE
/^be (.*)/	REPLACE is $1
/^behind/	PREPEND in front
/^--b$/	WARN a boundary
END
	smtp_reply_filter => table('reply',
	    "/^550 (5[.]1[.]1 .*)/	450 4.1.1 perhaps: \$1\n"),
	lmtp_generic_maps => 'inline:{ bob@inside.test=lmtp@public.test }',
);
$mail->reload;

my $all = passes($eight, 'r@eight.test', <<'END', from => 'alice+x@local.test');
From: "Alice, the" <alice+x@local.test> (home)
To: friends: Bob <bob@inside.test>, someone@inside.test (x),
	other@else.test;
Subject: a secret thing
X-Drop: x
X-Strip: x
X-Front: x
X-Warn: x
X-Reject: x
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Disposition: attachment

leave out this
be this
behind this
--b
Content-Type: message/rfc822

From: alice@local.test
Subject: inner secret

end
--b--
END
is($all->{own}, crlf(<<'END'), 'each table has done its part');
From: "Alice, the" <a+x@public.test> (home)
To: friends: Bob <robert@public.test>, someone@public.test (x),
	other@else.test;
Subject: a public thing
X-Added: yes
X-Front: x
X-Warn: x
X-Reject: x
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Disposition: inline

is this
in front
behind this
--b
Content-Type: message/rfc822

From: alice@local.test
Subject: nested

end
--b--
END
is($all->{from}, 'a+x@public.test', 'the sender is rewritten');
$id = $all->{id};
for my $line ('replace: header Subject: a secret thing: Subject: a public thing',
    'strip: header X-Strip: x: because',
    'prepend: header X-Front: x: X-Added: yes',
    'warning: header X-Warn: x: look here',
    'warning: body --b: a boundary',
    'prepend: body behind this: in front') {
	is($mail->said(qr/$id: \Q$line\E\n/), $line =~ /--b/ ? 2 : 1,
	    "the log has \"$line\"");
}
like($mail->log, qr/warning: $id: smtp_header_checks: reject is for mail that comes in/,
    'actions for mail that comes in are refused');

my $to = passes($lmtp, 'r@lmtp.test', "To: bob\@inside.test\n\nx\n");
is($to->{own}, crlf("To: lmtp\@public.test\n\nx\n"),
    'lmtp has tables of its own');
$id = post('x@grumpy.test', "\nx\n");
like($mail->wait_log(qr/$id: to=<x\@grumpy\.test>[^\n]*status=\w+ .*\n/, 20),
    qr/dsn=4\.1\.1, status=deferred \(.*450 4\.1\.1 perhaps: 5\.1\.1 who/,
    'a reply is replaced');

# Many lines, many hits: the chain holds.
my $many = passes($eight, 'many@eight.test', "Subject: x\n\n" .
    join('', map { $_ % 7 ? "line $_\n" : "be $_\n" } 1 .. 2000));
is($many->{own}, crlf("Subject: x\n\n" .
    join('', map { $_ % 7 ? "line $_\n" : "is $_\n" } 1 .. 2000)),
    'all lines of a long message arrive, in order');

# A field longer than anybody reads goes as it is.
my $endless = join '', map { " word$_ <bob\@inside.test>,\n" } 1 .. 45_000;
my $vast = passes($eight, 'vast@eight.test', "X-A: b\nTo:\n${endless}Cc: " .
    "bob\@inside.test\nX-Drop: x\n\nbe it\n");
ok($vast->{own} eq crlf("X-A: b\nTo:\n${endless}Cc: " .
    "robert\@public.test\n\nis it\n"),
    'an endless field passes in its place, and what follows is read');

# --- tables that do not answer, and what else main.cf can say ------------------

$mail->set((map { ("smtp_$_" => undef) } qw(generic_maps
	mime_header_checks nested_header_checks body_checks reply_filter)),
	smtp_delivery_status_filter => table('status',
	    "/^5[.]1[.]1 (.*)/	4.1.9 filtered \$1\n"),
	smtp_line_length_limit => 0,
	disable_mime_output_conversion => 'yes');
$mail->reload;
table('header', "/(unfinished/	DUNNO\n");
my $line;
Postrider::wait_for(sub {
	$id = post('late@eight.test', "Subject: x\n\nx\n");
	$line = $mail->wait_log(
	    qr/$id: to=<late\@eight\.test>[^\n]*status=\w+ .*\n/, 20);
	return $line !~ /status=sent/;
}, 20, 'the table that cannot be read');
like($line, qr/dsn=4\.3\.0, status=deferred/,
    'without an answer the mail waits');
is(scalar(grep { $_->{data} =~ /\Q$id\E/ } $eight->messages), 0,
    'and the host did not get it');
table('header', "/^X-None/	DUNNO\n");
$id = post('x@grumpy.test', "\nx\n");
like($mail->wait_log(qr/$id: to=<x\@grumpy\.test>[^\n]*status=\w+ .*\n/, 20),
    qr/dsn=4\.1\.9, status=deferred \(filtered host /,
    'an outcome is replaced');

$mail->set(smtp_header_checks => undef);
$mail->reload;
is(passes($seven, 'raw@seven.test', $texts{bare})->{own},
    crlf($texts{bare}), 'disable_mime_output_conversion sends it as it is');
is(passes($eight, 'raw@eight.test', "\n$long\n")->{own},
    crlf("\n$long\n"), 'without a limit no line is broken');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
