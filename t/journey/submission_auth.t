# submission_auth.t - users log in with the mail programs that they have, at the
# services of the master.cf that is shipped (587 with STARTTLS, 465 with TLS at
# once), and send mail to the world; who cannot log in, or is somebody else,
# does not.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(bin free_port need_root slurp spew wait_for);
use Postrider::CA;
use Postrider::Fixture;
use Test::More;

need_root();		# the users' table is root's

my $python = '/usr/bin/python3';
my $password = 'sesame & "open" 100%';
my %port = map { $_ => free_port() } qw(submission submissions owned);

# The lines of a service as they are shipped, at a port of the test.
sub shipped
{
	my ($name, $port) = @_;
	my ($lines) = slurp('conf/master.cf') =~
	    /^(\Q$name\E[ ]+inet .*\n(?:[ \t]+-o .*\n)+)/m
	    or die "no $name in conf/master.cf";

	return $lines =~ s/^\S+/127.0.0.1:$port/r;
}

my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_tls_received_header => 'yes',
	smtp_tls_security_level => 'may', smtpd_sasl_scram_iterations => 4096,
	smtpd_sender_login_maps => 'inline:{ { ann@local.test = ann }, ' .
	    '{ bob@local.test = bob@local.test } }',
    }, master => shipped('submission', $port{submission}) .
    shipped('submissions', $port{submissions}) .
    shipped('submission', $port{owned}) =~
	s/(smtpd_sender_restrictions)=/$1=reject_sender_login_mismatch/r);
my $dir = $sut->dir;
my $ca = Postrider::CA->new("$dir/ca");
my $mx = $ca->issue(name => 'sut.test', san => ['localhost', '127.0.0.1',
    'sut.test']);
$sut->set(smtpd_tls_chain_files => $mx->{all});
for my $user ('ann', 'bob@local.test') {
	my ($status, $text) = $sut->run("$password\n", bin() . '/postrider',
	    '-c', $sut->etc, 'user', 'add', $user, '-');
	is($status, 0, "postrider user add $user") or diag $text;
}
$sut->start;
my ($status, $text) = $sut->postrider('check');
is($status, 0, 'postrider check has no objection') or diag $text;

# --- the programs -------------------------------------------------------------

