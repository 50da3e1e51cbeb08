# smarthost.t - mail systems that log in at one another: this one at Debian's
# Postfix (whose users a Dovecot knows) and Exim, and those two here, with each
# mechanism that both have, by STARTTLS and with TLS at once.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(bin free_port need_root slurp spew wait_for);
use Postrider::CA;
use Postrider::Dovecot;
use Postrider::Exim;
use Postrider::Fixture;
use Postrider::Postfix;
use Test::More;

need_root();		# Postfix and Exim want users

my %port = map { $_ => free_port() } qw(submission submissions smtps);
my $password = 'sesame & "open" #1';
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtp_host_lookup => 'native',
	disable_dns_lookups => 'yes', smtpd_sasl_scram_iterations => 4096,
	smtp_sasl_auth_enable => 'yes',
	smtp_sasl_tls_security_options => 'noanonymous',
	minimal_backoff_time => '1000s' });
my $dir = $sut->dir;
my $ca = Postrider::CA->new("$dir/ca");
my $mx = $ca->issue(name => 'sut.test', san => ['localhost']);
my $theirs = $ca->issue(name => 'theirs.test', san => ['localhost']);
my $at = '-o smtp_tls_security_level=verify -o smtp_tls_CAfile=' . $ca->file;

# --- the systems --------------------------------------------------------------

# Its socket has to be there before it starts; its tokens are good at once.
my $dovecot = Postrider::Dovecot->new(user => $sut->user(1),
    login => $sut->user(0), users => { ann => $password }, oauth => 1,
    mechanisms => 'plain login cram-md5 scram-sha-256 xoauth2 oauthbearer');

# What the others say when they are clients, with each mechanism here.
my @here = qw(PLAIN LOGIN SCRAM-SHA-256);
my $postfix = Postrider::Postfix->new(settings => {
	relayhost => '[127.0.0.1]:' . $sut->remote->port,
	smtpd_tls_security_level => 'may',
	smtpd_tls_cert_file => $theirs->{chain},
	smtpd_tls_key_file => $theirs->{key},
	smtpd_sasl_auth_enable => 'yes', smtpd_sasl_type => 'dovecot',
	smtpd_sasl_path => $dovecot ? $dovecot->path : 'none',
	smtpd_sasl_security_options => 'noanonymous',
	smtpd_sasl_authenticated_header => 'yes', mynetworks => '127.0.0.2/32',
	smtpd_relay_restrictions =>
	    'permit_mynetworks, permit_sasl_authenticated, reject',
	smtp_sasl_auth_enable => 'yes',
	smtp_sasl_password_maps => 'inline:{ { localhost = bob:tiger } }',
	smtp_sasl_security_options => 'noanonymous',
	smtp_host_lookup => 'native', smtp_address_preference => 'ipv4',
	transport_maps => "texthash:$dir/postfix.transports",
	maillog_file => "$dir/postfix.log", minimal_backoff_time => '1000s',
    }, master => "127.0.0.1:$port{smtps} inet n - n - - smtpd" .
    " -o smtpd_tls_wrappermode=yes\n" . join '', map {
	my $o = "unix - - n - - smtp $at -o smtp_sasl_mechanism_filter=$_";
	"start-$_ $o\nwrap-$_ $o -o smtp_tls_wrappermode=yes\n" .
	"wrong-$_ $o -o smtp_sasl_password_maps=static:bob:no\n";
    } @here);

spew("$dir/postfix.transports", join '', map {
	my $m = $_;
	map { lc("$_->[0].$m.here.test") . " $_->[0]-$m:[localhost]:$_->[1]\n"
	    } ['start', $port{submission}], ['wrap', $port{submissions}],
	    ['wrong', $port{submission}];
    } @here);

# Exim uses the first mechanism that a server has, so that its two have a port
# each.
my %exim_way = (
	start => [$port{submission}, 'PLAIN', ''],
	wrap => [$port{submissions}, 'LOGIN', "\tprotocol = smtps\n"],
);
my %exim_says = (PLAIN => [':', '$auth2', '$auth3', '<; ^bob^tiger'],
    LOGIN => ['<| Username: | Password:', '$auth1', '$auth2',
    '<; ; bob ; tiger']);
