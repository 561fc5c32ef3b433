"""A command that ends when its parent does: `python exit_with_parent.py PARENT_PID COMMAND ...`.

The kernel sends it SIGTERM then, even if the parent was killed (PR_SET_PDEATHSIG, which stays over
an exec). A program of its own, since code between fork and exec is unsafe in a process with the
threads that Ray has.
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
        sys.exit("The parent ended before its child began.")
    os.execvp(command[0], command)  # noqa: S606 - no shell is meant
