#!/usr/bin/perl
# settings.t - what main.cf says of aliases, locks, outcomes and notices of
# local.

use strict;
use warnings;
use lib 't/lib';

use Fcntl qw(:DEFAULT :flock);
use IO::Socket::INET;
use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(files => { aliases => <<'END',
postmaster root
team prt-alice, sub, far@far.test
sub prt-bob, prt-alice, far@far.test, low
low bob@far.test
round round2, prt-bob
round2 round
own prt-bob, own2
own2 own2, prt-alice
list member, prt-alice
owner-list keeper@far.test
member prt-bob, child
child x@far.test
run "|exit 0", sub
ext prt-bob, y@far.test
twice \prt-bob, \PRT-bob, prt-bob
END
    status => "/^(2\\S+ delivered to )mailbox/	\$1somewhere\n" .
	"/^5(\\S+ unknown user)/	4\$1 maybe\n" .
	"/^2\\S+ forwarded/	5.0.0 nonsense\n" .
	"/^2\\S+ (.*)\$/	2.7.7 filtered \$1\n" },
    settings => { recipient_delimiter => '+', local_recipient_maps => '',
    minimal_backoff_time => '300s', deliver_lock_attempts => '3',
    deliver_lock_delay => '0.1s', stale_lock_time => '3s',
    virtual_mailbox_domains => 'v.test',
    virtual_mailbox_maps => 'inline:{box@v.test=box}',
    virtual_uid_maps => 'static:5001', virtual_gid_maps => 'static:5001',
    transport_maps => 'inline:{far.test=discard:, pipe.test=eat:}' },
    master => "eat unix - n n - - pipe user=prt-alice argv=/bin/cat\n");
my ($dir, $etc) = ($mail->dir, $mail->etc);
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my ($uid, $gid) = (getpwnam $alice)[2, 3];
my $home = (getpwnam $alice)[7];
my $box = "$dir/mail/$alice";

unlink "$home/.forward", "$home/.forward+x";
mkdir "$dir/virtual";
chown 5001, 5001, "$dir/virtual";
$mail->set(virtual_mailbox_base => "$dir/virtual");
$mail->start;

