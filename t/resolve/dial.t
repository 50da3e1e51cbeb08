# dial.t - connections to UNIX sockets, for mail that goes there and for no
# other.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use Fcntl qw(F_SETFD);
use File::Temp ();
use IO::Handle;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Alone;
use Postrider qw(is_root slurp spew wait_for);

my $temp = File::Temp->newdir('prt-dial-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $e = "$dir/etc";

Alone::prepare($dir, myorigin => 'local.test', recipient_delimiter => '+',
    mydestination => 'local.test', alias_maps => '',
    local_recipient_maps => '', virtual_mailbox_domains => 'box.test',
    virtual_transport => 'lmtp:unix:private/box',
    mailbox_transport => 'post:unix:private/mailbox',
    content_filter => 'post:unix:private/scan',
    default_filter_nexthop => 'unix:private/usual',
    fallback_transport_maps => 'inline:{ ann=post:unix:private/ann }',
    sender_dependent_default_transport_maps =>
	'inline:{ @sender.test=lmtp:unix:private/sender }',
    transport_maps => "inline:{ { full.test=lmtp:unix:$dir/spool/private/box }"
	. ", { busy.test=lmtp:unix:private/busy }"
	. ", { gone.test=lmtp:unix:private/gone }"
	. ", { dead.test=lmtp:unix:private/dead }"
	. ", { shut.test=lmtp:unix:private/shut }"
	. ", { long.test=lmtp:unix:/" . ('x' x 120) . " }"
	. ", { two.test=lmtp:unix:private/gone unix:private/box } }");
spew("$e/master.cf", "lmtp unix - - n - - lmtp\npost unix - - n - - lmtp\n" .
    "smtp unix - - n - - smtp\nlocal unix - n n - - local\n" .
    "other unix - n n - - local -o fallback_transport=post:unix:private/o\n" .
    "127.0.0.1:1 inet n - n - - smtpd -o content_filter=lmtp:\n");

sub listener
{
	my ($name, $mode, $backlog) = @_;
	my $l = IO::Socket::UNIX->new(Local => "$dir/spool/private/$name",
	    Listen => $backlog // 5) or die "$name: $!";

	chmod $mode // 0666, "$dir/spool/private/$name";
	return $l;
}

my %at = map { $_ => listener($_) } qw(box mailbox ann o sender busy scan
    usual named);
my $shut = listener('shut', 0600);
close listener('dead');
my $resolve = Alone->new(program => 'resolve', dir => $dir);

# "result text" of a question of smtp.
sub dial
{
	my ($endpoint, $transport, $address, $sender) = @_;
	my $d = $resolve->ask_as('smtp', 'ASK_DIAL', ['str', $endpoint],
	    ['str', $transport], ['str', $address], ['str', $sender // ''],
	    ['file', undef]);

	return "$d->{result} $d->{socket} $d->{text}";
}

my ($good, $not_there) = ('0 1 ', qr/^1 0 \S+: mail for this address does/);

is(dial('private/box', 'lmtp', 'ann@box.test'), $good,
    'a socket of virtual_transport');
ok($at{box}->accept, 'the server has a connection');
is(dial("$dir/spool/private/box", 'lmtp', 'ann@box.test'), $good,
    'its name may begin with a slash');
is(dial('private/box', 'lmtp', 'x@full.test'), $good,
    'or the one in the table may');
is(dial('private/box', 'lmtp', 'x@two.test'), $good,
    'one of several in a list');
is(dial('private/sender', 'lmtp', 'x@far.test', 'u@sender.test'), $good,
    'one that depends on the sender');
like(dial('private/sender', 'lmtp', 'x@far.test', 'u@other.test'),
    $not_there, 'is none for other senders');

is(dial('private/mailbox', 'post', 'bob@local.test'), $good,
    'a socket of mailbox_transport');
is(dial('private/ann', 'post', 'Ann+x@local.test'), $good,
    'one of fallback_transport_maps, for this user');
like(dial('private/ann', 'post', 'bob@local.test'), $not_there,
    'but for no other');
is(dial('private/o', 'post', 'bob@local.test'), $good,
    'one that a service of local names for itself');

like(dial('private/box', 'post', 'ann@box.test'), $not_there,
    'another transport does not lead there');
like(dial('private/mailbox', 'lmtp', 'ann@box.test'), $not_there,
    'nor does this one lead elsewhere');
like(dial('private/resolve.1', 'lmtp', 'ann@box.test'), $not_there,
    'least of all to sockets of our own');
like(dial('private/../private/box', 'lmtp', 'ann@box.test'), $not_there,
    'no name but the one in the settings will do');
like($resolve->log, qr{no connection to private/resolve\.1: mail for },
    'who tries is told');

is(dial('private/gone', 'lmtp', 'x@gone.test'), '1 0 private/gone: No such ' .
    'file or directory: the server behind it does not run, or listens ' .
    'elsewhere', 'a socket that is missing');
is(dial('private/dead', 'lmtp', 'x@dead.test'), '1 0 private/dead: ' .
    'Connection refused: the server behind it does not run',
    'one that nobody listens to');
SKIP: {
	skip 'as one user every socket is open', 1 unless is_root();
	is(dial('private/shut', 'lmtp', 'x@shut.test'), '1 0 private/shut: ' .
	    'Permission denied: its owner must let user postrider-map in',
	    'one that is closed to us');
}
like(dial('/' . ('x' x 120), 'lmtp', 'x@long.test'),
    qr/^1 0 .*: File name too long$/, 'a name too long for a socket');
is($resolve->ask_as('smtpd', 'ASK_DIAL', ['str', 'private/box'],
    ['str', 'lmtp'], ['str', 'ann@box.test'], ['str', ''], ['file', undef]),
    undef,
    'smtpd may not ask');

# --- content filters ----------------------------------------------------------

is(dial('private/scan', 'post', 'any@where.test'), $good,
    'the socket of content_filter, for all mail');
is(dial('private/usual', 'lmtp', 'any@where.test'), $good,
    'that of default_filter_nexthop, for a filter that names none');
like(dial('private/usual', 'post', 'any@where.test'), $not_there,
    'and for no other');
like(dial('private/named', 'lmtp', 'any@where.test'), $not_there,
    'one that only a queue file names');

# A queue file with this filter.
sub queue_file
{
	my ($name, $filter, $owner) = @_;
	my $path = "$dir/spool/incoming/$name";
	my $text = sub { pack('C V', 3, length $_[0]) . "$_[0]\0" };
	my $number = sub { pack 'C q<', 1, $_[0] };
	my %field = (verp => '', filter => $filter);
	my $head = '';

	# As in common/queue/envelope.c, in its order.
	my ($table) = slurp('common/queue/envelope.c') =~
	    /head_fields\[\] = \{(.*?)FIELD_END/s;
	while ($table =~ /FIELD_(\w+)\(struct mail, (\w+)/g) {
		$head .= $1 eq 'INT' ? $number->(0) :
		    $1 eq 'OPT' ? pack('C V', 4, 0xffffffff) :
		    $text->($field{$2} // '');
	}
	my $envelope = pack('V/a V', $head, 0);
	my $preamble = pack 'a8 V V q<4 V x72', "PRQUEUE\n", 1, 0, 128, 0,
	    128, length $envelope, 0;
	my $crc = 0xffffffff;
	for my $byte (unpack 'C*', $preamble) {
		$crc ^= $byte;
		$crc = $crc & 1 ? $crc >> 1 ^ 0x82f63b78 : $crc >> 1
		    for 1 .. 8;
	}
	spew($path, $preamble . pack('V', $crc ^ 0xffffffff) . $envelope);
	chmod 0700, $path;
	chown $owner, -1, $path;
	return $path;
}

# The same question with the file.
sub dial_for
{
	my ($path, $endpoint, $transport) = @_;
	my $s = $resolve->channel('smtp');
	my $packet = Alone::encode('ASK_DIAL', 0, 7, ['str', $endpoint],
	    ['str', $transport], ['str', 'any@where.test'], ['str', ''],
	    ['file', undef]);

	substr $packet, 4, 2, pack 'v', 1;
	substr $packet, -1, 1, "\1";
	open my $python, '|-', 'python3', '-c', 'import os, socket, sys; ' .
	    's = socket.socket(fileno=int(sys.argv[1])); ' .
	    'f = os.open(sys.argv[2], os.O_RDONLY); ' .
	    'socket.send_fds(s, [sys.stdin.buffer.read()], [f])',
	    inherited($s), $path or die "python3: $!";
	print $python $packet;
	close $python or die 'python3 has failed';
	sysread $s, my $answer, 65536;
	return join ' ', (unpack 'x16 x q<', $answer);
}

# The number of a descriptor that programs we start keep.
sub inherited
{
	my ($s) = @_;

	fcntl $s, F_SETFD, 0 or die "fcntl: $!";
	return fileno $s;
}

mkdir "$dir/spool/incoming";
my $queue = (stat "$dir/spool/incoming")[4];
my $file = queue_file('file', 'lmtp:unix:private/named', $queue);
is(dial_for($file, 'private/named', 'lmtp'), 0, 'is reached for that file');
is(dial_for($file, 'private/named', 'post'), 1, 'by its transport only');
is(dial_for($file, 'private/box', 'lmtp'), 1, 'and no other is');
is(dial_for(queue_file('bare', 'lmtp:', $queue), 'private/usual', 'lmtp'), 0,
    'a filter without a next hop has the usual one');
SKIP: {
	skip 'as one user all files are ours', 1 unless is_root();
	is(dial_for(queue_file('forged', 'lmtp:unix:private/named',
	    $queue + 1), 'private/named', 'lmtp'), 1,
	    'the file must be one of the queue');
}
is(dial_for('/dev/zero', 'private/named', 'lmtp'), 1, 'and a file');

# --- a server that is busy ----------------------------------------------------

{
	my @waiting;
	while (1) {
		socket my $s, Socket::AF_UNIX, Socket::SOCK_STREAM, 0;
		$s->blocking(0);
		connect $s, Socket::pack_sockaddr_un("$dir/spool/private/busy")
		    or last;
		push @waiting, $s;
	}
	my $start = time;
	is(dial('private/busy', 'lmtp', 'x@busy.test'), '1 0 private/busy: ' .
	    'Connection timed out: the server behind it does not accept ' .
	    'connections', 'a server that is too busy is waited for');
	cmp_ok(time - $start, '>', 4, 'for a while');
	cmp_ok(time - $start, '<', 8, 'and not for long');
	accept my $first, $at{busy};
	accept my $second, $at{busy};
	is(dial('private/busy', 'lmtp', 'x@busy.test'), $good,
	    'when there is room, it is used');
}

# --- the descriptor -----------------------------------------------------------

# The number of a descriptor that a packet brings, by recvmsg() itself.
sub receive_descriptor
{
	my ($socket, $call) = @_;
	my ($bytes, $control) = ("\0" x 65536, "\0" x 64);
	my $vector = pack 'PQ', $bytes, length $bytes;
	my $message = pack 'QL x4 P Q P Q l x4', 0, 0, $vector, 1, $control,
	    length $control, 0;

	syscall($call, fileno $socket, $message, 0) > 0 or die "recvmsg: $!";
	return (unpack 'Qlll', $control)[3];
}

my %recvmsg = (x86_64 => 47, aarch64 => 212);
SKIP: {
	my $call = $recvmsg{(POSIX::uname())[4]}
	    or skip 'the number of recvmsg is not known here', 1;
	my $listener = listener('talk');
	Alone::prepare($dir, mydestination => '', alias_maps => '',
	    local_recipient_maps => '',
	    default_transport => 'lmtp:unix:private/talk');
	$resolve->reload;
	wait_for(sub { dial('private/talk', 'lmtp', 'a@b.test') =~ /^0/ }, 10,
	    'the reload');
	$listener->accept;
	my $s = $resolve->channel('smtp');
	syswrite $s, Alone::encode('ASK_DIAL', 0, 4711,
	    ['str', 'private/talk'], ['str', 'lmtp'], ['str', 'a@b.test'],
	    ['str', ''], ['file', undef]);
	open my $mine, '+<&=', receive_descriptor($s, $call) or die $!;
	my $theirs = $listener->accept;
	syswrite $theirs, "220 hello\r\n";
	$mine->blocking(1);
	sysread $mine, my $line, 100;
	is($line, "220 hello\r\n", 'what is passed on is the connection');
}

is($resolve->stop, 0, 'resolve ends in order');
unlike($resolve->log, qr/(?:panic|fatal|Sanitizer)/,
    'the log has no complaint of that kind');
done_testing();
