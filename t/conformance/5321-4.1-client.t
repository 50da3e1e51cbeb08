# 5321-4.1-client.t - RFC 5321 section 4.1, the client: what it says, in which
# order, and what becomes of mail when the other side breaks off.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::IP;
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(relay => { is_noting => 1 },
    settings => { smtp_processes => 1, inet_protocols => 'all' },
    master => <<'END');
reusing    unix - - n - - smtp -o smtp_connection_cache_destinations=127.0.0.1
nameless   unix - - n - - smtp -o smtp_helo_name=localhost
homeless   unix - - n - - smtp -o smtp_helo_name=host.localdomain
underlined unix - - n - - smtp -o smtp_helo_name=mail_1.sut.test
literal    unix - - n - - smtp -o smtp_helo_name=[192.0.2.1]
patient    unix - - n - - smtp -o smtp_skip_quit_response=no
END
my $dir = $sut->dir;
spew("$dir/broken", '');

# --- hosts ---------------------------------------------------------------------

# Each notes the commands it hears, a line for each: session, verb, command.
my (%sink, %transport);
sub host
{
	my ($name, $say, $transport) = @_;

	$transport{$name} = $transport // 'smtp';
	$sink{$name} = $sut->sink(is_noting => 1, replies => sub {
		my ($verb, $line, $s) = @_;
		open my $f, '>>', "$dir/heard.$name";
		syswrite $f, "$s->{number}\t$verb\t$line\n";
		my $answer = $say->{$verb};
		return ref $answer eq 'CODE' ? $answer->($line, $s) : $answer;
	});
}

# What the sessions with a host were: lists of commands, with CONTENT and DOT
# for a message.
sub heard
{
	my ($name) = @_;
	my @sessions;

	for (split /\n/, slurp("$dir/heard.$name")) {
		my ($number, $verb, $line) = split /\t/, $_, 3;
		push @{ $sessions[$number - 1] }, $line eq '' ? $verb : $line;
	}
	return @sessions;
}

my $plain = sub { my @k = @_; my $last = pop @k;
    return join "\r\n", (map { "250-$_" } @k), "250 $last" };
host(plain => {});
host(nothing => { EHLO => '250 nothing.test' });
host(only_size => { EHLO => $plain->('only.test', 'SIZE') });
host(lower => { EHLO => $plain->('lower.test', 'pipelining',
    'SiZe 1000000', '8bitMime', 'dsn') });
host(helo_421 => { EHLO => '421 4.3.2 busy' });
host(helo_550 => { EHLO => '550 5.7.1 no', HELO => '550 5.7.1 no' });
host(no_ehlo => { EHLO => '500 what?' });
host(greets_554 => { CONNECT => '554 5.7.1 no' });
host(greets_521 => { CONNECT => '521 no mail here' });
host(mail_550 => { MAIL => '550 5.7.1 no' });
host(mail_450 => { MAIL => '450 4.7.1 later' });
host(rcpt_550 => { RCPT => '550 5.1.1 no' });
host(data_554 => { DATA => '554 5.7.1 no' });
host(dot_554 => { DOT => '554 5.7.1 no' });
host(dot_451 => { DOT => '451 4.3.0 later' });
host(reuse => { MAIL => sub { my ($line, $s) = @_;
	$s->{is_bad} = $line =~ /<bad/;
	return $s->{is_bad} ? '550 5.1.8 no' : undef;
    }, RCPT => sub { my ($line, $s) = @_;
	return $s->{is_bad} ? '503 5.5.1 no' :
	    $line =~ /<bad/ ? '550 5.1.1 no' : undef;
    } }, 'reusing');
host($_ => {}, $_) for qw(nameless homeless underlined literal);
my @steps = qw(CONNECT EHLO MAIL RCPT DATA CONTENT DOT);
for my $step (@steps) {
	my $break = sub { return -e "$dir/broken" ? 'RESET' : undef };
	host("reset_$step" => { $step => $break,
	    $step eq 'EHLO' ? (HELO => $break) : () });
}

