# lookup.t - tables asked by service and parameter, and who may ask for what.
use strict;
use warnings;
use lib 't/lib', 't/resolve';

use File::Temp ();
use Test::More;

use Alone;
use Postrider qw(spew wait_for);

my $temp = File::Temp->newdir('prt-lookup-XXXX', DIR => '/tmp');
my $dir = "$temp";
chmod 0755, $dir;
my $e = "$dir/etc";

sub table { return Alone::table($e, @_) }

Alone::prepare($dir, myorigin => 'local.test', recipient_delimiter => '+',
    mydestination => 'local.test', alias_maps => '',
    local_recipient_maps => '',
    relay_domains => 'relay.test',
    fast_flush_domains => '$relay_domains, other.test',
    smtp_generic_maps => "texthash:$e/generic",
    smtp_header_checks => "regexp:$e/checks",
    lmtp_generic_maps => 'inline:{ x@local.test=lmtp@out.test }',
    default_delivery_status_filter => "regexp:$e/status",
    mailbox_transport_maps => 'inline:{ ann=lmtp:unix:private/box }');
table('generic', <<'END');
ann@local.test	ann@out.test
bob		bob@out.test
@far.test	far@out.test
END
table('relay_generic', "ann\@local.test relayed\@out.test\n");
table('checks', "/^Received:/ IGNORE\n/^X-Bad:/ WARN bad\n");
table('status', "/^5(.*)/ 4\$1\n");
table('secret', "ann\@local.test hidden\n");
spew("$e/master.cf", <<"END");
smtp unix - - n - - smtp
relay unix - - n - - smtp
  -o smtp_generic_maps=texthash:$e/relay_generic -o set=$e
  -o { smtp_reply_filter = regexp:\$set/status }
silent unix - - n - - smtp -o smtp_generic_maps= -o smtp_header_checks=
missing unix - - n - - smtp -o smtp_generic_maps=texthash:$e/nowhere
circle unix - - n - - smtp -o smtp_generic_maps=\$round -o round=\$smtp_generic_maps
post unix - - n - - lmtp -o lmtp_generic_maps=static:here
local unix - n n - - local
box unix - n n - - local -o mailbox_transport_maps=static:box
10025 inet n - n - - smtpd -o smtp_generic_maps=texthash:$e/secret
END

my $resolve = Alone->new(program => 'resolve', dir => $dir);
my ($by_key, $by_address, $by_domain) = 0 .. 2;

# "result which value extension text" of a question of this program.
sub lookup
{
	my ($program, $service, $parameter, $how, @keys) = @_;
	my $f = $resolve->ask_as($program, 'ASK_LOOKUP', ['str', $service],
	    ['str', $parameter], ['int', $how],
	    ['list', [map { [['str', $_]] } @keys]]);

	return join ' ', @$f{qw(result which value extension text)};
}

is(lookup('smtp', 'smtp/unix', 'smtp_generic_maps', $by_key, 'x', 'bob'),
    '0 1 bob@out.test  ', 'a key as it is; the first that hits is told');
is(lookup('smtp', '', 'smtp_generic_maps', $by_key, 'ann@local.test'),
    '0 0 ann@out.test  ', 'no service: what main.cf says');
is(lookup('smtp', 'smtp/unix', 'smtp_generic_maps', $by_address,
    'ann+list@local.test'), '0 0 ann@out.test +list ',
    'an address without its extension, which is told');
is(lookup('smtp', 'smtp/unix', 'smtp_generic_maps', $by_address,
    'bob+x@local.test'), '0 0 bob@out.test +x ',
    'a local part, in a domain of ours');
is(lookup('smtp', 'smtp/unix', 'smtp_generic_maps', $by_address,
    'bob@other.test'), '1 0   ', 'and in no other');
is(lookup('smtp', 'smtp/unix', 'smtp_generic_maps', $by_address,
    'x@other.test', 'who@far.test'), '0 1 far@out.test  ',
    'a whole domain; several addresses in one question');
is(lookup('smtp', 'smtp/unix', 'smtp_header_checks', $by_key,
    'Subject: x', 'X-Bad: y', 'Received: z'), '0 1 WARN bad  ',
    'patterns are asked like the rest');

is(lookup('smtp', 'relay/unix', 'smtp_generic_maps', $by_key,
    'ann@local.test'), '0 0 relayed@out.test  ',
    'a service has the table of its own line');
is(lookup('smtp', 'relay/unix', 'smtp_header_checks', $by_key,
    'Received: x'), '0 0 IGNORE  ', 'and main.cf\'s where it sets none');
