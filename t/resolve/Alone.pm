package Alone;

# One daemon alone, started as master starts it, and asked in packets: for
# tests of resolve and dns. As root the daemon has its user, jail and sandbox.
#
#	my $dns = Alone->new(program => 'dns', dir => $dir);
#	my $answer = $dns->ask('ASK_HOSTS', ['str', $name], ['int', 1]);
#
# The answer is a list of the fields' values; lists are decoded by a schema.

use strict;
use warnings;

use Socket qw(AF_UNIX SOCK_SEQPACKET PF_UNSPEC pack_sockaddr_un);
use IO::Socket::INET;
use POSIX ();
use File::Path qw(make_path);
use Postrider qw(is_root bin wait_for slurp spew);

my %kind = (int => 1, bool => 2, str => 3, opt => 4, data => 5, list => 6,
    file => 8);

# What comes back, as far as the tests ask.
my $address = [['address', 'str']];
my $host = [['name', 'str'], ['preference', 'int'], ['port', 'int'],
    ['result', 'int'], ['addresses', 'list', $address]];
my $recipient = [['address', 'str'], ['original', 'str'], ['orcpt', 'str'],
    ['notify', 'int']];
my %schema = (
	HOSTS => [['result', 'int'], ['text', 'str'], ['is_secure', 'bool'],
	    ['had_mx', 'bool'], ['ttl', 'int'], ['hosts', 'list', $host]],
	REVERSE => [['result', 'int'], ['name', 'str'], ['claimed', 'str']],
	ROUTE => [['result', 'int'], ['transport', 'str'],
	    ['nexthop', 'str'], ['site', 'str'], ['recipient', 'str'],
	    ['address_class', 'str'], ['dsn', 'str'], ['text', 'str'],
	    ['generation', 'int'], ['time', 'int'], ['scope', 'int']],
	RECIPIENT => [['result', 'int'], ['address', 'str'],
	    ['address_class', 'str'], ['is_final', 'bool'],
	    ['text', 'str'], ['time', 'int'], ['scope', 'int']],
	EXPANDED => [['result', 'int'], ['text', 'str'],
	    ['rows', 'list', $recipient]],
	FOUND => [['result', 'int'], ['which', 'int'], ['owner', 'int'],
	    ['value', 'str'], ['extension', 'str'], ['text', 'str']],
	DIALED => [['result', 'int'], ['text', 'str'], ['socket', 'file']],
	MECHANISMS => [['words', 'str']],
	AUTH_STEP => [['result', 'int'], ['data', 'data'], ['user', 'str'],
	    ['text', 'str']],
	REFUSED => [['why', 'str']],
	GOODBYE => [],
);

my %number = Postrider::packet_numbers();
my %name = reverse map { $_ => $number{$_} } grep { $_ ne 'VERSION' }
    keys %number;

# The names of packet types by their numbers.
sub names { return \%name }

# A SEQPACKET listener at a path.
sub listen_at
{
	my ($path) = @_;

	socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!";
	unlink $path;
	bind $s, pack_sockaddr_un($path) or die "$path: $!";
	listen $s, 50 or die "listen: $!";
	chmod 0666, $path;
	return $s;
}

# A file that the daemon reads as another user, put in place at once.
sub table
{
	my ($etc, $name, $text) = @_;

	spew("$etc/$name.new", $text);
	chmod 0644, "$etc/$name.new";
	rename "$etc/$name.new", "$etc/$name" or die "$etc/$name: $!";
}

# main.cf and the directories of an instance; all daemons of a test share it.
sub prepare
{
	my ($dir, %settings) = @_;
	my %all = (queue_directory => "$dir/spool",
	    data_directory => "$dir/data", daemon_directory => bin(),
	    command_directory => bin(), myhostname => 'mail.local.test',
	    mydomain => 'local.test', inet_interfaces => '127.0.0.1',
	    dns_processes => 1, resolve_processes => 1, %settings);

	make_path("$dir/etc", "$dir/spool/private");
	chmod 0755, $dir, "$dir/etc", "$dir/spool", "$dir/spool/private";
	spew("$dir/etc/main.cf",
	    join '', map { "$_ = $all{$_}\n" } sort keys %all);
	spew("$dir/etc/master.cf", '') unless -e "$dir/etc/master.cf";
}

