# 2034.t - RFC 2034, 3463, 5248: status codes in three parts, in what we say
# and in what we are told.
use strict;
use warnings;
use Test::More;
use Postrider qw(free_port slurp spew wait_for);
use Postrider::Fixture;

# The registry, as far as it goes today (3463, 3886, 4468, 4954, 5248, 6531,
# 6710, 7293, 7372, 7505, 8616, 8689): the highest detail of each subject.
my @highest = (0, 10, 4, 6, 7, 7, 10, 30);
my %is_registered = map { my $s = $_;
    map { ("$s.$_" => 1) } 0 .. $highest[$s] } 0 .. $#highest;
my $shape = qr/[245]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2})/;

# What relay-ok.test answers to RCPT, by the recipient.
my %answers = (
	good => '550 5.1.1 who', wrong => '550 4.1.1 who', none => '550 who',
	zeros => '550 5.01.1 who', spaced => '550 5. 1.1 who',
	strange => '550 5.250.250 what', detail => '550 5.1.99 what',
	ip => '550 5.1.1.7 is listed', later => '450 4.250.250 what',
	lines => "550-first\r\n550 5.1.1 then",
);
my ($two, $codes, $tiny, $lone) = map { free_port() } 1 .. 4;
my $silent = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
    or die "listen: $!";
my $away = free_port();
my $sut = Postrider::Fixture->new(
	relay => { replies => sub {
		my ($verb, $line) = @_;
		return $verb eq 'RCPT' && $line =~ /<(\w+)\@/ ?
		    $answers{$1} : undef;
	} },
	remote => { replies => sub {
		my ($verb, $line, $s) = @_;
		return 'CLOSE' if $verb eq 'DATA' && $s->{rcpt}[0] =~ /^cut/;
		return undef;
	} },
	aliases => "loud \"|exit 77\"\n",
	settings => { message_size_limit => 20_000, hopcount_limit => 5,
		smtpd_authorized_xclient_hosts => '127.0.0.1',
		smtpd_expn_clients => '127.0.0.1', default_database_type =>
		    'texthash', smtp_connect_timeout => '2s',
		relocated_maps => 'inline:{moved=new@x.test}',
		smtpd_recipient_limit => 100, mailbox_size_limit => 50_000 },
	master => <<"END");
127.0.0.1:$two inet n - n - - smtpd
  -o { smtpd_reject_footer = \\c, \$client_address\\nCall the postmaster. }
127.0.0.1:$codes inet n - n - - smtpd
  -o relay_domains_reject_code=450 -o unknown_local_recipient_reject_code=450
127.0.0.1:$tiny inet n - n - - smtpd -o queue_minfree=900000000000000
127.0.0.1:$lone inet n - n - - smtpd -o smtpd_hard_error_limit=1
END
open my $routes, '>>', $sut->etc . '/transport';
print $routes "away.test smtp:[127.0.0.1]:$away\n",
    "nohost.test smtp:nohost.test\n";
my $old = $sut->sink(extensions => ['SIZE 0']);
print $routes 'old.test smtp:[127.0.0.1]:' . $old->port . "\n";
close $routes;
spew($sut->etc . '/hosts', "127.0.0.1 some.test\n");
$sut->set(dns_hosts_file => $sut->etc . '/hosts',
    smtp_host_lookup => 'native');
$sut->start;

# --- everything that we say ---------------------------------------------------

my @heard;		# [command, reply]

# Say it and keep the answer.
sub say_to
{
	my ($c, $command) = @_;
	my $reply = $c->command($command) // '';

	push @heard, [$command, $reply];
	return $reply;
}

