# requeue.t - postsuper -r: a message passes cleanup again, beside Debian's
# Postfix for the same message; while it is delivered, while the system is down,
# and when processes are killed on the way.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use Postrider qw(bin slurp spew wait_for);
use Postrider::Client;
use Postrider::Postfix;
use Test::More;
use Time::HiRes qw(sleep);

my $mail = Postrider->new(settings => { minimal_backoff_time => '600s' });
my $etc = $mail->etc;
my ($down, $go) = ("$mail->{dir}/down", "$mail->{dir}/go");
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT';
	return '450 4.2.0 not now' if $line =~ /later/ && -e $down;
	if ($line =~ /slow/) {
		spew("$down.slow", '');
		for (1 .. 400) {
			last if -e $go;
			sleep 0.05;
		}
	}
	return undef;
});
my %same = (relayhost => '[127.0.0.1]:' . $sink->port,
    virtual_alias_maps => "texthash:$etc/virtual",
    local_header_rewrite_clients => '',
    smtp_connection_cache_on_demand => 'no');

spew("$etc/virtual", '');
spew($down, '');
$mail->set(%same);
$mail->start;

sub post
{
	my ($m, $from, $text, @to) = @_;
	my $c = Postrider::Client->new($m->port);

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:<$from> RET=HDRS ENVID=abc", 250);
	$c->command("RCPT TO:<$_> NOTIFY=FAILURE ORCPT=rfc822;was\@o.test", 250)
	    for @to;
	$c->command('DATA', 354);
	my $reply = $c->data($text);
	$c->command('QUIT', 221);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

# (exit status, text) of one of Postfix's names for our command.
my $names = "$mail->{dir}/names";
mkdir $names;
symlink bin() . '/postrider-queue', "$names/$_" for qw(postsuper postcat);
sub run_name
{
	my ($name, @words) = @_;
	local $ENV{MAIL_CONFIG} = $etc;
	my ($status, $text) = $mail->run('', "$names/$name", @words);

	$text =~ s/^==\d+==WARNING: ASan doesn't.*\n//mg;
	return ($status, $text);
}
sub text_of { return (run_name(@_))[1] }
sub entries
{
	my ($status, $text) = $mail->postrider('queue', 'list', '-j');

	return map { JSON::PP::decode_json($_) } grep { /^\{/ } split /\n/,
	    $text;
}
sub deferred
{
	my ($n) = @_;

	wait_for(sub { my @e = entries(); @e == $n &&
	    !grep { $_->{queue_name} ne 'deferred' } @e }, 20,
	    "$n deferred messages");
}
sub copies
{
	my ($to) = @_;

	return grep { grep { $_ eq $to } @{ $_->{rcpt} } } $sink->messages;
}
# What it was requeued as.
sub new_id
{
	my ($id) = @_;

	$mail->wait_log(qr/$id: requeued as \w+/);
	return $mail->log =~ /qmgr\[\d+\]: $id: requeued as (\w+)/ ? $1 : '';
}

my $text = "Subject: a\nFrom: al\nX: y\n\nHello.\n.Dot\n";

subtest 'it is another message, made by the tables of now' => sub {
	my $id = post($mail, 'al@one.test', $text, 'later1@far.test',
	    'done@far.test');

	deferred(1);
	my ($old) = entries();
	is(text_of('postsuper', '-e', $id),
	    "postsuper: $id: expired\npostsuper: Force-expired: 1 message\n");
	spew("$etc/virtual", "later1\@far.test later9\@new.test\n");
	sleep 1.1;			# resolve looks at a table every second
	is(text_of('postsuper', '-r', $id),
	    "postsuper: $id: requeued\npostsuper: Requeued: 1 message\n");
	my $new = new_id($id);
	$mail->wait_log(qr/pickup\[\d+\]: $new: uid=\d+ from=<al\@one\.test> orig_id=$id$/m);
	deferred(1);
	my ($e) = entries();
	is($e->{queue_id}, $new);
	ok(!$e->{forced_expire}, 'it begins anew');
	is($e->{arrival_time}, $old->{arrival_time}, 'it is as old as it was');
	is_deeply([map { $_->{address} } @{ $e->{recipients} }],
	    ['later9@new.test'], 'who has it does not get it again');
	my $head = text_of('postcat', '-hq', $new);
	like($head, qr/^Received: by \S+ \(\S+, from userid \d+\)\n\tid $new; .*\nReceived: from client\.test /);
	unlike($head, qr/^(Message-ID|Date):|al@/mi,
	    'a stranger\'s header is left alone, as it was before');
	is(text_of('postsuper', '-h', $new) =~ /Placed on hold: 1/, 1);
	like(text_of('postsuper', '-r', $new), qr/^postsuper: Requeued: 1/m,
	    'out of hold, too');
	my $third = new_id($new);
	unlink $down;
	$mail->postrider('queue', 'flush');
	$mail->wait_log(qr/$third: to=<later9.*status=sent/);
	$mail->wait_empty;
	is(scalar copies('later9@new.test'), 1);
	is(scalar copies('done@far.test'), 1);
	my ($m) = copies('later9@new.test');
	is(scalar(() = $m->{data} =~ /^Received:/mg), 3);
	like($m->{data}, qr/\r?\n\r?\nHello\.\r?\n\.?\.Dot\r?\n\z/, 'the body');
	spew($down, '');
};

# Everything that differs of necessity made the same.
sub normal
{
	my ($shown) = @_;

	return join '', grep { !/^(message_size|create_time|message_arrival|named_attribute: (log_ident|rewrite_context|(log_|server_)?(client_)?(port|address|address_type|name)|reverse_client_name|server_.*)=)/ }
	    split /^/, $shown =~ s/(?:deferred|hold)\/\S+/FILE/gr
	    =~ s/\(Postfix/(Postrider/gr =~ s/userid \d+/userid N/gr
	    =~ s/mail\.local\.test|\S+ \(Postrider\)/HOST (Postrider)/gr
	    =~ s/\bid \w{10,}/id ID/gr =~ s/\w{3}, \d\d \w{3} .*/DATE/gr
	    =~ s/;\n\t/; /gr =~ s/localhost\[|unknown\[/CLIENT[/gr
	    =~ s/localhost \[|unknown \[/CLIENT [/gr
	    =~ s/by \S+/by HOST/gr =~ s/HOST \(Postrider\) \(/HOST (/gr;
}

subtest 'as Debian\'s Postfix does it' => sub {
	my $postfix = Postrider::Postfix->new(settings => { %same,
	    enable_long_queue_ids => 'yes', minimal_backoff_time => '600s' })
	    or plan skip_all => 'no Postfix to compare with: ' .
		Postrider::Postfix::why();
	my (%id, %new);

	spew("$etc/virtual", "later1\@far.test later9\@new.test\n");
	$postfix->start;
	for my $who ([ours => $mail], [theirs => $postfix]) {
		$id{ $who->[0] } = post($who->[1], 'al@one.test', $text,
		    'later1@far.test', 'later2@far.test', 'now@far.test');
	}
	wait_for(sub { 2 == (() = $_->log =~
	    /(?:later9\@new|later2\@far)\.test>.*status=deferred/g) }, 20,
	    'deferrals') for $postfix;
	deferred(1);
	run_name('postsuper', '-r', $id{ours});
	$new{ours} = new_id($id{ours});
	$postfix->run('postsuper', '-r', $id{theirs});
	$postfix->run('postkick', 'public', 'pickup', 'W');
	wait_for(sub { $postfix->log =~
	    /pickup\[\d+\]: (\w+):.* orig_id=$id{theirs}\n(.*\n)*.*status=deferred/
	    && ($new{theirs} = $1) }, 20, 'their requeue');
	wait_for(sub { (() = $postfix->log =~
	    /$new{theirs}: to=.*status=deferred/g) == 2 }, 10, 'deferrals');
	deferred(1);
	is(normal(text_of('postcat', '-q', $new{ours})),
	    normal(($postfix->run('postcat', '-q', $new{theirs}))[1]));
	run_name('postsuper', '-d', 'ALL');
	wait_for(sub { !entries() }, 10, 'an empty queue');
};

subtest 'while it is delivered' => sub {
	unlink $go, "$down.slow";
	my $id = post($mail, 'al@fly.test', $text, 'slow@far.test',
	    'later2@far.test');

	wait_for(sub { -e "$down.slow" }, 10, 'the delivery');
	like(text_of('postsuper', '-r', $id), qr/Requeued: 1 message/);
	unlike($mail->log, qr/$id: requeued as/, 'it waits for the delivery');
	spew($go, '');
	my $new = new_id($id);
	deferred(1);
	is_deeply([map { $_->{address} } @{ (entries())[0]{recipients} }],
	    ['later2@far.test'], 'what was delivered is done');
	is(scalar copies('slow@far.test'), 1);
	text_of('postsuper', '-d', $new);
};

subtest 'what cleanup refuses now goes back' => sub {
	my $id = post($mail, 'al@back.test', "X-Bad: thing\n$text",
	    'later3@far.test');

	deferred(1);
	spew("$etc/header_checks", "/^X-Bad:/ REJECT no such things\n");
	$mail->set(header_checks => "regexp:$etc/header_checks");
	$mail->reload;
	text_of('postsuper', '-r', $id);
	$mail->wait_log(qr/$id: not requeued, returned to sender: .*no such things/);
	$mail->wait_log(qr/$id: sender non-delivery notification/);
	$mail->wait_log(qr/$id: removed/);
	wait_for(sub { copies('al@back.test') }, 10, 'the report');
	my ($report) = copies('al@back.test');
	like($report->{data}, qr/no such things/);
	like($report->{data}, qr/^Status: 5\.7\.1/m);
	$mail->wait_empty;
	$mail->set(header_checks => '');
	$mail->reload;
};

subtest 'asked for while the system is down' => sub {
	my $id = post($mail, 'al@off.test', $text, 'later4@far.test');

	deferred(1);
	$mail->stop;
	is(text_of('postsuper', '-r', 'ALL'),
	    "postsuper: Requeued: 1 message\n");
	spew("$etc/virtual", "later4\@far.test later5\@new.test\n");
	$mail->start;
	new_id($id);
	deferred(1);
	is((entries())[0]{recipients}[0]{address}, 'later5@new.test');
	text_of('postsuper', '-d', 'ALL');
};

subtest 'whoever dies on the way, each arrives' => sub {
	my $n = 30;

	spew("$etc/virtual", '');
	my @ids = map { post($mail, 'al@die.test', $text, "later-k$_\@far.test") }
	    1 .. $n;
	deferred($n);
	for my $victim (qw(pickup qmgr cleanup)) {
		my $before = () = $mail->log =~ /requeued as/g;
		text_of('postsuper', '-r', 'ALL');
		wait_for(sub { $before + 3 < (() = $mail->log =~
		    /requeued as/g) }, 20, 'some of them');
		kill 'KILL', $mail->children($victim);
	}
	wait_for(sub { my @e = entries(); @e >= $n &&
	    !grep { $_->{queue_name} ne 'deferred' } @e }, 60, 'rest');
	unlink $down;
	$mail->postrider('queue', 'flush');
	$mail->wait_empty(60);
	my $twice = 0;
	for (1 .. $n) {
		my $copies = () = copies("later-k$_\@far.test");
		ok($copies >= 1, "later-k$_ arrived");
		$twice += $copies - 1;
	}
	cmp_ok($twice, '<=', 2 * 20 * 3, 'few arrive twice');
	diag("$twice of $n arrived twice") if $twice;
};

is_deeply([grep { !/signal 9|cannot be requeued now/ } $mail->complaints], [],
    'no complaints');
done_testing;
