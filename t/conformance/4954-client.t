# 4954-client.t - RFC 4954: the client's side of AUTH, and hosts that abuse it.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Test::More;
use Postrider qw(slurp spew);
use Postrider::CA;
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(remote => { is_noting => 1 }, settings => {
	smtp_sasl_auth_enable => 'yes', notify_classes => 'protocol',
	smtp_sasl_security_options => 'noanonymous',
	smtp_tls_security_level => 'may', smtp_helo_timeout => '4s',
	debug_peer_list => '127.0.0.1', smtp_host_lookup => 'native',
});
my $etc = $sut->etc;
my $ca = Postrider::CA->new("$etc/ca");
my $mx = $ca->issue(name => 'mx.test');
my $wrong_name = $ca->issue(name => 'other.test');
my $stranger = Postrider::CA->new("$etc/unknown")->issue(name => 'mx.test');
my $secret = 'Some7Secret';
my $blob = encode_base64("\0alice\0$secret", '');
my %login = (user => 'alice', password => $secret, mechanisms => 'PLAIN',
    is_required => 1);
my ($passwords, $policies, %sink) = ('', '');

# A host mx.test behind NAME.test, who knows us.
sub known
{
	my ($name, $port) = @_;

	open my $routes, '>>', "$etc/transport" or die;
	print $routes "$name.test smtp:[mx.test]:$port\n";
	close $routes;
	$passwords .= "[mx.test]:$port alice:$secret\n";
}
sub host
{
	my ($name, %o) = @_;

	$sink{$name} = $sut->sink(auth => { %login, %{ delete $o{auth} //
	    {} } }, is_noting => 1, %o);
	known($name, $sink{$name}->port);
	$policies .= '[mx.test]:' . $sink{$name}->port . " $o{policy}\n"
	    if $o{policy};
}

my $count = 0;
sub outcome
{
	my ($name, %o) = @_;
	my $to = 'r' . ++$count . "\@$name.test";
	my $c = $sut->friend;

	$sut->take($c, from => 's@remote.test', to => [$to], %o);
	$c->close;
	return $sut->wait_recipient($to);
}
sub heard { return join '', $sink{$_[0]}->raw }

# --- what comes together ------------------------------------------------------

