package Machine;

# The machine that is measured on: what it is, what its disk can do, how busy
# others keep it, and when its disk has become quiet.

use strict;
use warnings;

use POSIX ();
use Time::HiRes qw(sleep time);

use Bench qw($build $dir capture count note slurp);

# The load of the last minute; a figure of a busy machine says little.
sub busy { return (split ' ', slurp('/proc/loadavg'))[0] }

# What the disk does in a second; see disk.c.
sub disk
{
	my ($what, $count) = @_;

	return capture("$build/t/bench/disk", $what, $dir, $count) + 0;
}

# The kind of file system, and whether an ext4 has a journal: without one it
# does not give an inode out again for seconds, and looks for another among
# those that were deleted lately, for each new file.
sub _file_system
{
	my ($device, $type) = capture('df', '--output=source,fstype', $dir) =~
	    m{\n(?:.*/)?(\S+)\s+(\S+)};

	return $type if $type ne 'ext4' || !-d "/proc/fs/ext4/$device";
	my @journal = glob "/proc/fs/jbd2/$device-*";
	return @journal ? 'ext4 with a journal' : 'ext4 without a journal';
}

sub describe
{
	my ($model) = slurp('/proc/cpuinfo') =~ /model name\s*:\s*(.*)/;
	my ($cpus) = capture('nproc') =~ /(\d+)/;
	my $kernel = (POSIX::uname())[2];
	my $type = _file_system();

	note(sprintf 'machine: %s, %d CPUs, Linux %s; %s; load %s before ' .
	    'anything began', $model // 'unknown', $cpus, $kernel, $type,
	    busy());
	note(sprintf 'disk: a write and sync of 4 KB in %.0f us, one after ' .
	    'another', 1e6 / disk('sync', count(500)));
}

# What the limits of this machine are without a mail system.
sub tell_limits
{
	note(sprintf 'disk, ten at once: files created, synced and removed, ' .
	    '%.0f a second; a log with group commit, 4 KB each, %.0f a second',
	    disk('files', count(5000)), disk('log', count(5000)));
}

# KiB that the kernel has yet to write.
sub _unwritten
{
	my $text = slurp('/proc/meminfo');
	my ($dirty) = $text =~ /^Dirty:\s+(\d+)/m;
	my ($writing) = $text =~ /^Writeback:\s+(\d+)/m;

	return $dirty + $writing;
}

# Sectors that were written since the start, of all disks.
sub _written
{
	my $sum = 0;

	for (split /\n/, slurp('/proc/diskstats')) {
		my @f = split;
		$sum += $f[9] if $f[2] =~ /^(?:[shv]d[a-z]+|nvme\d+n\d+)$/;
	}
	return $sum;
}

# Wait until what was written before is on the disk and the disk rests: a
# filled queue leaves so much behind that the next measurement would be of
# the kernel's throttle. When others keep the disk busy, that is told, and the
# next wait is a short one.
my $is_shared = 0;

sub settle
{
	my ($patience) = @_;
	my $end = time + ($is_shared ? 1 : $patience // 20);
	my $quiet = 0;

	capture('sync') if _unwritten() > 4096;
	while ($quiet < 2) {
		my $before = _written();
		sleep 0.25;
		my $kib = (_written() - $before) / 2;
		$quiet = $kib < 100 ? $quiet + 1 : 0;
		next if $quiet || time < $end;
		note(sprintf 'the disk does not become quiet: others write ' .
		    '%.0f KiB in a second (load %s)', $kib * 4, busy())
		    unless $is_shared;
		$is_shared = 1;
		return;
	}
	$is_shared = 0;
}

1;
