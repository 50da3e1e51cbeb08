# kill.t - kill -9 of each daemon class, of master and of the commands, under
# load: no accepted message is lost.
#
# Twenty clients send by SMTP all the time, in plain, in TLS and logged in, some
# to fifty recipients, up to 1 MB; sendmail posts beside them (Load.pm tells
# where it goes). Each 250 is noted in a ledger outside the system. Meanwhile
# processes of each class are killed: half of them at a random moment, half of
# them right before or after a call that an injector waits for, so that commit,
# cross-off, rename, unlink and mailbox are struck often. Kills are counted by
# class and by what the process was at. At the end of each round each accepted
# recipient must have got the message as it was sent, or its sender a report.
#
#	POSTRIDER_KILLS=1000 POSTRIDER_MESSAGES=1000000 prove -v ...
#
# until there are so many kills of each class and messages, or POSTRIDER_SECONDS
# are over. A round (POSTRIDER_ROUND seconds) is a line in the ledger; calling
# it again adds more, and the totals of all lines are told. POSTRIDER_RATE: how
# many messages a second are sent at most; POSTRIDER_STRIKES: kills a second.
use strict;
use warnings;
use Test::More;
use List::Util qw(max min sum0);
use Time::HiRes qw(sleep time);
use Postrider;
use Postrider::Load;