{
	my $c = $sut->friend(helo => undef);
	say_to($c, $_) for 'MAIL FROM:<a@b.test>', 'EHLO', 'EHLO a_b! x',
	    'HELO -', 'EHLO c.test', 'RCPT TO:<alice@local.test>', 'DATA',
	    'MAIL FROM:<a@b.test> X=1', 'MAIL FROM:<a@b.test> SIZE=x',
	    'MAIL FROM:<a@b.test> SIZE=20001', 'MAIL FROM:<a@', 'MAIL',
	    'FOO', 'HELP', 'NOOP', 'VRFY alice', 'VRFY nobody', 'VRFY',
	    'EXPN team', 'EXPN nobody', 'RSET', 'RSET x', 'ETRN x.test',
	    'ETRN', 'XCLIENT FOO=1', 'XFORWARD NAME=x', 'BDAT 0 FIRST',
	    'BDAT 0', 'MAIL FROM:<s@remote.test>', 'MAIL FROM:<a@b.test>',
	    'RCPT TO:<alice@>', 'RCPT TO:<no-such@local.test>',
	    'RCPT TO:<moved@local.test>', 'RCPT TO:<alice@local.test> X=1',
	    'RCPT TO:<alice@local.test>', 'DATA', '.', 'QUIT';
	my $d = $sut->stranger;
	say_to($d, $_) for 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<x@elsewhere.test>', 'XCLIENT ADDR=1.2.3.4',
	    'XFORWARD NAME=x', 'EXPN team', 'DATA', 'BDAT 0 LAST',
	    'X' x 3000, "caf\xe9", 'GET / HTTP/1.0';
	my $e = $sut->friend(port => $lone);
	say_to($e, $_) for 'FOO', 'BDAT x';
	my $f = $sut->friend(port => $tiny);
	say_to($f, 'MAIL FROM:<s@remote.test> SIZE=9000');
}
for (@heard) {
	my ($command, $reply) = @$_;
	my $about = substr $command, 0, 30;
	$about =~ s/[^ -~]/?/g;
	my @lines = split /\n/, $reply;
	my $is_hello = "$command $reply" =~ /^(?:EHLO|HELO)\b.* 250[ -]/;
	ok(scalar(@lines), "$about is answered") or next;
	if ($lines[0] =~ /^3/ || $is_hello) {
		is(scalar(grep { /^\d{3}[ -]\d+\.\d/ } @lines), 0,
		    "2034-4-b $about: no status");
		next;
	}
	is(scalar(grep { !/^[245]\d\d[ -]$shape / } @lines), 0,
	    "2034-4-a $about: each line has a status") or diag $reply;
	is(scalar(grep { !/^([245])\d\d[ -]\1\./ } @lines), 0,
	    "2034-4-c $about: of the reply's class") or diag $reply;
	my %status = map { /^\d+[ -](\S+)/ ? ($1 => 1) : () } @lines;
	is(scalar(keys %status), 1, "2034-4-d $about: the same in all lines");
	for my $status (keys %status) {
		like($status, qr/^$shape$/, "3463-2-a $about: $status");
		ok($is_registered{ substr $status, 2 },
		    "3463-2-c $about: $status is registered");
	}
}
my %reply_to = map { ($_->[0] => $_->[1]) } @heard;
ok(scalar(grep { $_->[1] =~ /^354 / } @heard), '2034-4-b 354 was seen');
like($reply_to{'EHLO c.test'}, qr/^250-ENHANCEDSTATUSCODES$/m,
    'the extension is offered');
{
	my $c = $sut->stranger(helo => undef);
	my $d = Postrider::Client->new($sut->port, from => '127.0.0.2');
	unlike($d->reply, qr/^220[ -]\d+\.\d/m,
	    '2034-4-b no status in the greeting');
	like($c->command('HELO c.test'), qr/\A250 sut/, 'HELO');
	for my $step ('MAIL FROM:<s@remote.test>' => qr/^250 2\.1\.0 /,
	    'RCPT TO:<no-such@local.test>' => qr/^550 5\.1\.1 /,
	    'RCPT TO:<alice@local.test>' => qr/^250 2\.1\.5 /,
	    'RSET' => qr/^250 2\.0\.0 /, 'FOO' => qr/^500 5\.5\.2 /,
	    'QUIT' => qr/^221 2\.0\.0 /) {
		push @{ $c->{steps} }, $step;
	}
	while (my ($command, $re) = splice @{ $c->{steps} }, 0, 2) {
		like($c->command($command), $re,
		    "2034-4-e after HELO: $command");
	}
}

# Two lines, or codes of the administrator's own.
{
	my $c = $sut->stranger(port => $two);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<no-such@local.test>'),
	    qr/\A550-5\.1\.1 [^\n]*\n550 5\.1\.1 Call the postmaster\.\z/,
	    '2034-4-d both lines of a refusal have its status');
	my $d = $sut->friend;
	like($d->command('EXPN team'),
	    qr/\A250-2\.1\.5 [^\n]*\n250 2\.1\.5 [^\n]*\z/,
	    '2034-4-d both lines of a list');
	my $e = $sut->stranger(port => $codes);
	$e->command('MAIL FROM:<s@remote.test>', 250);
	like($e->command('RCPT TO:<x@elsewhere.test>'), qr/^450 4\.7\.1 /,
	    '2034-4-c relay_domains_reject_code = 450');
	like($e->command('RCPT TO:<no-such@local.test>'), qr/^450 4\.1\.1 /,
	    '2034-4-c unknown_local_recipient_reject_code = 450');
}

