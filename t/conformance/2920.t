# 2920.t - RFC 2920: commands in groups, from clients and to hosts.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF SO_SNDBUF);
use Test::More;
use Time::HiRes qw(time);
use POSIX ();
use Postrider qw(free_port slurp wait_for);
use Postrider::Fixture;

my $strict = free_port();
my $sut = Postrider::Fixture->new(remote => { is_noting => 1 },
    settings => { smtpd_recipient_limit => 2000 },
    master => "127.0.0.1:$strict inet n - n - - smtpd\n" .
    "  -o smtpd_forbid_unauth_pipelining=yes\n");

# --- hosts that see what comes together ---------------------------------------

# A host that answers only when nothing has come for a moment, and writes down
# what came together, a line for each group, lines joined by "|". Options:
# ehlo, its keywords; replies, what it says instead by line; room, the size of
# its buffers, when it answers each line at once and reads little.
my @hosts;
sub host
{
	my ($name, %o) = @_;
	my $listener = IO::Socket::INET->new(Listen => 20, Proto => 'tcp',
	    LocalAddr => '127.0.0.1') or die "listen: $!";
	my $file = $sut->etc . "/$name.groups";

	if ($o{room}) {
		setsockopt $listener, SOL_SOCKET, $_, pack 'i', $o{room}
		    for SO_RCVBUF, SO_SNDBUF;
	}
	open my $routes, '>>', $sut->etc . '/transport';
	print $routes "$name.test smtp:[127.0.0.1]:" . $listener->sockport .
	    "\n";
	close $routes;
	my $pid = fork // die "fork: $!";
	push @hosts, $pid;
	return if $pid;
	while (my $client = $listener->accept) {
		converse($client, $file, %o);
	}
	POSIX::_exit(0);
}
END { my $status = $?; kill 'KILL', @hosts; waitpid $_, 0 for @hosts;
    $? = $status }

# What it says to a line; $state->{data} is on between 354 and the dot.
sub answer
{
	my ($state, $line, %o) = @_;

	if ($state->{data}) {
		$state->{content} .= "$line\n";
		return undef if $line ne '.';
		$state->{data} = 0;
		return $o{dot} // '250 2.0.0 taken';
	}
	$state->{rcpt}++ if $line =~ /^RCPT/;
	my $said = $o{replies} ? $o{replies}->($line, $state) : undef;
	$said //= $line =~ /^EHLO/ ? "250-host\r\n" . join '',
	    map { "250-$_\r\n" } @{ $o{ehlo} } : '' unless defined $said;
	$said = "${said}250 HELP" if $line =~ /^EHLO/;
	$said = $line eq 'DATA' ? '354 go' : $line eq 'QUIT' ? '221 bye' :
	    '250 2.1.0 Ok' if $said eq '';
	$state->{data} = 1 if $line eq 'DATA' && $said =~ /^3/;
	return $said;
}

sub converse
{
	my ($client, $file, %o) = @_;
	my ($in, $group, %state) = ('', '');
	my $select = IO::Select->new($client);

	syswrite $client, "220 host ESMTP\r\n";
	for (;;) {
		last if !$o{room} && !$select->can_read(20);
		while ($o{room} ? 1 : $select->can_read(0.04)) {
			my $n = sysread $client, $in, $o{room} ? 1000 : 65536,
			    length $in;
			last unless $n;
			$group .= substr $in, -$n;
			last if $o{room};
		}
		last if $group eq '';
		open my $f, '>>:raw', $file;
		print $f $group =~ s/\r\n/|/gr, "\n";
		close $f;
		$group = '';
		my $out = '';
		while ($in =~ s/^(.*?)\r\n//) {
			my $said = answer(\%state, $1, %o) // next;
			$out .= "$said\r\n";
		}
		while (length $out) {
			my $n = syswrite $client, $out or return;
			substr $out, 0, $n, '';
		}
	}
	open my $f, '>>:raw', "$file.content";
	print $f $state{content} // '', "\n--\n";
}

