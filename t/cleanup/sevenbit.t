# sevenbit.t - what is changed in the content when mail comes in: 8-bit mail to
# 7 bits, CR and LF that are no line ends, the name of the mail system.

use strict;
use warnings;

use lib 't/lib';
use MIME::Base64 qw(decode_base64);
use MIME::QuotedPrint qw(decode_qp);
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s', cleanup_processes => 1 });
$mail->start;

# Send what is 8-bit; its queue file.
sub queued
{
	my ($text, %o) = @_;
	my $c = $mail->client;
	my $body = $o{plain} ? '' : ' BODY=8BITMIME';

	$c->expect(220);
	$c->script('EHLO client.test' => 250,
	    "MAIL FROM:<al\@some.test>$body" => 250,
	    'RCPT TO:<bob@far.test>' => 250, DATA => 354);
	my $reply = $c->data($text, qr/^\d/);
	return $reply if $reply !~ /queued as (\w+)/;
	return Postrider::QueueFile->find($mail, $1);
}
sub posted
{
	my ($text) = @_;
	my ($status, $output) = $mail->sendmail($text, '-v', 'bob@far.test');
	my ($id) = $mail->log =~ /.*pickup\[\d+\]: (\w+): uid=/s;

	return Postrider::QueueFile->find($mail, $id);
}

# (head, body) of the content.
sub parts { return split /\r\n\r\n/, $_[0]{content}, 2 }

subtest 'without the setting 8-bit mail is left alone' => sub {
	my $f = queued("Content-Type: text/plain; charset=utf-8\n\nGr\xc3\xbc\xc3\x9fe\n");

	like($f->{content}, qr/\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n\z/);
	ok($f->{flags} & 2, 'marked 8-bit');
};

$mail->set(force_mime_input_conversion => 'yes',
    body_checks => 'regexp:' . $mail->etc . '/body',
    header_checks => 'regexp:' . $mail->etc . '/header');
spew($mail->etc . '/body', "/Gr=C3=BC=C3=9Fe/ PREPEND seen\n");
spew($mail->etc . '/header', "/^Subject: refuse/ REJECT no\n/^Subject: drop/ DISCARD\n");
$mail->reload;