# One that is in our hands: what it hears after its answer to QUIT.
sub listener
{
	return IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1',
	    Proto => 'tcp') // die "no listener: $!";
}
my ($hasty, $waiting) = (listener(), listener());
my $six = IO::Socket::IP->new(Listen => 5, LocalAddr => '::1',
    Proto => 'tcp');

sub domain { return lc($_[0] =~ tr/_/-/r) . '.test' }

open my $routes, '>>', $sut->etc . '/transport';
printf $routes "%s %s:[127.0.0.1]:%d\n", domain($_), $transport{$_},
    $sink{$_}->port for sort keys %sink;
printf $routes "hasty.test smtp:[127.0.0.1]:%d\nwaiting.test " .
    "patient:[127.0.0.1]:%d\n", $hasty->sockport, $waiting->sockport;
printf $routes "six.test nameless:[::1]:%d\n", $six->sockport if $six;
close $routes;
$sut->start;

# --- mail for all of them -------------------------------------------------------

my $c = $sut->friend;
my %id;
sub mail
{
	my ($name, $to, %o) = @_;
	my @to = ref $to ? @$to : ($to // 'u@' . domain($name));

	return $id{$name} = $sut->take($c, from => 's@remote.test', to => \@to,
	    text => "Subject: for-$name\n\nx\n", %o);
}
# All that could be asked for, of hosts that offer little.
mail($_, undef, mail => ' BODY=8BITMIME RET=HDRS ENVID=x',
    rcpt => ' NOTIFY=FAILURE') for qw(nothing only_size lower no_ehlo);
mail($_) for grep { !$id{$_} && $_ ne 'reuse' } sort keys %sink;
mail('route', '@x.test,@y.test:u@relay-ok.test');

my $log;
wait_for(sub {
	$log = $sut->log;
	return !grep { $log !~ /: $_: to=/ } values %id;
}, 20, 'outcomes of all: ' . join(' ', %id)) or die;

sub outcome
{
	my ($name) = @_;

	return $log =~ /: $id{$name}: to=(.*)/ ? $1 : '';
}

# QUIT comes a little later than the outcome.
sub ended
{
	my ($name) = @_;

	wait_for(sub { my @s = heard($name);
	    @s > 0 && $s[-1][-1] eq 'QUIT' }, 10, "QUIT at $name: " .
	    join ', ', map { @$_ } heard($name));
	return heard($name);
}

my @polite = qw(plain nothing only_size lower helo_550 no_ehlo
    greets_554 greets_521 mail_550 mail_450 rcpt_550 data_554 dot_554 dot_451);
for my $name (@polite) {
	my @sessions = eval { ended($name) };
	is($@, '', "5321-4.1.1.10-c $name: QUIT is said before hanging up");
	for my $session (@sessions) {
		is($session->[-1], 'QUIT', "5321-4.1.4-p $name: QUIT is last");
		is(scalar(grep { /^QUIT/ } @$session), 1,
		    "5321-4.1.4-p $name: and once");
		next if $name =~ /^greets/;
		like($session->[1], qr/^EHLO \S+\z/,
		    "5321-4.1.1.1-e $name: EHLO is the first command");
		like($session->[1], qr/^EHLO /,
		    "5321-4.1.4-a $name: a session begins with it");
	}
	is(scalar(grep { /^(?:RSET|DATA|QUIT)./ } map { @$_ } @sessions), 0,
	    "5321-4.1.1-d $name: no arguments where there are none");
	is(scalar(grep { /^(?:NOOP|HELP|EXPN|VRFY|RSET)/ }
	    map { $_->[1] // '' } @sessions), 0,
	    "5321-4.1.4-j $name: nothing but EHLO opens a session");
}
for my $name (qw(greets_554 greets_521)) {
	is(join(' ', map { @$_ } heard($name)), 'CONNECT QUIT',
	    "5321-4.1.4-q $name: QUIT without a session");
	ok(outcome($name) =~ /status=(?:deferred|bounced)/,
	    "5321-4.1.4-q $name: and the mail is not sent");
}
for my $name (qw(helo_421 helo_550)) {
	is(scalar(grep { /^MAIL/ } map { @$_ } heard($name)), 0,
	    "5321-4.1.1.1-f $name: no MAIL without a good EHLO");
	like(outcome($name), qr/status=deferred/,
	    "5321-4.1.1.1-f $name: the mail waits");
}
is(join(' ', map { /^(\S+)/ } map { @$_ } heard('no_ehlo')),
    'CONNECT EHLO HELO MAIL RCPT DATA CONTENT DOT QUIT',
    '5321-4.1.1.1-f no_ehlo: HELO makes a session too');
is((split /\r\n/, ($sink{plain}->raw)[0])[-1], 'QUIT',
    '5321-4.1.1-d QUIT alone in its line');
like(($sink{plain}->raw)[0], qr/^DATA\r$/m, '5321-4.1.1-d and DATA');

# --- what the offer allows ------------------------------------------------------

is((grep { /^MAIL/ } map { @$_ } heard('nothing'))[0],
    'MAIL FROM:<s@remote.test>', '5321-4.1.1.3-g nothing offered, nothing said');
is((grep { /^RCPT/ } map { @$_ } heard('nothing'))[0],
    'RCPT TO:<u@nothing.test>', '5321-4.1.1.3-g of the recipient as well');
is((grep { /^MAIL/ } map { @$_ } heard('no_ehlo'))[0],
    'MAIL FROM:<s@remote.test>', '5321-4.1.1.3-g nothing after HELO');
like((grep { /^MAIL/ } map { @$_ } heard('only_size'))[0],
    qr/^MAIL FROM:<s\@remote\.test> SIZE=\d+\z/,
    '5321-4.1.1.3-g SIZE is offered, SIZE is said');
is((grep { /^RCPT/ } map { @$_ } heard('only_size'))[0],
    'RCPT TO:<u@only-size.test>', '5321-4.1.1.3-g and no NOTIFY');
{
	my ($mail) = grep { /^MAIL/ } map { @$_ } heard('lower');
	like($mail, qr/ SIZE=\d+/, '5321-4.1.1.1-k "SiZe" is SIZE');
	like($mail, qr/ BODY=8BITMIME/, '5321-4.1.1.1-k "8bitMime" 8BITMIME');
	like($mail, qr/ RET=HDRS/, '5321-4.1.1.1-k and "dsn" DSN');
	my ($route) = grep { /^Subject: for-route\r$/m } $sut->relay->raw;
	like($route, qr/^RCPT TO:<u\@relay-ok\.test>(?: |\r$)/m,
	    '5321-4.1.1.3-a a route is not passed on');
	unlike(join("\n", map { $_->raw } $sut->relay, values %sink),
	    qr/^(?:MAIL FROM|RCPT TO):<@/m,
	    '5321-4.1.1.3-a none is made anywhere');
}

# --- names ----------------------------------------------------------------------

for my $name (qw(nameless homeless)) {
	my ($hello) = map { $_->[1] } heard($name);
	is($hello, 'EHLO [127.0.0.1]',
	    "5321-4.1.1.1-a $name: the address in place of a useless name");
	like($hello, qr/^EHLO \[(?:IPv6:)?[0-9A-Fa-f:.]+\]\z/,
	    "5321-4.1.1.1-b $name: and nothing behind it");
}
is((map { $_->[1] } heard('literal'))[0], 'EHLO [192.0.2.1]',
    '5321-4.1.1.1-b a literal that was configured stands alone');
SKIP: {
	skip 'there is no ::1 here', 2 unless $six;
	mail('six', 'u@six.test');
	ok(IO::Select->new($six)->can_read(20), 'it comes by IPv6 too');
	my $s = $six->accept;
	syswrite $s, "220 six.test ESMTP\r\n";
	is(scalar(<$s>), "EHLO [IPv6:::1]\r\n",
	    '5321-4.1.1.1-a where the literal has its tag');
	syswrite $s, "421 4.3.2 bye\r\n";
}
is((map { $_->[1] } heard('underlined'))[0], 'EHLO [127.0.0.1]',
    '5321-4.1.2-j a name with an underscore is not said');
is((map { $_->[1] } heard('plain'))[0], 'EHLO sut.test',
    '5321-4.1.4-g EHLO has the name of this host');
{
	my $empty = "$dir/empty";
	mkdir $empty;
	spew("$empty/main.cf", "mydomain = example.test\n");
	spew("$empty/master.cf", '');
	my ($status, $name) = $sut->run('', Postrider::bin() . '/postrider',
	    '-c', $empty, 'conf', '-hx', 'smtp_helo_name');
	chomp $name;
	my $system = (POSIX::uname())[1];
	is($name, $system =~ /\./ ? $system : "$system.example.test",
	    '5321-4.1.4-g which is the system\'s, if nothing else is set');
}

# --- one transaction after the other --------------------------------------------

{
	for my $to ('a@reuse.test', 'bad@reuse.test', 'b@reuse.test') {
		my $id = mail('reuse', $to);
		$sut->wait_log(qr/: $id: to=/, 20);
	}
	my $id = mail('reuse', 'c@reuse.test', from => 'bad@remote.test');
	$sut->wait_log(qr/: $id: to=/, 20);
	$id = mail('reuse', ['d@reuse.test', 'bad@reuse.test']);
	$sut->wait_log(qr/: $id: to=<d\@/, 20);
	my @sessions = heard('reuse');
	ok(@sessions < 5, '5321-4.1.4-l connections are used again');
	for my $session (@sessions) {
		my $is_open = 0;
		my @nested;
		for (@$session) {
			push @nested, $_ if /^MAIL/ && $is_open;
			$is_open = 1 if /^MAIL/ && !/<bad/;
			$is_open = 0 if /^(?:RSET|EHLO|DOT)/;
		}
		is("@nested", '', '5321-4.1.4-l no MAIL in a transaction: ' .
		    join ' ', map { /^(\S+)/ } @$session);
	}
	is(scalar(grep { /^RSET/ } map { @$_ } @sessions) > 0, 1,
	    '5321-4.1.4-l one that failed is ended by RSET');
	is(scalar(grep { /^RSET./ } map { @$_ } @sessions), 0,
	    '5321-4.1.1-d RSET has no argument');
}

# --- QUIT -----------------------------------------------------------------------

# Take one message, then look whether the client waits for the answer to QUIT.
sub waits_for_quit
{
	my ($listener) = @_;
	my $s = $listener->accept;
	my ($in, $is_data) = ('', 0);

	syswrite $s, "220 sink.test ESMTP\r\n";
	for (;;) {
		sysread $s, $in, 4096, length $in or return 'gone';
		while ($in =~ s/\A(.*?)\r\n//) {
			my $line = $1;
			next if $is_data && $line ne '.';
			if ($line eq 'QUIT') {
				my $select = IO::Select->new($s);
				return 'no' if $select->can_read(0.7);
				syswrite $s, "221 bye\r\n";
				return 'never' unless $select->can_read(10);
				return sysread($s, $in, 1) ? 'more' : 'yes';
			}
			$is_data = $line eq 'DATA';
			syswrite $s, $is_data ? "354 go on\r\n" : "250 ok\r\n";
		}
	}
}
mail('waiting', 'u@waiting.test');
is(waits_for_quit($waiting), 'yes',
    'with smtp_skip_quit_response = no the answer to QUIT is awaited');
mail('hasty', 'u@hasty.test');
is(waits_for_quit($hasty), 'no', 'without it, it is not');
$sut->wait_log(qr/: $id{$_}: to=.*status=sent/) for qw(waiting hasty);

# --- breaking off ---------------------------------------------------------------

for my $step (@steps) {
	my $name = "reset_$step";
	like(outcome($name), qr/dsn=4\.4\.2, status=deferred/,
	    "5321-4.1.1.10-f broken at $step: the mail waits");
	is($sink{$name}->count, 0, "5321-4.1.1.10-f $step: it is not there");
}
unlink "$dir/broken";
$sut->postrider('queue', 'flush');
for my $step (@steps) {
	my $name = "reset_$step";
	ok(eval { $sut->wait_log(qr/: $id{$name}: to=.*status=sent/, 20) },
	    "5321-4.1.1.10-f $step: it is tried again");
	is($sink{$name}->count, 1, "5321-4.1.1.10-f $step: and comes once");
}
is(scalar(grep { $_->{data} =~ /^Subject: for-reset/m }
    $sut->remote->messages), 0, '5321-4.1.1.10-f no report was sent');
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
