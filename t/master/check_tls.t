# check_tls.t - what would leave passwords in clear, the door open to everybody,
# or closed to all, is told by `postrider check` with its line.

use strict;
use warnings;
use Test::More;
use Postrider qw(free_port slurp);
use Postrider::CA;

my $mail = Postrider->new(files => { users => "" });
my $ca = Postrider::CA->new($mail->dir . '/ca');
my $mx = $ca->issue(name => 'mx.test', key => 'ec');
my $port = free_port();
my ($status, $text);

# Check one more service with these options, in a configuration with these
# settings; both are forgotten afterwards.
sub check
{
	my ($options, %settings) = @_;
	my %before = map { $_ => $mail->{settings}{$_} } keys %settings;
	my $name = delete $settings{service} // $port;

	$mail->{master} = "$name inet n - n - - smtpd\n" .
	    join('', map { "  -o $_\n" } @$options);
	$mail->set(%settings);
	($status, $text) = $mail->postrider('check');
	$mail->set(%before);
	delete $mail->{settings}{$_}
	    for grep { !defined $before{$_} } keys %before;
}

my @auth = ('smtpd_sasl_auth_enable=yes');
my @safe = ('smtpd_tls_security_level=encrypt', @auth,
    'smtpd_tls_auth_only=yes', 'smtpd_client_restrictions=',
    'smtpd_relay_restrictions=permit_sasl_authenticated,reject',
    'smtpd_recipient_restrictions=', "smtpd_tls_chain_files=$$mx{all}");

check(\@safe);
is $status, 0, 'a service for users that log in is good' or diag $text;
is $text, '', 'without a word';

# --- certificates ----------------------------------------------------------