my %usual = (DATA => '354 go', QUIT => '221 bye');
sub answer
{
	my ($state, $line) = @_;
	my $next = delete $state->{next};

	if ($state->{data}) {
		$state->{data} = 0 if $line eq '.';
		return $line eq '.' ? "250 taken\r\n" : '';
	}
	if (defined $next) {			# of an exchange
		$state->{next} = '235 2.7.0 ok' if $next =~ /^334/;
		return "$next\r\n";
	}
	return "250-mx.test\r\n250-PIPELINING\r\n250 AUTH " .
	    "$state->{mechanism}\r\n" if $line =~ /^EHLO/;
	if ($line eq 'AUTH LOGIN') {
		$state->{next} = '334 UGFzc3dvcmQ6';
		return "334 VXNlcm5hbWU6\r\n";
	}
	$state->{data} = $line eq 'DATA';
	return "235 2.7.0 ok\r\n" if $line =~ /^AUTH/;
	return ($usual{$line} // '250 ok') . "\r\n";
}

# A host that waits after each read, so that all that was sent together is
# there; a line for each read.
my @hosts;
sub grouping
{
	my ($name, $mechanism) = @_;
	my $listener = IO::Socket::INET->new(Listen => 5, Proto => 'tcp',
	    LocalAddr => '127.0.0.1') or die "listen: $!";
	my $file = "$etc/$name.groups";

	known($name, $listener->sockport);
	my $pid = fork // die "fork: $!";
	push @hosts, $pid;
	return if $pid;
	while (my $client = $listener->accept) {
		my $state = { mechanism => $mechanism };
		syswrite $client, "220 mx.test ESMTP\r\n";
		while (IO::Select->new($client)->can_read(20)) {
			select undef, undef, undef, 0.2;
			sysread $client, my $in, 65536 or last;
			open my $f, '>>', $file;
			print $f $in =~ s/\r\n/|/gr, "\n";
			close $f;
			syswrite $client, answer($state, $_)
			    for split /\r\n/, $in;
		}
	}
	POSIX::_exit(0);
}
END { my $status = $?; kill 'KILL', @hosts; waitpid $_, 0 for @hosts;
    $? = $status }
grouping('group', 'PLAIN');
grouping('grouplogin', 'LOGIN');

# --- hosts --------------------------------------------------------------------

host('good');
my %tls = (cert => $mx->{cert}, key => $mx->{key});
host('verified', tls => { %tls }, policy => 'secure match=mx.test');
host('wrongname', tls => { cert => $wrong_name->{cert},
    key => $wrong_name->{key} }, policy => 'secure match=mx.test');
host('untrusted', tls => { cert => $stranger->{cert},
    key => $stranger->{key} }, policy => 'verify');
host('nohandshake', tls => { %tls }, replies => sub {
	return $_[0] eq 'STARTTLS' && $_[2]{number} < 3 ?
	    ['220 go', \"this is no TLS\r\n", 'CLOSE'] : undef;
}, policy => 'may');
host('notls', policy => 'encrypt');
host('anyone', tls => { cert => $stranger->{cert},
    key => $stranger->{key} }, policy => 'may');

my %lies = (
	megabyte => ['334 ' . 'A' x 1_000_000, 'CRAM-MD5'],
	nobase64 => ['334 %%%%', 'CRAM-MD5'],
	nul => [\"334 QUFB\0QUFB\r\n", 'CRAM-MD5'],
	ntlm => ['334 TlRMTVNTUAACAAAAAAAAADgAAAABAgAC', 'SCRAM-SHA-256'],
	control => ["334 QUFB\x01\x7f", 'CRAM-MD5'],
);
for my $name (sort keys %lies) {
	my ($reply, $mechanism) = @{ $lies{$name} };
	host($name, auth => { mechanisms => $mechanism }, replies => sub {
		return $_[0] eq 'AUTH' ? $reply : undef;
	});
}
host('manymechanisms', auth => { mechanisms =>
    join ' ', map { "X-MECHANISM-$_" } 1 .. 6000 });
host('manylines', auth => { mechanisms => 'PLAIN' }, extensions =>
    [map { "AUTH X$_ " . 'NTLM ' x 80 } 1 .. 200]);

spew("$etc/hosts", "127.0.0.1 mx.test\n");
spew("$etc/passwords", $passwords);
spew("$etc/policies", $policies);
$sut->set(dns_hosts_file => "$etc/hosts",
    smtp_sasl_password_maps => "texthash:$etc/passwords",
    smtp_tls_policy_maps => "texthash:$etc/policies",
    smtp_tls_CAfile => $ca->file,
    smtp_send_dummy_mail_auth => 'yes');
$sut->start;

# --- RFC 4954 -----------------------------------------------------------------

for (['group', qr/^AUTH PLAIN \Q$blob\E\|$/m],
    ['grouplogin', qr/^AUTH LOGIN\|$/m]) {
	my ($name, $alone) = @$_;
	like(outcome($name), qr/status=sent/, "4954-4-m $name: sent");
	my $groups = slurp("$etc/$name.groups");
	like($groups, $alone, "4954-4-m $name: AUTH is the last, and alone");
	like($groups, qr/^MAIL FROM.*\|RCPT TO.*\|DATA\|$/m,
	    "4954-4-m $name: other commands come together");
	like($groups, qr/^${\encode_base64($secret, '')}\|$/m,
	    "4954-4-m $name: responses are alone") if $name ne 'group';
}

outcome('good');
like(heard('good'), qr/^MAIL FROM:<s\@remote\.test>.* AUTH=<>\r$/m,
    '4954-5-b where we have logged in, AUTH=<> is passed on');
outcome('remote');
like(join('', $sut->remote->raw), qr/^MAIL FROM:(?!.*AUTH=).*\r$/m,
    '4954-5-b and not where we have not');

like(outcome('verified'), qr/status=sent/,
    '4954-14-a PLAIN for a host whose certificate is good');
for (['wrongname', 'another name'], ['untrusted', 'an unknown authority'],
    ['nohandshake', 'TLS that fails'], ['notls', 'no TLS, which must be']) {
	my ($name, $what) = @$_;
	like(outcome($name), qr/status=deferred/, "4954-14-a $what: deferred");
	is($sink{$name}->count, 0, "4954-14-a $what: no mail");
	unlike(heard($name), qr/AUTH|\Q$blob\E|$secret/,
	    "4954-14-a $what: no secret");
}

# --- hostile hosts ------------------------------------------------------------

for my $name (sort keys %lies, 'manymechanisms') {
	like(outcome($name), qr/status=deferred/, "CLN-07 $name: deferred");
	unlike(heard($name), qr/^MAIL|\Q$blob\E|$secret/m,
	    "CLN-07 $name: no mail and no secret");
}
like(outcome('manylines'), qr/status=(?:deferred|sent)/,
    'CLN-07 200 lines of AUTH');

# Opportunistic TLS with a certificate of nobody's: only if the options for
# that say so.
$sut->set(smtp_sasl_tls_security_options => 'noplaintext',
    smtp_sasl_tls_verified_security_options => 'noanonymous');
$sut->reload;
like(outcome('anyone'), qr/status=deferred .*no mechanism available/,
    'CLN-07 PLAIN asked for under TLS with an unknown host: deferred');
is($sink{anyone}->count, 0, 'CLN-07 no mail');
like(outcome('verified'), qr/status=sent/,
    'CLN-07 a verified host gets the secret');

is(index($sut->log . $sut->output, $_), -1, 'CLN-07 no secret in a log')
    for $secret, $blob, encode_base64($secret, '');
is(join('', $sut->complaints), '', 'CLN-07 nothing crashed');
done_testing();
