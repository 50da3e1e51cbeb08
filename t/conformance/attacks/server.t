# server.t - hosts that lie, break off, stall or speak in tongues: no message
# is taken for delivered without a good reply behind its last dot, none is lost,
# and what such a host says is text.
use strict;
use warnings;

use lib 't/lib';
use Errno ();
use IO::Socket::INET;
use POSIX ();
use Postrider qw(slurp spew wait_for);
use Postrider::Fixture;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Time::HiRes qw(sleep time);

my $sut = Postrider::Fixture->new(settings => {
	smtp_helo_timeout => '2s', smtp_mail_timeout => '2s',
	smtp_rcpt_timeout => '2s', smtp_data_init_timeout => '2s',
	smtp_data_xfer_timeout => '2s', smtp_data_done_timeout => '2s',
	lmtp_data_done_timeout => '2s', smtp_rset_timeout => '2s',
	smtp_connection_cache_on_demand => 'yes',
	smtp_connection_cache_time_limit => '30s', smtp_processes => 1,
	smtp_destination_concurrency_limit => 2, notify_classes => '',
	smtp_destination_concurrency_failed_cohort_limit => 0,
}, master => <<'END');
dripped   unix - - n - - smtp -o smtp_per_request_deadline=yes
  -o smtp_min_data_rate=1000000
first     unix - - n - - smtp -o smtp_helo_name=first.test
second    unix - - n - - smtp -o smtp_helo_name=second.test
END
my $etc = $sut->etc;
my (%sink, @servers);
my $own = $$;
END { kill 'KILL', map { -$_ } @servers if defined $own && $$ == $own }

sub route
{
	my ($name, $port, $transport) = @_;

	open my $f, '>>', "$etc/transport" or die;
	printf $f "%s.test %s:[127.0.0.1]:%d\n", $name, $transport // 'smtp',
	    $port;
}

# A domain whose host talks so.
sub domain
{
	my ($name, $talk, %o) = @_;

	$sink{$name} = $sut->sink(replies => $talk, %o);
	route($name, $sink{$name}->port, $o{lmtp} ? 'lmtp' : undef);
}

