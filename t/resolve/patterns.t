# patterns.t - what strangers write into an address becomes no command, no
# file, no transport and no action.
use strict;
use warnings;
use Test::More;
use Postrider qw(need_root slurp spew wait_for);

need_root();

my $mail = Postrider->new(settings => { allow_mail_to_commands =>
    'alias, forward', local_recipient_maps => '', allow_min_user => 'yes' });
my $dir = $mail->dir;
my $proof = "$dir/mail/proof";

# One message to this address; the log's line about it.
sub deliver
{
	my ($to, %settings) = @_;

	# A reload would refuse what is tried here.
	$mail->stop;
	$mail->set(%settings);
	$mail->start;
	my $seen = length $mail->log;
	my ($status, $text) = $mail->sendmail("Subject: x\n\nx\n", '-f',
	    'a@local.test', '--', $to);
	die $text if $status != 0;
	wait_for(sub { substr($mail->log, $seen) =~ /: to=.*status=/ }, 10,
	    "a delivery\n" . $mail->log);
	my ($line) = substr($mail->log, $seen) =~ /(: to=.*status=.*)/;
	$mail->postrider('queue', 'delete', 'ALL');
	return $line;
}

for my $type (qw(regexp pcre)) {
	next if $type eq 'pcre' &&
	    `@{[Postrider::bin()]}/postrider-conf -m` !~ /^pcre$/m;

	# aliases: |command and /file from the local part
	my $map = "$type:{ {/^(.*)\$\$/ \$\$1} }";
	my @before = (alias_maps => "texthash:" . $mail->etc . '/aliases');
	like(deliver("\"|touch $proof\"\@local.test", alias_maps => $map),
	    qr/status=deferred/, "INJ-16: $type: alias_maps with \$1: a command");
	like(deliver("\"$proof\"\@local.test", alias_maps => $map),
	    qr/status=deferred/, "INJ-16: $type: alias_maps with \$1: a file");
	ok(!-e $proof, "INJ-16: $type: nothing was run or written");
	ok($mail->wait_log(qr{alias_maps: \S.*: results of patterns .*\$1}),
	    "INJ-16: $type: the log tells why");
	like(deliver('who@local.test', alias_maps =>
	    "unionmap:{ inline:{x=y}, $type:{ {/^(.*)\$\$/ \$\$1} } }"),
	    qr/status=deferred/, "INJ-16: $type: nor inside of another table");
	like(deliver('who@local.test', alias_maps =>
	    "$type:{ {/^who\$\$/ prt-alice} }"), qr/status=sent/,
	    "INJ-16: $type: patterns without \$1 are good aliases");

	# transports
	like(deliver('discard@local.test', @before, transport_maps =>
	    "$type:{ {/^(.*)\@/ \$\$1:} }"), qr/status=deferred|relay=none/,
	    "INJ-16: $type: transport_maps with \$1");
	$mail->set(transport_maps => undef);
}
unlike($mail->log, qr/relay=discard|to=<discard\@\S+ .*status=sent/,
    'INJ-16: nobody chooses his transport');

# Names of actions.
$mail->set(header_checks => 'regexp:{ {/^X-Do: (.*)/ $$1} }');
my ($status, $text) = $mail->postrider('check');
isnt($status, 0, 'INJ-16: an action of the message\'s own choice: check') or
    diag $text;
like($text, qr/header_checks.*must not begin with/,
    'INJ-16: tells what is wrong');
$mail->set(header_checks => 'regexp:{ {/^X-Do: (.*)/ FILTER $$1} }');
($status, $text) = $mail->postrider('check');
isnt($status, 0, 'INJ-16: FILTER to where the message wants');
$mail->set(header_checks => 'regexp:{ {/^X-Do: (.*)/ REJECT not $$1} }');
($status, $text) = $mail->postrider('check');
is($status, 0, 'INJ-16: texts may have $1') or diag $text;

done_testing();
