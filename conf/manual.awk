# manual.awk - fills in the page of main.cf: the rows of all programs, and
# what the table of known names says of the others.
#
#	awk -v rows=FILE -v known=common/param/known.tsv -f manual.awk PAGE.in
#
# rows is what `postrider conf --manual` printed. A line of the page that is
# @ROWS@, @NOT-YET@, @HARMLESS@ or @OBSOLETE@ becomes that list.

# Text in lines of less than eighty columns; each sentence begins one.
function fold(text,	n, i, word, line, starts)
{
	n = split(text, word, / +/)
	line = ""
	for (i = 1; i <= n; i++) {
		starts = i == 1 || word[i - 1] ~ /[.!?]$/ && word[i] ~ /^[A-Z]/
		if (line != "" && (starts ||
		    length(line) + length(word[i]) > 76)) {
			print guard(line)
			line = ""
		}
		line = line == "" ? word[i] : line " " word[i]
	}
	if (line != "")
		print guard(line)
}

# A dot or a quote that begins a line would be a request.
function guard(line)
{
	return line ~ /^[.']/ ? "\\&" line : line
}

# The rows, their long lines folded.
function write_rows(	line, is_literal, count)
{
	while ((getline line < rows) > 0) {
		if (line ~ /^\.Bd/)
			is_literal = 1
		if (line ~ /^\.Ed/)
			is_literal = 0
		if (line ~ /^\.It/)
			count++
		if (is_literal || line ~ /^\.[A-Z]/)
			print line
		else
			fold(line)
	}
	if (count < 100) {
		print "manual.awk: only " count " rows: the programs' " \
		    "directory belongs to somebody else?" > "/dev/stderr"
		exit 1
	}
}

# Every known name that stands so.
function write_known(standing,	line, column, name)
{
	print ".Bl -item -compact -offset indent"
	while ((getline line < known) > 0) {
		split(line, column, "\t")
		if (column[2] != standing)
			continue
		name = column[1]
		sub(/^\*/, "TRANSPORT", name)
		print ".It"
		print ".Ic " name
		if (standing == "obsolete")
			print "is now\n.Ic " column[6]
		else if (column[6] != "")
			print "\\(em " column[6]
	}
	close(known)
	print ".El"
}

$0 == "@ROWS@" { write_rows(); next }
$0 == "@NOT-YET@" { write_known("not-yet"); next }
$0 == "@HARMLESS@" { write_known("harmless"); next }
$0 == "@OBSOLETE@" { write_known("obsolete"); next }
{ print }
