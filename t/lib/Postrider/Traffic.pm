package Postrider::Traffic;

# Clients that send all the time, a ledger of what each was told, and the
# question in the end: where is every message that was accepted?
#
#	my $traffic = Postrider::Traffic->new($mail, sink => $sink,
#	    seed => $seed, writers => 4, to => sub { my ($id, $i) = @_; ... });
#	$traffic->begin('reload');	# a name of this phase
#	... trouble ...
#	my $seconds = $traffic->recovery(time);
#	$traffic->end;
#	$traffic->judge(name => 'reload', faults => 30, fine => qr/^250$/);
#
# Each message goes to one recipient, at the next hop ("ID@relay.test", if
# nothing else is said) or in the mbox of a user. The ledger lies in the
# system's directory, which must not be what is made to fail. With
# $POSTRIDER_LEDGER each judgement is a line of that file, too.

use strict;
use warnings;

use List::Util qw(sum0);
use POSIX ();
use Postrider qw(slurp spew wait_for);
use Test::More ();
use Time::HiRes qw(sleep time);

my @living;
my $parent = $$;

# Where messages go: two thirds to the next hop, a third to a mbox.
sub mixed
{
	my ($user) = @_;

	return sub {
		my ($id, $i) = @_;
		return $i % 3 == 0 ? "$user\@local.test" : "$id\@relay.test";
	};
}

# new($mail, sink =>, seed =>, writers =>, users => [...], to => code,
# pause => seconds between two messages of a client)
sub new
{
	my ($class, $mail, %o) = @_;
	my $self = bless { mail => $mail, dir => $mail->dir, writers => 4,
	    pause => 0, users => [], pids => [], seed => int rand 1e6,
	    to => sub { "$_[0]\@relay.test" }, %o }, $class;

	push @living, $self;
	return $self;
}

# Settings that make a system try often, and do not count its clients.
sub settings
{
	return (
		smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
		minimal_backoff_time => '1s', maximal_backoff_time => '2s',
		queue_run_delay => '1s', smtpd_error_sleep_time => '0s',
		smtpd_hard_error_limit => 1000,
		smtpd_client_connection_count_limit => 10000,
		smtpd_client_event_limit_exceptions => '',
		smtp_line_length_limit => 0, message_size_limit => 300000,
		alias_maps => '', notify_classes => '',
	);
}

# --- clients ------------------------------------------------------------------

# One message; the code that ended it, 250 or another.
sub _try_one
{
	my ($self, $c, $id, $i) = @_;
	my $body = "$id " . 'x' x int(rand(rand() < 0.1 ? 100000 : 3000));
	my $to = $self->{to}->($id, $i);

	for ("MAIL FROM:<s\@relay.test>", "RCPT TO:<$to>", 'DATA') {
		my $reply = $c->command($_) // die "closed\n";
		my $code = substr $reply, 0, 3;
		next if $code =~ /^[23]/;
		$c->command('RSET') unless $code eq '421';
		return $code;
	}
	$c->data("X-Id: $id\n\n$body\n", qr/^(\d+|\(closed\))/) =~ /^(\d+)/
	    or die "closed\n";
	return $1;
}

# A session of up to ten messages. What went wrong is thrown.
sub _session
{
	my ($self, $f, $next) = @_;
	my $c = Postrider::Client->new($self->{mail}->port, patience => 60);

	my $greeting = $c->reply // die "closed\n";
	die "$greeting\n" unless $greeting =~ /^220/;
	$c->command('EHLO c.test', 250);
	for (1 .. 10) {
		my ($id, $i) = $next->();
		my $code = $self->_try_one($c, $id, $i);
		syswrite $f, sprintf "%.3f %s %s\n", time, $id, $code;
		return if $code eq '421';
		sleep 0.02 if $code ne '250';
		sleep $self->{pause} if $self->{pause};
		return if -e "$self->{dir}/enough";
	}
	$c->command('QUIT', 221);
}

# A line for each message: when, its name, the code; and for each connection
# that was not had or ended early, with "-" and why.
sub _send
{
	my ($self, $n) = @_;
	my $i = 0;
	my $next = sub { $i++; return ("$self->{phase}-$n-$i", $i) };

	srand $self->{seed} + $n;
	open my $f, '>>', "$self->{dir}/heard.$self->{phase}.$n" or die;
	until (-e "$self->{dir}/enough" || getppid() != $parent) {
		next if eval { $self->_session($f, $next); 1 };
		my ($why) = split /\n/, $@;
		$why =~ s/ at \S+ line \d+.*//;
		syswrite $f, sprintf "%.3f - %s\n", time, $why;
		sleep 0.05;
	}
}

sub begin
{
	my ($self, $phase) = @_;

	$self->{phase} = $phase;
	$self->{log_start} = -s "$self->{dir}/log" // 0;
	unlink "$self->{dir}/enough";
	for my $n (1 .. $self->{writers}) {
		my $pid = fork // die;
		if ($pid == 0) {
			$SIG{TERM} = $SIG{INT} = 'DEFAULT';
			$self->_send($n);
			POSIX::_exit(0);
		}
		push @{ $self->{pids} }, $pid;
	}
}

sub end
{
	my ($self) = @_;

	spew("$self->{dir}/enough", '');
	waitpid $_, 0 for splice @{ $self->{pids} };
}

# --- what they heard ----------------------------------------------------------