# --- a name server of our own -------------------------------------------------

my $nsd_pid;

sub nsd { return (grep { -x } '/usr/sbin/nsd', '/usr/local/sbin/nsd')[0] }

# Serve these zones (name => file in dir) on a port of the loopback.
sub name_server
{
	my ($dir, $port, %zones) = @_;

	spew("$dir/nsd.conf", <<END . join '', map {
server:
	ip-address: 127.0.0.1\@$port
	username: ""
	chroot: ""
	zonesdir: "$dir"
	zonelistfile: "$dir/zone.list"
	database: ""
	pidfile: "$dir/nsd.pid"
	xfrdfile: "$dir/xfrd"
	logfile: "$dir/nsd.log"
	server-count: 1
remote-control:
	control-enable: no
END
		"zone:\n\tname: $_\n\tzonefile: $zones{$_}\n"
	} sort keys %zones);
	$nsd_pid = fork // die "fork: $!";
	if ($nsd_pid == 0) {
		open STDOUT, '>', "$dir/nsd.out";
		open STDERR, '>&', \*STDOUT;
		exec nsd(), '-d', '-c', "$dir/nsd.conf" or POSIX::_exit(127);
	}
	wait_for(sub {
		IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		    PeerPort => $port)
	}, 10, 'nsd to listen');
}

sub stop_name_server
{
	return unless $nsd_pid;
	kill 'TERM', $nsd_pid;
	waitpid $nsd_pid, 0;
	undef $nsd_pid;
}

END { local $?; stop_name_server() }

# --- a daemon -----------------------------------------------------------------