sub groups { return split /\n/, slurp($sut->etc . "/$_[0].groups") }

host('plain', ehlo => ['SIZE 0']);
host('piped', ehlo => ['PIPELINING']);
host('chunky', ehlo => ['PIPELINING', 'CHUNKING']);
host('nomail', ehlo => ['PIPELINING'], replies => sub {
	return $_[0] =~ /^MAIL/ ? '550 5.7.1 not you' : undef;
});
host('nobody', ehlo => ['PIPELINING'], replies => sub {
	return $_[0] =~ /^RCPT/ ? '550 5.1.1 who' : undef;
}, dot => '554 5.5.1 nobody');
host('lines', ehlo => ['PIPELINING'], replies => sub {
	my ($line, $state) = @_;
	return "250-a\r\n250-550 5.1.1 no\r\n250 b" if $line =~ /<r1@/;
	return '550 5.1.1 who' if $line =~ /<r2@/;
	return undef;
});
host('narrow', ehlo => ['PIPELINING'], room => 2048, replies => sub {
	return $_[0] =~ /^RCPT/ ? '250 2.1.5 ' . 'y' x 480 : undef;
});
$sut->set(smtp_destination_recipient_limit => 1000);
$sut->start;

# Send to these; the log's line of the last one.
sub deliver
{
	my ($from, @to) = @_;
	my $id = $sut->take($sut->friend, from => $from, to => \@to,
	    text => "Subject: x\n\nsecret\n");

	return map { $sut->wait_log(qr/ $id: to=<\Q$_\E>.*\n/, 30) } @to;
}

# --- the client ---------------------------------------------------------------

{
	deliver('s@remote.test', map { "r$_\@plain.test" } 1 .. 3);
	my @groups = wait_for(sub { my @g = groups('plain');
	    $g[-1] =~ /QUIT/ && [@g] }, 20, 'QUIT');
	@groups = @{ $groups[0] };
	is(scalar(grep { /^(?:EHLO|MAIL|RCPT|DATA|QUIT)/ && /\|./ } @groups),
	    0, '2920-3.1-a one command at a time') or diag explain \@groups;
	is(scalar(grep { /^RCPT/ } @groups), 3, '2920-3.1-a all were sent');
}
{
	deliver('s@remote.test', map { "r$_\@piped.test" } 1 .. 250);
	deliver('s@remote.test', 'r@chunky.test');
	my @groups = @{ wait_for(sub { my @g = groups('piped');
	    @g && $g[-1] =~ /QUIT/ && [@g] }, 20, 'QUIT') };
	cmp_ok(scalar(grep { /^(?:MAIL|RCPT).*\|RCPT/ } @groups), '>=', 1,
	    'there were groups');
	for my $group (@groups, groups('chunky')) {
		next if $group =~ /^Received:/;		# content
		my $show = substr $group, 0, 20;
		unlike($group, qr/(?:^|\|)(?:EHLO \S+|DATA|VRFY[^|]*|EXPN[^|]*|QUIT|NOOP)\|./,
		    "2920-3.1-b what ends a group ends this one: $show");
	}
	ok(scalar(grep { /\|DATA\|$/ } @groups),
	    '2920-3.1-b DATA is in one, and last');
	like((grep { /BDAT/ } groups('chunky'))[0],
	    qr/(?:^|\|)BDAT \d+ LAST\|Received:/,
	    '2920-3.1-b the octets of BDAT may follow');
}
{
	my ($line) = deliver('refused@remote.test', 'r@nomail.test');
	like($line, qr/dsn=5\.7\.1, status=bounced/,
	    '2920-3.1-c MAIL is refused, RCPT and DATA are not: it failed');
	my $seen = wait_for(sub { my $g = join "\n", groups('nomail');
	    $g =~ /QUIT|RSET/ && $g }, 20, 'the end');
	like($seen, qr/\|DATA\|\n\.\|/, '2920-3.1-c a lone dot follows 354');
	unlike($seen, qr/secret/, '2920-3.1-c and no message');

	($line) = deliver('lost@remote.test', 'r1@nobody.test',
	    'r2@nobody.test');
	like($line, qr/dsn=5\.1\.1, status=bounced/,
	    'nobody is taken, DATA is');
	$seen = wait_for(sub { my $g = join "\n", groups('nobody');
	    $g =~ /QUIT|RSET/ && $g }, 20, 'the end');
	like($seen, qr/\|DATA\|\n\.\|/,
	    '2920-3.1-d who takes DATA for nobody gets a dot');
	unlike($seen, qr/secret/, '2920-3.1-d and nothing else');
}
{
	my @lines = deliver('s@remote.test',
	    map { "r$_\@lines.test" } 1 .. 3);
	like($lines[0], qr/status=sent/, '2920-3.1-e three lines for the first');
	like($lines[1], qr/dsn=5\.1\.1, status=bounced/,
	    '2920-3.1-e are one answer: the second is refused');
	like($lines[2], qr/status=sent/, '2920-3.1-e and the third is not');
}
{
	my $long = 'a' x 60;
	my $began = time;
	my @lines = deliver('s@remote.test',
	    map { "$long$_\@narrow.test" } 1 .. 1000);
	is(scalar(grep { /status=sent/ } @lines), 1000,
	    '2920-3.1-f a thousand recipients, long answers, small buffers');
	note(sprintf '%.1f s', time - $began);
	ok(scalar(grep { /RCPT/ } groups('narrow')) >= 10,
	    '2920-3.1-f which came in many pieces');
}