# --- distinct failures --------------------------------------------------------

# The code that each has; those of deliveries come from the reports or the log.
{
	my $c = $sut->friend;
	my @at_once = (
		['MAIL FROM:<a@>', '5.1.7', 'a bad sender'],
		['MAIL FROM:<a@b.test> SIZE=20001', '5.3.4', 'too big'],
		['MAIL FROM:<a@b.test> SIZE=z', '5.5.4', 'a bad argument'],
		['RCPT TO:<alice@local.test>', '5.5.1', 'a bad sequence'],
		['WHAT', '5.5.2', 'no command'],
		['XFORWARD NAME=x', '5.7.0', 'no authorization'],
	);
	for my $case (@at_once) {
		my ($command, $code, $about) = @$case;
		like($c->command($command), qr/^\d{3} \Q$code\E /,
		    "3463-3-a $about is $code");
	}
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my @recipients = (
		['no-such@local.test', '5.1.1', 'an unknown user'],
		['a..b@local.test', '5.1.3', 'a bad address'],
		['moved@local.test', '5.1.6', 'one who moved'],
		['x@nowhere.test', '5.1.2', 'a domain that is not there'],
	);
	for my $case (@recipients) {
		my ($to, $code, $about) = @$case;
		like($c->command("RCPT TO:<$to>"), qr/^\d{3} \Q$code\E /,
		    "3463-3-a $about is $code");
	}
	$c->command("RCPT TO:<a$_\@remote.test>", 250) for 1 .. 100;
	like($c->command('RCPT TO:<b@remote.test>'), qr/^452 4\.5\.3 /,
	    '3463-3-a too many recipients are 4.5.3');
	my $d = $sut->stranger;
	$d->command('MAIL FROM:<s@remote.test>', 250);
	like($d->command('RCPT TO:<x@elsewhere.test>'),
	    qr/^\d{3} 5\.7\.1 /, '3463-3-a relaying is 5.7.1');
	like($d->command('DATA'), qr/^554 5\.5\.1 /,
	    '3463-3-a nobody to send to is 5.5.1');
	$d->script('RCPT TO:<alice@local.test>' => 250, 'DATA' => 354);
	like($d->data("Received: x\n" x 7 . "\nx\n", qr/^/),
	    qr/^554 5\.4\.6 /, '3463-3-a a loop is 5.4.6');
	like($reply_to{'MAIL FROM:<s@remote.test> SIZE=9000'},
	    qr/^452 4\.3\.1 /, '3463-3-a a full disk is 4.3.1');
}

# What became of a message to one.
sub outcome
{
	my ($to, %o) = @_;
	my $id = $sut->take($sut->friend, from => 's@remote.test',
	    to => [$to], %o);
	my ($dsn, $status) = $sut->wait_log(qr/ $id: to=<[^\n]*, dsn=\S+, status=\w+/, 20) =~
	    /dsn=(\S+), status=(\w+)/;
	return "$dsn $status";
}
{
	my $big = "Subject: big\n\n" . ('x' x 70 . "\n") x 250;
	my $eight = "Content-Type: multipart/signed; boundary=b\n" .
	    "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n--b\n" .
	    "Content-Transfer-Encoding: 8bit\n\ncaf\xe9\n--b\n\nx\n--b--\n";
	outcome('bob@local.test', text => $big) for 1 .. 2;
	my @cases = (
		['4.4.1 deferred', 'x@away.test', 'nobody answers'],
		['4.4.2 deferred', 'cut@remote.test', 'a connection lost'],
		['5.6.3 bounced', 'x@old.test', 'what must not be converted',
		    text => $eight],
		['5.7.0 bounced', 'loud@local.test', 'a command that says no'],
		['5.2.2 bounced', 'bob@local.test', 'a full mailbox',
		    text => $big],
		['5.4.4 bounced', 'x@nohost.test', 'a host without address'],
	);
	for my $case (@cases) {
		my ($expected, $to, $about, @more) = @$case;
		is(outcome($to, @more), $expected,
		    "3463-3-a $about is " . substr $expected, 0, 5);
	}
}

