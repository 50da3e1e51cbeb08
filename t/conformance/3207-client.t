# 3207-client.t - STARTTLS as a client (RFC 3207), what RFC 8314 and RFC 9325
# want of one, and hosts that lie.
use strict;
use warnings;
use Test::More;
use Postrider::CA;
use Postrider::Fixture;

# Hosts, by the domain that they take mail for; what each was told is kept.
my %host = map { ($_ => 1) } qw(good refusing closing failing plain injecting
    changing cut tls10 tls12 anonymous null lazy wrapped);
my $master = join '', map { "$_->[0] unix - - n - - smtp -o " .
    join(' -o ', @{ $_->[1] }) . "\n" }
    [may => ['smtp_tls_security_level=may']],
    [may10 => ['smtp_tls_security_level=may',
	'smtp_tls_protocols=>=TLSv1', 'smtp_tls_loglevel=1']],
    [encrypt => ['smtp_tls_security_level=encrypt',
	'smtp_tls_loglevel=1']],
    [verify => ['smtp_tls_security_level=verify']],
    [wrapped => ['smtp_tls_security_level=encrypt',
	'smtp_tls_wrappermode=yes']],
    [login => ['smtp_tls_security_level=may',
	'smtp_sasl_auth_enable=yes', 'smtp_sasl_security_options=',
	'smtp_sasl_password_maps=inline:{mx.test=us:secret}']],
    [map => ['smtp_tls_policy_maps=inline:{[d.test]=encrypt}']];
my $sut = Postrider::Fixture->new(master => $master, settings => {
	smtp_host_lookup => 'native', smtp_helo_timeout => '5s',
	smtp_starttls_timeout => '5s', smtp_processes => 1 });
my $etc = $sut->etc;
my $ca = Postrider::CA->new("$etc/ca");
my $mx = $ca->issue(san => ['mx.test']);
my %rude = (refusing => '502 5.5.1 not me', closing => ['220 go', 'CLOSE'],
    injecting => "220 go\r\n250-evil\r\n250 AUTH PLAIN");
my %tls = (tls10 => { version => 'TLSv1', ciphers => 'ALL:@SECLEVEL=0' },
    tls12 => { version => 'TLSv1_2' },
    lazy => { version => 'TLSv1_2', ciphers => 'AES256-SHA:ALL' },
    anonymous => { version => 'TLSv1_2', ciphers => 'aNULL:@SECLEVEL=0',
	cert => undef },
    null => { version => 'TLSv1_2', ciphers => 'eNULL:@SECLEVEL=0' },
    failing => { garbage => "\x15\x03\x01\x00\x02\x02\x28" },
    wrapped => { wrapped => 1 });
