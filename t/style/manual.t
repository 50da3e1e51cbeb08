# manual.t - every program, option and parameter is in the manual, and the
# pages are good ones.
use strict;
use warnings;
use Test::More;

my $build = $ENV{BUILD} // 'build';
my $bin = "$build/bin";
my $made = "$build/man/postrider-main.cf.5";

sub slurp
{
	my ($path) = @_;

	open my $in, '<', $path or return '';
	local $/;
	return scalar(<$in>) // '';
}

# What `make` says of a variable.
sub make_says
{
	my ($name) = @_;
	my $said = qx(make -s --no-print-directory BUILD=$build \\
	    --eval 'say-it: ; \@echo \$($name)' say-it 2>/dev/null);

	return split ' ', $said;
}

# NAME.SECTION of each page, to its file; links to what they link to.
my %page = map { m{([^/]+)$}; ($1 => $_) } glob('*/*.[1578]'), $made;
for my $link (make_says('MANUAL_LINKS')) {
	my ($name, $to) = split /=/, $link;
	ok(exists $page{$to}, "$name is $to, which there is");
	$page{$name} = $page{$to};
}
cmp_ok(scalar keys %page, '>', 20, 'the test sees the pages');

# --- programs ----------------------------------------------------------
my @programs = make_says('PROGRAMS');
cmp_ok(scalar @programs, '>', 15, 'and the programs');
my (@missing, %text);
for my $program (@programs) {
	my ($file) = grep { defined } map { $page{$_} } "$program.1",
	    "$program.8", "postrider-$program.8";
	push @missing, $program unless $file;
	$text{$program} = slurp($file) if $file;
}
is("@missing", '', 'every program that is installed has a page');

# Commands of master.cf that are a program under another name.
@missing = grep { !exists $page{"postrider-$_.8"} }
    slurp('master/services.c') =~ /\{ "(\w+)",\s+"(?:local|error|lmtp)" \}/g;
is("@missing", '', 'so has every other name of one in master.cf');

