# lmtp.t - the client as lmtp: an answer for each recipient, sockets, ports.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	lmtp_data_done_timeout => '2s', minimal_backoff_time => '1000s',
	notify_classes => '', lmtp_host_lookup => 'native',
	lmtp_lhlo_name => 'store-client.test',
}, master => "bypath unix - - n - - lmtp\n" .
    "full unix - - n - - lmtp -o lmtp_assume_final=yes\n");
my $etc = $mail->etc;

# A store that knows some of them.
my %answers = (
	full => '452 4.2.2 mailbox full', gone => '550 5.7.1 no more mail',
);
sub talk {
	my ($verb, $line, $s) = @_;

	return 'CLOSE' if $verb eq 'DOT' && $line =~ /^half/ && $s->{half}++;
	return '500 5.5.1 this is LMTP' if $verb =~ /^(?:EHLO|HELO)$/;
	return '550 5.1.1 who?' if $verb eq 'RCPT' && $line =~ /<nobody/;
	return '250 2.1.5 <' . $line . '> saved'
	    if $verb eq 'DOT' && $line !~ /^(?:full|gone)/;
	return $answers{$1} if $verb eq 'DOT' && $line =~ /^(\w+)/;
	return undef;
}
my $tcp = $mail->sink(lmtp => 1, replies => \&talk);
mkdir $mail->spool;
mkdir $mail->spool . '/private';
my $path = $mail->dir . '/store.sock';
my $unix = $mail->sink(lmtp => 1, replies => \&talk, path => $path);
chmod 0666, $path;
my $plain = $mail->sink(lmtp => 1, replies => \&talk, extensions => []);

Postrider::spew("$etc/routes", 'tcp.test lmtp:inet:127.0.0.1:' .
    $tcp->port . "\n" . 'bare.test lmtp:[127.0.0.1]:' . $tcp->port . "\n" .
    'name.test lmtp:inet:store.test:' . $tcp->port . "\n" .
    "sock.test bypath:unix:$path\n" .
    "other.test lmtp:unix:$path.not-there\n" .
    'plain.test full:[127.0.0.1]:' . $plain->port . "\n" .
    "port.test lmtp:inet:127.0.0.1\n");
Postrider::spew("$etc/hosts", "127.0.0.1 store.test\n");
$mail->set(transport_maps => "texthash:$etc/routes",
    dns_hosts_file => "$etc/hosts");
$mail->start;

sub outcome {
	my ($to) = @_;

	return $mail->wait_log(qr{/lmtp\[\d+\]: \w+: to=<\Q$to\E>, relay=.*\n}, 20);
}

$mail->send(from => '', to => [map { "$_\@tcp.test" }
    qw(ann full bob gone nobody cem)]);
my $port = $tcp->port;
like(outcome('ann@tcp.test'), qr/relay=127\.0\.0\.1\[127\.0\.0\.1\]:$port, .*dsn=2\.1\.5, status=sent \(250 2\.1\.5 <ann\@tcp\.test> saved\)/,
    'each has an answer of his own');
like(outcome('bob@tcp.test'), qr/status=sent \(.*<bob/, 'the next one too');
like(outcome('cem@tcp.test'), qr/status=sent \(.*<cem/, 'and the last');
like(outcome('full@tcp.test'), qr/dsn=4\.2\.2, status=deferred \(host .* said: 452 4\.2\.2 mailbox full \(in reply to end of DATA command\)/,
    'one is full');
like(outcome('gone@tcp.test'), qr/dsn=5\.7\.1, status=bounced/, 'one is gone');
like(outcome('nobody@tcp.test'), qr/dsn=5\.1\.1, status=bounced .*in reply to RCPT TO/,
    'one was never there');
is(($tcp->messages)[0]{helo}, 'LHLO store-client.test', 'LHLO it was');

# It breaks after the first of three answers.
$mail->send(from => '', to => [map { "half$_\@tcp.test" } 1 .. 3]);
my @half = map { outcome("half$_\@tcp.test") } 1 .. 3;
is(scalar(grep { /status=sent/ } @half), 1, 'who was answered has it');
is(scalar(grep { /dsn=4\.4\.2, status=deferred \(lost connection with .* while sending end of data/ } @half),
    2, 'who was not, when it broke, waits');

for my $domain ('bare', 'name') {
	$mail->send(from => '', to => ["r\@$domain.test"]);
	like(outcome("r\@$domain.test"), qr/:$port, .*status=sent/,
	    "$domain.test");
}
$mail->send(from => '', to => ['r@port.test']);
like(outcome('r@port.test'), qr/connect to 127\.0\.0\.1\[127\.0\.0\.1\]:24: /,
    'the port of LMTP is 24');

$mail->send(from => '', to => ['ann@sock.test', 'full@sock.test']);
like(outcome('ann@sock.test'), qr/relay=mail\.local\.test\[\Q$path\E\], .*status=sent/,
    'a UNIX socket, by resolve\'s hand');
like(outcome('full@sock.test'), qr/status=deferred/, 'and a full mailbox there');
$mail->send(from => '', to => ['bob@sock.test']);
like(outcome('bob@sock.test'), qr/conn_use=2, .*status=sent/,
    'the conversation is used again');
$mail->send(from => '', to => ['r@other.test']);
like(outcome('r@other.test'), qr/relay=none, .*dsn=4\.4\.1, status=deferred \(connect to mail\.local\.test\[\Q$path.not-there\E\]: No such file/,
    'a socket that is not there');
$mail->send(from => '', to => ['ann@plain.test']);
like(outcome('ann@plain.test'), qr/status=sent/, 'without any extension');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
