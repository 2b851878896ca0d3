# SPDX-License-Identifier: MIT
# A Python that is loaded once and forked for each command: what a cold `python3 -c …`, `python3 FILE …` or
# `python3 -m NAME …` would do, less the time that importing takes. Started and asked by the runner (runner.sh, "a loaded
# tool", where the protocol is described); any Python from 3.6 on.
#
#     python3 … python.py PARTS ENV PID WORDS…    PARTS: the file with the adapter's `warm:`; ENV: a file, `env -0` of who starts
#                             us (python3 may be a script that changes it); PID: who is gone when all is over; WORDS: the
#                             interpreter's own, as they stand in front of a command
#
# How it stays the same as cold
# - Loading touches nothing. While a part is loaded, opening a database, a connection or a file for writing, starting a program
#   and the like are refused (audit hooks), and what tries it, prints, starts a thread or keeps a file open is not loaded:
#   each part is tried in a fork, which becomes the server when it was clean and is dropped when not. What cannot be loaded
#   is imported by every command for itself, as cold.
# - A command is a fork of the server that never ran one. It gets the asker's environment, directory and files
#   (through /proc), its own __main__, sys.argv and sys.path, and ends as an interpreter ends: at the end of this file.
# - Where that would not be the same (other PYTHON… variables, another directory) nothing is run: the answer is "cold".
# - An interpreter's last act, taking thousands of modules apart, takes longer than most migrations. It is left out when
#   nothing would come of it: threads are waited for, atexit has run, files are flushed, and no object that the command left
#   has a finaliser (class Ending). Else it is done.
from __future__ import print_function

import os
import sys

REQUEST, ANSWER = 3, 4
FILES = 9, 6, 2  # of who asks: the command's 0, 1 and 2
FRAME_MAX = 4 << 20
# What differs from command to command, and from shell to shell.
FREE = (b"VERSION", b"TARGET", b"LOOK", b"PWD", b"OLDPWD", b"SHLVL", b"_")
# Programs that libraries ask about the system they are on.
HARMLESS = ("ldconfig", "gcc", "cc", "ld", "objdump", "uname", "lsb_release")
TOUCHING = ("sqlite3.connect", "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "subprocess.Popen", "os.system",
            "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill", "os.remove", "os.rename", "os.link",
            "os.symlink", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime")


# Where stevedore writes down which entry points the packages here have, the first time that anybody asks: so does a cold command,
# and it changes nothing but the next one's time.
CACHES = ("/.cache", "/.cache/python-entrypoints")


def is_cache(path):
    if not isinstance(path, (str, bytes)):
        return False
    path = os.fsdecode(path)
    return path.endswith(CACHES) or os.path.dirname(path).endswith(CACHES[1])


class Cold(Exception):
    """What a part may raise to say that it is of no use here: cold("why")."""


class Guard(object):
    """Refuses what has an effect while it is up, and remembers that it was tried."""

    def __init__(self):
        self.up, self.tried = False, None
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self.hook)

    def hook(self, event, args):
        if not self.up or not self.touches(event, args):
            return
        what = "%s %.100r" % (event, args[:1][0] if args else "")
        self.tried = self.tried or what
        raise RuntimeError("not while it is loaded: " + what)

    def touches(self, event, args):
        if event in ("open", "os.mkdir") and is_cache(args[0]):
            return False
        if event == "open":
            path, _, flags = args
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return False
            return not isinstance(path, (str, bytes)) or not os.fsdecode(path).startswith("/dev/")
        if event not in TOUCHING:
            return False
        if event == "socket.bind":  # to any free port is how one asks whether there is IPv6
            return not isinstance(args[1], tuple) or args[1][1] != 0
        if event == "socket.connect":  # of a datagram socket sends nothing: that is how one finds the own address
            import socket
            return args[0].family == socket.AF_UNIX or args[0].type != socket.SOCK_DGRAM
        program = args[0] if event in ("subprocess.Popen", "os.posix_spawn") else None
        return not program or os.path.basename(os.fsdecode(program)) not in HARMLESS


