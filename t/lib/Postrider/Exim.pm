package Postrider::Exim;

# Debian's Exim, private: unpacked from its package below the build directory,
# with a configuration and a spool of its own on loopback. The user that it
# was built for exists for it alone, in a mount namespace. An Exim that is
# installed on this machine is not touched.
#
#	my $exim = Postrider::Exim->new(options => "...\n", rcpt => "...\n",
#	    routes => [ 'via.test' => 2525, '*' => 2526 ])
#	    or plan skip_all => 'no Exim: ' . Postrider::Exim::why();
#	$exim->start;
#
# It relays everything that the lines in rcpt (of its ACL) do not refuse: to
# the port on loopback of the first route that matches. Instead of a port a
# route may be { port => 2525, host => 'localhost', lines => "...\n" }, lines
# of its transport in place of those that avoid TLS, or a function of $exim that
# says them. More of new():
#
#	tls => { cert, key }	STARTTLS, and TLS at once at the port tls_port()
#	authenticators => "..."	that part of the configuration
#
# $exim->own(FILE) is a copy of a file that its user may read.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Socket::INET;
use POSIX qw(WNOHANG);

use Postrider qw(free_port is_alive slurp spew wait_for);

use constant USER => 'Debian-exim';	# built into the program

my $why = '';		# why there is none
my @living;
my $parent = $$;

sub why { return $why }

# Where the package was unpacked, or undef.
sub _unpack
{
	my $build = abs_path($ENV{BUILD} // 'build');

	for ("$build/exim", "$build/../exim", abs_path('.') . '/build/exim') {
		return abs_path($_) if -x "$_/usr/sbin/exim4";
	}
	$why = 'the Debian package exim4-daemon-light is not there ' .
	    '(make test-deps)';
	return undef;
}

sub new
{
	my ($class, %o) = @_;

	if ($> != 0) {
		$why = 'only root can run it';
		return undef;
	}
	my $unpacked = _unpack() // return undef;
	my $dir = File::Temp->newdir('prt-exim-XXXXXX', DIR => '/tmp',
	    CLEANUP => 0) . '';
	chmod 0755, $dir;
	my $self = bless { dir => $dir, port => free_port(),
	    tls_port => free_port(),
	    program => "$unpacked/usr/sbin/exim4" }, $class;
	push @living, $self;
	$self->_make_user;
	make_path("$dir/spool", "$dir/log");
	chown $self->{uid}, $self->{uid}, "$dir/spool", "$dir/log";
	$self->_write(%o);
	if (system($self->_command('-bV', '-C', "$dir/conf") .
	    " >$dir/out 2>&1") != 0) {
		$why = slurp("$dir/out") =~ s/\n/ /gr;
		return undef;
	}
	return $self;
}

sub dir { return $_[0]{dir} }
sub port { return $_[0]{port} }
sub tls_port { return $_[0]{tls_port} }

# A copy of a file for its user; the name of that.
sub own
{
	my ($self, $file) = @_;
	my $copy = "$self->{dir}/" . ++$self->{copies} . '.pem';

	spew($copy, slurp($file));
	chown $self->{uid}, $self->{uid}, $copy;
	chmod 0400, $copy;
	return $copy;
}

sub log
{
	my ($self) = @_;

	return join '', map { slurp("$self->{dir}/log/$_") }
	    qw(main reject panic);
}

# Files that stand for /etc/passwd and /etc/group, with one line more.
sub _make_user
{
	my ($self) = @_;
	my $uid = getpwnam USER;
	my $name = USER;
	my ($passwd, $group) = (slurp('/etc/passwd'), slurp('/etc/group'));

	if (!defined $uid) {
		$uid = 59000;
		$uid++ while defined getpwuid $uid || defined getgrgid $uid;
		$passwd .= "$name:x:$uid:${uid}::/:/usr/sbin/nologin\n";
	}
	$group .= "$name:x:$uid:\n" unless defined getgrnam $name;
	$self->{uid} = $uid;
	spew("$self->{dir}/passwd", $passwd);
	spew("$self->{dir}/group", $group);
}

# A command line for the shell.
sub _command
{
	my ($self, @words) = @_;
	my $dir = $self->{dir};

	return "exec unshare -m --propagation private sh -c '" .
	    "mount --bind $dir/passwd /etc/passwd && " .
	    "mount --bind $dir/group /etc/group && " .
	    "exec $self->{program} @words'";
}

sub _write
{
	my ($self, %o) = @_;
	my @routes = @{ $o{routes} };
	my ($routers, $transports, $tls, $number) = ('', '', '', 0);

	while (my ($domains, $route) = splice @routes, 0, 2) {
		$route = { port => $route } unless ref $route;
		my $port = $route->{port};
		my $host = $route->{host} // '127.0.0.1';
		my $lines = $route->{lines} // "\thosts_avoid_tls = *\n";
		$lines = $lines->($self) if ref $lines;
		my $name = 'to' . ++$number;
		$routers .= <<"END";
$name:
	driver = manualroute
	domains = $domains
	route_list = * $host byname
	self = send
	transport = $name
END
		$transports .= <<"END";
$name:
	driver = smtp
	port = $port
	allow_localhost
	hosts_try_fastopen =
$lines
END
	}
	if ($o{tls}) {
		$tls = "tls_certificate = $o{tls}{cert}\n" .
		    'tls_privatekey = ' . $self->own($o{tls}{key}) . "\n" .
		    "tls_on_connect_ports = $self->{tls_port}\n";
	}
	spew("$self->{dir}/conf", <<"END");
primary_hostname = exim.test
spool_directory = $self->{dir}/spool
log_file_path = $self->{dir}/log/%s
pid_file_path = $self->{dir}/spool/pid
exim_path = $self->{program}
local_interfaces = 127.0.0.1
daemon_smtp_ports = $self->{port} : $self->{tls_port}
deliver_drop_privilege
keep_environment =
never_users =
host_lookup =
tls_advertise_hosts = @{[ $tls ? '*' : '' ]}
${tls}rfc1413_query_timeout = 0s
log_selector = +all -arguments
acl_smtp_rcpt = rcpt
@{[ $o{options} // '' ]}
begin acl
rcpt:
@{[ $o{rcpt} // '' ]}	accept
begin routers
$routers
begin transports
$transports
begin authenticators
@{[ $o{authenticators} // '' ]}
END
}

sub start
{
	my ($self) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{dir}/out";
		open STDERR, '>&', \*STDOUT;
		exec $self->_command('-bdf', '-C', "$self->{dir}/conf")
		    or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	wait_for(sub {
		die 'exim: ' . slurp("$self->{dir}/out") . $self->log
		    if waitpid($pid, WNOHANG) == $pid;
		IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $self->{port});
	}, 20, 'its port');
	return $self;
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} // return;

	kill 'TERM', $pid;
	eval { wait_for(sub { waitpid($pid, WNOHANG); !is_alive($pid) }, 10) }
	    or kill 'KILL', $pid;
	waitpid $pid, WNOHANG;
}

END {
	if ($$ == $parent) {
		my $status = $?;
		for (@living) {
			$_->stop;
			remove_tree($_->{dir}) unless $ENV{KEEP};
		}
		$? = $status;
	}
}

1;
