# crowd.t - more clients than sessions: who is asked to leave, and when.
use strict;
use warnings;
use Test::More;
use IO::Select;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port slurp);
use Postrider::Fixture;

my %port = map { $_ => free_port() } qw(tight single pair slow net4 net6 rates
    many);

# A service with so many sessions and these settings.
sub service
{
	my ($name, $sessions, @settings) = @_;

	return "127.0.0.1:$port{$name} inet n - n - $sessions smtpd\n" .
	    join '', map { "  -o { $_ }\n" } @settings;
}

my @v6 = ('smtpd_client_event_limit_exceptions = 127.0.0.1 2001:db8::9',
    'smtpd_authorized_xclient_hosts = 127.0.0.1');
my $sut = Postrider::Fixture->new(
    settings => {
	smtpd_processes => 1, smtpd_soft_error_limit => 1000,
	smtpd_client_event_limit_exceptions => '', anvil_rate_time_unit =>
	'600s', smtpd_overload_timeout => '4s', smtpd_full_timeout => '2s',
	smtpd_hard_error_limit => 20, smtpd_junk_command_limit => 100,
    },
    master => service('tight', 10) . service('single', 1) .
    service('pair', 40, 'smtpd_processes = 2',
	'smtpd_overload_timeout = 60s', 'smtpd_full_timeout = 60s') .
    service('slow', 1000, 'smtpd_timeout = 3s') .
    service('many', 1000) .
    service('net4', 100, 'smtpd_client_ipv4_prefix_length = 24',
	'smtpd_client_event_limit_exceptions = 127.0.1.9',
	'smtpd_client_connection_count_limit = 2') .
    service('net6', 100, 'smtpd_client_connection_count_limit = 2', @v6) .
    service('rates', 100, 'smtpd_client_message_rate_limit = 1',
	'smtpd_client_recipient_rate_limit = 2',
	'smtpd_client_connection_rate_limit = 3', @v6));
$sut->start;

sub from
{
	my ($name, $address) = @_;
	return Postrider::Client->new($port{$name}, from => $address);
}

# A client that speaks for another one; the reply to that.
sub as
{
	my ($name, $address) = @_;
	my $c = $sut->friend(port => $port{$name});

	return ($c, $c->command("XCLIENT ADDR=$address"));
}

# --- who is one client --------------------------------------------------------
{
	my @held = map { from('net4', "127.0.1.$_") } 1, 2;
	$_->expect(220) for @held;
	like(from('net4', '127.0.1.3')->reply, qr/^421 4\.7\.0 .*too many/,
	    'addresses of one IPv4 network share its connections');
	like(from('net4', '127.0.2.1')->reply, qr/^220/,
	    'those of another do not');
	like(from('net4', '127.0.1.9')->reply, qr/^220/,
	    'an exception is one address of it');
	$_->command('QUIT', 221) for @held;
}
{
	my @held = map { [as('net6', "IPV6:2001:db8::$_")] } 1, 2;
	is(scalar(grep { $_->[1] =~ /^220/ } @held), 2, 'two of a /64');
	like((as('net6', 'IPV6:2001:db8::ffff:1'))[1], qr/^421 4\.7\.0/,
	    'by default 64 bits of an IPv6 address are one client');
	like((as('net6', 'IPV6:2001:db8:0:1::1'))[1], qr/^220/,
	    'the next network is another one');
	like((as('net6', 'IPV6:2001:db8::9'))[1], qr/^220/,
	    'and an exception is one address');
	my @mapped = map { [as('net6', $_)] } 'IPV6:::ffff:192.0.2.1',
	    '192.0.2.1', 'IPV6:::ffff:192.0.2.1', 'IPV6:::ffff:192.0.2.2';
	is(join(' ', map { substr $_->[1], 0, 3 } @mapped), '220 220 421 220',
	    'a mapped address is the IPv4 address, and not its network');
}
{
	my $mail = sub {
		my ($c) = as('rates', $_[0]);
		$c->command('EHLO c.test', 250);
		return ($c, $c->command('MAIL FROM:<s@remote.test>'));
	};
	my ($c, $reply) = $mail->('IPV6:2001:db8::1');
	like($reply, qr/^250/, 'a message of one address');
	$c->command('RCPT TO:<alice@local.test>', 250) for 1, 2;
	like($c->command('RCPT TO:<alice@local.test>'), qr/^450 4\.7\.1/,
	    'recipients are counted by network, too');
	like(($mail->('IPV6:2001:db8::2'))[1], qr/^450 4\.7\.1/,
	    'and the message of its neighbour');
	as('rates', 'IPV6:2001:db8::3');
	like((as('rates', 'IPV6:2001:db8::4'))[1], qr/^421 4\.7\.0 .*too many/,
	    'and the connections in a unit of time');
}

