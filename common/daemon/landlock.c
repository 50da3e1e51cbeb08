/*
 * landlock.c - files, ports and signals, by Linux' Landlock.
 *
 * The system calls and constants are our own, since the headers of Debian 12
 * end before most of them. Each kernel says up to which ABI it goes; what it
 * does not know is left out of what we ask for:
 *
 *	1 files   2 moving between directories   3 truncating   4 TCP ports
 *	5 device ioctl   6 abstract sockets and signals to others
 *
 * Open descriptors are not touched, nor is connecting to a UNIX socket by its
 * path: that is the business of the sockets' owners and modes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/inside.h"

enum {
	CREATE_RULESET = 444,		/* the same number everywhere */
	ADD_RULE = 445,
	RESTRICT_SELF = 446,
	ASK_VERSION = 1,
	RULE_PATH = 1,
	RULE_PORT = 2
};

enum {
	FS_EXECUTE = 1 << 0, FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3, FS_REMOVE_DIR = 1 << 4, FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_CHAR = 1 << 6, FS_MAKE_DIR = 1 << 7, FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9, FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_BLOCK = 1 << 11, FS_MAKE_SYM = 1 << 12, FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14, FS_IOCTL_DEV = 1 << 15,

	FS_OF_ABI_1 = (1 << 13) - 1,
	FS_OURS = FS_READ_FILE | FS_READ_DIR,
	FS_QUEUE = FS_OURS | FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG |
	    FS_MAKE_DIR | FS_REMOVE_DIR | FS_REFER | FS_TRUNCATE
};

enum { NET_BIND = 1 << 0, NET_CONNECT = 1 << 1 };
enum { SCOPE_ABSTRACT = 1 << 0, SCOPE_SIGNAL = 1 << 1 };

struct ruleset { uint64_t fs, net, scope; };
struct path_rule { uint64_t access; int32_t fd; } __attribute__((packed));
struct port_rule { uint64_t access, port; };

/* Which ABI the kernel has; 0 is none. */
static int
find_abi(void)
{
	long	abi = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);

	return abi > 0 ? (int)abi : 0;
}

/* Everything that this kernel can forbid and this role must not do. */
static void
describe(const struct role *role, int abi, struct ruleset *set)
{
	*set = (struct ruleset){ .fs = FS_OF_ABI_1 };
	if (abi >= 2)
		set->fs |= FS_REFER;
	if (abi >= 3)
		set->fs |= FS_TRUNCATE;
	if (abi >= 5)
		set->fs |= FS_IOCTL_DEV;
	if (abi >= 4) {
		set->net = NET_BIND;
		if (!(role->needs & (NEEDS_INET | NEEDS_DNS)))
			set->net |= NET_CONNECT;
	}
	if (abi >= 6)
		set->scope = SCOPE_ABSTRACT | SCOPE_SIGNAL;
}

/* The size of the struct that this ABI knows. */
static size_t
ruleset_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return (abi >= 4 ? 2 : 1) * sizeof(uint64_t);
}

/* Allow a directory and what is below it. */
static void
allow_path(int ruleset, const char *path, uint64_t access)
{
	struct path_rule	rule = { .access = access };

	rule.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.fd == -1)
		die("open %s: %s", path, strerror(errno));
	if (syscall(ADD_RULE, ruleset, RULE_PATH, &rule, 0) == -1)
		die("landlock rule for %s: %s", path, strerror(errno));
	close(rule.fd);
}

/* The directories of the role's row. */
static void
allow_directories(const struct role *role, int ruleset, uint64_t handled)
{
	size_t	i, n = sizeof(role->writes) / sizeof(role->writes[0]);

	for (i = 0; i < n && role->writes[i] != NULL; i++)
		allow_path(ruleset, role->writes[i], FS_QUEUE & handled);
	for (i = 0; i < n && role->reads[i] != NULL; i++)
		allow_path(ruleset, role->reads[i], FS_OURS);
}

/* A client may bind to an address as long as the kernel picks the port. */
static void
allow_any_source_port(const struct role *role, int ruleset)
{
	struct port_rule	rule = { NET_BIND, 0 };

	if (!(role->needs & (NEEDS_INET | NEEDS_DNS)))
		return;
	if (syscall(ADD_RULE, ruleset, RULE_PORT, &rule, 0) == -1)
		die("landlock rule for port 0: %s", strerror(errno));
}

/*
 * Restrict this process. ABI 1 forbids every move between directories, which
 * qmgr cannot live with; such kernels are older than Debian 12's, and those
 * who write go without there.
 */
void
landlock_enter(const struct role *role)
{
	struct ruleset	set;
	int		abi = find_abi(), ruleset;

	if (abi == 0 || (abi == 1 && role->writes[0] != NULL)) {
		log_debug("sandbox: no Landlock in this kernel");
		return;
	}
	describe(role, abi, &set);
	ruleset = (int)syscall(CREATE_RULESET, &set, ruleset_size(abi), 0);
	if (ruleset == -1)
		die("landlock: %s", strerror(errno));
	allow_directories(role, ruleset, set.fs);
	if (set.net != 0)
		allow_any_source_port(role, ruleset);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    syscall(RESTRICT_SELF, ruleset, 0) == -1)
		die("landlock: %s", strerror(errno));
	close(ruleset);
	log_debug("sandbox: Landlock ABI %d", abi);
}
