/*
 * mbox_mark.c - a lock file that says who made it.
 *
 * A lock file outlives its maker, and after a power cut nobody comes back for
 * it. Other programs' files tell nothing that can be relied on: they are stale
 * when they are old. Ours have these two lines, of which other programs know
 * the first:
 *
 *	PID
 *	postrider BOOT NAMESPACE
 *
 * BOOT is the kernel's name for the time from one boot to the next, NAMESPACE
 * tells in which count of processes PID is meant. Containers that are given
 * another name for it than the kernel's make no marks and judge none: of two
 * that share a mail spool each would take the other for one who is gone.
 *
 * The text is in the file, for humans and other programs, and in an extended
 * attribute, since the content of a file that nobody syncs may be empty after
 * a power cut.
 *
 * mailbox-3  A lock file with a mark has it from the moment in which it gets
 *            its name: there is none that a kill has left without one.
 * Q1  A maker is gone for sure if he ran before this boot, or if he was
 *     counted with us and his number is nobody's. On a file system that other
 *     machines may use, neither is known, and files are stale by their age.
 */
#include "local/mbox.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

#define ATTRIBUTE	"user.postrider.lock"

enum { MARK = 128, BOOT = 40, ZFS = 0x2fc12fc1 };

static struct {
	char			boot[BOOT];
	unsigned long long	processes;	/* the namespace */
	char			text[MARK];	/* "": we cannot say */
} self;

/* The kernel's own word for this boot, or "". systemd-nspawn and LXC put a file
 * of theirs over it, which is not on proc. */
static void
learn_boot(char boot[BOOT])
{
	struct statfs	fs;
	ssize_t		n = 0;
	int		fd;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd != -1 && fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
		n = fs_pread(fd, boot, BOOT - 1, 0);
	if (fd != -1)
		close(fd);
	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
}

/* Learn who we are. What we cannot learn makes locks like everybody's. */
void
mbox_mark_prepare(void)
{
	struct stat	st;

	self.text[0] = '\0';
	learn_boot(self.boot);
	if (self.boot[0] == '\0' || stat("/proc/self/ns/pid", &st) == -1)
		return;
	self.processes = st.st_ino;
	(void)snprintf(self.text, sizeof(self.text), "%d\npostrider %s %llu\n",
	    (int)getpid(), self.boot, self.processes);
}

/* Is this a file system that no other machine writes to? (Q1) */
static bool
is_local(int fd)
{
	struct statfs	fs;

	if (fstatfs(fd, &fs) == -1)
		return false;
	switch ((unsigned long)fs.f_type) {
	case EXT4_SUPER_MAGIC:			/* ext2 and ext3 as well */
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
	case ZFS:
		return true;
	default:
		return false;
	}
}

/* A file without a name in the lock's directory; -1 if there is no such
 * thing. */
static int
open_unnamed(const char *lock)
{
	char	directory[1000], *slash;

	if (strlcpy(directory, lock, sizeof(directory)) >= sizeof(directory))
		return -1;
	if ((slash = strrchr(directory, '/')) == NULL)
		strlcpy(directory, ".", sizeof(directory));
	else
		slash[slash == directory] = '\0';
	return open(directory, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
}

/* A file that is marked before it has the name (mailbox-3). */
static int
make_marked(const char *lock)
{
	char	path[40];
	int	fd, saved, result = -1;

	if (self.text[0] == '\0' || (fd = open_unnamed(lock)) == -1)
		return -1;
	if (is_local(fd) &&
	    fs_write(fd, self.text, strlen(self.text)) != -1) {
		(void)fsetxattr(fd, ATTRIBUTE, self.text, strlen(self.text),
		    0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		result = linkat(AT_FDCWD, path, AT_FDCWD, lock,
		    AT_SYMLINK_FOLLOW);
	}
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

/* Marked if we can, or else like everybody's. */
int
mbox_mark_make(const char *lock)
{
	int	fd;

	errno = 0;
	if (make_marked(lock) == 0)
		return 0;
	if (errno == EEXIST)
		return -1;
	fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* The mark of an open lock file, "" if it has none. */
static void
read_mark(int fd, char text[MARK])
{
	ssize_t	n = fs_pread(fd, text, MARK - 1, 0);

	if (n <= 0 || text[0] == '\0')
		n = fgetxattr(fd, ATTRIBUTE, text, MARK - 1);
	text[n > 0 ? n : 0] = '\0';
}

/* Does the mark name somebody who is gone? (Q1) */
static bool
names_dead(const char *text)
{
	unsigned long long	processes;
	char			boot[BOOT];
	int			pid;

	if (sscanf(text, "%d\npostrider %39s %llu\n", &pid, boot,
	    &processes) != 3 || pid <= 0)
		return false;
	if (strcmp(boot, self.boot) != 0)
		return true;
	return processes == self.processes && kill(pid, 0) == -1 &&
	    errno == ESRCH;
}

/* Ours, and of nobody? */
bool
mbox_mark_is_dead(const char *lock)
{
	struct stat	st;
	char		text[MARK];
	int		fd;

	if (self.text[0] == '\0')
		return false;
	fd = open(lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return false;
	text[0] = '\0';
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_local(fd))
		read_mark(fd, text);
	close(fd);
	return names_dead(text);
}
