"""Runs a module as Python does on Windows, as far as names go: `python without_posix.py MODULE [ARGUMENTS]`.

What only POSIX systems have is taken away from the standard library, and the locks of ``filelock`` go with ``fcntl``.
Names that other libraries use on Linux without asking stay: they know by other means where they are. With
``-X warn_default_encoding`` it is an error to read or write a text without its encoding, which is not UTF-8 there.
"""

import os
import platform
import runpy
import signal
import sys
import warnings
from multiprocessing import reduction
from pathlib import Path

MODULES = ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty")
OF_OS = """
EX_OK EX_TEMPFAIL EX_UNAVAILABLE O_DIRECTORY O_NONBLOCK fchmod fchown fork forkpty getpgid killpg mkfifo nice
posix_fadvise posix_fallocate posix_spawn pread preadv pwrite readv sched_getaffinity sched_setaffinity setsid sync
wait3 wait4 writev
"""
OF_SIGNAL = "SIGALRM SIGHUP SIGQUIT SIGUSR1 SIGUSR2 alarm pthread_kill pthread_sigmask sigwait"


def take_away() -> None:
    """Lets all that is imported from now on do without them."""
    import psutil  # noqa: F401  # what asks for the parts of this system now does not ask Windows' later
    import truststore  # noqa: F401

    for name in MODULES:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType]
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in names.split():
            delattr(module, name)
    reduction.HAVE_SEND_HANDLE = False  # and so there are no fork servers
    os.open = _opens_no_folder
    warnings.filterwarnings("error", category=EncodingWarning, module="(datamodules|lightning_modules)")
    os.environ.setdefault("USERNAME", "user")  # what getpass asks where there is no pwd


_open = os.open


def _opens_no_folder(path, *arguments, **settings):
    if Path(path).is_dir():
        raise PermissionError(13, "Permission denied", path)
    return _open(path, *arguments, **settings)


if __name__ == "__main__":
    take_away()
    # Lightning leaves alone then what is gone
    platform.system = lambda: "Windows"
    signal.valid_signals = lambda: {signal.SIGABRT, signal.SIGINT, signal.SIGTERM}
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
