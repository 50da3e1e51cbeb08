# secrets.t - the memory of a running smtpd has no password after AUTH, in
# clear and in TLS, and no key of a certificate.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use MIME::Base64;
use Test::More;
use Postrider qw(free_port slurp wait_for);
use Postrider::AuthServer;
use Postrider::CA;
use Postrider::Fixture;
use Postrider::Memory qw(search_memory);

plan skip_all => 'the memory of others is root\'s to read'
    unless Postrider::is_root();
plan skip_all => 'the sanitizer has terabytes of memory, and keeps what is freed'
    if Postrider::is_sanitized();
my ($port, $own) = (free_port(), free_port());
my $sut = Postrider::Fixture->new(settings => {
	smtpd_sasl_type => 'dovecot', smtpd_processes => 1,
	notify_classes => 'policy', smtpd_error_sleep_time => '0s',
    }, master => <<"END");
127.0.0.1:$port inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_security_level=may -o smtpd_forbid_unauth_pipelining=yes
  -o { smtpd_command_filter = inline:{ {NOOP x=QUIT} } }
  -o syslog_name=postrider/searched
127.0.0.1:$own inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_security_level=may -o smtpd_sasl_type=postrider
END

# Words that are nowhere else, not even in this test's own files: each is made
# from pieces when it is needed.
my $n = 0;
sub word { return 'Canary' . substr md5_hex($$ . ' ' . ++$n), 0, 18 }
my (@users, %users);
for (1 .. 14) {
	push @users, "user$_";
	$users{"user$_"} = word();
}
my $auth = Postrider::AuthServer->new($sut->dir . '/auth', users => \%users);
my $mx = Postrider::CA->new($sut->etc . '/ca')->issue(name => 'sut.test',
    key => 'rsa');
$sut->set(smtpd_sasl_path => $sut->dir . '/auth',
    smtpd_tls_chain_files => $mx->{all},
    smtpd_sasl_users => 'texthash:' . $sut->etc . '/users',
    smtpd_sasl_scram_iterations => 4096);
$sut->write_config;
for my $user (@users) {
	my ($status, $said) = $sut->run("$users{$user}\n", Postrider::bin() .
	    '/postrider', '-c', $sut->etc, 'user', 'add', $user, '-');
	is($status, 0, "$user exists") or diag($said);
}
$sut->start;