check([@safe[0 .. $#safe - 1]]);
is $status, 0, 'TLS for all without a certificate stops nothing' or diag $text;
like $text, qr/warning: \S+master\.cf:2: smtpd_tls_security_level = encrypt, and there is no certificate: no client can use this service; set smtpd_tls_chain_files$/m,
    'but is told';
check(['smtpd_tls_wrappermode=yes']);
like $text, qr/warning: \S+master\.cf:2: smtpd_tls_wrappermode = yes, and there is no certificate/,
    'in wrapper mode, too';
check([], smtpd_tls_security_level => 'encrypt');
is scalar(() = $text =~ /main\.cf:\d+: smtpd_tls_security_level = encrypt, and/g),
    1, 'once, when main.cf says it for all';
check(['smtpd_tls_security_level=encrypt'], inet_interfaces => 'loopback-only');
unlike $text, qr/warning: \S+ smtpd_tls_security_level/,
    'no warning where only this machine comes';
like $text, qr/: \S+master\.cf:2: smtpd_tls_security_level = encrypt, and/,
    'but a note';
check(['smtpd_tls_security_level=may']);
is $text, '', 'a certificate that nobody needs is not asked for';

check([], smtpd_tls_chain_files => '/no/such.pem');
is $status, 1, 'a certificate that is not there';
like $text, qr{error: \S+main\.cf:\d+: smtpd_tls_chain_files: /no/such\.pem: No such file},
    'is told with its line';
is scalar(() = $text =~ /such\.pem/g), 1, 'once';
my $old = $ca->issue(name => 'old.test', days => -2);
check(["smtpd_tls_cert_file=$$old{chain}", "smtpd_tls_key_file=$$old{key}"]);
is $status, 0, 'an expired one stops nothing' or diag $text;
like $text, qr/warning: \S+master\.cf:2: smtpd_tls_cert_file: \Q$$old{chain}\E:1: the certificate of old\.test expired on 20/,
    'and is told with the line of the service';
check(["smtpd_tls_cert_file=$$old{chain}", "smtpd_tls_key_file=$$mx{key}"]);
is $status, 1, 'a key of another certificate is an error';
like $text, qr/the certificate of old\.test does not belong to the private key at/,
    'told';
my $soon = $ca->issue(name => 'soon.test', days => 3.5);
check([], smtpd_tls_chain_files => $$soon{all});
like $text, qr/warning: .*soon\.test expires in 3 days/,
    'the end is told before it comes';

# --- passwords -------------------------------------------------------------

check([@auth, 'smtpd_tls_security_level=none']);
like $text, qr/warning: \S+master\.cf:2: smtpd_sasl_auth_enable = yes on a service without TLS: passwords travel in clear; set smtpd_tls_security_level = encrypt/,
    'AUTH without TLS';
check([@auth, 'smtpd_tls_security_level=may']);
like $text, qr/warning: \S+master\.cf:2: smtpd_sasl_auth_enable = yes with smtpd_tls_auth_only = no: passwords may travel in clear/,
    'AUTH before TLS';
check([@auth, 'smtpd_tls_security_level=may',
    'smtpd_sasl_security_options=noanonymous,noplaintext']);
unlike $text, qr/passwords/, 'mechanisms without passwords may';
check([@auth, 'smtpd_tls_auth_only=yes']);
like $text, qr/nobody can log in; set smtpd_tls_security_level = may/,
    'AUTH that waits for a TLS there is not';
check([@auth], service => "127.0.0.1:$port");
unlike $text, qr/passwords/, 'on loopback nobody listens';
check([@safe, 'smtpd_sasl_tls_security_options=']);
like $text, qr/warning: \S+master\.cf:2: smtpd_sasl_tls_security_options is without noanonymous/,
    'logins of nobody';
check([@safe, 'smtpd_sasl_exceptions_networks=0.0.0.0/0']);
like $text, qr{warning: \S+master\.cf:2: smtpd_sasl_exceptions_networks has 0\.0\.0\.0/0: AUTH is offered to nobody},
    'exceptions for everybody';
$mail->{master} = "slow unix - - n - - smtp\n" .
    "  -o smtp_sasl_auth_enable=yes -o smtp_tls_security_level=may\n" .
    "  -o smtp_sasl_security_options=noanonymous\n";
$mail->write_config;
($status, $text) = $mail->postrider('check');
like $text, qr/warning: \S+master\.cf:2: smtp_sasl_auth_enable = yes, and neither smtp_tls_security_level demands TLS nor/,
    'our own password at another server';

# --- relaying --------------------------------------------------------------

my $open = qr/warning: \S+master\.cf:2: .*(?:anybody m\w+|bought one may) send/;
sub relay_is
{
	my ($is_open, $name, @options) = @_;

	check([@options]);
	if ($is_open) {
		like $text, $open, "open: $name";
	} else {
		unlike $text, qr/anybody m\w+ send/, "closed: $name";
	}
}

my ($relay, $recipient) = map { "smtpd_${_}_restrictions" }
    qw(relay recipient);
relay_is(1, 'permit', "$relay=permit");
relay_is(1, 'nothing', "$relay=", "$recipient=");
relay_is(1, 'permit before what refuses',
    "$relay=permit_mynetworks,permit,reject_unauth_destination");
relay_is(1, 'what refuses only warns',
    "{ $relay=permit_mynetworks, warn_if_reject reject_unauth_destination }");
relay_is(1, 'only logins are permitted, nobody is refused',
    "$relay=permit_sasl_authenticated");
relay_is(1, 'a table that says OK to all',
    "{ $relay = check_client_access static:OK, reject }");
relay_is(1, 'a network without bounds', 'mynetworks=127.0.0.0/8,0.0.0.0/0');
relay_is(1, 'one for IPv6', 'mynetworks=[::]/0');
relay_is(1, 'half of the Internet', 'mynetworks=128.0.0.0/1');
relay_is(1, 'certificates of anybody',
    "$relay=permit_tls_all_clientcerts,reject_unauth_destination",
    'smtpd_tls_CApath=/etc/ssl/certs', 'smtpd_tls_ask_ccert=yes');
relay_is(1, 'every domain is ours', 'relay_domains=static:all');
relay_is(0, 'as it comes');
relay_is(0, 'the second list refuses', "$relay=permit",
    "$recipient=permit_mynetworks,reject_unauth_destination");
relay_is(0, 'the first list refuses', "$relay=permit_mynetworks,reject",
    "$recipient=permit");
relay_is(0, 'clients are refused before', "$relay=permit",
    'smtpd_client_restrictions=permit_sasl_authenticated,reject');
relay_is(0, 'a class refuses', 'smtpd_restriction_classes=ours',
    'ours=permit_mynetworks,reject', "$relay=ours");
relay_is(0, 'a great network of our own', 'mynetworks=10.0.0.0/8');
relay_is(0, 'a network without bounds that is not asked for',
    'mynetworks=0.0.0.0/0', "$relay=permit_sasl_authenticated,reject");
relay_is(0, 'certificates of a CA of our own',
    "$relay=permit_tls_all_clientcerts,reject_unauth_destination",
    'smtpd_tls_CAfile=' . $ca->file, 'smtpd_tls_ask_ccert=yes');
check(["$relay=permit"], service => "127.0.0.1:$port");
unlike $text, qr/anybody m\w+ send/, 'closed: nobody comes to loopback';

# --- as it comes -----------------------------------------------------------

# conf/master.cf on ports of ours, with what conf/main.cf has of TLS and AUTH.
my $master = slurp('conf/master.cf');
my @ports = map { free_port() } 1 .. 3;
is $master =~ s/^(smtp|submissions?)(\s+inet\s)/shift(@ports) . $2/gem, 3,
    'the master.cf that is installed has three ports';
my %ours = slurp('conf/main.cf') =~
    /^((?:smtpd?_(?:tls|sasl)|local_header)\w+) = (.*)$/mg;
is $ours{"${_}_tls_security_level"}, 'may', "$_ encrypts with whom can"
    for qw(smtp smtpd);
delete $mail->{settings}{$_} for qw(tls_server_sni_maps);
$mail->{wants_port} = 0;
$mail->{master} = $master;
$mail->set(%ours, inet_interfaces => 'loopback-only');
($status, $text) = $mail->postrider('check');
is $status, 0, 'it is good' or diag $text;
unlike $text, qr/warning|error/, 'nothing to warn of';
is scalar(() = $text =~ /there is no certificate: no client can use/g), 2,
    'but that two services wait for a certificate';
$mail->set(inet_interfaces => '127.0.0.1',
    smtpd_tls_chain_files => $$mx{all});
($status, $text) = $mail->postrider('check');
is $text, '', 'with one there is nothing to say';
done_testing();
