"""Run a command that ends with its parent: `python exit_with_parent.py PARENT_PID COMMAND ...`.

The kernel sends SIGTERM to the command when the parent ends, even by SIGKILL (PR_SET_PDEATHSIG,
which survives exec). It is a separate program because code between fork and exec is unsafe in a
process with threads, such as Ray's.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("The parent ended before the command was started.")
    os.execvp(command[0], command)  # noqa: S606 - no shell is meant
