# notify.t - what the postmaster is told, reports that nobody takes, reports
# with many recipients, soft_bounce, and texts of the administrator's own.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', local_recipient_maps => '',
	smtpd_peername_lookup => 'no', smtpd_recipient_limit => 20000,
	smtpd_authorized_verp_clients => '' });
my $down = "$mail->{dir}/down";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return -e $down ? '450 4.2.0 not now' : '550 5.1.1 no such user'
	    if $verb eq 'RCPT' && $line =~ /later/;
	return $verb eq 'RCPT' && $line =~ /nobody/ ?
	    '550 5.1.1 no such user' : undef;
});

spew($mail->etc . '/transport', "far.test smtp:[127.0.0.1]:" . $sink->port .
    "\nback.test smtp:[127.0.0.1]:" . $sink->port .
    "\n");
spew($mail->etc . '/virtual', '');
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport',
    virtual_alias_maps => 'texthash:' . $mail->etc . '/virtual');
spew($down, '');
$mail->start;

sub post
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to,
	    text => "Subject: test\nMessage-ID: <one\@x.test>\n\nThe body.\n");

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# Messages by their first recipient.
sub to { my ($to) = @_; return grep { $_->{rcpt}[0] eq $to } $sink->messages }

# Set, and have it acted on.
sub use_settings
{
	$mail->set(@_);
	$mail->reload;
}

subtest 'the postmaster hears nothing unless he wants to' => sub {
	my $id = post('al@back.test', 'nobody@far.test');
	my $id2 = post('', 'nobody@far.test');

	$mail->wait_log(qr/$id: removed/);
	$mail->wait_log(qr/$id2: to=<nobody\@far\.test> failed, and there is nobody/);
	$mail->wait_log(qr/$id2: removed/);
	$mail->wait_empty;
	is(scalar $sink->messages, 1);
};

subtest 'bounce: headers of what is returned' => sub {
	use_settings(notify_classes => 'bounce',
	    bounce_notice_recipient => 'pm@back.test',
	    '2bounce_notice_recipient' => 'pm2@back.test');
	my $id = post('al2@back.test', 'nobody@far.test');

	$mail->wait_log(qr/$id: sender non-delivery notification: \w+/);
	$mail->wait_log(qr/$id: postmaster non-delivery notification: \w+/);
	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	my ($copy) = to('pm@back.test');
	is($copy->{from}, 'double-bounce@local.test');
	like($copy->{data}, qr/^Subject: Postmaster Copy: Undelivered Mail\r$/m);
	like($copy->{data}, qr/^To: pm\@back\.test\r$/m);
	like($copy->{data}, qr/^Auto-Submitted: auto-generated\r$/m);
	like($copy->{data}, qr/^Content-Type: text\/rfc822-headers\r$/m);
	unlike($copy->{data}, qr/The body/);
	is(scalar to('al2@back.test'), 1);
	is(scalar to('pm2@back.test'), 0);
};

subtest '2bounce: reports that cannot be returned' => sub {
	use_settings(notify_classes => '2bounce');
	my $id = post('', 'nobody@far.test');

	$mail->wait_log(qr/$id: postmaster non-delivery notification: \w+/);
	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	my ($copy) = to('pm2@back.test');
	is($copy->{from}, 'double-bounce@local.test');
	like($copy->{data}, qr/The body/);
};

subtest 'and that is where it ends' => sub {
	use_settings('2bounce_notice_recipient' => 'nobody@far.test');
	my $id = post('', 'nobody@far.test');
	my $line = $mail->wait_log(
	    qr/$id: postmaster non-delivery notification: \w+/);
	my ($last) = $line =~ /(\w+)$/;

	$mail->wait_log(qr/$last: undeliverable postmaster notification discarded/);
	$mail->wait_log(qr/$last: removed/);
	$mail->wait_empty;
	unlike($mail->log, qr/$last: postmaster/);
	use_settings(notify_classes => '',
	    '2bounce_notice_recipient' => 'pm3@back.test');
};

subtest 'whatever its sender is called by then' => sub {
	use_settings(notify_classes => '2bounce',
	    '2bounce_notice_recipient' => 'later@far.test');
	my $id = post('', 'nobody@far.test');
	my ($last) = $mail->wait_log(
	    qr/$id: postmaster non-delivery notification: \w+/) =~ /(\w+)$/;

	$mail->wait_log(qr/$last: to=<later\@far\.test>.*status=deferred/);
	use_settings(double_bounce_sender => 'somebody@else.test',
	    '2bounce_notice_recipient' => 'pm3@back.test');
	unlink $down;
	$mail->postrider('queue', 'flush');
	$mail->wait_log(qr/$last: undeliverable postmaster notification discarded/);
	$mail->wait_log(qr/$last: removed/);
	$mail->wait_empty;
	unlike($mail->log, qr/$last: sender/);
	use_settings(notify_classes => '', double_bounce_sender => undef);
};

