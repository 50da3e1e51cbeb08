# taken_back.t - a small message leaves with its dot in one piece. When that
# piece has not left us whole, nobody has the message: it is not said that it
# may be delivered twice, and who refuses it half way is believed.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use POSIX ();
use Postrider qw(wait_for);
use Socket qw(SOL_SOCKET SO_RCVBUF SO_LINGER);
use Test::More;

# What fits into our buffer, and not into those of the kernel.
my $text = "Subject: x\n\n" . ('x' x 69 . "\n") x 200;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', smtp_processes => 1,
	smtp_data_xfer_timeout => '3s', smtp_data_done_timeout => '100s',
	tcp_windowsize => 2048, smtp_connection_cache_time_limit => '1s',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '' });
my @servers;
my $own = $$;
END { kill 'KILL', @servers if defined $own && $$ == $own }
my $routes = '';

# One that hears of a message and then reads nothing of it: what it does
# instead.
sub server
{
	my ($name, $instead) = @_;
	my $listener = IO::Socket::INET->new(Listen => 5,
	    LocalAddr => '127.0.0.1', Proto => 'tcp') or die "no listener: $!";

	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, 2048 or die "$!";
	$routes .= "$name.test smtp:[127.0.0.1]:" . $listener->sockport . "\n";
	my $pid = fork // die "fork: $!";
	push @servers, $pid;
	return if $pid != 0;
	my $client = $listener->accept or POSIX::_exit(1);
	syswrite $client, "220 $name.test\r\n";
	while (defined(my $line = <$client>)) {
		syswrite $client, $line =~ /^DATA/ ? "354 go\r\n" :
		    "250 $name.test\r\n";
		last if $line =~ /^DATA/;
	}
	$instead->($client);
	POSIX::_exit(0);
}

# Has some of the message come?
sub wait_text
{
	my ($client) = @_;

	vec(my $in = '', fileno $client, 1) = 1;
	select $in, undef, undef, 20;
}

server('silent', sub { sleep 1000 });
server('gone', sub {
	my ($client) = @_;

	wait_text($client);
	setsockopt $client, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
	close $client;
});
server('objects', sub {
	my ($client) = @_;

	wait_text($client);
	syswrite $client, "552 5.3.4 too much\r\n";
	close $client;		# what is unread makes it a reset
});
Postrider::spew($mail->etc . '/routes', $routes);
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/routes');
$mail->start;

$mail->send(from => '', to => ["r\@$_.test"], text => $text)
    for qw(silent gone objects);

# What became of it.
sub outcome
{
	my ($name) = @_;

	return $mail->wait_log(qr/to=<r\@$name\.test>, relay=.*\n/, 30);
}

my $line = outcome('silent');
like($line, qr/dsn=4\.4\.2, status=deferred \(.*timed out while sending message body\)/,
    'who reads nothing has nothing');
$line = outcome('gone');
like($line, qr/dsn=4\.4\.2, status=deferred \(.* while sending message body\)/,
    'nor who goes away before its end');
like(outcome('objects'), qr/dsn=5\.3\.4, status=bounced \(.*552 5\.3\.4 too much \(in reply to message content\)/,
    'who refuses what he has not heard to its end is believed');
unlike($mail->log, qr/more than once/, 'none may have it twice');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