my $exim = Postrider::Exim->new(tls => { cert => $theirs->{chain},
    key => $theirs->{key} },
    options => "auth_advertise_hosts = \${if eq{\$tls_in_cipher}{}{}{*}}\n",
    rcpt => "\taccept hosts = 127.0.0.2\n\tdeny !authenticated = *\n",
    authenticators => join('', map {
	my ($mechanism, $says) = ($_->[1], $exim_says{$_->[1]}); <<"END"
$mechanism:
	driver = plaintext
	public_name = $mechanism
	server_prompts = $says->[0]
	server_condition = \${if and{{eq{$says->[1]}{ann}}{eq{$says->[2]}{rose}}}}
	server_set_id = $says->[1]
	client_condition = \${if eq{\$host_port}{$_->[0]}}
	client_send = $says->[3]
END
    } values %exim_way),
    routes => [ map({ ("$_.exim.here.test", { host => 'localhost',
	port => $exim_way{$_}[0], lines => "\thosts_require_tls = *\n" .
	"\thosts_require_auth = *\n$exim_way{$_}[2]" }) } sort keys %exim_way),
	'*' => $sut->remote->port ]);

# --- this system --------------------------------------------------------------

# Services of ours as a client, for each mechanism; what they differ in is one
# list, so that a table of transports can be made of it.
my @there = qw(PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER);
my %way = (
	start => [], wrap => ['smtp_tls_wrappermode = yes'],
	wrong => ['MAPS = static:ann:no'],
	hard => ['MAPS = static:ann:no', 'smtp_sasl_auth_soft_bounce = no'],
	clear => ['smtp_tls_security_level = none'],
);
my ($services, $rows) = ('', '');
for my $mechanism (@there) {
	# Tokens go before passwords, where there are some.
	my $maps = $mechanism =~ /OAUTH/ ? 'smtp_sasl_token_maps' :
	    'smtp_sasl_password_maps';
	for my $way (sort keys %way) {
		my $name = "$way-$mechanism";
		$services .= "$name unix - - n - - smtp\n" . join '', map {
		    '  -o { ' . s/MAPS/$maps/r . " }\n" }
		    "smtp_sasl_mechanism_filter = $mechanism",
		    "MAPS = texthash:$dir/$maps",
		    'smtp_tls_security_level = verify',
		    'smtp_tls_CAfile = ' . $ca->file, @{ $way{$way} };
		my $domain = lc "$way.$mechanism";
		$rows .= "$domain.postfix.test $name:[localhost]:" .
		    ($way eq 'wrap' ? $port{smtps} : $postfix->port) . "\n"
		    if $postfix;
		$rows .= "$domain.exim.test $name:[localhost]:" .
		    ($way eq 'wrap' ? $exim->tls_port : $exim->port) . "\n"
		    if $exim;
	}
}
sub at_both
{
	my ($said, @ports) = @_;

	return join '', map { "[localhost]:$_ $said\n" } @ports;
}
my @to_postfix = $postfix ? ($postfix->port, $port{smtps}) : ();
my @to_exim = $exim ? ($exim->port, $exim->tls_port) : ();
spew("$dir/smtp_sasl_password_maps", at_both("ann:$password", @to_postfix) .
    at_both('ann:rose', @to_exim));
spew("$dir/smtp_sasl_token_maps", at_both('ann:' . ($dovecot ?
    $dovecot->token('ann', 600) : ''), @to_postfix));
spew("$dir/transports", $rows);
for (['submission', 'encrypt'], ['submissions', 'encrypt ' .
    '-o smtpd_tls_wrappermode=yes']) {
	$sut->{master} .= "127.0.0.1:$port{$_->[0]} inet n - n - - smtpd" .
	    " -o smtpd_tls_security_level=$_->[1]" .
	    " -o smtpd_sasl_auth_enable=yes" .
	    " -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n";
}
$sut->{master} .= $services;
$sut->set(smtpd_tls_chain_files => $mx->{all},
    transport_maps => "texthash:$dir/transports",
    default_transport => 'smtp:[127.0.0.1]:' . $sut->remote->port);
my ($status, $text) = $sut->run("tiger\n", bin() . '/postrider', '-c',
    $sut->etc, 'user', 'add', 'bob', '-');
is($status, 0, 'bob may log in here') or diag $text;
$sut->start;

# --- the claims ---------------------------------------------------------------

# One message from an address that need not log in; its recipient.
my $count = 0;
sub post
{
	my ($port, $domain) = @_;
	my $to = 'n' . ++$count . '@' . lc $domain;

	$sut->take($sut->_connect($port == $sut->port ? '127.0.0.1' :
	    '127.0.0.2', port => $port), from => 's@remote.test', to => [$to],
	    text => "Subject: to $to\n\nx\n");
	return $to;
}

sub arrived
{
	my ($to) = @_;

	return ($sut->wait_remote(qr/^Subject: to \Q$to\E\r$/m))[0]{data};
}

