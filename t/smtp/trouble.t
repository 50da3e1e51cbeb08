# trouble.t - what tells that a site is down, and what only that we are short
# of something: the first makes its mail wait, the second does not.
use strict;
use warnings;
use Test::More;
use Postrider;

my $mail = Postrider->new(settings => {
	smtpd_peername_lookup => 'no', local_recipient_maps => '',
	smtp_host_lookup => 'native', smtp_processes => '1',
	smtp_mail_timeout => '1s', smtp_connection_cache_time_limit => '0',
	minimal_backoff_time => '1000s', queue_run_delay => '1000s',
	notify_classes => '',
}, master => "bound unix - - n - - smtp -o smtp_bind_address=192.0.2.55 " .
    "-o smtp_bind_address_enforce=yes\n");
my $pit = $mail->sink(replies => sub {
	return $_[0] eq 'MAIL' ? 'HANG' : undef;
});
my $good = $mail->sink;
Postrider::spew($mail->etc . '/routes',
    "pit.test smtp:[127.0.0.1]:@{[ $pit->port ]}\n" .
    "good.test smtp:[127.0.0.1]:@{[ $good->port ]}\n" .
    "bound.test bound:[127.0.0.1]:@{[ $good->port ]}\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/routes');
$mail->start;

# Send so many, one after the other; their lines.
sub outcomes
{
	my ($domain, $count) = @_;
	my @lines;

	for my $n (1 .. $count) {
		$mail->send(from => '', to => ["r$n\@$domain"]);
		push @lines, $mail->wait_log(
		    qr/to=<r$n\@\Q$domain\E>, relay=.*\n/, 20);
	}
	return @lines;
}

my @lines = outcomes('bound.test', 12);
is(scalar(grep { /dsn=4\.3\.0, status=deferred \(connect to .*Cannot assign/ }
    @lines), 12, 'no address to call from: each message is tried');

@lines = outcomes('pit.test', 8);
like($lines[0], qr/dsn=4\.4\.2, status=deferred \(conversation with .* timed out while sending MAIL FROM/,
    'a host that hangs');
like($lines[-1], qr/delivery temporarily suspended: conversation with .* timed out/,
    'keeps only the first few waiting');

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing();
