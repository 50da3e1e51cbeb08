# auth.t - passwords in clear, names that are none, servers of users that lie.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use MIME::Base64;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use Postrider qw(free_port wait_for);
use Postrider::AuthServer;
use Postrider::CA;
use Postrider::Fixture;

my ($submission, $both, $lying, $slow) = map { free_port() } 1 .. 4;
my $sut = Postrider::Fixture->new(settings => {
	smtpd_sasl_type => 'dovecot', smtpd_tls_security_level => 'may',
	smtpd_relay_restrictions => 'permit_sasl_authenticated, ' .
	    'reject_unauth_destination',
	debug_peer_list => '127.0.0.0/8', debug_peer_level => 3,
	smtpd_tls_loglevel => 4, notify_classes => 'policy, protocol',
    }, master => <<"END");
127.0.0.1:$submission inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:$both inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
127.0.0.1:$lying inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o { smtpd_sasl_path = \$queue_directory/../liar }
127.0.0.1:$slow inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_timeout=2s -o smtpd_per_request_deadline=yes
END
my $auth = Postrider::AuthServer->new($sut->dir . '/auth',
    users => { alice => 'right-word' });
my $mx = Postrider::CA->new($sut->etc . '/ca')->issue(name => 'sut.test');
$sut->set(smtpd_sasl_path => $sut->dir . '/auth',
    smtpd_tls_chain_files => $mx->{all});

sub plain { return encode_base64(join("\0", '', @_), '') }
my $good = plain('alice', 'right-word');

# --- a server of users that lies ----------------------------------------------------

# What it says to each AUTH, by the user's name; %d is the number.
my %lies = (
	'no-id' => "OK\tuser=x\n", 'wrong-id' => "OK\t99999\tuser=x\n",
	'no-tabs' => "OK %d user=x\n", 'no-user' => "OK\t%d\n",
	'empty-user' => "OK\t%d\tuser=\n", 'bare' => "OK\n",
	'newline' => "OK\t%d\tuser=a\001nb\n", 'nul' => "OK\t%d\tuser=a\0010b\n",
	'raw-nul' => "OK\t%d\tuser=a\0b\n", 'cr' => "OK\t%d\tuser=a\001rb\n",
	'tab' => "OK\t%d\tuser=a\001tb\n", 'broken-utf8' => "OK\t%d\tuser=\xff\n",
	'long' => "OK\t%d\tuser=" . 'x' x 5000 . "\n",
	'bomb' => "CONT\t%d\t" . 'A' x 1048576 . "\n",
	'not-base64' => "CONT\t%d\t!!!!\n", 'what' => "MAYBE\t%d\n",
	'id-bomb' => "OK\t" . '9' x 400 . "\tuser=x\n",
	'negative' => "OK\t-%d\tuser=x\n", 'endless' => 'O' x 2000000,
	'closes' => '',
);
my $liar = fork // die;
if ($liar == 0) {
	my $listener = IO::Socket::UNIX->new(Local => $sut->dir . '/liar',
	    Listen => 8) or POSIX::_exit(1);
	chmod 0666, $sut->dir . '/liar';
	$SIG{PIPE} = 'IGNORE';
	$SIG{CHLD} = 'IGNORE';
	setpgrp;
	while (1) {
		my $s = $listener->accept or next;
		next if fork;		# each smtpd process has its own
		my $rest = '';
		syswrite $s, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\n" .
		    "SPID\t1\nCUID\t1\nCOOKIE\t" . '0' x 32 . "\nDONE\n";
		while (sysread $s, $rest, 65536, length $rest) {
			next unless $rest =~
			    s/.*^AUTH\t(\d+)\t[^\n]*resp=(\S+)\n//ms;
			my ($id, $name) = ($1, (split /\0/,
			    decode_base64($2))[1]);
			last if $name eq 'closes';
			my $say = $lies{$name} =~ s/%d/$id/r;
			syswrite $s, $say;
		}
		POSIX::_exit(0);
	}
}
my $own = $$;
END { kill 'KILL', -$liar if defined $own && $$ == $own && $liar }
$sut->start;