Postrider::need_root();
my $injector = ($ENV{BUILD} // 'build') . '/t/crash/inject';
plan skip_all => 'system calls cannot be changed here'
    if system("$injector 2>/dev/null") >> 8 != 64;

my $kills = $ENV{POSTRIDER_KILLS} || 2;
my $wanted = $ENV{POSTRIDER_MESSAGES} || 1000;
my $end = time + ($ENV{POSTRIDER_SECONDS} || 1e6);
my $round_time = $ENV{POSTRIDER_ROUND} || 120;
my $rate = $ENV{POSTRIDER_RATE} || 500;
my $per_second = $ENV{POSTRIDER_STRIKES} || 16;
my $ledger = $ENV{POSTRIDER_LEDGER};
my @commands = qw(sendmail postdrop);
my @classes = qw(smtpd cleanup qmgr resolve smtp local helper mailbox bounce
    log pickup dns anvil keys auth virtual lmtp error pipe master);

my $lab = Postrider::Load->new(settings => {
	# A place can be killed once in a second.
	smtpd_processes => 4, cleanup_processes => 3, smtp_processes => 3,
	local_processes => 2, resolve_processes => 3,
});
my $mail = $lab->mail;
$lab->start;

# --- a round ------------------------------------------------------------------

my (%killed, %known, %totals, @faults);

# Which class shall be struck: who lacks most, by chance, if somebody of it runs
# since more than a second.
sub choose {
	my ($busy) = @_;
	my %lack = map { $_ => max(0, $kills - ($killed{$_} // 0)) } @classes;

	$lack{$_} ||= 0.001 for @classes;
	delete @lack{keys %$busy};
	my $at = rand sum0(values %lack);
	for my $class (sort keys %lack) {
		return $class if ($at -= $lack{$class}) < 0;
	}
	return undef;
}

# Strike until the time is over. What was killed is in the ledger.
sub strike_until {
	my ($until) = @_;
	my (@strikes, %busy);

	while (time < $until) {
		for my $s (splice @strikes) {
			my $is_hit = $lab->struck($s);
			if (!defined $is_hit) {
				push @strikes, $s;
				next;
			}
			delete $busy{$s->{class}};
			$killed{$s->{class}} += $is_hit;
		}
		my $class = @strikes < 8 ? choose(\%busy) : undef;
		if (!defined $class) {
			sleep 0.05;
		} elsif ($class eq 'master') {
			$lab->kill_master;
			$killed{master}++;
		} elsif (rand() < 0.5) {
			$killed{$class} += $lab->kill_now($class);
		} elsif (my $s = $lab->strike($class)) {
			push @strikes, $s;
			$busy{$class} = 1;
		}
		sleep rand 2 / $per_second;
		last if is_enough() && !$ledger;
	}
	while (@strikes) {
		@strikes = grep { !defined $lab->struck($_) } @strikes;
		sleep 0.05;
	}
}

sub is_enough {
	return !grep { ($killed{$_} // 0) < $kills } @classes;
}

# A line for the ledger: its last column has the kills by class and state, and
# what else was counted.
sub enter {
	my ($r, $drained) = @_;
	my %by;
	$by{"$_->[1]/$_->[2]" =~ tr/ /-/r}++ for @{ $r->{kills} };
	my $details = join ' ', "recipients=$r->{recipients}",
	    "refused=$r->{refused}", "unknown=$r->{unknown}",
	    "phantom=" . @{ $r->{phantom} }, "window=$r->{window}",
	    sprintf('apart=%.1f', $r->{apart}),
	    sprintf('silence=%.1f', $r->{silence}),
	    map { "$_=$by{$_}" } sort keys %by;

	open my $f, '>>', $ledger or die "$ledger: $!";
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $f "%04d-%02d-%02d\t%s\tkill -9\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\n",
	    $year + 1900, $month + 1, $day, $version || '-',
	    scalar @{ $r->{kills} }, $r->{messages}, scalar @{ $r->{lost} },
	    $r->{duplicates}, scalar @{ $r->{damaged} }, $drained, $details;
}

# What must not be, each a sentence.
sub faults_of {
	my ($r) = @_;
	my %what = (lost => 'lost', damaged => 'damaged', phantom =>
	    'refused and there', bad => 'refused for good', returned =>
	    'returned though nothing is wrong');
	my @found = grep { /panic:|killed by signal (?!9\b)|Sanitizer|
	    runtime\ error/x } split /^/, $mail->log . $mail->output;

	for my $name (sort keys %what) {
		my @list = @{ $r->{$name} };
		push @found, "$what{$name}: " . @list . ': ' . join(' ',
		    @list[0 .. min(9, $#list)]) . "\n" if @list;
	}
	return @found;
}

sub round {
	my ($number) = @_;
	my $until = min($end, time + $round_time);

	$lab->begin(rate => $rate, strikes => $ledger ? 0.3 : 0.7);
	strike_until($until);
	Postrider::wait_for(sub { (-s "$lab->{ledger}/told" // 0) / 45 >
	    $wanted }, 60) if !$ledger;
	$lab->finish;
	my $drained = $lab->drain(600);
	my $r = $lab->judge;
	my @found = faults_of($r);

	push @faults, @found;
	$known{$_->[1]}{$_->[2]}++ for @{ $r->{kills} };
	$totals{$_} += ref $r->{$_} ? @{ $r->{$_} } : $r->{$_} for qw(messages
	    recipients refused unknown window duplicates lost damaged phantom);
	$totals{$_} = max($totals{$_} // 0, $r->{$_}) for qw(apart silence);
	$totals{recovery}{$_} = max($totals{recovery}{$_} // 0,
	    $r->{recovery}{$_}) for keys %{ $r->{recovery} };
	diag(sprintf 'round %d: %d kills, %d accepted for %d, lost %d, ' .
	    'duplicates %d, damaged %d, empty after %.1f s, silence %.1f s',
	    $number, scalar @{ $r->{kills} }, $r->{messages}, $r->{recipients},
	    scalar @{ $r->{lost} }, $r->{duplicates}, scalar @{ $r->{damaged} },
	    $drained, $r->{silence});
	diag(sprintf '%s came again after %.1f s: %s', @$r{qw(furthest apart)},
	    join '', $lab->story($r->{furthest})) if $r->{apart} > 5;
	enter($r, $drained) if $ledger;
	keep($number, @found) if @found;
	$lab->wipe;
}

# The log and the ledgers of what went wrong, for whoever looks.
sub keep {
	my ($number, @found) = @_;
	my $dir = ($ENV{BUILD} // 'build') . "/crash/kill.$$.$number";

	system('mkdir', '-p', $dir);
	system('cp', '-r', $mail->dir . '/log', glob("$lab->{ledger}/*"), $dir);
	Postrider::spew("$dir/faults", join '', @found);
	diag("see $dir: @found");
}

for (my $number = 1; time < $end; $number++) {
	round($number);
	last if is_enough() && $totals{messages} >= $wanted || @faults;
}

# --- the result ---------------------------------------------------------------

for my $class (@classes, @commands) {
	my $states = $known{$class} // {};
	diag(sprintf '%-9s %5d: %s; 250 again after at most %.1f s', $class,
	    sum0(values %$states), join(', ', map { "$_ $states->{$_}" }
	    sort keys %$states), $totals{recovery}{$class} // 0);
}
diag(join ', ', map { "$_ $totals{$_}" } grep { !ref $totals{$_} }
    sort keys %totals);

# All lines of the ledger, by class and state.
if ($ledger) {
	my %all;
	for (split /\n/, Postrider::slurp($ledger)) {
		my @column = split /\t/;
		next unless @column > 9 && $column[2] eq 'kill -9';
		$all{messages} += $column[4];
		$all{$1}{$2} += $3 while
		    $column[9] =~ m{(?<!\S)(\w+)/(\S+)=(\d+)}g;
	}
	diag("in the ledger: $all{messages} accepted");
	for my $class (grep { ref $all{$_} } sort keys %all) {
		my $states = $all{$class};
		diag(sprintf 'in the ledger: %-9s %5d: %s', $class,
		    sum0(values %$states), join ', ',
		    map { "$_ $states->{$_}" } sort keys %$states);
	}
}

is(join('', @faults), '', 'nothing lost, damaged, refused for good or there ' .
    'though refused; nothing crashed of itself');
if (!$ledger) {
	cmp_ok($totals{messages}, '>=', $wanted, 'enough was accepted');
	cmp_ok($killed{$_} // 0, '>=', $kills, "$_ was killed each time")
	    for @classes;
	cmp_ok(sum0(values %{ $known{$_} // {} }), '>', 0, "$_ was killed")
	    for @commands;
}
done_testing();
