# unicode.t - SMTPUTF8: the settings about it, what an account or a program
# here gets of it, and what happens where it cannot be used.
use strict;
use warnings;
use lib 't/lib';
use Postrider qw(bin free_port need_root slurp spew wait_for);
use Postrider::Fixture;
use Test::More;

need_root();

my $user = "\xe7\x94\xa8\xe6\x88\xb7";
my $buecher = "b\xc3\xbccher.test";
my $has_idn = `ldd @{[bin()]}/dns 2>/dev/null` =~ /libidn2/;

my ($off, $loose) = (free_port(), free_port());
my $out = File::Temp->newdir('prt-unicode-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 01777, $out;
spew("$out/show", <<"END");
#!/bin/sh
{ printf '[%s]' "\$\@"; cat; } > $out/new && mv $out/new $out/shown
END
chmod 0755, "$out/show";

my $sut = Postrider::Fixture->new(
	remote => { extensions => [qw(8BITMIME SMTPUTF8)] },
	aliases => "$user ALICE\n" . "j\xc3\xb6rg BOB\n" .
	    "\xc3\x96lga BOB\n" . "away $user\@remote.test\n" .
	    "run \"|cat > $out/run\"\nhome prt-bob\n",
	master => <<"END",
127.0.0.1:$off inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=smtputf8
127.0.0.1:$loose inet n - n - - smtpd -o strict_smtputf8=no
shown unix - n n - - pipe
  user=prt-alice argv=$out/show \${sender} \${recipient} \${user} \${domain}
shop unix - - n - - lmtp
END
	settings => { relay_domains => 'relay-ok.test, pipe.test, old.test, ' .
	    'new.test', recipient_delimiter => '+',
	    local_recipient_maps => '$alias_maps' });
my %lmtp = (old => $sut->sink(lmtp => 1, extensions => ['8BITMIME']),
    new => $sut->sink(lmtp => 1, extensions => [qw(8BITMIME SMTPUTF8)]));
spew($sut->etc . '/transport', slurp($sut->etc . '/transport') .
    "pipe.test shown:\n" . join '', map {
    "$_.test shop:inet:127.0.0.1:" . $lmtp{$_}->port . "\n" } keys %lmtp);
$sut->start;

my $number = 0;
sub mail
{
	my ($to, %o) = @_;
	my $subject = 'unicode-' . $number++;
	my $c = $sut->friend(port => $o{port});

	$sut->take($c, from => $o{from} // "s-$user\@remote.test",
	    mail => $o{mail} // ' SMTPUTF8', to => [$to],
	    text => ($o{header} // '') . "Subject: $subject\n\nx\n");
	$c->command('QUIT', 221);
	return $subject;
}

# --- settings -----------------------------------------------------------------

{
	my $c = $sut->friend(port => $off, helo => undef);
	unlike($c->command('EHLO c.test', 250), qr/SMTPUTF8/,
	    'what is discarded is not announced');
	like($c->command('MAIL FROM:<a@b.test> SMTPUTF8'), qr/^555 /,
	    'and not understood');
	like($c->command("MAIL FROM:<$user\@b.test>"), qr/^500 /,
	    'and neither is UTF-8');
	like($c->command("VRFY $user SMTPUTF8"), qr/^500 /, 'with VRFY, too');
}
{
	my $subject = mail("$user\@local.test", port => $loose, mail => '');
	my ($m) = $sut->wait_mail('alice', qr/^Subject: $subject$/m);
	like($m, qr/with UTF8SMTP id/,
	    'strict_smtputf8 = no: an address says it, too');
	my $c = $sut->friend(port => $loose);
	like($c->command("MAIL FROM:<a\xc0\xaf\@b.test>"), qr/^50[01] /,
	    'but what is not UTF-8 is not taken');
}

# --- domains ------------------------------------------------------------------

unless ($has_idn) {
	my $c = $sut->friend;
	$c->command('MAIL FROM:<a@remote.test> SMTPUTF8', 250);
	like($c->command("RCPT TO:<a\@$buecher>"), qr/^553 5\.6\.7 .*libidn2/,
	    'without libidn2 such a domain is refused, and why is said');
	like($c->command("RCPT TO:<$user\@local.test>"), qr/^250 /,
	    'such a local part is not');
}
if ($has_idn) {
	my $c = $sut->friend;
	$c->command('MAIL FROM:<a@remote.test> SMTPUTF8', 250);
	like($c->command("RCPT TO:<a\@$buecher>"), qr/^550 5\.1\.2 .*no way there/,
	    'such a domain is one as others are');
}

# --- here ---------------------------------------------------------------------

for ([$user, 'alice'], ["$user+$user", 'alice'], ["j\xc3\xb6rg", 'bob'],
    ["J\xc3\xb6RG", 'bob'], ["\xc3\x96lga", 'bob']) {
	my ($local, $who) = @$_;
	my $subject = mail("$local\@local.test");
	my ($m) = $sut->wait_mail($who, qr/^Subject: $subject$/m);
	like($m, qr/^Return-Path: <s-\Q$user\E\@remote\.test>$/m,
	    "$local is found in the aliases");
}
{
	my $c = $sut->friend;
	$c->command('MAIL FROM:<a@remote.test> SMTPUTF8', 250);
	like($c->command("RCPT TO:<\xc3\xb6lga\@local.test>"), qr/^550 /,
	    'only ASCII letters are the same in small and capital');
}
{
	my $home = $sut->home(1);
	spew("$home/.forward", "\\prt-bob, $user\@remote.test\n");
	chown((getpwnam 'prt-bob')[2, 3], "$home/.forward");
	my $subject = mail('home@local.test', from => 's@remote.test');
	my @m;
	wait_for(sub { @m = grep { $_->{data} =~ /^Subject: $subject\r$/m }
	    $sut->remote->messages }, 20, 'what .forward sends on');
	is("@{ $m[0]{rcpt} }", "$user\@remote.test", 'a .forward may name it');
	like($m[0]{mail}, qr/ SMTPUTF8/, 'and the mail is told so');
	unlink "$home/.forward";
}
{
	my $subject = mail('run@local.test');
	wait_for(sub { -s "$out/run" }, 20, 'a command to run');
	like(slurp("$out/run"), qr/^From s-\Q$user\E\@remote\.test /,
	    'a command gets the sender as he is');
	$subject = mail("$user+x\@pipe.test");
	wait_for(sub { -e "$out/shown" }, 20, 'pipe to run');
	like(slurp("$out/shown"), qr/\A\[s-\Q$user\E\@remote\.test\]\[\Q$user\E
	    \+x\@pipe\.test\]\[\Q$user\E\]\[pipe\.test\]/x,
	    'a pipe gets both addresses');
}

# --- LMTP ---------------------------------------------------------------------

{
	my $subject = mail("$user\@new.test", header => "X: $user\n");
	wait_for(sub { $lmtp{new}->count }, 20, 'LMTP with SMTPUTF8');
	my ($m) = $lmtp{new}->messages;
	is("@{ $m->{rcpt} }", "$user\@new.test", 'LMTP has such addresses');
	like($m->{mail}, qr/ SMTPUTF8/, 'and the parameter');
	mail('a@old.test', from => 's@remote.test', header => "X: $user\n");
	wait_for(sub { $lmtp{old}->count }, 20, 'LMTP without SMTPUTF8');
	($m) = $lmtp{old}->messages;
	unlike($m->{mail}, qr/ SMTPUTF8/, 'not to who does not know it');
	like($m->{data}, qr/^X: \Q$user\E\r$/m,
	    'but a mailbox takes such a header');
	mail("$user\@old.test", from => 's@remote.test');
	$sut->wait_log(qr/to=<\S+\@old\.test>.*dsn=5\.6\.7, status=bounced/);
	is($lmtp{old}->count, 1, 'and no such address');
}

# --- off ----------------------------------------------------------------------

$sut->set(smtputf8_enable => 'no');
$sut->write_config;
$sut->reload;
{
	my $reply = '';
	wait_for(sub {
		my $c = $sut->friend(helo => undef);
		($reply = $c->command('EHLO c.test', 250)) !~ /SMTPUTF8/;
	}, 20, 'smtputf8_enable = no to act');
	like($reply, qr/^250[- ]8BITMIME$/m,
	    'smtputf8_enable = no: it is not announced');
	my $c = $sut->friend;
	like($c->command('MAIL FROM:<a@b.test> SMTPUTF8'), qr/^555 /,
	    'nor understood');
	$sut->sendmail("X: $user\nSubject: off\n\nx\n", '-f', 's@remote.test',
	    'a@remote.test');
	my @m;
	wait_for(sub { @m = grep { $_->{data} =~ /^Subject: off\r$/m }
	    $sut->remote->messages }, 20, 'mail with it off');
	unlike($m[0]{mail}, qr/SMTPUTF8/, 'nor used');
	my (undef, $said) = $sut->sendmail("EHLO x.test\r\nQUIT\r\n", '-bs');
	unlike($said // '', qr/SMTPUTF8/, 'nor by sendmail -bs');
}

is(join("\n", $sut->complaints), '', 'nothing to complain about');
done_testing;
