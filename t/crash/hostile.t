# hostile.t - a spool in which somebody did harm, and mailboxes that are none:
# the mail of others goes on as fast, nothing is followed, what is damaged is in
# corrupt/ with the reason in the log, and no message is lost.
#
# Messages wait in deferred/ while their files are cut at each boundary, bits
# are flipped in each region, and things that are no files are put beside them;
# maildrop/ is filled by whoever may write there. Meanwhile clients send. Then
# everything is due: each message must be delivered as it was sent, or be in
# corrupt/, or else in its queue. Content has no checksum: a bit that was flipped
# there is delivered.
use strict;
use warnings;
use Test::More;
use Fcntl qw(S_ISREG);
use List::Util qw(max min shuffle);
use POSIX qw(mkfifo);
use Postrider qw(slurp spew wait_for);
use Postrider::Correspondents;
use Postrider::Mounts;
use Postrider::Users;
use Time::HiRes qw(sleep time utime);

Postrider::need_root();
my $is_long = defined $ENV{POSTRIDER_LEDGER};
my $is_sanitized = Postrider::is_sanitized();
my $seed = $ENV{POSTRIDER_SEED} // int rand 1e6;
diag("seed $seed");
srand $seed;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', relay_domains => 'relay.test',
	minimal_backoff_time => '1000s', maximal_backoff_time => '1000s',
	queue_run_delay => '1000s', notify_classes => '',
	smtpd_client_connection_count_limit => 10000,
	smtpd_client_event_limit_exceptions => '',
	smtp_line_length_limit => 0, local_recipient_maps => '',
});
my ($dir, $spool) = ($mail->dir, $mail->spool);
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $open = "$dir/open";
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;
	return $verb eq 'RCPT' && $line =~ /<later/ && !-e $open ?
	    '450 4.2.1 later' : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
$mail->start;

my $secret = "$dir/secret";
spew($secret, "nobody may read or write this\n");
chmod 0600, $secret;

# --- the victims --------------------------------------------------------------

my $victims = $is_long ? 400 : 80;
my %file;		# id of the message => its file
{
	my $c = $mail->client;
	$c->expect(220);
	$c->command('EHLO c.test', 250);
	for my $n (1 .. $victims) {
		$c->script("MAIL FROM:<s\@relay.test>" => 250,
		    "RCPT TO:<later-$n\@relay.test>" => 250, 'DATA' => 354);
		my $reply = $c->data("X-Id: victim-$n\n\n" .
		    "victim-$n line\n" x 40);
		($file{"victim-$n"}) = $reply =~ /queued as (\w+)/;
	}
	$c->command('QUIT', 221);
}
wait_for(sub { $mail->queue_count('deferred') == $victims }, 30,
    'victims to wait');
wait_for(sub { keys %{ $mail->due } == $victims && !grep { $_ <= time }
    values %{ $mail->due } }, 30, 'victims to be put back');
my ($where) = glob "$spool/deferred/*/$file{'victim-1'}";

sub path_of { return (glob "$spool/deferred/*/$_[0]")[0] }

# Where the regions of a file begin.
sub regions {
	my ($data) = @_;
	my ($at, $len, $e_at, $e_len) = unpack 'q<4', substr $data, 16, 32;

	return (preamble => [0, $at], content => [$at, $at + $len],
	    envelope => [$e_at, $e_at + $e_len],
	    journal => [$e_at + $e_len, length $data]);
}

# Change a file and leave its times, by which it is known.
sub change {
	my ($path, $code) = @_;
	my @st = Time::HiRes::stat $path;
	my $data = $code->(slurp($path));

	open my $f, '+<:raw', $path or die "$path: $!";
	print $f $data;
	truncate $f, length $data;
	close $f;
	utime $st[8], $st[9], $path;
}

# Cut at a boundary, or next to it, or somewhere.
sub cut {
	my ($data) = @_;
	my %r = regions($data);
	my @at = (0, 1, map { my $b = $_; map { $b + $_ } -1, 0, 1 }
	    map { @$_ } values %r);
	push @at, int rand length $data;
	my $at = $at[rand @at];
	return substr $data, 0, $at < 0 ? 0 : $at;
}

