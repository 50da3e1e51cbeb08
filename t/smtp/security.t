# security.t - the parameters of TLS as a client: levels in old and new words,
# versions, ciphers, trust, names, port 465, LMTP, certificates of our own. Each
# service of master.cf has settings of its own.
use strict;
use warnings;
use Test::More;
use Postrider;
use Postrider::CA;
use File::Temp;

my $work = File::Temp->newdir('prt-ca-XXXXXX', DIR => '/tmp');
chmod 0755, $work;
my $ca = Postrider::CA->new("$work/ca");
my $other = Postrider::CA->new("$work/other");
my $mx = $ca->issue(name => 'mx', san => ['mx.test']);
my $user = $ca->issue(name => 'client.test', client => 1);
my $print = $ca->fingerprint($mx->{cert}, 'sha512');
my $key_print = $ca->key_fingerprint($mx->{cert});
my $shut = "smtp_tls_CAfile=" . $ca->file;
my $verify = "smtp_tls_security_level=verify";
my $encrypt = "smtp_tls_security_level=encrypt";
my $may = "smtp_tls_security_level=may";
Postrider::spew("$work/empty.pem", '');
Postrider::spew("$work/both.pem", Postrider::slurp($other->file) .
    Postrider::slurp($ca->file));

# The hosts.
my %tls = (cert => $mx->{chain}, key => $mx->{key});
my %hosts = (
	good => { tls => { %tls } },
	wrapped => { tls => { %tls, wrapped => 1 } },
	tls10 => { tls => { %tls, version => 'TLSv1',
	    ciphers => 'ALL:@SECLEVEL=0' } },
	tls12 => { tls => { %tls, version => 'TLSv1_2' } },
	anonymous => { tls => { version => 'TLSv1_2',
	    ciphers => 'aNULL:@SECLEVEL=0' } },
	null => { tls => { %tls, version => 'TLSv1_2',
	    ciphers => 'eNULL:@SECLEVEL=0' } },
	rsa => { tls => { %tls, version => 'TLSv1_2',
	    ciphers => 'AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384' } },
	asking => { tls => { %tls, client_ca => $ca->file } },
	hasty => { tls => { %tls }, replies => sub {
		my ($verb, undef, $s) = @_;
		return "250-sink.test\r\n250 HELP\r\n250 2.1.0 for you"
		    if $verb eq 'EHLO' && $s->{tls};
		return undef;
	} },
	lmtp => { tls => { %tls }, lmtp => 1 },
);