my %sink;
for my $kind (keys %host) {
	$sink{$kind} = $sut->sink(tls => $kind eq 'plain' ? undef : {
	    cert => $mx->{chain}, key => $mx->{key},
	    %{ $tls{$kind} // {} } }, replies => sub {
		my ($verb, $line, $s) = @_;

		open my $f, '>>', "$etc/said.$kind";
		print $f $s->{tls} ? 'tls' : 'clear', " $verb\n";
		close $f;
		return $rude{$kind} if $verb eq 'STARTTLS';
		return undef unless $kind =~ /changing|cut/;
		return 'CLOSE' if $kind eq 'cut' && $verb eq 'DOT';
		return undef if $verb ne 'EHLO' || $kind eq 'cut';
		return $s->{tls} ? "250 sink.test" : join "\r\n",
		    '250-sink.test', map({ "250-$_" } qw(PIPELINING 8BITMIME
		    CHUNKING DSN STARTTLS), 'SIZE 1000000', 'XFORWARD NAME',
		    'AUTH PLAIN LOGIN'), '250 HELP';
	});
}
sub said { return Postrider::slurp("$etc/said.$_[0]") }

my @services = qw(may may10 encrypt verify wrapped login);
Postrider::spew("$etc/hosts", "127.0.0.1 mx.test\n127.0.0.1 d.test\n");
Postrider::spew("$etc/transport", join('', map { my $service = $_;
	map { "$service-$_.test $service:[mx.test]:" . $sink{$_}->port .
	    "\n" } keys %sink } @services) .
    "d.test map:[d.test]\nother.test map:[mx.test]\n");
$sut->set(dns_hosts_file => "$etc/hosts", smtp_tcp_port =>
    $sink{plain}->port);
$sut->start;

# One message; its line of the log, and what the host got.
sub outcome {
	my ($domain, %o) = @_;
	my $kind = $domain =~ /-(\w+)$/ ? $1 : 'plain';
	my $before = $sink{$kind}->count;
	unlink "$etc/said.$kind";
	my $id = $sut->take($sut->friend, from => 's@local.test',
	    to => ["r\@$domain.test"], %o);
	my $line = $sut->wait_log(qr/$id: to=<r\@.*\n/, 30);

	return ($line, $sink{$kind}->count > $before ?
	    ($sink{$kind}->messages)[-1] : undef);
}

my ($line, $message) = outcome('may-good');
is($message && $message->{tls}{first}, "\x16",
    '3207-4-d: behind 220 comes the handshake, and nothing else');
like(said('good'), qr/clear STARTTLS\ntls EHLO\n/,
    '3207-4.2-d: the first command inside TLS is EHLO');
is(($message->{tls} // {})->{sni}, 'mx.test',
    '9325-3.7-a: the client asks for the name of the host (SNI)');
is(($message->{tls} // {})->{version}, 'TLSv1_3',
    '9325-3.1.1-b: the client prefers TLS 1.3');
Postrider::wait_for(sub { $sink{good}->farewells }, 10, 'a farewell');
like($sink{good}->farewells, qr/\Apolite\n\z/,
    '8314-3.4-a: the client ends TLS with close_notify');
(undef, $message) = outcome('may-tls12');
is(($message->{tls} // {})->{version}, 'TLSv1_2',
    '9325-3.1.1-b: the client can do TLS 1.2');

(undef, $message) = outcome('may-changing');
ok($message && $message->{tls}, '3207-4.2-c: in TLS');
is($message->{mail}, 'MAIL FROM:<s@local.test>',
    '3207-4.2-c: what EHLO offered in clear is not used in TLS');
unlike(said('changing'), qr/AUTH|BDAT|XFORWARD/,
    '3207-4.2-c: no extension that was offered in clear only');
outcome('login-changing');
like(said('changing'), qr/tls EHLO/, 'TLS-03: a client with a password');
unlike(said('changing'), qr/AUTH/,
    'TLS-03: forgets AUTH that was offered in clear only');
outcome('login-good');
unlike(said('good'), qr/AUTH/, 'TLS-03: and where it was not offered at all');

for my $service (qw(may encrypt)) {
	($line, $message) = outcome("$service-injecting");
	is($message, undef, '3207-4.2-c: data behind 220 in the same packet');
	like($line, qr/dsn=4\.7\.0, status=deferred \(host \S+ sent data in c/,
	    "TLS-02: is a protocol error and defers ($service)");
	unlike(said('injecting'), qr/tls|MAIL|AUTH/,
	    "TLS-02: nothing is carried into TLS ($service)");
}

for my $kind (qw(refusing closing failing)) {
	my $before = $sink{$kind}->sessions;

	($line, $message) = outcome("may-$kind");
	like($line, qr/status=sent/, "3207-4-e: level may, $kind: sent");
	ok($message && !$message->{tls}, '3207-4-e: in clear');
	is($sink{$kind}->sessions, $before + 2,
	    '3207-4-e: in a new connection');
	($line, $message) = outcome("encrypt-$kind");
	like($line, qr/dsn=4\.7\.\d, status=deferred/,
	    "3207-4-e: level encrypt, $kind: deferred");
	unlike(said($kind), qr/MAIL/, '3207-4-e: and nothing is said');
}

($line, $message) = outcome('verify-good');
like($line, qr/status=deferred \(Server certificate not trusted\)/,
    '3207-4.1-a: a bad certificate defers where it matters');
Postrider::wait_for(sub { said('good') =~ /QUIT/ }, 10, 'QUIT');
like(said('good'), qr/clear STARTTLS\ntls QUIT\n\z/,
    '3207-4.1-a: and the client says QUIT at once');

($line, $message) = outcome('d');
like($line, qr/dsn=4\.7\.4, .*TLS is required, but was not offered by host d/,
    '3207-6-a: TLS is required of a given peer');
unlike(said('plain'), qr/MAIL/, '3207-6-a: which gets no MAIL');
($line, $message) = outcome('other');
like($line, qr/status=sent/, '3207-6-a: and of no other');

($line, $message) = outcome('wrapped-wrapped');
ok($line =~ /status=sent/ && $message->{tls},
    '9325-3.2-a: a port for TLS only can be used by the client');
unlike(said('wrapped'), qr/clear|STARTTLS/,
    '9325-3.2-a: nothing is said in clear there');

($line, $message) = outcome('encrypt-tls10');
like($line, qr/status=deferred \(Cannot start TLS/,
    '9325-3.1.1-a: the client does no TLS 1.0 by default');
is($message, undef, 'TLS-21: a mandatory level refuses TLS 1.0');
($line, $message) = outcome('may10-tls10');
is($message && $message->{tls}{version}, 'TLSv1',
    '9325-3.1.1-a: an explicit option allows it');
like($sut->log, qr/TLS connection established to mx\.test\S+ TLSv1 with/,
    'TLS-21: the log tells what an opportunistic level has used');
for my $kind (qw(anonymous null)) {
	($line, $message) = outcome("encrypt-$kind");
	is($message, undef, "TLS-21: a mandatory level refuses $kind ciphers");
	like($line, qr/status=deferred \(Cannot start TLS/,
	    "9325-4.1-a: $kind ciphers are not negotiated by the client");
}
($line, $message) = outcome('encrypt-lazy');
like($message && $message->{tls}{cipher}, qr/^(?:EC)?DHE/,
    '9325-4.1-b: the client prefers forward secrecy');

($line, $message) = outcome('encrypt-cut');
like($line, qr/status=deferred \(lost connection with \S+ while sending end/,
    'TLS-15: a lost answer inside TLS is no delivery');

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