subtest 'text becomes quoted-printable, and checks see that' => sub {
	my $f = queued("Subject: a\nContent-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe = 1\n.dot\n");
	my ($head, $body) = parts($f);

	like($head, qr/^Content-Transfer-Encoding: quoted-printable\r$/m);
	unlike($head, qr/8bit/);
	is(scalar(() = $head =~ /^Content-Transfer/mg), 1);
	like($head, qr/\AReceived: /);
	like($body, qr/\Aseen\r\nGr=C3=BC=C3=9Fe =3D 1\r\n/);
	is(decode_qp($body =~ s/\Aseen\r\n//r), "Gr\xc3\xbc\xc3\x9fe = 1\n.dot\n");
	ok(!($f->{flags} & 2), 'not marked 8-bit');
};

subtest 'mail that does not say that it is 8-bit, and is' => sub {
	my $f = queued("Subject: a\n\nna\xefve\n", plain => 1);

	unlike((parts($f))[1], qr/[\x80-\xff]/);
	is(decode_qp((parts($f))[1]), "na\xefve\n");
	$f = posted("Subject: a\n\nna\xefve\n");
	is(decode_qp((parts($f))[1]), "na\xefve\n", 'posted here');
};

subtest 'what has seven bits stays byte for byte' => sub {
	my $f = queued("Subject: a\nX: \tb\n  c\n\nplain = text\n\n--x\n");

	like($f->{content}, qr/X: \tb\r\n  c\r\n(?:\S.*\r\n)*\r\nplain = text\r\n\r\n--x\r\n\z/);
	ok($f->{flags} & 2, 'and what is said of it');
};

subtest 'parts, each by its kind' => sub {
	my $binary = join '', map { chr($_ % 256) } grep { $_ % 256 != 10 &&
	    $_ % 256 != 13 } 1 .. 600;
	my $f = queued("MIME-Version: 1.0\n" .
	    "Content-Type: multipart/mixed; boundary=B\n" .
	    "Content-Transfer-Encoding: 8bit\n\npre\xe4mble\n--B\n" .
	    "Content-Type: text/html\nContent-Transfer-Encoding: 8bit\n\n" .
	    "<b>\xe4</b>\n--B\nContent-Type: application/x-data\n" .
	    "Content-Transfer-Encoding: binary\n\n$binary\n--B\n" .
	    "Content-Type: message/rfc822\n\nSubject: in\n\n\xf6\n--B\n\n" .
	    "plain\n--B--\n");
	my ($head, $body) = parts($f);
	my @parts = split /\r\n--B(?:--)?\r\n/, $body;

	unlike($body, qr/[\x80-\xff]/, 'no eight bits');
	like($head, qr/^Content-Transfer-Encoding: 7bit\r$/m);
	like($parts[1], qr/quoted-printable\r\n\r\n<b>=E4<\/b>\z/);
	like($parts[2], qr/base64\r\n\r\n/);
	is(decode_base64($parts[2] =~ s/.*?\r\n\r\n//sr), $binary);
	like($parts[3], qr/\r\n\r\nSubject: in\r\n.*quoted-printable\r\n\r\n=F6\z/s);
	is($parts[4], "\r\nplain", 'as it was');
};

subtest 'what is signed is left alone, and that is told' => sub {
	my $f = queued("Content-Type: multipart/signed; boundary=B\n\n--B\n" .
	    "Content-Type: text/plain\n\n\xe4\n--B\n\nsig\n--B--\n");

	like($f->{content}, qr/\r\n\r\n\xe4\r\n--B/);
	ok($f->{flags} & 2, 'and 8-bit');
	$mail->wait_log(qr/not converted to 7 bits: .*signed/);
};

subtest 'large messages, which a file keeps meanwhile' => sub {
	my $line = "x\xe4" x 30 . "\n";
	my $text = $line x 20000;
	my $f = queued("Subject: large\n\n$text");

	is(length decode_qp((parts($f))[1]), 20000 * 61);
	ok(decode_qp((parts($f))[1]) eq $text, 'all of it');
	is(scalar(grep { !((stat $_)[2] // 0100 & 0100) }
	    glob($mail->spool . '/incoming/*')), 0, 'nothing is left of it');
	like(queued("Subject: refuse\n\n$text"), qr/^550 5\.7\.1 no/,
	    'refused in the end');
	$mail->set(message_size_limit => 1000000);
	$mail->reload;
	like(queued("Subject: too large\n\n$text"), qr/^552 5\.3\.4 /);
	$mail->wait_log(qr/size limit/);
	my ($pid) = $mail->children('cleanup');
	is(scalar(grep { (readlink($_) // '') =~ /deleted/ }
	    glob("/proc/$pid/fd/*")), 0, 'no file is kept');
	$mail->set(message_size_limit => undef);
	$mail->reload;
};

subtest 'a CR or LF that ends no line is a space' => sub {
	my $f = posted("Subject: a\n\none\rtwo\nthree\r");

	like($f->{content}, qr/\r\n\r\none two\r\nthree ?\r\n\z/);
	$mail->set(cleanup_replace_stray_cr_lf => 'no',
	    force_mime_input_conversion => 'no');
	$mail->reload;
	$f = posted("Subject: a\n\none\rtwo\n");
	like($f->{content}, qr/\r\n\r\none\rtwo\r\n\z/, 'or left');
};

subtest 'line ends of mail that is posted' => sub {
	my %made = (
		"a\r\nb\r\nc\n" => [['always', "a\r\nb\r\nc\r\n"],
		    ['strict', "a\r\nb\r\nc\r\n"],
		    ['never', "a\r\r\nb\r\r\nc\r\n"]],
		"a\nb\r\n" => [['always', "a\r\nb\r\n"],
		    ['never', "a\r\nb\r\r\n"]]);

	for my $body (sort keys %made) {
		for (@{ $made{$body} }) {
			my ($how, $wanted) = @$_;
			my $head = $body =~ /\Aa\r/ ? "Subject: x\r\n\r\n" :
			    "Subject: x\n\n";
			$mail->set(sendmail_fix_line_endings => $how);
			$mail->reload;
			my $f = posted("$head$body");
			like($f->{content}, qr/\Q$wanted\E\z/, $how);
		}
	}
	$mail->set(sendmail_fix_line_endings => 'strict');
	$mail->reload;
	like(posted("Subject: x\n\na\r\nb\n")->{content},
	    qr/\r\n\r\na\r\r\nb\r\n\z/, 'strict: the first line tells');
};

subtest 'the name of the mail system' => sub {
	$mail->set(mail_name => 'Pony Express');
	$mail->reload;
	like(queued("Subject: x\n\ny\n", plain => 1)->{content},
	    qr/\A.*\n?.* \(Pony Express\) with ESMTP/);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