# --- the server ---------------------------------------------------------------

# Write all of it at once; the replies that come, one for each line that is
# expected.
sub pipe_in
{
	my ($c, $count, @lines) = @_;

	$c->raw(join '', map { "$_\r\n" } @lines);
	return map { $c->reply } 1 .. $count;
}

{
	my $c = $sut->stranger;
	my @got = pipe_in($c, 5, 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<alice@local.test>', 'RCPT TO:<no-such@local.test>',
	    'RCPT TO:<bob@local.test>', 'DATA');
	is(join(' ', map { substr $_, 0, 9 } @got), '250 2.1.0 250 2.1.5 ' .
	    '550 5.1.1 250 2.1.5 354 End d',
	    '2920-3.2-a answers come in the order of the commands');
	$c->data("Subject: piped\n\nx\n", 250);
	is(scalar($sut->wait_mail($_, qr/^Subject: piped$/m)), 1,
	    "2920-3.2-a $_ has the message") for 'alice', 'bob';
	$c->raw("MAIL FROM:<s\@remote.test>\r\n" .
	    "RCPT TO:<alice\@local.test>\r\n" x 3);
	my $bytes = '';
	wait_for(sub { $bytes .= $c->input; ($bytes =~ tr/\n//) == 4 }, 5,
	    'four answers');
	is($bytes =~ s/ [^\r]*\r\n/ /gr, '250 250 250 250 ',
	    '2920-3.2-b all answers of a group are complete');
	$c->command('RSET', 250);
	@got = pipe_in($c, 3, 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<no-such@local.test>', 'DATA');
	like($got[2], qr/^(?:554 5\.5\.1|503 5\.5\.1) /,
	    '2920-3.2-c DATA without a recipient fails');
	like("@got[0, 1]", qr/^250 .*\b550 /s, '2920-3.2-c after the others');
	# The dot that a client may have sent is no message.
	$c->raw(".\r\n");
	like($c->reply, qr/^[25]/, '2920-3.2-d a dot gets an answer');
}
{
	my $c = $sut->stranger;
	for my $command ('NOOP', 'FOO', 'VRFY alice', 'EXPN team',
	    'EHLO c.test', 'DATA', 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<alice@local.test>', 'RSET', 'QUIT') {
		my $row = $command =~ /^(?:MAIL|RCPT|RSET)/ ? '2920-3.2-f' :
		    '2920-3.2-e';
		my $began = time;
		$c->command($command);
		my $took = time - $began;
		cmp_ok($took, '<', 0.5, "$row $command alone is answered " .
		    'at once');
	}
	my $d = $sut->stranger;
	$d->raw("MAIL FROM:<s\@remote.test>\r\nRCPT TO:<al");
	ok($d->has_input(2), '2920-3.2-f half a command holds no answer back');
	like($d->reply, qr/^250 2\.1\.0/, '2920-3.2-f that of MAIL');
	$d->raw("ice\@local.test>\r\n");
	like($d->reply, qr/^250 2\.1\.5/, '2920-3.2-f then that of RCPT');
}
{
	my $c = $sut->stranger;
	my @got = pipe_in($c, 5, 'MAIL FROM:<s@remote.test>',
	    'RCPT TO:<alice@local.test>', 'FOO', 'RSET', 'NOOP');
	is(join(' ', map { substr $_, 0, 3 } @got), '250 250 500 250 250',
	    '2920-3.2-g nothing behind an error is thrown away');
	@got = pipe_in($c, 60, ('FOO', 'MAIL FROM:<a', 'RSET') x 20);
	is(join(' ', map { substr $_, 0, 3 } @got),
	    join(' ', ('500 501 250') x 20), '2920-3.2-g nor behind many');
	@got = pipe_in($c, 6, 'MAIL FROM:<s@remote.test>', 'VRFY alice',
	    'RSET', 'MAIL FROM:<t@remote.test>', 'EHLO c.test',
	    'MAIL FROM:<u@remote.test>');
	is(join(' ', map { substr $_, 0, 3 } @got), '250 252 250 250 250 250',
	    '2920-3.2-h each is answered on its own merits');
	$c->command('RSET', 250);

	my $before = $sut->queue_count;
	my $d = $sut->stranger;
	$d->command('MAIL FROM:<gone@remote.test>', 250);
	$d->close;
	$sut->wait_log(qr/lost connection after MAIL from unknown\[127\.0\.0\.2\]|disconnect from unknown\[127\.0\.0\.2\] ehlo=1 mail=1 commands=2/);
	is($sut->queue_count, $before,
	    '2920-3.2-h MAIL and no more leaves nothing behind');
	unlike($sut->log, qr/from=<gone\@/, '2920-3.2-h nor in the log');
}
{
	my @rude = ("DATA\r\nSubject: rude\r\n\r\nx\r\n.\r\n");
	my $c = $sut->stranger(port => $strict);
	$c->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250);
	$c->raw($rude[0]);
	like($c->reply, qr/^(?:554|421) /,
	    '2920-3.2-i a site may refuse who does not wait for 354');
	ok($c->is_closed, '2920-3.2-i and hang up');
	my $d = $sut->stranger(port => $strict, helo => undef);
	$d->raw("EHLO c.test\r\nMAIL FROM:<s\@remote.test>\r\n");
	like($d->reply, qr/^(?:554|421) /,
	    '2920-3.2-i or for the answer to EHLO');
	my $e = $sut->stranger(port => $strict);
	is(join(' ', map { substr $_, 0, 3 } pipe_in($e, 3,
	    'MAIL FROM:<s@remote.test>', 'RCPT TO:<bob@local.test>',
	    'DATA')), '250 250 354', '2920-3.2-i who groups well is welcome');
	my $f = $sut->stranger;
	$f->script('MAIL FROM:<s@remote.test>' => 250,
	    'RCPT TO:<alice@local.test>' => 250);
	$f->raw($rude[0]);
	like($f->reply, qr/^354/, '2920-3.2-i elsewhere it is');
	like($f->reply, qr/^250/, '2920-3.2-i the text');
	is(scalar($sut->wait_mail('alice', qr/^Subject: rude$/m)), 1,
	    '2920-3.2-i and nothing but that');
}
# Nothing of what had no recipient was delivered to anybody.
{
	$sut->wait_empty;
	my @subjects = map { /^Subject: (\S+)$/m ? $1 : '(none)' }
	    $sut->mail('alice');
	is("@subjects", 'piped rude',
	    '2920-3.2-d nothing empty was ever delivered');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
