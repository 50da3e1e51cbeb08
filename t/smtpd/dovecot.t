# dovecot.t - users of a real Dovecot log in, by its UNIX socket and by TCP.
use strict;
use warnings;
use lib 't/lib';

use MIME::Base64;
use Test::More;
use Postrider qw(free_port need_root wait_for);
use Postrider::Dovecot;
use Postrider::Fixture;
use Postrider::Scram;

need_root();
my %port = map { $_ => free_port() } qw(unix inet lost);
my $sut = Postrider::Fixture->new(settings => {
	smtpd_sasl_type => 'dovecot', smtpd_sasl_auth_enable => 'no',
	smtpd_tls_auth_only => 'no',
	smtpd_sasl_path => '/nowhere/at/all' });
my $dovecot = Postrider::Dovecot->new(user => $sut->user(1),
    login => $sut->user(0), users => { ann => 'open sesame', bob => 'tiger' },
    mechanisms => 'plain login cram-md5 scram-sha-256 anonymous')
    or plan skip_all => 'no Dovecot: ' . Postrider::Dovecot::why();

sub service
{
	my ($name, $path) = @_;

	return "127.0.0.1:$port{$name} inet n - n - - smtpd\n" .
	    "  -o smtpd_sasl_auth_enable=yes\n" .
	    "  -o smtpd_sasl_path=$path\n" .
	    "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n";
}
$dovecot->start;
$sut->{master} = service('unix', $dovecot->path) .
    service('inet', 'inet:127.0.0.1:' . $dovecot->port) .
    service('lost', 'private/nobody');
$sut->write_config;
$sut->start;

sub session { return $sut->_connect('127.0.0.2', port => $port{$_[0]}) }
sub encode { return encode_base64($_[0], '') }
sub decode { return decode_base64($_[0] =~ /^334 (\S*)/ ? $1 : die $_[0]) }

for my $way (qw(unix inet)) {
	my $c = $sut->_connect('127.0.0.2', port => $port{$way},
	    helo => undef);
	my $ehlo = $c->command('EHLO c.test', 250);
	my ($list) = $ehlo =~ /^250.AUTH (.*?)\r?$/m;
	is(join(' ', sort split / /, $list // ''),
	    'CRAM-MD5 LOGIN PLAIN SCRAM-SHA-256',
	    "$way: what Dovecot has, but nobody is anonymous");
	like($c->command('AUTH PLAIN ' . encode("\0ann\0wrong")),
	    qr/^535 5\.7\.8 /, "$way: a wrong password");
	like($c->command('AUTH PLAIN ' . encode("\0ann\0open sesame")),
	    qr/^235 2\.7\.0 /, "$way: PLAIN");
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<far@remote.test>'), qr/^250 /,
	    "$way: she may relay");

	$c = session($way);
	is(decode($c->command('AUTH LOGIN')), 'Username:', "$way: LOGIN");
	is(decode($c->command(encode('bob'))), 'Password:', 'with a password');
	like($c->command(encode('tiger')), qr/^235 /, 'that is right');

	$c = session($way);
	my $scram = Postrider::Scram->new(user => 'bob', password => 'tiger');
	my $challenge = decode($c->command('AUTH SCRAM-SHA-256 ' .
	    encode($scram->first)));
	my $last = $c->command(encode($scram->final($challenge)));
	ok($scram->is_server(decode($last)), "$way: SCRAM-SHA-256");
	like($c->command(''), qr/^235 /, 'both know the password');

	$c = session($way);
	$c->command('AUTH LOGIN', 334);
	like($c->command('*'), qr/^501 /, "$way: given up");
	like($c->command('AUTH PLAIN ' . encode("\0bob\0tiger")), qr/^235 /,
	    'and begun once more');
}

# --- without it -------------------------------------------------------------

my $c = session('lost');
like($c->command('AUTH PLAIN ' . encode("\0bob\0tiger")), qr/^(?:454|502) /,
    'no Dovecot, no login');
ok($sut->wait_log(qr{smtpd_sasl_path: private/nobody: No such file}),
    'the log says why');
$dovecot->stop(now => 1);
ok(wait_for(sub {
	session('unix')->command('AUTH PLAIN ' . encode("\0bob\0tiger")) =~
	    /^(?:454|502) /
}, 20, 'the end of its processes'), 'nobody gets in while it is away');
$dovecot->start;
ok(wait_for(sub {
	session('unix')->command('AUTH PLAIN ' . encode("\0bob\0tiger")) =~
	    /^235 /
}, 20, 'the new Dovecot to be asked'), 'it is found again');
$sut->stop;
done_testing();
