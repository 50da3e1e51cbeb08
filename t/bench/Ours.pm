package Ours;

# Postrider, as it is delivered, but for a port of its own and no submission.

use strict;
use warnings;

use parent 'System';
use Bench qw($build $dir run_command slurp spew);

sub name { return 'postrider' }
sub queues { return qw(maildrop incoming deferred) }
sub sendmail { return ("$build/bin/sendmail", '-C', "$_[0]{home}/etc") }
sub mailq
{
	return ("$build/bin/postrider", '-c', "$_[0]{home}/etc", 'queue');
}

# Of the tree that is measured.
sub version
{
	my ($number) = slurp('Makefile') =~ /^VERSION\s*:=\s*(\S+)/m;
	my $commit = `git describe --always --dirty 2>/dev/null` =~ s/\n//r;

	return "$number ($commit)";
}

sub prepare
{
	my ($self) = @_;
	my $home = $self->{home};
	my $master = slurp('conf/master.cf');

	$master =~ s/^smtp(\s+inet)/127.0.0.1:$self->{port}$1/m
	    or die "bench: conf/master.cf has no smtp inet line\n";
	$master =~ s/^submissions?\s+inet.*\n(?:[ \t]+.*\n)*//mg;
	spew("$home/etc/master.cf", $master);
	my %names = (HOME => $home, BUILD => $build, DIR => $dir,
	    RELAY => Receivers::port('relay'));
	$self->{main} = $self->settings_of('both.cf', %names) .
	    $self->settings_of('postrider.cf', %names);
}

sub _postrider
{
	my ($self, $verb) = @_;

	return "$build/bin/postrider -c $self->{home}/etc $verb " .
	    ">>$self->{home}/out 2>&1";
}

# --- write-ahead logs ---------------------------------------------------------

# Bytes of a log, where they are.
sub _bytes
{
	my ($l, $at, $length) = @_;
	my $bytes;

	sysseek $l->{file}, $at, 0;
	sysread $l->{file}, $bytes, $length;
	return $bytes // '';
}

# A log as far as it was looked at: what is known of a generation stays known,
# so that to ask again and again costs little.
sub _know
{
	my ($self, $path) = @_;
	my $l = $self->{logs}{$path} //= { generation => '' };

	open $l->{file}, '<:raw', $path or return if !$l->{file};
	my ($size, $generation) = unpack 'Q a8', _bytes($l, 16, 16);
	return if length($generation // '') < 8;
	if ($generation ne $l->{generation}) {
		$l->{generation} = $generation;
		$l->{at} = 4096 * int((4096 + $size / 256 + 4095) / 4096);
		$l->{open} = [];
	}
	return $l;
}

# The records that are new, and those that are not marked yet.
sub _has_messages
{
	my ($self, $path) = @_;
	my $l = $self->_know($path) or return 0;

	return 0 if _bytes($l, 2048, 8) eq $l->{generation};
	while ((my $head = _bytes($l, $l->{at}, 20)) =~ /^PRwr/) {
		last if substr($head, 8, 8) ne $l->{generation};
		push @{ $l->{open} }, $l->{at};
		$l->{at} += 256 * int((64 + unpack('V', substr $head, 16) +
		    255) / 256);
	}
	shift @{ $l->{open} } while @{ $l->{open} } &&
	    _bytes($l, 4096 + $l->{open}[0] / 256, 1) eq "\xb7";
	return @{ $l->{open} } > 0;
}

# A message gets a file before it is marked in a log.
sub is_empty
{
	my ($self, @but) = @_;

	for my $path (glob "$self->{spool}/incoming/wal.*") {
		return 0 if $self->_has_messages($path);
	}
	return $self->SUPER::is_empty(@but);
}

sub command_start { run_command($_[0]->_postrider('start')) }
sub command_stop { system($_[0]->_postrider('stop')) }

1;
