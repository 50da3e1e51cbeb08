# dial.t - connections to UNIX sockets, for mail that goes there and for no
# other.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use IO::Handle;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Alone;
use Postrider qw(is_root spew wait_for);

my $temp = File::Temp->newdir('prt-dial-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $e = "$dir/etc";

Alone::prepare($dir, myorigin => 'local.test', recipient_delimiter => '+',
    mydestination => 'local.test', alias_maps => '',
    local_recipient_maps => '', virtual_mailbox_domains => 'box.test',
    virtual_transport => 'lmtp:unix:private/box',
    mailbox_transport => 'post:unix:private/mailbox',
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
    "other unix - n n - - local -o fallback_transport=post:unix:private/o\n");

sub listener
{
	my ($name, $mode, $backlog) = @_;
	my $l = IO::Socket::UNIX->new(Local => "$dir/spool/private/$name",
	    Listen => $backlog // 5) or die "$name: $!";

	chmod $mode // 0666, "$dir/spool/private/$name";
	return $l;
}

my %at = map { $_ => listener($_) } qw(box mailbox ann o sender busy);
my $shut = listener('shut', 0600);
close listener('dead');
my $resolve = Alone->new(program => 'resolve', dir => $dir);

# "result text" of a question of smtp.
sub dial
{
	my ($endpoint, $transport, $address, $sender) = @_;
	my $d = $resolve->ask_as('smtp', 'ASK_DIAL', ['str', $endpoint],
	    ['str', $transport], ['str', $address], ['str', $sender // '']);

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
    ['str', 'lmtp'], ['str', 'ann@box.test'], ['str', '']), undef,
    'smtpd may not ask');

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
	    ['str', '']);
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
