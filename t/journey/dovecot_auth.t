# dovecot_auth.t - a Dovecot knows the users: they log in here with programs of
# others and with tokens, while it restarts; and mail goes into its mailboxes by
# LMTP in TLS.

use strict;
use warnings;

use lib 't/lib';
use MIME::Base64 ();
use Postrider qw(free_port need_root slurp spew wait_for);
use Postrider::CA;
use Postrider::Dovecot;
use Postrider::Fixture;
use Test::More;

need_root();		# Dovecot wants users

my %port = map { $_ => free_port() } qw(unix inet);
my $lmtp = free_port();
my $sut = Postrider::Fixture->new(settings => {
	smtpd_tls_security_level => 'may', smtpd_sasl_type => 'dovecot',
	lmtp_tls_loglevel => 1, smtp_host_lookup => 'native',
	disable_dns_lookups => 'yes' });
my $dir = $sut->dir;
my $ca = Postrider::CA->new("$dir/ca");
my $other = Postrider::CA->new("$dir/other");
my $mx = $ca->issue(name => 'sut.test', san => ['localhost']);
my $box = $ca->issue(name => 'box.test', san => ['localhost']);
my ($uid, $gid) = (getpwnam $sut->user(1))[2, 3];
mkdir "$dir/boxes";
chown $uid, $gid, "$dir/boxes";

my %password = (ann => 'open "sesame" & go', bob => 'tiger');
my $dovecot = Postrider::Dovecot->new(user => $sut->user(1),
    login => $sut->user(0), users => \%password, oauth => 1,
    mechanisms => 'plain login cram-md5 scram-sha-256 xoauth2 oauthbearer',
    more => <<"END")
protocols = lmtp
ssl = yes
ssl_cert = <$box->{chain}
ssl_key = <$box->{key}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:$dir/boxes/%n
userdb {
	driver = static
	args = uid=$uid gid=$gid home=$dir/boxes/%n allow_all_users=yes
}
service lmtp {
	inet_listener lmtp {
		address = 127.0.0.1
		port = $lmtp
	}
}
END
    or plan skip_all => 'no Dovecot: ' . Postrider::Dovecot::why();
$dovecot->start;

sub service
{
	my ($name, $path) = @_;

	return "127.0.0.1:$port{$name} inet n - n - - smtpd\n" .
	    join '', map { "  -o $_\n" } 'smtpd_sasl_auth_enable=yes',
	    'smtpd_tls_security_level=encrypt', "smtpd_sasl_path=$path",
	    'smtpd_relay_restrictions=permit_sasl_authenticated,reject';
}
my %level = (
	may => 'may', encrypt => 'encrypt',
	verify => 'verify -o lmtp_tls_CAfile=' . $ca->file,
	stranger => 'verify -o lmtp_tls_CAfile=' . $other->file,
);
$sut->{master} = service('unix', $dovecot->path) .
    service('inet', 'inet:127.0.0.1:' . $dovecot->port) .
    join '', map { "lmtp-$_ unix - - n - - lmtp -o lmtp_tls_security_level=" .
    "$level{$_} -o syslog_name=lmtp-$_\n" } sort keys %level;
$sut->set(smtpd_tls_chain_files => $mx->{all}, transport_maps => 'inline:{ ' .
    join(' ', map { "{ $_.box.test = lmtp-$_:inet:localhost:$lmtp }" }
    sort keys %level) . ' }', default_transport => 'smtp:[127.0.0.1]:' .
    $sut->remote->port);
$sut->start;

# --- users --------------------------------------------------------------------

