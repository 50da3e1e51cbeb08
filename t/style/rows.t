# rows.t - every requirement has a check that names it, or a written reason.
# Whether the checks ran and passed is told by `make conformance`.
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

my %rows;
for my $list (qw(rfc5321 extensions attacks)) {
	for (split /\n/, slurp("t/conformance/$list.tsv")) {
		$rows{$1} = 1 if /^([^#\t]+)\t/;
	}
}
cmp_ok(scalar keys %rows, '>', 1000, 'the test sees the rows');

my (%named, %excused, @bad);
for my $file (glob('t/*/*.t t/*/*/*.t')) {
	my $text = slurp($file);
	while ($text =~ /['"(]((?:[0-9]{4}|[A-Z]{3,})[\w.+]*-[\w.-]*\w)/g) {
		$named{$1} = 1;
	}
}
for (split /\n/, slurp('t/conformance/reasons.tsv')) {
	next if /^#/ || /^$/;
	my ($id, undef, $reason) = split /\t/;
	my ($start) = $id =~ /^(.*)\*$/;
	push @bad, $id unless length($reason // '') > 15;
	$excused{$_} = 1 for grep { defined $start ?
	    index($_, $start) == 0 : $_ eq $id } keys %rows;
}
is("@bad", '', 'a reason is a sentence');
is(join(' ', grep { !$named{$_} && !$excused{$_} } sort keys %rows), '',
    'every row has a check or a reason');
done_testing();