sub flip {
	my ($data, $region) = @_;
	my %r = regions($data);
	my ($from, $to) = @{ $r{$region} };
	return $data if $to <= $from;
	my $at = $from + int rand($to - $from);
	substr($data, $at, 1) ^= chr(1 << int rand 8);
	return $data;
}

# --- harm ---------------------------------------------------------------------

my @kinds = ('cut', (map { "flip $_" } qw(preamble envelope journal)),
    'garbage', 'none');
my %harmed;		# message => kind
my $strays = 0;
my $crowd = $is_long ? 50_000 : 2000;

sub harm_victims {
	for my $n (1 .. $victims) {
		my $path = path_of($file{"victim-$n"}) // next;
		my $kind = $kinds[$n % @kinds];
		$harmed{"victim-$n"} = $kind;
		next if $kind eq 'none';
		change($path, sub {
			my ($data) = @_;
			return cut($data) if $kind eq 'cut';
			return flip($data, $kind =~ / (.*)/)
			    if $kind =~ /flip/;
			return join '', map { chr int rand 256 }
			    1 .. length $data;
		});
	}
}

# Things that are no messages, where messages are.
sub litter {
	my ($place, $like) = @_;
	my $n = 0;
	# A name as good as a message's, and others.
	my $name = sub { return "$place/" . ($like =~ s/.{4}\z//r) .
	    join '', map { ('B' .. 'Z')[rand 20] } 1 .. 4 };
	my @made;
	my $made = sub { push @made, $_[0]; return $_[0] };

	mkfifo($made->($name->()), 0700) for 1 .. 3;
	mkdir $made->($name->()) for 1 .. 3;
	symlink $secret, $made->($name->()) for 1 .. 3;
	symlink 'nowhere', $made->($name->());
	link $secret, $made->($name->());
	system('mknod', $made->($name->()), 'c', 1, 5) if $> == 0;	# zero
	spew($made->($name->()), '');
	my $big = $made->($name->());
	spew($big, 'PRQUEUE');
	truncate $big, 10 * 2 ** 30;
	chmod 0700, $big;
	my $foreign = $made->($name->());
	spew($foreign, 'x' x 1000);
	chmod 0700, $foreign;
	chown +(getpwnam $alice)[2, 3], $foreign;
	spew($made->("$place/$_"), 'x') for 'x', 'a' x 200, "new\nline", '-rf',
	    "\xff\xfe", 'core', '..x';
	$strays += @made;
}

# Names without end where qmgr looks, and in corrupt/; as many as can be made in
# twenty seconds, if this is a slow machine.
sub crowd {
	my ($place, $name) = @_;
	my ($n, $end) = (0, time + 20);
	while ($n < $crowd && time < $end) {
		open my $f, '>', sprintf "$place/$name", $n++ or die;
	}
	$strays += $n;
}

# In a process that is alice, alone or with another group: its exit status.
sub as_alice {
	my ($group, $do) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		$SIG{TERM} = 'DEFAULT';
		my $status = eval {
			Postrider::Users::become($alice, $group);
			$do->();
		};
		warn $@ if $@;
		POSIX::_exit($status // 99);
	}
	waitpid $pid, 0;
	return $? >> 8;
}

# --- the mail of others -------------------------------------------------------

sub others {
	my ($name) = @_;
	return Postrider::Correspondents->new($mail, name => $name,
	    writers => 2, pause => 0.02,
	    to => sub { my ($id, $i) = @_; return $i % 2 ?
	    "$id\@relay.test" : "$bob\@local.test" });
}

my $calm = others('calm')->start;
$calm->recovery(time);
sleep 1.5;
$calm->stop;

my $others = others('others')->start;
$others->recovery(time);
harm_victims();
# Hashed directories, and those above them.
litter("$spool/$_", $file{'victim-1'}) for qw(incoming hold corrupt);
crowd("$spool/corrupt", '0dZK5%010d');
crowd("$spool/incoming", 'no message %d');
litter($where =~ s{/[^/]*\z}{}r, $file{'victim-1'});

# maildrop/: a user of this machine may do nothing there.
is(as_alice(undef, sub {
	opendir my $d, "$spool/maildrop" and return 1;
	open my $f, '>', "$spool/maildrop/mine" and return 2;
	return 0;
}), 0, 'a user cannot look into maildrop/, nor write there');

# But with the rights of a postdrop that he has made his own, all that follows.
my $junk = $is_long ? 1000 : 300;
is(as_alice('postrider-drop', sub {
	my $drop = "$spool/maildrop";

	litter($drop, $file{'victim-1'});
	for my $n (1 .. $junk) {
		spew("$drop/junk$n", 'x' x int rand 200);
		chmod 0740, "$drop/junk$n";
	}
	# A file that grows while it is read.
	open my $f, '>', "$drop/grows" or return 1;
	chmod 0740, "$drop/grows";
	for (1 .. 60) {
		syswrite $f, Postrider::Users::drop(to =>
		    ["later\@relay.test"]) x 50;
		sleep 0.05;
	}
	return 0;
}), 0, 'with the rights of postdrop he can');
$strays += $junk + 20;

# --- mailboxes that are none --------------------------------------------------

my @boxes = (
	[FIFO => sub { mkfifo($_[0], 0600) }, 1],
	['a device' => sub { system('mknod', $_[0], 'c', 1, 3) }, 1],
	['a link' => sub { symlink $secret, $_[0] }, 1],
	['a hard link' => sub { link $secret, $_[0] }, 1],
	['a directory' => sub { mkdir $_[0] }, 1],
);
my $box = "$dir/mail/$alice";
my $number = 0;
for (@boxes) {
	my ($what, $make) = @$_;
	unlink $box;
	$make->($box);
	my $from = 'box' . $number++;
	my $id = ($mail->send(from => "$from\@relay.test", to =>
	    ["$alice\@local.test"], text => "X-Id: $from\n\nx\n") =~
	    /queued as (\w+)/)[0];
	my $line = eval { $mail->wait_log(
	    qr/ $id: to=<[^\n]*status=\w+[^\n]*\n/, 20) } // "silence: $@";
	like($line, qr/status=(?:deferred|bounced)/,
	    "a mailbox that is $what is none");
	-d $box && !-l $box ? rmdir $box : unlink $box;
}
# A .forward that is something else must not hold anybody up either.
my $home = $mail->home(0);
for (['a FIFO' => sub { mkfifo($_[0], 0644) }],
    ['a directory' => sub { mkdir $_[0] }],
    ['a link to what is not his' => sub { symlink $secret, $_[0] }],
    ['zeros without end' => sub { symlink '/dev/zero', $_[0] }]) {
	my ($what, $make) = @$_;
	$make->("$home/.forward");
	my $id = ($mail->send(from => "f\@relay.test", to =>
	    ["$alice\@local.test"], text => "X-Id: forward\n\nx\n") =~
	    /queued as (\w+)/)[0];
	my $line = eval { $mail->wait_log(
	    qr/ $id: to=<[^\n]*status=\w+[^\n]*\n/, 20) } // "silence: $@";
	like($line, qr/status=(?:deferred|sent)/,
	    "a .forward that is $what stops nobody");
	unlink "$home/.forward" or rmdir "$home/.forward";
}

# --- all of it is due ---------------------------------------------------------

my $due = time;
spew($open, '');
my ($status, $said) = $mail->postrider('queue', 'flush');
is($status, 0, 'the queue is flushed') or diag($said);
my %end;
my $settled = eval { wait_for(sub {
	%end = ();
	# Who leaves the queue meanwhile has arrived by the second look.
	my %waits = map { $_ => path_of($file{$_}) ||
	    -e "$spool/incoming/$file{$_}" || path_of($file{$_}) || 0 }
	    keys %harmed;
	my %arrived = map { /^X-Id: (victim-\d+)\r$/m ? ($1 => $_) : () }
	    map { $_->{data} } $sink->messages;
	for my $id (keys %harmed) {
		$end{$id} = $arrived{$id} ? 'delivered' :
		    -e "$spool/corrupt/$file{$id}" ? 'corrupt' :
		    $waits{$id} ? 'waits' : 'lost';
	}
	return !grep { $_ eq 'waits' } values %end;
}, 30, 'an end of all victims'); 1 };
my $seconds = time - $due;
sleep 0.5;
$others->stop;
my %count;
$count{"$harmed{$_}: $end{$_}"}++ for keys %harmed;
diag(join ', ', map { "$_ $count{$_}" } sort keys %count);
ok($settled, 'each message has an end') or
    diag(join "\n", map { "$_ $harmed{$_} $file{$_}" }
    grep { $end{$_} eq 'waits' } keys %end);
is(join(' ', grep { $end{$_} eq 'lost' } sort keys %end), '',
    'no damaged message has vanished');
is(join(' ', grep { $harmed{$_} eq 'none' && $end{$_} ne 'delivered' }
    sort keys %end), '', 'nobody pays for his neighbours');
my $log = $mail->log;
is(join(' ', grep { $end{$_} eq 'corrupt' &&
    $log !~ /\b$file{$_}: .*corrupt/ } sort keys %end), '',
    'the log tells why a file is in corrupt/');
# Nothing of a victim was delivered in another shape.
my @other = grep { /^X-Id: (victim-\d+)\r$/m &&
    !/\r\n\r\n(?:\Q$1\E line\r\n){40}\z/ } map { $_->{data} } $sink->messages;
is(scalar @other, 0, 'what is delivered is what was sent') or
    diag(map { my ($id) = /^X-Id: (\S+)\r$/m; "$id $harmed{$id}:\n" .
    substr($_, 0, 600) . "\n...\n" . substr $_, -200 } @other);

# The others.
my $end = eval { wait_for(sub {
	my $r = $others->judge((map { $_->{data} } $sink->messages),
	    $mail->mbox($bob));
	return !@{ $r->{lost} };
}, 30); 1 };
my $theirs = sub { grep { !/^X-Id: (?:victim|calm|box|forward)/m } @_ };
my $r = $others->judge($theirs->((map { $_->{data} } $sink->messages),
    $mail->mbox($bob)));
my ($before, $then) = map { Postrider::Correspondents::percentile(95,
    $_->heard) } $calm, $others;
diag(sprintf 'others: %s; lost %d, damaged %d, duplicates %d; 95 %% within ' .
    '%.3f s, %.3f s before', Postrider::Correspondents::codes($r),
    scalar @{ $r->{lost} }, scalar @{ $r->{damaged} }, $r->{duplicates},
    $then, $before);
Postrider::Correspondents::ledger('hostile spool', $strays +
    (grep { $_ ne 'none' } values %harmed), $r, $seconds);
is("@{ $r->{lost} }", '', 'mail of others is not lost');
is("@{ $r->{damaged} }", '', 'nor damaged');
is($r->{duplicates}, 0, 'nor doubled');
is(join(' ', grep { $_ ne '250' } keys %{ $r->{codes} }), '', 'nor refused');
cmp_ok($then, '<', max(1, $before * 5), 'nor slow');
is(slurp($secret), "nobody may read or write this\n", 'nothing was followed');
is(join('', grep { /nobody may read/ } map({ $_->{data} } $sink->messages),
    $mail->mbox($bob)), '', 'and nothing told');

# It starts, too, on such a spool.
$mail->stop;
eval { $mail->start; 1 } or diag($@);
ok($mail->pid, 'the system starts again');
like(eval { $mail->send(from => 's@relay.test', to => ["$bob\@local.test"]) }
    // $@, qr/queued as/, 'and takes mail');
is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
