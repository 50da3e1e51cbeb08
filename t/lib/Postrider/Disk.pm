package Postrider::Disk;

# Disks that remember the order of their writes, and what a power cut leaves
# of them (t/crash/disk.c, cut.c). For a test that has its mounts for itself
# (Mounts.pm): when it ends, however it ends, nothing stays mounted, and loop
# devices go with what they carry.
#
#	my $why = Postrider::Disk::missing();	# '' where it can be done
#	my $disk = Postrider::Disk->new($dir);
#	$disk->format('ext4', 'queue');
#	Postrider::Disk::attach($disk->path('queue'), $place);
#	$disk->mark("something happened\n");
#	my ($marks, $records) = $disk->marks;	# [number, seconds, text]...
#	my ($images, $said, $when) = $disk->cut($number, 'some', 'apart', $seed);
#	my $trouble = Postrider::Disk::check('ext4', $image);

use strict;
use warnings;

use Carp qw(croak);
use Postrider qw(slurp wait_for);

my $size = 320 * 1024 * 1024;	# XFS wants 300 MB

my %make = (
	ext4 => [qw(mkfs.ext4 -q -F -b 4096 -m 0 -E),
	    'nodiscard,lazy_itable_init=0,lazy_journal_init=0'],
	xfs => [qw(mkfs.xfs -q -f -K)],
);
my %check = (
	ext4 => [qw(e2fsck -fn)],
	xfs => [qw(xfs_repair -n)],
);

# What this machine has not.
sub missing
{
	my $build = $ENV{BUILD} // 'build';

	for my $path ('/dev/fuse', '/dev/loop-control') {
		return "there is no $path" unless -c $path;
	}
	my $path = "$ENV{PATH}:/sbin:/usr/sbin";
	for my $program ('mkfs.ext4', 'mkfs.xfs', 'xfs_repair') {
		return "there is no $program"
		    unless grep { -x "$_/$program" } split /:/, $path;
	}
	return '' if -x "$build/t/crash/disk" && -x "$build/t/crash/cut";
	return "there is no $build/t/crash/disk: run make tests first";
}

# Run it; dies with what it said unless that is allowed.
sub _run
{
	my (@command) = @_;

	open my $p, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @command
	    or die "$command[0]: $!";
	local $/;
	my $text = <$p> // '';
	close $p or croak "@command: status $?\n$text";
	return $text;
}

# Two disks in this directory, "queue" and "home".
sub new
{
	my ($class, $dir) = @_;
	my $self = bless { dir => $dir, build => $ENV{BUILD} // 'build' },
	    $class;

	mkdir $_ for $dir, "$dir/disks";
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0) {
		exec "$self->{build}/t/crash/disk", "$dir/disks", $size,
		    "$dir/log" or POSIX::_exit(127);
	}
	wait_for(sub { -e "$dir/disks/marks" }, 10, 'the disks');
	open $self->{marks}, '>', "$dir/disks/marks" or die "marks: $!";
	return $self;
}

sub path { return "$_[0]{dir}/disks/$_[1]" }

sub format
{
	my ($self, $type, $name) = @_;

	_run(@{ $make{$type} }, $self->path($name));
}

# Mount a disk or an image; processes that end may hold it for a moment.
sub attach
{
	my ($from, $place, @options) = @_;

	mkdir $place;
	_run('mount', '-o', join(',', 'loop', @options), $from, $place);
}

sub detach
{
	my ($place) = @_;

	wait_for(sub {
		system("umount -R '$place' 2>/dev/null") == 0
	}, 30,
	    "umount $place");
}

# A line between the disk's records, by whoever has the descriptor.
sub mark
{
	my ($self, $text) = @_;

	syswrite $self->{marks}, $text or croak "mark: $!";
}

# An order: see disk.c.
sub order
{
	my ($self, $text) = @_;

	open my $f, '>', "$self->{dir}/disks/orders" or die "orders: $!";
	syswrite $f, $text or croak "order: $!";
}

# The marks so far, and how many records there are.
sub marks
{
	my ($self) = @_;
	my @marks = map { [split / /, $_, 3] } split /\n/,
	    _run("$self->{build}/t/crash/cut", "$self->{dir}/log");
	my $end = pop @marks;

	$_->[1] /= 1e9 for @marks;
	return (\@marks, $end->[0]);
}

# The images of a cut before this record; how many records, writes and flushes
# were before it, and writes in the caches; and its time.
sub cut
{
	my ($self, $number, $what, $cache, $seed) = @_;
	my @images = map { "$self->{dir}/image.$_" } qw(queue home);
	my $said = _run("$self->{build}/t/crash/cut", "$self->{dir}/log",
	    $number, $what, $cache, $seed, $size, @images);

	my ($numbers, $when) = $said =~ /^(.*) (\d+)$/;
	return (\@images, $numbers, $when / 1e9);
}

# Is a file system whole, its journal replayed? '' or what the checker said.
sub check
{
	my ($type, $image) = @_;

	eval { _run(@{ $check{$type} }, $image) };
	return $@;
}

# Forget the disks; nothing of them may be mounted.
sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} // return;

	close $self->{marks};
	detach("$self->{dir}/disks");
	waitpid $pid, 0;
	unlink glob "$self->{dir}/log* $self->{dir}/image.*";
}

1;
