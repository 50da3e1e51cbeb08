# certificates.t - certificates that are renewed while the system runs are
# noticed, looked at by somebody who is not master, and taken into use if they
# are good; everything else goes on.

use strict;
use warnings;
use Test::More;
use File::Copy qw(copy);
use Postrider qw(is_root slurp spew wait_for);
use Postrider::CA;

my $mail = Postrider->new(settings => {
	tls_certificate_check_interval => '1s',
	smtpd_tls_security_level => 'may',
});
my $ca = Postrider::CA->new($mail->dir . '/ca');
my $live = $mail->dir . '/live';
mkdir $live or die "$live: $!";
my ($first, $second, $third) = map { $ca->issue(name => "$_.test") }
    qw(first second third);

# As certbot does: names are links to numbered files.
sub renew
{
	my ($name, $to) = @_;

	symlink $to, "$live/$name.new" or die "$!";
	rename "$live/$name.new", "$live/$name" or die "$!";
}

sub use_pair
{
	my ($pair) = @_;

	renew('privkey.pem', $$pair{key});
	renew('fullchain.pem', $$pair{chain});
}

use_pair($first);
$mail->set(smtpd_tls_chain_files =>
    "$live/privkey.pem, $live/fullchain.pem");
$mail->start;

# The processes of a program that are ready: number => pid.
sub pids
{
	my ($program) = @_;
	my ($status, $text) = $mail->postrider('status');

	return join ' ', sort $text =~ /^\S+\s+$program\s+(\d+)\s+ready/mg;
}

# What the server's certificate says now, in a new session.
sub served
{
	my $port = $mail->port;
	my $text = qx(echo QUIT | timeout 20 openssl s_client -connect \\
	    127.0.0.1:$port -starttls smtp -ign_eof 2>/dev/null | \\
	    openssl x509 -noout -subject 2>/dev/null);

	return $text =~ /CN = (\S+)/ ? $1 : '';
}

sub log_has { return scalar(() = $mail->log =~ /$_[0]/g) }

is served(), 'first.test', 'the first certificate is served';
ok wait_for(sub { pids('keys') =~ /^\d+$/ }), 'one process has the keys';
my $keys = pids('keys');
my $smtpd = pids('smtpd');
isnt $smtpd, '', 'smtpd runs';
my $client = $mail->client;
like $client->expect(220), qr/^220/, 'a session begins';
like $client->command('EHLO client.test'), qr/^250/m, 'and goes on';

# --- renewed ---------------------------------------------------------------

use_pair($second);
my $told = qr/certificates have changed: keys started again \(\Q$live\E\/privkey\.pem, \Q$live\E\/fullchain\.pem\)/;
ok wait_for(sub { log_has($told) }), 'new certificates are told, with the files'
    or diag $mail->log;
ok wait_for(sub { pids('keys') =~ /^\d+$/ && pids('keys') ne $keys }),
    'another process has the keys';
ok wait_for(sub { served() eq 'second.test' }), 'and the new one is served';
is pids('smtpd'), $smtpd, 'smtpd goes on';
like $client->command('NOOP'), qr/^250/, 'so does the session';
is log_has($told), 1, 'it is told once';

# --- half of it, or bad ----------------------------------------------------

$keys = pids('keys');
renew('privkey.pem', $$third{key});
ok wait_for(sub { log_has(qr/certificates have changed and cannot be used/) }),
    'a key without its certificate is told';
like $mail->log, qr{error: \S+main\.cf:\d+: smtpd_tls_chain_files: \Q$live\E/fullchain\.pem:1: the certificate of second\.test does not belong to the private key at},
    'with what is wrong';
sleep 3;	# three more looks
is log_has(qr/does not belong to the private key/), 1,
    'X2 once, however often the files are looked at';
is pids('keys'), $keys, 'X1 the process that has good ones stays';
is served(), 'second.test', 'and serves them';

renew('fullchain.pem', $$third{chain});
ok wait_for(sub { log_has(qr/keys started again \(\Q$live\E\/fullchain/) }),
    'the other half is noticed';
ok wait_for(sub { served() eq 'third.test' }), 'and both are served';

# --- later, and by reload --------------------------------------------------

my $late = $mail->dir . '/late.pem';
$mail->set(smtpd_tls_chain_files => $late);
my ($status, $text) = $mail->postrider('reload');
is $status, 1, 'a reload refuses a file that is not there';
like $text, qr{error: \S+main\.cf:\d+: smtpd_tls_chain_files: \Q$late\E: No such file},
    'which is told';
is served(), 'third.test', 'and the old ones are served';
$mail->stop;
$mail->start;
is served(), '', 'a start goes on without TLS';
like $mail->log, qr{error: \S+ smtpd_tls_chain_files: \Q$late\E: No such file},
    'and tells why';
copy($$first{all}, "$late.new");
chmod 0600, "$late.new";
rename "$late.new", $late;
ok wait_for(sub { log_has(qr/keys started again \(\Q$late\E\)/) }),
    'it is noticed when it comes';
ok wait_for(sub { served() eq 'first.test' }), 'and served';

my $table = $mail->etc . '/sni';
my ($a, $b) = map { $ca->issue(name => "$_.test") } qw(a b);
spew($table, "mx.test $$a{all}\n");
$mail->set(tls_server_sni_maps => "texthash:$table");
$mail->postrider('reload');
spew($table, "mx.test $$b{all}\n");
ok wait_for(sub { log_has(qr/keys started again \(\Q$table\E, \Q$$b{all}\E\)/)
    }), 'a table that names other files is noticed, and they with it';

$mail->stop;
unlike $mail->log, qr/panic|exit status|killed by/, 'nothing went wrong'
    or diag $mail->log;
done_testing();
