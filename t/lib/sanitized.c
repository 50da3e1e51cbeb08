/*
 * sanitized.c - the options of ASan in the programs of a sanitizer build.
 *
 * Linked to programs, not to unit tests: a program that ends leaves its memory
 * to the kernel, and no process that has changed its user can be searched for
 * leaks. The environment does not do, because ASan reads that from /proc, which
 * a set-gid program like postdrop cannot.
 */
const char	*__asan_default_options(void);

/* What ASAN_OPTIONS would say. */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0:exitcode=99";
}
