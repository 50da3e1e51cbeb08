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

sub command_start { run_command($_[0]->_postrider('start')) }
sub command_stop { system($_[0]->_postrider('stop')) }

1;
