package Postrider::Crowd;

# What tests with thousands of clients need:
#
#	need_files(12_000);	# open files; begins the test anew to have them
#	my $kib = memory_of($mail);

use strict;
use warnings;

use Exporter 'import';
use Postrider qw(slurp);
use Test::More;

our @EXPORT_OK = qw(need_files memory_of);

# Perl cannot raise its own limit of open files: the shell does. Skips the test
# if nobody may have so many.
sub need_files
{
	my ($files) = @_;

	return if delete $ENV{POSTRIDER_TEST_HAS_FILES};
	my $hard = `sh -c 'ulimit -Hn'`;
	chomp $hard;
	plan(skip_all => "only $hard files may be open, $files are needed")
	    if $hard ne 'unlimited' && $hard < $files;
	$ENV{POSTRIDER_TEST_HAS_FILES} = 1;
	exec 'sh', '-c', "ulimit -n $files && exec \"\$@\"", 'sh', $^X,
	    (map { "-I$_" } grep { !ref } @INC), $0;
	die "sh: $!";
}

# Kilobytes of all programs, what they share counted once.
sub memory_of
{
	my ($mail) = @_;
	my $sum = 0;

	for my $pid ($mail->pid, $mail->children) {
		$sum += $1 if slurp("/proc/$pid/smaps_rollup") =~
		    /^Pss:\s+(\d+)/m;
	}
	return $sum;
}

1;
