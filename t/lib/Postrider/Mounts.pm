package Postrider::Mounts;

# Mounts that only this test and what it starts can see:
#
#	use Postrider::Mounts;
#	my $alone = Postrider::Mounts::alone();	# the first statement
#	Postrider::Mounts::tmpfs("$dir/spool", 'size=8m,mode=755');
#	Postrider::Mounts::own_etc($dir);	# /etc is a copy from now on
#
# They are gone when the last process of the test is.

use strict;
use warnings;

use Carp qw(croak);

my @mounted;

sub _can
{
	return $> == 0 && system('unshare -m --propagation private ' .
	    'mount -t tmpfs tmpfs /mnt >/dev/null 2>&1') == 0;
}

# Begin this test again, in a mount namespace of its own. False when that
# cannot be had.
sub alone
{
	return 1 if delete $ENV{POSTRIDER_TEST_IS_ALONE};
	return 0 unless _can();
	$ENV{POSTRIDER_TEST_IS_ALONE} = 1;
	exec 'unshare', '-m', '--propagation', 'private', '--', $^X,
	    (map { "-I$_" } grep { !ref } @INC), $0, @ARGV;
	die "unshare: $!";
}

sub _mount
{
	my ($place, @words) = @_;

	system('mount', @words, $place) == 0 or croak "cannot mount $place";
	push @mounted, $place;
}

# A small file system in memory at this place.
sub tmpfs
{
	my ($place, $options) = @_;

	mkdir $place unless -d $place;
	_mount($place, '-t', 'tmpfs', '-o', $options, 'tmpfs');
}

# A copy of /etc, which may be changed, in the place of /etc.
sub own_etc
{
	my ($dir) = @_;

	system('cp', '-a', '/etc', "$dir/own-etc") == 0
	    or croak 'cannot copy /etc';
	_mount('/etc', '--bind', "$dir/own-etc");
}

# Let go of all of them, so that the directories can be removed.
sub leave
{
	while (my $place = pop @mounted) {
		system('umount', '-l', $place);
	}
}

1;
