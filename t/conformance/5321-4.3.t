# 5321-4.3.t - RFC 5321 section 4.3: who speaks when, and which answers each
# command has.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Postrider::Mounts;
my $is_alone;
BEGIN { $is_alone = Postrider::Mounts::alone() }
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port slurp spew wait_for);
use Postrider::Fixture;

# Every reply that is heard here, and the command before it.
my (@said, $last_command);
{
	no warnings 'redefine';
	my ($reply, $raw) = (\&Postrider::Client::reply,
	    \&Postrider::Client::raw);
	*Postrider::Client::raw = sub {
		($last_command) = $_[1] =~ /^(\S*)/;
		return $raw->(@_);
	};
	*Postrider::Client::reply = sub {
		my $got = $reply->(@_);
		push @said, [$last_command // '', $got] if defined $got;
		return $got;
	};
}

my %port = map { $_ => free_port() } qw(sync early refuse closed limits full
    broken defer deny hurry);
my $sut = Postrider::Fixture->new(
	settings => { message_size_limit => 1_000_000,
	    smtpd_expn_clients => '127.0.0.1', postscreen_greet_wait => '1s',
	    postscreen_greet_action => 'drop', relay_domains =>
	    'relay-ok.test, broken.test', relay_recipient_maps =>
	    'inline:{a@relay-ok.test=x}, fail:broken',
	    header_checks => 'regexp:{{/^Subject: forbidden/ REJECT no}}',
	    smtp_helo_timeout => '20s' },
	master => <<"END");
127.0.0.1:$port{sync} inet n - n - - smtpd
  -o smtpd_forbid_unauth_pipelining=yes
127.0.0.1:$port{early} inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
127.0.0.1:$port{refuse} inet n - n - - smtpd
  -o { smtpd_refusal_greeting = 554 no mail for you }
127.0.0.1:$port{closed} inet n - n - - smtpd
  -o { smtpd_refusal_greeting = 521 does not accept mail }
127.0.0.1:$port{limits} inet n - n - - smtpd
  -o smtpd_recipient_limit=2 -o smtpd_hard_error_limit=3
  -o smtpd_helo_required=yes
127.0.0.1:$port{full} inet n - n - - smtpd
  -o queue_minfree=4000000000000000000
127.0.0.1:$port{broken} inet n - n - - smtpd
  -o smtpd_command_filter=fail:broken
127.0.0.1:$port{defer} inet n - n - - smtpd
  -o smtpd_sender_restrictions=defer -o smtpd_delay_reject=no
127.0.0.1:$port{deny} inet n - n - - smtpd
  -o smtpd_recipient_restrictions=defer
127.0.0.1:$port{hurry} inet n - n - - smtpd
  -o smtpd_timeout=1s
END
my $spool = $sut->spool;
END {
	if ($sut) {
		local $?;
		$sut->stop;
		Postrider::Mounts::leave();
	}
}
Postrider::Mounts::tmpfs($spool, 'size=8m,nr_inodes=4000,mode=755')
    if $is_alone;

# --- 4.3.1: a host that looks whether the client waits ------------------------

# What came before it was wanted, in the file; the first word of each line too.
my @servers;
my $own = $$;
END { kill 'KILL', @servers if $$ == $own }

sub patient_host
{
	my ($file, $before_greeting) = @_;
	my $listener = IO::Socket::INET->new(Listen => 8,
	    LocalAddr => '127.0.0.1', Proto => 'tcp') or die "listen: $!";
	my $pid = fork // die "fork: $!";

	push @servers, $pid;
	return $listener->sockport if $pid != 0;
	my $client = $listener->accept or POSIX::_exit(1);
	my ($in, $is_data) = ('', 0);
	open my $f, '>', $file or die;
	$f->autoflush(1);
	my $say = sub {
		my ($reply, $pause) = @_;
		print $f "EARLY\n" if length $in ||
		    IO::Select->new($client)->can_read($pause);
		syswrite $client, "$reply\r\n";
	};
	$say->('220 patient.test', $before_greeting);
	while (sysread $client, $in, 65536, length $in) {
		while (!$is_data && $in =~ s/\A(\w+)(.*?)\r\n//s) {
			my $verb = $1;
			print $f "$verb\n";
			POSIX::_exit(0) if $verb eq 'QUIT';
			$say->($verb eq 'EHLO' ? "250-patient.test\r\n250 SIZE" :
			    $verb eq 'DATA' ? '354 go' : '250 ok', 0.15);
			$is_data = 1 if $verb eq 'DATA';
		}
		next unless $is_data && $in =~ s/\A.*\r\n\.\r\n//s;
		print $f ".\n";
		$is_data = 0;
		$say->('250 taken', 0.15);
	}
	POSIX::_exit(0);
}
my %waited = map { $_ => $sut->dir . "/waited.$_" } qw(turns late);
spew($sut->etc . '/transport', slurp($sut->etc . '/transport') .
    "turns.test smtp:[127.0.0.1]:@{[ patient_host($waited{turns}, 0.1) ]}\n" .
    "late.test smtp:[127.0.0.1]:@{[ patient_host($waited{late}, 2.5) ]}\n");
$sut->start;
{
	my $c = $sut->friend;
	$sut->take($c, from => 's@remote.test',
	    to => [map { "$_\@turns.test" } 1 .. 3]);
	$sut->take($c, from => 's@remote.test', to => ['x@late.test']);
	$c->command('QUIT', 221);
}

# --- the server: early talkers ------------------------------------------------

{
	my $c = Postrider::Client->new($port{early}, from => '127.0.0.3');
	$c->raw("EHLO x\r\nMAIL FROM:<s\@remote.test>\r\n");
	my $start = time;
	like($c->reply, qr/^220-sut\.test .*\n521 5\.5\.1/s,
	    '5321-4.3.1-c who talks before the greeting is refused');
	ok($c->is_closed, '5321-4.3.1-c and sent away');
	cmp_ok(time - $start, '<', 5, '5321-4.3.1-c at once');
	$c = $sut->stranger(port => $port{sync});
	$c->raw("EHLO x\r\nMAIL FROM:<s\@remote.test>\r\n");
	like($c->reply, qr/^554 5\.5\.0/,
	    '5321-4.3.1-c who does not wait for the answer to EHLO as well');
	ok($c->is_closed, '5321-4.3.1-c and sent away');
	$c = $sut->stranger(port => $port{sync}, helo => 'HELO c.test');
	$c->raw("MAIL FROM:<s\@remote.test>\r\nRCPT TO:<a\@local.test>\r\n");
	like($c->reply, qr/^554 5\.5\.0/,
	    '5321-4.3.1-c so is who pipelines after HELO');
	$c = $sut->stranger(port => $port{sync});
	$c->raw("MAIL FROM:<s\@remote.test>\r\nRCPT TO:<alice\@local.test>\r\n");
	is(join(' ', map { $c->reply =~ /^(\d+)/ } 1, 2), '250 250',
	    '5321-4.3.1-c who has leave is not');
}

# --- 4.3.1, 4.3.2: the codes of each command ----------------------------------

# Commands in a new session; the last one is checked. A list is commands with
# the codes that they need.
sub check_codes
{
	my ($row, $codes, $about, @steps) = @_;
	my %o = ref $steps[0] ? %{ shift @steps } : ();
	my $c = ($o{is_friend} ? $sut->friend(%o) : $sut->stranger(%o));
	my $last = pop @steps;

	$c->command($_, qr/^[23]/) for @steps;
	my $reply = $c->command($last);
	$last = substr($last, 0, 40) . '...' if length $last > 50;
	like($reply, qr/^(?:$codes)[ -]/, "$row $last: $about");
	return ($c, $reply);
}

my $mail = 'MAIL FROM:<s@remote.test>';
my $rcpt = 'RCPT TO:<alice@local.test>';
my $e = '5321-4.3.2-e';
for my $what (['refuse', 554], ['closed', 521]) {
	my $c = Postrider::Client->new($port{ $what->[0] });
	like($c->reply, qr/^$what->[1] sut\.test /,
	    "5321-4.3.2-e CONNECT: $what->[1]");
}
like(Postrider::Client->new($sut->port)->reply, qr/^220 sut\.test /,
    '5321-4.3.2-e CONNECT: 220');
my %bare = (helo => undef);
check_codes($e, 250, 'good', \%bare, 'EHLO c.test');
check_codes($e, 250, 'good', \%bare, 'HELO c.test');
check_codes($e, '501', 'no name', \%bare, 'EHLO');
check_codes($e, '501|550|504', 'no such name', \%bare, 'EHLO a..b');
check_codes($e, 250, 'good', $mail);
check_codes($e, 250, 'good', 'MAIL FROM:<>');
check_codes($e, 552, 'too big', "$mail SIZE=2000000");
check_codes($e, '451', 'a lookup that fails',
    { port => $port{broken}, helo => undef }, $mail);
check_codes($e, 452, 'no room', { port => $port{full} }, $mail);
check_codes($e, 450, 'not now', { port => $port{defer} }, $mail);
check_codes($e, 503, 'before EHLO', { %bare, port => $port{limits} }, $mail);
check_codes($e, 503, 'in a transaction', $mail, $mail);
check_codes($e, 555, 'a parameter that does not exist', "$mail FOO=bar");
check_codes($e, '501|555', 'a value that cannot be', "$mail SIZE=x");
check_codes($e, '501|553', 'no address', 'MAIL FROM:<a b>');
check_codes($e, '501', 'nothing', 'MAIL');
check_codes($e, '501', 'nothing behind the colon', 'MAIL FROM:');
check_codes($e, '250|251', 'good', $mail, $rcpt);
check_codes($e, 550, 'nobody', $mail, 'RCPT TO:<no-such@local.test>');
check_codes($e, 451, 'a lookup that fails', $mail, 'RCPT TO:<a@broken.test>');
check_codes($e, 450, 'not now', { port => $port{deny} }, $mail, $rcpt);
check_codes($e, '452', 'too many', { port => $port{limits} }, $mail, $rcpt,
    $rcpt, 'RCPT TO:<bob@local.test>');
check_codes($e, 503, 'without MAIL', $rcpt);
check_codes($e, 555, 'a parameter that does not exist', $mail,
    "$rcpt FOO=bar");
check_codes($e, '501|553', 'no address', $mail, 'RCPT TO:<a@b..c>');
check_codes($e, '501', 'nothing', $mail, 'RCPT');
check_codes($e, '501', 'no mailbox', $mail, 'RCPT TO:<>');

# DATA.
my $f = '5321-4.3.2-f';
check_codes($f, '503|554', 'without MAIL', 'DATA');
check_codes($f, '503|554', 'without RCPT', $mail, 'DATA');
{
	my ($c) = check_codes($f, 354, 'good', $mail, $rcpt, 'DATA');
	like($c->data("Subject: good\n\nx\n"), qr/^250 /,
	    '5321-4.3.2-f and the message is taken');
	$c->command($mail, 250);
	$c->command('RCPT TO:<no-such@local.test>', 550);
	like($c->command('DATA'), qr/^(?:503|554) /,
	    '5321-4.3.2-f DATA: nobody is left');
	$c->command('RSET', 250);
	$c->script($mail => 250, $rcpt => 250, DATA => 354);
	like($c->data("Subject: big\n\n" . ('x' x 70 . "\n") x 20_000, qr/^\d/),
	    qr/^552 5\.3\.4/, '5321-4.3.2-f the message is too big');
	$c->script($mail => 250, $rcpt => 250, DATA => 354);
	like($c->data("Subject: forbidden\n\nx\n", qr/^\d/), qr/^55[04] 5\.7\.1/,
	    '5321-4.3.2-f its content is refused');
	$c->script($mail => 250, $rcpt => 250, DATA => 354);
	$sut->give_beginning($c, "Subject: lost\n\n" .
	    ('x' x 70 . "\n") x 5000);
	kill 'KILL', $sut->children('cleanup');
	like($c->data("x\n" x 9000, qr/^\d/), qr/^451 4\.3\.0/,
	    '5321-4.3.2-f what stores messages is gone');
	wait_for(sub { $sut->children('cleanup') }, 10, 'another cleanup');
	$c->command('QUIT', 221);
}
SKIP: {
	skip 'a private mount namespace cannot be had here', 1
	    unless $is_alone;
	my ($c) = check_codes($f, 354, 'good', $mail, $rcpt, 'DATA');
	open my $filler, '>>:raw', "$spool/filler" or die;
	for my $size (65536, 4096, 1) {
		1 while syswrite $filler, 'x' x $size;
	}
	like($c->data("Subject: no room\n\n" . ('x' x 70 . "\n") x 8000,
	    qr/^\d/), qr/^452 4\.3\.1/, '5321-4.3.2-f the disk is full');
	close $filler;
	unlink "$spool/filler";
	$sut->wait_room;
}

# The short ones.
my $g = '5321-4.3.2-g';
my %friend = (is_friend => 1);
check_codes($g, '250|251|252', 'somebody', \%friend, 'VRFY alice');
check_codes($g, '550|551|553', 'nobody', \%friend, 'VRFY no-such');
check_codes($g, '252', 'cannot be told', \%friend, 'VRFY far@remote.test');
check_codes($g, '252', 'is not told', 'VRFY alice');
check_codes($g, '250|252', 'a list', \%friend, 'EXPN team');
check_codes($g, '550', 'no list', \%friend, 'EXPN no-such');
check_codes($g, '550|502|500|504', 'not for strangers', 'EXPN team');
check_codes($g, '211|214', 'help', 'HELP');
check_codes($g, '211|214|502|504', 'help about something', 'HELP MAIL');
check_codes($g, 250, 'good', 'RSET');
check_codes($g, 250, 'in a transaction', $mail, $rcpt, 'RSET');
check_codes($g, 250, 'good', 'NOOP');
check_codes($g, 250, 'with words', 'NOOP what?');
check_codes($g, 221, 'good', 'QUIT');
check_codes($g, 221, 'in a transaction', $mail, $rcpt, 'QUIT');

# --- 4.3.2: what is never said ------------------------------------------------

{
	my $c = $sut->stranger;
	for my $verb (qw(EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT)) {
		for my $form (['%s', $verb], ['%s', lc $verb], ['%s x', $verb],
		    ['%s FROM:<a@b.test>', $verb], ['%s ', $verb],
		    ["%s\tx", $verb]) {
			my $line = sprintf $form->[0], $form->[1];
			unlike($c->command($line), qr/^500/,
			    "5321-4.3.2-c '$line' is recognized");
			$c = $sut->stranger if $line =~ /^QUIT\s*$/i;
		}
	}
}

# Lines of just less than 512 bytes, with and without their ends.
for my $size (509, 511) {
	my $c = $sut->stranger;
	my $from = 'MAIL FROM:<' . 'l' x 64 . '@' . ('d' x 60 . '.') x 3 .
	    'test> RET=HDRS ENVID=' . 'e' x 100;
	my $to = "$rcpt ORCPT=rfc822;";
	for my $command ('NOOP ' . 'x' x ($size - 5), 'HELP ' .
	    'x' x ($size - 5), $from . ' ' x ($size - length $from),
	    $to . 'x' x ($size - length $to)) {
		my ($verb) = $command =~ /^(\w+)/;
		is(length $command, $size, "$verb of $size bytes");
		like($c->command($command), qr/^2/,
		    '5321-4.3.2-d is not too long and is obeyed');
	}
	unlike($c->command('VRFY ' . 'x' x ($size - 5)),
	    qr/^500|line too long/i, "5321-4.3.2-d nor is VRFY of $size");
}

# --- who is there -------------------------------------------------------------

my $c = $sut->stranger(port => $port{limits});
$c->command('FOO', 500) for 1 .. 2;
$c->command('FOO', 500);
like($c->reply, qr/^421 4\.\S+ sut\.test /, '5321-4.3.1-e 421: the name first');
like($sut->stranger(port => $port{hurry})->reply, qr/^421 4\.4\.2 sut\.test /,
    '5321-4.3.1-e 421 after a timeout, too');
$c = $sut->stranger(helo => undef);
like($said[-1][1], qr/^220 sut\.test /, '5321-4.3.1-e 220');
like($c->command('EHLO c.test'), qr/^250-sut\.test(?: .*)?\n/,
    '5321-4.3.1-e EHLO');
like($c->command('HELO c.test'), qr/^250 sut\.test\b/, '5321-4.3.1-e HELO');
like($c->command('QUIT'), qr/^221 2\.0\.0 sut\.test /, '5321-4.3.1-e 221');
like($sut->stranger->command('GET / HTTP/1.0'), qr/^221 2\.7\.0 sut\.test /,
    '5321-4.3.1-e 221 for who speaks another protocol');

# --- the client ---------------------------------------------------------------

$sut->wait_log(qr/to=<$_>.*status=sent/, 20)
    for qw(1@turns.test 2@turns.test 3@turns.test x@late.test);
like(slurp($waited{turns}),
    qr/\AEHLO\nMAIL\nRCPT\nRCPT\nRCPT\nDATA\n\.\n(?:QUIT\n)?\z/,
    '5321-4.3.1-a without PIPELINING the client waits for each answer');
like(slurp($waited{late}), qr/\AEHLO\nMAIL\n/,
    '5321-4.3.1-b the client says nothing before it is greeted');

# --- the end ------------------------------------------------------------------

my @idle = ($sut->stranger(helo => undef), $sut->stranger);
is($sut->stop, 0, 'the system stops');
for my $idle (@idle) {
	like($idle->reply, qr/^421 4\.3\.2 sut\.test /,
	    '5321-4.3.2-h who is there hears 421 then');
	ok($idle->is_closed, '5321-4.3.2-h and the connection ends');
}

cmp_ok(scalar @said, '>', 200, scalar(@said) . ' replies were heard');
my @bad = map { $_->[1] } grep { $_->[1] =~ /^(?![2-5]\d\d[ -])/m } @said;
is("@bad", '', '5321-4.3.2-a all begin with three digits, the first 2 to 5');

# Has this answer no enhanced code where it should have one?
sub lacks_code
{
	my ($verb, $text) = @_;
	my ($class) = $text =~ /^(.)/;

	return 0 if $class eq '3' || $text =~ /^(?:220|521|554)[ -]sut\.test /;
	return 0 if $class eq '2' && $verb =~ /^(?:EHLO|HELO)$/i;
	return $text =~ /^\d{3}[ -](?!$class\.\d{1,3}\.\d{1,3} )/m;
}
@bad = map { "$_->[0]: $_->[1]" } grep { lacks_code(@$_) } @said;
is("@bad", '',
    '5321-4.3.2-b but for greetings all have a code of RFC 3463');

is(join('', grep { !m{/cleanup pid \d+ killed by signal 9$} }
    $sut->complaints), '', 'nothing else crashed');
done_testing();