def open_files():
    """Descriptors and what they are, less what may be shared: devices like /dev/urandom, and an epoll (of eventlet's hub) that
    watches nothing, for what one command adds is out again when it has ended."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink("/proc/self/fd/" + fd)
            with open("/proc/self/fdinfo/" + fd) as f:
                idle = name == "anon_inode:[eventpoll]" and "tfd:" not in f.read()
        except (IOError, OSError):
            continue  # that of listdir itself
        if not name.startswith("/dev/") and not idle:
            found[fd] = name
    return found


def said():
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fstat(1).st_size, os.fstat(2).st_size


def load(part, guard, names):
    """Runs one part. Returns why it is not to be kept, or None."""
    files, before, bytecode = open_files(), said(), sys.dont_write_bytecode
    guard.up = sys.dont_write_bytecode = True
    try:
        exec(compile(part, "<warm>", "exec"), names)
    except Cold as e:
        return str(e)
    except BaseException as e:
        return guard.tried or "%s: %s" % (type(e).__name__, e)
    finally:
        guard.up, sys.dont_write_bytecode = False, bytecode
    new = [name for fd, name in open_files().items() if files.get(fd) != name]
    if guard.tried:
        return guard.tried
    if said() != before:
        return "it prints when it is loaded"
    if new:
        return "it keeps a file open when it is loaded: " + new[0]
    if len(os.listdir("/proc/self/task")) > 1:
        return "it starts threads when it is loaded"
    return None


def load_parts(parts, guard):
    """Each part in a fork that goes on as the server when it was clean. Returns (parts loaded, why not more)."""
    names = {"cold": cold, "__name__": "warm", "__builtins__": __builtins__}
    for n, part in enumerate(parts):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(r)
            why = load(part, guard, names)
            if why is not None:
                os.write(w, why.encode("utf-8", "replace")[:1000])
                os._exit(0)
            os.write(w, b"\0")
            os.close(w)
            continue
        os.close(w)
        why = b""
        while not why.endswith(b"\0"):
            piece = os.read(r, 1000)
            if not piece:
                break
            why += piece
        os.close(r)
        if why == b"\0":
            # The fork serves; we are only there so that it has a parent.
            os.close(REQUEST)
            os.close(ANSWER)
            os.waitpid(pid, 0)
            os._exit(0)
        os.waitpid(pid, 0)
        return n, why.decode("utf-8", "replace") or "it ended when it was loaded"
    return len(parts), ""


def cold(why):
    raise Cold(why)


class Ending(object):
    """Leaves out the finalising of objects that have nothing to do then."""

    GENERATORS = ("gi_frame", "cr_frame", "ag_frame")
    # Finalisers that only close what the end of the process closes: sockets, descriptors, the server's cursors.
    HARMLESS = frozenset("asyncio eventlet http MySQLdb oslo_log psycopg2 pymysql pyparsing socket subprocess urllib3 weakref".split())

    def __init__(self):
        """Before anything is loaded: what there is now is an interpreter's own."""
        import gc
        self.known = set(map(id, gc.get_objects()))
        self.libc = None
        try:
            import ctypes
            self.libc = ctypes.PyDLL(None)
        except (ImportError, OSError):
            pass

    def loaded(self):
        """What was loaded stays in all commands; they look at what they make themselves."""
        import gc
        if not hasattr(gc, "freeze"):
            self.libc = None
            return
        gc.collect()
        self.why = self.stirs([o for o in gc.get_objects() if id(o) not in self.known], False)
        if self.why:
            self.libc = None
        gc.freeze()
        # With what is loaded out of its sight, the collector takes each command's own objects for a heap that has doubled, and goes
        # through all of them again and again: a sixth of what a step of nova costs. A command that makes very many still has it.
        gc.set_threshold(100000, 50, 1000)

    def is_awake(self, o):
        """Has it something to do when it goes?"""
        import io
        for frame in self.GENERATORS:
            if hasattr(o, frame):
                frame = getattr(o, frame)
                return frame is not None and frame.f_lasti >= 0
        if isinstance(o, io.IOBase):
            if not o.closed and type(o) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
                o.flush()
            return not o.closed and type(o).__module__ not in ("io", "_io")
        if type(o).__module__ == "sqlite3":
            o.close()
            return False
        if type(o).__module__ == "greenlet":
            return bool(o) and o.parent is not None  # the main one has none
        return not self.HARMLESS.intersection(type(o).__module__.split("."))

    def stirs(self, objects, close=True):
        """The first object that does, or None."""
        import types
        odd = set()
        for kind in set(map(type, objects)):
            if hasattr(kind, "__del__") or issubclass(kind, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)) or \
                    (kind.__module__, kind.__name__) in (("sqlite3", "Connection"), ("greenlet", "greenlet")):
                odd.add(kind)
        for o in objects:
            if type(o) in odd and self.is_awake(o):
                return "%s.%s" % (type(o).__module__, type(o).__name__)
        return None

    def leave(self, status):
        """Ends the process, or returns when it has to be done the long way."""
        import atexit
        import gc
        try:
            if self.libc is not None:
                if "threading" in sys.modules:
                    sys.modules["threading"]._shutdown()
                atexit._run_exitfuncs()
                sys.stdout.flush()
                sys.stderr.flush()
                if not self.stirs(gc.get_objects()):
                    self.libc.exit(status)
        except BaseException:
            pass  # the long way comes to it, too
        if hasattr(gc, "unfreeze"):
            gc.unfreeze()


