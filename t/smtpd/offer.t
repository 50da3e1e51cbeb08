# offer.t - what EHLO announces, to whom; rates; VRFY and EXPN.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relayhost => '[127.0.0.1]:9',
	mynetworks => '127.0.0.9/32', smtpd_error_sleep_time => '0s',
	local_recipient_maps => 'inline:{ann=1, bob=1, team=1}, $alias_maps',
	relay_domains => 'relay.test',
	alias_maps => 'inline:{ {team=ann, Bob <bob@local.test>, ' .
	    'far@far.test}, {cmd=|/bin/true}, {mix=|/bin/true, ann} }',
	virtual_alias_domains => 'virt.test',
	virtual_alias_maps => 'inline:{ {all@virt.test=ann@local.test, ' .
	    'x@far.test} }',
	smtpd_discard_ehlo_keyword_address_maps =>
	    'inline:{ {127.0.0.3=dsn, silent-discard}, {127.0.0.4=chunking} }',
	smtpd_discard_ehlo_keywords => 'etrn, silent-discard',
	smtpd_expn_clients => '127.0.0.5',
	smtpd_recipient_limit => 7, disable_vrfy_command => 'no',
	smtpd_client_event_limit_exceptions => '127.0.0.9',
	smtpd_client_message_rate_limit => 3,
	smtpd_client_recipient_rate_limit => 4,
	smtpd_relay_restrictions => 'permit_mynetworks, ' .
	    'reject_unauth_destination',
})->start;

