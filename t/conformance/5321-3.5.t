# 5321-3.5.t - RFC 5321 section 3.5: VRFY and EXPN.
use strict;
use warnings;
use Test::More;
use Postrider qw(free_port wait_for);
use Postrider::Fixture;

my ($quiet, $open) = (free_port(), free_port());
my $sut = Postrider::Fixture->new(
	remote => { is_noting => 1, extensions => [qw(VRFY EXPN)] },
	relay => { is_noting => 1, extensions => [qw(VRFY EXPN)] },
	aliases => "routed \@a.test:u\@relay-ok.test, bob\n" .
	    "wide alice, bob, far\@remote.test, u\@relay-ok.test\n" .
	    "command \"|exit 0\"\n",
	settings => { smtpd_expn_clients => '127.0.0.3' },
	master => <<"END")->start;
127.0.0.1:$quiet inet n - n - - smtpd
  -o disable_vrfy_command=yes
127.0.0.1:$open inet n - n - - smtpd
  -o smtpd_reject_unlisted_recipient=no
END
sub expander { return $sut->_connect('127.0.0.3') }

my @answers;		# that were not errors, of VRFY and EXPN

# Ask; the reply.
sub ask
{
	my ($c, $question) = @_;
	my $reply = $c->command($question);

	push @answers, [$question, $reply] if $reply =~ /^2|^551/;
	return $reply;
}

# --- VRFY ---------------------------------------------------------------------