class Frame(object):
    """A request: NUL behind each of: number, pid, NAME=VALUE…, nothing, count of words, words."""

    def __init__(self, text):
        head, _, rest = text.partition(b"\0\0")
        count, _, rest = rest.partition(b"\0")
        fields = head.split(b"\0")
        self.text, self.number, self.pid = text, int(fields[0]), int(fields[1])
        self.env = dict(pair.split(b"=", 1) for pair in fields[2:] if b"=" in pair)
        self.words = rest.split(b"\0")[:int(count)]

    @staticmethod
    def read(alive):
        """The next one, or None when nobody will ask any more."""
        import select
        text = b""
        while True:
            while not select.select([REQUEST], [], [], 2)[0]:
                if not alive():
                    return None
            piece = os.read(REQUEST, 65536)
            text += piece
            if not piece or len(text) > FRAME_MAX:
                return None
            _, end, rest = text.partition(b"\0\0")
            count, counted, rest = rest.partition(b"\0")
            if end and counted and rest.count(b"\0") >= int(count):
                return Frame(text)


class Server(object):
    def __init__(self, environment, pid, words):
        self.words, self.pid, self.total, self.first = words, pid, (0, 0.0), sys.path[0]
        with open(environment, "rb") as f:
            self.base = dict(pair.split(b"=", 1) for pair in f.read().split(b"\0") if b"=" in pair)

    def loaded(self):
        """Loading is over: what it left is what every command begins with."""
        import signal
        # But how children end is the server's to know.
        self.on_child = signal.getsignal(signal.SIGCHLD)
        if self.on_child is not None:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.env, self.cwd = dict(os.environb), os.getcwd()
        self.made = [k for k in set(self.env) | set(self.base) if self.env.get(k) != self.base.get(k)]

    def alive(self):
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return True

    def refuse(self, frame):
        """Why this command would not be the same here, or None."""
        words = frame.words[len(self.words):]
        if frame.words[:len(self.words)] != self.words:
            return "another interpreter"
        if not words or words[0][:1] == b"-" and (words[0] not in (b"-c", b"-m") or len(words) < 2):
            return "options of the interpreter"
        for key in set(frame.env) | set(self.base):
            value = frame.env.get(key)
            if value != self.base.get(key) and value != self.env.get(key) and key not in FREE and not key.startswith(b"STEPBOX_"):
                return "%s is not what it was" % os.fsdecode(key)
        if os.readlink("/proc/%d/cwd" % frame.pid) != self.cwd:
            return "another directory than " + self.cwd
        for fd in FILES:
            if os.readlink("/proc/%d/fd/%d" % (frame.pid, fd)).startswith("socket:"):
                return "files that cannot be opened again"
        return None

    @staticmethod
    def fork():
        """A child that waits for its frame. Returns (pid, pipe to it), or in the child (0, frame)."""
        r, w = os.pipe()
        pid = os.fork()
        if pid:
            os.close(r)
            return pid, w
        os.close(w)
        text = b""
        while True:
            piece = os.read(r, 65536)
            text += piece
            if not piece:
                break
        if not text:
            os._exit(0)
        os.close(r)
        return 0, Frame(text)

    def serve(self):
        """Returns in each child, with its frame; the server itself ends in here. A child is forked before it is asked for."""
        import time
        pid, pipe = self.fork()
        if not pid:
            return pipe
        while True:
            frame = Frame.read(self.alive)
            if frame is None:
                os._exit(0)
            try:
                why = self.refuse(frame)
            except (OSError, ValueError) as e:
                why = str(e)
            if why is not None:
                os.write(ANSWER, ("cold %s\n" % why.replace("\n", " ")).encode("utf-8", "replace")[:400])
                continue
            # First it is known what to kill, then it runs.
            os.write(ANSWER, ("runs %d\n" % pid).encode())
            start = time.monotonic()
            with os.fdopen(pipe, "wb") as f:
                f.write(frame.text)
            status = os.waitpid(pid, 0)[1]
            number, total = self.total
            self.total = frame.number, time.monotonic() - start + (total if number == frame.number else 0)
            signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            rc = 128 + signal if signal else os.WEXITSTATUS(status)
            os.write(ANSWER, ("ended %d %d %d\n" % (rc, self.total[1] * 1000 + 0.5, signal)).encode())
            pid, pipe = self.fork()
            if not pid:
                return pipe

    def become(self, frame):
        """Turns this process into what a new interpreter would be with the command's words. Returns them as text."""
        for fd, theirs in enumerate(FILES):
            path = "/proc/%d/fd/%d" % (frame.pid, theirs)
            with open("/proc/%d/fdinfo/%d" % (frame.pid, theirs)) as f:
                info = dict(line.split(None, 1) for line in f)
            flags = int(info["flags:"], 8) & (os.O_ACCMODE | os.O_APPEND)
            new = os.open(path, flags)
            if not flags & os.O_APPEND and os.path.isfile(path):
                os.lseek(new, int(info["pos:"]), os.SEEK_SET)
            os.dup2(new, fd)
            os.close(new)
        os.close(REQUEST)
        os.close(ANSWER)
        if self.on_child is not None:
            import signal
            signal.signal(signal.SIGCHLD, self.on_child)
        for key in set(self.env) | set(frame.env):
            value = self.env.get(key) if key in self.made or key == b"_" else frame.env.get(key)
            if value is None:
                os.environb.pop(key, None)
            elif value != self.env.get(key):
                os.environb[key] = value
        words = [os.fsdecode(word) for word in frame.words[len(self.words):]]
        if words[0] == "-c":
            first = ""
        elif words[0] == "-m":
            first = os.getcwd()
        else:
            first = os.path.dirname(os.path.realpath(words[0]))
        sys.path[sys.path.index(self.first) if self.first in sys.path else 0] = first
        import importlib
        importlib.invalidate_caches()
        return words