# One whose host is worse than a sink can be.
sub server
{
	my ($name, $talk, $transport) = @_;
	my $listener = IO::Socket::INET->new(Listen => 50,
	    LocalAddr => '127.0.0.1', Proto => 'tcp') or die "no listener: $!";

	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, 4096;
	route($name, $listener->sockport, $transport);
	my $pid = fork // die "fork: $!";
	setpgrp $pid, 0;
	push @servers, $pid;
	return if $pid != 0;
	while (my $client = $listener->accept) {
		next if fork;
		$SIG{ALRM} = 'DEFAULT';
		alarm 30;
		$talk->($client);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

# --- CLN-02 -------------------------------------------------------------------

my @odd = ('2', '25', '25O x', ' 250 x', '999 x', '250', "250\t", '-250',
    "250-\r\n251 x", '', "250 a\0b", "250 \xe9\xff\xfe", '25', '2500 x',
    '150 x', '600 x', '000 x', "\xb2\xb5\xb0 x", '+250 x', '0x250', "\t250 x",
    "250x", '250-', "\0250 x", '350 x');
my $is_good = qr/\A2\d\d(?:[ \t-]|\z)/;	# of a line that is a reply
for my $stage (qw(MAIL RCPT DOT)) {
	domain("odd-" . lc $stage, sub {
		my ($verb, $line, $s) = @_;
		return undef unless $verb eq $stage;
		my ($n) = ($verb eq 'DOT' ? $s->{mail} : $line) =~ /(\d+)/ ?
		    $1 : return undef;
		return \"$odd[$n]\r\n";
	});
}
# The very same bytes before and behind: whose reply is it?
domain('mixed', sub {
	my ($verb, $line, $s) = @_;
	return undef unless $verb eq 'RCPT';
	return $line =~ /first/ ? '550 5.1.1 the first one' :
	    "45O what\r\n550 5.1.1 the second one";
});

# --- CLN-03 -------------------------------------------------------------------

my %lies = (
	'rcpt-354' => sub { $_[0] eq 'RCPT' ? '354 go ahead' : undef },
	'data-250' => sub { $_[0] eq 'DATA' ? '250 2.0.0 Ok' : undef },
	'greeting-5' => sub { $_[0] eq 'CONNECT' ? '554 5.7.1 no' : undef },
	'ehlo-221' => sub { $_[0] =~ /^(?:EHLO|HELO)$/ ? '221 bye' : undef },
	'mail-221' => sub { $_[0] eq 'MAIL' ? '221 bye' : undef },
	'rcpt-221' => sub { $_[0] eq 'RCPT' ? '221 bye' : undef },
	'data-221' => sub { $_[0] eq 'DATA' ? '221 bye' : undef },
	'mail-421' => sub { $_[0] eq 'MAIL' ? ['421 4.3.2 no', 'CLOSE'] : undef },
	'rcpt-421' => sub { $_[0] eq 'RCPT' ? ['421 4.3.2 no', 'CLOSE'] : undef },
	'data-421' => sub { $_[0] eq 'DATA' ? ['421 4.3.2 no', 'CLOSE'] : undef },
	'dot-421' => sub { $_[0] eq 'DOT' ? ['421 4.3.2 no', 'CLOSE'] : undef },
	'dot-354' => sub { $_[0] eq 'DOT' ? '354 more' : undef },
	'dot-none' => sub { $_[0] eq 'DOT' ? 'HANG' : undef },
	'fewer' => sub { $_[0] eq 'RCPT' && $_[1] =~ /r2/ ? \'' : undef },
	'early' => sub { $_[0] eq 'DATA' ?
	    "354 go\r\n250 2.0.0 Ok: taken" : undef },
	'early-5' => sub { $_[0] eq 'MAIL' ?
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n250 2.0.0 taken" :
	    undef },
);
domain($_, $lies{$_}) for sort keys %lies;
# Every line of whatever kind is answered by 250, the text as well.
server('yes', sub {
	my ($client) = @_;
	print $client "250 yes\r\n";
	$client->flush;
	while (my $line = <$client>) {
		print $client "250 yes\r\n";
		$client->flush;
	}
});
domain('more', sub { $_[0] eq 'RCPT' && $_[1] =~ /r1/ ?
    "250 2.1.5 Ok\r\n550 5.1.1 and another one" : undef });
domain('quit-4', sub { $_[0] eq 'QUIT' ? '450 4.0.0 stay' : undef });

# --- CLN-04 -------------------------------------------------------------------

# Whoever has file `kind` is well again. What was said is noted: the client may
# have read that, or it may not.
domain('shaky', sub {
	my ($verb, $line, $s) = @_;
	return undef if $verb ne 'DOT';
	my ($subject) = $s->{data} =~ /^Subject: (\S+)\r$/m;
	my @ways = ('CLOSE', 'RESET', ['250 2.0.0 Ok: taken', 'CLOSE'],
	    ['250 2.0.0 Ok: taken', 'RESET'], '250 2.0.0 Ok: taken',
	    ['250 2.0.', 'CLOSE'], [\'250 2.0.0 Ok', 'CLOSE'], \"25");
	my $way = -e "$etc/well" ? 4 : ($subject =~ /(\d+)/)[0] % @ways;
	my $says = $way =~ /[2-5]/ ? 'yes' : 'no';
	open my $f, '>>', "$etc/shaky" or die;
	syswrite $f, "$subject $way $says\n";
	sleep rand 0.02;
	return $ways[$way];
});

# --- CLN-06 -------------------------------------------------------------------

my %answers = (ok => '250 2.0.0 Ok', full => '452 4.2.2 full',
    gone => '550 5.7.1 gone', close => 'CLOSE', hang => 'HANG',
    odd => '25O 2.0.0 odd', twice => "250 2.0.0 Ok\r\n250 2.0.0 Ok");
domain('store', sub {
	my ($verb, $line) = @_;
	if ($verb eq 'RCPT') {
		open my $f, '>>', "$etc/order" or die;
		syswrite $f, "$line\n";
	}
	return undef unless $verb eq 'DOT';
	return $answers{ ($line =~ /^([a-z]+)/)[0] };
}, lmtp => 1);

# --- CLN-09 -------------------------------------------------------------------

server('deaf', sub {
	my ($client) = @_;
	my $text = '';
	syswrite $client, "220 deaf\r\n";
	while (sysread $client, $text, 65536) {
		syswrite $client, $text =~ /^DATA/ ? "354 go\r\n" : "250 Ok\r\n";
		sleep 20 if $text =~ /^DATA/;
	}
});
server('mute', sub { sleep 20 });
server('bytes', sub {
	my ($client) = @_;
	my $slow = sub {
		for my $byte (split //, $_[0]) {
			syswrite $client, $byte;
			sleep 0.002;
		}
	};
	$slow->("220-bytes.test\r\n220 ESMTP\r\n");
	while (my $line = <$client>) {
		$slow->($line =~ /^DATA/ ? "354 go\r\n" : "250 2.0.0 Ok\r\n");
		last if $line =~ /^QUIT/;
		next if $line !~ /^DATA/;
		while (defined(my $text = <$client>)) { last if $text eq ".\r\n" }
		$slow->("250 2.0.0 Ok: taken\r\n");
	}
});
# It never ends, but is never silent.
server('drip', sub {
	my ($client) = @_;
	for (1 .. 100) {
		syswrite $client, '220-x' . "\r\n" or last;
		sleep 0.2;
	}
}, 'dripped');
# Nor does this one, within one line.
server('flood', sub {
	my ($client) = @_;
	my $x = 'x' x 65536;
	for (1 .. 2000) {
		syswrite $client, $x or last;
	}
});

# --- CLN-05, CLN-10 -----------------------------------------------------------

domain('left', sub { $_[0] eq 'DOT' ?
    "250 2.0.0 Ok: taken\r\n250 2.0.0 and what is this" : undef });
domain('plain-eight', undef, extensions => [qw(8BITMIME)]);
domain('two', undef, extensions => [qw(PIPELINING 8BITMIME SMTPUTF8)]);
route('one', $sink{two}->port, 'first');
route('other', $sink{two}->port, 'second');
domain('words', sub {
	my ($verb, $line) = @_;
	return undef unless $verb eq 'RCPT';
	return '551 5.1.6 user not local; try <|id>' if $line =~ /<a@/;
	return '251 2.1.5 will forward to <|touch /tmp/x>, <evil@remote.test>'
	    if $line =~ /<b@/;
	return '551 5.1.6 try <evil@remote.test>' if $line =~ /<c@/;
	return undef;
});
$sut->start;

# --- asking -------------------------------------------------------------------

# A message; its queue id.
sub post
{
	my ($to, %o) = @_;
	my $c = $sut->friend;
	my $id = $sut->take($c, from => $o{from} // '',
	    to => ref $to ? $to : [$to], mail => $o{mail},
	    text => $o{text} // "Subject: x\n\nx\n");

	$c->command('QUIT', 221);
	return $id;
}

# What the log says of a message and a recipient: "sent 2.0.0 text".
sub outcome
{
	my ($id, $to, $seconds) = @_;
	my $line = $sut->wait_log(qr/ $id: to=<\Q$to\E>,.*status=.*\n/,
	    $seconds // 20);

	return $line =~ /dsn=(\S+), status=(\S+) \((.*)\)/ ? "$2 $1 $3" : $line;
}

# Everything that takes long starts at once.
my $began = time;
my %late = map { $_ => post("r\@$_.test", text => "Subject: $_\n\n" .
    ($_ eq 'deaf' ? ('x' x 70 . "\n") x 100_000 : "x\n")) }
    qw(deaf mute bytes drip flood);
my @more_deaf = map { post('r@deaf.test', text => "Subject: deaf\n\n" .
    ('x' x 70 . "\n") x 100_000) } 1 .. 3;
my %lying = map { $_ => post(["r1\@$_.test", "r2\@$_.test", "r3\@$_.test"]) }
    sort(keys %lies), 'yes', 'more', 'quit-4';
my %stored = (
	mixed => post([map { "$_\@store.test" } qw(ok1 full1 gone1 ok2)]),
	broken => post([map { "$_\@store.test" } qw(ok3 ok4 close5 ok6)]),
	silent => post([map { "$_\@store.test" } qw(ok7 hang8 ok9)]),
	odd => post([map { "$_\@store.test" } qw(ok10 odd11 ok12)]),
	twice => post([map { "$_\@store.test" } qw(ok13 twice14)]));
my %odd;
for my $n (0 .. $#odd) {
	$odd{"odd-rcpt $n"} = [post("r$n\@odd-rcpt.test"), "r$n\@odd-rcpt.test"];
	$odd{"odd-mail $n"} = [post("r$n\@odd-mail.test",
	    from => "s$n\@remote.test"), "r$n\@odd-mail.test"];
	$odd{"odd-dot $n"} = [post("r$n\@odd-dot.test",
	    from => "s$n\@remote.test"), "r$n\@odd-dot.test"];
}
my %shaky = map { my $n = $_; ("shaky-$n" => post('r@shaky.test', text =>
    "Subject: shaky-$n\n\nx\n")) } 0 .. 47;

# --- answers ------------------------------------------------------------------

for my $what (sort keys %odd) {
	my ($stage, $n) = split / /, $what;
	my $said = outcome(@{ $odd{$what} });
	my $reply = $odd[$n];
	my $shown = $reply =~ s/[^ -~]/?/gr;
	# Lines joined, the last one counts.
	my $is_positive = $reply =~ /$is_good/ && $reply !~ /-\z/;

	if ($is_positive) {
		like($said, qr/^(?:sent 2|deferred 4)/,
		    "CLN-02 '$shown' ($stage) is good, or no reply");
	} else {
		like($said, qr/^deferred 4\./,
		    "CLN-02 '$shown' ($stage) is no reply");
	}
	unlike($said, qr/[^ -~]/, 'CLN-02 and harmless in the log');
	# An empty line, or one that others follow, is a part of the next.
	unlike($said, qr/said:.*(?:sink\.test|go ahead|Ok: taken)/,
	    'CLN-02 which shows this reply only')
	    if $said =~ /^deferred/ && $reply ne '' && $reply ne '250-';
}
{
	my $id = post(['first@mixed.test', 'second@mixed.test']);
	my $said = outcome($id, 'second@mixed.test');
	like($said, qr/^deferred/, 'CLN-02 half a reply is none');
	unlike($said, qr/the first one/, 'CLN-02 and no text of another\'s');
}

my %sent_by_lies;for my $name (sort keys %lying) {
	my @kept = map { @{ $_->{rcpt} } } $sink{$name} ?
	    $sink{$name}->messages : ();
	for my $to (map { "r$_\@$name.test" } 1 .. 3) {
		my $said = outcome($lying{$name}, $to);
		if ($said =~ /^sent/) {
			ok(scalar(grep { $_ eq $to } @kept),
			    "CLN-03 $name: $to has it");
			$sent_by_lies{$name}++;
		} elsif ($name eq 'greeting-5') {
			like($said, qr/^(?:deferred|bounced)/, "CLN-03 $name");
		} else {
			like($said, qr/^deferred 4|^bounced 5\.1\.1/,
			    "CLN-03 $name: not taken for delivered");
		}
	}
}
is($sent_by_lies{$_} // 0, 0, "CLN-03 $_: nobody has it")
    for grep { !/^(?:quit-4|more|rcpt-354|(?:ehlo|mail|rcpt)-221)$/ } sort keys %lying;
is($sent_by_lies{'quit-4'}, 3, 'CLN-03 a refused QUIT undoes nothing');

is(join(' ', map { outcome($stored{mixed}, "$_\@store.test") =~ /^(\S+ \S+)/ }
    qw(ok1 full1 gone1 ok2)),
    'sent 2.0.0 deferred 4.2.2 bounced 5.7.1 sent 2.0.0',
    'CLN-06 each has the reply that is his');
# In the order in which they were named to the host.
for my $case (['broken', 'it breaks', qw(ok3 ok4 close5 ok6)],
    ['silent', 'it falls silent', qw(ok7 hang8 ok9)],
    ['odd', 'there is none', qw(ok10 odd11 ok12)]) {
	my ($name, $about, @who) = @$case;
	my @order = grep { my $w = $_; grep { $_ eq $w } @who }
	    slurp("$etc/order") =~ /<(\w+)\@store/g;
	my $is_broken = 0;
	for my $who (@order) {
		$is_broken ||= $who !~ /^ok/;
		like(outcome($stored{$name}, "$who\@store.test"),
		    $is_broken ? qr/^deferred 4/ : qr/^sent 2/,
		    "CLN-06 $about: $who " . ($is_broken ? 'waits' :
		    'has his'));
	}
	is(scalar @order, scalar @who, 'CLN-06 each was named once');
}
is(join(' ', map { outcome($stored{twice}, "$_\@store.test") =~ /^(\w+)/ }
    qw(ok13 twice14)), 'sent sent', 'CLN-06 one too many is nobody\'s');
{
	my $id = post([map { "$_\@store.test" } qw(full15 ok16)]);
	is(join(' ', map { outcome($id, "$_\@store.test") =~ /^(\w+)/ }
	    qw(full15 ok16)), 'deferred sent',
	    'CLN-06 and not the next message\'s');
}

# --- what was said and what was heard -----------------------------------------

outcome($shaky{$_}, 'r@shaky.test') for sort keys %shaky;
{
	my (%said, %times);
	for (split /\n/, slurp("$etc/shaky")) {
		my ($subject, $way, $says) = split / /;
		$said{$subject}{$says}++;
		$times{$subject}++;
	}
	my (@false, @lost, $again);
	for my $subject (sort keys %shaky) {
		my $is_sent = outcome($shaky{$subject}, 'r@shaky.test') =~ /^sent/;
		push @false, $subject if $is_sent && !$said{$subject}{yes};
		push @lost, $subject if !$is_sent &&
		    $sut->log =~ / $shaky{$subject}: removed/;
	}
	is("@false", '', 'CLN-04 none is sent of which 250 was not said');
	is("@lost", '', 'CLN-04 and none of the others is gone');
	spew("$etc/well", '');
	$sut->postrider('queue', 'flush');
	wait_for(sub { my $log = $sut->log; !grep { $log !~
	    / $shaky{$_}: to=.*status=sent/ } keys %shaky }, 30, 'the rest');
	my $log = $sut->log;
	my @twice = grep { (() = $log =~ / $shaky{$_}: to=.*status=sent/g) != 1 }
	    keys %shaky;
	is("@twice", '', 'CLN-04 each is sent in the end, and once');
	%said = ();
	for (split /\n/, slurp("$etc/shaky")) {
		my ($subject, $way, $says) = split / /;
		$said{$subject}{$way}++;
	}
	my @doubled = grep { my $s = $said{$_}; ($s->{2} // 0) > 0 &&
	    ($s->{4} // 0) > 0 } keys %said;
	is("@doubled", '', 'CLN-04 who read 250 before the end sends no more');
	is(scalar(grep { my $s = $said{$_}; !grep { $s->{$_} } 2 .. 5 }
	    keys %said), 0, 'CLN-04 and nobody is left out');
}

# --- connections that are kept ------------------------------------------------

{
	like(outcome(post('r1@left.test'), 'r1@left.test'), qr/^sent/,
	    'CLN-05 a reply that nobody asked for');
	my $id = post('r2@left.test');
	like(outcome($id, 'r2@left.test'), qr/^sent/, 'CLN-05 is read by nobody');
	is($sink{left}->sessions, 2, 'CLN-05 the conversation ends with it');
	my $e = "Subject: caf\xc3\xa9\n\nx\n";
	my @ids = map { [post("r\@$_->[0].test", mail => $_->[1],
	    text => $_->[1] ? $e : undef), "r\@$_->[0].test"] }
	    map { (['one', ''], ['other', ''], ['two', ' SMTPUTF8'],
	    ['two', '']) } 1 .. 3;
	like(outcome(@$_), qr/^sent/, 'CLN-05 in turn') for @ids;
	my @messages = $sink{two}->messages;
	is(scalar @messages, 12, 'CLN-05 all have come to one address');
	my @wrong = grep {
		my ($to) = $_->{rcpt}[0] =~ /\@(\w+)/;
		my %helo = (one => 'first.test', other => 'second.test',
		    two => 'sut.test');
		$_->{helo} ne "EHLO $helo{$to}";
	} @messages;
	is(scalar @wrong, 0, 'CLN-05 each by a conversation of its own kind');
	@wrong = grep { ($_->{mail} =~ /SMTPUTF8/ ? 1 : 0) !=
	    ($_->{data} =~ /\xc3/ ? 1 : 0) } @messages;
	is(scalar @wrong, 0, 'CLN-05 and SMTPUTF8 is said where it must be');
	cmp_ok($sink{two}->sessions, '>=', 3, 'CLN-05 three kinds at least');
}

{
	my $id = post([map { "$_\@words.test" } qw(a b c)],
	    from => 'keeper@remote.test', text => "Subject: words\n\nx\n");
	like(outcome($id, 'a@words.test'), qr/^bounced 5\.1\.6 .*try <\|id>/,
	    'CLN-10 551 is a refusal');
	like(outcome($id, 'b@words.test'), qr/^sent 2\./, 'CLN-10 251 is none');
	like(outcome($id, 'c@words.test'), qr/^bounced 5\.1\.6/,
	    'CLN-10 an address in it');
	my ($report) = $sut->wait_remote(qr/^Subject: words\r$/m);
	like($report->{data} =~ s/\r\n[ \t]+/ /gr, qr/^Diagnostic-Code: smtp; 551 5\.1\.6 user not local; try <\|id>/m,
	    'CLN-10 its text is in the report');
	wait_for(sub { $sut->said(qr/ $id: removed/) }, 10, 'the end');
	is(scalar(grep { grep { /evil/ } @{ $_->{rcpt} } }
	    $sut->remote->messages), 0, 'CLN-10 and is text only');
	is($sut->said(qr/to=<(?:evil|\|)/), 0, 'CLN-10 for nobody');
}

# --- patience -------------------------------------------------------------------

like(outcome($late{bytes}, 'r@bytes.test', 25), qr/^sent/,
    'CLN-09 a reply in single bytes is a reply');
like(outcome($late{mute}, 'r@mute.test', 25),
    qr/^deferred 4\.4\.2 .*timed out while receiving the initial server greeting/,
    'CLN-09 silence has an end');
like(outcome($late{deaf}, 'r@deaf.test', 25),
    qr/^deferred 4\.4\.2 .*timed out while sending message body/,
    'CLN-09 so has a window of zero');
like(outcome($late{drip}, 'r@drip.test', 25), qr/^deferred 4\.4\.2 .*timed out/,
    'CLN-09 so has a greeting that goes on and on');
like(outcome($late{flood}, 'r@flood.test', 25), qr/^deferred 4\./,
    'CLN-09 and a line without an end');
like(outcome($_, 'r@deaf.test', 25), qr/^deferred 4\./,
    'CLN-09 others to such a host wait for their turn') for @more_deaf;
cmp_ok(time - $began, '<', 25, 'CLN-09 all that in bounded time');
{
	my ($at) = $sut->log =~ /(\w+ +\d+ \S+) .* $late{bytes}: to=/;
	my @slow = map { $sut->log =~ /(\w+ +\d+ \S+) .* $_: to=/ } @more_deaf;
	cmp_ok($at, 'lt', $slow[-1], 'CLN-09 and held up nobody else');
}

is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