# A message by msmtp, with a login: its status, and what it says.
sub send_by
{
	my ($way, $mechanism, $user, $password, $subject) = @_;

	spew("$dir/password", "$password\n");
	return $sut->run('Subject: ' . ($subject // 'x') . "\n\nx\n", 'msmtp',
	    '--host=localhost', "--port=$port{$way}", '--domain=msmtp.test',
	    '--tls=on', '--tls-trust-file=' . $ca->file, '--timeout=20',
	    '--from=ann@local.test', "--auth=$mechanism", "--user=$user",
	    "--passwordeval=cat $dir/password", '--', 'far@remote.test');
}

my ($status, $built) = $sut->run('', 'msmtp', '--version');
sub can { return $built =~ /\b\Q$_[0]\E\b/ }

for my $way (qw(unix inet)) {
	for my $mechanism (qw(plain login cram-md5 scram-sha-256 xoauth2
	    oauthbearer)) {
		subtest "$mechanism at $way" => sub {
			plan skip_all => "msmtp has no $mechanism"
			    unless can($mechanism);
			my $is_token = $mechanism =~ /oauth/;
			my $subject = $sut->subject;
			my ($status, $text) = send_by($way, $mechanism, 'ann',
			    $is_token ? $dovecot->token('ann', 60) :
			    $password{ann}, $subject);
			is($status, 0, 'she is let in') or
			    diag $text, $dovecot->log;
			my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
			like($m->{data}, qr/with ESMTPSA id/, 'her mail goes');
			my $said = uc $mechanism;
			ok($sut->wait_log(qr/: client=\S+, sasl_method=$said, sasl_username=ann\n/),
			    'the log knows her');
			for ($is_token ? ([ann => $dovecot->token('ann', -1),
			    'a token that is over'],
			    [ann => $dovecot->token('ann', 60) . 'A',
			    'a forged one'], [ann => $password{ann},
			    'a password']) : ([ann => 'tiger', 'the wrong ' .
			    'password'], [eve => 'tiger', 'a stranger'])) {
				my ($user, $password, $what) = @$_;
				($status, $text) = send_by($way, $mechanism,
				    $user, $password);
				is($status, 77, $what) or diag $text;
				like($text, qr/535 5\.7\.8 /, 'is refused');
			}
			is(scalar(() = $sut->log =~ /warning:\ \S+:\ SASL
			    \ $said\ authentication\ failed:/gx),
			    ($is_token ? 3 : 2) * ($way eq 'inet' ? 2 : 1),
			    'and logged');
		};
	}
}

# --- Dovecot restarts ---------------------------------------------------------

subtest 'Dovecot restarts' => sub {
	my $held = $sut->_connect('127.0.0.1', port => $port{unix});
	$held->starttls;
	$dovecot->stop(now => 1);
	for my $way (qw(unix inet)) {
		my ($status, $text) = wait_for(sub {
			my @said = send_by($way, 'plain', 'ann',
			    $password{ann});
			return $said[0] != 0 && \@said;
		}, 15, 'nobody to be let in')->@*;
		like($text, qr/454 4\.7\.0 |does not support authentication|no.*authent/i,
		    "$way: nobody gets in without it") or diag $status;
	}
	$dovecot->start;
	for my $way (qw(unix inet)) {
		ok(wait_for(sub { (send_by($way, 'plain', 'ann',
		    $password{ann}))[0] == 0 }, 20, 'the new one'),
		    "$way: the new one is asked");
	}
	my $plain = MIME::Base64::encode_base64("\0bob\0tiger", '');
	ok(wait_for(sub { $held->command("AUTH PLAIN $plain") =~ /^235 / },
	    10, 'its process to ask again'),
	    'a session that was there all the time is let in, too');
};

# --- LMTP ---------------------------------------------------------------------

subtest 'LMTP' => sub {
	for my $name (sort keys %level) {
		my $to = "carol\@$name.box.test";
		my $subject = $sut->post($to, is_friend => 1);
		my $fate = $sut->wait_log(qr/ to=<\Q$to\E>, .*\n/);
		if ($name eq 'stranger') {
			like($fate, qr/dsn=4\.7\.5, status=deferred .*not (?:trusted|verified)/,
			    "$name: is kept");
			next;
		}
		like($fate, qr/status=sent \(250 2\.0\.0 /, "$name: is sent");
		is(scalar(() = grep { slurp($_) =~ /^Subject: $subject\r?$/m }
		    glob "$dir/boxes/carol/new/*"), 1, 'is in the box');
		like($sut->log, qr/\blmtp-$name\/lmtp\[\d+\]: (?:Untrusted|Verified) TLS connection established to localhost\[127\.0\.0\.1\]:$lmtp: TLSv1\.3 /,
		    'in TLS');
	}
};

$sut->stop;
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
