# logins.t - which sender addresses a login may use.
use strict;
use warnings;
use MIME::Base64;
use Test::More;
use Postrider qw(free_port);
use Postrider::AuthServer;
use Postrider::Fixture;

my %rule = (all => 'reject_sender_login_mismatch',
    in => 'reject_authenticated_sender_login_mismatch',
    out => 'reject_unauthenticated_sender_login_mismatch',
    known => 'reject_known_sender_login_mismatch');
my %port = map { $_ => free_port() } keys %rule, 'broken', 'early', 'none';
sub service
{
	my ($name, @settings) = @_;

	return "127.0.0.1:$port{$name} inet n - n - - smtpd\n" .
	    "  -o smtpd_sasl_auth_enable=yes\n" .
	    join '', map { "  -o { $_ }\n" } @settings;
}
my $sut = Postrider::Fixture->new(settings => {
	smtpd_sasl_type => 'dovecot', append_dot_mydomain => 'yes',
	smtputf8_enable => 'yes', smtpd_relay_restrictions =>
	    'permit_sasl_authenticated, reject_unauth_destination',
	smtpd_sender_login_maps => 'inline:{ ' .
	    '{alice@local.test=Alice}, {bob@local.test=bob@local.test, boss}, ' .
	    '{team=alice boss}, {@all.test=bob@local.test}, ' .
	    '{one@all.test=alice}, {"c d"@local.test=boss} }',
    }, master => join '', (map { service($_,
	"smtpd_sender_restrictions = $rule{$_}") } sort keys %rule),
    service('broken', "smtpd_sender_restrictions = $rule{all}",
	'smtpd_sender_login_maps = texthash:/no/such/table'),
    service('early', "smtpd_sender_restrictions = $rule{all}",
	'smtpd_delay_reject = no'),
    service('none', "smtpd_sender_restrictions = $rule{all}",
	'smtpd_sender_login_maps ='));
my $auth = Postrider::AuthServer->new($sut->dir . '/auth',
    users => { map { $_ => 'x' } 'alice', 'bob@local.test', 'boss', 'eve' });
$sut->set(smtpd_sasl_path => $sut->dir . '/auth');
$sut->start;

sub session
{
	my ($name, $login) = @_;
	my $c = $sut->stranger(port => $port{$name});

	$c->command('AUTH PLAIN ' . encode_base64("\0$login\0x", ''), 235)
	    if defined $login;
	return $c;
}