# Service, host, what its line of master.cf has; and what becomes of mail:
# 1 (sent in TLS), 0 (sent in clear) or what the log says of it.
my @services = (
	[use => 'good', 'smtp_use_tls=yes', 1],
	[unused => 'good', 'smtp_use_tls=no', 0],
	[force => 'good', "smtp_enforce_tls=yes $shut", 1],
	[forcetwo => 'good', 'smtp_enforce_tls=yes smtp_use_tls=yes',
	    qr/Server certificate not trusted/],
	[forcename => 'good',
	    'smtp_enforce_tls=yes smtp_tls_enforce_peername=no', 1],
	[levelwins => 'good', 'smtp_enforce_tls=yes smtp_tls_security_level' .
	    '=none', 0],
	[typo => 'good', 'smtp_tls_security_level=encryt',
	    qr/smtp_tls_security_level = encryt/],
	[dane => 'good', 'smtp_tls_security_level=dane',
	    qr/smtp_tls_security_level = dane is not supported/],

	[port => 'wrapped', "$encrypt smtp_tls_wrappermode=yes", 1],
	[portmay => 'wrapped', "$may smtp_tls_wrappermode=yes",
	    qr/smtp_tls_wrappermode = yes requires "smtp_tls_security_level/],
	[portname => 'wrapped', "$verify smtp_tls_wrappermode=yes $shut", 1],
	[portca => 'wrapped', "$verify smtp_tls_wrappermode=yes",
	    qr/Server certificate not trusted/],
	[portclear => 'plain', "$encrypt smtp_tls_wrappermode=yes",
	    qr/Cannot start TLS: handshake failure/],

	[version => 'tls10', $encrypt, qr/Cannot start TLS: handshake fail/],
	[versionold => 'tls10', "$encrypt " .
	    'smtp_tls_mandatory_protocols=>=TLSv1', 1],
	[versionmay => 'tls10', $may, 0],
	[versionten => 'tls10', "$may smtp_tls_protocols=>=TLSv1", 1],
	[versionbad => 'good', "$encrypt " .
	    'smtp_tls_mandatory_protocols=TLSv7',
	    qr/smtp_tls_mandatory_protocols = TLSv7/],
	[versionother => 'good', "$may smtp_tls_mandatory_protocols=TLSv7", 1],
	[newest => 'tls12', "$encrypt " .
	    'smtp_tls_mandatory_protocols=>=TLSv1.3',
	    qr/Cannot start TLS: handshake failure/],
	[older => 'tls12', $encrypt, 1],
	[anonymous => 'anonymous', $encrypt,
	    qr/Cannot start TLS: handshake failure/],
	[null => 'null', $encrypt, qr/Cannot start TLS: handshake failure/],
	[nullmay => 'null', $may, 0],
	[secrecy => 'rsa', $encrypt, 1],
	[exclude => 'rsa', "$encrypt smtp_tls_exclude_ciphers=kECDHE" .
	    ' smtp_tls_mandatory_exclude_ciphers=kRSA',
	    qr/Cannot start TLS: handshake failure/],
	[gradebad => 'good', "$may smtp_tls_ciphers=best",
	    qr/smtp_tls_ciphers = best/],

	[system => 'good', $verify, qr/Server certificate not trusted/],
	[cafile => 'good', "$verify $shut", 1],
	[caother => 'good', "$verify smtp_tls_CAfile=" . $other->file,
	    qr/Server certificate not trusted/],
	[caboth => 'good', "$verify smtp_tls_CAfile=$work/both.pem", 1],
	[camissing => 'good', "$verify smtp_tls_CAfile=$work/nothing.pem",
	    qr/smtp_tls_CAfile.*nothing\.pem/],
	[caempty => 'good', "$verify smtp_tls_CAfile=$work/empty.pem",
	    qr/smtp_tls_CAfile.*empty\.pem/],
	[caneedless => 'good', "$encrypt smtp_tls_CAfile=$work/nothing.pem",
	    1],
	[anchor => 'good', "$verify smtp_tls_trust_anchor_file=" . $ca->file,
	    1],
	[anchorother => 'good', "$verify $shut smtp_tls_trust_anchor_file=" .
	    $other->file, qr/Server certificate not trusted/],
	[matches => 'good', "$verify $shut " .
	    'smtp_tls_verify_cert_match=other.test,.test', 1],
	[matchhop => 'good', "$verify $shut " .
	    'smtp_tls_verify_cert_match=nexthop,other.test', 1],
	[mismatch => 'good', "$verify $shut " .
	    'smtp_tls_verify_cert_match=.mx.test,other.test',
	    qr/Server certificate not verified/],
	[secure => 'good', "smtp_tls_security_level=secure $shut " .
	    'smtp_tls_secure_cert_match=other.test',
	    qr/Server certificate not verified/],
	[digest => 'good', 'smtp_tls_security_level=fingerprint ' .
	    'smtp_tls_fingerprint_digest=sha512 ' .
	    "smtp_tls_fingerprint_cert_match=$print", 1],
	[keyprint => 'good', 'smtp_tls_security_level=fingerprint ' .
	    "smtp_tls_fingerprint_cert_match=\L$key_print", 1],
	[noprint => 'good', 'smtp_tls_security_level=fingerprint',
	    qr/smtp_tls_fingerprint_cert_match/],

	[sni => 'good', $encrypt, 1],
	[sniother => 'good', "$encrypt smtp_tls_servername=front.test", 1],
	[sninone => 'good', $encrypt, 1],
	[hasty => 'hasty', "$may smtp_tls_block_early_mail_reply=yes",
	    qr/answered before it was asked, inside TLS/],
	[offer => 'good', 'smtp_tls_note_starttls_offer=yes', 0],
	[loud => 'good', "$may smtp_tls_loglevel=1", 1],
	[quiet => 'good', "$may smtp_tls_loglevel=0", 1],
	[discard => 'good', "$encrypt smtp_discard_ehlo_keywords=starttls",
	    qr/TLS is required, but was not offered by host/],
	[nohelo => 'good', "$encrypt smtp_never_send_ehlo=yes",
	    qr/TLS is required, but was not offered by host/],
	[identity => 'asking', "$encrypt smtp_tls_cert_file=$user->{chain} " .
	    "smtp_tls_key_file=$user->{key}", 1],
	[nobody => 'asking', $encrypt, qr/lost connection with/],
	[lmtp => 'lmtp', 'lmtp_tls_security_level=encrypt', 1],
	[lmtpname => 'lmtp', 'lmtp_tls_security_level=verify',
	    qr/Server certificate not trusted/],
	[lmtpclear => 'lmtp', 'lmtp_tls_security_level=', 0],
	[unix => 'unix', 'lmtp_tls_security_level=may', 0],
	[unixtls => 'unix', 'lmtp_tls_security_level=encrypt',
	    qr/TLS is required, but was not offered by host/],
);

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', lmtp_host_lookup => 'native',
	smtp_processes => 1, lmtp_processes => 1,
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '', smtp_connection_cache_on_demand => 'no',
	lmtp_connection_cache_on_demand => 'no',
}, master => join('', map { my ($name, undef, $options) = @$_;
	"$name unix - - n - - " . ($options =~ /^lmtp/ ? 'lmtp' : 'smtp') .
	' ' . join(' ', map { "-o $_" } split / /, $options) . "\n" }
    @services));
