# 3464.t - RFC 3464 and 6522: what reports look like, field by field.
use strict;
use warnings;
use Test::More;
use Postrider qw(wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new(clock => 1,
	remote => { replies => sub {
		my ($verb, $line) = @_;
		return undef if $verb ne 'RCPT';
		return "550-5.1.1 no\r\n550 5.1.1 user" if $line =~ /<two/;
		return "550 5.1.1 caf\xc3\xa9 \xff ferm\xe9"
		    if $line =~ /<bits/;
		return '550 5.7.1 not you' if $line =~ /<gone/i;
		return '450 4.2.0 not now' if $line =~ /<later/;
		return undef;
	} },
	aliases => "mailer-daemon postmaster\n" .
	    "both m1\@remote.test, m2\@remote.test\n",
	settings => { relay_domains => 'relay-ok.test, old.test',
	    delay_warning_time => '1h' });
my $old = $sut->sink(extensions => [qw(PIPELINING 8BITMIME)]);
{
	open my $f, '>>', $sut->etc . '/transport';
	print $f 'old.test smtp:[127.0.0.1]:' . $old->port . "\n";
}
$sut->start;

my %id;

# Send from a sender of this name.
sub post
{
	my ($name, $to, %o) = @_;
	my $c = $sut->friend;

	$c->command("MAIL FROM:<$name\@remote.test>" . ($o{mail} // ''), 250);
	my $result = $c->command("RCPT TO:<$to>" . ($o{rcpt} // ''), 250);
	$c->command('DATA', 354);
	($id{$name}) = $c->data($o{text} // "Subject: $name\n" .
	    "From: $name\@remote.test\nMessage-ID: <$name\@remote.test>\n\n" .
	    "the body\n") =~ /queued as (\w+)/;
	$c->command('QUIT', 221);
}

# The fields of a block, unfolded: name in lower case => [values].
sub fields
{
	my ($text) = @_;
	my %fields;

	for (split /\r\n/, $text =~ s/\r\n[ \t]+/ /gr) {
		/^([!-9;-~]+):[ \t]*(.*)$/ or die "no field: $_";
		push @{ $fields{lc $1} }, $2;
	}
	return \%fields;
}

# A report taken apart: envelope, header, parts with their header and text, and
# the blocks of the second part.
sub parse
{
	my ($message) = @_;
	my ($head, $body) = split /\r\n\r\n/, $message->{data}, 2;
	my $r = { message => $message, header => fields($head) };
	my ($boundary) = ($r->{header}{'content-type'}[0] // '') =~
	    /boundary="([^"]+)"/;

	defined $boundary or die "no boundary in:\n$head";
	my @parts = split /(?:\A|\r\n)--\Q$boundary\E(?:--)?\r\n/, $body;
	$r->{preamble} = shift @parts;
	$r->{is_closed} = $body =~ /\r\n--\Q$boundary\E--\r\n\z/;
	for my $part (@parts) {
		my ($h, $text) = split /\r\n\r\n/, $part, 2;
		push @{ $r->{parts} }, { header => fields($h), text => $text };
	}
	my @blocks = split /(?<=\r\n)\r\n/, $r->{parts}[1]{text};
	$r->{about} = fields(shift @blocks);
	$r->{recipients} = [map { fields($_) } grep { /\S/ } @blocks];
	return $r;
}

# The reports to the sender of this name.
sub reports
{
	my ($name) = @_;

	return map { parse($_) } grep { $_->{rcpt}[0] eq
	    "$name\@remote.test" && $_->{data} =~ /multipart\/report/ }
	    $sut->remote->messages;
}

# The only one of this action.
sub report
{
	my ($name, $action) = @_;
	my @all = grep { !defined $action ||
	    $_->{recipients}[0]{action}[0] eq $action } reports($name);

	@all == 1 or die scalar(@all) . " reports for $name\n" . $sut->log;
	return $all[0];
}

sub first { my ($r, $field) = @_; return $r->{recipients}[0]{$field} // [] }

post('plain', 'gone@remote.test');
post('MiXed.Case', 'GoNe.x@remote.test', mail => ' ENVID=QQ314159');
post('oRcpt', 'gone@remote.test',
    rcpt => ' ORCPT=rfc822;x+2By@z.test', mail => ' RET=FULL');
post('lines', 'two@remote.test');
post('wide', 'bits@remote.test');
post('slow', 'later@remote.test');
post('good', 'alice@local.test', rcpt => ' NOTIFY=SUCCESS');
post('passed', 'x@old.test', rcpt => ' NOTIFY=SUCCESS');
post('several', 'both@local.test', rcpt => ' NOTIFY=SUCCESS');
post('hdrs', 'gone@remote.test', mail => ' RET=HDRS');
post('big', 'gone@remote.test', mail => ' RET=FULL', text =>
    "Subject: big\nMessage-ID: <big\@remote.test>\n\n" .
    ('x' x 70 . "\n") x 100_000);
post('gone', 'gone@remote.test');	# whose report comes back
# Nobody of that name here, which is found out after the message was taken.
$sut->sendmail("Subject: nobody\n\nx\n", '-f', 'nobody@remote.test',
    'no-such@local.test');
# Eight bits in the header and the body.
post('bytes', 'gone@remote.test', text => "Subject: caf\xe9\n\n\xfe\xff\n");
$sut->settle;
$sut->advance(2 * 3600);
$sut->settle;

my %delayed = %{ report('slow', 'delayed') };
$sut->advance(6 * 86400);
$sut->settle;

my %reports = (plain => report('plain'), mixed => report('MiXed.Case'),
    orcpt => report('oRcpt'), lines => report('lines'),
    wide => report('wide'), good => report('good'),
    passed => report('passed'), several => report('several'),
    hdrs => report('hdrs'), big => report('big'), bytes => report('bytes'),
    nobody => report('nobody'), delayed => \%delayed,
    expired => report('slow', 'failed'));

# --- all of them --------------------------------------------------------------

my $zone = qr/[+-]\d{4}(?: \([A-Z]+\))?/;
my $date = qr/(?:\w{3}, )?[ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d $zone/;
# RFC 3463 2 has 4.y.z for a failure too, when time ran out.
my %actions = (failed => qr/^5\.\d{1,3}\.\d{1,3}$/,
    delayed => qr/^4\.\d{1,3}\.\d{1,3}$/,
    delivered => qr/^2\.\d{1,3}\.\d{1,3}$/,
    relayed => qr/^2\.\d{1,3}\.\d{1,3}$/,
    expanded => qr/^2\.\d{1,3}\.\d{1,3}$/);

for my $name (sort keys %reports) {
	my $r = $reports{$name};
	my $to = $r->{message}{rcpt}[0];
	is($r->{message}{from}, '', "3464-2-a $name: its sender is <>");
	is($r->{header}{to}[0], $to, "3464-2-a $name: To is whom it goes to");
	is(scalar @{ $r->{message}{rcpt} }, 1, "3464-2-a $name: one sender");
	is($r->{header}{'auto-submitted'}[0], 'auto-replied',
	    "3464-2-d $name: Auto-Submitted");
	is($r->{message}{from}, '', "3464-2-d $name: from nobody");
	like($r->{header}{from}[0], qr/MAILER-DAEMON\@sut\.test/,
	    "3464-2-b $name: From");
	like($r->{header}{'content-type'}[0],
	    qr{^multipart/report;.*\breport-type="?delivery-status"?(?:;|$)},
	    "3464-2-c $name: multipart/report");
	is($r->{header}{'mime-version'}[0], '1.0',
	    "3464-2-c $name: MIME-Version");
	is(scalar @{ $r->{parts} }, 3, "3464-2-c $name: three parts");
	ok($r->{is_closed}, "3464-2-c $name: the last boundary");
	my @types = map { $_->{header}{'content-type'}[0] =~ /^([^;]+)/ }
	    @{ $r->{parts} };
	is("@types[0, 1]", 'text/plain message/delivery-status',
	    "3464-2-c $name: a letter, and fields");
	like($types[2], qr{^(?:message/rfc822|text/rfc822-headers)$},
	    "3464-2-c $name: and what came back");
	is(join('|', @{ $r->{about}{'reporting-mta'} // [] }),
	    'dns; sut.test', "3464-2.2.2-a $name: one Reporting-MTA");
	my $status = $r->{parts}[1]{text};
	unlike($status, qr/[\x80-\xff\0]/, "3464-2.1-a $name: seven bits");
	unlike($status, qr/(?<!\r)\n|\r(?!\n)/, "3464-2.1-a $name: CRLF");
	like($r->{parts}[1]{header}{'content-transfer-encoding'}[0] // '7bit',
	    qr/^7bit$/i, "3464-2.1-a $name: not encoded");
	ok(@{ $r->{recipients} } > 0, "3464-2.3.2-a $name: has recipients");
	for my $to (@{ $r->{recipients} }) {
		is(scalar @{ $to->{'final-recipient'} }, 1,
		    "3464-2.3.2-a $name: one Final-Recipient");
		is(scalar @{ $to->{action} }, 1,
		    "3464-2.3.3-a $name: one Action");
		ok(exists $actions{ $to->{action}[0] },
		    "3464-2.3.3-a $name: $to->{action}[0]");
		like(join('|', @{ $to->{status} }),
		    $actions{$name eq 'expired' ? 'delayed' : $to->{action}[0]},
		    "3464-2.3.4-a $name: $to->{status}[0]");
		is(exists $to->{'will-retry-until'} ? 1 : 0,
		    $name eq 'delayed' ? 1 : 0,
		    "3464-2.3.9-a $name: Will-Retry-Until");
		my @dates = map { @{ $to->{$_} // [] } }
		    qw(last-attempt-date will-retry-until);
		like($_, qr/^$date$/, "3464-2.2.5-a $name: $_") for @dates,
		    @{ $r->{about}{'arrival-date'} };
	}
	like($r->{header}{date}[0], qr/^$date$/, "3464-2.2.5-a $name: Date");
	is(exists $r->{about}{'original-envelope-id'} ? 1 : 0,
	    $name eq 'mixed' ? 1 : 0,
	    "3464-2.2.1-a $name: Original-Envelope-Id");
	is(scalar(grep { exists $_->{'original-recipient'} }
	    @{ $r->{recipients} }), $name eq 'orcpt' ? 1 : 0,
	    "3464-3-a $name: Original-Recipient");
}

# --- one by one ---------------------------------------------------------------

my $mixed = $reports{mixed};
is($mixed->{message}{rcpt}[0], 'MiXed.Case@remote.test',
    '3464-2-a the sender with his letters');
is($mixed->{about}{'original-envelope-id'}[0], 'QQ314159',
    '3464-2.2.1-a it is the ENVID');
is(first($mixed, 'final-recipient')->[0], 'rfc822; GoNe.x@remote.test',
    '3464-2.3.2-a the recipient with its letters');
like(first($reports{orcpt}, 'original-recipient')->[0],
    qr/^rfc822; ?x\+y\@z\.test$/, '3464-3-a decoded');
is(first($reports{orcpt}, 'final-recipient')->[0], 'rfc822; gone@remote.test',
    '3464-2.3.2-a beside the final one');

my %action_of = (plain => 'failed', delayed => 'delayed', good => 'delivered',
    passed => 'relayed', several => 'expanded', expired => 'failed',
    nobody => 'failed');
is(first($reports{$_}, 'action')->[0], $action_of{$_},
    "3464-2.3.3-a $_ is $action_of{$_}") for sort keys %action_of;
is(first($reports{plain}, 'status')->[0], '5.7.1',
    '3464-2.3.4-a the status is that of the remote host');

is(scalar @{ first($reports{nobody}, 'remote-mta') }, 0,
    '3464-2.3.5-a nobody else took part: no Remote-MTA');
is(scalar @{ first($reports{good}, 'remote-mta') }, 0,
    '3464-2.3.5-a nor in a delivery here');
is(scalar @{ first($reports{several}, 'remote-mta') }, 0,
    '3464-2.3.5-a nor in an expansion');
like(join('|', @{ first($reports{$_}, 'remote-mta') }),
    qr/^dns; (?:\[127\.0\.0\.1\]|127\.0\.0\.1)$/,
    "3464-2.3.5-a $_: the host that answered")
    for qw(plain lines delayed passed);

is(first($reports{plain}, 'diagnostic-code')->[0], 'smtp; 550 5.7.1 not you',
    '3464-2.3.6-a what the host said');
is(first($reports{lines}, 'diagnostic-code')->[0],
    'smtp; 550-5.1.1 no 550 5.1.1 user', '3464-2.3.6-a in all lines');
like(first($reports{wide}, 'diagnostic-code')->[0],
    qr/^smtp; 550 5\.1\.1 caf.* ferm.$/, '3464-2.3.6-a in ASCII');
unlike(first($reports{nobody}, 'diagnostic-code')->[0] // '', qr/^smtp;/,
    '3464-2.3.6-a nothing is said to be a reply that was none');

like($reports{wide}{parts}[1]{text}, qr/5\.1\.1 caf\?+ \? ferm\?\r$/m,
    '3464-2.1-a eight bits are replaced');

# --- what is returned ---------------------------------------------------------

my $headers_only = qr{^text/rfc822-headers};
for my $name ('hdrs', 'big', 'good', 'delayed') {
	my $part = $reports{$name}{parts}[2];
	like($part->{header}{'content-type'}[0], $headers_only,
	    "3464-2-e $name: headers only");
	unlike($part->{text}, qr/\r\n\r\n[^\r]/,
	    "3464-2-e $name: nothing of the body");
	my $sent = $name eq 'delayed' ? 'slow' : $name;
	like($part->{text}, qr/^Subject: $sent\r$/m,
	    "3464-2-e $name: but the header");
}
cmp_ok(length $reports{big}{message}{data}, '<', 50000,
    '3464-2-e seven megabytes are not returned');
for my $name ('plain', 'orcpt') {
	my $part = $reports{$name}{parts}[2];
	like($part->{header}{'content-type'}[0], qr{^message/rfc822},
	    "3464-2-e $name: a small one is returned");
	like($part->{text}, qr/\r\n\r\nthe body\r\n\z/,
	    "3464-2-e $name: whole");
}
like($reports{bytes}{parts}[2]{text}, qr/^Subject: caf\xe9\r$/m,
    '3464-2-c what is returned is not changed');
is($reports{bytes}{parts}[2]{header}{'content-transfer-encoding'}[0], '8bit',
    '3464-2-c and is called what it is');

# --- no loops, and somebody who reads -----------------------------------------

is(scalar(reports('gone')), 0, '3464-2-d a report that comes back');
like($sut->log, qr/ $id{gone}: to=<gone\@remote\.test>.*status=bounced/,
    '3464-2-d of a message that failed');
my ($back) = $sut->log =~ /$id{gone}: sender non-delivery notification: (\w+)/;
like($sut->log, qr/ $back: to=<gone\@remote\.test>.*status=bounced/,
    '3464-2-d was tried');
unlike($sut->log, qr/ $back: sender /, '3464-2-d and is not reported');
is(scalar(keys %{ $sut->due }), 0, '3464-2-d it is gone');
{
	my $had = $sut->remote->count;
	my ($address) = $reports{plain}{header}{from}[0] =~ /(\S+\@sut\.test)/;
	my $c = $sut->stranger;
	$sut->take($c, from => 'plain@remote.test', to => [$address],
	    text => "Subject: your report\n\nwhat?\n");
	is(scalar($sut->wait_mail('alice', qr/^Subject: your report$/m)), 1,
	    '3464-2-b an answer reaches the postmaster');
	# What answers <> is told nothing, and tells nobody anything.
	$sut->take($c, from => '', to => ['far-off@local.test'],
	    text => "Subject: Re: plain\nAuto-Submitted: auto-replied\n\nx\n");
	$sut->wait_remote(qr/^Subject: Re: plain\r$/m);
	$sut->wait_empty;
	is($sut->remote->count, $had + 1,
	    '3464-2-d an answer to a report makes no report');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
