# every_error.t - whatever single system call fails, nothing is lost.
#
# The ways of every_call.t, each process and each call about a file, memory or
# another process that it makes for one message: it fails once, with each of
# the errors below in turn. What was accepted is there or has been returned; a
# client hears no 5xx; no daemon crashes; the next message passes as if nothing
# had been.
#
# Not tried is what the kernel never answers: the calls of %only say nothing but
# what their manual pages have. EAGAIN belongs to this where there is something
# to be read: it would promise an event that has come before.
use strict;
use warnings;
use Errno;
use Test::More;
use Postrider;
use Postrider::Sweep;

Postrider::need_root();
my $injector = ($ENV{BUILD} // 'build') . '/t/crash/inject';
plan skip_all => 'system calls cannot be changed here'
    if system("$injector 2>/dev/null") >> 8 != 64;

my @errors = qw(ENOSPC EDQUOT EIO EROFS EFBIG ENOMEM EMFILE ENFILE EINTR EAGAIN
    EACCES);
my %only = (
	close => [qw(EIO ENOSPC EDQUOT EINTR)],
	munmap => ['ENOMEM'], mprotect => ['ENOMEM', 'EACCES'],
	madvise => [qw(ENOMEM EAGAIN EIO)], brk => ['ENOMEM'],
	mmap => [qw(ENOMEM EAGAIN ENFILE EACCES)], mremap => [qw(ENOMEM EAGAIN)],
	epoll_ctl => [qw(ENOMEM ENOSPC)], epoll_wait => ['EINTR'],
	epoll_pwait => ['EINTR'], poll => [qw(EINTR ENOMEM)],
	fstat => [qw(EIO ENOMEM)], lseek => ['EIO'], dup2 => [qw(EINTR EMFILE)],
	fork => [qw(EAGAIN ENOMEM)], vfork => [qw(EAGAIN ENOMEM)],
	clone => [qw(EAGAIN ENOMEM)], clone3 => [qw(EAGAIN ENOMEM)],
	execve => [qw(ENOMEM EMFILE ENFILE EIO EACCES EAGAIN)],
	map { $_ => [qw(ENOMEM)] } qw(getsockname getpeername getsockopt
	    setsockopt shutdown listen),
);

sub errors_of
{
	my ($call) = @_;

	# What the loader does before the program begins, or for a library that
	# is loaded later: not ours, and a crash, or 127, is its answer.
	return () if $call->{is_loading} || $call->{key} =~ m{/lib/|/ld\.so};
	my $names = $only{$call->{name}} //
	    ($call->{kind} =~ /^(file|memory|ipc)$/ ? \@errors : []);

	# A number in memory: it can be read too early.
	$names = $call->{name} eq 'read' ? ['EAGAIN'] : []
	    if $call->{key} =~ /\[eventfd\]/;
	$names = [grep { $_ ne 'EAGAIN' } @$names]
	    if $call->{name} =~ /^(recv|accept)|^read$/ &&
	    $call->{key} !~ /\[eventfd\]/;
	no strict 'refs';
	return map { &{"Errno::$_"}() } @$names;
}

my $sweep = Postrider::Sweep->new('error', \&errors_of);
$sweep->run;
$sweep->tell;
$sweep->enter('error at each call');

my @rows = $sweep->rows;
cmp_ok(scalar(grep { $_->{outcome} ne 'unreached' } @rows), '>', 0,
    'calls failed') unless $ENV{POSTRIDER_LEDGER};
is(join('', $sweep->faults), '', 'nothing lost, damaged, refused for good ' .
    'or crashed');
done_testing();
