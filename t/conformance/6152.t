# 6152.t - RFC 6152: eight bits, and who does not take them.
use strict;
use warnings;
use MIME::Base64 qw(decode_base64);
use MIME::QuotedPrint qw(decode_qp);
use Test::More;
use Postrider qw(wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(relay => { is_noting => 1,
    extensions => ['PIPELINING', 'SIZE 0', 'ENHANCEDSTATUSCODES'] })->start;
my $mime = "MIME-Version: 1.0\n";

sub mail
{
	my ($to, $text, %o) = @_;

	return $sut->take($sut->friend, from => $o{from} // 's@remote.test',
	    mail => $o{mail} // ' BODY=8BITMIME', to => [$to], text => $text);
}

# --- the server ---------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	like($c->command('EHLO c.test'), qr/^250[- ]8BITMIME$/m,
	    'the extension is offered, without a parameter');
	for my $body ('7BIT', '8BITMIME', '8bitmime') {
		like($c->command("MAIL FROM:<s\@remote.test> BODY=$body"),
		    qr/^250/, "6152-3-a BODY=$body is accepted");
		$c->command('RSET', 250);
	}
	for my $body ('BODY=FOO', 'BODY=', 'BODY', 'BODY=8BITMIMES',
	    'BODY=7BIT BODY=8BITMIME', 'BODY=7BIT BODY=7BIT') {
		like($c->command("MAIL FROM:<s\@remote.test> $body"),
		    qr/^501 5\.5\.4/, "6152-3-a $body is refused");
	}
}
{
	my $high = join '', map { chr } 0x80 .. 0xff;
	my $text = join '', map { "$_ $high $high\n" } 1 .. 40;
	mail($_, "Subject: high\n${mime}Content-Type: text/plain; " .
	    "charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n$text")
	    for 'alice@local.test', 'far@remote.test';
	my ($kept) = $sut->wait_mail('alice', qr/^Subject: high$/m);
	is(($kept =~ /\n\n(.*)\n\z/s)[0], $text,
	    '6152-3-b all of 0x80 to 0xff are in the mailbox');
	my ($m) = $sut->wait_remote(qr/^Subject: high\r$/m);
	is(($m->{data} =~ /\r\n\r\n(.*)\z/s)[0], $text =~ s/\n/\r\n/gr,
	    '6152-3-b and at the next host');
	like($m->{mail}, qr/ BODY=8BITMIME\b/,
	    '6152-3-f which is told BODY=8BITMIME');
	$sut->sendmail("To: far\@remote.test\nSubject: ours\n${mime}" .
	    "Content-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: 8bit\n\nna\xc3\xafve\n", '-t');
	($m) = $sut->wait_remote(qr/^Subject: ours\r$/m);
	like($m->{mail}, qr/ BODY=8BITMIME\b/,
	    '6152-3-f as it is of a message that was posted here');
	mail('far@remote.test', "Subject: none\n\nascii\n", mail => '');
	($m) = $sut->wait_remote(qr/^Subject: none\r$/m);
	unlike($m->{mail}, qr/BODY=8BITMIME/,
	    '6152-3-f and not of one in seven bits');
}
{
	my $line = "\xe9" x 998;
	mail('alice@local.test', "Subject: long\n\n$line\n");
	my ($kept) = $sut->wait_mail('alice', qr/^Subject: long$/m);
	like($kept, qr/^\xe9{998}$/m, '6152-3-e a line of 998 octets is kept');
	my $c = $sut->stranger;
	$c->script('MAIL FROM:<s@remote.test> BODY=8BITMIME' => 250,
	    'RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
	$c->raw("Subject: bare\r\n\r\n\xe9\n.\n\xe9\r.\r\xe9\r\n");
	ok(!$c->has_input(0.3), '6152-3-e bare LF and CR end nothing');
	$c->raw(".\r\n");
	like($c->reply, qr/^[25]/, '6152-3-e CRLF.CRLF does');
	like($c->command('NOOP'), qr/^250/, '6152-3-e and the client is in step');
}

# --- a host for seven bits ----------------------------------------------------

# The message as relay-ok.test gets it, with \n.
sub seven
{
	my ($subject, $text) = @_;

	mail('x@relay-ok.test', "Subject: $subject\n$mime$text");
	my ($m) = $sut->wait_relay(qr/^Subject: $subject\r$/m);
	unlike($m->{data}, qr/[\x80-\xff]/,
	    "6152-3-c $subject: no eighth bit reaches it");
	unlike($m->{mail}, qr/BODY=/, "6152-3-c $subject: nor BODY");
	unlike($m->{data}, qr/^.{999,}\r$/m,
	    "6152-3-d $subject: lines are short enough");
	is(scalar(() = $m->{data} =~ /(?<!\r)\n|\r(?!\n)/g), 0,
	    "6152-3-d $subject: and lines");
	return $m->{data} =~ s/\r\n/\n/gr;
}

{
	my $text = "Fran\xc3\xa7ois = na\xc3\xafve \n\nFrom here\n.\n" .
	    "\xc3\xa9" x 300 . "\ntab\t\n";
	my $got = seven('text', "Content-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: 8bit\n\n$text");
	is(scalar(() = $got =~ /^Content-Transfer-Encoding:/mg), 1,
	    '6152-3-d one encoding is named');
	like($got, qr/^Content-Transfer-Encoding: quoted-printable$/m,
	    '6152-3-d quoted-printable for text');
	is(decode_qp(($got =~ /\n\n(.*)\z/s)[0]), $text,
	    '6152-3-d and it says what it said');
	unlike($got, qr/^.{77,}$/m, '6152-3-d in lines as RFC 2045 wants them');

	my $octets = join '', map { chr } grep { !/^(?:0|10|13)\z/ } 0 .. 255;
	$got = seven('octets', "Content-Type: application/octet-stream\n" .
	    "Content-Transfer-Encoding: 8bit\n\n$octets\n$octets\n");
	like($got, qr/^Content-Transfer-Encoding: base64$/m,
	    '6152-3-d base64 for what is no text');
	is(decode_base64(($got =~ /\n\n(.*)\z/s)[0]), "$octets\r\n$octets\r\n",
	    '6152-3-d with the same octets');

	$got = seven('bare', "Content-Type: text/plain; charset=utf-8\n\n" .
	    "caf\xc3\xa9\n");
	like($got, qr/^caf=C3=A9$/m,
	    '6152-3-c eight bits without a label are converted, too');
}
{
	my $signed = "Content-Type: multipart/signed; boundary=s; " .
	    "protocol=\"application/pgp-signature\"\n" .
	    "Content-Transfer-Encoding: 8bit\n\n--s\n" .
	    "Content-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: %s\n\n%s\n--s\n" .
	    "Content-Type: application/pgp-signature\n\nsig\n--s--\n";
	my $id = mail('x@relay-ok.test', "Subject: signed\n$mime" .
	    sprintf($signed, '8bit', "caf\xc3\xa9"), from =>
	    'signer@remote.test');
	ok($sut->wait_log(qr/ $id: to=<x\@relay-ok\.test>.*dsn=5\.6\.3, status=bounced/),
	    '6152-3-d what is signed is not encoded anew');
	my ($report) = $sut->wait_remote(qr/^Status: 5\.6\.3\r$/m);
	is($report->{rcpt}[0], 'signer@remote.test',
	    '6152-3-d its sender is told');
	unlike(join('', $sut->relay->raw), qr/^Subject: signed/m,
	    '6152-3-c and nobody gets it with eight bits');
	my $got = seven('sealed', sprintf $signed, 'quoted-printable',
	    'caf=C3=A9');
	like($got, qr/^--s\nContent-Type: text\/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9\n--s\n/m,
	    '6152-3-d one in seven bits goes as it is');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
