package Postrider::Correspondents;

# Clients that send all the time, while somebody does harm; what they heard, and
# what became of it:
#
#	my $people = Postrider::Correspondents->new($mail, writers => 3,
#	    to => sub { my ($id, $i) = @_; return ("$id\@relay.test") });
#	$people->start;
#	... $people->recovery(time);	# seconds until somebody heard 250
#	$people->stop;
#	my $r = $people->judge(map { $_->{data} } $sink->messages);
#	# $r: accepted, lost, damaged, duplicates, phantoms, codes, slowest
#	Postrider::Correspondents::ledger('what', $faults, $r, $seconds);
#
# Each message has an id, in its header and in its body. What a client heard
# goes into a file outside the queue, a line for each message: when, its id, the
# code that ended it ("none" if none came, "unknown" if the message had been
# sent by then), how long all of it took, and what was said. More of new: from;
# host and port; size, at most, of a body; pause, between messages; patience,
# for a reply; each, messages of a session; before, which each client does
# first.

use strict;
use warnings;

use List::Util qw(max sum0);
use POSIX ();
use Postrider qw(slurp spew wait_for);
use Time::HiRes qw(sleep time);

sub new
{
	my ($class, $mail, %o) = @_;
	my $self = bless { writers => 3, from => 's@relay.test', size => 3000,
	    pause => 0.01, patience => 30, each => 10, name => 'load', %o,
	    mail => $mail, owner => $$ }, $class;

	$self->{where} = $mail->dir . "/heard.$self->{name}";
	return $self;
}

# --- the clients --------------------------------------------------------------

sub _connect
{
	my ($self) = @_;
	my $c = Postrider::Client->new($self->{port} // $self->{mail}->port,
	    patience => $self->{patience}, host => $self->{host});

	$c->expect(220);
	$c->command('EHLO c.test', 250);
	return $c;
}

# One message; the reply that ended it.
sub _say
{
	my ($self, $c, $id, @to) = @_;
	my $body = "$id " . 'x' x int rand $self->{size};

	for ("MAIL FROM:<$self->{from}>", (map { "RCPT TO:<$_>" } @to),
	    'DATA') {
		my $reply = $c->command($_) // '';
		next if $reply =~ /^[23]/;
		$c->command('RSET') if $reply ne '' && $reply !~ /^421/;
		return $reply;
	}
	$self->{is_sent} = 1;
	my $reply = $c->data("X-Id: $id\n\n$body\n", qr/^\d/);
	$self->{is_sent} = 0;
	return $reply;
}

sub _note
{
	my ($self, $file, $id, $start, $reply) = @_;

	$reply = ($self->{is_sent} ? 'unknown ' : 'none ') . $reply
	    unless $reply =~ /^\d{3}/;
	$self->{is_sent} = 0;
	$reply =~ s/\n.*//s;
	syswrite $file, sprintf "%.3f %s %s %.3f %s\n", time, $id,
	    $reply =~ /^(\S+)/, time - $start, $reply;
}

# One session of a client.
sub _session
{
	my ($self, $file, $n) = @_;
	my ($id, $start) = ('-', time);

	return if eval {
		my $c = $self->_connect;
		for (1 .. $self->{each}) {
			my $i = $self->{number}++;
			$id = "$self->{name}-$n-$i";
			$start = time;
			my $reply = $self->_say($c, $id,
			    $self->{to}->($id, $i));
			$self->_note($file, $id, $start, $reply);
			return 1 if $reply =~ /^(421|$)/;
			($id, $start) = ('-', time);
			last if $self->_is_enough;
			sleep $self->{pause};
		}
		$c->command('QUIT');
		1;
	};
	$self->_note($file, $id, $start, "$@");
	sleep 0.05;
}

sub _is_enough
{
	my ($self) = @_;

	return -e "$self->{where}.enough" || getppid() != $self->{owner};
}

sub start
{
	my ($self) = @_;

	unlink "$self->{where}.enough";
	$self->{pids} = [];
	for my $n (1 .. $self->{writers}) {
		my $seed = int rand 1e9;
		my $pid = fork // die "fork: $!";
		if ($pid != 0) {
			push @{ $self->{pids} }, $pid;
			next;
		}
		$SIG{TERM} = 'DEFAULT';
		srand $seed;
		$self->{before}->() if $self->{before};
		$self->{number} = 0;
		open my $file, '>>', "$self->{where}.$n" or POSIX::_exit(1);
		$self->_session($file, $n) until $self->_is_enough;
		POSIX::_exit(0);
	}
	return $self;
}

