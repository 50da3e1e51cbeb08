package Postrider::Wire;

# A machine at the other end of a wire, whose wire can be hurt; for a test that
# has a network of its own (Postrider::Net::alone):
#
#	my $far = Postrider::Wire->new('10.9.1.1', '10.9.1.2');
#	my $sink = $far->at(sub { $mail->sink(address => '10.9.1.2') });
#	$far->lose(20);		# of 100 packets, each way
#	$far->cut;		# nothing passes
#	$far->refuse;		# each packet of TCP is answered with a reset
#	$far->narrow(600);	# longer packets vanish, and nobody is told
#	$far->slow('64kbit');
#	$far->mend;
#
# The first address is ours, the second one the far machine's: a namespace that
# a process keeps. What is done at() it is done there, sockets stay there, and
# so do processes that are forked.

use strict;
use warnings;

use POSIX ();
use Postrider qw(wait_for slurp);

use constant NEW_NETWORK => 0x40000000;

my ($count, $parent) = (0, $$);
my @living;
my %setns = (x86_64 => 308, aarch64 => 268, riscv64 => 268, i686 => 346);

# Why there can be no wires here, or ''.
sub missing
{
	return 'unknown machine' unless $setns{(POSIX::uname())[4]};
	for my $command ('nft --version', 'tc -V', 'unshare -n nft list ruleset',
	    'unshare -n sh -c "ip link add x type veth peer name y"') {
		return "$command: cannot be had" if
		    system("$command >/dev/null 2>&1") != 0;
	}
	return '';
}

sub _run
{
	my (@command) = @_;

	system(@command) == 0 or die "@command failed\n";
}

sub new
{
	my ($class, $near, $far) = @_;
	my $n = $count++;
	my $self = bless { near => "near$n", far => "far$n" }, $class;

	# A process that does nothing keeps the namespace.
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0) {
		$SIG{TERM} = 'DEFAULT';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec 'unshare', '-n', 'sleep', '86400' or POSIX::_exit(127);
	}
	push @living, $self;
	my $ours = readlink "/proc/$$/ns/net";
	wait_for(sub { (readlink("/proc/$self->{pid}/ns/net") // $ours) ne
	    $ours }, 10, 'a namespace');
	_run('ip', 'link', 'add', $self->{near}, 'type', 'veth', 'peer',
	    'name', $self->{far}, 'netns', $self->{pid});
	_run('ip', 'addr', 'add', "$near/24", 'dev', $self->{near});
	_run('ip', 'link', 'set', $self->{near}, 'up');
	$self->at(sub {
		_run('ip', 'addr', 'add', "$far/24", 'dev', $self->{far});
		_run('ip', 'link', 'set', $_, 'up') for 'lo', $self->{far};
		_run('nft', 'add table ip hurt');
		_run('nft', "add chain ip hurt $_ " .
		    "{ type filter hook $_ priority 0; }")
		    for qw(input output);
	});
	return $self;
}

sub _enter
{
	my ($path) = @_;

	open my $f, '<', $path or die "$path: $!";
	syscall($setns{(POSIX::uname())[4]}, fileno $f, NEW_NETWORK) == 0
	    or die "$path: $!";
}

# Do something there; what it returns.
sub at
{
	my ($self, $code) = @_;
	my $is_list = wantarray;

	open my $home, '<', "/proc/$$/ns/net" or die "$!";
	_enter("/proc/$self->{pid}/ns/net");
	my @result = eval { $is_list ? $code->() : scalar $code->() };
	my $trouble = $@;
	_enter('/proc/self/fd/' . fileno $home);
	die $trouble if $trouble;
	return $is_list ? @result : $result[0];
}

# Stay there, in a process of one's own.
sub stay { my ($self) = @_; _enter("/proc/$self->{pid}/ns/net") }

# --- harm ---------------------------------------------------------------------

# A rule for what comes there, and for what leaves it.
sub rule
{
	my ($self, $rule, @ways) = @_;

	$self->at(sub { _run('nft', "add rule ip hurt $_ $rule")
	    for @ways ? @ways : qw(input output) });
}

sub lose { $_[0]->rule("numgen random mod 100 < $_[1] drop") }
sub cut { $_[0]->rule('drop') }
sub refuse { $_[0]->rule('ip protocol tcp reject with tcp reset', 'input') }
sub narrow { $_[0]->rule("meta length > $_[1] drop") }

sub slow
{
	my ($self, $rate) = @_;
	my @queue = ('root', 'tbf', 'rate', $rate, 'burst', '4kb', 'latency',
	    '2s');

	_run('tc', 'qdisc', 'replace', 'dev', $self->{near}, @queue);
	$self->at(sub { _run('tc', 'qdisc', 'replace', 'dev', $self->{far},
	    @queue) });
	$self->{is_slow} = 1;
}

sub mend
{
	my ($self) = @_;
	my $is_slow = delete $self->{is_slow};

	_run('tc', 'qdisc', 'del', 'dev', $self->{near}, 'root') if $is_slow;
	$self->at(sub {
		_run('nft', "flush chain ip hurt $_") for qw(input output);
		_run('tc', 'qdisc', 'del', 'dev', $self->{far}, 'root')
		    if $is_slow;
	});
}

END {
	if ($$ == $parent) {
		local $?;
		for (@living) {
			kill 'TERM', $_->{pid};
			waitpid $_->{pid}, 0;
		}
	}
}

1;