subtest 'a report that is refused for good is not tried for ever' => sub {
	use_settings(notify_classes => '2bounce');
	# cleanup says 5xx when an alias stands for nobody
	spew($mail->etc . '/virtual', "empty\@back.test ,\n");
	use_settings();
	my $id = post('empty@back.test', 'nobody@far.test');

	$mail->wait_log(qr/error: $id: the report to <empty\@back\.test> is refused for good: 5/, 20);
	$mail->wait_log(qr/$id: postmaster non-delivery notification: \w+/);
	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	is(scalar to('pm3@back.test'), 1);
	spew($mail->etc . '/virtual', '');
	use_settings(notify_classes => '');
};

subtest 'thousands of failures are a few reports' => sub {
	my @to = map { "nobody$_\@far.test" } 1 .. 6000;
	my $id = post('many@back.test', @to);

	$mail->wait_log(qr/$id: removed/, 60);
	$mail->wait_empty(60);
	my @reports = to('many@back.test');
	is(scalar @reports, 2);
	my %seen;
	for (@reports) {
		my @final = $_->{data} =~ /^Final-Recipient: rfc822; (\S+)\r$/mg;
		$seen{$_}++ for @final;
		cmp_ok(scalar @final, '<=', 5000);
	}
	is(scalar(keys %seen), 6000, 'each of them');
	is(scalar(grep { $_ != 1 } values %seen), 0, 'once');
};

subtest 'soft_bounce keeps it' => sub {
	use_settings(soft_bounce => 'yes');
	my $id = post('al3@back.test', 'nobody@far.test');

	$mail->wait_log(qr/$id: to=<nobody\@far\.test>.*dsn=4\.1\.1, status=SOFTBOUNCE \(/);
	wait_for(sub { $mail->queue_count('deferred') == 1 }, 10, 'deferral');
	is(scalar to('al3@back.test'), 0);
	use_settings(soft_bounce => 'no');
	$mail->postrider('queue', 'flush');
	$mail->wait_log(qr/$id: removed/, 20);
	$mail->wait_empty;
	is(scalar to('al3@back.test'), 1);
};

subtest 'texts of the administrator\'s own' => sub {
	spew($mail->etc . '/bounce.cf', "failure_template = <<EOF\n" .
	    "Charset: utf-8\nFrom: Postamt <MAILER-DAEMON>\n" .
	    "Subject: Zur\n\n\xc3\x9cbrigens \$myhostname, " .
	    "\${maximal_queue_lifetime_hours} Stunden.\nEOF\n");
	use_settings(bounce_template_file => $mail->etc . '/bounce.cf');
	my $id = post('al4@back.test', 'nobody@far.test');

	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	my ($report) = to('al4@back.test');
	like($report->{data}, qr/^From: Postamt <MAILER-DAEMON\@mail\.local\.test>\r$/m);
	like($report->{data}, qr/^Subject: Zur\r$/m);
	like($report->{data}, qr/charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\x9cbrigens mail\.local\.test, 120 Stunden\.\r$/m);
};

subtest 'a mistake in them is told, and reports go on' => sub {
	spew($mail->etc . '/bounce.cf', "failure_template = <<EOF\n\nx\n");
	my ($status, $text) = $mail->postrider('check');
	isnt($status, 0, 'postrider check');
	like($text, qr/bounce\.cf:3: the file ends before "EOF"/);
	$mail->stop;
	$mail->start;
	my $id = post('al5@back.test', 'nobody@far.test');
	$mail->wait_log(qr/warning: bounce_template_file: .*bounce\.cf:3: .*; the texts that Postrider brings along are used/);
	$mail->wait_log(qr/$id: removed/);
	$mail->wait_empty;
	my ($report) = to('al5@back.test');
	like($report->{data}, qr/^Subject: Undelivered Mail Returned to Sender\r$/m);
};

subtest 'sessions that went wrong: a few letters, not one for each' => sub {
	use_settings(bounce_template_file => undef,
	    notify_classes => 'protocol',
	    error_notice_recipient => 'errors@back.test');
	for (1 .. 12) {
		my $c = $mail->client;
		$c->expect(220);
		$c->command('HELO client.test', 250);
		$c->command('WHAT is this', qr/5\d\d/);
		$c->command('QUIT', 221);
	}
	$mail->wait_log(qr/many sessions go wrong/);
	wait_for(sub { to('errors@back.test') == 10 }, 10, 'ten letters');
	$mail->wait_empty;
	is(scalar to('errors@back.test'), 10);
	my ($letter) = to('errors@back.test');
	is($letter->{from}, 'double-bounce@local.test');
	like($letter->{data}, qr/^Subject: Postrider SMTP server: errors from unknown\[127\.0\.0\.1\]\r$/m);
	like($letter->{data}, qr/^Message-ID: <\S+\@mail\.local\.test>\r$/m);
	like($letter->{data}, qr/WHAT is this/);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
