package Postrider::Sweep;

# Every call of every process on every way, one after the other, in several
# systems at a time (Crash.pm): for every_call.t and every_error.t.
#
#	my $sweep = Postrider::Sweep->new('kill', sub {
#		my ($call) = @_;	# { key, kind, name, changes }
#		return ('before', 'after');	# what is done to it
#	});
#	$sweep->run;
#	my %totals = $sweep->totals;
#
# A short round takes calls by chance: POSTRIDER_SEED tells which; it is
# printed. With POSTRIDER_LEDGER it takes all of them, in any case until
# POSTRIDER_SECONDS are over, and writes a line for each in BUILD/crash/; what
# went well with the same programs is not done again. POSTRIDER_SYSTEMS
# is how many systems there are. POSTRIDER_ONLY="way process" takes one.

use strict;
use warnings;

use Digest::SHA ();
use Fcntl qw(:flock);
use File::Path qw(make_path);
use List::Util qw(max shuffle sum0);
use POSIX ();
use Test::More ();
use Time::HiRes qw(sleep time);

use Postrider qw(slurp bin);
use Postrider::Crash;

my @columns = qw(programs way process key when outcome state said lost
    duplicates damaged phantom seconds why);

# Whose end at the wrong moment makes one further copy: who delivers, and who
# notes it; and, where the one who posts asks again until he has an answer, who
# takes mail. A client of SMTP would send it again; ours does not.
my %may_repeat = map { $_ => 1 } qw(smtp lmtp local helper mailbox qmgr bounce);
my %may_ask_again = map { $_ => 1 } qw(sendmail down bounce reported alias);
my %takes_mail = map { $_ => 1 } qw(cleanup pickup sendmail postdrop);

