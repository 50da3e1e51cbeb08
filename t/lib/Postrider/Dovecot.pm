package Postrider::Dovecot;

# Debian's Dovecot as the server that knows the users, private: unpacked from
# its packages below the build directory, with a configuration of its own. An
# installed one is used with that configuration, too.
#
#	my $dovecot = Postrider::Dovecot->new(users => { ann => 'sesame' },
#	    mechanisms => 'plain login', user => 'nobody', login => 'nobody')
#	    or plan skip_all => 'no Dovecot: ' . Postrider::Dovecot::why();
#	$dovecot->start;
#	$dovecot->path, $dovecot->port	# the same by UNIX socket and TCP
#
# more => "lines of its configuration" come last, where DIR is its directory.
# With oauth => 1 tokens are passwords, too, for XOAUTH2 and OAUTHBEARER (when
# they are among the mechanisms): $dovecot->token('ann', 60) is good for a
# minute.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use Digest::SHA qw(hmac_sha256);
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64 encode_base64url);
use POSIX qw(WNOHANG);

use Postrider qw(free_port is_alive slurp spew wait_for);

my $why = '';
my @living;
my $parent = $$;

sub why { return $why }

# What to write before "dovecot" so that it finds its files; undef when it is
# not there.
sub _words
{
	return [] if -x '/usr/sbin/dovecot';
	my $build = abs_path($ENV{BUILD} // 'build');
	my ($to) = map { abs_path($_) } grep { -x "$_/usr/sbin/dovecot" }
	    "$build/dovecot", "$build/../dovecot", 'build/dovecot';
	if (!defined $to) {
		$why = 'dovecot-core is not there (make test-deps)';
		return undef;
	}
	my @words = ('unshare', '-m', '--propagation', 'private', 'sh', '-c',
	    "mount -t overlay overlay -o lowerdir=$to/usr:/usr /usr && " .
	    'exec "$0" "$@"');
	return \@words if system(@words, 'true') == 0;
	$why = 'there are no mount namespaces here';
	return undef;
}

sub new
{
	my ($class, %o) = @_;

	if ($> != 0) {
		$why = 'only root can run it';
		return undef;
	}
	my $words = _words() // return undef;
	my $dir = File::Temp->newdir('prt-dovecot-XXXXXX', DIR => '/tmp',
	    CLEANUP => 0) . '';
	chmod 0755, $dir;
	my $self = bless { dir => $dir, port => free_port(), words => $words },
	    $class;
	push @living, $self;
	my $group = getgrgid((getpwnam $o{user})[3]);
	my $more = ($o{more} // '') =~ s/\bDIR\b/$dir/gr;
	spew("$dir/users", join '', map { "$_:{PLAIN}$o{users}{$_}\n" }
	    sort keys %{ $o{users} });
	spew("$dir/conf", <<"END");
base_dir = $dir/base
state_dir = $dir/base
log_path = $dir/log
protocols =
ssl = no
auth_verbose = yes
auth_failure_delay = 0
disable_plaintext_auth = no
default_internal_user = $o{user}
default_internal_group = $group
default_login_user = $o{login}
auth_mechanisms = @{[ $o{mechanisms} // 'plain login' ]}
passdb {
	driver = passwd-file
	mechanisms = @{[ $o{oauth} ? 'plain login cram-md5 scram-sha-256' :
	    '' ]}
	args = $dir/users
}
service anvil {
	unix_listener anvil-auth-penalty {
		mode = 0
	}
}
service auth {
	unix_listener $dir/auth {
		mode = 0666
	}
	inet_listener {
		address = 127.0.0.1
		port = $self->{port}
	}
}
service stats {
	chroot =
}
$more
END
	$self->_prepare_oauth if $o{oauth};
	make_path("$dir/base");
	return $self;
}

# It judges tokens (JWT, RFC 7519) by a key in a file, and asks nobody.
sub _prepare_oauth
{
	my ($self) = @_;
	my $dir = $self->{dir};

	make_path("$dir/keys/default/HS256");
	$self->{secret} = 'only this test knows it, ' . rand;
	spew("$dir/keys/default/HS256/default",
	    encode_base64($self->{secret}, ''));
	spew("$dir/oauth2", "introspection_mode = local\n" .
	    "local_validation_key_dict = fs:posix:prefix=$dir/keys/\n" .
	    "username_attribute = sub\n");
	spew("$dir/conf", slurp("$dir/conf") . <<"END");
passdb {
	driver = oauth2
	mechanisms = xoauth2 oauthbearer
	args = $dir/oauth2
}
END
}

sub token
{
	my ($self, $user, $seconds) = @_;
	my ($now, $end) = (time - 5, time + $seconds);
	my $token = encode_base64url('{"alg":"HS256","typ":"JWT"}') . '.' .
	    encode_base64url("{\"sub\":\"$user\",\"iat\":$now," .
	    "\"nbf\":$now,\"exp\":$end}");

	return "$token." . encode_base64url(hmac_sha256($token,
	    $self->{secret}));
}

sub dir	 { return $_[0]{dir} }
sub path { return "$_[0]{dir}/auth" }
sub port { return $_[0]{port} }
sub log	 { return slurp("$_[0]{dir}/log") }

sub start
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $pid = $self->{pid} = fork // die "fork: $!";

	if ($pid == 0) {
		open STDOUT, '>>', "$dir/out";
		open STDERR, '>&', \*STDOUT;
		exec @{ $self->{words} }, '/usr/sbin/dovecot', '-F', '-c',
		    "$dir/conf" or POSIX::_exit(127);
	}
	wait_for(sub {
		return 1 if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $self->{port});
		die slurp("$dir/out") . $self->log
		    if waitpid($pid, WNOHANG) == $pid;
		return 0;
	}, 30, 'dovecot to listen');
	return $self;
}

# now => 1: who asks it is not served to the end, which it allows 30 seconds.
sub stop
{
	my ($self, %o) = @_;
	my $pid = delete $self->{pid} // return;
	my @children = split ' ', slurp("/proc/$pid/task/$pid/children");

	kill 'TERM', $pid;
	wait_for(sub { waitpid($pid, WNOHANG); !is_alive($pid) }, 15,
	    'the end of dovecot');
	return unless $o{now};
	kill 'KILL', @children;
	wait_for(sub { !grep { is_alive($_) } @children }, 10,
	    'the end of its children');
}

END {
	local $?;
	if ($$ == $parent) {
		for (@living) {
			eval { $_->stop(now => 1) };
			remove_tree($_->{dir});
		}
	}
}

1;
