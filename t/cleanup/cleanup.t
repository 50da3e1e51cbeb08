# cleanup.t - headers, envelope, limits and the commit, seen from outside.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new(settings => { cleanup_wal_size => 0,
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s',
	message_size_limit => 200000,
	header_size_limit => 20000,
	virtual_alias_maps => 'texthash:${config_directory}/virtual',
	virtual_alias_domains => 'list.test',
	cleanup_processes => 1 },
    files => { virtual => "team\@list.test a\@far.test, b\@far.test\n" .
	"all\@list.test team\@list.test, c\@far.test, a\@far.test\n" .
	"crowd\@list.test " .
	join(', ', map { "member$_\@far.test" } 1 .. 900) . "\n" })->start;

# One message by SMTP; the queue file.
sub smtp
{
	my (%o) = @_;
	my $reply = $mail->send(from => 'al@some.test',
	    to => ['bob@far.test'], %o);
	my ($id) = $reply =~ /^250 2\.0\.0 Ok: queued as (\w+)$/
	    or die "unexpected reply: $reply";
	my $f = Postrider::QueueFile->find($mail, $id);
	$f->{id} = $id;
	return $f;
}

# The reply to a message that is refused.
sub refusal
{
	my ($text) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->script('EHLO client.test' => 250, 'MAIL FROM:<al@some.test>' => 250,
	    'RCPT TO:<bob@far.test>' => 250, DATA => 354);
	return $c->data($text, qr/^[45]/);
}

# How many messages there are when all of them have been tried.
sub settled_count
{
	wait_for(sub { $mail->queue_count('incoming') == 0 }, 10,
	    'an empty incoming/');
	return $mail->queue_count;
}

my $whole = "From: a\@b.test\nTo: c\@d.test\nDate: now\n" .
    "Message-ID: <1\@2>\nSubject: x\n\nbody\n";

subtest 'a message by SMTP' => sub {
	my $f = smtp(text => $whole);
	(my $wire = $whole) =~ s/\n/\r\n/g;
	like($f->{content}, qr/^Received: from client\.test \(.* \[127\.0\.0\.1\]\)\r\n\tby mail\.local\.test \(Postrider\) with ESMTP id $f->{id}\r\n\tfor <bob\@far\.test>; .*\r\n\Q$wire\E\z/s);
	is($f->{sender}, 'al@some.test');
	is($f->{origin}, 'smtpd');
	$mail->wait_log(qr/cleanup\[\d+\]: $f->{id}: message-id=<1\@2>/);
	is($f->{mode}, 0700, 'the mode says complete');
};

subtest 'several recipients are not told' => sub {
	my $f = smtp(to => ['bob@far.test', 'eve@far.test'], text => $whole);
	unlike($f->{content}, qr/eve\@far|bob\@far/);
	is_deeply($f->{recipients}, [qw(bob@far.test eve@far.test)]);
};

subtest 'Bcc: and Return-Path: go' => sub {
	my $f = smtp(text => "Return-Path: <x\@y>\nBcc: s\@t.test\n$whole");
	unlike($f->{content}, qr/return-path|bcc/i);
};

subtest 'our own network gets missing headers' => sub {
	my $f = smtp(text => "Subject: x\n\nbody\n");
	like($f->{content}, qr/\r\nMessage-ID: <\d+\.$f->{id}\@mail\.local\.test>\r\n/);
	like($f->{content}, qr/\r\nDate: /);
	like($f->{content}, qr/\r\nFrom: al\@some\.test\r\n/);
};

subtest 'hops' => sub {
	smtp(text => ("Received: by x\n" x 50) . $whole);
	is(refusal(("Received: by x\n" x 51) . $whole),
	    '554 5.4.6 Error: too many hops');
};

subtest 'size' => sub {
	like(refusal("$whole\n" . ('x' x 99 . "\n") x 2000),
	    qr/^552 5\.3\.4 /);
	ok(smtp(text => "$whole\n" . ('x' x 99 . "\n") x 1800));
};

subtest 'a header block without an end' => sub {
	my $f = smtp(text => join('', ('X-Line: ' . 'y' x 80 . "\n") x 400) .
	    "Bcc: secret\@far.test\n");
	is(() = $f->{content} =~ /X-Line/g, 400, 'is passed on');
	unlike($f->{content}, qr/secret/, 'as a header');
};

subtest 'a field without an end' => sub {
	my $long = join '', (' ' . 'y' x 80 . "\n") x 400;
	my $f = smtp(text => "X-Line:\n${long}Subject: x\nBcc: secret,\n" .
	    $long =~ s/y+/'secret, ' x 8/egr . "To: x\@far.test\n\nbody\n");
	is(() = $f->{content} =~ /^ y+\r$/mg, 400, 'is passed on');
	unlike($f->{content}, qr/secret|Bcc/, 'or dropped, to its last line');
	like($f->{content}, qr/^Subject: x\r\nTo: x\@far.test\r\n/m,
	    'and what follows is read');
	$mail->wait_log(qr/$f->{id}: a header field is longer than header_/);
};