# --- a message is not a way to stay -------------------------------------------
sub in_data
{
	my ($name, %o) = @_;
	my $c = $sut->stranger(port => $port{$name});

	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250);
	$c->command('DATA', 354) unless $o{bdat};
	return $c;
}

# Do this every half second until an answer comes; the seconds, and what came.
sub drip
{
	my ($c, $act) = @_;
	my $start = time;

	local $SIG{PIPE} = 'IGNORE';
	while (time - $start < 15) {
		if (IO::Select->new($c->socket)->can_read(0.5)) {
			my $reply = eval { $c->reply } // 'closed';
			return (time - $start, $reply)
			    unless $reply =~ /^250/;
			sleep 0.5;
		}
		eval { $act->(); 1 } or return (time - $start, 'closed');
	}
	return (time - $start, 'nothing');
}
{
	my $line = 'x' x 70 . "\r\n";
	my $c = in_data('slow');
	my ($took, $reply) = drip($c, sub { $c->raw('x') });
	like($reply, qr/^421 4\.4\.2/, 'a byte now and then ends in 421');
	cmp_ok($took, '<', 5, 'when its time is over');
	cmp_ok($took, '>', 2, 'and not before');

	$c = in_data('slow');
	$c->raw($line x 500);
	($took, $reply) = drip($c, sub { $c->raw('x') });
	like($reply, qr/^421 4\.4\.2/, 'so does a burst before the bytes');
	cmp_ok($took, '<', 5, 'which earns no more time than there was');

	$c = in_data('slow', bdat => 1);
	($took, $reply) = drip($c, sub { $c->raw("BDAT 1\r\nx") });
	like($reply, qr/^421 4\.4\.2/, 'a chunk now and then is no better');
	cmp_ok($took, '<', 5, 'its time is that of the message');

	$c = in_data('slow', bdat => 1);
	my $n = 0;
	($took, $reply) = drip($c, sub {
		die "done\n" if $n++ == 10;
		$c->raw("BDAT 400\r\n" . 'x' x 400);
	});
	cmp_ok($took, '>', 4, 'who sends fast enough may take longer');
	like($c->command('BDAT 0 LAST'), qr/^250 2\.0\.0 Ok: queued/,
	    'and is heard to the end');

	$c = in_data('slow');
	$n = 0;
	($took, $reply) = drip($c, sub { $c->raw($line x 5) if $n++ < 10 });
	cmp_ok($took, '>', 6, 'by DATA as well');
}

# --- ever fewer slots ---------------------------------------------------------
my $busy = qr/^421 4\.3\.2 sut\.test Error: all sessions are in use/;

