# dsn.t - what a client may say of reports: RFC 3461, and XVERP.
use strict;
use warnings;

use lib 't/lib';
use Postrider;
use Postrider::QueueFile;
use Test::More;

# Nobody listens at the next hop: messages stay in the queue to be read.
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s', smtpd_peername_lookup => 'no',
	smtpd_error_sleep_time => '0s', smtpd_hard_error_limit => 1000,
	smtpd_soft_error_limit => 1000, smtpd_junk_command_limit => 10000,
	smtpd_authorized_verp_clients => '127.0.0.9/32, somebody.test',
	virtual_alias_domains => 'list.test',
	virtual_alias_maps => 'texthash:${config_directory}/virtual' },
    files => { virtual => "one\@list.test a\@far.test\n" .
	"team\@list.test a\@far.test, b\@far.test, c\@far.test\n" })->start;

sub session
{
	my (%o) = @_;
	my $c = Postrider::Client->new($mail->port, %o);

	$c->expect(220);
	$c->{ehlo} = $c->command('EHLO client.test', 250);
	return $c;
}

# The queue file of what is sent with these parameters.
sub queued
{
	my ($c, $from, @to) = @_;

	$c->command("MAIL FROM:$from", 250);
	$c->command("RCPT TO:$_", 250) for @to;
	$c->command('DATA', 354);
	my ($id) = $c->data("Subject: x\n\nx\n") =~ /queued as (\w+)/ or die;
	return Postrider::QueueFile->find($mail, $id);
}

# What is offered, and to whom.
{
	my $ehlo = session()->{ehlo};
	like($ehlo, qr/^250[- ]DSN$/m, 'EHLO offers DSN');
	like($ehlo, qr/^250[- ]ETRN$/m, 'and ETRN');
	unlike($ehlo, qr/XVERP/, 'XVERP is not for everybody');
	like(session(from => '127.0.0.9')->{ehlo}, qr/^250[- ]XVERP$/m,
	    'XVERP is offered to whom main.cf names');
}

# Good values reach the envelope, decoded.
{
	my $c = session();
	my $f = queued($c, '<s@some.test> RET=hdrs ENVID=QQ+2B31+3D SIZE=10',
	    '<a@far.test> NOTIFY=SUCCESS,delay ' .
	    'ORCPT=rfc822;Bob+2BX@far.test', '<b@far.test> notify=NEVER',
	    '<c@far.test>');
	is($f->{return_what}, 'HDRS', 'RET');
	is($f->{envelope_id}, 'QQ+31=', 'ENVID');
	is_deeply($f->{notify}, [2 | 8, 1, 0], 'NOTIFY');
	is_deeply($f->{orcpts}, ['rfc822;Bob+X@far.test', '', ''], 'ORCPT');
	$f = queued($c, '<> RET=FULL', '<a@far.test>');
	is($f->{return_what}, 'FULL', 'RET with the null sender');
	is($f->{envelope_id}, '', 'nothing is left of the message before');
}

# Bad ones are refused, with a reason.
{
	my $c = session();
	my @senders = (
		'RET=half' => qr/^501 5\.5\.4 .*RET is FULL or HDRS/,
		'RET' => qr/^501/, 'RET=FULL RET=HDRS' => qr/^501/,
		'ENVID=a+00b' => qr/^501 5\.5\.4 .*ENVID/,
		'ENVID=a+0Ab' => qr/^501/, 'ENVID=a+b' => qr/^501/,
		'ENVID=a+2' => qr/^501/, 'ENVID=a=b' => qr/^501/,
		"ENVID=a\xc3\xa4" => qr/^501/, 'ENVID=a+E4' => qr/^501/,
		'ENVID=' . 'x' x 101 => qr/^501 5\.5\.4 .*too long/,
		'ENVID=' . 'x' x 100 => qr/^250/, 'ENVID' => qr/^501/,
		'XVERP' => qr/^555/, 'XVERP=+=' => qr/^555/,
		'NOTIFY=NEVER' => qr/^555/,
	);
	while (my ($word, $re) = splice @senders, 0, 2) {
		like($c->command("MAIL FROM:<a\@b.test> $word"), $re, $word);
		$c->command('RSET', 250);
	}
	$c->command('MAIL FROM:<a@b.test>', 250);
	my @recipients = (
		'NOTIFY=NEVER,DELAY' => qr/^501 5\.5\.4 .*NEVER must stand alone/,
		'NOTIFY=sometimes' => qr/^501 5\.5\.4 .*NOTIFY is/,
		'NOTIFY=DELAY,DELAY' => qr/^501/, 'NOTIFY=' => qr/^501/,
		'NOTIFY' => qr/^501/, 'ORCPT=a@b.test' => qr/^501 5\.5\.4 .*ORCPT/,
		'ORCPT=;a@b.test' => qr/^501/, 'ORCPT=rfc822;' => qr/^501/,
		'ORCPT=rfc822;a+00@b.test' => qr/^501/,
		'ORCPT=rfc822;a+@b.test' => qr/^501/,
		'ORCPT=rfc822;' . 'x' x 500 => qr/^501 5\.5\.4 .*too long/,
		'ORCPT=rfc822;' . 'x' x 490 => qr/^250/,
		'ORCPT=x400;S+3Dname' => qr/^250/, 'RET=FULL' => qr/^555/,
	);
	while (my ($word, $re) = splice @recipients, 0, 2) {
		like($c->command("RCPT TO:<a\@far.test> $word"), $re,
		    substr $word, 0, 60);
	}
	$c->command('HELO client.test', 250);
	$c->command('MAIL FROM:<a@b.test>', 250);
	like($c->command('RCPT TO:<a@far.test> NOTIFY=NEVER'), qr/^503/,
	    'after HELO there are no parameters');
}

