# fibers.py - show every fiber's backtrace in gdb, in a live process or a core.
#
#	gdb -p PID -x common/fiber/fibers.py -ex fibers
#	gdb -x common/fiber/fibers.py PROGRAM CORE -ex fibers
#
# fibers [OPTIONS]	each fiber, its state and its backtrace; the options go
#			to gdb's backtrace ("fibers -full")
# fiber NUMBER		make up, down, frame and info locals show this fiber
# fiber			back to what really runs
#
# gdb knows only the thread that runs. A sleeping fiber's registers lie where
# switch.c put them, or in its ucontext_t; an unwinder tells gdb that the
# innermost frame was called from there. Registers are never written, so a core
# will do.

import gdb
import gdb.unwinder

STATES = {"FIBER_READY": "ready", "FIBER_RUNNING": "running",
    "FIBER_WAITING": "waiting", "FIBER_ENDED": "ended"}

# Where context_swap() puts what an unwinder needs: the word of each register,
# and how many words there are, behind which the caller's stack goes on.
OWN = {
	"i386:x86-64": (8, "rsp", {"rip": 7, "rbp": 6, "rbx": 5, "r12": 4,
	    "r13": 3, "r14": 2, "r15": 1}),
	"aarch64": (22, "sp", {"pc": 11, "x29": 10, "x30": 11, "x19": 0,
	    "x20": 1, "x21": 2, "x22": 3, "x23": 4, "x24": 5, "x25": 6,
	    "x26": 7, "x27": 8, "x28": 9}),
}

# Where ucontext_t keeps the same: gdb's name, then the index into gregs
# (x86_64) or regs (aarch64), or the member's name.
LIBC = {
	"i386:x86-64": ("gregs", {"rip": 16, "rsp": 15, "rbp": 10, "rbx": 11,
	    "r12": 4, "r13": 5, "r14": 6, "r15": 7}),
	"aarch64": ("regs", {"pc": "pc", "sp": "sp", "x29": 29, "x30": 30,
	    "x19": 19, "x20": 20, "x21": 21, "x22": 22, "x23": 23, "x24": 24,
	    "x25": 25, "x26": 26, "x27": 27, "x28": 28}),
}


def own_registers(context, machine):
	"""The registers of a stack that context_swap() left."""
	words, stack, names = OWN[machine]
	word = gdb.lookup_type("unsigned long")
	saved = context["registers"].cast(word.pointer())
	found = {name: saved[place] for name, place in names.items()}
	found[stack] = (saved + words).cast(word)
	return found


def libc_registers(context, machine):
	"""The registers of a stack that swapcontext(3) left."""
	array, names = LIBC[machine]
	saved = context["libc"]["uc_mcontext"]
	return {name: saved[place] if isinstance(place, str)
	    else saved[array][place] for name, place in names.items()}


class FrameId:
	"""What gdb wants to know a frame by. The stack address is nought, so
	that a fiber's stack, wherever it lies, counts as further out."""

	def __init__(self, pc):
		self.sp = gdb.Value(0).cast(gdb.lookup_type("long"))
		self.pc = pc


class FiberUnwinder(gdb.unwinder.Unwinder):
	"""Graft a sleeping fiber's stack onto the innermost frame."""

	def __init__(self):
		super().__init__("fibers")
		self.context = None
		self.sp = None

	def graft(self, context):
		"""Show this context from now on; None shows what runs."""
		self.context = None
		gdb.invalidate_cached_frames()
		gdb.newest_frame().select()
		self.sp = int(gdb.newest_frame().read_register("sp"))
		self.context = context
		gdb.invalidate_cached_frames()

	def __call__(self, pending):
		if self.context is None:
			return None
		if int(pending.read_register("sp")) != self.sp:
			return None
		machine = pending.architecture().name()
		info = pending.create_unwind_info(
		    FrameId(pending.read_register("pc")))
		registers = own_registers if self.context["libc"] == 0 \
		    else libc_registers
		for name, value in registers(self.context, machine).items():
			kind = pending.read_register(name).type
			info.add_saved_register(name, value.cast(kind))
		return info


unwinder = FiberUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def global_of_fiber_c(name):
	"""A static variable of fiber.c."""
	symbol = gdb.lookup_static_symbol(name)
	if symbol is None:
		raise gdb.GdbError("no fibers here: this program has no " + name)
	return symbol.value()


def fibers():
	"""The living fibers, the oldest first."""
	found = []
	fiber = global_of_fiber_c("living_fibers")["lh_first"]
	while fiber != 0:
		found.append(fiber)
		fiber = fiber["living"]["le_next"]
	return sorted(found, key=lambda each: int(each["serial"]))


def main_thread():
	"""Fibers run on the thread that has the process's number."""
	for thread in gdb.selected_inferior().threads():
		if thread.ptid[0] == thread.ptid[1]:
			thread.switch()


def show_frames(options):
	"""The backtrace without the frame that the fiber was grafted onto."""
	text = gdb.execute("backtrace " + options, to_string=True)
	start = text.find("\n#1 ") if unwinder.context is not None else -1
	print(text[start + 1:], end="")


def show_title(fiber):
	"""One line that says who this is."""
	try:
		name = fiber["name"].string()
	except gdb.error:
		name = "?"
	state = str(fiber["state"])
	deadline = int(fiber["deadline"])
	print("\nfiber %d \"%s\" %s%s%s" % (int(fiber["serial"]), name,
	    STATES.get(state, state),
	    ", cancelled" if fiber["is_cancelled"] else "",
	    "" if deadline == 2**63 - 1 else ", until %d ms" % deadline))


class Fibers(gdb.Command):
	"""Show every fiber's backtrace; options go to backtrace."""

	def __init__(self):
		super().__init__("fibers", gdb.COMMAND_STACK)

	def invoke(self, options, from_tty):
		main_thread()
		try:
			for fiber in fibers():
				show_title(fiber)
				running = str(fiber["state"]) == "FIBER_RUNNING"
				unwinder.graft(None if running
				    else fiber["context"])
				show_frames(options)
			self.show_loop(options)
		finally:
			unwinder.graft(None)

	def show_loop(self, options):
		"""The main stack: what runs, unless a fiber does."""
		print("\nthe loop")
		context = None
		if global_of_fiber_c("running") != 0:
			context = global_of_fiber_c("main_context")
		unwinder.graft(context)
		show_frames(options)


class Fiber(gdb.Command):
	"""Look into one fiber; without a number, at what runs."""

	def __init__(self):
		super().__init__("fiber", gdb.COMMAND_STACK)

	def invoke(self, number, from_tty):
		main_thread()
		if number.strip() == "":
			unwinder.graft(None)
			return
		for fiber in fibers():
			if int(fiber["serial"]) == int(number):
				self.look_into(fiber)
				return
		raise gdb.GdbError("no fiber %s is alive" % number)

	def look_into(self, fiber):
		show_title(fiber)
		if str(fiber["state"]) == "FIBER_RUNNING":
			unwinder.graft(None)
		else:
			unwinder.graft(fiber["context"])
			gdb.newest_frame().older().select()
		gdb.execute("frame")


Fibers()
Fiber()
