# stopping.t - the system stops while hosts are silent, at every stage there is:
# none of them makes it wait, and no mail is lost.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', minimal_backoff_time => '1000s',
	notify_classes => '', message_size_limit => 20_000_000,
	smtp_connect_timeout => '300s', smtp_connection_cache_time_limit => '30s',
}, master => "polite unix - - n - - smtp -o smtp_skip_quit_response=no " .
    "-o smtp_connection_cache_time_limit=0\n");

# Who never calls back: a full queue.
my @kept;
my $hole = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "listen: $!";
listen $hole, 0;
push @kept, map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $hole->sockport, Blocking => 0) } 1 .. 4;

# Who reads nothing of the message.
my $deaf = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "listen: $!";
setsockopt $deaf, SOL_SOCKET, SO_RCVBUF, 4096;
my ($own, $pid) = ($$, fork // die "fork: $!");
END { kill 'KILL', $pid if defined $own && $$ == $own }
if ($pid == 0) {
	my $client = $deaf->accept;
	syswrite $client, "220 deaf.test\r\n";
	while (sysread $client, my $text, 65536) {
		syswrite $client, $text =~ /^DATA/ ? "354 yes\r\n" :
		    "250 Ok\r\n";
		last if $text =~ /^DATA/;
	}
	Postrider::spew($mail->etc . '/deaf', 'now');
	sleep 60;
	POSIX::_exit(0);
}

my %sink = map {
	my $stage = $_;
	($stage => $mail->sink(extensions => [], replies => sub {
		return undef unless $_[0] eq $stage;
		Postrider::spew($mail->etc . "/$stage", 'now');
		return 'HANG';
	}));
} qw(CONNECT EHLO MAIL RCPT DATA QUIT);
my $warm = $mail->sink;
my @stages = ((sort keys %sink), qw(deaf hole));
Postrider::spew($mail->etc . '/routes', join '',
    (map { lc($_) . '.test ' . ($_ eq 'QUIT' ? 'polite' : 'smtp') .
    ":[127.0.0.1]:@{[ $sink{$_}->port ]}\n" } keys %sink),
    "warm.test smtp:[127.0.0.1]:@{[ $warm->port ]}\n",
    "deaf.test smtp:[127.0.0.1]:@{[ $deaf->sockport ]}\n",
    "hole.test smtp:[127.0.0.1]:@{[ $hole->sockport ]}\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/routes');
$mail->start;

$mail->send(from => '', to => ["r\@\L$_.test"], text => "Subject: x\n\n" .
    ('x' x 70 . "\n") x ($_ eq 'deaf' ? 120_000 : 1)) for @stages, 'warm';
Postrider::wait_for(sub { !grep { !-e $mail->etc . "/$_" } keys %sink,
    'deaf' }, 10, 'every stage');
$mail->wait_log(qr/to=<r\@warm\.test>.*status=sent/, 10);
select undef, undef, undef, 0.5;

my $began = time;
is($mail->stop, 0, 'it stops');
cmp_ok(time - $began, '<', 5, 'at once (' . (time - $began) . ' s)');
for my $stage (@stages) {
	my @lines = $mail->log =~ /(to=<r\@\L$stage\E\.test>, relay=.*\n)/g;

	is(scalar(@lines), 1, "$stage: one outcome");
	like($lines[0] // '', $stage eq 'QUIT' ? qr/status=sent/ :
	    qr/dsn=4\.\d\.\d, status=deferred \(.*stop/, "$stage: as it must");
}
is($mail->queue_count('incoming', 'deferred'), @stages - 1,
    'and the mail is there');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