# The reply to a recipient of this sender's.
sub try_sender
{
	my ($c, $sender, $more) = @_;

	$c->command("MAIL FROM:$sender" . ($more // ''), 250);
	my $reply = $c->command('RCPT TO:<alice@local.test>');
	$c->command('RSET', 250);
	return $reply;
}

# --- REL-06: every spelling ---------------------------------------------------------

my %own = ('<alice@local.test>' => 'alice', '<ALICE@Local.Test>' => 'alice',
    '<alice>' => 'alice', '<"alice"@local.test>' => 'alice',
    '<alice+tag@local.test>' => 'alice', '<alice+a=b.test@local.test>' =>
    'alice', '<@x.test,@y.test:alice@local.test>' => 'alice',
    '<team@local.test>' => 'alice', '<"team"@second.test>' => 'alice',
    '<one@all.test>' => 'alice', '<other@all.test>' => 'bob@local.test',
    '<"c d"@local.test>' => 'boss', '<"c\ d"@local.test>' => 'boss',
    '<team@remote.test>' => 'nobody', '<bob@local.test>' => 'boss',
    '<bob+x@local.test>' => 'boss', '<"b\ob"@local.test>' => 'boss',
    '<bob>' => 'boss', '<free@local.test>' => 'nobody',
    '<bob%local.test@x.test>' => 'nobody',
    '<alice@local.test.x.test>' => 'nobody');
{
	my %c = map { $_ => session('all', $_) } 'alice', 'boss',
	    'bob@local.test', 'eve';
	my $out = session('all');
	for my $sender (sort grep { defined $own{$_} } keys %own) {
		my $owner = $own{$sender};
		for my $login ('alice', 'eve', $owner eq 'nobody' ? () : $owner) {
			my $is_his = $login eq $owner;
			like(try_sender($c{$login}, $sender), $is_his ?
			    qr/^250 / : qr/^553 5\.7\.1 <.*>: Sender address rejected: not owned by user $login$/,
			    "REL-06 $login " . ($is_his ? 'has' : 'has not') .
			    " $sender");
		}
		like(try_sender($out, $sender), $owner eq 'nobody' ?
		    qr/^250 / : qr/^553 5\.7\.1 <.*>: Sender address rejected: not logged in$/,
		    "REL-06 nobody and $sender");
	}
	like(try_sender($c{alice}, "<\xd0\xb0lice\@local.test>", ' SMTPUTF8'),
	    qr/^553 /, 'REL-06 what only looks like it');
	like(try_sender($c{eve}, "<\xc3\xa9ve\@local.test>", ' SMTPUTF8'),
	    qr/^553 /, 'REL-06 nobody\'s, with an accent');
	like(try_sender($c{$_}, '<>'), qr/^250 /,
	    "REL-06 $_ may use the null sender") for 'alice', 'eve';
	$c{eve}->command('MAIL FROM:<bob@local.test> XVERP');
	like($c{eve}->command('RCPT TO:<alice@local.test>'), qr/^5/,
	    'REL-06 nor does VERP help');
	like(try_sender($c{'bob@local.test'}, '<bob@local.test>'), qr/^250 /,
	    'the first of two owners');
}

# --- the other three ----------------------------------------------------------------

my @cases = (
	# rule, login, sender, is it taken?
	['in', undef, '<bob@local.test>', 1], ['in', 'eve', '<bob@local.test>', 0],
	['in', 'eve', '<free@x.test>', 0], ['in', 'boss', '<bob@local.test>', 1],
	['out', undef, '<bob@local.test>', 0], ['out', undef, '<free@x.test>', 1],
	['out', 'eve', '<bob@local.test>', 1],
	['known', undef, '<bob@local.test>', 0],
	['known', 'eve', '<bob@local.test>', 0],
	['known', 'eve', '<free@x.test>', 1],
	['known', undef, '<free@x.test>', 1],
	['known', 'boss', '<bob@local.test>', 1],
	# Without a table nobody owns anything.
	['none', undef, '<bob@local.test>', 1], ['none', 'eve', '<eve@x.test>', 0],
);
for (@cases) {
	my ($name, $login, $sender, $is_taken) = @$_;
	like(try_sender(session($name, $login), $sender),
	    $is_taken ? qr/^250 / : qr/^553 5\.7\.1 /,
	    ($rule{$name} // 'no table') . ': ' . ($login // 'nobody') .
	    ($is_taken ? ' may use ' : ' may not use ') . $sender);
}
like(try_sender(session('broken', 'boss'), '<bob@local.test>'), qr/^451 4\.3\.0 /,
    'a table that cannot be read lets nobody through');
like(try_sender(session('broken'), '<bob@local.test>'), qr/^451 4\.3\.0 /,
    'whoever he is');
ok($sut->wait_log(qr/warning: smtpd_sender_login_maps: /), 'the log says why');
{
	my $c = session('early', 'eve');
	like($c->command('MAIL FROM:<bob@local.test>'), qr/^553 5\.7\.1 /,
	    'smtpd_delay_reject = no: at MAIL');
	ok($sut->wait_log(qr/NOQUEUE: reject: MAIL from unknown\[127\.0\.0\.2\]: 553 5\.7\.1 <bob\@local\.test>: Sender address rejected: not owned by user eve; from=<bob\@local\.test> proto=ESMTP helo=<c\.test>/),
	    'the log has the line that programs know');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
