# owned.t - what an owned smtpd can make cleanup believe (P3 of intake.c).

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(need_root wait_for);
use Postrider::QueueFile;
use Socket qw(PF_UNIX SOCK_SEQPACKET sockaddr_un);
use Test::More;

need_root();		# who else may say that he is smtpd?

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s', message_size_limit => 100000,
	cleanup_processes => 1 })->start;

my %number = Postrider::packet_numbers();

# Digits of a queue id.
my @digits = grep { !/[AEIOUaeiou]/ } 0 .. 9, 'A' .. 'Z', 'a' .. 'z';

sub number { return pack 'C q<', 1, $_[0] }
sub truth { return pack 'C C', 2, $_[0] }
sub string { return pack('C V', 3, length $_[0]) . "$_[0]\0" }
sub optional { return defined $_[0] ? pack('C V', 4, length $_[0]) .
    "$_[0]\0" : pack 'C V', 4, 0xffffffff }
sub data { return pack('C V', 5, length $_[0]) . $_[0] }

# Send one packet.
sub say_packet
{
	my ($socket, $name, @fields) = @_;

	send $socket, pack('v v v v Q<', $number{$name}, scalar @fields, 0, 0,
	    9) . join('', @fields), 0 or die "send: $!";
}

# Bring a message as this program; the code and the rest of the answer.
sub bring
{
	my ($program, %o) = @_;
	my $row = join '', map { string($_) } $o{to} // 'bob@far.test',
	    $o{original} // '', $o{orcpt} // '';

	socket my $s, PF_UNIX, SOCK_SEQPACKET, 0 or die "$!";
	connect $s, sockaddr_un($mail->spool . '/private/cleanup.1')
	    or die "connect: $!";
	say_packet($s, 'HELLO', string($program), number($number{VERSION}));
	say_packet($s, 'MAIL', string($o{sender} // 'al@some.test'),
	    string($o{origin} // $program), string('client.test'),
	    string($o{client_address} // ''), string('helo'), string('ESMTP'),
	    string(''), string($o{envelope_id} // ''), string(''), string(''),
	    string(''), number($o{uid} // -1), number($o{flags} // 0),
	    number(0), number(0), string($o{verp} // ''),
	    optional($o{filter}), number(0), optional($o{forwarded}),
	    optional($o{queue_id}), truth(0),
	    pack('C V', 6, 1) . $row . number($o{notify} // 0));
	say_packet($s, 'CONTENT', data($_), truth(0), truth(0))
	    for @{ $o{more} // [] };
	say_packet($s, 'CONTENT', data("Subject: x\r\n\r\ny\r\n"), truth(1),
	    truth(0));
	for (;;) {
		defined recv $s, my $packet, 65536, 0 or die "recv: $!";
		die "no answer\n" . $mail->log if $packet eq '';
		return $1 if unpack('v', $packet) == $number{QUEUED} &&
		    $packet =~ /([245]\d\d [245]\.\d\.\d [^\0]*)\0/;
	}
}

# The queue file of a message that was taken.
sub file_of
{
	my ($answer) = @_;

	$answer =~ /^250 .* queued as (\w+)/ or die "unexpected: $answer";
	return Postrider::QueueFile->find($mail, $1);
}

$mail->client->expect(220);	# cleanup is started by the first caller

my $f = file_of(bring('pickup', uid => 1234, flags => 1));
like($f->{content}, qr/^Received:.*from userid 1234/, 'pickup names a user');
like($f->{content}, qr/^From: /m, 'and its mail is completed');

$f = file_of(bring('smtpd', origin => 'pickup', uid => 0, flags => 1 + 16 + 32));
unlike($f->{content}, qr/userid/, 'smtpd cannot name a user');
unlike($f->{content}, qr/^From: /m, 'nor bring mail as a local user');
is($f->{origin}, 'smtpd', 'nor as another program');
is($f->{flags} & (1 + 16 + 32), 0, 'nor as a report, nor as mail passed on');
like(bring('smtpd', flags => 16 + 32, more => [ ("x: y\r\n" x 5000) x 4 ]),
    qr/^552 5\.3\.4 /, 'the size limit holds for it whatever it says');

for my $field (qw(sender to original orcpt envelope_id)) {
	like(bring('smtpd', $field => "a\@b.test>\r\nDATA"),
	    qr/^553 5\.1\.3 /, "a line end in $field is refused");
}
like(bring('smtpd', verp => $_), qr/^501 5\.5\.4 .*VERP/,
    'nor delimiters that are none') for "\r\n", 'ab', '+';
is(file_of(bring('smtpd', verp => '-='))->{verp}, '-=', 'others are kept');
is(file_of(bring('smtpd', filter => 'a:b'))->{filter}, 'a:b',
    'a content filter is kept, too');
like(bring('smtpd', filter => "a:b\nc"), qr/^553 5\.1\.3 /,
    'if it is in one line');
is(file_of(bring($_, filter => 'a:b'))->{filter}, '',
    "mail of $_ goes by none") for qw(local bounce);
is_deeply(file_of(bring('smtpd', notify => 16 + 2))->{notify}, [2],
    'nor an alias that is none');

# An id as common/queue/id.c makes them: the time, who, a count.
sub id_of
{
	my ($seconds, $worker, $count) = @_;
	my $id = '';

	for ([$seconds * 1_000_000, 10], [$worker, 2], [$count, 3]) {
		my ($n, $digits) = @$_;
		my $part = '';
		for (1 .. $digits) {
			$part = $digits[$n % 52] . $part;
			$n = int($n / 52);
		}
		$id .= $part;
	}
	return $id;
}

# The id that the message gets when this one is asked for.
sub named
{
	my ($program, $id) = @_;

	return bring($program, queue_id => $id) =~ /queued as (\w+)/ ? $1 : '';
}

my $own = id_of(time, $$, 1);
is(named('smtpd', $own), $own, 'smtpd may choose the name of a message');
for (['one of another process', id_of(time, $$ + 1, 2)],
    ['an old one', id_of(time - 700, $$, 3)],
    ['one that is still to come', id_of(time + 100, $$, 4)],
    ['none at all', '../../etc/x'], ['a long one', "${own}x"]) {
	my ($case, $id) = @$_;
	like(named('smtpd', $id), qr/^(?!\Q$id\E$)\w{15}$/, "but not $case");
}
$own = id_of(time, $$, 5);
isnt(named('local', $own), $own, 'nobody else may');
is_deeply([ $mail->complaints ], [], 'nothing crashed');
done_testing;
