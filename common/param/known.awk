# Make the rows of known.c's table out of known.tsv.
BEGIN	{ FS = "\t" }

function text(s)
{
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	return "\"" s "\""
}

NF != 6	{
	print FILENAME ":" NR ": expected six columns" > "/dev/stderr"
	exit 1
}

{
	standing = toupper($2)
	gsub(/-/, "_", standing)
	printf "{ %s, STANDING_%s,\n    %s,\n    %s, %s,\n    %s },\n",
	    text($1), standing, text($3), text($4), text($6), text($5)
}
