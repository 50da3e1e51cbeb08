# wal.t - small messages that are committed together in a write-ahead log: the
# promises of common/queue/wal.c, struck at. What a message without a file is
# promised by others is in their tests.
use strict;
use warnings;
use Fcntl qw(:flock);
use POSIX qw(EIO ENOSPC);
use Test::More;
use Postrider qw(spew wait_for);
use Postrider::Promise;

my $lab = laboratory('relay', settings => { cleanup_wal_rate => 0,
    cleanup_wal_size => '256K' });
my $mail = $lab->mail;
my $write = qr{^pwritev2 spool/incoming/wal};
my $incoming = $mail->spool . '/incoming';

# --- what the tests do --------------------------------------------------------

# Messages at once, all of which end in the same moment: the words of those
# that were accepted, and of those that were not.
sub post_at_once
{
	my (@words) = @_;
	my %clients = map { $_ => begin_one($_) } @words;
	my (@accepted, @refused);

	$_->raw(".\r\n") for values %clients;
	for my $word (@words) {
		my $reply = $clients{$word}->reply // '';
		push @{ $reply =~ /^250/ ? \@accepted : \@refused }, $word;
	}
	return (\@accepted, \@refused);
}

# A message without its end.
sub begin_one
{
	my ($word) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO c.test', 250);
	$c->command('MAIL FROM:<>', 250);
	$c->command("RCPT TO:<$word\@relay.test>", 250);
	$c->command('DATA', 354);
	$c->raw("Subject: $word\r\n\r\n$word\r\n");
	return $c;
}