is(lookup('smtp', 'relay/unix', 'smtp_reply_filter', $by_key, '550 no'),
    '0 0 450 no  ', 'names of other settings of the line are expanded');
is(lookup('smtp', 'silent/unix', 'smtp_generic_maps', $by_key,
    'ann@local.test'), '1 0   ', 'an empty setting is one, too');
is(lookup('smtp', 'smtp/unix', 'smtp_delivery_status_filter', $by_key,
    '5.1.1 x'), '0 0 4.1.1 x  ', 'defaults name other parameters');
is(lookup('local', 'local/unix', 'local_delivery_status_filter', $by_key,
    '5.1.1 x'), '0 0 4.1.1 x  ', 'for local, too');

like(lookup('smtp', 'missing/unix', 'smtp_generic_maps', $by_key, 'a'),
    qr{^2 0 .*/nowhere: .*no such file}i,
    'a table that is missing is a temporary failure');
like($resolve->log, qr{smtp_generic_maps: .*/nowhere}, 'which is told');
like(lookup('smtp', 'circle/unix', 'smtp_generic_maps', $by_key, 'a'),
    qr/^2 0 /, 'and so is a setting that uses itself');

is(lookup('smtp', 'post/unix', 'lmtp_generic_maps', $by_key, 'x'),
    '0 0 here  ', 'lmtp is smtp by another name');
is(lookup('smtp', 'post/unix', 'smtp_generic_maps', $by_key, 'bob'),
    '0 0 bob@out.test  ', 'with the same parameters and more');
is(lookup('local', 'local/unix', 'mailbox_transport_maps', $by_key, 'ann'),
    '0 0 lmtp:unix:private/box  ', 'local asks for transports of users');
is(lookup('local', 'box/unix', 'mailbox_transport_maps', $by_key, 'ann'),
    '0 0 box  ', 'by service as well');
is(lookup('local', 'local/unix', 'fallback_transport_maps', $by_key, 'ann'),
    '1 0   ', 'a parameter that is not set holds nothing');

is(lookup('qmgr', '', 'fast_flush_domains', $by_domain, 'Relay.test'),
    '0 0   ', 'a list of domains has this one');
is(lookup('qmgr', '', 'fast_flush_domains', $by_domain, 'x.relay.test'),
    '0 0   ', 'with its sub-domains');
is(lookup('qmgr', '', 'fast_flush_domains', $by_domain, 'x.test',
    'other.test'), '0 1   ', 'several are asked in turn');
is(lookup('qmgr', '', 'fast_flush_domains', $by_domain, 'third.test'),
    '1 0   ', 'others are not in it');

my $not = qr/^2 0   this parameter is not yours to ask for$/;
like(lookup('smtp', '10025/inet', 'smtp_generic_maps', $by_key,
    'ann@local.test'), $not, 'smtp may not name a service of smtpd');
like(lookup('smtp', 'local/unix', 'smtp_generic_maps', $by_key, 'a'), $not,
    'nor one of local');
like(lookup('smtp', 'nosuch/unix', 'smtp_generic_maps', $by_key, 'a'), $not,
    'nor one that does not exist');
like(lookup('smtp', 'smtp/unix', 'alias_maps', $by_key, 'a'), $not,
    'nor a parameter of somebody else');
like(lookup('smtpd', '', 'smtp_generic_maps', $by_key, 'a'), $not,
    'smtpd may ask for none of these');
like(lookup('smtp', '', 'smtp_generic_maps', $by_domain, 'a'), $not,
    'a table is no list of domains');
like($resolve->log, qr/smtp may not ask for alias_maps of service smtp/,
    'who asks for too much is told');

table('relay_generic', "ann\@local.test newly\@out.test\n");
wait_for(sub { lookup('smtp', 'relay/unix', 'smtp_generic_maps', $by_key,
    'ann@local.test') eq '0 0 newly@out.test  ' }, 10, 'the change');
pass('a changed table of a service is noticed');
spew("$e/master.cf", "smtp unix - - n - - smtp\n" .
    "relay unix - - n - - smtp -o smtp_generic_maps=static:all\n");
$resolve->reload;
wait_for(sub { lookup('smtp', 'relay/unix', 'smtp_generic_maps', $by_key,
    'x') eq '0 0 all  ' }, 10, 'the reload');
pass('a reload reads master.cf, too');

is($resolve->stop, 0, 'resolve ends in order');
unlike($resolve->log, qr/(?:panic|fatal|Sanitizer)/,
    'the log has no complaint of that kind');
done_testing();
