# postqueue.t - our list of the queue beside that of Debian's Postfix, for the
# same mail to the same next hop: every field, every column.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use Postrider qw(bin slurp spew wait_for);
use Postrider::Client;
use Postrider::Postfix;
use Postrider::Sink;
use Test::More;

my $routes = '';
my $mail = Postrider->new(settings => { minimal_backoff_time => '600s' });
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT';
	return '450 4.2.0 not now' if $line =~ /later/;
	return "451 4.3.0 caf\xc3\xa9 \"quoted\" \\ back/slash"
	    if $line =~ /odd/;
	return '452 4.2.2 long' . ' long' x 80 if $line =~ /long/;
	return undef;
});
my %same = (relayhost => '[127.0.0.1]:' . $sink->port,
    transport_maps => 'texthash:' . $mail->etc . '/transport',
    smtp_connection_cache_on_demand => 'no');
my $postfix = Postrider::Postfix->new(settings => { %same,
    enable_long_queue_ids => 'yes', minimal_backoff_time => '600s' })
    or plan skip_all => 'no Postfix to compare with: ' .
	Postrider::Postfix::why();
spew($mail->etc . '/transport', "dead.test smtp:[127.0.0.1]:1\n");
$mail->set(%same);
$mail->start;
$postfix->start;

# The same messages for both: sender, recipients.
my @messages = (
	['al@one.test', 'later1@far.test', 'later2@far.test', 'ok@far.test'],
	['', 'later3@far.test'],
	['x@y.test', 'odd@far.test', 'later@other.test'],
	['short@y.test', 'b@dead.test'],
	['al+ext@one.test', 'long@far.test'],
	['"a b"@one.test', '"c d later"@far.test'],
	[('a' x 60) . '@one.test', 'later4@far.test'],
);

sub post
{
	my ($port, $from, @to) = @_;
	my $c = Postrider::Client->new($port);

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:<$from>", 250);
	$c->command("RCPT TO:<$_>", 250) for @to;
	$c->command('DATA', 354);
	my $reply = $c->data("Subject: same\nFrom: a\@one.test\n" .
	    "Date: Sun, 22 Nov 2026 10:00:00 +0000\n" .
	    "Message-ID: <1\@one.test>\n\nHello.\n");
	$c->command('QUIT', 221);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

sub ours
{
	my ($status, $text) = $mail->postrider('queue', 'list', @_);

	$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
	return $text;
}
sub theirs { return ($postfix->run('postqueue', @_))[1] }

my (@ids, @their_ids);
for my $m (@messages) {
	push @ids, post($mail->port, @$m);
	push @their_ids, post($postfix->port, @$m);
}
my $waiting = 9;
wait_for(sub { $waiting == (() = $_->log =~ /status=deferred/g) }, 20,
    'deferrals') for $mail, $postfix;
wait_for(sub { !grep { /"active"/ } ours('-j'), theirs('-j') }, 20,
    'everything deferred');

# One line for each message, by its number: ids are not the same.
sub objects
{
	my ($text, @names) = @_;
	my %number = map { $names[$_] => $_ } 0 .. $#names;
	my @lines;

	for my $line (split /\n/, $text) {
		my $o = JSON::PP->new->utf8->decode($line);
		ok(exists $number{ $o->{queue_id} }, 'a known id');
		$lines[$number{ $o->{queue_id} }] = $line;
	}
	return @lines;
}

# What cannot be the same, made the same.
sub normal
{
	my ($line) = @_;

	return $line =~ s/("queue_id": )"\w+"/$1"ID"/r
	    =~ s/("(?:arrival_time|message_size)": )\d+/$1N/gr
	    =~ s/127\.0\.0\.1:\d+/HOST/gr;
}

# The same of a list for people, by message.
sub blocks
{
	my ($text, @names) = @_;
	my %number = map { $names[$_] => $_ } 0 .. $#names;
	my ($head, $rest) = $text =~ /\A([^\n]*\n)(.*?)\n-- \d+ Kbytes in \d+ Requests\.\n\z/s;
	my @blocks;

	for my $block (split /\n\n/, $rest // '') {
		$block =~ s/\n*\z/\n/;
		$block =~ s/^(\w+)([*!#]*)( +\d+) (\w{3} \w{3} [ \d]\d [\d:]{8}) //
		    or fail("the head of $block"), next;
		my ($id, $mark, $size) = ($1, $2, $3);
		my $width = length("$id$mark") > 17 ? length("$id$mark") : 17;
		is(length("$id$mark$size"), $width + 9, 'the first columns');
		$blocks[$number{$id}] = "$mark $block";
	}
	return ($head, @blocks);
}

sub compare
{
	my ($what) = @_;

	subtest "$what: JSON" => sub {
		my @ours = objects(ours('-j'), @ids);
		my @theirs = objects(theirs('-j'), @their_ids);

		is(scalar @ours, scalar @theirs);
		is(normal($ours[$_] // ''), normal($theirs[$_] // ''),
		    "message $_") for 0 .. $#theirs;
	};
	subtest "$what: columns" => sub {
		my ($head, @ours) = blocks(ours(), @ids);
		my ($their_head, @theirs) = blocks(theirs('-p'), @their_ids);

		is($head, $their_head, 'heads');
		is($ours[$_] // '', $theirs[$_] // '', "message $_")
		    for 0 .. $#theirs;
	};
}

compare('deferred');
for ([hold => '-h', 0], [hold => '-h', 2], ['expire', '-e', 2]) {
	my ($verb, $option, $n) = @$_;

	$mail->postrider('queue', $verb, $ids[$n]);
	$postfix->run('postsuper', $option, $their_ids[$n]);
}
compare('held and expired');
is((ours() =~ s/.*\n(?=--)//sr) =~ s/\d+ Kb/N Kb/r,
    (theirs('-p') =~ s/.*\n(?=--)//sr) =~ s/\d+ Kb/N Kb/r, 'the last line');
$mail->postrider('queue', 'delete', 'ALL');
$postfix->run('postsuper', '-d', 'ALL');
is(ours(), theirs('-p'), 'nothing, for people');
is(ours('-j'), theirs('-j'), 'nothing, for programs');
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
