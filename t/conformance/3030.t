# 3030.t - RFC 3030: messages in chunks, and binary ones.
use strict;
use warnings;
use MIME::Base64 qw(decode_base64);
use Test::More;
use Postrider qw(free_port slurp wait_for);
use Postrider::Fixture;

my $limit = 200_000;
my $sut = Postrider::Fixture->new(
	settings => { message_size_limit => $limit, smtp_line_length_limit => 0,
		smtpd_processes => 1 },
	remote => { extensions => [qw(PIPELINING 8BITMIME CHUNKING BINARYMIME),
		'SIZE 0'] },
	relay => { is_noting => 1, extensions => [qw(CHUNKING), 'SIZE 0'],
	    replies => sub {
		my ($verb, $line, $s) = @_;
		return '452 4.3.1 no room' if $verb eq 'BDAT' &&
		    ($s->{from} // '') =~ /^first/;
		return '554 5.6.0 no' if $verb eq 'BDAT' &&
		    ($s->{from} // '') =~ /^second/ && @{ $s->{chunks} } == 2;
		return undef;
	} });
my $seven = $sut->sink(extensions => ['SIZE 0']);
open my $routes, '>>', $sut->etc . '/transport';
print $routes 'seven.test smtp:[127.0.0.1]:' . $seven->port . "\n";
close $routes;
$sut->start;

# A chunk; its answer.
sub chunk
{
	my ($c, $octets, $last) = @_;

	$c->raw('BDAT ' . length($octets) . ($last ? ' LAST' : '') .
	    "\r\n$octets");
	return $c->reply;
}

# MAIL and RCPT.
sub begin
{
	my ($c) = @_;

	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250);
	return $c;
}

# The body of the message with this subject in the mailbox, which has an empty
# line behind it.
sub body
{
	my ($subject) = @_;
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);

	return ($m =~ /\n\n(.*)\n\z/s)[0];
}

# --- the server ---------------------------------------------------------------

