# alone.t - qmgr dies while a command waits for its answer, and is not there
# again for a while: the command does the work itself, under qmgr's lock, and
# asks nobody who waits for that lock.
use strict;
use warnings;

use lib 't/lib';
use POSIX qw(WNOHANG);
use Postrider qw(bin slurp wait_for);
use Test::More;

Postrider::need_root();
use constant COMMANDS => 10;
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:1', minimal_backoff_time => '600s',
	service_throttle_time => '1s' });
$mail->start;
my @ids = map { $mail->send(from => 'al@one.test',
    to => ["x$_\@far.test"]) =~ /queued as (\w+)/ } 1 .. 3;
wait_for(sub { $mail->queue_count('deferred') == 3 }, 20, 'deferrals');
symlink bin() . '/postrider-queue', "$mail->{dir}/$_"
    for qw(postqueue postsuper);

# One of the command's names, in the background.
sub begin
{
	my ($name, @words) = @_;
	my $pid = fork // die "fork: $!";

	return $pid if $pid;
	$ENV{MAIL_CONFIG} = $mail->etc;
	open STDERR, '>', '/dev/null';
	exec "$mail->{dir}/$name", @words or POSIX::_exit(127);
}

# Those that have not ended yet.
my (%running, @statuses);
sub running
{
	for my $pid (keys %running) {
		next if waitpid($pid, WNOHANG) != $pid;
		push @statuses, $?;
		delete $running{$pid};
	}
	return scalar keys %running;
}

# Who wants everything tried waits for half a second if somebody just has.
my ($qmgr) = $mail->children('qmgr');
%running = map { begin('postqueue', '-f') => 1 } 1 .. COMMANDS;
wait_for(sub { running() && !grep { slurp("/proc/$_/wchan") !~ /epoll/ }
    keys %running }, 20, 'the commands to ask');
kill 'STOP', $mail->{pid};
kill 'KILL', $qmgr;
my $before = running();
ok($before > 0, "$before commands were waiting");
ok(eval { wait_for(sub { running() < $before }, 20, 'one of them') },
    'without a qmgr one takes the lock and does it') or diag $@;
is(system("MAIL_CONFIG=@{[ $mail->etc ]} timeout 20 $mail->{dir}/postsuper " .
    "-h $ids[0] -d $ids[1] -h $ids[2] 2>/dev/null"), 0,
    'several orders, one after the other');
is($mail->queue_count('hold') . $mail->queue_count, '22',
    'two are on hold, and one is gone');
kill 'CONT', $mail->{pid};
ok(eval { wait_for(sub { running() == 0 }, 40, 'all of them') },
    'and all end when there is a qmgr again') or diag $@;
kill 'KILL', $_ for keys %running;
is("@statuses", join(' ', (0) x COMMANDS), 'each has done its work');
is(join('', grep { !/killed by signal 9/ } $mail->complaints), '',
    'nothing crashed');
done_testing;
