#!/usr/bin/perl
# spawn.t - commands for connections: policy servers by UNIX socket and by TCP.

use strict;
use warnings;
use lib 't/lib';

use IO::Socket::INET;
use IO::Socket::UNIX;
use Postrider qw(free_port is_alive need_root slurp spew wait_for);
use Test::More;

need_root();

my $dir = File::Temp->newdir('prt-spawn-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;

# A policy server: requests of name=value lines, ended by an empty one; the
# answer tells who serves.
my $policy = "$dir/policy";
spew($policy, <<'END');
#!/usr/bin/perl
use strict;
use warnings;
$| = 1;
my %request;
while (my $line = <STDIN>) {
	chomp $line;
	if ($line =~ /^(\w+)=(.*)/) {
		$request{$1} = $2;
		next;
	}
	my $what = $request{recipient} // '';
	if ($what eq 'who') {
		my $groups = $);
		my %open = map { $_ => readlink "/proc/self/fd/$_" }
		    map { m{(\d+)$} } glob '/proc/self/fd/*';
		delete $open{$_} for grep { !defined $open{$_} } keys %open;
		my ($status) = do { open my $s, '<', '/proc/self/status';
		    local $/; <$s> };
		my ($caps) = $status =~ /^CapEff:\s*(\w+)/m;
		my ($blocked) = $status =~ /^SigBlk:\s*(\w+)/m;
		my ($ignored) = $status =~ /^SigIgn:\s*(\w+)/m;
		my $session = (split ' ', (do { open my $s, '<',
		    '/proc/self/stat'; <$s> }))[5];
		print "uid=$<,$> groups=$groups fds=@{[sort keys %open]} ",
		    "caps=$caps blocked=$blocked ignored=$ignored leader=",
		    $session == $$ ? 'yes' : 'no', " cwd=",
		    readlink('/proc/self/cwd'), " args=@ARGV env=",
		    join(',', map { "$_=$ENV{$_}" } sort keys %ENV), "\n";
	} elsif ($what eq 'pid') {
		print "$$\n";
	} elsif ($what eq 'error') {
		print STDERR "said on standard error\n";
	} elsif ($what eq 'child') {
		my $pid = fork // die;
		if (!$pid) { sleep 1000 while 1 }
		print "$pid\n";
	} elsif ($what eq 'exit') {
		exit 3;
	} elsif ($what eq 'killed') {
		kill 'USR1', $$;
		sleep 10;
	} else {
		print "action=dunno\n\n";
	}
	%request = ();
}
END
chmod 0755, $policy;

my $port = free_port();
my $s = "unix - n n - 0 spawn";
my $mail = Postrider->new(master => <<"END", settings => {
policy $s user=prt-alice argv=$policy one
  {two words} \${recipient} -o -v
policyd-spf $s user=nobody argv=$policy
127.0.0.1:$port inet n n n - 0 spawn user=prt-bob:nogroup argv=$policy
short $s user=nobody argv=$policy
few unix - n n - 2 spawn user=nobody argv=$policy
open unix n n n - 0 spawn user=nobody argv=$policy
none $s user=nobody argv=$dir/none
root $s user=root argv=$policy
owner $s user=postrider argv=$policy
drop $s user=postrider-drop argv=$policy
rootgroup $s user=nobody:root argv=$policy
ourgroup $s user=nobody:postrider-to-cleanup argv=$policy
missing $s user=prt-nosuchuser argv=$policy
wrong $s user=nobody chroot=/ argv=$policy
nouser $s argv=$policy
noargv $s user=nobody
END
    short_time_limit => '1s', 'policyd-spf_time_limit' => '3600s',
    export_environment => 'FOO=bar TZ MAIL_CONFIG' });
$mail->start;

sub connect_to
{
	my ($name) = @_;

	return IO::Socket::UNIX->new($mail->spool . "/$name") //
	    die "$name: $!";
}

# Ask the policy server behind a socket; its line, or undef at the end.
sub ask
{
	my ($socket, $what) = @_;

	print $socket "request=smtpd_access_policy\nrecipient=$what\n\n";
	local $SIG{ALRM} = sub { die "no answer to $what\n" . $mail->log };
	alarm 10;
	my $answer = <$socket>;
	alarm 0;
	chomp $answer if defined $answer;
	return $answer;
}

# Is there an end without an answer?
sub is_refused
{
	my ($name) = @_;
	my $socket = connect_to("private/$name");

	return !defined ask($socket, 'who');
}

subtest 'a UNIX socket' => sub {
	my $socket = connect_to('private/policy');

	is(ask($socket, 'x@local.test'), 'action=dunno', 'an answer');
	is(<$socket>, "\n", 'and its end');
	is(ask($socket, 'y'), 'action=dunno', 'another one');
	<$socket>;
	is(ask(connect_to('private/policyd-spf'), 'x'), 'action=dunno',
	    'as Debian\'s line for policyd-spf has it');
	is(ask($socket, 'error'), 'said on standard error',
	    'standard error is the connection, too');
};

subtest 'who it is, and that it has nothing else' => sub {
	my $who = ask(connect_to('private/policy'), 'who');
	my ($uid, $gid) = (getpwnam 'prt-alice')[2, 3];

	like($who, qr/^uid=$uid,$uid groups=$gid $gid /, 'user and group');
	like($who, qr/ fds=0 1 2 /, 'no descriptors but the connection');
	# Bits 31 and 32 are glibc's own; nobody can change them.
	like($who, qr/ caps=0+ blocked=0+ ignored=0+(?:18000000?)?0*80 /,
	    'no capabilities, no signals blocked or ignored but Perl\'s own');
	like($who, qr/ leader=yes /, 'a session of its own');
	like($who, qr{ cwd=/ }, 'in the root directory');
	like($who, qr/ args=one two words \$\{recipient\} -o -v env=/,
	    'the words as they are');
	like($who, qr{ env=FOO=bar,MAIL_CONFIG=[^,]+/etc,PATH=/usr/bin:/bin$},
	    'the environment') or diag($who);
};

