"""Runs a command on its own terminal, and acts as the user.

Reads a job as JSON from stdin: argv, cwd, env, width, pipe (the file descriptors that are pipes instead
of the terminal) and steps. Each step waits for a text on the terminal, then sends bytes or a signal,
runs a shell script and sends bytes, or closes the terminal.
Prints as JSON what the terminal showed, the output of the pipes, how the command ended, and
whether the settings of the terminal are the same as before.
"""

import json
import os
import fcntl
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

job = json.load(sys.stdin)
controller, terminal = pty.openpty()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, job["width"], 0, 0))
before = termios.tcgetattr(terminal)
pipes = {fd: os.pipe() for fd in job["pipe"]}

child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(pipes[fd][1] if fd in pipes else terminal, fd)
    os.closerange(3, 256)
    os.chdir(job["cwd"])
    os.execve(job["argv"][0], job["argv"], job["env"])
for _, end in pipes.values():
    os.close(end)

shown = {"terminal": b"", **{str(fd): b"" for fd in pipes}}
ends = {controller: "terminal", **{own: str(fd) for fd, (own, _) in pipes.items()}}
steps = job["steps"]
seen = 0
status = None
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    ready, _, _ = select.select(list(ends), [], [], 0.02)
    for end in ready:
        try:
            part = os.read(end, 65536)
        except OSError:
            part = b""
        if part:
            shown[ends[end]] += part
        else:
            del ends[end]
    if steps and steps[0]["until"].encode() in shown["terminal"][seen:]:
        step = steps.pop(0)
        seen = len(shown["terminal"])
        if "signal" in step:
            os.kill(child, getattr(signal, step["signal"]))
        elif "close" in step:
            # Like closing a terminal window: the terminal is gone, and its processes get a signal.
            os.close(terminal)
            os.close(controller)
            ends.pop(controller, None)
            controller = None
        else:
            if "run" in step:
                subprocess.run(step["run"], shell=True, check=True, cwd=job["cwd"])
            os.write(controller, step["send"].encode())
    if status is None:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            status = code
    elif not ready:
        break

if status is None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    sys.exit("the command did not end; it showed: " + repr(shown))
print(
    json.dumps(
        {
            **{name: text.decode() for name, text in shown.items()},
            "code": os.waitstatus_to_exitcode(status),
            "restored": controller is not None and termios.tcgetattr(terminal) == before,
            "unplayed": steps,
        }
    )
)