# Everything of this phase: [when, id or "-", code or why].
sub heard
{
	my ($self) = @_;

	return sort { $a->[0] <=> $b->[0] } map { [split / /, $_, 3] }
	    map { split /\n/, slurp($_) =~ s/[^\n]*\z//r }
	    glob "$self->{dir}/heard.$self->{phase}.*";
}

sub accepted
{
	my ($self) = @_;

	return map { $_->[1] } grep { $_->[2] eq '250' } $self->heard;
}

# How long after this moment somebody heard 250.
sub recovery
{
	my ($self, $since, $patience) = @_;
	my $good = eval { wait_for(sub { (grep { $_->[0] > $since &&
	    $_->[2] eq '250' } $self->heard)[0] }, $patience // 30) };

	return $good ? $good->[0] - $since : 99;
}

# The lines of the log since this phase began.
sub log
{
	my ($self) = @_;

	return substr $self->{mail}->log, $self->{log_start};
}

# --- where everything is ------------------------------------------------------

# Count the copies of each message; what is not as it was sent.
sub _look
{
	my ($self) = @_;
	my (%copies, @damaged);
	my $mail = $self->{mail};

	# A host that says 354 without a recipient gets an empty message.
	for my $text ((map { $_->{data} =~ s/\r\n/\n/gr }
	    grep { @{ $_->{rcpt} } } $self->{sink}->messages),
	    map { $mail->mbox($_) } @{ $self->{users} }) {
		my ($id) = $text =~ /^X-Id: (\S+)$/m;
		push @damaged, $id // substr $text, 0, 200
		    unless defined $id && $text =~ /\n\n\Q$id\E x*\n+\z/;
		$copies{$id}++ if defined $id;
	}
	return (\%copies, @damaged);
}

# What holds for each trouble. name, faults; fine => what a client may hear,
# a code or why it was cut off; worst => seconds until there was mail again;
# twice => copies that may be too many; drain => seconds; least => messages
# that must have been accepted.
sub judge
{
	my ($self, %r) = @_;
	my $start = time;
	my $drained = eval { $self->{mail}->wait_empty($r{drain} // 60); 1 };
	$r{drained} = time - $start;
	my @heard = $self->heard;
	my ($copies, @damaged) = $self->_look;
	my (%codes, %accepted, %strange);

	for (@heard) {
		$codes{ $_->[1] eq '-' ? 'none' : $_->[2] }++;
		$accepted{ $_->[1] } = 1 if $_->[2] eq '250';
		$strange{ $_->[2] }++ if $_->[2] !~ $r{fine};
	}
	my @lost = grep { !$copies->{$_} } sort keys %accepted;
	@r{qw(accepted lost damaged duplicates)} = (scalar keys %accepted,
	    scalar @lost, scalar @damaged, sum0(map { $_ - 1 } values %$copies));
	$r{phantoms} = grep { $_->[2] =~ /^[45]\d\d$/ && $copies->{ $_->[1] } }
	    @heard;
	_tell(\%r, \%codes);
	Test::More::ok($drained, "$r{name}: the queue runs empty")
	    or Test::More::diag(substr $self->log, -3000);
	Test::More::is(join('; ', sort keys %strange), '',
	    "$r{name}: clients hear nothing else than they may");
	Test::More::is("@lost", '', "$r{name}: nothing accepted is lost");
	Test::More::is("@damaged", '', "$r{name}: nothing is damaged");
	_check_numbers(\%r);
	_write(\%r) if defined $ENV{POSTRIDER_LEDGER};
	$self->_forget;
	return \%r;
}

sub _tell
{
	my ($r, $codes) = @_;

	Test::More::diag(sprintf '%s: %d faults, heard %s; lost %d, damaged ' .
	    '%d, duplicates %d, refused but delivered %d%s, queue empty ' .
	    'after %.1f s', $r->{name}, $r->{faults}, join(', ', map {
	    "$_: $codes->{$_}" } sort keys %$codes), @$r{qw(lost damaged
	    duplicates phantoms)}, defined $r->{worst} ?
	    sprintf(', 250 again after %.2f s at most', $r->{worst}) : '',
	    $r->{drained});
}

sub _check_numbers
{
	my ($r) = @_;
	my $name = $r->{name};

	Test::More::cmp_ok($r->{accepted}, '>=', $r->{least} // 20,
	    "$name: mail was accepted");
	Test::More::is($r->{phantoms}, 0, "$name: nothing refused is delivered")
	    unless $r->{may_be_phantoms};
	Test::More::cmp_ok($r->{duplicates}, '<=', $r->{twice} // 0,
	    "$name: no more copies than there may be");
	Test::More::cmp_ok($r->{worst}, '<', 10, "$name: 250 again in time")
	    if defined $r->{worst};
}

# The next phase begins with empty mailboxes.
sub _forget
{
	my ($self) = @_;

	unlink glob("$self->{sink}{directory}/message.*"),
	    glob("$self->{dir}/heard.*");
	truncate $_, 0
	    for grep { -e } map { "$self->{dir}/mail/$_" } @{ $self->{users} };
}

# A line of the ledger of all days.
sub _write
{
	my ($r) = @_;

	open my $f, '>>', $ENV{POSTRIDER_LEDGER} or die;
	chomp(my $version = `git describe --always --dirty 2>/dev/null`);
	my ($day, $month, $year) = (gmtime)[3 .. 5];
	printf $f "%04d-%02d-%02d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f\n",
	    $year + 1900, $month + 1, $day, $version || '-', $r->{name},
	    $r->{faults}, $r->{accepted}, $r->{lost}, $r->{duplicates},
	    $r->{damaged}, $r->{worst} // $r->{drained};
}

END {
	if ($$ == $parent) {
		local $?;
		kill 'KILL', @{ $_->{pids} } for @living;
	}
}

1;
