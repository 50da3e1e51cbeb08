# lengths.t - a file is a short essay, a function does one thing.
use strict;
use warnings;
use Test::More;

my @files = grep { !m{^t/} } split /\n/,
    `git ls-files --cached --others --exclude-standard '*.c' '*.h'`;
cmp_ok(scalar @files, '>', 50, 'the test sees the files');

my (@long, @no_caption, @big_header);
for my $file (@files) {
	open my $in, '<', $file or next;
	my @lines = <$in>;
	push @long, "$file: " . @lines if @lines > 600;
	next unless $file =~ m{([^/]+\.c)$};
	my $head = join '', @lines[0 .. ($#lines < 3 ? $#lines : 3)];
	push @no_caption, $file unless $head =~ m{^/\*\n \* \Q$1\E - \S};
}
is("@long", '', 'no file has more than 600 lines');
is("@no_caption", '', 'each .c opens with its own caption');

my (@lengths, @giants);
open my $tags, '-|', 'ctags', '-x', "--_xformat=%n %{end} %N %F",
    '--kinds-C=f', grep { /\.c$/ } @files or die "ctags: $!";
while (<$tags>) {
	my ($start, $end, $name, $file) = split ' ';
	next unless $end;
	push @lengths, $end - $start + 1;
	push @giants, "$file:$start $name (" . ($end - $start + 1) . ')'
	    if $end - $start + 1 > 80;
}
cmp_ok(scalar @lengths, '>', 300, 'the test sees the functions');
is("@giants", '', 'no function has more than 80 lines');
my $median = (sort { $a <=> $b } @lengths)[@lengths / 2];
cmp_ok($median, '<=', 17, "the median function is short ($median lines)");

# Lines of eighty columns, tabs of eight; strings may be longer than that
# only where cutting them would hide them from a search.
my @wide;
for my $file (@files) {
	open my $in, '<', $file or next;
	while (my $line = <$in>) {
		chomp $line;
		1 while $line =~ s/\t/' ' x (8 - $-[0] % 8)/e;
		push @wide, "$file:$." if length $line > 80 && $line !~ /"/;
	}
}
is("@wide", '', 'lines fit into eighty columns');
done_testing();
