# Included by the Makefile: everything about testing and showing.
