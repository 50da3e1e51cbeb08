# maps.t - table files that are replaced, cut, written over, damaged, taken away
# and made unreadable under load: clients hear 451 at worst, no accepted message
# is lost or returned, and the answers come back by themselves.
#
# For each type of table: whom relay.test knows, what is an alias, and which way
# it goes stand in tables of this type; without them there would be a 550, or a
# report to the sender. What can be refused is refused with 451 only. A text
# that somebody has made shorter is a table with fewer rows to everybody, so
# texts are whole again before anybody believes that, in less than a second;
# where the machine was slower than that, nothing is judged.
use strict;
use warnings;
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Correspondents;
use Fcntl qw(O_WRONLY O_TRUNC);
use List::Util qw(max shuffle);
use POSIX qw(mkfifo);
use Time::HiRes qw(sleep time);

Postrider::need_root();
my $is_long = defined $ENV{POSTRIDER_LEDGER};
my $patience = 5;			# seconds until 250 comes again
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
diag("seed $seed");
srand $seed;

my %suffix = (hash => '.db', btree => '.db', lmdb => '.lmdb', cdb => '.cdb');
my %is_here = map { $_ => 1 } split /\n/, `@{[Postrider::bin()]}/postrider-conf -m`;
my @types = $ENV{POSTRIDER_ONLY} ? split ' ', $ENV{POSTRIDER_ONLY} :
    grep { $is_here{$_} } qw(hash btree cdb lmdb texthash regexp);

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	virtual_alias_domains => 'alias.test',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', service_throttle_time => '1s',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 100000,
	default_transport => 'error:5.1.2 no way there',
	relay_transport => 'error:5.1.2 no way there',
	smtp_connection_cache_on_demand => 'no', smtp_line_length_limit => 0,
	notify_classes => '',
});
my ($dir, $etc) = ($mail->dir, $mail->etc);
my $sink = $mail->sink;
my $alice = $mail->user(0);
my $people = 500;

# --- tables -------------------------------------------------------------------

# [parameter's table, the rows]: keys and values.
my %rows = (
	people => [map { ["p$_\@relay.test", 'x'] } 1 .. $people],
	alias => [['alias.test', 'x'],
	    map { ["a$_\@alias.test", "p$_\@relay.test"] } 1 .. $people],
	ways => [['relay.test', 'smtp:[127.0.0.1]:' . $sink->port],
	    map { ["way$_.test", 'error:5.1.2 not this way'] } 1 .. $people],
	users => [map { ["u$_", "\\$alice"] } 1 .. $people],
);

# The source of a table, as its type has it.
sub source {
	my ($type, $name) = @_;
	my $colon = $name eq 'users' && $suffix{$type} ? ':' : '';

	# Patterns are asked for addresses, not for parts of them.
	my $before = $name eq 'ways' ? '@' : '^';
	my $end = $name eq 'users' ? '(@local.test)?' : '';
	return join '', map { my ($key, $value) = @$_;
	    $type eq 'regexp' ? "/$before" . ($key =~ s/\./\\./gr) .
	    "$end\$/ $value\n" : "$key$colon $value\n" } @{ $rows{$name} };
}

my ($type, %whole);
my $longest;		# seconds that a text was nobody's, and not whole

