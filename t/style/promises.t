# promises.t - each promise at the head of a file ("commit-1") has a crash test
# that names and runs it, and no test names another one.
use strict;
use warnings;
use Test::More;

sub slurp
{
	my ($path) = @_;

	open my $f, '<', $path or die "$path: $!";
	local $/;
	return <$f>;
}

# At the heads, wherever that is.
my (%promised, @twice);
for my $file (glob '{common/*,master,cleanup,qmgr,local,resolve,smtp}/*.c') {
	my ($head) = slurp($file) =~ m{\A/\*\n(.*?)\n \*/}s or next;
	for my $name ($head =~ /^ \* ([a-z]+-\d+)  \S/mg) {
		push @twice, $name if $promised{$name};
		$promised{$name} = $file;
	}
}
cmp_ok(scalar keys %promised, '>', 25, 'the test sees the promises');
is("@twice", '', 'a number is given once');

# An area's numbers have no gaps.
my @gaps;
for my $name (sort keys %promised) {
	my ($area, $number) = $name =~ /(.*)-(\d+)/;
	push @gaps, $name if $number > 1 &&
	    !$promised{$area . '-' . ($number - 1)};
}
is("@gaps", '', 'nor is one left out');

# What the tests run: promise('commit-1', sub { ... }), at the left margin, so
# that no condition decides about it.
my (%run, @other);
for my $file (glob 't/crash/promises/*.t') {
	my ($area) = $file =~ m{/(\w+)\.t};
	for my $name (slurp($file) =~ /^promise\('([\w-]+)', sub \{$/mg) {
		$run{$name}++;
		push @other, "$file: $name" unless $name =~ /^$area-/;
	}
}
is(join(' ', grep { !$run{$_} } sort keys %promised), '',
    'each promise has a crash test');
is(join(' ', grep { !$promised{$_} } sort keys %run), '',
    'and each of these tests a promise');
is(join(' ', grep { $run{$_} > 1 } sort keys %run), '', 'one of its own');
is("@other", '', 'in the file of its area');

# Whoever refers to a promise refers to one that exists.
my %areas = map { s/-\d+//r => 1 } keys %promised;
my $areas = join '|', sort keys %areas;
my @unknown;
for my $file (glob('{common/*,master,cleanup,qmgr,local}/*.[ch] t/*/*.[cht] ' .
    't/*/*/*.[cht] t/crash/model/*')) {
	for my $name (slurp($file) =~ /\b((?:$areas)-\d+)\b(?![-.])/g) {
		push @unknown, "$file: $name" unless $promised{$name};
	}
}
is("@unknown", '', 'no comment refers to one that is not there');
done_testing();
