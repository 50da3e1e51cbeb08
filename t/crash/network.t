# network.t - networks that lose, delay, reset and swallow packets, on the way in
# and on the way out: no accepted message is lost, one comes twice only if the
# final reply to it was lost, and all is as before when the trouble is over.
#
# Clients and the next hop are machines of their own, behind wires of their own
# (Postrider::Wire). For each fault: mail flows; the wire is hurt for some
# seconds; it is mended; a fresh client must be served at once, and what it
# sends must arrive. In the end everything must have arrived, and the daemons
# must have as many descriptors open as before.
#
# A long round takes all faults, in an order of chance, again and again until
# POSTRIDER_SECONDS (420) are over.
#
# The next hop's own ledger tells which final replies it never gave: that many
# copies more there may be of a message. Otherwise there is a second copy only
# of what qmgr's log says "may be sent more than once".
use strict;
use warnings;
use Test::More;
use Postrider::Net;
use lib 't/resolve';
use Alone;
use IO::Socket::INET;
use List::Util qw(shuffle sum0);
use Postrider qw(slurp spew wait_for);
use Postrider::Correspondents;
use Postrider::Wire;
use Time::HiRes qw(sleep time);

my $is_alone = Postrider::Net::alone();
my $missing = !$is_alone ? 'a network of its own cannot be had here' :
    Postrider::Wire::missing();
plan(skip_all => $missing) if $missing;
plan(skip_all => 'nsd is not installed') unless Alone::nsd();

my $is_long = defined $ENV{POSTRIDER_LEDGER};
# Seconds until a new client's mail has arrived: after a long fault TCP pauses
# for as long itself.
my $patience = $is_long ? 25 : 15;
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
diag("seed $seed");
srand $seed;

my ($in, $out) = (Postrider::Wire->new('10.9.1.1', '10.9.1.2'),
    Postrider::Wire->new('10.9.2.1', '10.9.2.2'));
my $names = 5300;
my $port = 2525;
my $mail = Postrider->new(smtp => 0,
    master => "10.9.1.1:$port inet n - n - - smtpd\n", settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	mynetworks => '10.9.1.0/24', inet_interfaces => 'all',
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', notify_classes => '',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '',
	smtpd_timeout => '4s', smtp_line_length_limit => 0,
	smtp_connect_timeout => '2s', smtp_helo_timeout => '3s',
	smtp_mail_timeout => '3s', smtp_rcpt_timeout => '3s',
	smtp_data_init_timeout => '3s', smtp_data_xfer_timeout => '3s',
	smtp_data_done_timeout => '3s', smtp_quit_timeout => '2s',
	smtp_rset_timeout => '2s', transport_retry_time => '1s',
	dns_servers => "127.0.0.1\@$names", dns_timeout => '1s',
	maximal_queue_lifetime => '1d',
});
my $dir = $mail->dir;

# What the next hop does at a dot: whether it keeps the message and whether it
# tells.
my $harm = "$dir/harm";
spew($harm, 'nothing');
mkdir "$dir/kept";
my $sink = $out->at(sub { $mail->sink(address => '10.9.2.2', port => 25,
    replies => sub {
	my ($verb, $line, $s) = @_;
	return undef unless $verb eq 'DOT';
	my $what = slurp($harm);
	return undef if $what eq 'nothing' || rand() < 0.7;
	if ($what ne 'reset before') {
		my $n = 0;
		$n++ while -e "$dir/kept/$$.$n";
		spew("$dir/kept/$$.$n", $s->{data});
	}
	return $what =~ /silent/ ? 'HANG' : 'RESET';
}) });
$mail->set(relayhost => 'hop.test');
mkdir "$dir/names";
spew("$dir/names/zone", <<'END');
$ORIGIN hop.test.
$TTL 1
@	SOA	ns hostmaster 1 3600 600 86400 1
@	NS	ns
ns	A	127.0.0.1
@	MX	10 mx
mx	A	10.9.2.2
END
Alone::name_server("$dir/names", $names, 'hop.test' => 'zone');
$mail->start;

# --- looking ------------------------------------------------------------------

