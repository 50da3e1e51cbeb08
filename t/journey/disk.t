# disk.t - a full disk: new mail is postponed, accepted mail is kept, and
# everything goes on by itself when there is room again.
use strict;
use warnings;
use Test::More;
use Postrider;
use Postrider::Mounts;

plan(skip_all => 'a private mount namespace cannot be had here')
    unless Postrider::Mounts::alone();

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	message_size_limit => 1000000, smtpd_error_sleep_time => '0s',
	smtpd_hard_error_limit => 1000,
	minimal_backoff_time => '1s', maximal_backoff_time => '1s',
	queue_run_delay => '1s', smtp_destination_concurrency_limit => 2,
});
my $user = $mail->user(0);
my $spool = $mail->spool;
END {
	if ($mail) {
		local $?;
		$mail->stop;
		Postrider::Mounts::leave();
	}
}
Postrider::Mounts::tmpfs($spool, 'size=8m,nr_inodes=2000,mode=755');

# The next hop does what the file says: "later", "never", or it takes mail.
my $mood = $mail->dir . '/mood';
my $sink = $mail->sink(replies => sub {
	my ($verb) = @_;
	return undef unless $verb eq 'RCPT';
	my $now = Postrider::slurp($mood);
	return '450 4.2.0 later' if $now eq 'later';
	return '550 5.1.1 never' if $now eq 'never';
	return undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

# Take the space, or all the names; let go of them.
sub fill {
	my ($path) = @_;
	open my $f, '>>', $path or die "$path: $!";
	binmode $f;
	for my $size (65536, 4096, 1) {
		1 while syswrite $f, 'x' x $size;
	}
	ok($!{ENOSPC}, 'the disk is full');
}
sub fill_names {
	mkdir "$spool/names";
	my $n = 0;
	while (open my $f, '>', "$spool/names/" . $n) {
		$n++;
	}
	ok($!{ENOSPC}, "no file can be created ($n were)");
}
sub empty { system('rm', '-rf', "$spool/filler", "$spool/names") == 0 or die }

sub mail_from {
	my $c = $mail->client;
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	my $reply = $c->command('MAIL FROM:<s@local.test>');
	$c->command('QUIT', 221);
	return $reply;
}

# Send one message to the end of DATA, do something, send the end.
sub interrupted {
	my ($to, $text, $do) = @_;
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<s@local.test>' => 250,
	    "RCPT TO:<$to>" => 250, DATA => 354);
	$do->();
	my $reply = $c->data($text, qr/^\d/);
	$c->command('QUIT', 221);
	return $reply;
}

sub arrives {
	my (@to) = @_;
	for my $to (@to) {
		Postrider::wait_for(sub { grep { $_->{rcpt}[0] eq $to }
		    $sink->messages }, 20, "$to\n" . $mail->log);
	}
	my %wanted = map { $_ => 1 } @to;
	return scalar(grep { $wanted{ $_->{rcpt}[0] } } $sink->messages);
}

like($mail->send(from => 's@local.test', to => ['before@relay.test']),
    qr/^250/, 'with room, mail is taken');
is(arrives('before@relay.test'), 1, 'and delivered');

# Messages that must survive: they wait for the next hop, and for a bounce.
Postrider::spew($mood, 'later');
my @waiting = map { "waiting$_\@relay.test" } 1 .. 10;
$mail->send(from => "$user\@local.test", to => [$_],
    text => "Subject: $_\n\n$_\n") for @waiting;
$mail->wait_log(qr/to=<waiting10\@relay\.test>.*status=deferred/);

# --- no space -----------------------------------------------------------------

my $big = "Subject: big\n\n" . ('y' x 70 . "\n") x 8000;
like(interrupted('full@relay.test', $big, sub { fill("$spool/filler") }),
    qr/^452 4\.3\.1 /, 'a disk that fills during DATA is told with 452');
like(mail_from(), qr/^452 4\.3\.1 /, 'a full disk is told at MAIL with 452');
ok($mail->wait_log(qr/NOQUEUE: reject: MAIL from .*: 452 4\.3\.1 /),
    'and logged');
my ($status, $text) = $mail->sendmail("To: s\@relay.test\n\nx\n", '-t');
is($status, 75, 'sendmail says "try later"');
like($text, qr/No space left|insufficient|storage/i, 'and why');
my @left = glob "$spool/maildrop/*";
is("@left", '', 'nothing half is left in maildrop/');
is($mail->queue_count('incoming', 'deferred'), scalar(@waiting),
    'the queue holds what was accepted and nothing else');

# Deliveries are tried while their outcome cannot be written down.
my $tries = () = $mail->log =~ /to=<waiting\d+\@relay.*status=deferred/g;
Postrider::wait_for(sub { (() = $mail->log =~
    /to=<waiting\d+\@relay.*status=deferred/g) > $tries + 5 }, 15,
    "more tries\n" . $mail->log);
pass('deliveries are tried on a full disk');
is($mail->queue_count('incoming', 'deferred'), scalar(@waiting),
    'and lose nothing');

# Some are delivered now: there is no room, but none is needed.
Postrider::spew($mood, '');
is(arrives(@waiting), scalar(@waiting),
    'what waited is delivered, full disk or not');
Postrider::wait_for(sub { $mail->queue_count('incoming', 'deferred') == 0 },
    20, "the queue\n" . $mail->log);
pass('and taken out of the queue');

# Space returns: nobody has to do anything.
empty();
$mail->wait_room;
like($mail->send(from => 's@local.test', to => ['after@relay.test']),
    qr/^250/, 'with room again, mail is taken again');
($status, $text) = $mail->sendmail("To: s\@relay.test\n\nx\n", '-t');
is($status, 0, 'by sendmail as well') or diag $text;
is(arrives('after@relay.test', 's@relay.test'), 2, 'and delivered');
is(arrives(@waiting), scalar(@waiting), 'nothing came twice');

# --- a bounce that cannot be written ------------------------------------------

Postrider::spew($mood, 'later');
$mail->send(from => "$user\@local.test", to => ['refused@relay.test'],
    text => "Subject: refused\n\nx\n");
$mail->wait_log(qr/to=<refused\@relay\.test>.*status=deferred/);
fill("$spool/filler");
Postrider::spew($mood, 'never');
$mail->wait_log(qr/to=<refused\@relay\.test>.*550 5\.1\.1 never/, 15);
sleep 2;
is(scalar(grep { /^From .*MAILER-DAEMON/ } $mail->mbox($user)), 0,
    'there is no room for the report');
is($mail->queue_count('incoming', 'deferred'), 1,
    'so the message that failed is kept');
empty();
Postrider::wait_for(sub { grep { /^From .*MAILER-DAEMON/ &&
    /refused\@relay\.test/ } $mail->mbox($user) }, 20,
    "the report\n" . $mail->log);
pass('with room, its sender gets the report');
$mail->wait_empty;
is(scalar(grep { /^From .*MAILER-DAEMON/ } $mail->mbox($user)), 1, 'once');
Postrider::spew($mood, '');

# --- no names -----------------------------------------------------------------

like(interrupted('none@relay.test', $big, \&fill_names),
    qr/^45[12] 4\.3\.[01] /, 'names that run out during DATA: try later');
like(mail_from(), qr/^452 4\.3\.1 /, 'and at MAIL: 452');
($status, $text) = $mail->sendmail("To: s2\@relay.test\n\nx\n", '-t');
is($status, 75, 'sendmail says "try later"');
empty();
$mail->wait_room;
like($mail->send(from => 's@local.test', to => ['names@relay.test']),
    qr/^250/, 'with names again, mail is taken again');
is(arrives('names@relay.test'), 1, 'and delivered');

# --- a full mailbox, a full log -----------------------------------------------

my $other = $mail->dir . '/boxes';
Postrider::Mounts::tmpfs($other, 'size=256k,mode=2775,gid=' . getgrnam('mail'));
$mail->set(mail_spool_directory => $other);
$mail->reload;
sub box { return grep { length } split /^(?=From )/m,
    Postrider::slurp("$other/$user") }
Postrider::wait_for(sub {
	$mail->send(from => 's@far.test', to => ["$user\@local.test"]);
	$mail->wait_empty;
	box() > 0;
}, 10, "the other directory\n" . $mail->log);
my $before = Postrider::slurp("$other/$user");
fill("$other/filler");
my ($id) = $mail->send(from => 's@far.test', to => ["$user\@local.test"],
    text => "Subject: late\n\n" . ('z' x 70 . "\n") x 1000) =~
    /queued as (\w+)/;
$mail->wait_log(qr/$id: to=<\Q$user\E\@local\.test>.*status=deferred/);
is(Postrider::slurp("$other/$user"), $before,
    'half a message is taken back out of a full mailbox');
unlink "$other/filler" or die;
$mail->wait_log(qr/$id: removed/, 15);
is(scalar(grep { /^Subject: late$/m && /^(?:z{70}\n){1000}\n\z/m } box()), 1,
    'with room, the message is there once and whole');
$mail->stop;

my $logs = $mail->dir . '/logs';
Postrider::Mounts::tmpfs($logs, 'size=64k,mode=755');
$mail->set(maillog_file => "$logs/log", mail_spool_directory => undef,
    mail_spool_directory => $mail->dir . '/mail');
$mail->start;
fill("$logs/log");
like($mail->send(from => 's@local.test', to => ['unlogged@relay.test']),
    qr/^250/, 'with a full log disk, mail is taken');
is(arrives('unlogged@relay.test'), 1, 'and delivered');
Postrider::spew("$logs/log", '');
$mail->send(from => 's@local.test', to => ['logged@relay.test']);
Postrider::wait_for(sub { Postrider::slurp("$logs/log") =~
    /to=<logged\@relay\.test>.*status=sent/ }, 10, 'the log');
pass('with room, the log goes on');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