# The processes that serve this port, by a session they have now.
sub searched
{
	my ($local) = @_;
	my $hex = sprintf ':%04X', $local;
	my %inodes;		# others may have to do with this number, too

	open my $in, '<', '/proc/net/tcp' or die;
	while (<$in>) {
		my @f = split;
		$inodes{"socket:[$f[9]]"} = 1 if $f[2] =~ /$hex\z/ && $f[9];
	}
	for my $pid ($sut->children) {
		return $pid if grep { $inodes{readlink // ''} }
		    glob "/proc/$pid/fd/*";
	}
	die 'nobody has this session';
}

# All that a password may look like; base64 as the client sent it, and as it is
# at each place among other bytes.
sub shapes
{
	my ($password, @said) = @_;
	my @shapes = ($password, @said);

	for my $shift (0 .. 2) {
		my $text = encode_base64('x' x $shift . $password, '');
		push @shapes, substr $text, $shift ? 4 : 0, 16;
	}
	return @shapes;
}
sub plain { return encode_base64(join("\0", '', @_), '') }

sub session
{
	my ($is_tls, $where) = @_;
	my $planted = lc(word()) . '.test';
	my $c = $sut->stranger(port => $where, helo => undef);

	$c->command('EHLO c.test', 250);
	my $local = $c->socket->sockport;
	$c->starttls if $is_tls;
	$c->command("EHLO $planted", 250);
	my $pid = searched($local);
	is(join(' ', search_memory($pid, $planted)), $planted,
	    'the search finds what is there, the name of EHLO');
	return ($c, $pid);
}

my @ways = (
	# name; what is said: commands and what they are answered by
	['PLAIN at once', sub { ["AUTH PLAIN $_[2]", 235] }],
	['PLAIN by a challenge', sub { ['AUTH PLAIN', 334], [$_[2], 235] }],
	['LOGIN', sub { ['AUTH LOGIN', 334], [encode_base64($_[0], ''), 334],
	    [encode_base64($_[1], ''), 235] }],
	['LOGIN at half once', sub { ['AUTH LOGIN ' .
	    encode_base64($_[0], ''), 334], [encode_base64($_[1], ''), 235] }],
);
my @pids;
for my $place ([0, $port], [1, $port], [1, $own]) {
	my ($is_tls, $where) = @$place;
	for my $way (@ways) {
		my ($name, $steps) = @$way;
		my ($user, $wrong) = (shift @users, word());
		my $password = $users{$user};
		my ($c, $pid) = session($is_tls, $where);
		my @shapes;

		$name .= $is_tls ? ' in TLS' : ' in clear';
		$name .= ', our own users' if $where == $own;
		# First one that fails, then one that is right.
		for ([$wrong, 535], [$password, 235]) {
			my ($word, $code) = @$_;
			my $blob = plain($user, $word);
			push @shapes, shapes($word, $blob);
			for my $step ($steps->($user, $word, $blob)) {
				my ($line, $answer) = @$step;
				$c->command($line, $answer == 235 ? $code :
				    $answer);
			}
		}
		# The answer to the next command comes after the wait for it.
		$c->command('NOOP', 250);
		is(join(' ', search_memory($pid, @shapes)), '',
		    "MEM-02 $name: nothing while the session goes on");
		$c->command('QUIT', 221);
		$c->close;
		is(join(' ', search_memory($pid, @shapes)), '',
		    "MEM-02 $name: nor afterwards");
		push @pids, $pid;
	}
}

# Lines that come in pieces, or with others; long ones; one that is no AUTH.
{
	my ($user, $c, $pid) = (shift @users, session(0, $port));
	my $password = $users{$user};
	my $blob = plain($user, $password);
	my $long = plain($user . 'x' x 6000, $password);
	for my $piece ('AU', 'TH PLA', 'IN ' . substr($blob, 0, 9)) {
		$c->raw($piece);
		select undef, undef, undef, 0.05;
	}
	$c->raw(substr($blob, 9) . 'xx');
	select undef, undef, undef, 0.05;
	$c->raw("\r\n");
	$c->reply;
	$c->command("AUTH PLAIN $long", 535);
	my $wrong = word();
	my $refused = plain($user, $wrong);
	$c->raw("NOOP\r\nNOOP\r\nAUTH PLAIN $refused\r\n");
	$c->reply for 1 .. 3;
	$c->raw("NOOP\r\nAUTH PLAIN $blob");
	$c->reply;
	wait_for(sub { search_memory($pid, $blob) }, 10,
	    'the line to arrive');
	is(join(' ', search_memory($pid, $blob)), $blob,
	    'a line that has not ended is in memory, and found');
	$c->close;
	$c = $sut->stranger(port => $port);
	$c->command('NOOP', 250);
	is(join(' ', search_memory($pid, shapes($password, $blob, $long),
	    shapes($wrong, $refused))), '',
	    'MEM-02 nor of lines in pieces, and of sessions that broke');
}

# The private key, as the big numbers of it.
{
	my $hex = `openssl rsa -in $mx->{key} -noout -text 2>/dev/null`;
	my ($prime) = $hex =~ /prime1:\s+((?:[0-9a-f]{2}:?\s*)+)/;
	my $bytes = pack 'H*', $prime =~ s/[^0-9a-f]//gr =~ s/^00//r;
	cmp_ok(length $bytes, '>=', 128, 'the key has a prime');
	my @keys = map { substr($bytes, 8, 32) } 1;
	push @keys, scalar reverse $keys[0];
	push @keys, scalar reverse substr $bytes, 80, 32;
	push @keys, substr slurp($mx->{key}), 200, 64;
	my %seen;
	for my $pid (grep { !$seen{$_}++ } @pids) {
		is(join(' ', map { unpack 'H*', $_ } search_memory($pid, @keys)), '',
		    'MEM-02 no private key');
	}
	my ($keys) = grep { (readlink "/proc/$_/exe" // '') =~ m{/keys$} }
	    $sut->children;
	ok(scalar(search_memory($keys, @keys)), 'the search finds it in keys')
	    if defined $keys;
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