def new_main():
    """A __main__ of its own for the command."""
    import builtins
    import types
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main


def before_the_end(words):
    """What was printed comes before the last words, when the command is a file; with -c and -m after them."""
    if words[0] in ("-c", "-m"):
        return
    for f in (sys.stderr, sys.stdout):
        try:
            f.flush()
        except BaseException:
            pass


def execute(words, ending):
    """The command itself. An exception ends as an interpreter's top level would end it, without our frames."""
    main = new_main()
    try:
        if words[0] == "-m":
            import runpy
            sys.argv = ["-m"] + words[2:]
            runpy._run_module_as_main(words[1])
        elif words[0] == "-c":
            import importlib.machinery
            main.__loader__ = importlib.machinery.BuiltinImporter
            sys.argv = ["-c"] + words[2:]
            source = words[1]
            code = compile(source, "<string>", "exec", 0, True)
            if sys.version_info >= (3, 13):  # its tracebacks show the lines of -c
                import linecache
                linecache._register_code(code, source, "<string>")
            exec(code, main.__dict__)
        else:
            import importlib.machinery
            path = os.path.abspath(words[0]) if sys.version_info >= (3, 9) else words[0]
            main.__file__, main.__cached__ = path, None
            main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
            sys.argv = words
            with open(words[0], "rb") as f:
                source = f.read()
            exec(compile(source, path, "exec", 0, True), main.__dict__)
    except SystemExit as e:
        before_the_end(words)
        if e.code is not None and not isinstance(e.code, int):
            try:
                print(e.code, file=sys.stderr)
            except BaseException:
                pass
            e.code = 1
        ending.leave((e.code or 0) & 0xff)
        raise
    except BaseException:
        before_the_end(words)
        kind, value, trace = sys.exc_info()
        trace = trace.tb_next
        sys.last_type, sys.last_value, sys.last_traceback = kind, value, trace
        value.__traceback__ = trace
        sys.excepthook(kind, value, trace)
        status = 130 if issubclass(kind, KeyboardInterrupt) else 1
    else:
        status = 0
    ending.leave(status)
    raise SystemExit(status)


def start():
    """Loads and serves. Returns in each child, with its words."""
    import time
    start = time.monotonic()
    with open(sys.argv[1], "rb") as f:
        parts = f.read().decode("utf-8").split("\n--\n")
    sys.path[0] = ""
    sys.argv = [""]
    server = Server(arguments[2], int(arguments[3]), [os.fsencode(word) for word in arguments[4:]])
    guard = Guard()
    ending = Ending()
    n, why = load_parts(parts, guard)
    server.loaded()
    if why:
        print("%s%s" % ("part %d is left to each step: " % (n + 1) if n else "it cannot be loaded: ", why))
        sys.stdout.flush()
    if n == 0:
        os.write(ANSWER, b"cold\n")
        os._exit(1)
    ending.loaded()
    os.write(ANSWER, ("ready %d\n" % ((time.monotonic() - start) * 1000)).encode())
    frame = server.serve()
    return server.become(frame), ending


if sys.version_info < (3, 6):
    print("it cannot be loaded: this Python is older than 3.6")
    sys.exit(1)
arguments = sys.argv
execute(*start())