# No more messages; those under way end.
sub stop
{
	my ($self) = @_;

	spew("$self->{where}.enough", '');
	waitpid $_, 0 for @{ delete $self->{pids} // [] };
}

sub DESTROY
{
	my ($self) = @_;
	local $?;

	return if $$ != $self->{owner} || !$self->{pids};
	kill 'TERM', @{ $self->{pids} };
	waitpid $_, 0 for @{ $self->{pids} };
}

# --- what they heard ----------------------------------------------------------

# [when, id, code, seconds, text], in the order of time.
sub heard
{
	my ($self) = @_;

	return sort { $a->[0] <=> $b->[0] } map { [split / /, $_, 5] }
	    map { split /\n/, slurp($_) }
	    grep { !/\.enough$/ } glob "$self->{where}.*";
}

# The last of it: reading all of it all the time takes longer and longer.
sub _lately
{
	my ($self) = @_;
	my @lines;

	for my $file (grep { !/\.enough$/ } glob "$self->{where}.*") {
		open my $f, '<', $file or next;
		my $from = (-s $f) - 10000;
		seek $f, $from, 0 if $from > 0;
		push @lines, grep { @$_ == 5 && $_->[0] =~ /^\d{9,}\./ }
		    map { chomp; [split / /, $_, 5] } <$f>;
	}
	return sort { $a->[0] <=> $b->[0] } @lines;
}

# How long after a moment somebody heard 250 to a message that began after it.
sub recovery
{
	my ($self, $since) = @_;
	my $first = eval { wait_for(sub { (grep { $_->[2] eq '250' &&
	    $_->[0] - $_->[3] > $since } $self->_lately)[0] }, 30) };

	return $first ? $first->[0] - $since : 99;
}

# Within how many seconds so many of 100 heard 250.
sub percentile
{
	my ($percent, @heard) = @_;
	my @times = sort { $a <=> $b } map { $_->[3] }
	    grep { $_->[2] eq '250' } @heard;

	return @times ? $times[int($#times * $percent / 100)] : 99;
}

# Of these texts, which messages are whole, and what of all that.
sub judge
{
	my ($self, @texts) = @_;
	my (%copies, %codes, @damaged);
	my @heard = $self->heard;

	for my $text (@texts) {
		$text =~ s/\r\n/\n/g;
		my ($id) = $text =~ /^X-Id: (\S+)$/m;
		next if defined $id && $id !~ /^\Q$self->{name}\E-/;
		push @damaged, $id // substr $text, 0, 60
		    unless defined $id && $text =~ /\n\n\Q$id\E x*\n+\z/;
		$copies{ $id // '-' }++;
	}
	$codes{ $_->[2] }++ for @heard;
	my %accepted = map { $_->[1] => 1 } grep { $_->[2] eq '250' } @heard;
	return { accepted => scalar keys %accepted, codes => \%codes,
	    copies => \%copies, damaged => \@damaged, heard => \@heard,
	    lost => [grep { !$copies{$_} } sort keys %accepted],
	    twice => [grep { $copies{$_} > 1 } sort keys %copies],
	    duplicates => sum0(map { $_ - 1 } values %copies),
	    most => max(0, values %copies),
	    phantoms => [map { $_->[1] } grep { $_->[2] =~ /^[45n]/ &&
		$copies{ $_->[1] } } @heard],
	    slowest => max(0, map { $_->[3] } @heard) };
}

# What codes there were, in words.
sub codes
{
	my ($r) = @_;

	return join ', ', map { "$_: $r->{codes}{$_}" } sort keys
	    %{ $r->{codes} };
}

# A line for the ledger of all days, when there is one.
sub ledger
{
	my ($name, $faults, $r, $seconds) = @_;

	return unless defined $ENV{POSTRIDER_LEDGER};
	open my $f, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $f "%04d-%02d-%02d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f\n",
	    $year + 1900, $month + 1, $day, $version || '-', $name, $faults,
	    $r->{accepted}, scalar @{ $r->{lost} }, $r->{duplicates},
	    scalar @{ $r->{damaged} }, $seconds;
}

1;
