# manners.t - the project stands alone and speaks of itself alone.
use strict;
use warnings;
use Test::More;

my @files = split /\n/, `git ls-files`;
cmp_ok(scalar @files, '>', 50, 'the test sees the files');

my (@notes, @debris);
for my $file (@files) {
	next if $file eq 't/style/manners.t' || -B $file;
	open my $in, '<', $file or next;
	while (<$in>) {
		push @notes, "$file:$." if /\b(?:TODO|FIXME|XXX)\b/;
		push @debris, "$file:$." if m{(?:\.\./shared|/tmp/lead\b)};
	}
}
is("@notes", '', 'nothing is left for later');
is("@debris", '', 'no file names a place outside the project');

# Functions that have no safe use here.
my @banned;
for my $file (grep { /\.c$/ } @files) {
	open my $in, '<', $file or next;
	my $text = do { local $/; <$in> };
	$text =~ s{/\*.*?\*/}{}gs;
	$text =~ s{"(?:[^"\\\n]|\\.)*"}{""}g;
	push @banned, "$file: $1"
	    while $text =~ /\b((?:strcpy|strcat|sprintf|vsprintf|gets|alloca|
	        popen|system|strtok|tmpnam|mktemp|rand|setjmp|longjmp))\s*\(/xg;
}
@banned = grep { !m{^t/} } @banned;
is("@banned", '', 'no call that has no safe use');
done_testing();