# What a log says of a recipient.
sub fate
{
	my ($log, $to) = @_;

	return wait_for(sub { $log->() =~
	    /^(.* (?:=>|==|\*\*|to=)[ <]*\Q$to\E[ >].*)$/m && $1 }, 20,
	    "the fate of $to\n" . $log->());
}
sub log_here { return $sut->log }

# We log in at a server, which shows it in the header of what it takes.
sub try_server
{
	my ($domain, $with, @mechanisms) = @_;
	my %to;

	for my $mechanism (@mechanisms) {
		$to{"$_ $mechanism"} = post($sut->port,
		    "$_.$mechanism.$domain") for qw(start wrap wrong hard);
	}
	for my $name (sort keys %to) {
		my ($way, $mechanism) = split / /, $name;
		my $fate = fate(\&log_here, $to{$name});
		if ($way eq 'wrong') {
			like($fate, qr/dsn=4\.7\.\d, status=deferred \(SASL authentication failed; server localhost\[127\.0\.0\.1\] said: 535 /,
			    "$mechanism: the wrong password waits");
			next;
		}
		if ($way eq 'hard') {
			like($fate, qr/dsn=5\.7\.\d, status=bounced \(SASL authentication failed; /,
			    "$mechanism: or comes back");
			next;
		}
		like($fate, qr/status=sent/, "$mechanism, $way: is sent")
		    or next;
		like(arrived($to{$name}), $with, 'and was known');
	}
}

# Another system logs in here.
my %seen;
sub try_client
{
	my ($port, $log, %domains) = @_;

	for my $domain (sort keys %domains) {
		my $mechanism = $domains{$domain};
		my $to = post($port, $domain);
		fate($log, $to);
		like(arrived($to), qr/with ESMTPSA id/, "$domain: is sent") or
		    diag $log->();
		is(scalar(() = $sut->log =~ /: client=\S+, sasl_method=$mechanism, sasl_username=bob\n/g),
		    ++$seen{$mechanism}, "by $mechanism");
	}
}

SKIP: {
	skip 'no Postfix: ' . Postrider::Postfix::why(), 2 unless $postfix;
	skip 'no Dovecot: ' . Postrider::Dovecot::why(), 2 unless $dovecot;
	$dovecot->start;
	$postfix->start;
	my $log = sub { slurp("$dir/postfix.log") };
	subtest 'Postfix, whose users Dovecot knows' => sub {
		try_server('postfix.test', qr/\(Authenticated sender: ann\).*\tby mail\.local\.test \(Postfix\) with ESMTPSA id /s,
		    @there);
		for my $mechanism (@there) {
			my $n = scalar(() = $log->() =~
			    /sasl_method=$mechanism, sasl_username=ann\n/g);
			is($n, 2, "it saw $mechanism");
		}
		# What must not be heard is not said without TLS.
		for my $mechanism (qw(PLAIN LOGIN XOAUTH2 OAUTHBEARER)) {
			like(fate(\&log_here, post($sut->port,
			    "clear.$mechanism.postfix.test")),
			    qr/status=deferred \(SASL authentication failed; .*no mechanism/,
			    "$mechanism in clear is not done");
		}
		for my $mechanism (qw(CRAM-MD5 SCRAM-SHA-256)) {
			like(fate(\&log_here, post($sut->port,
			    "clear.$mechanism.postfix.test")),
			    qr/status=sent/, "$mechanism is");
		}
	};
	my @plugins = glob '/usr/lib/*/sasl2/lib{plain,login,scram}.so';
	skip 'Postfix has no SASL as a client (libsasl2-modules)', 1
	    unless @plugins == 3;
	subtest 'Postfix logs in' => sub {
		try_client($postfix->port, $log, map { ("start.$_.here.test" =>
		    $_, "wrap.$_.here.test" => $_) } @here);
		for my $mechanism (@here) {
			my $to = post($postfix->port,
			    "wrong.$mechanism.here.test");
			like(fate($log, $to), qr/status=deferred .*535 5\.7\.8 /,
			    "$mechanism: the wrong password");
		}
	};
}
SKIP: {
	skip 'no Exim: ' . Postrider::Exim::why(), 2 unless $exim;
	$exim->start;
	my $log = sub { $exim->log };
	subtest 'Exim' => sub {
		try_server('exim.test',
		    qr/by exim\.test with esmtpsa\s+\(TLS1\.3\)/,
		    qw(PLAIN LOGIN));
		is(scalar(() = $exim->log =~ /<= s\@remote\.test .* A=$_:ann /g),
		    2, "it saw $_") for qw(PLAIN LOGIN);
	};
	subtest 'Exim logs in' => sub {
		try_client($exim->port, $log, map {
		    ("$_.exim.here.test" => $exim_way{$_}[1]) } keys %exim_way);
	};
}

$sut->stop;
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