for my $c ($sut->stranger, $sut->friend) {
	my $who = $c->socket->sockhost;
	for my $question ('VRFY alice', 'VRFY ALICE', 'VRFY alice@local.test',
	    'VRFY <alice@local.test>', 'vrfy bob') {
		like(ask($c, $question), qr/^25[02] /,
		    "5321-3.5.1-g $question ($who)");
	}
	like(ask($c, 'VRFY alice'), qr/^25[02] .*<alice\@local\.test>/,
	    "5321-3.5.1-f a mailbox is a user name ($who)");
	my $reply = ask($c, 'VRFY team');
	like($reply, qr/^25[02] [^\n]*<team\@local\.test>[^\n]*\z/,
	    "5321-3.5.1-e a list is told as itself ($who)");
	unlike($reply, qr/alice|bob|prt-/,
	    "5321-3.5.1-e and not its members ($who)");
	for my $question ('VRFY x@relay-ok.test', 'VRFY u@far-away.test') {
		like(ask($c, $question), qr/^252 /, '5321-3.5.3-c ' .
		    "$question cannot be known here ($who)");
	}
	unlike(ask($c, "VRFY $_"), qr/^250/, "5321-3.5.3-a $_: no 250 ($who)")
	    for 'no-such', 'no-such@local.test', 'user@remote.test',
	    'x@relay-ok.test';
	like(ask($c, 'EXPN team'), qr/^(?:25[02]|550|502)/,
	    "5321-3.5.1-a EXPN is known ($who)");
	like(ask($c, 'VRFY alice'), qr/^(?:25[02]|550|502)/,
	    "5321-3.5.1-a and VRFY is ($who)");
}
like(ask($sut->friend, 'VRFY no-such'), qr/^550 5\.1\.1/,
    '5321-3.5.3-a a friend hears that there is none');
{
	my $c = $sut->stranger;
	my ($here, $nowhere) = map { ask($c, "VRFY $_") =~ s/<.*?>//r }
	    'alice', 'no-such';
	like($here, qr/^252 /, '5321-3.5.3-b what is not looked up gets 252');
	is($nowhere, $here, '5321-3.5.3-b and so does who is not there');
}
{
	my $c = $sut->friend(port => $open);
	$c->command('MAIL FROM:<s@remote.test>', 250);
	like($c->command('RCPT TO:<no-such@local.test>'), qr/^250/,
	    '5321-3.5.3-d RCPT is told not to look');
	like(ask($c, 'VRFY no-such@local.test'), qr/^550 5\.1\.1/,
	    '5321-3.5.3-d VRFY does look');
	$c->command('RSET', 250);
}

# --- EXPN ---------------------------------------------------------------------

{
	my $c = expander();
	my $reply = ask($c, 'EXPN team');
	is($reply, "250-2.1.5 <alice\@local.test>\n250 2.1.5 <bob\@local.test>",
	    '5321-3.5.1-d a line for each member');
	$reply = ask($c, 'EXPN wide@local.test');
	is(scalar(() = $reply =~ /^250[- ]\S+ <[^<>]+>$/mg), 4,
	    '5321-3.5.1-d and one mailbox in each');
	$reply = ask($c, 'EXPN routed');
	like($reply, qr/<bob\@local\.test>/, '5321-3.5.2-d a route in a list');
	unlike($reply, qr/<@|\@a\.test/, '5321-3.5.2-d is not told');
	unlike(ask($c, "EXPN $_"), qr/^250/, "5321-3.5.3-a EXPN $_: no 250")
	    for 'no-such', 'user@remote.test', 'x@relay-ok.test';
	unlike(ask($c, 'VRFY <@a.test:alice@local.test>'), qr/<@/,
	    '5321-3.5.2-d VRFY tells no route either');
}

# --- what all the answers have in common --------------------------------------

cmp_ok(scalar @answers, '>', 20, 'there were answers');
my %addresses;
for my $answer (@answers) {
	my ($question, $reply) = @$answer;
	for my $line (split /\n/, $reply) {
		my ($address) = $line =~ /<([^<>@]+\@[^<>]+)>/;
		ok(defined $address,
		    "5321-3.5.2-b $question is answered with an address in <>")
		    or next;
		like($address, qr/^[^\s@]+\@[a-z-]+(?:\.[a-z-]+)+$/,
		    "5321-3.5.2-a $address has a full domain");
		$addresses{$address} = 1;
	}
	like($reply, qr/^25[0-9][ -].*\balice\@local\.test\b/mi,
	    "5321-3.5.1-b $question is answered with the mailbox")
	    if $question =~ /^vrfy <?alice/i;
}
{
	my $c = $sut->friend;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	for my $address (grep { !/^no-such|far-away/ } sort keys %addresses) {
		like($c->command("RCPT TO:<$address>"), qr/^250/,
		    "5321-3.5.2-c $address can be a recipient");
	}
	$c->command('RSET', 250);
}

# --- who may ask, and what is announced ---------------------------------------

{
	my $ehlo = 'EHLO c.test';
	my %may = (stranger => 0, expander => 1);
	for my $who (sort keys %may) {
		my $c = $who eq 'expander' ? expander() : $sut->stranger;
		my $listed = $c->command($ehlo) =~ /^250[- ]EXPN$/m ? 1 : 0;
		my $works = ask($c, 'EXPN team') =~ /^50[02]/ ? 0 : 1;
		is($listed, $may{$who}, "5321-3.5.2-f EXPN is listed for " .
		    "whom it is ($who)");
		is($works, $listed, "5321-3.5.2-f and works if it is ($who)");
		is($works, $may{$who}, "5321-3.5.2-e a site says who ($who)");
	}
	my $c = $sut->friend;
	like($c->command($ehlo), qr/^250[- ]VRFY$/m,
	    '5321-3.5.2-g VRFY is listed');
	$c = $sut->friend(port => $quiet);
	unlike($c->command($ehlo), qr/^250[- ](?:VRFY|EXPN)$/m,
	    '5321-3.5.2-g unless it is turned off');
	my @said = map { ask($c, "VRFY $_") =~ s/<.*?>//r } 'alice', 'no-such';
	like($said[0], qr/^252 /, '5321-3.5.2-e VRFY can be turned off');
	is($said[1], $said[0], '5321-3.5.2-e then it tells nothing');
}

# --- the client ---------------------------------------------------------------

for my $i (1 .. 5) {
	$sut->take($sut->stranger, from => 's@remote.test',
	    to => ['wide@local.test', 'routed@local.test'],
	    text => "Subject: list $i\n\nx\n");
}
$sut->wait_remote(qr/^Subject: list \d\r$/m, 5);
$sut->wait_relay(qr/^Subject: list \d\r$/m, 5);
my $all = join '', $sut->remote->raw, $sut->relay->raw;
cmp_ok(scalar(() = $all =~ /^RCPT TO:/mg), '>=', 10,
    '5321-3.5.4-a lists with members elsewhere are sent there');
unlike($all, qr/^EXPN/mi, '5321-3.5.4-a without EXPN');
unlike($all, qr/^(?:VRFY|EXPN)/mi,
    '5321-3.5.1-h nobody is asked with VRFY or EXPN');
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