# XVERP.
{
	my $c = session(from => '127.0.0.9');
	is(queued($c, '<list@some.test> XVERP', '<a@far.test>')->{verp}, '+=',
	    'the default delimiters');
	is(queued($c, '<list@some.test> XVERP=-=', '<a@far.test>')->{verp},
	    '-=', 'others');
	is(queued($c, '<list@some.test>', '<a@far.test>')->{verp}, '', 'none');
	for my $bad ('XVERP=+', 'XVERP=+*', 'XVERP=+=-', 'XVERP=') {
		like($c->command("MAIL FROM:<l\@some.test> $bad"), qr/^501/,
		    $bad);
	}
	like($c->command('MAIL FROM:<> XVERP'), qr/^501 5\.5\.4 .*sender/,
	    'it needs a sender');
}

# RFC 3461 5.2.7: aliases.
{
	my $f = queued(session(), '<s@some.test> ENVID=E1',
	    '<one@list.test> NOTIFY=SUCCESS,FAILURE',
	    '<x@far.test> NOTIFY=SUCCESS');
	is_deeply($f->{notify}, [2 | 4, 2], 'one for one keeps its wish');
	is($f->{orcpts}[0], 'rfc822;one@list.test', 'ORCPT is what was given');
	is($f->{envelope_id}, 'E1', 'ENVID stays');
	$f = queued(session(), '<s@some.test>',
	    '<team@list.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;t@else.test');
	is_deeply($f->{notify}, [4, 4, 4, 16 | 2 | 4],
	    'of several all report failure');
	is_deeply($f->{orcpts}, [('rfc822;t@else.test') x 4], 'ORCPT stays');
	# qmgr may have told it already.
	like("$f->{recipients}[3] $f->{status}[3]", qr/^team\@list\.test [EX]$/,
	    'and of success only that it was expanded is told');
	$f = queued(session(), '<s@some.test>',
	    '<team@list.test> NOTIFY=SUCCESS');
	is_deeply($f->{notify}, [1, 1, 1, 16 | 2], 'or nothing');
	$f = queued(session(), '<s@some.test>', '<a@far.test> NOTIFY=NEVER',
	    '<one@list.test> NOTIFY=FAILURE', '<b@far.test>',
	    '<b@FAR.test> NOTIFY=SUCCESS');
	is_deeply($f->{recipients}, ['a@far.test', 'b@far.test'],
	    'each mailbox once');
	is_deeply($f->{notify}, [4, 2 | 4 | 8],
	    'with the wishes of all who named it');
}

# Not offered, not understood.
{
	$mail->set(smtpd_discard_ehlo_keywords => 'dsn, etrn');
	$mail->reload;
	my $c = Postrider::wait_for(sub {
		my $c = session();
		return $c->{ehlo} =~ /DSN/ ? undef : $c;
	}, 20, 'the new settings');
	unlike($c->{ehlo}, qr/ETRN/, 'discarded keywords are not announced');
	like($c->command('MAIL FROM:<a@b.test> RET=FULL'), qr/^555 5\.5\.4/,
	    'nor understood');
	like($c->command('ETRN far.test'), qr/^502/, 'ETRN neither');
}

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
