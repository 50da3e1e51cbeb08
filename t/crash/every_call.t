# every_call.t - killed at any system call, each process on a message's way
# loses nothing.
#
# For each way (SMTP to SMTP, to an mbox, to a Maildir, from sendmail, through
# the maildrop of a system that is down, returned, deferred first, an alias for
# several, BDAT, LMTP), each process and each call it makes for one message:
# SIGKILL right before that call, and right after it when the call changes
# something. In the end what was accepted is there or has been returned, whole;
# what was refused is not there; a further copy there is only where the death
# of the one who delivers, notes or answers makes it.
use strict;
use warnings;
use Test::More;
use Postrider;
use Postrider::Sweep;

Postrider::need_root();
my $injector = ($ENV{BUILD} // 'build') . '/t/crash/inject';
plan skip_all => 'system calls cannot be changed here'
    if system("$injector 2>/dev/null") >> 8 != 64;

my $sweep = Postrider::Sweep->new('kill', sub {
	my ($call) = @_;
	return ('before', $call->{changes} ? 'after' : ());
});
$sweep->run;
$sweep->tell;
$sweep->enter('kill at each call');

my $lab = Postrider::Crash->new('later');
is($lab->steal->{lost}, 1, 'a message that is stolen would be noticed');
$lab->close;

my @rows = $sweep->rows;
cmp_ok(scalar(grep { $_->{outcome} ne 'unreached' } @rows), '>', 0,
    'processes were killed') unless $ENV{POSTRIDER_LEDGER};
is(join('', $sweep->faults), '', 'nothing lost, damaged or out of place');
done_testing();
