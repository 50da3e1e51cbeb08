# etrn.t - mail for one domain is tried at once: ETRN, and by the command;
# also mail of which the queue manager has known nothing since it started.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(spew wait_for);
use Test::More;

my $mail = Postrider->new(settings => {
	minimal_backoff_time => '600s', maximal_backoff_time => '1200s',
	fast_flush_domains => 'one.test, two.test, many.test, none.test',
	smtpd_peername_lookup => 'no', notify_classes => '' });
my $closed = "$mail->{dir}/closed";
my $sink = $mail->sink(replies => sub {
	my ($verb) = @_;
	return '450 4.2.0 not now' if $verb eq 'RCPT' && -e $closed;
	return undef;
});
my $dead = Postrider::free_port();
my $table = $mail->etc . '/transport';
my $hop = '[127.0.0.1]:' . $sink->port;

spew($table, <<"END");
dead.test	smtp:[localhost]:$dead
one.test	smtp:[localhost]:$dead
two.test	smtp:$hop
w1.test	smtp:[localhost]:$dead
w2.test	smtp:[localhost]:$dead
w3.test	smtp:[localhost]:$dead
w4.test	smtp:[localhost]:$dead
*	smtp:$hop
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

sub post
{
	my (@to) = @_;
	my $reply = $mail->send(from => 'al@local.test', to => \@to);

	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# The answer to ETRN.
sub etrn
{
	my ($domain) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	my $reply = $c->command("ETRN $domain");
	$c->command('QUIT', 221);
	return $reply;
}

sub tries { my ($id, $to) = @_; return $mail->said(qr/$id: to=<\Q$to\E>/) }

sub all_wait
{
	my ($n) = @_;

	wait_for(sub { $mail->queue_count('incoming') == 0 &&
	    $mail->queue_count('deferred') == $n }, 10, "$n deferred");
}

spew($closed, '');
my $one = post('a@one.test');
my $two = post('a@two.test');
my $other = post('a@other.test');
my $both = post('b@other.test', 'b@two.test');
my $many = post(map { "c\@$_.test" } qw(m1 m2 m3 m4 many m5));
all_wait(5);

subtest 'ETRN tries what waits for the domain, and nothing else' => sub {
	like(etrn('TWO.test'), qr/^25[0-3] /);
	wait_for(sub { tries($two, 'a@two.test') == 2 }, 10, 'another try');
	wait_for(sub { tries($both, 'b@two.test') == 2 }, 10, 'another try');
	is(tries($other, 'a@other.test'), 1);
	is(tries($one, 'a@one.test'), 1);
	all_wait(5);
	etrn('two.test') for 1 .. 3;
	is(tries($two, 'a@two.test'), 2, 'asking again at once is for nothing');
};

subtest 'a message to many domains is looked into' => sub {
	like(etrn('many.test'), qr/^25[0-3] /);
	wait_for(sub { tries($many, 'c@many.test') == 2 }, 10, 'another try');
	all_wait(5);
};

subtest 'a site that is dead is tried' => sub {
	post("d$_\@dead.test") for 1 .. 7;
	$mail->wait_log(qr/left alone for 600 seconds/);
	all_wait(12);
	my $before = tries($one, 'a@one.test');
	like(etrn('one.test'), qr/^25[0-3] /);
	$mail->wait_log(qr/$one: to=<a\@one\.test>.*relay=none/);
	wait_for(sub { tries($one, 'a@one.test') > $before }, 10, 'a try');
	unlike(join("\n", (grep { /$one: to=/ } split /\n/, $mail->log)[-1]),
	    qr/suspended/, 'a real one');
	all_wait(12);
};

subtest 'what nobody may ask for, and what there is not' => sub {
	like(etrn('other.test'), qr/^(458|459|5\d\d) /);
	like(etrn('none.test'), qr/^25[01] /);
	is(tries($other, 'a@other.test'), 1);
};

subtest 'after a start the files are read' => sub {
	$mail->stop;
	unlink $closed;
	$mail->start;
	like(etrn('two.test'), qr/^25[0-3] /);
	$mail->wait_log(qr/$two: removed/);
	$mail->wait_log(qr/$both: to=<b\@two\.test>.*status=sent/);
	is($mail->said(qr/$other: .*status=sent/), 0);
	is($mail->said(qr/$many: .*status=sent/), 0);
};

subtest 'the command does the same' => sub {
	$mail->postrider('queue', 'flush', '-s', 'other.test');
	$mail->wait_log(qr/$other: to=<a\@other\.test>.*status=sent/);
	is($mail->said(qr/$many: .*status=sent/), 0);
	$mail->postrider('queue', 'flush', '-s', 'm3.test');
	$mail->wait_log(qr/$many: removed/);
};

subtest 'when a site is back, what waits for it comes forward' => sub {
	$mail->postrider('queue', 'delete', 'ALL');
	my @ids = map { post("e$_\@dead.test") } 1 .. 12;
	my $wide = post(map { "e\@w$_.test" } 1 .. 4);

	$mail->wait_log(qr/left alone for 600 seconds/);
	wait_for(sub { $mail->queue_count('incoming') == 0 }, 10, 'deferral');
	# Its names are too many to be known, so its file is read for each
	# request; what is known of its site stays.
	$mail->postrider('queue', 'flush', '-s', 'none.test');
	my $back = $mail->sink(port => $dead);
	$mail->postrider('queue', 'flush', $ids[0]);
	$mail->wait_log(qr/1 sites answer again: 12 messages are tried within 1 seconds/);
	$mail->wait_log(qr/$_: to=<e\d+\@dead\.test>.*status=sent/) for @ids;
	$mail->wait_log(qr/$wide: to=<e\@w4\.test>.*status=sent/);
	wait_for(sub { $mail->queue_count == 0 }, 15, 'an empty queue');
	ok(1);
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
