# probes.t - what a session costs at most, whatever its client does.
#
#	POSTRIDER_LONG=1 prove -v t/load/probes.t
#
# Two hundred sessions do each thing at once, fifty unless POSTRIDER_LONG is
# set, and stay; what smtpd has grown by is divided among them.
use strict;
use warnings;
use Test::More;
use IO::Select;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port slurp need_root);
use Postrider::CA;

need_root();
plan(skip_all => 'sanitizers need memory of their own')
    if ($ENV{BUILD} // '') =~ /sanitize/ || Postrider::is_sanitized();

my $sessions = $ENV{POSTRIDER_LONG} ? 200 : 50;
my ($greatest, $usual) = (256, 64);	# KiB; the latter where little is said

my $wrapped = free_port();
my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	smtpd_client_connection_count_limit => 0, smtpd_processes => 1,
	smtpd_tls_security_level => 'may', smtpd_hard_error_limit => 1000,
	smtpd_soft_error_limit => 1000, smtpd_junk_command_limit => 100000,
	smtpd_sasl_auth_enable => 'yes',
    }, master => "127.0.0.1:$wrapped inet n - n - - smtpd " .
    "-o smtpd_tls_wrappermode=yes\n");
my $ca = Postrider::CA->new($mail->etc . '/ca');
$mail->set(smtpd_tls_chain_files => $ca->issue(name => 'sut.test')->{all});

# Kilobytes of smtpd that belong to nobody else.
sub memory
{
	my $sum = 0;

	for my $pid ($mail->children('smtpd')) {
		$sum += $_ for slurp("/proc/$pid/smaps_rollup") =~
		    /^Private_(?:Clean|Dirty):\s+(\d+)/mg;
	}
	return $sum;
}

# A client that was greeted and has said EHLO.
sub begin
{
	my ($c) = @_;

	$c->expect(220);
	$c->command('EHLO c.test', 250);
	return $c;
}

# When smtpd has read all that was sent, it grows no more.
sub settled
{
	my ($last, $since) = (-1, time);

	return Postrider::wait_for(sub {
		my $now = memory();
		($last, $since) = ($now, time) if $now != $last;
		return time - $since > 0.5 ? $now : undef;
	}, 60, 'smtpd to come to rest');
}

# Programs that have none of the memory of the last probe to use again; what is
# there once, whatever comes, is not a session's.
sub fresh
{
	$mail->stop;
	$mail->start;
	for (1 .. 3) {
		my $c = begin($mail->client);
		in_data($c);
		$c->data("Subject: x\n\nx\n");
		$c->command('QUIT', 221);
	}
}

sub probe
{
	my ($name, $limit, $act, %o) = @_;

	fresh();
	my $before = settled();
	my $count = $o{sessions} // $sessions;
	my @held = map {
		my $c = Postrider::Client->new($o{port} // $mail->port,
		    patience => 60);
		begin($c) unless $o{is_mute};
		$act->($c);
		$c;
	} 1 .. $count;
	my $each = (settled() - $before) / $count;
	diag(sprintf '%s: %.1f KiB', $name, $each);
	cmp_ok($each, '<', $limit, "$name: at most $limit KiB");
	$_->close for @held;
}

# Send as much of this as is taken, and read nothing.
sub stuff
{
	my ($c, $text, $size) = @_;
	my $sent = 0;

	local $SIG{PIPE} = 'IGNORE';
	$c->socket->blocking(0);
	while ($sent < $size) {
		my $n = syswrite $c->socket, $text;
		if (!defined $n) {
			last unless IO::Select->new($c->socket)
			    ->can_write(0.2);
			next;
		}
		$sent += $n;
	}
}

my $line = 'x' x 70 . "\r\n";
my $envelope = "MAIL FROM:<s\@local.test>\r\nRCPT TO:<r\@relay.test>\r\n";
sub in_mail
{
	my ($c) = @_;

	$c->script('MAIL FROM:<s@local.test>' => 250,
	    'RCPT TO:<r@relay.test>' => 250);
}
sub in_data { in_mail($_[0]); $_[0]->command('DATA', 354) }

probe('idle', 32, sub { });
probe('idle in TLS', $usual, sub { $_[0]->starttls });
probe('half a handshake', $greatest, sub { $_[0]->raw("\x16\3\1\2\0\1\0\1\xfc") },
    port => $wrapped, is_mute => 1);
probe('half a line', $usual, sub { $_[0]->raw('NOOP ' . 'x' x 2000) });
probe('a line without an end', $usual, sub { stuff($_[0], 'x' x 8192, 500_000) });
probe('a long name and a long sender', $usual, sub {
	$_[0]->command('EHLO ' . 'x.' x 120 . 'test', 250);
	$_[0]->command('MAIL FROM:<' . 'x' x 60 . '@' . 'x.' x 90 . 'test>',
	    250);
});
probe('half an AUTH', $usual, sub {
	$_[0]->raw('AUTH PLAIN ' . 'A' x 12_000);
});
probe('answers that nobody reads', $greatest, sub {
	stuff($_[0], "EHLO c.test\r\n" x 500, 3_000_000);
});
probe('mail that nobody hears about', $greatest, sub {
	stuff($_[0], "${envelope}RSET\r\n" x 100, 400_000);
}, sessions => 10);
probe('half a message', $greatest, sub {
	in_data($_[0]);
	$_[0]->raw($line x 2000 . 'x');
});
probe('half a message with bare line ends', $greatest, sub {
	in_data($_[0]);
	$_[0]->raw("x\n" x 60_000 . 'x');
});
probe('half a chunk', $greatest, sub {
	in_mail($_[0]);
	$_[0]->raw("BDAT 10000000\r\n" . 'x' x 200_000);
});
probe('many chunks', $greatest, sub {
	in_mail($_[0]);
	$_[0]->raw("BDAT 2\r\nx\n" x 2000);
	$_[0]->expect(250) for 1 .. 2000;
});
probe('a thousand recipients', $greatest, sub {
	my ($c) = @_;
	$c->command('MAIL FROM:<s@local.test>', 250);
	$c->raw(join '', map { "RCPT TO:<someone.$_\@relay.test>\r\n" }
	    1 .. 1000);
	$c->expect(250) for 1 .. 1000;
}, sessions => 20);
# Addresses of 250 bytes are nobody's, and a thousand of them are a quarter of a
# megabyte; where most slots are in use such a transaction is cut short
# (t/smtpd/crowd.t).
probe('a thousand long recipients', 2 * $greatest, sub {
	my ($c) = @_;
	$c->command('MAIL FROM:<s@local.test>', 250);
	$c->raw(join '', map { 'RCPT TO:<' . 'x' x 60 . "$_\@" . 'x.' x 90 .
	    "relay.test>\r\n" } 1 .. 1000);
	$c->expect(250) for 1 .. 1000;
}, sessions => 5);

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
