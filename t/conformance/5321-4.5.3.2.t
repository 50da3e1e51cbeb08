# 5321-4.5.3.2.t - RFC 5321 section 4.5.3.2: how long either side waits. The
# clocks of the system are moved, so that it takes seconds.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(MSG_DONTWAIT);
use Test::More;
use Postrider qw(free_port slurp spew wait_for);
use Postrider::Fixture;

my $dns = free_port();
my $sut = Postrider::Fixture->new(clock => 1, settings => {
	message_size_limit => 0, default_transport => 'smtp',
	dns_servers => "127.0.0.1\@$dns", smtpd_min_data_rate => 1,
	smtp_min_data_rate => 1 });
my $dir = $sut->dir;

# A host that is silent at one point, until the file NAME.go is there; NAME.at
# tells that it has got so far.
my (%sink, %id);
sub host
{
	my ($name, %say) = @_;

	# Without PIPELINING, so that each command has its own reply.
	$sink{$name} = $sut->sink(extensions => ['8BITMIME'], replies => sub {
		my ($verb, $line, $s) = @_;
		return undef unless exists $say{$verb};
		my $at = "$dir/$name.at.$verb";
		return $say{$verb} if -e $at;
		spew($at, '');
		wait_for(sub { -e "$dir/$name.go.$verb" }, 120, 'leave');
		return $say{$verb};
	});
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "%s.test smtp:[127.0.0.1]:%d\n", $name, $sink{$name}->port;
}

# What is waited for, how long at least, and for how long (some seconds less
# than) this test lets it wait. Of each there is one host that comes in time.
my %waits = (
	greeting => ['CONNECT', 290, '220 slow.test', 'receiving the initial'],
	mail => ['MAIL', 290, '250 Ok', 'sending MAIL FROM'],
	rcpt => ['RCPT', 290, '250 Ok', 'sending RCPT TO'],
	data => ['DATA', 115, '354 go on', 'sending DATA command'],
	block => ['CONTENT', 170, undef, 'sending message body'],
	dot => ['DOT', 590, '250 Ok', 'sending end of data'],
);
for my $name (sort keys %waits) {
	host("$_-$name", $waits{$name}[0] => $waits{$name}[2])
	    for qw(late never);
}
my %slow = (CONNECT => '220 slow.test', EHLO => '250 slow.test',
    MAIL => '250 Ok', RCPT => '250 Ok', DATA => '354 go on', DOT => '250 Ok');
host('slow', %slow);
host('stalled', RCPT => '250 Ok');

# Somebody who never answers at all: a listener whose queue is full.
my $hole = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "listen: $!";
listen $hole, 0;
my @kept = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $hole->sockport, Blocking => 0) } 1 .. 4;
{
	open my $f, '>>', $sut->etc . '/transport';
	printf $f "hole.test smtp:[127.0.0.1]:%d\n", $hole->sockport;
}

# A name server that says nothing.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
    LocalPort => $dns, Proto => 'udp') or die "port $dns: $!";
$sut->start;