my $etc = $mail->etc;
my %sink = map { ($_ => $mail->sink(%{ $hosts{$_} })) } sort keys %hosts;
$sink{plain} = $mail->sink;
my $path = $mail->dir . '/store.sock';
$sink{unix} = $mail->sink(lmtp => 1, path => $path);
chmod 0666, $path;

Postrider::spew("$etc/hosts", "127.0.0.1 mx.test\n");
Postrider::spew("$etc/routes", join '', map {
	my ($name, $host) = @$_;
	"$name.test $name:" . ($host eq 'unix' ? "unix:$path" :
	    ($name eq 'sninone' ? '[127.0.0.1]:' : '[mx.test]:') .
	    $sink{$host}->port) . "\n" } @services);
$mail->set(transport_maps => "texthash:$etc/routes",
    dns_hosts_file => "$etc/hosts");
$mail->start;

my %message;
for (@services) {
	my ($name, $host, $options, $wanted) = @$_;
	my $before = $sink{$host}->count;
	$mail->send(from => '', to => ["r\@$name.test"]);
	my $line = $mail->wait_log(qr/to=<r\@$name\.test>, relay=.*\n/, 30);
	my $message = $message{$name} = ($sink{$host}->messages)[-1];

	if (ref $wanted) {
		like($line, qr/dsn=4\.\d\.\d, status=deferred .*$wanted/,
		    "$name: waits with $options");
		is($sink{$host}->count, $before, "$name: nothing is sent");
	} else {
		ok($line =~ /status=sent/ && $sink{$host}->count > $before &&
		    !!$message->{tls} == !!$wanted, "$name: sent " .
		    ($wanted ? 'in TLS' : 'in clear') . " with $options")
		    or diag $line;
	}
}

is($message{sni}{tls}{sni}, 'mx.test', 'SNI is the name of the host');
is($message{sniother}{tls}{sni}, 'front.test', 'or the one that is set');
is($message{sninone}{tls}{sni}, '', 'and no address');
is($message{identity}{tls}{client}, 'client.test',
    'our own certificate is shown to who asks for it');
like($message{secrecy}{tls}{cipher}, qr/^ECDHE/, 'forward secrecy first');
is($message{sni}{tls}{version}, 'TLSv1_3', 'the newest version first');
like($mail->log, qr/Host offered STARTTLS: \[mx\.test\]/,
    'an offer that we do not want is in the log if that is wanted');
is($mail->said(qr/TLS connection established/), 1, 'a session is, once, where smtp_tls_loglevel says so');
Postrider::wait_for(sub { $sink{good}->farewells =~ /polite/ }, 10,
    'farewells');
unlike($sink{good}->farewells, qr/rude/, 'TLS ends with close_notify');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
