# secrets.t - the memory of a running smtp has no password after AUTH, in
# clear and in TLS, while the conversation is kept and when it failed.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use MIME::Base64;
use Test::More;
use Postrider qw(wait_for);
use Postrider::CA;
use Postrider::Memory qw(search_memory);

plan skip_all => 'the memory of others is root\'s to read'
    unless Postrider::is_root();
plan skip_all => 'sanitizers have more memory than can be read'
    if Postrider::is_sanitized();
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	smtp_connection_cache_time_limit => '60s',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => 'protocol', smtp_tls_security_level => 'may',
	smtp_helo_timeout => '30s', smtp_sasl_auth_enable => 'yes',
	smtp_sasl_security_options => 'noanonymous',
	debug_peer_list => '127.0.0.1',
});
my $etc = $mail->etc;
my $mx = Postrider::CA->new("$etc/ca")->issue(name => 'mx.test',
    key => 'rsa');

# Words that are nowhere else: each is made from pieces when it is needed.
my $n = 0;
sub word { return 'Canary' . substr md5_hex($$ . ' ' . ++$n), 0, 18 }

# All that a password may look like: as it is, and in base64 wherever it
# stands.
sub shapes
{
	my ($secret) = @_;

	return $secret, map { my $text = encode_base64('x' x $_ . $secret, '');
	    substr $text, $_ ? 4 : 0, 16 } 0 .. 2;
}

my (@cases, %secret, $routes, $passwords, $tokens);
sub server
{
	my ($name, $mechanism, %o) = @_;
	my $table = $mechanism =~ /OAUTH/ ? \$tokens : \$passwords;

	$secret{$name} = word();
	my $sink = $mail->sink(auth => { mechanisms => $mechanism,
	    user => 'alice', password => $secret{$name},
	    token => $secret{$name}, is_required => 1 }, %o);
	$routes .= "$name.test smtp:[127.0.0.1]:" . $sink->port . "\n";
	$$table .= '[127.0.0.1]:' . $sink->port . " alice:$secret{$name}\n";
	return $sink;
}
for my $mechanism (qw(PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2)) {
	server("clear-\L$mechanism", $mechanism);
	server("tls-\L$mechanism", $mechanism, tls => { cert => $mx->{cert},
	    key => $mx->{key} });
	push @cases, "clear-\L$mechanism", "tls-\L$mechanism";
}
server('refused', 'PLAIN', replies => sub {
	return $_[0] eq 'AUTH' ? "535 5.7.8 no: $_[1]" : undef;
});
server('broken', 'LOGIN', replies => sub {
	return $_[0] eq 'RESPONSE' ? 'CLOSE' : undef;
});
# Waits for a file before it takes the password.
server('waiting', 'PLAIN', replies => sub {
	return undef if $_[0] ne 'AUTH';
	select undef, undef, undef, 0.05 until -e "$etc/go";
	return '454 4.7.0 later';
});
Postrider::spew("$etc/routes", $routes);
Postrider::spew("$etc/passwords", $passwords);
Postrider::spew("$etc/tokens", $tokens);
$mail->set(transport_maps => "texthash:$etc/routes",
    smtp_sasl_password_maps => "texthash:$etc/passwords",
    smtp_sasl_token_maps => "texthash:$etc/tokens");
$mail->start;

my $count = 0;
sub send_to
{
	my ($name) = @_;
	my $to = 'r' . ++$count . "\@$name.test";

	$mail->send(from => 'me@x.test', to => [$to]);
	return $to;
}
sub outcome
{
	return $mail->wait_recipient(send_to(@_));
}
sub client { return grep { (readlink "/proc/$_/exe" // '') =~ m{/smtp$} }
    $mail->children }

like(outcome($cases[0]), qr/status=sent/, 'a first message');
my ($pid) = client();
for my $name (@cases) {
	like(outcome($name), qr/status=sent/, "$name: sent");
	is(join(' ', search_memory($pid, shapes($secret{$name}))), '',
	    "MEM-02 $name: nothing in memory while it is kept");
}
like(outcome($cases[0]), qr/conn_use=\d/, 'conversations are kept');

for my $name (qw(refused broken)) {
	like(outcome($name), qr/status=deferred/, "$name: deferred");
	is(join(' ', search_memory($pid, shapes($secret{$name}))), '',
	    "MEM-02 $name: nothing in memory");
}

# Does the search find what is there?
my $to = send_to('waiting');
wait_for(sub { search_memory($pid, $secret{waiting}) }, 20,
    'the password of a login that goes on');
pass('the search finds a password while it is needed');
Postrider::spew("$etc/go", '');
like($mail->wait_recipient($to), qr/status=deferred/,
    'the login is over');
is(join(' ', search_memory($pid, shapes($secret{waiting}))), '',
    'MEM-02 and then nothing');

is((client())[0], $pid, 'it was the same process all the time');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