subtest 'a port' => sub {
	my $socket = IO::Socket::INET->new("127.0.0.1:$port") or
	    BAIL_OUT("$port: $!");
	my $uid = getpwnam 'prt-bob';
	my $gid = getgrnam 'nogroup';

	is(ask($socket, 'x'), 'action=dunno', 'an answer');
	<$socket>;
	like(ask($socket, 'who'), qr/^uid=$uid,$uid groups=$gid $gid /,
	    'by the user and the group named');
};

subtest 'the end of a connection is the end of the command' => sub {
	my $socket = connect_to('private/policy');
	my $pid = ask($socket, 'pid');

	ok(is_alive($pid), 'it runs');
	close $socket;
	wait_for(sub { !is_alive($pid) }, 10, 'its end');
	pass('it ends');
};

subtest 'the end of a command' => sub {
	is(ask(connect_to('private/policy'), 'exit'), undef,
	    'is the end of the connection');
	like($mail->wait_log(qr/command \Q$policy\E: process \d+ exit status .*/),
	    qr/status 3/, 'a status is told');
	ask(connect_to('private/policy'), 'killed');
	like($mail->wait_log(qr/command \Q$policy\E: process \d+ killed by .*/),
	    qr/signal 10/, 'and a signal');
	is(ask(connect_to('private/none'), 'x'), undef, 'no such program');
	ok($mail->wait_log(qr/cannot run \S+none: No such file/), 'is told');
};

subtest 'its time' => sub {
	my $socket = connect_to('private/short');
	my $child = ask($socket, 'child');
	my $pid = ask($socket, 'pid');

	is(ask($socket, 'x'), 'action=dunno', 'it serves until then');
	wait_for(sub { !is_alive($pid) && !is_alive($child) }, 10, 'the end');
	pass('then it is killed with all it started');
	ok($mail->wait_log(qr/process $pid is killed: its time is over/),
	    'which is told');
};

subtest 'how many at once' => sub {
	my @two = map { connect_to('private/few') } 1, 2;
	my %pid = map { ask($_, 'pid') => 1 } @two;
	my $third = connect_to('private/few');

	is(keys %pid, 2, 'a process for each');
	print $third "recipient=pid\n\n";
	my $bits = '';
	vec($bits, fileno $third, 1) = 1;
	is(select(my $ready = $bits, undef, undef, 0.3), 0,
	    'the third waits');
	is(scalar(grep { is_alive($_) } keys %pid), 2, 'for the two');
	close $two[0];
	my $late = ask($third, 'x');
	ok($late =~ /^\d+$/ && !$pid{$late}, 'for the end of one of them');
};

subtest 'who may connect' => sub {
	my @private = stat($mail->spool . '/private/policy');
	my @public = stat($mail->spool . '/public/open');

	is(sprintf('%o', $private[2] & 07777), '600', 'private: one user');
	is($private[4], scalar getpwnam('postrider-map'),
	    'who asks policy servers');
	is(sprintf('%o', $public[2] & 07777), '666', 'public: everybody');
	is(ask(connect_to('public/open'), 'x'), 'action=dunno', 'and it serves');
};

subtest 'lines with a mistake run nothing' => sub {
	my %why = (
		root => qr/user=root: commands do not run as root/,
		owner => qr/user=postrider: commands do not run as root or as a/,
		drop => qr/user=postrider-drop: commands do not run as/,
		rootgroup => qr/user=nobody:root: .* with this group/,
		ourgroup => qr/user=nobody:postrider-to-cleanup: .* this group/,
		missing => qr/user=prt-nosuchuser: there is no user/,
		wrong => qr{chroot=/ is not supported},
		nouser => qr/user= is missing/,
		noargv => qr/argv= is missing/,
	);
	my %open = map { $_ => connect_to("private/$_") } sort keys %why;

	for my $name (sort keys %why) {
		print { $open{$name} } "recipient=who\n\n";
		ok($mail->wait_log(qr/service $name: $why{$name}/), $name);
		my $bits = '';
		vec($bits, fileno $open{$name}, 1) = 1;
		ok(!select(my $ready = $bits, undef, undef, 0),
		    "$name: nobody answers");
	}
	is(ask(connect_to('private/policy'), 'x'), 'action=dunno',
	    'the others serve');
};

subtest 'a reload, and the end' => sub {
	my $old = connect_to('private/policy');
	my $pid = ask($old, 'pid');

	$mail->reload;
	is(ask($old, 'pid'), $pid, 'a command outlives a reload');
	is(ask(connect_to('private/policy'), 'x'), 'action=dunno',
	    'and new ones begin');
	my ($daemon) = grep { slurp("/proc/$_/cmdline") =~ /\0policy\0/ &&
	    slurp("/proc/$_/task/$_/children") =~ /\b$pid\b/ }
	    $mail->children('spawn');
	ok($daemon, 'its daemon waits for it');
	kill 'KILL', $daemon;
	wait_for(sub { !is_alive($pid) }, 10, 'the end of a command');
	pass('a command dies with its daemon');
	my $last = connect_to('private/policy');
	my $child = ask($last, 'child');
	$pid = ask($last, 'pid');
	$mail->stop;
	ok(!is_alive($pid), 'and with the system');
	ok(!is_alive($child), 'with all that it started');
	unlike($mail->log, qr/does not end/, 'which nobody has to enforce');
};

done_testing();
