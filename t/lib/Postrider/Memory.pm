package Postrider::Memory;

# What is in the memory of a running process, for tests of secrets:
#
#	my @found = search_memory($pid, 'password', $key);
#
# are those of the words that are there, sorted; a word has at most 1000 bytes.
# A sanitizer's notes are left out: they have no end.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT_OK = qw(search_memory);

use constant { PIECE => 1 << 20, OVERLAP => 1000, TOO_MUCH => 1 << 30 };

# Which of the words stand between two addresses.
sub _search
{
	my ($mem, $from, $to, $found, @words) = @_;
	my $rest = '';

	sysseek $mem, $from, 0 or return;
	while ($from < $to) {
		my $want = $to - $from < PIECE ? $to - $from : PIECE;
		my $got = sysread $mem, my $bytes, $want or last;
		$from += $got;
		$bytes = $rest . $bytes;
		index($bytes, $_) < 0 or $found->{$_} = 1 for @words;
		$rest = substr $bytes, -OVERLAP();
	}
}

sub search_memory
{
	my ($pid, @words) = @_;
	my %found;

	open my $maps, '<', "/proc/$pid/maps" or die "maps of $pid: $!";
	open my $mem, '<:raw', "/proc/$pid/mem" or die "memory of $pid: $!";
	while (<$maps>) {
		my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) r/ or next;
		next if /\[v(?:var|dso|syscall)/;
		no warnings 'portable';
		($from, $to) = (hex $from, hex $to);
		_search($mem, $from, $to, \%found, @words)
		    if $to - $from <= TOO_MUCH;
	}
	my @found = sort keys %found;
	return @found;
}

1;
