#!/usr/bin/perl
# turns.t - commands for one address wait for each other, those for another
# one do not; local/turns.c.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new;
my ($dir, $etc) = ($mail->dir, $mail->etc);
my $out = "$dir/out";

mkdir $out;
chmod 01777, $out;

# A command that notes how many of its name run, and lasts until as many have
# begun as are asked for, or for some seconds.
my $script = "$etc/count";
spew($script, <<"END");
#!/bin/sh
cat > /dev/null
mkdir -p $out/\$1
touch $out/\$1/\$\$
ls $out/\$1 | wc -l >> $out/\$1.counts
i=0
while [ \$(wc -l < $out/\$1.counts) -lt \$2 ] && [ \$i -lt 30 ]; do
	sleep 0.1
	i=\$((i + 1))
done
rm $out/\$1/\$\$
END
chmod 0755, $script;
spew("$etc/aliases", <<"END");
postmaster root
two "|$script two 7"
other "|$script other 1"
three "|$script three 7"
END

# Six messages at once to the name: the greatest number that ran together.
sub most
{
	my ($name, $during) = @_;
	my %ids = map { $mail->send(from => '', to => ["$name\@local.test"],
	    text => "Subject: $_\n\nhi\n") =~ /queued as (\w+)/ or die;
	    ($1 => 1) } 1 .. 6;

	$during->() if $during;
	wait_for(sub {
		my %sent = map { /: (\w+): to=.*status=sent/ ? ($1 => 1) : () }
		    split /^/, $mail->log;
		return !grep { !$sent{$_} } keys %ids;
	}, 40, "all to $name");
	my ($most) = sort { $b <=> $a } split ' ', slurp("$out/$name.counts");
	return $most;
}

$mail->start;
my $other;
is(most('two', sub {
	wait_for(sub { -s "$out/two.counts" }, 10, 'the first command');
	most('other');
	$other = grep { $_ } split ' ', slurp("$out/two.counts");
}), 2, 'two commands at once for one address, as Postfix has it');
cmp_ok($other, '<', 6, 'another address does not wait for them');

$mail->set(local_destination_concurrency_limit => 3);
$mail->stop;
$mail->start;
is(most('three'), 3, 'or as many as main.cf says');
is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
