# starttls.t - STARTTLS as a client: each level with each kind of host, and
# what happens where TLS does not work.
use strict;
use warnings;
use Test::More;
use Postrider;
use Postrider::CA;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => 1,
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_tls_loglevel => 1,
	smtp_randomize_addresses => 'no',
	smtp_connection_cache_on_demand => 'no', smtp_helo_timeout => '20s',
	smtp_starttls_timeout => '3s',
});
my $etc = $mail->etc;
my $ca = Postrider::CA->new("$etc/ca");
my @levels = qw(none may encrypt verify secure fingerprint);
my @names = map { "$_.mx.test" } @levels;

# What is said in clear, of each kind of host.
sub said { return Postrider::slurp("$etc/said.$_[0]") }

# A host: what it says to STARTTLS, and its certificate.
my %sink;
sub host {
	my ($kind, $certificate, %o) = @_;
	my $answer = delete $o{starttls};

	$sink{$kind} = $mail->sink(%o, tls => { cert => $certificate->{chain},
	    key => $certificate->{key}, %{ $o{tls} // {} } },
	    replies => sub {
		my ($verb, $line, $s) = @_;

		open my $f, '>>', "$etc/said.$kind";
		print $f "$verb\n" unless $s->{tls};
		return $verb eq 'STARTTLS' ? $answer : undef;
	});
}

my $good = $ca->issue(name => 'good', san => ['*.mx.test']);
host(good => $good);
host(wrong => $ca->issue(name => 'wrong', san => ['other.test']));
host(expired => $ca->issue(name => 'expired', san => \@names, days => -1));
host(self => $ca->issue(name => 'self', san => \@names, ca => 'self'));
host(refusing => $good, starttls => '454 4.7.0 TLS not now');
host(closing => $good, starttls => ['220 go', 'CLOSE']);
host(garbage => $good, tls => { garbage => 'X' x 400 });
host(silent => $good, starttls => ['220 go', 'HANG']);
host(injecting => $good, starttls => "220 go\r\n250-evil\r\n250 AUTH PLAIN");
host(lost => $good, starttls => 'CLOSE');
host(old => $good, tls => { version => 'TLSv1',
    ciphers => 'ALL:@SECLEVEL=0' });
$sink{plain} = $mail->sink(replies => sub {
	open my $f, '>>', "$etc/said.plain";
	print $f "$_[0]\n";
	return undef;
});

# The same port of another address: the second host of two.mx.test.
$sink{second} = $mail->sink(address => '127.0.0.2',
    port => $sink{plain}->port, tls => { cert => $good->{chain},
    key => $good->{key} });
Postrider::spew("$etc/hosts", join '', map { "127.0.0.1 $_\n" } @names,
    'two.mx.test');
open my $hosts, '>>', "$etc/hosts" or die;
print $hosts "127.0.0.2 two.mx.test\n";
close $hosts;
my ($routes, $policies) = ('', '');
for my $level (@levels) {
	for my $kind (grep { $_ ne 'second' } sort keys %sink) {
		my $hop = "[$level.mx.test]:" . $sink{$kind}->port;

		$routes .= "$level-$kind.test smtp:$hop\n";
		$policies .= "$hop $level" . ($level eq 'fingerprint' ?
		    ' match=' . $ca->fingerprint($good->{cert}) : '') . "\n";
	}
}
$routes .= "encrypt-second.test smtp:[two.mx.test]:" . $sink{plain}->port .
    "\n";
$policies .= '[two.mx.test]:' . $sink{plain}->port . " encrypt\n";
Postrider::spew("$etc/routes", $routes);
Postrider::spew("$etc/policies", $policies);
$mail->set(transport_maps => "texthash:$etc/routes",
    dns_hosts_file => "$etc/hosts", smtp_tls_CAfile => $ca->file,
    smtp_tls_policy_maps => "texthash:$etc/policies");
$mail->start;

# One message at a level for a kind of host; its line of the log.
sub outcome {
	my ($level, $kind) = @_;

	unlink "$etc/said.$kind";
	$mail->send(from => '', to => ["r\@$level-$kind.test"]);
	return $mail->wait_log(qr/to=<r\@$level-$kind\.test>, relay=.*\n/,
	    20);
}

# It is sent, inside of TLS or not.
sub is_sent {
	my ($level, $kind, $is_encrypted, $claim) = @_;
	my $before = $sink{$kind}->count;
	my $line = outcome($level, $kind);
	my $message = ($sink{$kind}->messages)[-1];

	ok($line =~ /status=sent/ && $sink{$kind}->count == $before + 1 &&
	    !!$message->{tls} == !!$is_encrypted, "$level: $claim")
	    or diag $line;
}

# It waits, and no word of it was said.
sub waits {
	my ($level, $kind, $why, $claim) = @_;
	my $line = outcome($level, $kind);

	like($line, $why, "$level: $claim");
	unlike(said($kind), qr/MAIL|RCPT|DATA/, "$level: $kind heard nothing");
	like($line, qr/dsn=4\.[47]\.\d, status=deferred/, "$level: deferred");
}

my $untrusted = qr/\(Server certificate not trusted\)/;
my $unverified = qr/\(Server certificate not verified\)/;
my $failed = qr/\(Cannot start TLS: handshake failure\)/;

is_sent('none', 'good', 0, 'no TLS, though it is offered');
is_sent('none', 'plain', 0, 'and none where it is not');

is_sent('may', $_, 1, "TLS with a certificate that is $_")
    for qw(good wrong expired self);
is_sent('may', 'plain', 0, 'clear where TLS is not offered');
for my $kind (qw(refusing closing garbage lost old silent)) {
	is_sent('may', $kind, 0, "clear where TLS fails ($kind)");
	is($sink{$kind}->sessions, 2, 'in another conversation');
}
like(said('refusing'), qr/STARTTLS\n(?:QUIT\n)?CONNECT\n(?:QUIT\n)?EHLO\n(?:QUIT\n)?MAIL/,
    'which begins at its beginning');
like($mail->log, qr/SSL_connect error to may\.mx\.test\[127\.0\.0\.1\]:\d+: /,
    'and the log tells of the handshake');
waits('may', 'injecting', qr/sent data in clear behind/,
    'data behind 220 is an attack, and no reason to speak in clear');

is_sent('encrypt', $_, 1, "TLS with a certificate that is $_")
    for qw(good wrong expired self);
waits('encrypt', 'plain', qr/\(TLS\ is\ required,\ but\ was\ not\ offered
    \ by\ host\ encrypt\.mx\.test\[127\.0\.0\.1\]\)/x, 'TLS must be offered');
is_sent('encrypt', 'second', 1, 'or the next host has it');
waits('encrypt', 'refusing', qr/\(TLS\ is\ required,\ but\ host\ \S+\ refused
    \ to\ start\ TLS:\ 454\ 4\.7\.0\ TLS\ not\ now\)/x,
    'and must not be refused');
waits('encrypt', $_, $failed, "a failed handshake ($_)")
    for qw(closing garbage old silent);
waits('encrypt', 'lost', qr/lost connection with \S+ while sending STARTTLS/,
    'a lost connection');
waits('encrypt', 'injecting', qr/sent data in clear behind/,
    'data behind 220');

for my $level (qw(verify secure)) {
	is_sent($level, 'good', 1, 'TLS with the certificate that is right');
	waits($level, 'wrong', $unverified, 'another name');
	waits($level, 'expired', $untrusted, 'an expired certificate');
	waits($level, 'self', $untrusted, 'one signed by itself');
	waits($level, 'plain', qr/TLS is required/, 'no TLS');
	waits($level, 'closing', $failed, 'a failed handshake');
}
is_sent('fingerprint', 'good', 1, 'the certificate of the fingerprint');
waits('fingerprint', $_, $unverified, "another one ($_)")
    for qw(wrong expired self);

my $described = qr/: TLSv1\.3 with cipher TLS_\w+ \(\d+\/\d+ bits\)/;
for ([Trusted => 'may'], [Verified => 'verify'], [Verified => 'secure'],
    [Verified => 'fingerprint']) {
	my ($trust, $level) = @$_;
	my $port = $sink{good}->port;

	like($mail->log, qr/$trust\ TLS\ connection\ established\ to\ $level
	    \.mx\.test\[127\.0\.0\.1\]:$port$described/x,
	    "$level: the log tells how it was");
}
like($mail->log, qr/Untrusted TLS connection established to may\.mx\.test/,
    'may: and how little that is worth');
like($mail->log, qr/certificate\ verification\ failed\ for
    \ verify\.mx\.test\[127\.0\.0\.1\]:\d+:\ \S/x,
    'verify: the log tells why a certificate is not good enough');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
