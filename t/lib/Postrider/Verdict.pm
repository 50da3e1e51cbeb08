package Postrider::Verdict;

# What came of a round of Load.pm's: the ledgers of what was told, of what has
# come, and of kills, and the mailboxes.
#
# A refused message that is there all the same is a fault, a "phantom", unless
# one who had it in his hands was killed while its client waited: then it is
# counted as "window".

use strict;
use warnings;

use List::Util qw(max);

use Postrider qw(slurp);

sub _tool { return ($ENV{BUILD} // 'build') . '/t/crash/tally' }

# { kills => [[when, class, state, process]], messages, accepted (recipients),
# refused, unknown, lost, duplicates, damaged, phantom, window, bad, ... } of
# this round; apart is how many seconds two copies came after each other, at
# most, and furthest which.
sub judge
{
	my ($self) = @_;
	my %r = map { $_ => [] } qw(lost damaged phantom bad returned);
	my (%accepted, %refused, @replies);

	@r{qw(messages refused unknown window duplicates apart)} = (0) x 6;
	$r{kills} = [sort { $a->[0] <=> $b->[0] } map { [split /\t/] }
	    split /\n/, slurp("$self->{ledger}/kills")];
	open my $told, '<', "$self->{ledger}/told" or die;
	while (<$told>) {
		if (/^bad (.*)/) {
			push @{ $r{bad} }, $1;
			next;
		}
		my ($code, $id, $numbers, $dot, $reply) = split;
		if ($code == 250) {
			$r{messages}++;
			$accepted{"$id-$_"} = $reply for split /,/, $numbers;
			push @replies, $reply;
		} elsif ($code == 0) {
			$r{unknown}++;
		} else {
			$r{refused}++;
			$refused{$id} = [$dot, $reply];
		}
	}
	my $come = $self->_arrivals(\%r);
	$r{recipients} = keys %accepted;
	$r{lost} = [grep { !$come->{$_} } sort keys %accepted];
	$self->_count_copies(\%r, $come, \%refused);
	$self->_recovery(\%r, sort { $a <=> $b } @replies);
	return \%r;
}

# Every copy, wherever it is: { key => [when] }; when is 0 where nobody knows.
sub _arrivals
{
	my ($self, $r) = @_;
	my $dir = $self->{mail}->dir;
	my %come;

	open my $tally, '-|', _tool(), "$dir/boxes/all/new",
	    "$dir/kept/new", @{ $self->{boxes} // [] },
	    grep { -f } glob "$dir/mail/*" or die;
	open my $hop, '<', "$self->{ledger}/come";
	for my $f ($hop ? $hop : (), $tally) {
		while (<$f>) {
			my ($key, $what, $when) = split;
			push @{ $r->{damaged} }, $key if $what eq 'damaged';
			push @{ $come{$key} }, $when || 0;
			next if $what ne 'returned';
			my ($form) = $key =~ /f(\d+)-/;
			push @{ $r->{returned} }, $key
			    unless defined $form && $self->{is_returned}{$form};
		}
	}
	return \%come;
}

# Duplicates; and what is there though it was refused.
sub _count_copies
{
	my ($self, $r, $come, $refused) = @_;
	my @there;

	for my $key (keys %$come) {
		my @when = sort { $a <=> $b } @{ $come->{$key} };
		$r->{duplicates} += @when - 1;
		if ($when[0] > 0 && $when[-1] - $when[0] > $r->{apart}) {
			$r->{apart} = $when[-1] - $when[0];
			$r->{furthest} = $key;
		}
		push @there, $key if $refused->{ $key =~ s/-\d+$//r };
	}
	return if !@there;
	my $takers = $self->_takers;
	for my $key (@there) {
		my $id = $key =~ s/-\d+$//r;
		if (_may_be_there($r, $id, $takers->{$id}, @{ $refused->{$id} })) {
			$r->{window}++;
		} else {
			push @{ $r->{phantom} }, $key;
		}
	}
}

# Who took each message in, as far as the log was not killed, too: { id =>
# { queue_id, cleanup => process, smtpd => process } }.
sub _takers
{
	my ($self) = @_;
	my (%of, %id_of);
	my $log = $self->{mail}->log;

	while ($log =~ /cleanup\[(\d+)\]: (\w+): message-id=<([\w.-]+)\@load/g) {
		$of{$3}{cleanup}{$1} = 1;
		$id_of{$2} = $3;
	}
	# A session's number ends with its process.
	while ($log =~ /smtpd\[(\d+)\]: (\w+): client=/g) {
		my $id = $id_of{$2} // next;
		$of{$id}{smtpd}{ $1 % 10_000_000 } = 1;
	}
	return \%of;
}

# May a message that was refused be there? Only if one who had it in his hands
# was killed while its client waited: it had been committed by then. A master's
# daemons end soon after it, and who has no memory left a little later.
sub _may_be_there
{
	my ($r, $id, $takers, $dot, $reply) = @_;
	my @posts = $id =~ /p0n\d+f\d+$/ ? qw(pickup sendmail postdrop) :
	    'smtpd';

	for my $kill (@{ $r->{kills} }) {
		my ($when, $class, $state, $pid) = @$kill;
		my $later = $class eq 'master' || $state eq 'pressed' ? 4 : 0.2;
		next if $when > $reply + 0.2 || $when + $later < $dot;
		return 1 if $class eq 'master';
		next unless grep { $_ eq $class } 'cleanup', @posts;
		my $known = $takers->{$class};
		return 1 if !$known || $known->{$pid};
	}
	return 0;
}

# What the log says of a recipient's message.
sub story
{
	my ($self, $key) = @_;
	my $log = $self->{mail}->log;
	my $id = $key =~ s/-\d+$//r;
	my %ids = map { $_ => 1 } $log =~ /: (\w+): message-id=<\Q$id\E\@load/g;

	return grep { /: (\w+): / && $ids{$1} && (!/ to=</ || /\b\Q$key\E@/) }
	    split /^/, $log;
}

# For each class how long after a kill 250 was said again: the longest.
sub _recovery
{
	my ($self, $r, @replies) = @_;
	my $i = 0;

	$r->{silence} = 0;
	for (1 .. $#replies) {
		$r->{silence} = max($r->{silence}, $replies[$_] -
		    $replies[$_ - 1]);
	}
	for my $kill (@{ $r->{kills} }) {
		$i++ while $i < @replies && $replies[$i] < $kill->[0];
		last if $i == @replies;
		$r->{recovery}{$kill->[1]} = max($r->{recovery}{$kill->[1]} // 0,
		    $replies[$i] - $kill->[0]);
	}
}

1;
