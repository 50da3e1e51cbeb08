# Make the rows of known.c's table out of known.tsv: number, standing, name,
# default, programs, harmless, note.
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
	printf "ROW(%d, STANDING_%s,\n    %s, %s,\n    %s, %s,\n    %s)\n",
	    NR, standing, text($1), text($5), text($4), text($3), text($6)
}