# The file that is asked.
sub path { return "$etc/$type-$_[0]" . ($suffix{$type} // '') }

# Build the table beside, and give it its name: what all tools do.
sub replace {
	my ($name) = @_;
	my $file = path($name);

	rmdir $file or die "$file: $!" if -d $file;
	unlink "$file.odd";
	if (!$suffix{$type}) {
		spew("$file.new", source($type, $name));
		rename "$file.new", $file or die;
		return;
	}
	my $source = "$etc/$type-$name";
	spew($source, source($type, $name));
	unlink $file if -e $file && !-f $file;
	my ($status, $said) = $mail->run('', Postrider::bin() .
	    '/postrider', '-c', $etc, 'map', ($name eq 'users' ?
	    qw(alias build) : ()), "$type:$source");
	return if $status == 0;
	# A damaged one is in the way of nobody.
	unlink $file;
	die $said;
}

sub word {
	my ($name) = @_;
	return ($type) . ":$etc/$type-$name";
}

# --- faults -------------------------------------------------------------------

# Write bytes over a file where it is, slowly.
sub write_over {
	my ($file, $bytes, $flags, $seconds) = @_;
	my $parts = 5;
	my $part = int(length($bytes) / $parts) + 1;

	sysopen my $f, $file, O_WRONLY | $flags or die "$file: $!";
	my $last = time;
	while (length $bytes) {
		sleep $seconds / $parts;
		syswrite $f, substr $bytes, 0, $part, '';
		$longest = max($longest, time - $last);
		$last = time;
	}
}

sub garbage { return join '', map { chr int rand 256 } 1 .. $_[0] }

# How long nobody has to believe it.
sub pause { return $suffix{$type} ? 0.3 + rand 1.2 : 0.1 + rand 0.4 }

# Each fault of a file; true if it has mended it.
my %faults = (
	replaced => sub { return 0 },
	'written over' => sub {
		my ($file, $name) = @_;
		write_over($file, $whole{$name}, O_TRUNC, 0.6);
		return 1;
	},
	'written over without a cut' => sub {
		my ($file, $name) = @_;
		write_over($file, $whole{$name}, 0, 0.6);
		return 1;
	},
	cut => sub {
		my ($file, $name) = @_;
		truncate $file, int rand -s $file or die;
		sleep pause();
		spew($file, $whole{$name}) if rand() < 0.5;
		return 0;
	},
	emptied => sub {
		my ($file, $name) = @_;
		truncate $file, 0 or die;
		sleep pause();
		spew($file, $whole{$name}) if rand() < 0.5;
		return 0;
	},
	garbage => sub {
		my ($file) = @_;
		spew($file, garbage(-s $file));
		sleep pause();
		return 0;
	},
	'damaged head' => sub {
		my ($file) = @_;
		write_over($file, "\0" x 64, 0, 0.1);
		sleep pause();
		return 0;
	},
	deleted => sub {
		my ($file) = @_;
		unlink $file or die;
		sleep pause();
		return 0;
	},
	unreadable => sub {
		my ($file) = @_;
		chmod 0, $file or die;
		sleep pause();
		return 0;
	},
	'a directory' => sub {
		my ($file) = @_;
		rename $file, "$file.odd" or die;
		mkdir $file;
		sleep pause();
		return 0;
	},
	'a FIFO' => sub {
		my ($file) = @_;
		mkfifo("$file.odd", 0644) && rename "$file.odd", $file or die;
		sleep pause();
		return 0;
	},
	'a link to itself' => sub {
		my ($file) = @_;
		unlink $file;
		symlink $file, $file or die;
		sleep pause();
		unlink $file;
		return 0;
	},
);

# --- a round ------------------------------------------------------------------

sub to {
	my ($id, $i) = @_;
	my $n = 1 + int rand $people;
	return ("p$n\@relay.test", "a$n\@alias.test", "u$n\@local.test")[$i % 3];
}

# Until the system asks these tables.
sub wait_for_tables {
	my @replies;
	my $are_known = sub {
		my $c = $mail->client;
		$c->expect(220);
		@replies = map { $c->command($_) } 'EHLO c.test',
		    'MAIL FROM:<s@relay.test>', 'RCPT TO:<p1@relay.test>',
		    'RCPT TO:<a1@alias.test>', 'RCPT TO:<u1@local.test>';
		return !grep { !/^250/ } @replies;
	};
	eval { wait_for($are_known, 10); 1 } or
	    die "tables of $type: @replies\n" . $mail->log;
}

sub one_type {
	($type) = @_;
	replace($_) for keys %rows;
	%whole = map { $_ => slurp(path($_)) } keys %rows;
	$mail->set(relay_recipient_maps => word('people'),
	    virtual_alias_maps => word('alias'), transport_maps => word('ways'),
	    alias_maps => word('users'),
	    local_recipient_maps => '$alias_maps');
	$mail->pid ? $mail->reload : $mail->start;
	wait_for_tables();

	my $clients = Postrider::Correspondents->new($mail, name => "maps$type",
	    to => \&to)->start;
	my @names = shuffle map { my $f = $_; map { [$f, $_] } keys %rows }
	    sort keys %faults;
	@names = (['written over', 'people'], ['emptied', 'ways'],
	    ['cut', 'users'], @names[0 .. 1]) unless $is_long;
	my ($log_start, @slow, @late, @done) = (-s "$dir/log");
	my $worst = 0;
	for (@names) {
		my ($fault, $name) = @$_;
		my $start = time;
		$longest = 0;
		my $is_mended = $faults{$fault}->(path($name), $name);
		replace($name) unless $is_mended;
		$longest ||= time - $start;
		push @done, sprintf '%.3f to %.3f %s, %s', $start, time,
		    $fault, $name;
		push @late, [$start, time + 3, "$fault, $name"]
		    if !$suffix{$type} && $longest > 0.9;
		my $seconds = $clients->recovery(time);
		$worst = max($worst, $seconds);
		push @slow, "$fault, $name: $seconds" if $seconds > $patience;
	}
	$clients->stop;
	my $start = time;
	my $is_empty = eval { $mail->wait_empty(60); 1 };
	my $drained = time - $start;
	my $r = $clients->judge((map { $_->{data} } $sink->messages),
	    $mail->mbox($alice));
	my $log = substr $mail->log, $log_start;
	diag(sprintf '%s: %d faults, %s, lost %d, duplicates %d, ' .
	    '250 again after %.2f s', $type, scalar @names,
	    Postrider::Correspondents::codes($r), scalar @{ $r->{lost} },
	    $r->{duplicates}, $worst);
	Postrider::Correspondents::ledger("table files, $type", scalar @names, $r,
	    $drained);
	ok($is_empty, "$type: the queue runs empty");
	cmp_ok($r->{accepted}, '>', 20, "$type: mail was accepted");
	is("@{ $r->{lost} }", '', "$type: nothing is lost");
	is("@{ $r->{damaged} }", '', "$type: nothing is damaged");
	is($r->{duplicates}, 0, "$type: nothing comes twice");
	my @bad = grep { my $h = $_; $h->[2] !~ /^(250|45[01])$/ &&
	    !grep { $h->[0] > $_->[0] && $h->[0] - $h->[3] < $_->[1] } @late }
	    @{ $r->{heard} };
	diag("$type: this machine was too slow for: $_->[2]") for @late;
	is(join("\n", map { "$_->[0] $_->[2] $_->[4]" } @bad), '',
	    "$type: nobody hears anything worse than 451") or
	    diag(join "\n", @done);
	is(join('', $log =~ /^.*status=(?:bounced|expired).*\n/mg), '',
	    "$type: nothing is returned");
	is("@slow", '', "$type: the answers come back in time");
}

one_type($_) for @types;
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
