# model.t - the models of t/crash/model hold, and their mutants are refuted.
#
# The quick ones; with POSTRIDER_KILLS, as in `make crash`, all of them.
use strict;
use warnings;
use Test::More;

for my $program ('spin -V', 'gcc --version') {
	plan skip_all => "$program: not there" if
	    system("$program >/dev/null 2>&1") != 0;
}

my $pace = $ENV{POSTRIDER_KILLS} ? 'all' : 'quick';
my ($head, @rows) = `t/crash/model/run $pace`;
is($?, 0, 'every model is as it must be');
diag($head // 'no table', @rows) if $?;
note($head, @rows) if !$?;
cmp_ok(scalar(grep { /\bgood\b.*\bholds$/ } @rows), '>=', 4,
    'the protocols hold');
cmp_ok(scalar(grep { /\bmutant\b.*\brefuted$/ } @rows), '>=', 11,
    'a wrong order is found');
done_testing();
