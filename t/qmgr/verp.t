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

# Who of these got reports, and how many.
sub told
{
	my ($name) = @_;
	my %seen;

	$seen{$_->{rcpt}[0]}++
	    for grep { $_->{rcpt}[0] =~ /^$name\+/ } $sink->messages;
	return \%seen;
}

subtest 'a crash among many reports repeats the last ones, not all' => sub {
	$mail->set(disable_verp_bounces => undef, minimal_backoff_time => '1s',
	    queue_run_delay => '1s');
	$mail->reload;
	my $id = post('crash@list.test', 'XVERP',
	    map { "nobody-$_\@far.test" } 1 .. 1000);
	my $made = qr/$id: sender non-delivery notification/;
	my ($qmgr) = $mail->children('qmgr');

	wait_for(sub { $mail->said($made) >= 500 }, 60, 'reports');
	kill 'KILL', $qmgr;
	my $before = $mail->said($made);
	$mail->wait_log(qr/$id: removed/, 60);
	$mail->wait_empty(60);
	my $seen = told('crash');
	is(scalar(keys %$seen), 1000, 'each is told');
	my $twice = grep { $_ > 1 } values %$seen;
	note("$twice of $before were told twice");
	cmp_ok($twice, '<', $before, 'not all of them twice');
};

subtest 'a bounce that is silent is not waited for again and again' => sub {
	$mail->set(ipc_timeout => '1s', minimal_backoff_time => '600s');
	$mail->stop;
	$mail->start;
	$mail->wait_log(qr/@{[post('owner4@list.test', '',
	    'nobody5@far.test')]}: removed/);
	my @bounce = $mail->children('bounce');
	kill 'STOP', @bounce;
	my $id = post('mute@list.test', 'XVERP',
	    map { "nobody-$_\@far.test" } 1 .. 30);

	wait_for(sub { $mail->queue_count('deferred') == 1 }, 20,
	    'the message waits for another attempt');
	is($mail->said(qr/$id: bounce does not answer/), 1, 'one line');
	kill 'CONT', @bounce;
	$mail->set(ipc_timeout => undef);
	$mail->stop;
	$mail->start;
	$mail->postrider('queue', 'flush');
	$mail->wait_log(qr/$id: removed/, 30);
	$mail->wait_empty(30);
	is(scalar(keys %{ told('mute') }), 30, 'each is told in the end');
};

is_deeply([grep { !/killed by signal 9/ } $mail->complaints], [], 'no complaints');
done_testing;
