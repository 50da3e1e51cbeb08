# layers.t - common/ includes downwards only, daemons never each other.
use strict;
use warnings;
use Test::More;

# Level of each directory of common/. A file may include from lower levels and
# from its own directory; the sideways edges are listed with their reason.
my %level = (base => 0, fiber => 1, param => 1, mail => 1,
    net => 2, ipc => 2, map => 2, queue => 2,
    dns => 3, tls => 3, sasl => 3, milter => 3, daemon => 4);
my %sideways = (
	'queue ipc' => 'an envelope holds the struct mail of packets.h',
	'param mail' => 'names of this machine have two spellings',
	'map net' => 'cidr tables hold networks',
);
my %daemon = map { $_ => 1 } qw(master smtpd smtp qmgr cleanup local resolve);

# What includes stand in a file of ours.
sub includes_of {
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!";
	my @found = map { /^\s*#\s*include\s+"([^"]+)"/ ? $1 : () } <$in>;
	return @found;
}

my (@upward, @across, @strange, %edges, $seen);
for my $file (glob('common/*/*.[ch] master/*.[ch] smtpd/*.[ch] smtp/*.[ch] ' .
    'qmgr/*.[ch] cleanup/*.[ch] local/*.[ch] resolve/*.[ch]')) {
	my ($top, $dir) = split m{/}, $file;
	for my $include (includes_of($file)) {
		my ($to, $to_dir) = split m{/}, $include;
		$seen++;
		if ($top eq 'common') {
			next if $to eq 'common' && $to_dir eq $dir;
			if ($to ne 'common' || !exists $level{$to_dir}) {
				push @strange, "$file: $include";
			} elsif ($level{$to_dir} >= $level{$dir} &&
			    !$sideways{"$dir $to_dir"}) {
				push @upward, "$file: $include";
			} else {
				$edges{$dir}{$to_dir} = 1;
			}
		} elsif ($to ne 'common' && $to ne $top) {
			push @across, "$file: $include";
		}
	}
}
cmp_ok($seen, '>', 100, 'the test sees the includes');
is("@upward", '', 'common/ includes from lower levels only');
is("@strange", '', 'common/ includes from common/ only');
is("@across", '', 'no daemon includes another one');

# The sideways edges make no circle.
sub reaches {
	my ($from, $to, $been) = @_;
	for my $next (keys %{ $edges{$from} || {} }) {
		return 1 if $next eq $to;
		next if $been->{$next}++;
		return 1 if reaches($next, $to, $been);
	}
	return 0;
}
is(join(' ', grep { reaches($_, $_, {}) } sort keys %edges), '',
    'no directory of common/ reaches itself');

# common/mail does no I/O: what it calls is text and memory.
my @io;
my $banned = qr/\b(?:open|openat|read|write|pread|pwrite|socket|connect|send
    |recv|sendmsg|recvmsg|fopen|printf|log_\w+|fork|getenv|stat)\s*\(/x;
for my $file (glob 'common/mail/*.c') {
	open my $in, '<', $file or die;
	my $text = do { local $/; <$in> };
	$text =~ s{/\*.*?\*/}{}gs;
	$text =~ s{"(?:[^"\\]|\\.)*"}{""}g;
	push @io, "$file: $1" while $text =~ /($banned)/g;
}
is("@io", '', 'common/mail does no I/O');
done_testing();