{
	my $c = $sut->stranger(helo => undef);
	my $ehlo = $c->command('EHLO c.test');
	like($ehlo, qr/^250[- ]CHUNKING$/m, '3030-2-a CHUNKING is offered');
	begin($c);
	like($c->command('DATA'), qr/^354/, '3030-2-a and DATA is there');
	like($c->data("Subject: by-data\n\nx\n"), qr/^250/,
	    '3030-2-a as ever');
	is(body('by-data'), "x\n", '3030-2-a with the message');
}
{
	my $c = begin($sut->stranger);
	my $text = "Subject: whole\r\n\r\n.dot\r\n..\r\n.\r\nQUIT\r\n" .
	    "\r\n.\r\nlast\r\n";
	like(chunk($c, $text, 1), qr/^250 /, '3030-2-b a chunk is answered');
	is(body('whole'), ".dot\n..\n.\nQUIT\n\n.\nlast\n",
	    '3030-2-b all of its octets are text, no dot is taken off');
	like(chunk($c, "NOOP\r\nQUIT\r\n", 1), qr/^503 /,
	    '3030-2-d a chunk behind the last one is refused');
	like($c->command('NOOP'), qr/^250/, '3030-2-d and its octets are gone');
	begin($c);
	my $hundred = "Subject: hundred\r\n\r\n" . 'x' x 78 . "\r\n";
	is(length $hundred, 100, 'a hundred octets');
	like(chunk($c, $hundred), qr/^250 /, '3030-2-b one of several');
	like($c->command('BDAT 0 LAST'), qr/^250 /,
	    '3030-2-c BDAT 0 LAST ends the message');
	is(body('hundred'), 'x' x 78 . "\n", '3030-2-c which is whole');
}
{
	my $c = $sut->stranger;
	my $octets = "QUIT\r\nMAIL FROM:<evil\@local.test>\r\n";
	like(chunk($c, $octets), qr/^503 /, '3030-2-e a chunk without MAIL');
	like(chunk($c, $octets, 1), qr/^503 /, '3030-2-e a last one');
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like(chunk($c, $octets, 1), qr/^50[34] /, '3030-2-e one without RCPT');
	$c->command('RSET', 250);
	$c->raw("BDAT 6\r\nQU");
	ok(!$c->has_input(0.3),
	    '3030-2-e the answer comes when all of it is read');
	$c->raw("IT\r\n");
	like($c->reply, qr/^503 /, '3030-2-e then it does');
	like($c->command('NOOP'), qr/^250/,
	    '3030-2-e nothing of that was a command');

	$c->raw("MAIL FROM:<s\@remote.test>\r\n" .
	    "RCPT TO:<no-such\@local.test>\r\n" .
	    "BDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" .
	    "RSET\r\nNOOP\r\n");
	is(join(' ', map { substr $c->reply, 0, 1 } 1 .. 7), '2 5 5 5 5 2 2',
	    '3030-2-f three chunks in flight, three refusals');
	begin($c);
	$c->raw('BDAT ' . ($limit + 1) . "\r\n" . 'x' x ($limit + 1) .
	    "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\nNOOP\r\n");
	is(join(' ', map { substr $c->reply, 0, 3 } 1 .. 4),
	    '552 503 503 250', '3030-2-f also when the first is too big');
	$c->command('RSET', 250);
}
{
	my $c = begin($sut->stranger);
	like(chunk($c, "Subject: x"), qr/^250 /, 'ten octets');
	like($c->command('DATA'), qr/^503 /, '3030-2-g DATA behind BDAT');
	like($c->command('RSET'), qr/^250 /, '3030-2-g RSET helps');
	begin($c);
	like(chunk($c, "Subject: forgotten\r\n\r\nforgotten\r\n"), qr/^250/,
	    '3030-2-h a chunk');
	$c->command('RSET', 250);
	begin($c);
	like(chunk($c, "Subject: kept\r\n\r\nabcde", 1), qr/^250/,
	    '3030-2-h after RSET another');
	is(body('kept'), "abcde\n", '3030-2-h only that is in the message');
	unlike(join('', $sut->mail('alice')), qr/forgotten/,
	    '3030-2-h and nothing of the first anywhere');
}
for my $size ('x', '-1', '99999999999999999999', '', '1x', '+5', '0x5') {
	my $c = begin($sut->stranger);
	like($c->command("BDAT $size"), qr/^501 /,
	    "3030-2-k BDAT $size is no size");
	my $next = $c->reply // '';
	ok($next eq '' || $next =~ /^421/, "3030-2-k BDAT $size: who cannot " .
	    'be followed is left');
}
{
	my $c = begin($sut->stranger);
	$c->raw("BDAT 6 FIRST\r\nQUIT\r\n");
	like($c->reply, qr/^501 /, '3030-2-k a word that is not LAST');
	like($c->command('NOOP'), qr/^250/,
	    '3030-2-k has octets, which are no commands');
}
{
	my $c = begin($sut->stranger);
	my $half = "Subject: sum\r\n\r\n" . ("y" x 78 . "\r\n") x 1300;
	like(chunk($c, $half), qr/^250/, '3030-2-l half of it');
	like(chunk($c, 'z' x ($limit - length $half), ''), qr/^250/,
	    '3030-2-l up to the limit');
	like(chunk($c, 'z', 1), qr/^552 5\.3\.4 /,
	    '3030-2-l one octet more than the limit, together');
	begin($c);
	like(chunk($c, $half), qr/^250/, 'half of it');
	like(chunk($c, 'z' x ($limit - 2 - length $half) . "\r\n", 1), qr/^250/,
	    '3030-2-l exactly the limit is taken');

	my $smtpd = sub { my ($pid) = $sut->children('smtpd');
	    (slurp("/proc/$pid/status") =~ /VmRSS:\s+(\d+)/)[0] };
	my $before = $smtpd->();
	my $d = begin($sut->stranger);
	$d->raw("BDAT 9999999999\r\n");
	local $SIG{PIPE} = 'IGNORE';
	for (1 .. 300) {
		syswrite $d->socket, 'x' x 65536 or last;
	}
	like(eval { $d->reply } // '552 (reset)', qr/^552 /,
	    '3030-2-l nobody reads ten gigabytes');
	cmp_ok($smtpd->() - $before, '<', 8000,
	    '3030-2-l and none are kept in memory');
}

# --- the client ---------------------------------------------------------------

# The lines of a session without the octets of chunks, joined by "|".
sub commands
{
	my ($raw) = @_;
	my $said = '';

	while ($raw =~ s/\A([^\r]*)\r\n//) {
		$said .= "$1|";
		substr($raw, 0, $1 > length $raw ? length $raw : $1, '') if $said =~ /BDAT (\d+)[^|]*\|\z/;
	}
	return $said;
}

sub mail
{
	my ($from, $to, $text) = @_;

	return $sut->take($sut->friend, from => $from, to => [$to],
	    text => $text);
}

{
	my $long = "Subject: long\n\n" . ("0123456789 " x 6 . "\n") x 2500;
	mail('first@remote.test', 'x@relay-ok.test', $long);
	mail('second@remote.test', 'y@relay-ok.test', $long);
	$sut->wait_log(qr/to=<x\@relay-ok.*status=deferred/);
	$sut->wait_log(qr/to=<y\@relay-ok.*status=bounced/);
	for my $case (['first', 1], ['second', 2]) {
		my ($from, $count) = @$case;
		my $said = wait_for(sub { (grep { /<$from\@.*QUIT/ }
		    map { commands($_) } $sut->relay->raw)[0] }, 10,
		    'the end of the session');
		is(scalar(() = $said =~ /BDAT \d+/g), $count,
		    "3030-2-i $from: no chunk comes behind a refused one");
		like($said, qr/\|BDAT \d+\|(?:RSET\||QUIT\|)+\z/,
		    "3030-2-i $from: RSET or QUIT does");
	}
}
{
	my $text = "Subject: exact\n\n.\n..x\n\n.\nQUIT\n.end\n" .
	    join '', map { "." x ($_ % 7) . "line $_\n" } 1 .. 9000;
	mail('s@remote.test', 'x@relay-ok.test', $text);
	my ($m) = $sut->wait_relay(qr/^Subject: exact\r$/m);
	my $sum = 0;
	$sum += $_ for @{ $m->{chunks} };
	is($sum, length $m->{data}, '3030-2-j the sizes are what was sent');
	cmp_ok(scalar(@{ $m->{chunks} }), '>', 1, 'in several chunks');
	is(($m->{data} =~ /\r\n\r\n(.*)\z/s)[0], ($text =~
	    /\n\n(.*)\z/s)[0] =~ s/\n/\r\n/gr,
	    '3030-2-j the text is the same, no dot is doubled');
	is(scalar(() = $m->{data} =~ /(?<!\r)\n|\r(?!\n)/g), 0,
	    '3030-2-j its lines end with CRLF');
	my ($raw) = grep { /^Subject: exact\r$/m } $sut->relay->raw;
	like(commands($raw), qr/RCPT[^|]*\|(?:BDAT \d+\|)+BDAT \d+ LAST\|/,
	    '3030-2-j each chunk begins where the last one ended');
}

