# verp.t - mail with a sender for each recipient, and its reports.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	smtpd_authorized_verp_clients => '127.0.0.0/8',
	smtpd_peername_lookup => 'no', local_recipient_maps => '' });
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return $verb eq 'RCPT' && $line =~ /TO:<nobody/ ?
	    '550 5.1.1 no such user' : undef;
});

$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# Send with these words after MAIL FROM; the queue id.
sub post
{
	my ($from, $words, @to) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:<$from> $words", 250);
	$c->command("RCPT TO:<$_>", 250) for @to;
	$c->command('DATA', 354);
	my $reply = $c->data("Subject: test\n\nHi.\n");
	$c->command('QUIT', 221);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# Messages by their first recipient.
sub to { my ($to) = @_; return grep { $_->{rcpt}[0] eq $to } $sink->messages }

subtest 'each recipient has a sender of its own' => sub {
	my $id = post('owner@list.test', 'XVERP', 'a@far.test', 'b@far.test');

	$mail->wait_log(qr/$id: removed/);
	is((to('a@far.test'))[0]{from}, 'owner+a=far.test@list.test');
	is((to('b@far.test'))[0]{from}, 'owner+b=far.test@list.test');
};

subtest 'and a report of its own' => sub {
	my $id = post('owner@list.test', 'XVERP=-=', 'nobody1@far.test',
	    'nobody2@far.test', 'c@far.test');

	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	for my $n (1, 2) {
		my @reports = to("owner-nobody$n=far.test\@list.test");
		is(scalar @reports, 1);
		is($reports[0]{from}, '');
		like($reports[0]{data},
		    qr/^Final-Recipient: rfc822; nobody$n\@far\.test\r$/m);
		is(scalar(() = $reports[0]{data} =~ /^Final-Recipient/mg), 1);
	}
	is(scalar to('owner@list.test'), 0);
};

subtest 'unless disable_verp_bounces' => sub {
	$mail->set(disable_verp_bounces => 'yes');
	$mail->reload;
	my $id = post('owner2@list.test', 'XVERP', 'nobody3@far.test',
	    'nobody4@far.test');

	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	my @reports = to('owner2@list.test');
	is(scalar @reports, 1);
	is(scalar(() = $reports[0]{data} =~ /^Final-Recipient/mg), 2);
};

subtest 'sendmail -XV' => sub {
	my ($status, $text) = $mail->sendmail("Subject: x\n\nHi.\n", '-XV',
	    '-f', 'owner3@list.test', 'd@far.test');

	is($status, 0, $text);
	wait_for(sub { to('d@far.test') }, 10, 'the mail');
	is((to('d@far.test'))[0]{from}, 'owner3+d=far.test@list.test');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
