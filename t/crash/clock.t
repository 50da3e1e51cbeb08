# clock.t - clocks that jump under load: no message is lost or given up, no
# process spins, ids stay unique and in order.
#
# The system's clocks are moved (t/lib/clock.c) while clients send: the wall
# clock an hour, six days, twenty years, to 1970, past 2038, back; it stands
# still; it jumps all the time. A message for a host that is down was posted
# before; it must still be there in the end and be delivered once the host is
# up, also by a system that starts when the times it wrote down mean nothing.
# A client with TLS and a login comes after each jump.
#
# POSTRIDER_LEDGER makes it the long round: POSTRIDER_SECONDS (120) of jumps.
use strict;
use warnings;
use Test::More;
use MIME::Base64 qw(encode_base64);
use Postrider qw(slurp spew wait_for free_port);
use Postrider::CA;
use Postrider::Traffic;
use POSIX ();
use Time::HiRes qw(sleep time);

use constant { HOUR => 3600, DAY => 86400, YEAR => 365 * 86400 };

Postrider::need_root();
my $seconds = defined $ENV{POSTRIDER_LEDGER} ? $ENV{POSTRIDER_SECONDS} || 120 :
    3;
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
diag("seed $seed");
srand $seed;

my $login_port = free_port();
my $mail = Postrider->new(clock => 1, settings => {
	Postrider::Traffic::settings(), maximal_backoff_time => '4000s',
	delay_warning_time => '4h', notify_classes => 'bounce, resource' },
	master => "127.0.0.1:$login_port inet n - n - - smtpd\n" .
	"  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=postrider\n");
my $user = $mail->user(0);
my $ca = Postrider::CA->new($mail->dir . '/ca');
my $pair = $ca->issue(name => 'mail.local.test');
my ($sink, $late_sink) = ($mail->sink, $mail->sink);
my $table = $mail->etc . '/transport';
my $dead = free_port();
sub route_later { spew("$table.new", "later.test smtp:[127.0.0.1]:$_[0]\n");
    rename "$table.new", $table or die }
route_later($dead);
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port,
    relay_domains => 'relay.test, later.test',
    transport_maps => "texthash:$table",
    smtpd_tls_chain_files => $pair->{all},
    smtpd_tls_security_level => 'may',
    smtpd_client_message_rate_limit => 100000, anvil_rate_time_unit => '1s',
    smtpd_sasl_users => 'texthash:' . $mail->etc . '/users',
    smtpd_sasl_scram_iterations => 4096);
is(($mail->run("sesame\n", Postrider::bin() . '/postrider', '-c', $mail->etc,
    'user', 'add', 'ann', '-'))[0], 0, 'a user who logs in');
$mail->start;
my $traffic = Postrider::Traffic->new($mail, sink => $sink, seed => $seed,
    writers => 3, pause => 0.02, users => [$user],
    to => Postrider::Traffic::mixed($user));

# The wall clock is so much ahead of the world's.
sub set_clock { $mail->advance($_[0] - $mail->{ahead}[0], only => 'wall') }

# Somebody with TLS and a login; '' or what went wrong.
my %tls;
sub log_in {
	return '' if eval {
		my $c = Postrider::Client->new($login_port);
		$c->expect(220);
		$c->command('EHLO c.test', 250);
		require IO::Socket::SSL;
		$tls{cache} //= IO::Socket::SSL::Session_Cache->new(4);
		$c->starttls(SSL_session_cache => $tls{cache},
		    SSL_session_key => 'mail');
		$c->command('AUTH PLAIN ' . encode_base64("\0ann\0sesame", ''),
		    235);
		$c->command('QUIT', 221);
		1;
	};
	return $@;
}

# Processor time of each process, in ticks.
sub times_of_all {
	return map { my @f = split ' ', slurp("/proc/$_/stat") =~ s/.*\) //sr;
	    @f > 13 ? ($_ => $f[11] + $f[12]) : () }
	    $mail->pid, $mail->children;
}

# Who used more than a third of a processor, when there is nothing to do.
sub spinning {
	my $time = 0.6;
	my %before = times_of_all();
	sleep $time;
	my %after = times_of_all();
	return map { sprintf '%s: %.0f %%', (split /\0/,
	    slurp("/proc/$_/cmdline"))[0], 100 * ($after{$_} - $before{$_}) /
	    $tick / $time } grep { ($after{$_} - $before{$_}) / $tick >
	    $time / 3 } grep { defined $before{$_} } keys %after;
}

# The ids of each process of cleanup, in the order of the count in them (id.c),
# which the log does not quite have: their times must be in this order, too.
sub wrong_ids {
	my ($log) = @_;
	my (%seen, %of, @wrong);
	my $n = 0;
	my %digit = map { $_ => $n++ } split //,
	    '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz';
	while ($log =~ /cleanup\[(\d+)\]: (\w{10})(\w\w)(\w)(\w)(\w): message-id=/g) {
		push @wrong, "$2$3$4$5$6 twice" if $seen{"$2$3$4$5$6"}++;
		my $count = ($digit{$4} * 52 + $digit{$5}) * 52 + $digit{$6};
		# smtpd makes them, or cleanup, which the digits tell.
		my $first = $of{"$1 $3"}[0][2] //= $count;
		push @{ $of{"$1 $3"} }, [ ($count - $first + 1000) % 52 ** 3, $2 ];
	}
	for my $process (keys %of) {
		my @ids = sort { $a->[0] <=> $b->[0] }
		    grep { defined $_->[1] } @{ $of{$process} };
		push @wrong, map { "$ids[$_][1] after $ids[$_ - 1][1]" }
		    grep { $ids[$_][1] le $ids[$_ - 1][1] } 1 .. $#ids;
	}
	return (scalar keys %seen, @wrong);
}

