package Boxes;

# Mail for mailboxes of this machine, and mail from its commands.

use strict;
use warnings;

use File::Path qw(make_path);
use POSIX ();
use Time::HiRes qw(time);

use Bench qw($dir $user count run_command);
use Receivers;
use Relay;

my $box = "/home/$user/box";
my @figures = (['cpu', 'us of CPU', 'less']);
my $turn = 0;

sub _load
{
	my ($mta, $count, $to) = @_;

	return Relay::load($mta, $count, '-d', '-s', 10, '-l', 4096, '-f',
	    's@bench.test', '-t', $to);
}

# An empty place for mailboxes, in a part of the disk of its own for each turn,
# which stays until the bench ends: where somebody has just removed files, ext4
# without a journal searches long for an inode, for both systems alike, and that
# would be what is measured.
sub _make_box
{
	my $place = "$dir/box." . ++$turn;

	make_path($place);
	run_command('chown', $user, $place);
	unlink $box;
	symlink $place, $box or die "$box: $!\n";
}

sub _must_have
{
	my ($mta, $count, $there) = @_;

	die $mta->name . ": $there of $count in the mailbox\n"
	    unless $there == $count;
}

sub _maildir
{
	my ($mta) = @_;
	my $count = count(5000);

	_make_box();
	my %value = _load($mta, $count, "$user\@bench.test");
	my @there = glob "$box/Maildir/new/*";
	_must_have($mta, $count, scalar @there);
	return %value;
}

sub _mbox
{
	my ($mta) = @_;
	my $count = count(5000);

	_make_box();
	my %value = _load($mta, $count, "$user\@bench.test");
	open my $mbox, '<', "$box/mbox" or die "$box/mbox: $!";
	my $there = 0;
	/^From / and $there++ while <$mbox>;
	_must_have($mta, $count, $there);
	return %value;
}

sub _lmtp
{
	my ($mta) = @_;

	return _load($mta, count(2000), 'r@lmtp.test');
}

# So many messages by the sendmail command, one after another. A shell starts
# it: to fork a process of our size takes as long as sendmail.
sub _inject
{
	my ($mta, $count) = @_;
	my $loop = 'file=$1 count=$2; shift 2; ' .
	    'while [ $count -gt 0 ]; do "$@" <$file || exit 1; ' .
	    'count=$((count - 1)); done';

	exec 'sh', '-c', $loop, 'sh', "$dir/message", $count, $mta->sendmail,
	    '-f', 's@bench.test', 'r@relay.test' or POSIX::_exit(127);
}

# So many from each of so many at once: how many were taken in a second.
sub _inject_all
{
	my ($mta, $each, $at_once) = @_;
	my @children;

	open my $out, '>', "$dir/message" or die "$dir/message: $!";
	print $out "Subject: bench\n\n", 'x' x 70, "\n";
	close $out or die "$dir/message: $!";
	my $start = time;
	for (1 .. $at_once) {
		my $pid = fork // die "fork: $!";
		_inject($mta, $each) if $pid == 0;
		push @children, $pid;
	}
	for my $pid (@children) {
		waitpid $pid, 0;
		die $mta->name . ": sendmail failed\n" if $?;
	}
	my $rate = $each * $at_once / (time - $start);
	$mta->wait_empty(600);
	return (rate => $rate);
}

sub scenarios
{
	return (
		{ id => 'maildir', about => 'Maildir delivery',
		    settings => { home_mailbox => 'box/Maildir/' },
		    figures => [['rate', 'msg/s', 'more', 4], @figures],
		    work => \&_maildir },
		{ id => 'mbox', about => 'mbox delivery',
		    settings => { home_mailbox => 'box/mbox' },
		    figures => [['rate', 'msg/s', 'more'], @figures],
		    work => \&_mbox },
		{ id => 'lmtp', about => 'LMTP delivery',
		    settings => { Receivers::transport() },
		    figures => [['rate', 'msg/s', 'more'], @figures],
		    work => \&_lmtp },
		{ id => 'inject', about => 'sendmail, one after another',
		    figures => [['rate', 'msg/s', 'more', 4]],
		    work => sub { _inject_all($_[0], count(500), 1) } },
		{ id => 'inject-8', about => 'sendmail, 8 at once',
		    figures => [['rate', 'msg/s', 'more']],
		    work => sub { _inject_all($_[0], count(100), 8) } },
	);
}

1;
