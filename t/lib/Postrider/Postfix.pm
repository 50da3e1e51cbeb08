package Postrider::Postfix;

# Debian's Postfix, private: unpacked from its package below the build
# directory, with a configuration, a queue and users of its own on loopback. A
# Postfix that is installed on this machine is not touched.
#
#	my $postfix = Postrider::Postfix->new(settings => { ... })
#	    or plan skip_all => 'no Postfix: ' . Postrider::Postfix::why();
#	$postfix->start;		# master => "more lines for master.cf"
#	my ($status, $text) = $postfix->run('postqueue', '-p');
#
# make test-deps fetches the package. Only root can run two mail systems with
# their users.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use File::Temp ();

use Postrider qw(free_port is_alive slurp spew wait_for);

my $why = '';		# why there is none
my @living;
my $parent = $$;

# Tests may change their directory later.
my $top = abs_path('.');
my $build = abs_path($ENV{BUILD} // 'build');

sub why { return $why }

# Unpack the package; the directory, or undef.
sub _unpack
{
	for ("$build/bench/postfix", "$build/../bench/postfix",
	    "$top/build/bench/postfix") {
		return $_ if -x "$_/usr/sbin/postqueue";
	}
	$why = 'the Debian package postfix is not there (make test-deps)';
	return undef;
}

sub _make_users
{
	defined getpwnam 'prt-postfix' or system('useradd', '-r', '-s',
	    '/usr/sbin/nologin', 'prt-postfix') == 0 or return 0;
	defined getgrnam 'prt-postdrop' or system('groupadd', '-r',
	    'prt-postdrop') == 0 or return 0;
	return 1;
}

sub new
{
	my ($class, %o) = @_;

	if ($> != 0) {
		$why = 'only root can run it';
		return undef;
	}
	my $unpacked = _unpack() // return undef;
	if (!_make_users()) {
		$why = 'its users cannot be created';
		return undef;
	}
	my $dir = File::Temp->newdir('prt-pf-XXXXXX', DIR => '/tmp',
	    CLEANUP => 0) . '';
	chmod 0755, $dir;
	my $self = bless { dir => $dir, port => free_port(),
	    unpacked => $unpacked }, $class;
	make_path("$dir/etc", "$dir/spool", "$dir/data");
	system('chown', 'prt-postfix', "$dir/data");
	$self->_write_main($o{settings} // {});
	$self->_write_master($o{master} // '');
	push @living, $self;
	return $self;
}

sub dir { return $_[0]{dir} }
sub port { return $_[0]{port} }
sub log { return slurp("$_[0]{dir}/log") }

sub _write_main
{
	my ($self, $more) = @_;
	my ($dir, $from) = ($self->{dir}, $self->{unpacked});
	my %set = (
		compatibility_level => '3.6',
		queue_directory => "$dir/spool",
		data_directory => "$dir/data",
		mail_owner => 'prt-postfix',
		setgid_group => 'prt-postdrop',
		command_directory => "$from/usr/sbin",
		daemon_directory => "$from/usr/lib/postfix/sbin",
		sendmail_path => "$from/usr/sbin/sendmail",
		meta_directory => "$from/etc/postfix",
		shlib_directory => 'no',
		import_environment => 'LD_LIBRARY_PATH MAIL_CONFIG TZ',
		export_environment => 'LD_LIBRARY_PATH MAIL_CONFIG TZ PATH',
		maillog_file => "$dir/log",
		maillog_file_prefixes => '/tmp',
		alias_maps => '', alias_database => '',
		inet_interfaces => '127.0.0.1', inet_protocols => 'ipv4',
		mynetworks => '127.0.0.0/8',
		myhostname => 'mail.local.test', mydomain => 'local.test',
		mydestination => '', disable_dns_lookups => 'yes',
		smtpd_peername_lookup => 'no', %$more);

	spew("$dir/etc/main.cf", join '', map { "$_ = $set{$_}\n" }
	    sort keys %set);
	spew("$dir/etc/dynamicmaps.cf", '');
}

# Debian's own services with SMTP at this port, none in a chroot, and none that
# nothing on loopback asks: a master.cf.
sub services
{
	my ($unpacked, $port) = @_;
	my $text = '';

	for (split /^/, slurp("$unpacked/usr/share/postfix/master.cf.dist")) {
		next if /^#/ || /^\s/;
		my @column = split ' ', $_, 8;
		next if @column < 8 || $column[1] eq 'inet' &&
		    $column[0] ne 'smtp' ||
		    $column[7] =~ /^pipe|postscreen|tlsproxy|dnsblog/;
		$column[0] = "127.0.0.1:$port" if $column[1] eq 'inet';
		$column[4] = 'n';
		$text .= join(' ', @column);
	}
	$text .= "postlog unix-dgram n - n - 1 postlogd\n"
	    unless $text =~ /^postlog/m;
	return $text;
}

sub _write_master
{
	my ($self, $more) = @_;

	spew("$self->{dir}/etc/master.cf", services($self->{unpacked},
	    $self->{port}) . $more);
}

# Run one of its programs: (exit status, output and errors).
sub run
{
	my ($self, $program, @words) = @_;

	return $self->_run('', $program, $program, '-c', "$self->{dir}/etc",
	    @words);
}

# Run its sendmail, under this name, with this input: (exit status, output and
# errors).
sub sendmail
{
	my ($self, $input, $name, @words) = @_;

	return $self->_run($input, 'sendmail', $name, '-C',
	    "$self->{dir}/etc", @words);
}

sub _run
{
	my ($self, $input, $program, $name, @words) = @_;
	local $ENV{LD_LIBRARY_PATH} = "$self->{unpacked}/usr/lib/postfix";
	my $out = "$self->{dir}/out";

	spew("$self->{dir}/in", $input);
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', "$self->{dir}/in";
		open STDOUT, '>', $out;
		open STDERR, '>&', \*STDOUT;
		exec { "$self->{unpacked}/usr/sbin/$program" } $name, @words
		    or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return ($? >> 8, slurp($out));
}

sub start
{
	my ($self) = @_;
	my ($status, $text) = $self->run('postfix', 'start');

	die "postfix start: $text" . $self->log if $status != 0;
	wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $self->{port}) }, 20, 'its port');
	return $self;
}

sub stop
{
	my ($self) = @_;
	my ($pid) = slurp("$self->{dir}/spool/pid/master.pid") =~ /(\d+)/;

	$self->run('postfix', 'stop');
	eval { wait_for(sub { !is_alive($pid) }, 20) } if $pid;
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