# How often each has arrived.
sub arrived
{
	my %count;

	$count{$_}++ for map { s/[<>]|@.*//gr } map { @{ $_->{rcpt} } }
	    $lab->{sink}->messages;
	return \%count;
}

# Until all of these are there.
sub wait_arrived
{
	my (@words) = @_;

	wait_for(sub { my $have = arrived(); !grep { !$have->{$_} } @words },
	    30, "@words\n" . $mail->log);
}

# Messages that nobody delivers: they stay in the log, and in nothing else.
sub keep
{
	to_log($lab);
	kill 'STOP', $mail->children('smtp');
	my ($accepted) = post_at_once(@_);
	is(scalar @$accepted, scalar @_, 'taken: ' . scalar @_);
	is(join(' ', grep { !/wal/ } glob "$incoming/*"), '',
	    'there are no files');
}

# What was kept is delivered by a new qmgr, which knows of it what stands in
# the log.
sub deliver_anew
{
	afresh($lab, 'qmgr');
	my @stopped = $mail->children('smtp');
	kill 'KILL', @stopped;
	kill 'CONT', @stopped;
}

# The log that has something in it, to be changed.
sub open_log
{
	my ($path) = grep { Postrider::logged($_) > 0 } glob "$incoming/wal.*";

	open my $f, '+<:raw', $path or die "$path: $!";
	return $f;
}

sub bytes
{
	my ($f, $at, $length) = @_;
	my $bytes;

	sysseek $f, $at, 0;
	sysread $f, $bytes, $length;
	return $bytes;
}

# Other bits at a place.
sub flip
{
	my ($f, $at, $bits) = @_;
	my $byte = chr(ord(bytes($f, $at, 1)) ^ $bits);

	sysseek $f, $at, 0;
	syswrite $f, $byte;
}

# Where the last record stands that says this word.
sub place_of
{
	my ($f, $word) = @_;
	my $at = rindex bytes($f, 0, -s $f), "Subject: $word\r\n";

	die "$word is not in the log" if $at < 0;
	my $record = rindex bytes($f, 0, $at), 'PRwr';
	return ($record, $at);
}

# Messages in hold/, each of which shows that qmgr has looked at everything.
sub keep_signs
{
	keep(@_);
	my ($status, $said) = $mail->run('', Postrider::bin() .
	    '/postrider-queue', '-c', $mail->etc, 'hold', 'ALL');
	is($status, 0, 'put on hold') or diag $said;
	my @stopped = $mail->children('smtp');
	kill 'KILL', @stopped;
	kill 'CONT', @stopped;
}

# A sign becomes new mail of which nobody is told; `make_look` makes qmgr look.
# It looks at logs before it looks at files.
sub look
{
	my ($make_look) = @_;
	my ($sign) = glob $mail->spool . '/hold/*';
	my $before = $lab->{sink}->count;

	rename $sign, $sign =~ s{/hold/}{/incoming/}r or die "$sign: $!";
	$make_look->();
	wait_for(sub { $lab->{sink}->count > $before }, 30, 'a look');
}

# --- the promises -------------------------------------------------------------

promise('wal-1', sub {
	to_log($lab);
	my @calls = watch($lab, 'cleanup');
	order(\@calls, 'the write' => qr/$write.* = [1-9]/,
	    'the answer' => qr{^sendmsg private/cleanup},
	    'the news' => qr{^sendmsg private/qmgr});
	is(scalar(grep { /$write/ } @calls), 1, 'there is one write');
	is(scalar(grep { /^(fsync|fdatasync|openat) / } @calls), 0,
	    'and neither a file nor another sync');
	for my $how (EIO, ENOSPC, 'short') {
		to_log($lab);
		is_refused($lab, strike($lab, 'cleanup', $write, $how));
		afresh($lab, 'cleanup');
	}

	# Some of them wait for another write than the one that fails.
	to_log($lab);
	my ($accepted, $refused);
	my $calls = $lab->during('cleanup', sub {
		($accepted, $refused) = post_at_once(map { "many$_" } 1 .. 12);
	}, $write, EIO);
	like($calls, qr/^hit/m, 'one write of several fails');
	cmp_ok(scalar @$refused, '>', 0, 'refused: ' . scalar @$refused);
	wait_arrived(@$accepted);
	is(join(' ', grep { arrived()->{$_} } @$refused), '',
	    'what was in it is nowhere');
	is(join(' ', grep { arrived()->{$_} != 1 } @$accepted), '',
	    'all else arrives, once');
	afresh($lab, 'cleanup');
});

promise('wal-2', sub {
	my $log = qr{spool/incoming/wal};

	$lab->once;
	afresh($lab, 'cleanup');
	my @calls = watch_during($lab, 'cleanup', sub {
		to_log($lab);
		$lab->once;
	});
	order(\@calls, 'wiping' => qr/^pwrite64 $log/,
	    'the head' => qr/^pwrite64 $log/,
	    'the sync' => qr/^fsync $log.* = 0/,
	    'the first record' => qr/$write/);

	# Who is killed, or fails, while he begins one has lost nothing.
	for ([qr/^pwrite64 $log/, 'before'], [qr/^pwrite64 $log/, 'after'],
	    [qr/^fsync $log/, 'before'], [qr/^fsync $log/, 'after'],
	    [qr/^pwrite64 $log/, EIO], [qr/^fsync $log/, EIO]) {
		afresh($lab, 'cleanup') if $mail->children('cleanup');
		delete $lab->{is_new};
		strike($lab, 'cleanup', @$_, twice => 1);
	}

	# A log all of which was marked is used again; none of the old marks
	# is one of a new record.
	afresh($lab, 'cleanup');
	my %used;
	my $begun = sub { map { my $log = $_; open my $f, '<:raw', $log or die;
	    $log . unpack 'H*', bytes($f, 24, 8) } glob "$incoming/wal.*" };
	wait_for(sub {
		to_log($lab);
		$used{$_} = 1 for $begun->();
		my %logs = map { s/(wal\.\d+).*/$1/r => 1 } keys %used;
		keys %used > keys(%logs) + 1 or do {
			post_at_once(map { "fill$_" } 1 .. 30);
			0;
		};
	}, 60, 'a log to be used again');
	wait_for(sub { $mail->queue_count == 0 }, 30, 'an empty queue');
	keep(map { "new$_" } 1 .. 20);
	deliver_anew();
	wait_arrived(map { "new$_" } 1 .. 20);
	pass('each of twenty new ones is found by who knows the log only');

	# As long as there is one that is not marked nobody takes it.
	$lab->_wipe;
	keep('old');
	my $f = open_log();
	my $generation = bytes($f, 24, 8);
	afresh($lab, 'cleanup');
	post_at_once(map { "other$_" } 1 .. 3);
	is(bytes($f, 24, 8), $generation, 'a log that was left is not begun');
	deliver_anew();
	wait_arrived('old');
	wait_for(sub { bytes($f, 2048, 8) eq $generation }, 20, 'its release');
	pass('it is released when what was in it is delivered');
});

promise('wal-4', sub {
	my $go = $mail->dir . '/go';
	my ($reply, $seen);

	# The write is made, and its sync takes long, and fails. Meanwhile qmgr
	# looks, and another one.
	keep_signs(map { "sign$_" } 1 .. 4);
	my $calls = $lab->during('cleanup', sub {
		my $c = begin_one('unsure');
		$c->raw(".\r\n");
		wait_for(sub { Postrider::slurp($mail->dir . '/during') =~
		    /^hit/m }, 20, 'the write');
		my $f = open_log();
		ok(eval { place_of($f, 'unsure') }, 'its record can be read');
		look(sub { $mail->reload }) for 1 .. 3;
		look(sub { kill 'KILL', $mail->children('qmgr') });
		spew($go, '');
		$reply = $c->reply;
	}, $write, EIO, 1, until => $go);
	like($reply, qr/^4/, 'its sender is told to try again');
	wait_for(sub { $mail->queue_count == 0 }, 30, 'an empty queue');
	is(arrived()->{unsure}, undef, 'and nobody gets it');
	afresh($lab, 'cleanup');
	post_at_once('after');
	wait_arrived('after');
	is(arrived()->{unsure}, undef, 'nor when its writer has gone');

	# Whom a qmgr that died was told of is found though nobody writes
	# behind him, and his writer lives.
	keep('idle');
	deliver_anew();
	wait_arrived('idle');
	is(arrived()->{idle}, 1, 'one who is committed arrives, once');
});
promise('wal-3', sub {
	# The last write may be one that nobody was told of.
	keep('last');
	my $f = open_log();
	my (undef, $image) = place_of($f, 'last');
	flip($f, $image, 1);
	afresh($lab, 'cleanup');	# what is still written is not judged
	deliver_anew();
	$mail->wait_log(qr/not complete in the write-ahead log/, 20);
	wait_for(sub { $mail->queue_count == 0 }, 30, 'an end');
	is(arrived()->{last}, undef, 'nobody gets what is damaged');

	# Of another one somebody was: he is told, and it is kept.
	keep('first');
	keep('second');
	$f = open_log();
	(undef, $image) = place_of($f, 'first');
	flip($f, $image, 1);
	afresh($lab, 'cleanup');	# what is still written is not judged
	deliver_anew();
	wait_arrived('second');
	$mail->wait_log(qr/damaged in write-ahead log \d+; .*corrupt/, 20);
	my @kept = glob $mail->spool . '/corrupt/*';
	is(scalar @kept, 1, 'the damaged one is kept');
	is(arrived()->{first}, undef, 'and not delivered');
	unlink @kept;

	# One bit is no mark.
	for my $bit (1, 16, 128) {
		my $word = "bit$bit";
		keep($word);
		$f = open_log();
		my ($record) = place_of($f, $word);
		flip($f, 4096 + $record / 256, $bit);
		deliver_anew();
		wait_arrived($word);
	}
	pass('no single bit of a mark ends a message');

	# A record's head has the name of its file.
	keep('named', 'behind');
	$f = open_log();
	my ($record) = place_of($f, 'named');
	flip($f, $record + 24 + 14, 1);
	deliver_anew();
	wait_arrived('behind');
	is(arrived()->{named}, undef, 'nobody gets what has another name');
});

$lab->close;
done_testing();
