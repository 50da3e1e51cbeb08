# testssl.t - what testssl.sh says of port 25 (STARTTLS) and of the one for
# submissions, with the settings that are there when nobody sets any.
#
#	POSTRIDER_LONG=1 prove -v t/journey/testssl.t
#
# It takes some minutes. Nothing above LOW may be found.

use strict;
use warnings;

use lib 't/lib';
use Cwd qw(abs_path);
use JSON::PP;
use Postrider qw(free_port is_root slurp spew wait_for);
use Postrider::CA;
use Test::More;

plan skip_all => 'it takes minutes: POSTRIDER_LONG=1'
    unless $ENV{POSTRIDER_LONG};
plan skip_all => 'only root has a keys process of its own' unless is_root();

my ($there) = grep { -x "$_/usr/bin/testssl" } map { abs_path($_) // () }
    ($ENV{BUILD} // 'build') . '/testssl', 'build/testssl';
plan skip_all => 'the Debian package testssl.sh is not there (make test-deps)'
    unless defined $there;

my $submissions = free_port();
my $mail = Postrider->new(settings => {
	smtpd_tls_security_level => 'may',
	smtpd_peername_lookup => 'no',
}, master => "127.0.0.1:$submissions inet n - n - - smtpd " .
    "-o smtpd_tls_security_level=encrypt -o smtpd_tls_wrappermode=yes\n");
my $ca = Postrider::CA->new($mail->dir . '/ca');
# Who issues certificates says where they are revoked.
my %mx = map { $_ => $ca->issue(name => 'localhost', key => $_,
    file => "mx-$_", days => 365, san => ['localhost', '127.0.0.1'], extensions =>
    'crlDistributionPoints = URI:http://127.0.0.1:9/ca.crl') } qw(rsa ec);
spew($mail->dir . '/chain.pem', map { slurp($mx{$_}{all}) } qw(ec rsa));
chmod 0600, $mail->dir . '/chain.pem';
$mail->set(smtpd_tls_chain_files => $mail->dir . '/chain.pem');
$mail->start;

# It wants a program that asks the DNS, and is told to ask nothing.
mkdir $mail->dir . '/bin';
spew($mail->dir . '/bin/host', "#!/bin/sh\nexit 1\n");
chmod 0755, $mail->dir . '/bin/host';

# The severe ones among the findings, and what it said of the rest.
sub findings
{
	my ($name, @target) = @_;
	my $json = $mail->dir . "/$name.json";
	my %count;

	local $ENV{TESTSSL_INSTALL_DIR} = "$there/etc/testssl";
	local $ENV{PATH} = join ':', $mail->dir . '/bin', "$there/usr/bin",
	    $ENV{PATH};
	system("timeout 560 $there/usr/bin/testssl --quiet --color 0 " .
	    "--warnings off --nodns none --ip 127.0.0.1 " .
	    "--openssl /usr/bin/openssl " .
	    "--add-ca " . $ca->file . " --jsonfile $json @target >" .
	    $mail->dir . "/$name.out 2>&1 </dev/null");
	my $list = eval { decode_json(slurp($json)) } // [];
	$count{ $_->{severity} }++ for @$list;
	diag("$name: " . join(', ', map { "$count{$_} $_" } sort keys %count));
	cmp_ok(scalar @$list, '>', 50, "$name: it had much to look at") or
	    diag(substr slurp($mail->dir . "/$name.out"), -2000);
	return grep { $_->{severity} =~ /MEDIUM|HIGH|CRITICAL|FATAL/ } @$list;
}

sub is_clean
{
	my ($name, @target) = @_;
	my @severe = map { "$_->{severity} $_->{id}: $_->{finding}" }
	    findings($name, @target);

	is_deeply(\@severe, [], "$name: nothing above LOW");
}

is_clean('smtp', '-t', 'smtp', 'localhost:' . $mail->port);
is_clean('submissions', "localhost:$submissions");

done_testing();
