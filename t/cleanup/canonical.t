# canonical.t - addresses are written as this site writes them.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s',
	defer_transports => 'local',	# files are looked at before they go
	recipient_delimiter => '+',
	canonical_maps => 'texthash:${config_directory}/canonical',
	sender_canonical_maps => 'texthash:${config_directory}/sender',
	recipient_canonical_maps => 'regexp:${config_directory}/recipient',
	relocated_maps => 'texthash:${config_directory}/relocated',
	cleanup_processes => 1 },
    files => { canonical => <<'END', sender => <<'END',
jdoe John.Doe
john.doe@local.test J.Doe
@old.test @new.test
both@far.test canonical@far.test
circle.a@far.test circle.b@far.test
circle.b@far.test circle.a@far.test
same@far.test same@far.test
END
both@far.test sender@far.test
END
	recipient => "/^both\@(.*)\$/ recipient\@\$1\n", relocated =>
	"gone\@local.test new\@home.test\n\@moved.test the moon\n" })->start;

# One message by SMTP; the queue file.
sub smtp
{
	my (%o) = @_;
	my $reply = $mail->send(from => 'al@some.test',
	    to => ['bob@far.test'], text => "Subject: x\n\nbody\n", %o);
	my ($id) = $reply =~ /^250 2\.0\.0 Ok: queued as (\w+)$/
	    or die "unexpected reply: $reply";
	return Postrider::QueueFile->find($mail, $id);
}

# Ask for one thing; the reply.
sub rcpt
{
	my ($address) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250);
	return $c->command("RCPT TO:<$address>", qr/^\d/);
}

subtest 'the envelope' => sub {
	my $f = smtp(from => 'jdoe@local.test', to => ['jdoe@local.test',
	    'x@old.test', 'x+y@old.test', 'bob@far.test']);
	is($f->{sender}, 'J.Doe@local.test', 'answers are asked about again');
	is_deeply($f->{recipients}, [qw(J.Doe@local.test x@new.test
	    x+y@new.test bob@far.test)]);
	is_deeply($f->{originals}, [qw(jdoe@local.test x@old.test
	    x+y@old.test), '']);
	is(smtp(to => ['jdoe+ext@local.test'])->{recipients}[0],
	    'J.Doe+ext@local.test', 'the extension is kept');
	is(smtp(from => '')->{sender}, '', 'nobody stays nobody');
};

subtest 'tables of senders and recipients come first' => sub {
	my $f = smtp(from => 'both@far.test', to => ['both@far.test'], text =>
	    "From: both\@far.test\nTo: both\@far.test\nSubject: x\n\nx\n");
	is($f->{sender}, 'sender@far.test');
	is($f->{recipients}[0], 'recipient@far.test');
	like($f->{content}, qr/\r\nFrom: sender\@far\.test\r\nTo: recipient\@far\.test\r\n/);
};

subtest 'headers of mail from here' => sub {
	my $f = smtp(text => "From: \"Doe, J.\" <jdoe>\nTo: jdoe (John),\n" .
	    "\tgroup: x\@old.test, y\@far.test;\nReply-To: <jdoe\@local.test>\n" .
	    "X-Other: jdoe\@local.test\nSubject: jdoe\n\njdoe\@local.test\n");
	like($f->{content}, qr/\r\nFrom: "Doe, J\." <J\.Doe\@local\.test>\r\nTo: J\.Doe\@local\.test \(John\),\r\n\tgroup: x\@new\.test, y\@far\.test;\r\nReply-To: <J\.Doe\@local\.test>\r\nX-Other: jdoe\@local\.test\r\nSubject: jdoe\r\n.*\r\n\r\njdoe\@local\.test\r\n\z/s);
	$mail->sendmail("To: x\@old.test\nSubject: y\n\nbody\n", '-t', '-f',
	    'jdoe', '-F', 'John');
	$mail->wait_log(qr/from=<J\.Doe\@local\.test>/);
};