sub send_to
{
	my ($name, $text) = @_;
	my $c = $sut->friend;

	$id{$name} = $sut->take($c, from => 's@remote.test',
	    to => ["r\@$name.test"], text => $text // "Subject: $name\n\nx\n");
	$c->command('QUIT', 221);
}
sub line { return $sut->wait_log(qr/ $id{$_[0]}: to=.*\n/, 20) }
sub is_told { return $sut->log =~ / $id{$_[0]}: to=/ ? 1 : 0 }
sub let_go { my ($name, $verb) = @_; spew("$dir/$name.go.$verb", '') }
sub wait_at
{
	my ($name, $verb) = @_;
	wait_for(sub { -e "$dir/$name.at.$verb" }, 20, "$name at $verb\n" .
	    $sut->log);
}

my %row = (
	greeting => '5321-4.5.3.2.1-a', mail => '5321-4.5.3.2.2-a',
	rcpt => '5321-4.5.3.2.3-a', data => '5321-4.5.3.2.4-a',
	block => '5321-4.5.3.2.5-a', dot => '5321-4.5.3.2.6-a',
);
my $big = "Subject: big\n\n" . ('b' x 70 . "\n") x 200000;
for my $name (sort keys %waits) {
	send_to("$_-$name", $name eq 'block' ? $big : undef)
	    for qw(late never);
}
wait_at(@$_) for map { my $name = $_; map { ["$_-$name",
    $waits{$name}[0]] } qw(late never) } sort keys %waits;
send_to('hole');
send_to('no-answer');

# A clock that is moved before somebody begins to wait hurries nobody. Of who
# says nothing the kernel tells that he is asked.
my %is_kept = map { (sprintf '%04X', $_->sockport) => 1 } grep { $_ } @kept;
my $to_hole = sprintf '0100007F:%04X', $hole->sockport;
wait_for(sub { grep { /: \w+:(\w+) $to_hole 02 / && !$is_kept{$1} }
    split /\n/, slurp('/proc/net/tcp') }, 20, 'the hole to be called');
wait_for(sub {
	my $query = '';

	1 while defined $silent->recv($query, 512, MSG_DONTWAIT) &&
	    $query !~ /no-answer/;
	return $query =~ /no-answer/;
}, 20, 'the name server to be asked');

# --- silence before anything --------------------------------------------------

sub settle_in { select undef, undef, undef, $_[0] }

settle_in(0.2);
my $passed = 0;
sub pass_time
{
	my ($to) = @_;

	$sut->advance($to - $passed);
	$passed = $to;
	settle_in(0.3);
}
pass_time(40);
like(line('hole'), qr/dsn=4\.4\.1, status=deferred \(.*timed out/,
    '5321-4.5.4-a a host that does not answer is left');
pass_time(110);
like(line('no-answer'), qr/dsn=4\.4\.3, status=deferred/,
    '5321-4.5.4-a so is a silent name server');
ok(!is_told("late-$_"), "5321-4.5.4-a others have more time ($_)")
    for sort keys %waits;

# --- each command -------------------------------------------------------------

my %said = map { ($_ => qr/.*timed out while $waits{$_}[3]/) } keys %waits;
my %deadline = (data => 120, block => 180, greeting => 300, mail => 300,
    rcpt => 300, dot => 600);
for my $name (sort { $deadline{$a} <=> $deadline{$b} || $a cmp $b }
    keys %deadline) {
	my ($verb, $late) = @{ $waits{$name} };
	pass_time($late) if $late > $passed;
	is(is_told("late-$name"), 0,
	    "$row{$name} it waits for $late s ($name)");
	let_go("late-$name", $verb);
	like(line("late-$name"), qr/status=sent/,
	    "$row{$name} and delivers then");
	is(scalar $sink{"late-$name"}->messages, 1, "$row{$name} once");
}
for my $name (sort { $deadline{$a} <=> $deadline{$b} } keys %deadline) {
	pass_time($deadline{$name} + 25)
	    if $passed < $deadline{$name} + 25;
	like(line("never-$name"),
	    qr/dsn=4\.4\.2, status=deferred \($said{$name}/,
	    "5321-4.5.4-a in the end it gives up ($name)");
}
is($sink{'late-dot'}->sessions, 1, '5321-4.5.3.2.6-a there is no second ' .
    'attempt after the dot');

# --- each has a time of its own -----------------------------------------------

send_to('slow');
my $total = 0;
for my $verb (qw(CONNECT EHLO MAIL RCPT DATA DOT)) {
	wait_at('slow', $verb);
	settle_in(0.1);
	$sut->advance(115);
	$total += 115;
	settle_in(0.1);
	let_go('slow', $verb);
}
like(line('slow'), qr/status=sent/, '5321-4.5.3.2-a a host that is slow ' .
    'with everything gets the message');
my ($delay) = line('slow') =~ / delay=([\d.]+)/;
cmp_ok($delay, '>', 600, "5321-4.5.3.2-a after $delay s, more than any " .
    'command may take');

# --- settings -----------------------------------------------------------------

my ($pid) = $sut->children(Postrider::bin() . '/smtp');
$sut->set(smtp_rcpt_timeout => '3s');
$sut->reload;
send_to('stalled');
wait_at('stalled', 'RCPT');
settle_in(0.1);
$sut->advance(4);
like(line('stalled'), qr/status=deferred \(.*timed out while sending RCPT TO/,
    '5321-4.5.3.2-b smtp_rcpt_timeout acts without a restart');
like(line('stalled'), qr/ delay=(?:[0-9]|1[0-9])(?:\.\d+)?,/,
    '5321-4.5.3.2-b after the seconds it says');

# --- the server ---------------------------------------------------------------

{
	my $c = $sut->stranger;
	for my $about ('5321-4.5.3.2.7-a the server waits for 295 s',
	    '5321-4.5.3.2.7-a and again, for each command') {
		$sut->advance(295);
		ok(!$c->has_input(0.4), $about);
		like($c->command('NOOP'), qr/^250/, $about);
	}
	$sut->advance(310);
	like($c->reply // '', qr/^421 4\.4\.2 /,
	    '5321-4.5.3.2.7-a then it says 421');
	ok($c->is_closed, '5321-4.5.3.2.7-a and leaves');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
