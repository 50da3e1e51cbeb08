# extremes.t - one client that asks for far too much: right answers, mail that
# arrives whole, and memory that does not grow with it.
#
#	POSTRIDER_LONG=1 prove -v t/load/extremes.t
#
# With POSTRIDER_LONG a session has a million commands, a message has a hundred
# thousand recipients, and another one is a gigabyte long. The sizes are a
# tenth of that otherwise. Heads of 10 MB and messages of 10,000 chunks are
# small enough for every day.
use strict;
use warnings;
use Digest::MD5;
use Errno qw(EAGAIN EINTR);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Test::More;
use Time::HiRes qw(time);
use Postrider;

use constant MB => 1_000_000;

my $long = $ENV{POSTRIDER_LONG};
my $commands = $long ? 1_000_000 : 100_000;
my $recipients = $long ? 100_000 : 10_000;
my $megabytes = $long ? 1000 : 100;
my $header = 10 * MB;
my $chunks = 10_000;
my $is_sanitized = ($ENV{BUILD} // '') =~ /sanitize/;

# What one part may take, on a slow machine.
my $patience = ($long ? 100 : 20) * ($is_sanitized ? 4 : 1);

# What a part may add at most to a program's memory, in KiB. A recipient may
# add half a kilobyte to it.
my $room = 3 * 1024;

my $mail = Postrider->new(settings => {
	message_size_limit => 1100 * MB, mailbox_size_limit => 0,
	smtpd_recipient_limit => $recipients, relay_domains => 'relay.test',
	smtpd_junk_command_limit => 10_000_000,
	smtpd_soft_error_limit => 100_000, smtpd_hard_error_limit => 100_000,
	smtpd_timeout => "${patience}s", default_destination_recipient_limit =>
	1000, smtpd_peername_lookup => 'no',
});
$mail->set(mail_spool_directory => $mail->dir . '/mail/');

# --- a server that measures ---------------------------------------------------

# Postrider::Sink keeps messages whole, which a gigabyte is too long for. This
# one counts: into $tally it writes a line for each message with its length and
# its MD5 from "X-Start: here" on; into $names, whom it was for.
my $tally = $mail->dir . '/tally';
my $names = $mail->dir . '/names';
my $listener = IO::Socket::INET->new(Listen => 100, Proto => 'tcp',
    LocalAddr => '127.0.0.1') or die "cannot listen: $!";
my $server = fork // die "fork: $!";
if ($server == 0) {
	$SIG{$_} = 'DEFAULT' for qw(TERM INT);
	$SIG{CHLD} = 'IGNORE';
	for (;;) {
		my $client = $listener->accept or next;
		next if fork;
		serve($client);
		POSIX::_exit(0);
	}
}
END { kill 'TERM', $server if $server }

# A digest that begins where the text that we wrote begins, after the fields
# that were put in front.
sub meter { return { md5 => Digest::MD5->new, size => 0, head => '' } }

sub measure
{
	my ($m, $text) = @_;		# $_[1] is long: not copied again

	if (defined $m->{head}) {
		$m->{head} .= $text;
		my $at = index $m->{head}, 'X-Start: here';
		return if $at < 0;
		$text = substr delete $m->{head}, $at;
	}
	$m->{md5}->add($text);
	$m->{size} += length $text;
}

sub measured { return "$_[0]{size} " . $_[0]{md5}->hexdigest }

sub append
{
	my ($path, $text) = @_;

	open my $f, '>>:raw', $path or die "$path: $!";
	syswrite $f, $text;
}

# One session with the client.
sub serve
{
	my ($client) = @_;
	my ($in, $out, @to) = ('', "220 sink.test ESMTP\r\n");

	setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
	for (;;) {
		my $end = index $in, "\n";
		if ($end < 0) {
			syswrite $client, $out;
			$out = '';
			sysread $client, $in, 65536, length $in or return;
			next;
		}
		my $line = substr $in, 0, $end + 1, '';
		if ($line =~ /^EHLO/i) {
			$out .= "250-sink.test\r\n250-PIPELINING\r\n" .
			    "250-8BITMIME\r\n250 SIZE 0\r\n";
		} elsif ($line =~ /^RCPT TO:<(.*?)>/i) {
			push @to, $1;
			$out .= "250 2.1.5 Ok\r\n";
		} elsif ($line =~ /^DATA/i) {
			syswrite $client, "${out}354 go ahead\r\n";
			my $m = meter();
			take($client, \$in, $m) or return;
			append($names, join '', map { "$_\n" } @to);
			append($tally, measured($m) . "\n");
			@to = ();
			$out = "250 2.0.0 Ok\r\n";
		} elsif ($line =~ /^QUIT/i) {
			syswrite $client, "${out}221 2.0.0 Bye\r\n";
			return;
		} else {
			$out .= "250 2.0.0 Ok\r\n";
		}
	}
}

# A message up to its final dot. What is looked at begins with a line.
sub take
{
	my ($client, $in, $m) = @_;

	for (;;) {
		my $at = substr($$in, 0, 3) eq ".\r\n" ? 0 :
		    index $$in, "\r\n.\r\n";
		my $end = $at > 0 ? $at + 2 : $at == 0 ? 0 :
		    rindex($$in, "\r\n") + 2;
		if ($end > 1 || $at == 0) {
			my $text = substr $$in, 0, $end, '';
			$text =~ s/^\.//mg if index($text, "\n.") >= 0 ||
			    substr($text, 0, 1) eq '.';
			measure($m, $text);
		}
		if ($at >= 0) {
			substr $$in, 0, 3, '';
			return 1;
		}
		sysread $client, $$in, 1 << 20, length $$in or return 0;
	}
}

# --- a client that does not wait ----------------------------------------------

# Send what next() returns until it is undef, and give all that is heard to
# hear(); with is_deaf nothing is heard before the server takes no more. Ends
# when done() says so, or the other side has closed.
sub pour
{
	my ($socket, %o) = @_;
	my ($out, $end, $deaf) = ('', time + $patience, $o{is_deaf});
	my $more = 1;
	my $select = IO::Select->new($socket);

	$socket->blocking(0);
	while (!$o{done}->()) {
		die "a part of this takes too long\n" if time > $end;
		if ($out eq '' && $more) {
			my $next = $o{next}->();
			$more = defined $next;
			$out = $next if $more;
		}
		my ($r, $w) = IO::Select->select($deaf ? undef : $select,
		    $out ne '' ? $select : undef, undef, 0.5);
		$deaf = 0 if !@{ $w // [] };
		if (@{ $w // [] }) {
			my $n = syswrite $socket, $out;
			die "write: $!" unless defined $n || $! == EAGAIN;
			substr $out, 0, $n // 0, '';
		}
		if (@{ $r // [] }) {
			my $n = sysread $socket, my $heard, 1 << 18;
			next if !defined $n && ($! == EAGAIN || $! == EINTR);
			last unless $n;
			$o{hear}->($heard);
		}
	}
	$socket->blocking(1);
}

# The codes of whole replies, three digits each; the rest stays in $$in.
sub codes
{
	my ($in) = @_;
	my $end = rindex $$in, "\n";
	my $lines = substr $$in, 0, $end + 1, '';

	return join '', $lines =~ /^(\d{3}) /mg;
}

# Say all this, a list of pieces, and collect the codes; wants so many.
sub converse
{
	my ($wanted, $deaf, $next) = @_;
	my ($in, $codes) = ('', '');
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	    PeerPort => $mail->port, Proto => 'tcp') or die "connect: $!";

	pour($socket, is_deaf => $deaf, next => $next,
	    hear => sub { $in .= $_[0]; $codes .= codes(\$in) },
	    done => sub { length $codes >= 3 * $wanted });
	return $codes;
}

# Where two lists of codes part.
sub differs
{
	my ($got, $wanted) = @_;
	my $at = 0;

	$at += 3 while $at < length $wanted && $at < length $got &&
	    substr($got, $at, 3) eq substr $wanted, $at, 3;
	diag(sprintf '%d answers, %d expected; number %d is %s and not %s',
	    length($got) / 3, length($wanted) / 3, $at / 3,
	    map { substr $_, $at, 3 } $got, $wanted);
}

# Each of these strings, then no more.
sub pieces { my @all = @_; return sub { return shift @all } }

# --- what it costs ------------------------------------------------------------

# The greatest memory of each program since the last look, in KiB.
sub peaks
{
	my %peak;

	for my $program (qw(smtpd cleanup qmgr smtp local resolve)) {
		for my $pid ($mail->children($program)) {
			my ($now) = Postrider::slurp("/proc/$pid/status") =~
			    /^VmHWM:\s+(\d+)/m or next;
			$peak{$program} = $now
			    if $now > ($peak{$program} // 0);
			open my $f, '>', "/proc/$pid/clear_refs" or next;
			syswrite $f, '5';
		}
	}
	return \%peak;
}

# Run a part, tell its time and memory, and see that the latter is bounded; the
# memory is returned.
# Nothing is known of the programs before the first one has started them.
my $has_begun;
sub part
{
	my ($name, $code, %more) = @_;
	my $start = time;

	peaks();
	my $before = peaks();
	$code->();
	my $seconds = time - $start;
	my $after = peaks();
	diag(sprintf '%s: %.1f s; MiB before and at most:%s', $name, $seconds,
	    join ',', map { sprintf ' %s %.1f-%.1f', $_,
	    ($before->{$_} // 0) / 1024, $after->{$_} / 1024 }
	    sort keys %$after);
	return $after if $is_sanitized || !$has_begun++;
	for my $program (sort keys %$after) {
		my $added = $after->{$program} - ($before->{$program} // 0);
		cmp_ok($added, '<', $room + ($more{$program} // 0),
		    "$name: memory of $program is bounded");
	}
	return $after;
}

# A line of the tally with this text; how many of them there are.
sub count_arrived
{
	my ($line) = @_;

	return scalar grep { $_ eq "$line\n" }
	    split /^/, Postrider::slurp($tally);
}

# A message of these pieces, CRLF in them and no dot in front of a line: its
# measure.
sub expected
{
	my $m = meter();

	measure($m, $_) for @_;
	return measured($m);
}

sub arrives_whole
{
	my ($what, $line) = @_;

	ok(eval { Postrider::wait_for(sub { count_arrived($line) },
	    $patience, $what) }, "$what arrives whole") or
	    diag "expected $line, the last ones are\n" .
	    substr(Postrider::slurp($tally), -200) . substr $mail->log, -2000;
}

my $hello = "EHLO c.test\r\n";
my $mail_to = "MAIL FROM:<s\@local.test>\r\nRCPT TO:<r\@relay.test>\r\n";

# Nothing is missing in it that would be added to mail of our own users.
my $start = "X-Start: here\r\nFrom: s\@local.test\r\n" .
    "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1\@local.test>\r\n";

$mail->set(relayhost => '[127.0.0.1]:' . $listener->sockport);
$mail->start;
my $user = $mail->user(0);

# Everything that will run does so before memory is measured.
part('a short message', sub {
	my $text = "${start}Subject: short\r\n\r\nx\r\n";
	is(converse(7, 0, pieces("$hello${mail_to}RCPT TO:<$user>\r\nDATA\r\n" .
	    "$text.\r\n")), '220250250250250354250', 'it is taken');
	arrives_whole('it', expected($text));
	Postrider::wait_for(sub { $mail->maildir($mail->dir .
	    "/mail/$user") }, 20, 'the Maildir');
});

part("$commands commands in one session", sub {
	my @group = ('HELO c.test' => 250, 'NOOP with words' => 250,
	    HELP => 214, 'EHLO c.test' => 250,
	    'MAIL FROM:<s@local.test> BODY=8BITMIME' => 250,
	    'RCPT TO:<r@relay.test>' => 250, DATA2 => 500, RSET => 250,
	    'MAIL FROM:<>' => 250, 'RCPT TO:<who@local.test>' => 550,
	    'MAIL FROM:<again@local.test>' => 503, 'EHLO c.test' => 250,
	    'RCPT TO:<r@relay.test>' => 503, 'VRFY r@relay.test' => 252,
	    'noop' => 250, 'Help' => 214, 'RSET ' => 250, 'RSET x' => 501, NOOP => 250,
	    'NOOP ' . 'y' x 200 => 250);
	my $errors = 5;
	my ($group, $codes) = ('', '');
	while (my ($command, $code) = splice @group, 0, 2) {
		$group .= "$command\r\n";
		$codes .= $code;
	}
	# Errors are counted, and more than 100,000 cannot be allowed: the
	# groups behind the first ones have none.
	my $spoilt = int(80_000 / $errors);
	$spoilt = $commands / 20 if $spoilt > $commands / 20;
	my $plain = "NOOP\r\nRSET\r\nHELP\r\nMAIL FROM:<s\@local.test>\r\n" .
	    'RSET' . "\r\n";
	my $rest = ($commands - 20 * $spoilt) / 5;
	my @todo = (($group x 100) x int($spoilt / 100),
	    $group x ($spoilt % 100), ($plain x 1000) x int($rest / 1000),
	    $plain x ($rest % 1000), "QUIT\r\n");
	my $wanted = '220' . $codes x $spoilt .
	    '250250214250250' x $rest . '221';
	my $heard = converse($commands + 2, 1, pieces(grep { $_ ne '' } @todo));
	ok($heard eq $wanted, 'each is answered, in turn') or
	    differs($heard, $wanted);
});

SKIP: {
	my ($free) = `df -Pk /tmp` =~ /\s(\d+)\s+\d+%/;
	skip 'not enough free disk', 1
	    if ($free // 0) * 1024 < 3 * $megabytes * MB + 2000 * MB;
	part("a message of $megabytes MB", sub {
		my $line = join('', map { chr(33 + $_ * 7 % 90) } 1 .. 75);
		$line =~ s/^\./x/;
		my $block = substr "$line\r\n..dots\r\n" x 20_000, 0, MB - 2;
		$block =~ s/\r?\n?\z/\r\n/;
		my $plain = $block =~ s/^\.//mgr;
		my $m = meter();
		measure($m, "$start\r\n");
		measure($m, $plain) for 1 .. $megabytes;
		my $count = 0;
		is(converse(7, 0, sub {
			$count++;
			return $count == 1 ? "$hello${mail_to}RCPT TO:<" .
			    "$user>\r\nDATA\r\n$start\r\n" :
			    $count <= $megabytes + 1 ? $block :
			    $count == $megabytes + 2 ? ".\r\n" : undef;
		}), '220250250250250354250', 'it is taken');
		my $want = measured($m);
		arrives_whole('it', $want);
		$mail->wait_empty($patience);
		my ($path) = grep { -s $_ > MB } glob $mail->dir .
		    "/mail/$user/new/*";
		ok($path, 'and in the Maildir, too') or return;
		my $found = meter();
		open my $f, '<:raw', $path or die "$path: $!";
		while (sysread $f, my $piece, MB) {
			measure($found, $piece);
		}
		my $unix = meter();
		measure($unix, $start =~ tr/\r//dr . "\n");
		$plain =~ tr/\r//d;
		measure($unix, $plain) for 1 .. $megabytes;
		is(measured($found), measured($unix), 'where it is whole');
		unlink $path;
	});
}

my $folded = "X-Long: begins\r\n" .
    (' ' . 'h' x 76 . "\r\n") x int($header / 79);
my $fields = join '', map { sprintf "X-Field-%06d: %s\r\n", $_, 'f' x 61 }
    1 .. int($header / 79);
my $to = 'To: ' . join(",\r\n ", map { sprintf 'nobody%06d@faraway.test', $_ }
    1 .. int($header / 29)) . "\r\n";
for (['a field', $folded], ['fields', $fields], ['addresses', $to]) {
	my ($what, $field) = @$_;
	part("10 MB of $what in a head", sub {
		my @text = ("$start$field", "Subject: end\r\n\r\nbody\r\n");
		is(converse(6, 0, pieces("$hello${mail_to}DATA\r\n", @text,
		    ".\r\n")), '220250250250354250', 'it is taken');
		arrives_whole('it', expected(join '', @text));
		$mail->wait_empty($patience);
	});
}

part("$chunks chunks of a byte", sub {
	my $text = "${start}Subject: bytes\r\n\r\n";
	$text .= "0123456789abcde\r\n" while length $text < $chunks - 2;
	$text = substr($text, 0, $chunks - 2) =~ s/[\r\n]+\z/zz/r . "\r\n";
	$text .= "\r\n" if length $text < $chunks;
	my $all = "$hello$mail_to" . join('', map { "BDAT 1\r\n$_" }
	    split //, $text) . "BDAT 0 LAST\r\n";
	my $n = length $text;
	my $heard = converse(5 + $n, 1, pieces($all));
	ok($heard eq '220250250250' . '250' x ($n + 1), 'each is answered') or
	    diag substr $heard, -60;
	arrives_whole('it', expected($text));
	$mail->wait_empty($patience);
});

# The last, since what is freed stays with the programs for a while, and would
# hide what another part takes. The second time needs no more than the first.
my @most;
for my $time (1, 2) {
	push @most, part("$recipients recipients, time $time", sub {
		my ($sent, $said) = (0, 0);
		my $domain = 'a-rather-long-name-of-a-department.relay.test';
		my $text = "${start}Subject: many\r\n\r\nx\r\n";
		my $head = "${hello}MAIL FROM:<s\@local.test>\r\n";
		my $heard = converse(5 + $recipients, 0, sub {
			if ($sent == $recipients) {
				return undef if $said++;
				return "DATA\r\n$text.\r\n";
			}
			my $out = $sent == 0 ? $head : '';
			for (1 .. 1000) {
				$out .= sprintf "RCPT TO:<$time.%06d\@" .
				    "$domain>\r\n", $sent++;
			}
			return $out;
		});
		is(length($heard) / 3, 5 + $recipients, 'each is answered');
		ok($heard eq '220250250' . '250' x $recipients . '354250',
		    'and accepted') or diag substr $heard, -60;
		my %seen;
		eval { Postrider::wait_for(sub {
			%seen = ();
			$seen{$_}++ for grep { /^$time\./ } split /\n/,
			    Postrider::slurp($names);
			return keys %seen >= $recipients;
		}, $patience) } or diag substr $mail->log, -2000;
		is(scalar(keys %seen), $recipients, 'each gets the message');
		is(scalar(grep { $_ > 1 } values %seen), 0, 'and nobody twice');
		$mail->wait_empty($patience);
	# Besides, there are 20 conversations at once with the next hop.
	}, map({ $_ => $recipients / 2 } qw(smtpd cleanup qmgr)),
	    smtp => 20 * 150);
}
for my $program ($is_sanitized ? () : qw(smtpd cleanup qmgr)) {
	cmp_ok($most[1]{$program}, '<', $most[0]{$program} + $room,
	    "what $program took it has given back");
}

is($mail->stop, 0, 'all stops');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