subtest 'originals can be forgotten' => sub {
	$mail->set(enable_original_recipient => 'no');
	$mail->reload;
	my $f = wait_for(sub {
		my $f = smtp(to => ['x@old.test']);
		return $f->{originals}[0] eq '' ? $f : undef;
	}, 20, 'the new settings');
	is($f->{recipients}[0], 'x@new.test');
	is($f->{orcpts}[0], 'rfc822;x@old.test', 'but for reports');
};

subtest 'a circle, and what is itself' => sub {
	is(smtp(to => ['same@far.test'])->{recipients}[0], 'same@far.test');
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<circle.a@far.test>' => 250, DATA => 354);
	is($c->data("Subject: x\n\nx\n", qr/^\d/),
	    '451 4.3.0 Error: temporary lookup failure');
	$mail->wait_log(qr/canonical_maps: the answers for \S+ lead in a circle/);
};

subtest 'who exists' => sub {
	like(rcpt('jdoe@local.test'), qr/^250 /, 'a name of the table');
	like(rcpt('nobody.here@local.test'), qr/^550 5\.1\.1 <nobody\.here\@local\.test>: Recipient address rejected: User unknown/);
	is(rcpt('gone@local.test'), '550 5.1.6 <gone@local.test>: Recipient ' .
	    'address rejected: User has moved to new@home.test');
	is(rcpt('x@moved.test'), '550 5.1.6 <x@moved.test>: Recipient ' .
	    'address rejected: User has moved to the moon');
	$mail->sendmail("Subject: x\n\nx\n", 'gone@local.test');
	$mail->wait_log(qr/to=<gone\@local\.test>, .*dsn=5\.1\.6, status=bounced \(.*User has moved to new\@home\.test/);
};

subtest 'headers of strangers stay, classes, remote_header_rewrite_domain' => sub {
	my $text = "From: jdoe\nTo: jdoe\@local.test\nCc: x\@host\nSubject: x\n\nx\n";
	$mail->set(local_header_rewrite_clients => 'permit_mynetworks',
	    mynetworks => '10.0.0.0/8', relay_domains => 'far.test',
	    canonical_classes => 'envelope_sender');
	$mail->reload;
	my $f = wait_for(sub {
		my $f = smtp(text => $text);
		return $f->{content} =~ /\r\nFrom: jdoe\r\n/ ? $f : undef;
	}, 20, 'the new settings');
	like($f->{content}, qr/\r\nFrom: jdoe\r\nTo: jdoe\@local\.test\r\nCc: x\@host\r\nSubject: x\r\n\r\n/);
	$f = smtp(from => 'jdoe@local.test', to => ['jdoe@local.test']);
	is($f->{sender}, 'J.Doe@local.test');
	is($f->{recipients}[0], 'jdoe@local.test', 'not in canonical_classes');

	$mail->set(remote_header_rewrite_domain => 'domain.invalid',
	    append_dot_mydomain => 'yes');
	$mail->reload;
	$f = wait_for(sub {
		my $f = smtp(text => $text);
		return $f->{content} =~ /invalid/ ? $f : undef;
	}, 20, 'the new settings');
	like($f->{content}, qr/\r\nFrom: jdoe\@domain\.invalid\r\nTo: jdoe\@local\.test\r\nCc: x\@host\.domain\.invalid\r\nSubject: x\r\n\r\n/);

	$mail->set(local_header_rewrite_clients => 'static:all');
	$mail->reload;
	$f = wait_for(sub {
		my $f = smtp(text => $text);
		return $f->{content} =~ /invalid/ ? undef : $f;
	}, 20, 'the new settings');
	like($f->{content}, qr/\r\nFrom: jdoe\@local\.test\r\nTo: jdoe\@local\.test\r\nCc: x\@host\.local\.test\r\n/);
	like($f->{content}, qr/\r\nMessage-ID: </, 'and it is completed');
};

is_deeply([$mail->complaints], [], 'nothing is complained of');
$mail->stop;
done_testing;