my @waiting;
for my $lie (sort keys %lies) {
	my $c;
	wait_for(sub { $c = $sut->stranger(port => $lying, helo => undef);
	    $c->command('EHLO c.test') =~ /AUTH/ }, 20, 'the liar');
	$c->{patience} = 60;
	$c->raw('AUTH PLAIN ' . plain($lie, 'x') . "\r\n");
	push @waiting, [$lie, $c];
	# Some answers are none at all; their time passes for all at once.
	$c->has_input(1);
}
for (@waiting) {
	my ($lie, $c) = @$_;
	my $reply = $c->reply // '';
	# What can be a name is one.
	like($reply, qr/^(?:454 4\.7\.0|535 5\.7\.8|501 5\.5\.2|334) /,
	    "EXT-06 $lie: " . substr $reply, 0, 9);
	$c->command('*', 501) if $reply =~ /^334/;
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<far@remote.test>'), qr/^554 5\.7\.1 /,
	    "EXT-06 $lie: nobody is in");
	$c->close;
}

# A server that goes away in the middle, and comes back.
{
	my $c = $sut->stranger(port => $both);
	$c->command('AUTH LOGIN', 334);
	$c->command(encode_base64('alice', ''), 334);
	$auth->stop;
	like($c->command(encode_base64('right-word', '')), qr/^454 4\.7\.0 /,
	    'EXT-06 gone in the middle');
	$auth->start;
	wait_for(sub { $c->command("AUTH PLAIN $good") =~ /^235/ }, 20,
	    'AUTH again');
	pass('EXT-06 back again');
}

# --- in clear -------------------------------------------------------------------------

{
	my $c = $sut->stranger(port => $submission);
	for my $line ("AUTH PLAIN $good", 'AUTH LOGIN ' .
	    encode_base64('alice', ''), "auth\tplain\t$good",
	    "AUTH  PLAIN  $good") {
		like($c->command($line), qr/^538 5\.7\.11 /,
		    'TLS-20 no AUTH before TLS');
	}
	$c->raw("$good\r\n");		# who does not listen
	like($c->reply, qr/^500 /, 'TLS-20 nor what belongs to it');
	like($c->command('MAIL FROM:<alice@local.test>'), qr/^530 5\.7\.0 /,
	    'TLS-20 and no mail');
	$c->command('STARTTLS', 220);
	is($c->encrypt, undef, 'TLS');
	$c->command('EHLO c.test', 250);
	like($c->command("AUTH PLAIN $good"), qr/^235 /, 'TLS-20 but inside');
	$c->command('QUIT', 221);
	$c = $sut->stranger(port => $submission, helo => undef);
	$c->raw("EHLO c.test\r\nSTARTTLS\r\nAUTH PLAIN $good\r\n");
	1 while defined $c->reply;
	$sut->settle;
	unlike($sut->log . join('', $sut->mail('alice')), qr/\Q$good\E/,
	    'TLS-20 no log and no letter has it');
	like($sut->log, qr/ < \S+: AUTH PLAIN$/m,
	    'TLS-20 though everything is told');
}
{
	my $c = $sut->stranger(port => $both);
	$c->command("AUTH PLAIN $good", 235);
	$c->starttls;
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<far@remote.test>'), qr/^554 5\.7\.1 /,
	    'TLS-03 AUTH before TLS is forgotten');
	$c->command('RSET', 250);
	like($c->command("AUTH PLAIN $good"), qr/^235 /,
	    'TLS-03 and can be said again');
}

# --- slowly -----------------------------------------------------------------------------

for my $where ('AUTH PLAIN ', '') {
	my $c = $sut->stranger(port => $slow);
	$c->command('AUTH PLAIN', 334) if $where eq '';
	my $began = time;
	$c->raw($where);
	while (time - $began < 10 && !$c->has_input) {
		eval { $c->raw('A') };
		sleep 0.3;
	}
	my $took = time - $began;
	like($c->reply // '', qr/^421 4\.4\.2 /,
	    'DOS-02 a byte at a time in AUTH');
	cmp_ok($took, '<', 5, sprintf 'DOS-02 after %.1f s', $took);
}

# --- who exists? --------------------------------------------------------------------------

{
	my (%replies, %times);
	my $c = $sut->stranger(port => $both);
	for (1 .. 100) {
		for my $user ('alice', 'alicf') {
			my $began = time;
			$replies{$c->command('AUTH PLAIN ' .
			    plain($user, 'wrong'))}++;
			push @{ $times{$user} }, time - $began;
		}
	}
	is(scalar keys %replies, 1, 'REL-05 AUTH says the same of everybody')
	    or diag(join "\n", %replies);
	my ($known, $unknown) = map { (sort { $a <=> $b } @$_)[@$_ / 2] }
	    @times{'alice', 'alicf'};
	my ($least) = sort { $a <=> $b } $known, $unknown;
	cmp_ok(abs($known - $unknown), '<', $least / 5 + 0.0003, sprintf
	    'REL-05 AUTH takes %.0f and %.0f us', $known * 1e6,
	    $unknown * 1e6);
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