# Descriptors of the daemons who hold connections or messages: how many of what
# each has.
sub descriptors {
	my %count;
	for my $name (qw(smtpd smtp cleanup qmgr)) {
		$count{"$name " . ((readlink $_) // '') =~ s/:?\[\d+\]//r}++
		    for map { glob "/proc/$_/fd/*" } $mail->children($name);
	}
	return \%count;
}

sub total { return sum0(values %{ $_[0] }) }

# One message by a new client; its id.
my $probes = 0;
sub probe {
	my $id = 'probe-' . $probes++;
	$in->at(sub {
		my $c = Postrider::Client->new($port, host => '10.9.1.1',
		    patience => 10);
		$c->expect(220);
		$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@relay.test>' =>
		    250, "RCPT TO:<$id\@relay.test>" => 250, DATA => 354);
		$c->data("X-Id: $id\n\n$id x\n");
		$c->command('QUIT', 221);
	});
	return $id;
}

# Until it is at the next hop, by whatever connection.
sub wait_probe {
	my ($id) = @_;
	return wait_for(sub { grep { $_->{data} =~ /^X-Id: $id\r$/m }
	    $sink->messages }, 30, "$id to arrive\n" . $mail->log);
}

# Everybody has been called once, and knows everybody.
sub clients {
	my ($name) = @_;
	return Postrider::Correspondents->new($mail, name => $name, host =>
	    '10.9.1.1', port => $port, patience => 8, pause => $is_long ? 0.1 : 0.02,
	    before => sub { $in->stay },
	    to => sub { return "$_[0]\@relay.test" })->start;
}
my $warm = clients('warm');
$warm->recovery(time);
$warm->recovery(time + 1);
$warm->stop;
$mail->wait_empty;
wait_for(sub { $mail->said(qr/ connect from/) <=
    $mail->said(qr/disconnect from/) }, 10, 'the clients to be gone');

# --- faults -------------------------------------------------------------------

my ($short, $long) = $is_long ? (4, 12) : (1.5, 2.5);

# Clients who say so much of a session and vanish: nobody hears of their end.
sub half_open {
	my ($sockets) = @_;
	$in->at(sub {
		for my $n (1 .. ($is_long ? 100 : 20)) {
			my $c = Postrider::Client->new($port, host =>
			    '10.9.1.1', patience => 5);
			$c->expect(220);
			$c->command('EHLO c.test', 250) if $n % 4;
			$c->command('MAIL FROM:<s@relay.test>', 250)
			    if $n % 4 > 1;
			$c->command("RCPT TO:<gone\@relay.test>", 250)
			    if $n % 4 > 1;
			if ($n % 4 > 2) {
				$c->command('DATA', 354);
				$c->raw("Subject: half\r\n\r\nof it");
			}
			push @$sockets, $c;
		}
	});
	$in->cut;
	@$sockets = ();		# their farewells are lost, too
}

# Name, whether clients or the next hop feel it, what is done, for how long.
my @faults = (
	(map { my $n = $_; my @times = $n == 50 ? $long : $short;
	    (["lose $n %, in", sub { $in->lose($n); sleep $times[0] }],
	    ["lose $n %, out", sub { $out->lose($n); sleep $times[0] }]) }
	    5, 20, 50),
	['64 kbit/s, in', sub { $in->slow('64kbit'); sleep $short }],
	['64 kbit/s, out', sub { $out->slow('64kbit'); sleep $short }],
	['black hole, in', sub { $in->cut; sleep $short }],
	['black hole, out', sub { $out->cut; sleep $long }],
	['reset, in', sub { $in->refuse; sleep $short }],
	['reset, out', sub { $out->refuse; sleep $short }],
	['long packets vanish, in', sub { $in->narrow(600); sleep $short }],
	['long packets vanish, out', sub { $out->narrow(600); sleep $long }],
	['reset before the final reply', sub { spew($harm, 'reset before');
	    sleep $short }],
	['reset in place of the final reply', sub { spew($harm, 'reset after');
	    sleep $short }],
	['no final reply', sub { spew($harm, 'silent'); sleep $long + 2 }],
	['answers to the dot vanish', sub {
	    $out->rule('tcp sport 25 meta length < 100 numgen random mod 3 ' .
	    '== 0 drop', 'output'); sleep $short }],
	['no name service', sub {
	    system("nft add table ip n; nft add chain ip n input '{ type " .
	    "filter hook input priority 0; }'; nft add rule ip n input udp " .
	    "dport $names drop; nft add rule ip n input tcp dport $names " .
	    'drop') == 0 or die; sleep $is_long ? 30 : 4;
	    system('nft delete table ip n') == 0 or die }],
	['half open', sub { half_open([]); sleep $short }],
);
@faults = grep { $_->[0] =~ /$ENV{POSTRIDER_ONLY}/ } @faults
    if $ENV{POSTRIDER_ONLY};
@faults = shuffle @faults;
splice @faults, 5 unless $is_long || $ENV{POSTRIDER_ONLY};

# --- a round ------------------------------------------------------------------

# All copies: what it has told of, and what it has not.
sub arrived {
	return (map { $_->{data} } $sink->messages),
	    map { slurp($_) } glob "$dir/kept/*";
}

# Ids of messages whose final reply was lost: how often.
sub unanswered {
	my ($log) = @_;
	my (%times, %id_of);

	for (arrived()) {
		my ($id) = /^X-Id: (\S+)/m or next;
		my ($queue_id) = /^\s+.*\bid (\w+)/m or next;
		$id_of{$queue_id} = $id;
	}
	# The mark in the log of one who does not know what became of it.
	for ($log =~ /^.*more than once.*$/mg) {
		my ($queue_id) = /\]: (\w+): / or next;
		$times{ $id_of{$queue_id} // $queue_id }++;
	}
	return \%times;
}

my ($total, $faults, @rows) = (0, 0);
my $base = descriptors();
diag('descriptors at the start: ' . total($base));
my $log_start = -s "$dir/log";
my $clients = clients('net');
my (@slow, @unserved);
my $end = time + ($ENV{POSTRIDER_SECONDS} // 420);
do {
	for (@faults) {
		my ($name, $do) = @$_;
		last if time > $end;
		$clients->recovery(time);	# it flows
		$do->();
		$in->mend;
		$out->mend;
		spew($harm, 'nothing');
		my $start = time;
		my $id = eval { probe() };
		if (!defined $id) {
			push @unserved, "$name: $@";
			next;
		}
		my $served = time - $start;
		wait_probe($id);
		my $arrived = time - $start;
		$faults++;
		push @rows, sprintf '%s: 250 after %.2f s, there after %.2f s',
		    $name, $served, $arrived;
		push @slow, $rows[-1] if $served > 2 || $arrived > $patience;
	}
} while ($is_long && time < $end);
$clients->stop;
my $start = time;
my $is_empty = eval { $mail->wait_empty(60); 1 };
my $drained = time - $start;
my $log = substr $mail->log, $log_start;
my $r = $clients->judge(grep { !/^X-Id: (?:probe|warm)/m } arrived());
my $unanswered = unanswered($log);
my @unexplained = grep { $r->{copies}{$_} - 1 > ($unanswered->{$_} // 0) }
    @{ $r->{twice} };
diag("$_") for @rows;
diag(sprintf '%d faults; heard %s; lost %d, damaged %d, duplicates %d (final ' .
    'replies lost: %d); empty after %.1f s', $faults,
    Postrider::Correspondents::codes($r), scalar @{ $r->{lost} },
    scalar @{ $r->{damaged} }, $r->{duplicates},
    sum0(values %$unanswered), $drained);
Postrider::Correspondents::ledger('network', $faults, $r, $drained);

ok($is_empty, 'the queue runs empty');
cmp_ok($r->{accepted}, '>', 50, 'mail was accepted');
is("@{ $r->{lost} }", '', 'nothing accepted is lost');
is("@{ $r->{damaged} }", '', 'nothing is damaged');
is("@unexplained", '', 'a second copy has a lost reply for its reason');
is("@{ $r->{phantoms} }", '', 'nothing that was refused is delivered');
is(join("\n", map { "$_->[2] $_->[4]" }
    grep { $_->[2] !~ /^(250|421|45[12]|none|unknown)$/ } @{ $r->{heard} }),
    '', 'nobody is refused for good');
is(join('', $log =~ /^.*status=(?:bounced|expired).*\n/mg), '',
    'nothing is returned');
is("@unserved", '', 'a new client is served after each fault');
is(join("\n", @slow), '', 'at once, and its mail arrives soon');
my $now;
ok(eval { wait_for(sub { total($now = descriptors()) <= total($base) + 4 },
    30) }, 'the daemons have as many descriptors as before')
    or diag(map { "$_: " . ($base->{$_} // 0) . " before, $now->{$_} now\n" }
    grep { $now->{$_} != ($base->{$_} // 0) } sort keys %$now);
is(join('', $mail->complaints), '', 'nothing crashed');
Alone::stop_name_server();
done_testing();