sub new
{
	my ($class, $name, $what) = @_;
	my $build = $ENV{BUILD} // 'build';
	my $self = bless { name => $name, what => $what, results => [],
	    is_long => defined $ENV{POSTRIDER_LEDGER},
	    seed => $ENV{POSTRIDER_SEED} // int rand 1e9 }, $class;

	make_path("$build/crash");
	$self->{file} = "$build/crash/$name" .
	    ($self->{is_long} ? '' : ".short.$$");
	$self->{seconds} = $ENV{POSTRIDER_SECONDS} //
	    ($self->{is_long} ? 3600 : 8);
	$self->{systems} = $ENV{POSTRIDER_SYSTEMS} //
	    ($self->{is_long} ? 4 : 2);
	$self->{programs} = _programs();
	return $self;
}

# The programs that are tested, as a number.
sub _programs
{
	my $sha = Digest::SHA->new(256);

	$sha->add(slurp($_)) for sort glob(bin() . '/*');
	return substr $sha->hexdigest, 0, 12;
}

# Lines of earlier rounds with these programs.
sub _known
{
	my ($self) = @_;
	my @rows;

	for (split /\n/, slurp($self->{file})) {
		my %row;
		@row{@columns} = split /\t/, $_, -1;
		push @rows, \%row if $row{programs} eq $self->{programs};
	}
	return @rows;
}

# All of it. Units are dealt out to systems by a pipe.
sub run
{
	my ($self) = @_;
	my @units;

	Test::More::diag("POSTRIDER_SEED=$self->{seed}")
	    unless $self->{is_long};
	srand $self->{seed};
	for my $way (Postrider::Crash->ways) {
		push @units, map { [$way, $_] }
		    Postrider::Crash->processes($way);
	}
	@units = grep { "@$_" =~ /^$ENV{POSTRIDER_ONLY}$/ } @units
	    if defined $ENV{POSTRIDER_ONLY};
	@units = shuffle @units;
	my @known = $self->_known;
	# A way's system is started once if its units come together; of which
	# least is known comes first.
	my %count;
	$count{$_->{way}}++ for @known;
	@units = sort { ($count{$a->[0]} // 0) <=> ($count{$b->[0]} // 0) ||
	    $a->[0] cmp $b->[0] } @units if $self->{is_long};
	$self->{first} = @known;
	$self->{done} = { map { (join("\t", @$_{qw(way process key when)})
	    => 1) } grep { $_->{outcome} eq 'ok' } @known };
	$self->{end} = time + $self->{seconds};

	pipe my $take, my $give or die;
	syswrite $give, pack 'n*', 0 .. $#units;
	close $give;
	my @pids;
	for my $n (1 .. $self->{systems}) {
		my $pid = fork // die "fork: $!";
		if ($pid == 0) {
			srand $self->{seed} + $n;
			eval { $self->_work($take, @units); 1 } or
			    $self->_note(way => '-', process => '-',
			    key => '-', when => '-', outcome => 'fault',
			    why => $@);
			POSIX::_exit(0);
		}
		push @pids, $pid;
	}
	local $SIG{TERM} = local $SIG{INT} = sub {
		kill 'TERM', @pids;
		waitpid $_, 0 for @pids;
		exit 1;
	};
	waitpid $_, 0 for @pids;
	my @rows = $self->_known;
	$self->{results} = [splice @rows, $self->{first}];
	unlink $self->{file} unless $self->{is_long};
}

# One system after the other takes units until there are none.
sub _work
{
	my ($self, $take, @units) = @_;
	my $lab;

	# Whatever catches that, there is no time left.
	local $SIG{TERM} = sub { $self->{end} = 0; die "ended\n" };
	my $is_good = eval {
		while (time < $self->{end} && sysread($take, my $n, 2) == 2) {
			my ($way, $process) = @{ $units[unpack 'n', $n] };
			if (!$lab || $lab->{name} ne $way) {
				$lab->close if $lab;
				$lab = undef;
				$lab = Postrider::Crash->new($way);
			}
			$lab = $self->_unit($lab, $way, $process);
		}
		1;
	};
	my $why = $@;
	$lab->close if $lab;
	die $why unless $is_good || $why eq "ended\n";
}

# All calls of one process on one way, or a few of them. The system, which may
# be another one in the end.
sub _unit
{
	my ($self, $lab, $way, $process) = @_;
	my @todo;

	for my $call ($lab->record($process)) {
		push @todo, map { [$call, $_] }
		    $self->{what}->($call, $way, $process);
	}
	@todo = grep { !$self->{done}{join "\t", $way, $process,
	    $_->[0]{key}, $_->[1]} } @todo;
	@todo = splice @{ [shuffle @todo] }, 0, 4 unless $self->{is_long};
	for my $one (@todo) {
		last if time > $self->{end};
		next if $self->_try($lab, $way, $process, @$one);
		$lab->close;
		$lab = Postrider::Crash->new($way);
	}
	return $lab;
}

# One of them; false if the system is not what it was.
sub _try
{
	my ($self, $lab, $way, $process, $call, $when) = @_;
	my @about = (way => $way, process => $process, key => $call->{key},
	    when => $when);
	my $r;

	$r = eval {
		my $r = $lab->hit($process, $call->{key}, $when);
		_next_passes($lab) if $when =~ /^\d/;
		$r;
	};
	die $@ if $@ eq "ended\n";
	if (!$r) {
		$self->_keep("@about", "$@\n" . $lab->mail->log);
		$self->_note(@about, outcome => 'fault', why => $@ =~
		    s/\n.*//sr);
		return 0;
	}
	my $why = _fault($way, $process, $r);
	$self->_keep("@about: $why\n$r->{count}", $r->{log})
	    if defined $why;
	$self->_note(@about, outcome => defined $why ? 'fault' :
	    $r->{hit} ? 'ok' : 'unreached', why => $why // $r->{refusal} // '',
	    map { $_ => $r->{$_} } qw(state said lost duplicates damaged
	    phantom seconds));
	return !defined $why;
}

# One more message; after what looked like a full disk there may be 452 for
# some seconds.
sub _next_passes
{
	my ($lab) = @_;
	my $end = time + 5;

	until (eval { $lab->once; 1 }) {
		die $@ if time > $end || $@ !~ /: refused 452,/;
		sleep 0.2;
	}
}

# What is wrong with a result, or undef.
sub _fault
{
	my ($way, $process, $r) = @_;
	my $name = $process =~ s/:.*//r;
	my $most = $may_repeat{$name} ||
	    $takes_mail{$name} && $may_ask_again{$way} ? 1 : 0;

	return "lost: $r->{count}" if $r->{lost};
	return "damaged: $r->{count}" if $r->{damaged};
	return "returned, though nothing is wrong with it: $r->{count}"
	    if $r->{is_returned};
	return 'something stays in the queue' if $r->{stuck};
	return "crashed: $r->{crash}" if $r->{crash} ne '';
	return "refused for good: $r->{said} $r->{refusal}"
	    if $r->{said} =~ /^refused (5|(?!4\d\d|75$))/;
	return "$r->{said}, and is there: $r->{count}"
	    if $r->{phantom} && $r->{state} !~ /commit/;
	return "twice: $r->{count}" if $r->{most} > $most;
	return undef;
}

# The log of what went wrong, for whoever looks.
sub _keep
{
	my ($self, $title, $text) = @_;

	open my $f, '>>', ($ENV{BUILD} // 'build') . "/crash/$self->{name}" .
	    '.faults' or return;
	print $f "=== $title\n$text\n";
}

# One line.
sub _note
{
	my ($self, %row) = @_;

	$row{programs} = $self->{programs};
	$row{seconds} = sprintf '%.2f', $row{seconds} // 0;
	open my $f, '>>', $self->{file} or die "$self->{file}: $!";
	flock $f, LOCK_EX;
	syswrite $f, join("\t", map { ($row{$_} // '') =~ s/\s+/ /gr }
	    @columns) . "\n";
}

# --- the result ---------------------------------------------------------------

# What this run has done: rows as hashes.
sub rows { return @{ $_[0]{results} } }

# What went wrong, a line each.
sub faults
{
	my ($self) = @_;

	return map { "$_->{way} $_->{process}: $_->{key} $_->{when}: " .
	    "$_->{why}\n" } grep { $_->{outcome} eq 'fault' } $self->rows;
}

# A table by this column, and the rows behind it.
sub _table
{
	my ($self, $column) = @_;
	my %by;

	push @{ $by{ $_->{$column} } }, $_ for $self->rows;
	return map { [$_, @{ $by{$_} }] } sort keys %by;
}

sub _add { my ($column, @rows) = @_; return sum0(map { $_->{$column} || 0 }
    @rows) }

# Print what was seen.
sub tell
{
	my ($self) = @_;

	for my $column (qw(way state said)) {
		for ($self->_table($column)) {
			my ($name, @rows) = @$_;
			Test::More::diag(sprintf '%s %s: %d, lost %d, ' .
			    'duplicates %d, damaged %d, longest %.1f s',
			    $column, $name =~ s/^$/-/r, scalar @rows,
			    (map { _add($_, @rows) } qw(lost duplicates
			    damaged)), max(map { $_->{seconds} } @rows));
		}
	}
	Test::More::diag(scalar($self->rows) . ' in this round, ' .
	    scalar(grep { $_->{outcome} eq 'unreached' } $self->rows) .
	    " of them unreached; $self->{first} known from before");
}

# A line for each way in the ledger.
sub enter
{
	my ($self, $fault) = @_;
	my ($day, $month, $year) = (gmtime)[3 .. 5];

	return unless $self->{is_long};
	open my $ledger, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	for ($self->_table('way')) {
		my ($way, @rows) = @$_;
		@rows = grep { $_->{outcome} ne 'unreached' } @rows;
		next unless @rows && $way ne '-';
		my $bad = grep { $_->{outcome} eq 'fault' } @rows;
		printf $ledger "%04d-%02d-%02d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t" .
		    "%.1f\n", $year + 1900, $month + 1, $day,
		    $version || '-', "$fault, $way" . ($bad ?
		    ", found faults: $bad" : ''), scalar @rows,
		    scalar(grep { $_->{said} eq 'accepted' } @rows),
		    (map { _add($_, @rows) } qw(lost duplicates damaged)),
		    max(map { $_->{seconds} } @rows);
	}
}

1;