subtest 'virtual aliases' => sub {
	my $f = smtp(to => ['all@list.test', 'B@far.test', 'b@far.test'],
	    text => $whole);
	is_deeply([sort @{ $f->{recipients} }], [qw(B@far.test a@far.test
	    b@far.test c@far.test)], 'each mailbox once');
	is(scalar @{ smtp(to => ['crowd@list.test'], text => $whole)
	    ->{recipients} }, 900);
};

subtest 'nothing is left of what was refused or broken off' => sub {
	my $before = settled_count();
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<a@b.test>' => 250,
	    'RCPT TO:<b@far.test>' => 250, DATA => 354);
	$c->raw("Subject: x\r\n\r\n" . ('y' x 78 . "\r\n") x 2000);
	wait_for(sub { $mail->queue_count > $before }, 10, 'the file');
	$c->close;
	wait_for(sub { $mail->queue_count == $before }, 10, 'its end');
	pass('the file is gone');
};

# commit-1, and what a small message costs.
SKIP: {
	skip 'strace needs root', 1 unless Postrider::is_root() &&
	    -x '/usr/bin/strace';
	subtest 'one sync, before the answer' => sub {
		my ($pid) = $mail->children('cleanup');
		my $trace = $mail->dir . '/trace';
		my $tracer = fork // die;
		if ($tracer == 0) {
			open STDERR, '>', '/dev/null';
			exec 'strace', '-f', '-o', $trace, '-e', 'trace=' .
			    'openat,write,pwrite64,pwritev,fchmod,fsync,' .
			    'fdatasync,sync_file_range,rename,close,sendmsg,' .
			    'unlinkat', '-p', $pid or POSIX::_exit(1);
		}
		wait_for(sub { slurp("/proc/$pid/status") =~
		    /^TracerPid:\s+[1-9]/m }, 10, 'strace');
		my $f = smtp(text => "$whole\n" . ('x' x 79 . "\n") x 48);
		wait_for(sub { slurp($trace) =~ /SCM_RIGHTS/ }, 10,
		    'the packet to qmgr');
		kill 'INT', $tracer;
		waitpid $tracer, 0;
		my $calls = slurp($trace);
		is(() = $calls =~ /fsync\((?!<)/g, 1, 'one fsync');
		is(() = $calls =~ /pwrite64\(/g, 1, 'one write');
		is(() = $calls =~ /O_EXCL/g, 1, 'one file');
		unlike($calls, qr/fdatasync|rename|sync_file_range|unlinkat/);
		like($calls, qr/openat\(\d+,\ "$f->{id}".*O_EXCL.*
		    pwrite64\(.*fchmod\(\d+,\ 0700\).*fsync\(.*=\ 0.*
		    close\(.*sendmsg\(.*SCM_RIGHTS/sx, 'in this order')
		    or diag($calls);
		unlike((split /fsync\(\d+\)\s+= 0|fsync resumed>\)\s+= 0/,
		    $calls)[0], qr/sendmsg\([^\n]*queued as/,
		    'no 250 before the sync');
	};
}

# commit-2, recovery-1
subtest 'unfinished files are removed at the start' => sub {
	my $spool = $mail->spool;
	my $before = settled_count();
	$mail->stop;
	spew("$spool/incoming/0BCDFGHJKLMNPQR", 'half a message');
	chmod 0600, "$spool/incoming/0BCDFGHJKLMNPQR";
	chown +(stat "$spool/incoming")[4, 5],
	    "$spool/incoming/0BCDFGHJKLMNPQR";
	is($mail->queue_count, $before + 1);
	$mail->start;
	smtp(text => $whole);		# cleanup starts when it is wanted
	wait_for(sub { !-e "$spool/incoming/0BCDFGHJKLMNPQR" }, 10,
	    'the end of the file');
	is(settled_count(), $before + 1, 'and nothing else');
};

subtest 'always_bcc, undisclosed recipients, always_add_missing_headers' => sub {
	$mail->set(always_bcc => 'archive@far.test',
	    undisclosed_recipients_header => 'To: undisclosed-recipients:;',
	    mynetworks => '10.0.0.0/8', relay_domains => 'far.test',
	    always_add_missing_headers => 'yes');
	$mail->reload;
	my $f = wait_for(sub {
		my $f = smtp(text => "Subject: x\n\nbody\n");
		return @{ $f->{recipients} } == 2 ? $f : undef;
	}, 20, 'the new settings');
	is_deeply($f->{recipients}, [qw(bob@far.test archive@far.test)]);
	like($f->{content}, qr/\r\nTo: undisclosed-recipients:;\r\n\r\n/);
	like($f->{content}, qr/\r\nMessage-ID: </);
};

subtest 'an unknown setting that filters: 451, never ignored' => sub {
	$mail->set(header_checks => 'regexp:/etc/x');
	my ($status, $text) = $mail->postrider('check');
	isnt($status, 0, 'check says so');
	like($text, qr/header_checks/);
};

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
done_testing;