my @waiting;		# the ids of messages that must wait

# What is in the queue and need not be, and what the log says of it.
sub tell_stuck {
	my %may = map { $_ => 1 } @waiting;
	for my $path (map { glob $mail->spool . "/$_" } qw(incoming/*
	    incoming/*/* deferred/*/*)) {
		my ($id) = $path =~ m{/(\w{15})$} or next;
		next if $may{$id};
		diag("$path, time " . ((stat $path)[9] // 0));
		diag(grep { /$id/ } split /^/, $mail->log);
	}
}

# --- the message that waits ---------------------------------------------------

sub post_later {
	my $reply = $mail->send(from => 'al@relay.test',
	    to => ['w' . @waiting . '@later.test'], text =>
	    "X-Id: w" . @waiting . "\n\nw" . @waiting . " x\n");
	push @waiting, $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

post_later() for 1 .. 3;
$mail->wait_log(qr/$_: to=.*status=deferred/) for @waiting;

# --- jumps --------------------------------------------------------------------

my $world = int time;
my @jumps = (
	[ 'an hour ahead', HOUR ], [ 'an hour back', -&HOUR() ],
	[ 'six days ahead', 6 * DAY ], [ 'two hours back', -2 * HOUR ],
	[ 'twenty years ahead', 20 * YEAR ], [ '1970', 5 - $world ],
	[ 'right before 2038', 2147483647 - $world - 1 ],
	[ 'the end of 32 bits without a sign', 4294967295 - $world - 1 ],
	[ 'as it was', 0 ],
);

# Nothing to do: each jump alone.
for my $jump (@jumps) {
	set_clock($jump->[1]);
	is(join(', ', spinning()), '', "clock: $jump->[0]: nobody spins");
}
$mail->freeze(1);
is(join(', ', spinning()), '', 'clock: standing still: nobody spins');
$mail->freeze(0);

$traffic->begin('clock');
my ($faults, $worst, @trouble) = (0, 0);
sub is_well {
	my ($what) = @_;
	my $why = log_in();
	push @trouble, "$what: $why" if $why ne '';
	my $slow = $traffic->recovery(time);
	$worst = $slow if $slow > $worst;
}
for my $jump (@jumps) {
	set_clock($jump->[1]);
	$faults++;
	is_well($jump->[0]);
	sleep 0.2;
	post_later() if $jump->[0] =~ /twenty|1970/;
}
$mail->freeze(1);
$faults++;
is_well('standing still');
sleep 0.5;
is_well('standing still for a while');
$mail->freeze(0);
# Steps all the time, forth and back; in between the time runs on.
my $end = time + $seconds;
while (time < $end) {
	set_clock(rand() < 0.2 ? 0 : (rand() < 0.5 ? 1 : -1) *
	    exp(rand log(YEAR)));
	$faults++;
	$seconds < 60 ? sleep 0.3 : sleep rand 5;
	is_well("step $faults") if $faults % 5 == 0;
}
set_clock(0);
$traffic->end;
ok(eval { wait_for(sub { $mail->queue_count == @waiting }, 30); 1 },
    'clock: the queue drains but for what must wait') or tell_stuck();
is("@trouble", '', 'clock: TLS and logins work at any time');

my ($count, @wrong) = wrong_ids($traffic->log);
cmp_ok($count, '>', 100, 'clock: ids were given out');
is("@wrong", '', 'clock: none twice, and those of a process in order');
my $gone = join '|', @waiting;
is(scalar(() = $mail->log =~
    /(?:$gone): .*(?:status=expired|removed|sender non)/g), 0,
    'clock: what waits is not given up');
is(scalar(grep { /^Subject: .*(Undelivered|Delayed)/mi } map { $_->{data} }
    $sink->messages), 0, 'clock: and nobody is told so')
    or diag(map { $_->{data} } grep { $_->{data} =~ /Undeliv|Delayed/ }
    $sink->messages);

# The host is up. A fresh system believes no time that is far ahead.
set_clock(20 * YEAR);
post_later();
$mail->wait_log(qr/$waiting[-1]: to=.*status=deferred/);
$mail->stop;
set_clock(0);
$mail->start;
$mail->wait_log(qr/messages? (?:was|were) in the queue/, 20);
cmp_ok($mail->queue_count, '==', @waiting, 'clock: all are still there');
route_later($late_sink->port);
# As long as the longest pause lasts, and more.
for (1 .. 12) {
	last if $mail->queue_count == 0;
	$mail->advance(500);
	sleep 0.3;
}
eval { $mail->wait_empty(20) };
is($mail->queue_count, 0, 'clock: what waited is tried again, though the ' .
    'times in the queue are of another age') or diag(explain($mail->due));
is(scalar(my @late = $late_sink->messages), scalar @waiting,
    'clock: and delivered, once each');

$traffic->judge(name => 'clock', faults => $faults, fine => qr/^250$/,
    worst => $worst);
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