sub session {
	my ($from) = @_;
	my $c = Postrider::Client->new($mail->port,
	    from => $from // '127.0.0.2');
	$c->expect(220);
	return wantarray ? ($c, $c->command('EHLO c.test', 250)) : $c;
}

# The answer to EHLO.
{
	my ($c, $ehlo) = session();
	my @lines = split /\n/, $ehlo;
	is($lines[0], '250-mail.local.test', 'the name comes first');
	is($lines[-1], '250 HELP', 'HELP comes last');
	is(scalar(grep { !/^250[- ][A-Z0-9][A-Z0-9-]*( [!-~]+)*$/ }
	    @lines[1 .. $#lines]), 0, 'each line is a keyword with values');
	like($ehlo, qr/^250-LIMITS RCPTMAX=7$/m, 'limits are announced');
	like($ehlo, qr/^250-$_$/m, "$_ is offered")
	    for qw(PIPELINING VRFY ENHANCEDSTATUSCODES 8BITMIME DSN CHUNKING);
	unlike($ehlo, qr/ETRN/, 'what is discarded is not');
	unlike($ehlo, qr/EXPN/, 'nor EXPN to just anybody');
	like($c->command('EHLO again [1.2.3.4]'), qr/^250/,
	    'words behind the name are let go');
	$c->command('QUIT', 221);
	($c, $ehlo) = session('127.0.0.3');
	unlike($ehlo, qr/DSN/, 'a table discards for one client');
	like($ehlo, qr/ETRN/, 'instead of the general list');
	$c->command('MAIL FROM:<a@b.test> RET=HDRS', 555);
	unlike($mail->log, qr/discarding EHLO/, 'in silence, if it says so');
	($c, $ehlo) = session('127.0.0.4');
	unlike($ehlo, qr/CHUNKING/, 'and another thing for another');
	$mail->wait_log(qr/discarding EHLO keywords: chunking/);
}

# VRFY, at any time, without an effect on the transaction.
{
	my $c = Postrider::Client->new($mail->port, from => '127.0.0.2');
	$c->expect(220);
	is($c->command('VRFY ann'), $c->command('VRFY nobody') =~
	    s/nobody/ann/r, 'strangers hear the same of everybody');
	is($c->command('VRFY ann'), '252 2.0.0 <ann@local.test>',
	    'the address is in full');
	like($c->command('VRFY <ann@local.test>'), qr/^252 .*<ann\@local/,
	    'with or without brackets');
	like($c->command('VRFY'), qr/^501/, 'VRFY of nobody');
	like($c->command('VRFY John Smith'), qr/^501 5\.1\.3/,
	    'of what is no address');
	like($c->command('EXPN team'), qr/^502 5\.5\.1/, 'EXPN is not for all');
	$c = session('127.0.0.9');
	$c->script('MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<ann@local.test>' => 250);
	like($c->command('VRFY nobody@local.test'), qr/^550 5\.1\.1/,
	    'our own hear who is not there');
	like($c->command('VRFY bob'), qr/^252/, 'and who may be');
	like($c->command('VRFY x@relay.test'), qr/^252/,
	    'nobody knows of other hosts');
	$c->command('DATA', 354);
}

# EXPN for those who may.
{
	my ($c, $ehlo) = session('127.0.0.5');
	like($ehlo, qr/^250-EXPN$/m, 'EXPN is announced');
	my @steps = (
		'EXPN team' => "250-2.1.5 <ann\@local.test>\n" .
		    "250-2.1.5 <bob\@local.test>\n250 2.1.5 <far\@far.test>",
		'EXPN <TEAM@local.test>' => "250-2.1.5 <ann\@local.test>\n" .
		    "250-2.1.5 <bob\@local.test>\n250 2.1.5 <far\@far.test>",
		'EXPN all@virt.test' => "250-2.1.5 <ann\@local.test>\n" .
		    '250 2.1.5 <x@far.test>',
		'EXPN mix' => '250 2.1.5 <ann@local.test>',
		'EXPN cmd' => '252 2.0.0 <cmd@local.test>',
		'EXPN x@far.test' => '252 2.0.0 <x@far.test>',
		'EXPN ann' => qr/^550 5\.1\.1 .*no list/,
		'EXPN nobody' => qr/^550 5\.1\.1/,
		'EXPN' => qr/^501/,
	);
	while (my ($command, $expected) = splice @steps, 0, 2) {
		my $reply = $c->command($command);
		ref $expected ? like($reply, $expected, $command) :
		    is($reply, $expected, $command);
	}
}

# How often a client may begin, and name somebody.
{
	my $c = session('127.0.0.6');
	for my $n (1 .. 3) {
		$c->command('MAIL FROM:<a@b.test>', 250);
		$c->command('RSET', 250);
	}
	like($c->command('MAIL FROM:<a@b.test>'),
	    qr/^450 4\.7\.1 Error: too much mail from 127\.0\.0\.6/,
	    'a fourth message in a minute is too much');
	$mail->wait_log(qr/Message delivery request rate limit exceeded: 4 from unknown\[127\.0\.0\.6\] for service /);
	my $other = session('127.0.0.6');
	like($other->command('MAIL FROM:<a@b.test>'), qr/^450/,
	    'in another session, too');
	$c = session('127.0.0.7');
	$c->command('MAIL FROM:<a@b.test>', 250);
	$c->command('RCPT TO:<ann@local.test>', 250) for 1 .. 4;
	like($c->command('RCPT TO:<bob@local.test>'),
	    qr/^450 4\.7\.1 Error: too many recipients from/,
	    'a fifth recipient is too many');
	$mail->wait_log(qr/Recipient address rate limit exceeded: 5 from/);
	$c = session('127.0.0.9');
	for my $n (1 .. 5) {
		$c->command('MAIL FROM:<a@b.test>', 250);
		$c->command('RSET', 250);
	}
	pass('excepted clients are not counted');
}

# Without VRFY, and without a table that can be read.
$mail->set(disable_vrfy_command => 'yes', smtpd_expn_clients => undef,
    smtpd_discard_ehlo_keyword_address_maps =>
    'fail:now');
$mail->reload;
{
	my ($c, $ehlo) = session('127.0.0.9');
	is($ehlo, "250-mail.local.test\n250 HELP",
	    'without its table nothing is announced');
	is($c->command('VRFY nobody'), '252 2.0.0 <nobody@local.test>',
	    'VRFY tells nothing when disabled');
	$c->command('MAIL FROM:<a@b.test> SIZE=1', 555);
	$c->command('MAIL FROM:<a@b.test>', 250);
}

$mail->stop;
done_testing();
