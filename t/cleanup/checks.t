# checks.t - header_checks, body_checks and their kin, seen from outside.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s',
	virtual_alias_maps => 'texthash:${config_directory}/virtual',
	virtual_alias_domains => 'list.test',
	header_checks => 'regexp:${config_directory}/header',
	mime_header_checks => 'regexp:${config_directory}/mime',
	nested_header_checks => 'regexp:${config_directory}/nested',
	body_checks => 'regexp:${config_directory}/body',
	body_checks_size_limit => 4000,
	cleanup_processes => 1 },
    files => { virtual => "team\@list.test a\@far.test, b\@far.test\n",
	header => <<'END', mime => <<'END', nested => <<'END', body => <<'END' })->start;
/^Subject: reject me/		REJECT
/^Subject: reject so/		REJECT 5.6.2 not like this
/^Subject: Undelivered/		DISCARD not for us
/^Subject: later/		REJECT 4.7.9 not now
/^Subject: discard/		DISCARD good bye
/^Subject: hold/		HOLD for review
/^Subject: filter/		FILTER scan:[127.0.0.1]:10025
/^Subject: typo/		REJCT this
/^Subject: redirect/		REDIRECT other@far.test
/^Subject: copy/		BCC team@list.test
/^Subject: replace (.*)/	REPLACE Subject: new $1
/^Subject: prepend/		PREPEND X-Note: seen
/^Subject: pass/		PASS trusted
/^Subject: info/		INFO just so
/^Subject: warn/		WARN
/^X-Gone:/			IGNORE
/^X-Strip:/			STRIP not wanted
/^X-Many:/			INFO
/^X-Folded: one.  two/		REPLACE X-Folded: both
/^To: *rewritten/		REPLACE To: whoever
/^Message-ID: <drop/		IGNORE
/^Received: from hidden\./	REPLACE Received: from nowhere
END
/^Content-Type:.*name="?evil/	REJECT no such names
END
/^Subject: inner/		REJECT nested
END
/^forbidden/			REJECT
/^replaced/			REPLACE other
/^ignored/			IGNORE
/^prepended/			PREPEND in front
END

