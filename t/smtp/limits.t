# limits.t - a host that says by LIMITS (RFC 9422) how much it wants gets no
# more of one transaction or conversation, and all of it in the end.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	minimal_backoff_time => '1000s', notify_classes => '',
	smtp_connection_cache_time_limit => '30s', smtp_processes => 1,
	smtp_mx_session_limit => 2, virtual_alias_domains => '',
}, master => <<'END');
careless  unix - - n - - smtp -o smtp_discard_ehlo_keywords=limits
END
my $etc = $mail->etc;
my (%sink, $routes);

sub heard { return Postrider::slurp("$etc/$_[0].heard") }

sub domain {
	my ($name, $limits, %o) = @_;

	$sink{$name} = $mail->sink(extensions => ['PIPELINING', $limits],
	    replies => sub {
		my ($verb, $line) = @_;
		open my $f, '>>', "$etc/$name.heard" or die;
		syswrite $f, "$verb " unless $verb =~ /^(DOT|CONTENT)$/;
		return '550 5.1.1 who?' if $verb eq 'RCPT' && $line =~ /bad/;
		return '450 4.2.1 later' if $verb eq 'RCPT' &&
		    $line =~ /later/;
		return undef;
	});
	my $port = $sink{$name}->port;
	$routes .= "$_.test " . ($o{transport} // 'smtp') .
	    ":[127.0.0.1]:$port\n" for $name, @{ $o{more} // [] };
}
domain('two', 'LIMITS RCPTMAX=2');
domain('one', 'LIMITS MAILMAX=1');
domain('both', 'LIMITS MAILMAX=2 RCPTMAX=1');
domain('domains', 'LIMITS RCPTDOMAINMAX=1', more => [qw(second third)]);
domain('wrong', 'LIMITS RCPTMAX=abc MAILMAX=0 RCPTDOMAINMAX=01 MAILMAX=1000000');
domain('half', 'LIMITS ;; RCPTMAX= rcptmax=3 NEW=1');
domain('free', 'LIMITS RCPTMAX=1', transport => 'careless');
Postrider::spew("$etc/routes", $routes);
$mail->set(transport_maps => "texthash:$etc/routes");
$mail->start;

# Send to all of these; wait until each has an outcome.
sub deliver {
	my (@to) = @_;

	$mail->send(from => '', to => \@to);
	$mail->wait_log(qr/to=<\Q$_\E>, relay=.*\n/, 20) for @to;
}
sub sizes { return join ' ', map { scalar @{ $_->{rcpt} } }
    $sink{$_[0]}->messages }

deliver(map { "r$_\@two.test" } 1 .. 5);
is(sizes('two'), '2 2 1', 'RCPTMAX: as many in a transaction');
is($sink{two}->sessions, 1, 'in one conversation');
deliver(qw(bad1@two.test bad2@two.test r@two.test later@two.test));
is(sizes('two'), '2 2 1 1', 'those who are refused count as well');
like($mail->log, qr/to=<bad2\@two\.test>.*status=bounced/, 'and are refused');
is($mail->said(qr/to=<later\@two\.test>/), 1, 'each is asked for once');

deliver('a@one.test');
deliver('b@one.test');
is($sink{one}->sessions, 2, 'MAILMAX=1: a conversation for each message');
unlike($mail->log, qr/to=<b\@one\.test>.*conn_use/, 'none is kept');
like(heard('one'), qr/QUIT CONNECT/, 'and each ends with QUIT');

deliver(map { "r$_\@both.test" } 1 .. 5);
is(sizes('both'), '1 1 1 1 1', 'MAILMAX and RCPTMAX');
is($sink{both}->sessions, 3,
    'more conversations than smtp_mx_session_limit has for hosts');

deliver(qw(a@domains.test b@domains.test));
is(sizes('domains'), '2', 'RCPTDOMAINMAX: one domain');
deliver('a@second.test');
is($sink{domains}->sessions, 2, 'the next is for another conversation');
deliver('b@second.test');
like($mail->log, qr/to=<b\@second\.test>.*conn_use=2.*status=sent/,
    'which is kept for that');

deliver(map { "r$_\@wrong.test" } 1 .. 4);
is(sizes('wrong'), '4', 'what is malformed is no limit');
deliver('r5@wrong.test');
is($sink{wrong}->sessions, 1, 'of any kind');
deliver(map { "r$_\@half.test" } 1 .. 4);
is(sizes('half'), '3 1', 'what is not, is one');
deliver(map { "r$_\@free.test" } 1 .. 4);
is(sizes('free'), '4', 'smtp_discard_ehlo_keywords = limits');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