# --- binary -------------------------------------------------------------------

my $head = "MIME-Version: 1.0\n";
my $octets = join '', map { chr } grep { $_ != 10 && $_ != 13 } 1 .. 255;
{
	my $c = $sut->friend(helo => undef);
	unlike($c->command('EHLO c.test'), qr/BINARYMIME/,
	    'BINARYMIME is not offered');
	like($c->command('MAIL FROM:<s@remote.test> BODY=BINARYMIME'),
	    qr/^(?:501|555) 5\.5\.4/, '3030-3-c and nobody can send it to us');

	# What calls itself binary has lines like all mail.
	mail('s@remote.test', 'x@seven.test', "Subject: bin\n$head" .
	    "Content-Type: application/octet-stream\n" .
	    "Content-Transfer-Encoding: binary\n\n$octets\n");
	my $m = wait_for(sub { (grep { $_->{data} =~ /^Subject: bin\r$/m }
	    $seven->messages)[0] }, 20, 'the octets');
	unlike($m->{data}, qr/[^\x09\x0a\x0d\x20-\x7e]/,
	    '3030-3-c a host for seven bits gets nothing else');
	like($m->{data}, qr/^Content-Transfer-Encoding: base64\r$/m,
	    '3030-3-c but base64');
	is(decode_base64(($m->{data} =~ /\r\n\r\n(.*)\z/s)[0]) =~ s/\r\n\z//r,
	    $octets, '3030-3-d of all its octets');
	mail('s@remote.test', 'x@remote.test', "Subject: bin8\n$head" .
	    "Content-Type: application/octet-stream\n" .
	    "Content-Transfer-Encoding: binary\n\n$octets\n");
	my ($n) = $sut->wait_remote(qr/^Subject: bin8\r$/m);
	unlike($n->{mail}, qr/BINARYMIME/,
	    '3030-3-c not even a host that offers it is sent BINARYMIME');
}
{
	my $parts = "Subject: nest\n${head}Content-Type: multipart/mixed; " .
	    "boundary=o\nContent-Transfer-Encoding: 8bit\n\n--o\n" .
	    "Content-Type: multipart/alternative; boundary=i\n" .
	    "Content-Transfer-Encoding: binary\n\n--i\n" .
	    "Content-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: 8bit\n\nna\xc3\xafve =20\n--i\n" .
	    "Content-Type: text/html\nContent-Transfer-Encoding: " .
	    "quoted-printable\n\n<b>caf=C3=A9</b>\n--i--\n--o\n" .
	    "Content-Type: application/x-data\n" .
	    "Content-Transfer-Encoding: base64\n\nAAECAw==\n--o\n" .
	    "Content-Type: application/x-data\n" .
	    "Content-Transfer-Encoding: binary\n\n$octets\n--o--\n";
	mail('s@remote.test', 'x@seven.test', $parts);
	my $m = wait_for(sub { (grep { $_->{data} =~ /^Subject: nest\r$/m }
	    $seven->messages)[0] }, 20, 'the parts');
	my $data = $m->{data} =~ s/\r\n/\n/gr;
	my @encodings = $data =~ /^Content-Type: (\S+?);?(?: .*)?\nContent-Transfer-Encoding: (\S+)$/mg;
	my @multi;
	while (my ($type, $encoding) = splice @encodings, 0, 2) {
		push @multi, $encoding if $type =~ /^multipart/;
	}
	is("@multi", '7bit 7bit',
	    '3030-3-d what holds parts is not encoded itself');
	like($data, qr/^na=C3=AFve =3D20$/m, '3030-3-d text is, once');
	like($data, qr/^<b>caf=C3=A9<\/b>$/m,
	    '3030-3-d what was encoded is not encoded again');
	like($data, qr/^AAECAw==$/m, '3030-3-d neither here');
	my ($last) = $data =~ /.*base64\n\n(.*?)\n--o--/s;
	is(decode_base64($last) =~ s/\r\n\z//r, $octets,
	    '3030-3-d the octets are the same');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