# Send; the reply and the log lines of the message.
sub reply
{
	my ($text, %o) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->script('EHLO ' . ($o{helo} // 'client.test') => 250,
	    'MAIL FROM:<al@some.test>' => 250, map({ ("RCPT TO:<$_>" => 250) }
	    @{ $o{to} // ['bob@far.test'] }), DATA => 354);
	return $c->data($text, qr/^\d/);
}

# The queue file of a message that is accepted.
sub accepted
{
	my ($text, %o) = @_;
	my $reply = reply($text, %o);
	my ($id) = $reply =~ /^250 2\.0\.0 Ok: queued as (\w+)$/
	    or die "unexpected reply: $reply";
	my $f = wait_for(sub { Postrider::QueueFile->find($mail, $id) }, 10,
	    'the queue file');
	$f->{id} = $id;
	return $f;
}

sub message { return "From: a\@b.test\nTo: c\@d.test\nDate: now\n" .
    "Message-ID: <1\@2>\n$_[0]\n\nbody\n" }

my $from = qr/from \S+\[127\.0\.0\.1\]; from=<al\@some\.test> to=<bob\@far\.test> proto=ESMTP helo=<client\.test>/;

subtest REJECT => sub {
	is(reply(message('Subject: reject me')),
	    '550 5.7.1 message content rejected');
	$mail->wait_log(qr/cleanup\[\d+\]: \w+: reject: header Subject: reject me $from: 5\.7\.1 message content rejected$/m);
	unlike($mail->log, qr/NOQUEUE: reject/, 'one line for one refusal');
	is(reply(message('Subject: reject so')), '550 5.6.2 not like this');
	$mail->wait_log(qr/: reject: header Subject: reject so $from: 5\.6\.2 not like this$/m);
	is(reply(message('Subject: later')), '451 4.7.9 not now');
	is(reply(message('Subject: reject me' . (' padding' x 700))),
	    '550 5.7.1 message content rejected', 'however long it is');
	is(reply(message("Subject: x\n\nforbidden words")),
	    '550 5.7.1 message content rejected');
	$mail->wait_log(qr/: reject: body forbidden words $from: 5\.7\.1/);
};

subtest DISCARD => sub {
	my $before = $mail->queue_count;
	like(reply(message("Subject: discard\nX-Many: x")),
	    qr/^250 2\.0\.0 Ok: queued as \w+$/);
	my $line = $mail->wait_log(qr/(\w+): discard: header Subject: discard $from: good bye$/m);
	is($mail->queue_count, $before);
};

subtest 'fields longer than header_size_limit' => sub {
	my $long = join '', map { " word$_ <bob\@inside.test>,\n" } 1 .. 9000;
	my $f = accepted(message("X-A: b\nX-Long:\n${long}X-Gone: x\n" .
	    "Bcc:\n${long}Subject: replace it"));
	my $passed = $long =~ s/\n/\r\n/gr;
	ok($f->{content} =~ /^X-A: b\r\nX-Long:\r\n\Q$passed\ESubject: new it\r\n/m,
	    'pass or go to their ends, and what follows is looked at');
};

subtest 'large messages' => sub {
	my $body = ('x' x 75 . "\n") x 20000;
	like(reply(message("Subject: discard\n\n$body")), qr/^250 /);
	like(reply(message("Subject: reject me\n\n$body")), qr/^550 5\.7\.1 /);
	my $f = accepted(message("Subject: x\n\n$body"));
	ok($f->{content} =~ /\r\n\r\n(?:x{75}\r\n){20000}\r\n\r\nbody\r\n\z/);
};

subtest HOLD => sub {
	my $f = accepted(message('Subject: hold'));
	$mail->wait_log(qr/$f->{id}: hold: header Subject: hold $from: for review$/m);
	wait_for(sub { -e $mail->spool . "/hold/$f->{id}" }, 10, 'hold/');
	is($mail->said(qr/$f->{id}: from=/), 0, 'nobody tries it');
	my ($status) = $mail->postrider('queue', 'release', $f->{id});
	is($status, 0, 'released');
	$mail->wait_log(qr/$f->{id}: from=<al\@some\.test>.*queue active/);
};

subtest FILTER => sub {
	my $f = accepted(message('Subject: filter'));
	is($f->{filter}, 'scan:[127.0.0.1]:10025', 'noted in the envelope');
	$mail->wait_log(qr/$f->{id}: filter: header Subject: filter $from: scan:\[127\.0\.0\.1\]:10025$/m);
	is(accepted(message('Subject: x'))->{filter}, '', 'or none');
};

subtest 'mistakes are not ignored' => sub {
	is(reply(message('Subject: typo')),
	    '451 4.3.5 Server configuration error');
	$mail->wait_log(qr/header_checks: unknown action "REJCT this"/);
};

subtest 'REDIRECT and BCC' => sub {
	my $f = accepted(message('Subject: redirect'),
	    to => ['bob@far.test', 'team@list.test']);
	is_deeply($f->{recipients}, ['other@far.test']);
	$f = accepted(message('Subject: copy'));
	is_deeply([sort @{ $f->{recipients} }],
	    [qw(a@far.test b@far.test bob@far.test)]);
	$mail->wait_log(qr/$f->{id}: bcc: header Subject: copy $from: team\@list\.test$/m);
};

subtest 'text is changed' => sub {
	my $f = accepted(message("Subject: replace it\nX-Gone: 1\nX-Strip: 2"));
	like($f->{content}, qr/\r\nSubject: new it\r\n\r\nbody\r\n\z/);
	$mail->wait_log(qr/$f->{id}: replace: header Subject: replace it $from: Subject: new it$/m);
	$mail->wait_log(qr/$f->{id}: strip: header X-Strip: 2 $from: not wanted$/m);
	unlike($mail->log, qr/$f->{id}: ignore/);
	$f = accepted(message("Subject: prepend\nX-Folded: one\n  two"));
	like($f->{content}, qr/\r\nX-Note: seen\r\nSubject: prepend\r\nX-Folded: both\r\n\r\n/);
	$f = accepted(message("Subject: x\n\none\nreplaced it\nignored\nprepended"));
	like($f->{content}, qr/\r\n\r\none\r\nother\r\nin front\r\nprepended\r\n\r\nbody\r\n\z/);
};

subtest 'what is replaced is rewritten, what is gone is missing' => sub {
	my $f = accepted("From: a\@b.test\nTo: rewritten\n" .
	    "Message-ID: <drop\@x>\nSubject: x\n\nbody\n");
	like($f->{content}, qr/\r\nTo: whoever\@local\.test\r\n/);
	like($f->{content}, qr/\r\nMessage-ID: <\d+\.$f->{id}\@/);
	$f = accepted(message('Subject: x'), helo => 'hidden.test');
	like($f->{content}, qr/\AReceived: from nowhere\r\nFrom: /,
	    'our own trace header can be changed');
};

subtest 'INFO, WARN and PASS' => sub {
	my $f = accepted(message('Subject: info'));
	$mail->wait_log(qr/$f->{id}: info: header Subject: info $from: just so$/m);
	$f = accepted(message('Subject: warn'));
	$mail->wait_log(qr/$f->{id}: warning: header Subject: warn $from$/m);
	$f = accepted(message("Subject: pass\n\nforbidden"));
	like($f->{content}, qr/forbidden/);
	$f = accepted(message(join "\n", map { "X-Many: $_" } 1 .. 300));
	is(() = $f->{content} =~ /X-Many/g, 300);
	$mail->wait_log(qr/$f->{id}: info: header X-Many: 300 /);
	is($mail->said(qr/$f->{id}: info: header X-Many/), 300, 'each once');
};

subtest 'parts' => sub {
	my $part = "MIME-Version: 1.0\nContent-Type: multipart/mixed; " .
	    "boundary=b\n\n--b\nContent-Type: text/plain; name=%s\n\ntext\n" .
	    "--b\nContent-Type: message/rfc822\n\nSubject: %s\n\n%s\n--b--";
	is(reply(message(sprintf $part, 'evil.exe', 'x', 'y')),
	    '550 5.7.1 no such names');
	is(reply(message(sprintf $part, 'good', 'inner', 'y')),
	    '550 5.7.1 nested');
	is(reply(message(sprintf $part, 'good', 'x', 'forbidden')),
	    '550 5.7.1 message content rejected');
	my $f = accepted(message(sprintf $part, 'good', 'reject me', 'y'));
	like($f->{content}, qr/\r\n--b\r\nContent-Type: text\/plain; name=good\r\n\r\ntext\r\n--b\r\nContent-Type: message\/rfc822\r\n\r\nSubject: reject me\r\n\r\ny\r\n--b--\r\n/);
	ok(accepted(message("Subject: x\n\n" . ('x' x 79 . "\n") x 60 .
	    'forbidden')), 'beyond the limit');
};

subtest 'mail that was posted here' => sub {
	my ($status, $out) = $mail->sendmail("Subject: reject me\n\n" .
	    "body\n", '-f', 'al@some.test', 'bob@far.test');
	$mail->wait_log(qr/: reject: header Subject: reject me from local; from=<al\@some\.test> to=<bob\@far\.test>: 5\.7\.1 message content rejected$/m);
	isnt($status, 0, 'is refused');
};

subtest 'mail of our own is not looked at' => sub {
	$mail->sendmail("Subject: x\n\nbody\n", '-f', 'al@far.test',
	    'nobody.here@local.test');
	my $log = $mail->wait_log(qr/sender non-delivery notification: (\w+)/);
	my ($id) = $log =~ /: (\w+)$/;
	like(Postrider::QueueFile->find($mail, $id)->{content},
	    qr/\r\nSubject: Undelivered/);
	$mail->set(internal_mail_filter_classes => 'bounce');
	$mail->reload;
	wait_for(sub {
		$mail->sendmail("Subject: x\n\nbody\n", '-f', 'al@far.test',
		    'nobody.here@local.test');
		$mail->log =~ /discard: header Subject: Undelivered.* from local; from=<> to=<al\@far\.test>: not for us$/m;
	}, 20, 'the new setting');
	pass('unless that is wanted');
};

subtest 'many at once' => sub {
	my @clients = map { $mail->client } 1 .. 20;
	for my $c (@clients) {
		$c->expect(220);
		$c->script('EHLO client.test' => 250,
		    'MAIL FROM:<al@some.test>' => 250,
		    'RCPT TO:<bob@far.test>' => 250, DATA => 354);
	}
	$_->raw("Subject: big\r\n\r\n" . ("text\r\n" x 2000)) for @clients;
	$clients[0]->close;
	like($_->data("end\n", qr/^\d/), qr/^250 /)
	    for @clients[1 .. $#clients];
};

subtest 'a table that does not answer postpones' => sub {
	$mail->set(body_checks => 'fail:test');
	$mail->reload;
	wait_for(sub { reply(message('Subject: x')) eq
	    '451 4.3.0 Error: temporary lookup failure' }, 20, '451');
	pass('it is postponed');
};

subtest 'characters and strictness' => sub {
	$mail->set(header_checks => undef, mime_header_checks => undef,
	    nested_header_checks => undef, body_checks => undef,
	    message_strip_characters => '\001', strict_7bit_headers => 'yes',
	    message_reject_characters => '\002\033',
	    strict_mime_encoding_domain => 'yes', mime_nesting_limit => 3,
	    strict_8bitmime_body => 'yes');
	$mail->reload;
	my $f = wait_for(sub {
		my $f = accepted(message("Subject: a\001b"));
		$f->{content} =~ /Subject: ab\r/ ? $f : undef;
	}, 20, 'the new settings');
	is(reply(message("Subject: x\n\n\033[2J")),
	    '550 5.7.1 disallowed character');
	is(reply(message("Subject: \xe4")), '550 5.6.0 improper use of ' .
	    '8-bit data in message header');
	$mail->wait_log(qr/: reject: mime-error improper use of 8-bit data in message header: Subject: /);
	is(reply(message("Subject: x\n\n\xe4")), '550 5.6.0 improper use of ' .
	    '8-bit data in message body');
	$f = accepted(message("Subject: x\nContent-Transfer-Encoding: 8bit\n\n\xe4"));
	ok($f->{flags} & 2, 'marked as 8-bit mail');
	is(reply(message("Content-Type: multipart/mixed; boundary=b\n" .
	    "Content-Transfer-Encoding: base64\n\nx")), '550 5.6.0 invalid ' .
	    'message/* or multipart/* encoding domain');
	my $deep = join '', map { "Content-Type: multipart/mixed; " .
	    "boundary=b$_\n\n--b$_\n" } 1 .. 4;
	is(reply(message("Subject: x\n$deep")),
	    '550 5.6.0 MIME nesting exceeds safety limit');
};

subtest 'receive_override_options' => sub {
	$mail->set(message_strip_characters => undef, mime_nesting_limit => undef,
	    message_reject_characters => undef, strict_7bit_headers => undef,
	    strict_mime_encoding_domain => undef,
	    strict_8bitmime_body => undef,
	    header_checks => 'regexp:${config_directory}/header',
	    receive_override_options => 'no_header_body_checks, ' .
	    'no_address_mappings, no_unknown_recipient_checks');
	$mail->reload;
	my $f = wait_for(sub {
		my $r = eval { accepted(message('Subject: reject me'),
		    to => ['team@list.test', 'nobody.here@local.test']) };
	}, 20, 'the new settings');
	is_deeply($f->{recipients}, ['team@list.test',
	    'nobody.here@local.test']);
};

is_deeply([grep { !/reject|warning|unknown action|body/ }
    $mail->complaints], [], 'nothing else is complained of');
$mail->stop;
done_testing;