# --- options -----------------------------------------------------------
# What usage texts name: "-c", "[-dnf]", "--json", "-# | -X".
sub options_of
{
	my ($usage) = @_;
	my %options;

	while ($usage =~ /(?<![\w-])(--?)([\w#][\w-]*)/g) {
		if ($1 eq '--') {
			$options{"-$2"} = 1;
		} else {
			$options{$_} = 1 for split //, $2;
		}
	}
	return sort keys %options;
}

# Is it one of the words of a Fl or Op Fl line, or in a synopsis's "-abc"?
sub has_option
{
	my ($page, $option) = @_;

	return 1 if $page =~ /\bFl \Q$option\E(?=[\s,]|$)/m;
	for my $line ($page =~ /^\.(?:Op|It)?\s*Fl (.*)$/mg) {
		for my $word (split /[\s,|]+|(?<=\s)Fl /, $line) {
			return 1 if $word eq $option ||
			    length $option == 1 && $word =~ /^\w+$/ &&
			    $line !~ /^-/ && index($word, $option) >= 0 &&
			    length $word < 12;
		}
	}
	return 0;
}

for my $command (['postrider', 'postrider', 'help-please'],
    ['postrider-conf', 'postrider-conf', '--no-such-option'],
    ['postrider-queue', 'postrider-queue', 'help'],
    ['postrider-map', 'postrider-map', '-Y']) {
	my ($program, @words) = @$command;
	my ($file, @arguments) = @words;
	my $usage = join '', grep { !/^\S+: (?:error|warning|invalid|unrecog)/ }
	    map { "$_\n" } split /\n/, qx($bin/$file @arguments 2>&1);
	like($usage, qr/usage: /, "$program has a usage text");
	my @options = options_of($usage);
	cmp_ok(scalar @options, '>', 0, 'with options');
	@missing = grep { !has_option($text{$program}, $_) } @options;
	is("@missing", '', "each of which is in $program(8)");
	my @verbs = $usage =~ /^  (\w[\w-]*(?: \| \w[\w-]*)*)\s/mg;
	@missing = grep { $text{$program} !~ /\b\Q$_\E\b/ }
	    map { split / \| / } @verbs;
	is("@missing", '', 'so is each verb');
}

# sendmail has no usage text; its getopt string is the list.
my ($strings) = slurp('cleanup/sendmail.c') =~
    /getopt\(argc, argv, ((?:"[^"]*"\s*)+)/;
$strings =~ s/[":+\s]//g;
@missing = grep { $text{sendmail} !~ /^\.It Fl (?:.*[ ,])?\Q$_\E/m }
    split //, $strings;
is("@missing", '', 'every option that sendmail takes is in sendmail(1)');

# --- parameters --------------------------------------------------------
my %row;
for my $program (@programs, 'lmtp') {
	next if $program =~ /^(?:postrider|sendmail|postdrop|mailbox)/;
	for (qx($bin/$program --parameters 2>/dev/null)) {
		$row{(split /\t/)[0]} = 1;
	}
}
cmp_ok(scalar keys %row, '>', 200, 'programs tell their parameters');
my $parameters = slurp($made);
@missing = grep { $parameters !~ /^\.It Ic \Q$_\E$/m } sort keys %row;
is("@missing", '', 'and each of them is in postrider-main.cf(5)');

# Commands have rows that no daemon tells.
my (%declared, @raw);
for my $file (glob('*/*.c common/*/*.c')) {
	$declared{$_} = $file
	    for slurp($file) =~ /\bPARAM_[A-Z_]+\(\s*"(\w+)"/g;
	push @raw, slurp($file) =~ /\bPARAM_RAW\(\s*"(\w+)"/g;
}
cmp_ok(scalar keys %declared, '>', 250, 'sources declare parameters');
@missing = grep { $parameters !~ /^\.I[tc](?: Ic)? \Q$_\E$/m }
    sort keys %declared;
is("@missing", '', 'and each of these is there too');
my ($list) = slurp('master/check_services.c') =~ /\braw\[\] = \{(.*?)\}/s;
is(join(' ', $list =~ /"(\w+)"/g), join(' ', sort @raw),
    'postrider check knows those with names of their own');

# What pages call a parameter is one.
my %known = map { /^([^#\t]+)\t/ ? ($1 => 1) : () }
    split /\n/, slurp('common/param/known.tsv');
my (%unknown, %seen);
for my $file (grep { $_ ne $made && !$seen{$_}++ } values %page) {
	for my $line (slurp($file) =~ /^\.(?:It |Pq |Op )?Ic (.*)$/mg) {
		for my $word (split /[\s,]+/, $line) {
			next unless $word =~ /^[a-z]\w*_\w+$/ ||
			    $row{$word};
			next if $row{$word} || $known{$word};
			next if $word =~ /_$/;		# a beginning
			my ($end) = $word =~ /^[a-z]+(_\w+)$/;
			next if defined $end && $known{"*$end"};
			$unknown{"$file: $word"} = 1;
		}
	}
}
is(join(', ', sort keys %unknown), '',
    'pages name no parameters that there are not');

# --- form --------------------------------------------------------------
my %files = map { $_ => 1 } values %page;
my (@dead, @long, @titles);
for my $file (sort keys %files) {
	my $page = slurp($file);

	while ($page =~ /^\.Xr (\S+) (\d)/mg) {
		my ($name, $section) = ($1, $2);
		next if "$name.$section" =~ /^(?:fcntl\.2|mdoc\.7)$/;
		push @dead, "$file: $name($section)"
		    unless $page{"$name.$section"};
	}
	my ($base, $section) = $file =~ m{([^/]+)\.(\d)$};
	push @titles, $file
	    unless $page =~ /^\.Dt \U\Q$base\E\E $section$/m;
	push @long, $file if $file ne $made &&
	    grep { length > 80 && /^[^.]/ } split /\n/, $page;
}
is("@dead", '', 'no reference is dead');
is("@titles", '', 'each page has the name of its file');
is("@long", '', 'no line is longer than eighty characters');

SKIP: {
	skip 'mandoc is not installed', 1 if system('which mandoc >/dev/null');
	my @complaints = grep { !/referenced manual not found/ }
	    qx(mandoc -Tlint -W style @{[sort keys %files]} 2>/dev/null);
	is(join('', @complaints), '', 'mandoc has nothing to say about them');
}
done_testing();
