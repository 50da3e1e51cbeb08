# tables.t - tables that are written where they are: half of a text is never
# taken for a table with half of the rows, whoever reads it, and whenever.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use Alone;
use Postrider qw(spew wait_for);

my $temp = File::Temp->newdir('prt-tables-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $file = "$dir/etc/generic";

Alone::prepare($dir, myorigin => 'local.test', mydestination => 'local.test',
    alias_maps => '', local_recipient_maps => '',
    smtp_generic_maps => "texthash:$file");
spew("$dir/etc/master.cf", "smtp unix - - n - - smtp\n");

my $head = join '', map { "early$_\@local.test x\@out.test\n" } 1 .. 50;
my $rest = "late\@local.test found\@out.test\n";
my $resolve;

# What the last row says: a value, "none" or "later".
sub last_row
{
	my $f = $resolve->ask_as('smtp', 'ASK_LOOKUP', ['str', 'smtp/unix'],
	    ['str', 'smtp_generic_maps'], ['int', 0],
	    ['list', [map { [['str', $_]] } 'late@local.test']]);

	return ($f->{value}, 'none', 'later')[$f->{result}];
}

# Write the head, do something, and write the rest half a second later; true
# if that came in time.
sub write_in_two
{
	my ($between) = @_;
	my $start = time;
	open my $f, '>', $file or die "$file: $!";

	chmod 0644, $file;
	syswrite $f, $head;
	$between->();
	my $left = $start + 0.5 - time;
	sleep $left if $left > 0;
	syswrite $f, $rest;
	return time - $start < 0.95;
}

# All that is heard until the table is whole for those who ask; "none" would be
# a row that is missing.
sub heard_until_found
{
	my ($writer) = @_;
	my %heard;

	my $end = time + 10;
	while (time < $end) {
		my $row = last_row();
		$heard{$row}++;
		last if $row eq 'found@out.test' && waitpid($writer, 1) != 0;
		sleep 0.02;
	}
	return \%heard;
}

# By another process, so that somebody asks meanwhile.
sub write_beside
{
	my ($between) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		my $is_in_time = write_in_two($between // sub { });
		POSIX::_exit($is_in_time ? 0 : 1);
	}
	return $pid;
}

# A machine that stops the writer for a second makes a table of its half.
sub is_never_half
{
	my ($heard, $what, $was_slow) = @_;

	SKIP: {
		skip 'the writer was too slow', 1 if $? != 0 || $was_slow;
		is($heard->{none} // 0, 0, $what);
	}
	ok($heard->{'found@out.test'}, '... and the whole one is read');
}

# Who begins while it is written.
my $writer = write_beside(sub { });
wait_for(sub { -s $file }, 10);
$resolve = Alone->new(program => 'resolve', dir => $dir);
is_never_half(heard_until_found($writer),
    'a process that begins meanwhile waits for the rest');

# Who has it open, and it is written over.
$writer = write_beside();
is_never_half(heard_until_found($writer), 'it is written over');

# Another file of the same name.
spew("$file.before", '');		# no inode comes again
unlink $file;
$writer = write_beside();
is_never_half(heard_until_found($writer), 'it is removed and written anew');

# Somebody writes, and then nobody asks for longer than anybody waits: that it is
# another one who writes now shows only by the time.
$writer = write_beside();
my $end = time + 0.9;
last_row() while time < $end;
waitpid $writer, 0;
my $was_slow = $?;
sleep 10.5;
$writer = write_beside();
is_never_half(heard_until_found($writer), 'it is written over again, later',
    $was_slow);

# A file has its new size before its new time: half of a text that looks as if
# nobody had written for an hour is not believed at the first look. It is whole
# again before the second one, 50 ms later, unless this machine was too slow.
sub cut_for_a_moment
{
	my $long_ago = time - 3600;

	sleep 1.1;		# the next question looks at the file
	pipe my $wait, my $go or die;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		close $go;
		sysread $wait, my $byte, 1;
		sleep 0.01;
		spew($file, $head . $rest);
		POSIX::_exit(0);
	}
	my $start = time;
	spew($file, $head);
	utime $long_ago, $long_ago, $file;
	close $go;
	my $row = last_row();
	waitpid $pid, 0;
	return ($row, (Time::HiRes::stat($file))[9] - $start < 0.04);
}

# What was read last may be the file before this one. Then the time of change,
# which utime() leaves behind that of modification, would say that rename(2) has
# put this one there whole.
spew($file, $head . $rest =~ s/found/first/r);
wait_for(sub { last_row() eq 'first@out.test' }, 10, 'this very file');
spew($file, $head . $rest);
wait_for(sub { last_row() eq 'found@out.test' }, 10, 'the whole table');
my ($row, $is_in_time);
for (1 .. 20) {
	($row, $is_in_time) = cut_for_a_moment();
	last if $is_in_time;
	wait_for(sub { last_row() eq 'found@out.test' }, 10,
	    'the whole table again');
}
SKIP: {
	skip 'this machine was too slow twenty times', 1 unless $is_in_time;
	is($row, 'found@out.test', 'what looks old and is not is not believed');
}

# But a change of which nobody has heard for an hour is known to the first who
# asks.
wait_for(sub { time - (Time::HiRes::stat($file))[9] > 1.2 }, 10, 'a pause');
spew($file, $head . $rest =~ s/found/other/r);
utime time - 3600, time - 3600, $file;
is(last_row(), 'other@out.test', 'an old change is believed at once');

$resolve->stop;
done_testing();