sub post
{
	my ($to, %o) = @_;
	my $reply = $mail->send(from => $o{from} // 's@far.test', to => [$to],
	    text => $o{text} // "Subject: x\n\nx\n");
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# "dsn status (text)" of a message's recipients.
sub of
{
	my ($to, %o) = @_;
	my $id = post($to, %o);

	$mail->wait_log(qr/\b$id: to=.*status=.*\n/, 20);
	return join "\n", map { /dsn=(\S+), status=(.*)/ ? "$1 $2" : () }
	    grep { /\b$id: to=/ } split /^/, $mail->log;
}

# Post, wait until nothing is left, and tell who got it: the final recipients
# of all messages that came of it, sorted.
sub who_got
{
	my ($to, %o) = @_;
	my $before = length $mail->log;
	my $id = post($to, %o);

	$mail->wait_log(qr/\b$id: removed/, 20);
	$mail->wait_empty;
	return join ' ', sort map {
		/ to=<([^>]+)>.*status=(\w+) \((?!forwarded)/ ?
		    ($2 eq 'sent' ? $1 : "$1=$2") : () }
	    grep { !/to=<s\@far\.test>/ }
	    split /^/, substr $mail->log, $before;
}

sub reload
{
	$mail->set(@_);
	$mail->stop;
	$mail->start;
}

subtest 'nobody gets a message twice whom two aliases name' => sub {
	my $first = length $mail->log;
	is(who_got('team@local.test'), 'bob@far.test far@far.test ' .
	    "$alice\@local.test $bob\@local.test", 'each once');
	is(scalar(() = substr($mail->log, $first) =~ /forwarded as/g), 1,
	    'by one message');
	my @boxes = $mail->mbox($bob);
	is(scalar(() = $boxes[-1] =~ /^Delivered-To: /mg), 2,
	    'which tells the first and the last address');
	like($boxes[-1], qr/^Delivered-To: team\@local\.test$/m, 'team');
	is(who_got('twice@local.test'), "$bob\@local.test twice\@local.test",
	    'a mailbox, and an address');
};

subtest 'what is no plain list goes its own way' => sub {
	is(who_got('round@local.test'),
	    "$bob\@local.test round\@local.test=bounced",
	    'a circle is returned once, and the others have theirs');
	is(who_got('own@local.test'), "own2\@local.test=bounced " .
	    "$alice\@local.test $bob\@local.test",
	    'an alias that means a mailbox of its own name');
	is(who_got('run@local.test'), 'bob@far.test far@far.test ' .
	    "$alice\@local.test $bob\@local.test run\@local.test",
	    'a command and an alias');
};

subtest 'a .forward that names an alias that names the user' => sub {
	spew("$home/.forward", "sub\n");
	chown $uid, $gid, "$home/.forward";
	is(who_got("$alice\@local.test"), 'bob@far.test far@far.test ' .
	    "$alice\@local.test $bob\@local.test", 'he has it in his mailbox');
	spew("$home/.forward", "\\$alice, $alice, $alice\@local.test\n");
	is(who_got("$alice\@local.test"), "$alice\@local.test",
	    'three names of one mailbox');
	unlink "$home/.forward";
};

# The message that a message became.
sub child_of
{
	my ($id) = @_;
	my ($new) = $mail->wait_log(qr/$id: to=.*forwarded as (\w+)/) =~
	    /as (\w+)/ or die;

	$mail->wait_log(qr/$new: removed/);
	return $new;
}

subtest 'owners of lists' => sub {
	reload(recipient_delimiter => '-');
	my $new = child_of(post('list@local.test'));
	like($mail->log, qr/$new: from=<owner-list\@local\.test>/,
	    'the sender');
	like($mail->log, qr/$new: to=<x\@far\.test>/,
	    'an alias without an owner is part of the list');
	like(of('list-request@local.test'), qr/unknown user: "list-request"/,
	    'list-request has no extension');

	reload(reset_owner_alias => 'yes');
	$new = child_of(post('list@local.test'));
	like($mail->log, qr/$new: to=<member\@local\.test>.*forwarded/,
	    'reset_owner_alias: it is posted as an address');

	reload(reset_owner_alias => undef, owner_request_special => 'no');
	$new = child_of(post('list@local.test'));
	like($mail->log, qr/$new: from=<s\@far\.test>/,
	    'owner_request_special = no: no owner');
	like(of('nolist-request@local.test'), qr/unknown user: "nolist"/,
	    'and -request is an extension');
	reload(owner_request_special => undef, recipient_delimiter => '+');
};

subtest 'frozen_delivered_to = no' => sub {
	reload(frozen_delivered_to => 'no');
	my $first = length $mail->log;
	who_got('team@local.test');
	cmp_ok(scalar(() = substr($mail->log, $first) =~ /forwarded as/g),
	    '>', 2, 'a message for each alias');
	my @boxes = $mail->mbox($bob);
	like($boxes[-1], qr/^Delivered-To: sub\@local\.test\n(?s:.*)^Delivered-To: team\@local\.test$/m,
	    'which tells each of them');
	reload(frozen_delivered_to => undef);
};

subtest 'propagate_unmatched_extensions' => sub {
	is(who_got('ext+z@local.test'), "$bob\@local.test y\@far.test",
	    'not by aliases, as a rule');
	spew("$home/.forward", "y\@far.test\n");
	chown $uid, $gid, "$home/.forward";
	reload(propagate_unmatched_extensions => 'alias, forward');
	is(who_got('ext+z@local.test'), "$bob+z\@local.test y+z\@far.test",
	    'alias');
	is(who_got("$alice+q\@local.test"), 'y+q@far.test', 'forward');
	spew("$home/.forward+x", "z\@far.test\n");
	chown $uid, $gid, "$home/.forward+x";
	is(who_got("$alice+x\@local.test"), 'z@far.test',
	    'an extension that was used is none');
	unlink "$home/.forward", "$home/.forward+x";
	reload(propagate_unmatched_extensions => undef);
};

# Take a lock of this kind on alice's mailbox; what gives it back.
sub hold
{
	my ($kind) = @_;

	sysopen my $f, $kind eq 'dotlock' ? "$box.lock" : $box,
	    $kind eq 'dotlock' ? O_CREAT | O_EXCL | O_WRONLY : O_RDWR or
	    die "$kind: $!";
	flock($f, LOCK_EX | LOCK_NB) or die if $kind eq 'flock';
	my $lock = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0);
	fcntl($f, F_SETLK, $lock) or die if $kind eq 'fcntl';
	return sub { close $f; unlink "$box.lock" if $kind eq 'dotlock' };
}

subtest 'mailbox_delivery_lock' => sub {
	of("$alice\@local.test");
	for (['fcntl, dotlock', 'flock'], ['flock, dotlock', 'fcntl'],
	    ['flock', 'fcntl dotlock'], ['dotlock', 'fcntl flock']) {
		my ($locks, $others) = @$_;
		reload(mailbox_delivery_lock => $locks);
		for my $kind (split /, /, $locks) {
			my $free = hold($kind);
			like(of("$alice\@local.test"),
			    qr/^4\.2\.0 deferred \(cannot lock mailbox/,
			    "$locks: $kind keeps us off");
			$free->();
		}
		for my $kind (split ' ', $others) {
			my $free = hold($kind);
			like(of("$alice\@local.test"), qr/^2\.0\.0 sent/,
			    "$locks: $kind does not");
			$free->();
		}
	}
	ok(!-e "$box.lock", 'no lock file is left');
	my $free = hold('dotlock');
	utime time - 100, time - 100, "$box.lock";
	like(of("$alice\@local.test"), qr/^2\.0\.0 sent/,
	    'stale_lock_time: one without an owner is removed');
	$free->();
	reload(mailbox_delivery_lock => 'fcntl, teeth');
	like(of("$alice\@local.test"), qr/^4\.3\.5 deferred \(mailbox_delivery_lock: "teeth"/,
	    'a way that does not exist makes mail wait');
	reload(mailbox_delivery_lock => undef);
};

subtest 'virtual_mailbox_lock' => sub {
	my $path = "$dir/virtual/box";

	like(of('box@v.test'), qr/^2\.0\.0 sent/, 'free');
	spew("$path.lock", '');
	like(of('box@v.test'), qr/^4\.2\.0 deferred \(cannot lock mailbox/,
	    'locked');
	unlink "$path.lock";
	reload(virtual_mailbox_lock => 'fcntl');
	spew("$path.lock", '');
	like(of('box@v.test'), qr/^2\.0\.0 sent/, 'without lock files');
	unlink "$path.lock";
	chmod 0555, "$dir/virtual";
	reload(virtual_mailbox_lock => 'dotlock');
	like(of('box@v.test'), qr/^4\.2\.0 deferred \(cannot create the lock/,
	    'a lock file alone has to be made');
	reload(virtual_mailbox_lock => 'fcntl, dotlock');
	like(of('box@v.test'), qr/^2\.0\.0 sent/, 'beside another it need not');
	chmod 0755, "$dir/virtual";
};

subtest 'delivery status filters' => sub {
	reload(default_delivery_status_filter => "regexp:$etc/status");
	is(of("$alice\@local.test"), '2.0.0 sent (delivered to somewhere)',
	    'another text');
	like(of('nobody-at-all@local.test'),
	    qr/^4\.1\.1 deferred \(unknown user maybe/, 'for now');
	like(of('team@local.test'), qr/^2\.0\.0 sent \(forwarded as/,
	    'sent cannot become failed');
	like($mail->log, qr/warning: \w+: local_delivery_status_filter: "5\.0\.0 nonsense" cannot stand/,
	    'and there is a warning');
	is(of('box@v.test'), '2.0.0 sent (delivered to somewhere)', 'virtual');
	like(of('a@pipe.test'), qr/^2\.7\.7 sent \(filtered delivered via eat/,
	    'pipe');
	reload(local_delivery_status_filter => '',
	    pipe_delivery_status_filter => "regexp:$etc/missing");
	is(of("$alice\@local.test"), '2.0.0 sent (delivered to mailbox)',
	    'each has its own');
	like(of('a@pipe.test'), qr/^2\.0\.0 sent \(delivered via eat/,
	    'without an answer sent stays sent');
	reload(map { ($_ => undef) } qw(local_delivery_status_filter
	    pipe_delivery_status_filter default_delivery_status_filter));
};

subtest 'biff' => sub {
	my $socket = wait_for(sub { IO::Socket::INET->new(Proto => 'udp',
	    LocalAddr => '127.0.0.1', LocalPort => 512) }, 10, 'port 512');

	# Places that nobody else's mailboxes have while this runs.
	my %at = ($alice => 40000 + $$ % 10000, $bob => 60000 + $$ % 10000);
	for my $user ($alice, $bob) {
		my $path = "$dir/mail/$user";
		spew($path, 'x' x ($at{$user} - 2) . "\n\n");
		chown +(getpwnam $user)[2], -1, $path;
	}
	my $heard = sub {
		my ($user) = @_;
		my ($all, $text) = ('');
		wait_for(sub {
			$socket->blocking(0);
			$all .= "$text\n" while
			    defined $socket->recv($text, 300);
			return $all =~ /^\Q$user\E\@$at{$user}$/m;
		}, 10, "news of $user");
		return $all;
	};
	of("$alice\@local.test");
	ok($heard->($alice), 'tells where in the mailbox the message is');

	reload(biff => 'no');
	of("$bob\@local.test");
	reload(biff => 'yes');
	$at{$alice} = -s $box;
	of("$alice\@local.test");
	unlike($heard->($alice), qr/^$bob\@$at{$bob}$/m, 'biff = no');
	close $socket;
	like(of("$alice\@local.test"), qr/^2\.0\.0 sent/,
	    'nobody needs to listen');
};

subtest 'alias_maps' => sub {
	my $tables = 'texthash:' . $mail->etc . '/aliases';

	reload(alias_maps => '$alias_database', alias_database => $tables);
	like(of('run@local.test'), qr/ordered to discard|delivered to command/,
	    'by the name of another setting');
	reload(alias_maps => '');
	like(of('run@local.test'), qr/^5\.1\.1 bounced/, 'none');
	reload(alias_maps => $tables, alias_database => '');
};

is_deeply([grep { !/cannot stand|teeth|missing/ } $mail->complaints], [],
    'no complaints');
done_testing();
