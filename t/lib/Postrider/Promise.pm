package Postrider::Promise;

# The promises at the heads of the files that keep them ("commit-1"), each with
# a crash test of its name in t/crash/promises:
#
#	my $lab = laboratory('relay');
#	promise('commit-4', sub {
#		my $r = strike($lab, 'cleanup', qr/sendmsg private\/qmgr/, 'before');
#		is($r->{said}, 'accepted', 'who posted it was told so');
#	});
#
# strike() kills a process before or after the first call like this one, or
# makes that fail or write half of it, while one message goes its way, and says
# that nothing was lost; order() watches a message on its way and says that calls come one
# after the other.

use strict;
use warnings;

use Exporter 'import';
use Fcntl qw(:flock);
use Test::More;

use Postrider qw(slurp wait_for);
use Postrider::Crash;

our @EXPORT = qw(laboratory promise strike watch order is_refused afresh
    to_log watch_during);

# The sentence of each promise, and the file that keeps it.
my %promises;
for my $file (glob '{common/*,master,cleanup,qmgr,local}/*.c') {
	my ($head) = slurp($file) =~ m{\A/\*\n(.*?)\n \*/}s or next;
	while ($head =~ /^ \* ([a-z]+-\d+)  (.*(?:\n \* {6,}\S.*)*)/mg) {
		my ($name, $text) = ($1, $2);
		die "$name is in $file and in $promises{$name}{file}"
		    if $promises{$name};
		$promises{$name} = { file => $file, text => $text =~
		    s/\n \* +/ /gr };
	}
}

sub all { return \%promises }

# A system, or the end of this test where calls cannot be changed. While mail
# comes in, cleanup asks qmgr how much there is (cleanup/inflow.c), at times that
# are not a message's: here it does not, so that what is sent first is mail.
sub laboratory
{
	my ($way, %o) = @_;

	Postrider::need_root();
	my $injector = ($ENV{BUILD} // 'build') . '/t/crash/inject';
	plan skip_all => 'system calls cannot be changed here'
	    if system("$injector 2>/dev/null") >> 8 != 64;
	$o{settings} = { in_flow_delay => 0, %{ $o{settings} // {} } };
	return Postrider::Crash->new($way, %o);
}

# One promise and what strikes at it.
sub promise
{
	my ($name, $test) = @_;
	my $promise = $promises{$name};

	if (!$promise) {
		fail("$name is promised nowhere");
		return;
	}
	subtest("$name $promise->{file}: $promise->{text}", $test);
}

# The calls of a process during one message: "name object = result", in their
# order. "#3" behind an object says the how-manieth it was.
sub watch
{
	my ($lab, $process) = @_;
	my $r = $lab->_pass($process, []);

	delete $lab->{is_new};
	is("$r->{said}, lost $r->{lost}", 'accepted, lost 0',
	    "a message passes while $process is watched") or diag $r->{log};
	return _calls($r->{calls});
}

# The same while something else is done.
sub watch_during
{
	my ($lab, $process, $do) = @_;

	return _calls($lab->during($process, $do));
}

sub _calls
{
	return map { my ($word, undef, $name, $object, undef, $result) =
	    split /\t/; $word eq 'call' ? "$name $object = $result" : () }
	    split /\n/, $_[0];
}

# Does each of these calls come, behind the one before? They are pairs of what
# it is and how it looks.
sub order
{
	my ($calls, @steps) = @_;
	my $at = 0;
	my $before = 'the beginning';

	while (my ($what, $re) = splice @steps, 0, 2) {
		my ($found) = grep { $calls->[$_] =~ $re } $at .. $#$calls;
		ok(defined $found, "$what comes behind $before") or do {
			diag join "\n", @$calls;
			return;
		};
		($at, $before) = ($found + 1, $what);
	}
}

# A call ends otherwise: "before" or "after" (SIGKILL), the number of an error,
# or "short"; the first one, or the `nth`. What became of the message: $r->{said} and
# so on (Crash.pm); no more copies than `twice`.
sub strike
{
	my ($lab, $process, $call, $when, %o) = @_;
	my $what = "$process, $call $when" =~ s/\(\?\^\w*:|[()]//gr;
	my $r = $lab->strike($process, "$call", $when, $o{nth} // 1);

	ok($r->{hit}, "$what: struck") or diag $r->{calls};
	is($r->{lost}, 0, 'nothing is lost') or diag $r->{log};
	is($r->{damaged}, 0, 'nothing is damaged');
	is($r->{stuck}, 0, 'nothing stays in the queue') or diag $r->{log};
	is($r->{crash}, '', 'nothing crashed of itself');
	cmp_ok($r->{most}, '<=', $o{twice} // 0, 'copies: ' . $r->{count});
	return $r;
}

# Another process of this program: what it has given up it tries again.
sub afresh
{
	my ($lab, $program) = @_;
	my %old = map { $_ => 1 } $lab->mail->children($program);

	kill 'KILL', keys %old;
	wait_for(sub { grep { !$old{$_} } $lab->mail->children($program) },
	    20, "another $program");
	$lab->{is_new} = 1;
}

# The write-ahead logs that cleanup has ready, of those in incoming/: locked,
# begun, neither sealed nor released.
sub _ready_logs
{
	my ($lab) = @_;
	my @ready;

	for my $path (glob $lab->mail->spool . '/incoming/wal.*') {
		open my $f, '<:raw', $path or next;
		next if flock $f, LOCK_SH | LOCK_NB;
		read $f, my $head, 4096;
		my $begun = substr $head, 24, 8;
		push @ready, $path if $begun ne "\0" x 8 &&
		    $begun ne substr($head, 1024, 8) &&
		    $begun ne substr $head, 2048, 8;
	}
	return @ready;
}

# The next message goes into a log (cleanup_wal_rate=0).
sub to_log
{
	my ($lab) = @_;

	$lab->once if delete $lab->{is_new};
	wait_for(sub { _ready_logs($lab) or do { $lab->once; 0 } }, 30,
	    'a write-ahead log');
}

# Was the message refused for now, is it nowhere, and is the next one taken?
sub is_refused
{
	my ($lab, $r) = @_;

	like($r->{said}, qr/^refused (4\d\d|75)$/, 'who posts hears: later');
	is($r->{phantom}, 0, 'what was refused is nowhere');
	ok(eval { wait_for(sub { eval { $lab->once } }, 10) },
	    'and soon all is well again');
}

1;