# --- what we are told ---------------------------------------------------------

{
	my %expected = (good => '5.1.1', wrong => '5.0.0', none => '5.0.0',
	    zeros => '5.0.0', spaced => '5.0.0', ip => '5.0.0',
	    lines => '5.1.1', strange => '5.(?:250.250|0.0)',
	    detail => '5.1.(?:99|0)');
	my $id = $sut->take($sut->friend, from => 'asks@remote.test',
	    to => [map { "$_\@relay-ok.test" } sort(keys %expected), 'later'],
	    text => "Subject: asks\n\nx\n");
	my ($report) = map { $_->{data} =~ s/\r\n[ \t]+/ /gr }
	    $sut->wait_remote(qr/^Final-Recipient: rfc822; good\@/m);
	my %status = $report =~ /^Final-Recipient: rfc822; (\w+)\@.*?^Status: (\S+)\r$/msg;
	my %action = $report =~ /^Final-Recipient: rfc822; (\w+)\@.*?^Action: (\S+)\r$/msg;
	for my $name (sort keys %expected) {
		my $row = $name =~ /^(?:strange|detail)$/ ? '3463-2-b' :
		    '2034-5-a';
		my $re = $expected{$name} =~ s/\./\\./gr;
		like($status{$name} // '-', qr/^$re$/,
		    "$row \"" . $answers{$name} =~ s/\r\n/ /r . '"');
		is($action{$name} // '-', 'failed', "$row it failed");
		like($status{$name} // '-', qr/^$shape$/,
		    "3463-2-a $name: the report's status");
	}
	ok($sut->wait_log(qr/ $id: to=<later\@.*dsn=4\.(?:250\.250|0\.0), status=deferred/),
	    '3463-2-b an unknown 4.X.X is one for now');
}

# --- the sources --------------------------------------------------------------

# Each status that a program can say, and the codes beside it: those which the
# registry names for the status, where it names any, and what has been usual.
{
	my %basic = ('1.1' => '450 451 550 252', '1.2' => '550 450',
	    '1.3' => '501 553', '1.6' => '550', '1.7' => '501 550 553',
	    '1.8' => '450 451 501 550', '2.2' => '452 552', '3.1' => '452',
	    '3.2' => '421 453 521', '3.4' => '552 554', '4.2' => '421 451',
	    '4.3' => '451', '4.5' => '451 458', '5.1' => '430 500 501 502 ' .
	    '503 521 530 550 554 555', '5.2' => '450 500 501 502 550 554',
	    '5.3' => '451 452', '5.4' => '451 501 502 503 504 550 555',
	    '6.7' => '550 553', '7.0' => '220 221 235 421 450 454 500 501 ' .
	    '503 504 530 535 550', '7.1' => '450 451 454 459 502 503 533 ' .
	    '550 551 554');

	# What other documents and log watchers want: 554 for TLS that is too
	# weak (RFC 3207 4.1), 553 for a sender who is another's (as Postfix).
	$basic{'7.0'} .= ' 554';
	$basic{'7.1'} .= ' 553';
	my ($count, $pairs, @unknown, @odd) = (0, 0);
	for my $file (glob '{smtpd,smtp,local,qmgr,cleanup,resolve}/*.c ' .
	    'common/{mail,net,daemon,queue}/*.c') {
		my $text = slurp($file) =~ s{/\*.*?\*/}{}gsr;
		while ($text =~ /"(?:([245]\d\d) )?([245])\.(\d+\.\d+)(?=[" ])/g) {
			my ($code, $class, $rest) = ($1, $2, $3);
			$count++;
			push @unknown, "$file: $class.$rest"
			    unless $is_registered{$rest};
			next unless defined $code;
			$pairs++;
			push @odd, "$file: $code $class.$rest"
			    if $class ne substr($code, 0, 1) ||
			    ($class ne '2' && $basic{$rest} &&
			    " $basic{$rest} " !~ / $code /);
		}
	}
	cmp_ok($count, '>', 60, "$count codes in the sources");
	cmp_ok($pairs, '>', 40, "$pairs of them beside a reply code");
	is("@unknown", '', '5248-2-a all of them are registered');
	is("@odd", '', '5248-2-a beside reply codes that suit them');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