# Start a daemon and wait for READY.
sub new
{
	my ($class, %o) = @_;
	my $self = bless { %o, id => 0, as => $o{as} // {} }, $class;
	my $path = "$o{dir}/spool/private/$o{program}.1";
	my $listener = listen_at($path);

	socketpair my $ours, my $theirs, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC
	    or die "socketpair: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		# Above the numbers that they get in the end.
		my @from = map { my $new = 20 + $_; POSIX::dup2(fileno(
		    ($theirs, $listener)[$_]), $new); $new } 0, 1;
		POSIX::dup2($from[0], 3);
		POSIX::dup2($from[1], 5);
		open my $log, '>>', "$o{dir}/$o{program}.log";
		POSIX::dup2(fileno $log, 2);
		POSIX::close($_) for 4, 6 .. 30;
		exec bin() . "/$o{program}", '-c', "$o{dir}/etc", '-n',
		    $o{program}, '-t', 'unix', '-w', 1, '-p', 1, '-m', 0,
		    '-l', 'unix', @{ $o{arguments} // [] }
		    or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	$self->{master} = $ours;
	$self->{path} = $path;
	close $theirs;
	$self->expect_ready;
	return $self;
}

# HELLO, then READY.
sub expect_ready
{
	my ($self) = @_;
	my $seen = '';

	while (1) {
		my $in = '';
		vec($in, fileno $self->{master}, 1) = 1;
		select($in, undef, undef, 30) or die 'no READY in time';
		sysread $self->{master}, my $packet, 65536 or
		    die "$self->{program} ended:\n" . $self->log;
		my ($type) = unpack 'v', $packet;
		$seen .= "$name{$type} ";
		return if $name{$type} eq 'READY';
	}
}

sub log { return slurp("$_[0]{dir}/$_[0]{program}.log") }

# Tell the daemon something as master does.
sub order
{
	my ($self, $type, @fields) = @_;

	syswrite $self->{master}, encode($type, 0, 0, @fields);
}

# RELOAD, without files that the daemon can read itself.
sub reload
{
	$_[0]->order('RELOAD', ['str', ''], map { ['file', undef] } 1 .. 3);
}

sub encode
{
	my ($type, $flags, $id, @fields) = @_;

	return pack('vvvvQ<', $number{$type}, scalar @fields, 0, $flags, $id) .
	    join '', map { encode_field(@$_) } @fields;
}

sub encode_field
{
	my ($kind, $value) = @_;
	my $head = chr $kind{$kind};

	return $head . pack('q<', $value) if $kind eq 'int';
	return $head . chr($value ? 1 : 0) if $kind eq 'bool';
	return $head . chr 0 if $kind eq 'file';
	return $head . pack('V', length $value) . "$value\0"
	    if $kind eq 'str';
	return $head . pack('V', length $value) . $value if $kind eq 'data';
	if ($kind eq 'list') {		# rows of fields
		return $head . pack('V', scalar @$value) . join '', map {
			join '', map { encode_field(@$_) } @$_
		} @$value;
	}
	die $kind;
}

sub decode
{
	my ($bytes, $schema) = @_;
	my %to;

	for my $field (@$schema) {
		my ($name, $kind, $row) = @$field;
		my $code = unpack 'C', substr($$bytes, 0, 1, '');
		die "field $name is of kind $code" if $code != $kind{$kind};
		if ($kind eq 'int') {
			$to{$name} = unpack 'q<', substr($$bytes, 0, 8, '');
		} elsif ($kind eq 'bool') {
			$to{$name} = ord substr($$bytes, 0, 1, '');
		} elsif ($kind eq 'str') {
			my $len = unpack 'V', substr($$bytes, 0, 4, '');
			$to{$name} = substr($$bytes, 0, $len, '');
			substr($$bytes, 0, 1, '');
		} elsif ($kind eq 'data') {
			my $len = unpack 'V', substr($$bytes, 0, 4, '');
			$to{$name} = substr($$bytes, 0, $len, '');
		} elsif ($kind eq 'file') {	# closed when it was read
			$to{$name} = ord substr($$bytes, 0, 1, '');
		} else {
			my $n = unpack 'V', substr($$bytes, 0, 4, '');
			$to{$name} = [map { decode($bytes, $row) } 1 .. $n];
		}
	}
	return \%to;
}

# A channel that claims to be this service.
sub channel
{
	my ($self, $service) = @_;

	return $self->{as}{$service} if $self->{as}{$service};
	socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!";
	connect $s, pack_sockaddr_un($self->{path})
	    or die "$self->{path}: $!";
	syswrite $s, encode('HELLO', 0, 0, ['str', $service],
	    ['int', $number{VERSION}]);
	return $self->{as}{$service} = $s;
}

# Ask as a service; the decoded answer, undef when the channel is closed.
sub ask_as
{
	my ($self, $service, $type, @fields) = @_;
	my $s = $self->channel($service);
	my $id = ++$self->{id};

	syswrite $s, encode($type, 0, $id, @fields);
	while (1) {
		my $in = '';
		vec($in, fileno $s, 1) = 1;
		select($in, undef, undef, 40) or die "no answer to $type\n" .
		    $self->log;
		if (!sysread $s, my $packet, 65536) {
			delete $self->{as}{$service};
			return undef;
		} else {
			my ($got, undef, undef, undef, $to) =
			    unpack 'vvvvQ<', $packet;
			next if $to != $id;
			my $body = substr $packet, 16;
			my $answer = decode(\$body, $schema{$name{$got}}
			    // die "no schema for $name{$got}");
			$answer->{packet} = $name{$got};
			return $answer;
		}
	}
}

# End it; the exit status.
sub stop
{
	my ($self) = @_;

	return unless $self->{pid};
	close $self->{master};
	close $_ for values %{ $self->{as} };
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	my $status = $?;
	delete $self->{pid};
	return $status;
}

sub DESTROY { local ($?, $@); $_[0]->stop }

1;
