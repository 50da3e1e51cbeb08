# queue_logs.t - messages in write-ahead logs while qmgr is down: the queue
# command shows them, what it deletes does not come back, and files that are not
# what was committed are made again.

use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use Postrider qw(bin need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(settings => { %Postrider::LOGGED,
	cleanup_processes => 1, relay_domains => 'far.test',
	smtpd_peername_lookup => 'no', in_flow_delay => '0s' });
my $sink = $mail->sink;
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;
my $incoming = $mail->spool . '/incoming';

sub post
{
	my ($to) = @_;

	return $mail->send(from => 's@one.test', to => ["$to\@far.test"]) =~
	    /queued as (\w+)/ ? $1 : die;
}

sub queue { return $mail->run('', bin() . '/postrider-queue', '-c',
    $mail->etc, @_) }
sub has_file { return -e "$incoming/$_[0]" }

# Is all of this log known to be committed, and something in it?
sub noted
{
	my ($path) = @_;
	my @records = Postrider::records_of($path) or return 0;

	return $records[-1]{at} < unpack 'q', substr slurp($path), 3080, 8;
}

# Three that stay in the log, since nobody delivers; then all of it dies.
my $warm = 0;
wait_for(sub {
	my $id = post('warm' . $warm++);
	$mail->wait_log(qr/$id: removed/);
	return grep { Postrider::records_of($_) } glob "$incoming/wal.*";
}, 20, 'a log');
kill 'STOP', $mail->children('smtp');
my @ids = map { post("stays$_") } 1 .. 3;
is(scalar(grep { has_file($_) } @ids), 0, 'they have no files');
kill 'STOP', $mail->children('qmgr');
wait_for(sub { grep { noted($_) } glob "$incoming/wal.*" }, 20, 'a note');
$mail->crash;
my ($path) = grep { Postrider::logged($_) == 3 } glob "$incoming/wal.*";
ok(defined $path, 'three are in one log') or BAIL_OUT('no log');
my $before = slurp($path);
my $copy = $mail->dir . "/copy";
spew($copy, $before);

# The log belongs to a cleanup that lives on, which has not noted yet that the
# write of the last one has ended: it may be refused.
open my $log, '+<:raw', $path or die;
flock $log, LOCK_EX or die;
sysseek $log, 3072, 0;
syswrite $log, "\0" x 20 or die;
my ($status, $text) = queue('list');
is(join(' ', map { has_file($_) ? 1 : 0 } @ids), '1 1 0',
    'who may be refused gets no file');
sysseek $log, 3072, 0;
syswrite $log, substr $before, 3072, 20 or die;
($status, $text) = queue('show', $ids[2]);
like($text, qr/stays3\@far\.test/, 'one that has no file is shown');
($status, $text) = queue('list');
is(scalar(grep { $text =~ /$_/ } @ids), 3, 'the list shows them');
is(scalar(grep { has_file($_) } @ids), 3, 'they have files now');
is(Postrider::logged($path), 0, 'and marks');

# As it would be if a qmgr had made the files, and died before it wrote marks;
# by a power cut, which took what was in one.
sub unmark
{
	my ($id) = @_;

	sysseek $log, 0, 0;
	syswrite $log, $before or die;
	truncate "$incoming/$id", 0 or die;
	is(Postrider::logged($path), 3, 'without marks');
}

unmark($ids[0]);
($status, $text) = queue('delete', $ids[1]);
is($status, 0, 'one is deleted');
ok(!has_file($ids[1]), 'its file is gone');
is(Postrider::logged($path), 0, 'nor is it in the log');
cmp_ok(-s "$incoming/$ids[0]", '>', 100, 'and another is whole again');
close $log;

# The same for qmgr, but for the one that was deleted.
my $marked = slurp($path);
my $mark = (grep { !$_->{is_marked} } Postrider::records_of($copy))[2]{at};
substr($marked, 4096 + $mark / 256, 1) = "\0";
spew($path, $marked);
truncate "$incoming/$ids[2]", 0 or die;

my $had = $sink->count;
$mail->start;
wait_for(sub { $sink->count >= $had + 2 }, 20, 'the others');
$mail->wait_empty;
is(join(' ', sort map { /^<?(stays\d)/ } map { @{ $_->{rcpt} } }
    $sink->messages), 'stays1 stays3', 'only the others come, once');
is(scalar(glob $mail->spool . '/corrupt/*'), undef, 'nothing is set aside');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