# A new client: the seconds to its greeting, what it was told, itself.
sub arrive
{
	my ($address) = @_;
	my $start = time;
	my $c = from('tight', $address // '127.0.0.3');
	my $reply = $c->reply;

	return (time - $start, $reply, $c);
}
sub crowd { return map { (arrive($_[1]))[2] } 1 .. $_[0] }
sub everybody_leaves
{
	$_->close for @_;
	Postrider::wait_for(sub {
		my $c = (arrive('127.0.0.7'))[2];
		$c->raw("WRONG\r\nWRONG\r\nQUIT\r\n");
		my $replies = join ' ', map { substr $_ // '', 0, 3 }
		    map { $c->reply } 1 .. 3;
		return $replies eq '500 500 221';
	}, 5, 'room again');
}
{
	my $first = (arrive())[2];
	my $start = time;
	my @others = crowd(6);
	sleep 3;
	ok(!$first->has_input, 'seven of ten wait in peace');
	push @others, crowd(2);
	like($first->reply, qr/^421 4\.4\.2/, 'with four fifths of the slots ' .
	    'in use, who has been silent for long leaves');
	cmp_ok(time - $start, '<', 6, 'by the time that is left then');
	everybody_leaves($first, @others);
}
{
	my $friend = $sut->friend(port => $port{tight});
	my @first = crowd(1);
	my $worker = in_data('tight');
	my @idle = crowd(6);
	my $in_mail = $sut->friend(port => $port{tight});
	$in_mail->command('MAIL FROM:<s@remote.test>', 250);
	sleep 1.1;
	push @idle, crowd(1);	# ten, one of which has just come
	my ($took, $reply, $new) = arrive();
	like($reply, qr/^220/, 'an eleventh client is greeted');
	cmp_ok($took, '<', 1, 'within a second');
	like($first[0]->reply, $busy, 'who was idle longest makes room');
	ok($first[0]->is_closed, 'and is gone');
	like($in_mail->command('RCPT TO:<alice@local.test>'), qr/^250/,
	    'a friend in a transaction is still there');
	ok(!$friend->has_input && !$worker->has_input,
	    'so are others who come before strangers without mail');

	# Everybody who has said nothing for a while goes, the friend last.
	my @new = ($new);
	push @new, (arrive())[2] for 1 .. 8;
	$sut->wait_log(qr/idle after DATA from unknown\[127\.0\.0\.2\]: others need/);
	is(join(' ', $sut->log =~ /idle after \S+ from \S+\.(\d)\]: others/g),
	    '3 3 3 3 3 3 3 1 2', 'friends, and who is in the middle of a ' .
	    'message, go later: the log says so');
	ok($sut->wait_log(qr/warning: service "\S+" has reached its session limit "10"/),
	    'and why');
	everybody_leaves($friend, @first, $worker, @idle, $in_mail, @new);
}
{
	my @all = crowd(10);
	my ($took, $reply, $c) = arrive();
	like($reply, $busy, 'where nobody is idle, a new client hears 421');
	ok($c->is_closed, 'and no more');
	cmp_ok($took, '<', 1, 'within a second');
	$_->command('EHLO c.test', 250) for @all;
	like($all[0]->command('RSET'), qr/^250/,
	    'EHLO and RSET are junk that is an error when all is full');
	like($all[0]->reply, qr/^421 4\.7\.0 .*too many errors/,
	    'and one error too many');
	push @all, my $friend = $sut->friend(port => $port{tight});
	$all[1]->raw("WRONG\r\n");
	like($all[1]->reply, qr/^500/, 'so is any other');
	like($all[1]->reply, qr/^421 4\.7\.0/, 'of a stranger');
	push @all, crowd(1);
	$friend->command('WRONG', 500) for 1 .. 3;
	like($friend->command('NOOP'), qr/^250/, 'a friend may err');
	ok($sut->wait_log(qr/warning: service "\S+": \d+ new clients were told to come back/),
	    'the log counts who was sent away');
	everybody_leaves(@all);
}

# Where there is one session, it is in use, and nobody is kept out for that.
{
	my $c = from('single', '127.0.0.3');
	$c->expect(220);
	$c->command('WRONG', 500) for 1 .. 3;
	sleep 3;
	ok(!$c->has_input, 'who is alone with the only session may take time');
	like($c->command('EHLO c.test'), qr/^250/, 'and may err');
	sleep 1.1;
	my $other = from('single', '127.0.0.4');
	like($other->reply, qr/^220/, 'another one is greeted');
	like($c->reply, $busy, 'and the first makes room');
	like($other->command('WRONG'), qr/^500/, 'now it is a crowd');
	like($other->reply, qr/^421 4\.7\.0/, 'where one error is enough');
	$_->close for $c, $other;
}

# One process is full, and the other one has room.
{
	from('pair', '127.0.0.3')->expect(220);		# starts both
	my ($second) = Postrider::wait_for(sub {
		my @found = map { m{(\d+)} } grep { slurp($_) =~
		    /^smtpd\0.*:$port{pair}\0.*-w\0002\0/s }
		    glob '/proc/[0-9]*/cmdline';
		return $found[0];
	}, 10, 'the second process');
	kill 'STOP', $second;
	my @first = map { from('pair', '127.0.0.3') } 1 .. 20;
	$_->expect(220) for @first;
	sleep 1.1;
	kill 'CONT', $second;
	my @next = map { sleep 0.05; from('pair', '127.0.0.4') } 1 .. 20;
	is(join(' ', map { substr $_->reply, 0, 3 } @next),
	    join(' ', (220) x 20), 'as many more are greeted');
	# It is late now and then where the machine is busy.
	cmp_ok(scalar(grep { $_->has_input } @first), '<', 6,
	    'by the process that has room: hardly anybody leaves for them');
	$_->close for @first, @next;
}

# Memory, too, is for many.
{
	my @all = crowd(7);
	my $c = in_data('tight', bdat => 1);
	my $to = 'x' x 60 . '@' . 'x.' x 90 . 'relay-ok.test';
	my $friend = $sut->friend(port => $port{tight});
	$friend->command('MAIL FROM:<s@local.test>', 250);
	$friend->raw(join '', map { "RCPT TO:<$_$to>\r\n" } 1 .. 800);
	my @codes = map { substr $friend->reply, 0, 3 } 1 .. 800;
	my $taken = grep { $_ eq '250' } @codes;
	cmp_ok($taken, '>', 550, 'hundreds of very long recipients are taken');
	cmp_ok($taken, '<', 780, 'but not all of them');
	is($codes[-1], '452', 'the rest may come later');
	everybody_leaves(@all, $c, $friend);
}

# Those who do not read, or send slowly, while all slots are in use.
{
	my @all = (in_data('tight'), crowd(7));
	my $deaf = from('tight', '127.0.0.5');
	$deaf->raw("EHLO c.test\r\nMAIL FROM:<s\@remote.test>\r\n");
	push @all, crowd(1);
	my $start = time;
	my $n = 0;
	# The crowd does not wait for him: others come as they leave.
	my ($took, $reply) = drip($all[0], sub {
		push @all, crowd(4);
		$all[0]->raw('x');
	});
	like($reply, qr/^421/, 'a byte now and then by DATA ends');
	cmp_ok($took, '<', 6, 'sooner');
	everybody_leaves(@all, $deaf);
	cmp_ok(time - $start, '<', 15, 'and there is room for others');
}

# It is as before when they have gone.
{
	my ($took, $reply, $c) = arrive();
	like($reply, qr/^220/, 'a client alone');
	sleep 4.6;
	like($c->command('NOOP'), qr/^250/, 'has all the time again');
}

# --- what a crowd leaves behind -----------------------------------------------
# Kilobytes of its own that the process of this service has.
sub memory_of
{
	my ($name) = @_;
	my ($pid) = grep {
		((split /\0/, slurp("/proc/$_/cmdline"))[4] // '') eq
		    "127.0.0.1:$port{$name}"
	} $sut->children;
	my ($anonymous) = slurp("/proc/$pid/smaps_rollup") =~
	    /^Anonymous:\s+(\d+)/m or die "no memory of $name";

	return $anonymous;
}

# So many come, are greeted, and leave.
sub come_and_go
{
	my @all = map { from('many', "127.0.4.$_") } 1 .. $_[0];

	$_->expect(220) for @all;
	my $then = memory_of('many');
	$_->command('QUIT', 221) for @all;
	return $then;
}
SKIP: {
	skip 'sanitizers need memory of their own', 2
	    if Postrider::is_sanitized();
	come_and_go(90);
	my $small = memory_of('many');
	my $great = come_and_go(180);
	cmp_ok($great, '>', $small + 500, 'twice as many take their memory');
	my $after = eval { Postrider::wait_for(sub {
		my $now = memory_of('many');
		return $now <= $small + 100 && $now;
	}, 5, 'memory') };
	diag(sprintf 'memory after 90, with 180 and after them: %d, %d, %d ' .
	    'KiB', $small, $great, $after // memory_of('many'));
	ok($after, 'and give it back when they go');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