# Each takes what it needs of: service, mechanism, user, password, from, to,
# subject, and says what it was told: (status, text).
my $ca_file = $ca->file;
my %program = (
	swaks => sub {
		my (%o) = @_;
		return $sut->run('', 'swaks', '--server', 'localhost',
		    '--port', $port{$o{service}}, '--ehlo', 'swaks.test',
		    ($o{service} eq 'submissions' ? '--tls-on-connect' :
		    '--tls'), '--tls-verify', '--tls-ca-path', $ca_file,
		    '--from', $o{from}, '--to', $o{to}, '--header',
		    "Subject: $o{subject}", defined $o{mechanism} ?
		    ('--auth', $o{mechanism}, '--auth-user', $o{user},
		    '--auth-password', $o{password}) : ());
	},
	curl => sub {
		my (%o) = @_;
		return $sut->run("Subject: $o{subject}\r\n\r\nx\r\n", 'curl',
		    '-q', '-vsS', '--noproxy', '*', '--max-time', 20, '--url',
		    ($o{service} eq 'submissions' ? 'smtps' : 'smtp') .
		    "://localhost:$port{$o{service}}/curl.test", '--ssl-reqd',
		    '--cacert', $ca_file, '--mail-from', $o{from},
		    '--mail-rcpt', $o{to}, '--upload-file', '-',
		    defined $o{mechanism} ? ('--user',
		    "$o{user}:$o{password}", '--login-options',
		    "AUTH=$o{mechanism}") : ());
	},
	msmtp => sub {
		my (%o) = @_;
		spew("$dir/password", "$o{password}\n") if $o{password};
		return $sut->run("Subject: $o{subject}\n\nx\n", 'msmtp',
		    '--host=localhost', "--port=$port{$o{service}}",
		    '--domain=msmtp.test', '--tls=on', '--tls-starttls=' .
		    ($o{service} eq 'submissions' ? 'off' : 'on'),
		    "--tls-trust-file=$ca_file", '--timeout=20',
		    "--from=$o{from}", (defined $o{mechanism} ? ('--auth=' .
		    lc $o{mechanism}, "--user=$o{user}",
		    "--passwordeval=cat $dir/password") : '--auth=off'),
		    '--', $o{to});
	},
	smtplib => sub {
		my (%o) = @_;
		return $sut->run(<<'END', $python, '-', $port{$o{service}},
import smtplib, ssl, sys
port, ca, start, mechanism, user, password, sender, to, subject = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if start == "submissions":
    server = smtplib.SMTP_SSL("localhost", int(port), "python.test",
        context=context)
else:
    server = smtplib.SMTP("localhost", int(port), "python.test")
    server.starttls(context=context)
try:
    server.ehlo()
    server.user, server.password = user, password
    if mechanism == "login()":
        server.login(user, password)
    elif mechanism == "PLAIN":
        server.auth("PLAIN", server.auth_plain)
    elif mechanism == "LOGIN":
        server.auth("LOGIN", server.auth_login)
    server.sendmail(sender, [to], "Subject: " + subject + "\r\n\r\nx\r\n")
    server.quit()
except smtplib.SMTPException as e:
    print(repr(e))
    sys.exit(9)
END
		    $ca_file, $o{service}, $o{mechanism} // '', $o{user} // '',
		    $o{password} // '', $o{from}, $o{to}, $o{subject});
	},
);

# How each says that the password is wrong, and that nobody may relay: a status
# and what it says.
my %verdict = (
	swaks => [28, qr/<~\* 535 5\.7\.8 /, 24, qr/<~\* 5\d\d 5\.7\./],
	curl => [67, qr/< 535 5\.7\.8 /, 55, qr/< 5\d\d 5\.7\./],
	msmtp => [77, qr/535 5\.7\.8 /, 65, qr/5\d\d 5\.7\./],
	smtplib => [9, qr/SMTPAuthenticationError\(535, b'5\.7\.8 /, 9,
	    qr/\(5\d\d, b'5\.7\./],
);
my %mechanisms = (
	swaks => ['PLAIN', 'LOGIN'], curl => ['PLAIN', 'LOGIN'],
	msmtp => ['PLAIN', 'LOGIN'], smtplib => ['PLAIN', 'LOGIN', 'login()'],
);
push @{ $mechanisms{msmtp} }, 'SCRAM-SHA-256'
    if ($sut->run('', 'msmtp', '--version'))[1] =~ /\bscram-sha-256\b/;

# A message on its way through the world: what arrived.
sub arrived
{
	my ($subject) = @_;

	return ($sut->wait_remote(qr/^Subject: $subject\r$/m))[0]{data};
}

my $refused = 0;
sub failures
{
	return scalar(() = $sut->log =~ /^\S+ \S+ \S+ \S+?\/smtpd\[\d+\]:\ warning:
	    \ \S+\[127\.0\.0\.1\]:\ SASL\ (?:PLAIN|LOGIN|SCRAM-SHA-256)
	    \ authentication\ failed:\ /mgx);
}

sub try_program
{
	my ($name, $service) = @_;
	my ($no, $why, $never, $told) = @{ $verdict{$name} };
	my %usual = (service => $service, from => 'ann@local.test',
	    to => 'far@remote.test', user => 'ann', password => $password);

	for my $mechanism (@{ $mechanisms{$name} }) {
		my $subject = $sut->subject;
		my ($status, $text) = $program{$name}->(%usual,
		    mechanism => $mechanism, subject => $subject);
		is($status, 0, "$mechanism: she may send") or diag $text;
		like(arrived($subject), qr/
		    \(using\ TLSv1\.3\ with\ cipher\ \S+ .*
		    \tby\ sut\.test\ \(\S+\)\ with\ ESMTPSA\ id\ /xs,
		    'as ESMTPSA');
		($status, $text) = $program{$name}->(%usual,
		    mechanism => $mechanism, subject => $sut->subject,
		    password => "$password!");
		is($status, $no, "$mechanism: the wrong password") or
		    diag $text;
		like($text, $why, 'she is told so');
		cmp_ok(failures(), '>', $refused, 'and the log');
		$refused = failures();
	}
	my ($status, $text) = $program{$name}->(%usual,
	    subject => $sut->subject);
	is($status, $never, 'who does not log in') or diag $text;
	like($text, $told, 'sends nothing');
}
for my $name (sort keys %program) {
	for my $service (qw(submission submissions)) {
		subtest "$name at $service" => sub {
			try_program($name, $service);
		};
	}
}

# --- what the server minds ----------------------------------------------------

$sut->stop;
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
