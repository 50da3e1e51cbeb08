# fuzz.t - a short round of each fuzz target: does it still run, and does what
# it found once stay mended? `make fuzz` is the long round.
use strict;
use warnings;

use lib 't/lib';
use Postrider;
use Test::More;

my $build = $ENV{BUILD} // 'build';
my @targets = map { m{([^/]+)\.c$} } sort glob 't/fuzz/*.c';
my @built = grep { -x "$build/fuzz/$_" } @targets;
plan skip_all => 'no fuzz targets in this build: make fuzz-build'
    unless @built;
is("@built", "@targets", 'PRS-24 every target is built');

# What each of them is for.
my %for = (
	'PRS-24' => [qw(command dialogue address header mime answer reply postfix
	    packet maincf mastercf table data encode expand haproxy scram
	    dovecot challenge policy hello names form pem)],
	'PRS-21' => [qw(envelope journal wal)],
);
for my $id (sort keys %for) {
	for my $target (@{ $for{$id} }) {
		my @corpus = glob "t/fuzz/corpus/$target/*";
		cmp_ok(scalar @corpus, '>', 0, "$id $target has a corpus");
		my $scratch = File::Temp->newdir('prt-fuzz-XXXX',
		    DIR => '/tmp');
		my $said = `timeout 60 '$build/fuzz/$target' -runs=4000 -max_total_time=1 \\
		    -max_len=4096 -timeout=10 -rss_limit_mb=1024 -seed=1 \\
		    -print_final_stats=1 -artifact_prefix='$scratch/' \\
		    '$scratch' t/fuzz/corpus/$target 2>&1`;
		is($?, 0, "$id $target finds nothing") or diag $said;
		my ($count) = $said =~ /number_of_executed_units:\s*(\d+)/;
		cmp_ok($count // 0, '>', scalar @corpus,
		    "$id $target: " . ($count // 0) . ' executions');
	}
}
is(join(' ', grep { my $t = $_; !grep { $_ eq $t } map { @$_ } values %for }
    @targets), '', 'PRS-24 no target is left out');
done_testing();
