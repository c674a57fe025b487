"""A worker in forty lines: it keeps its end of the channel, tells who it is to whoever connects, and fails when told.

What it does is written to the file `events`, a line each. The file `fail-N` makes worker N end with the code in it,
`deaf-N` makes it take no orders, `slow-N` makes it wait until that file is gone before it is ready.
"""

import json
import os
import select
import socket
import sys
import time
from pathlib import Path

assigned = json.loads(sys.argv[sys.argv.index("--worker") + 1])
number = assigned["worker"]
channel = socket.socket(fileno=assigned["channel"])
public = [socket.socket(fileno=fd) for fd in assigned["public"]][number - 1]
public.settimeout(0)


def note(event: str) -> None:
    """Write down what happened."""
    with Path("events").open("a", encoding="ascii") as events:
        events.write(f"{event} {number} {os.getpid()}\n")


fail = Path(f"fail-{number}")
if fail.exists():
    note("failed")
    sys.exit(int(fail.read_text(encoding="ascii")))
slow = Path(f"slow-{number}")
if slow.exists():
    note("starting")
while slow.exists():
    time.sleep(0.01)
note("ready")
channel.send(b"r")
while True:
    readable, _, _ = select.select([public, channel], [], [])
    if channel in readable and not Path(f"deaf-{number}").exists():
        note({b"s": "stopped", b"p": "replaced", b"": "orphaned"}[channel.recv(1)])
        sys.exit(0)
    if public in readable:
        connection, _ = public.accept()
        connection.sendall(f"{number} {os.getpid()} {assigned['restarts']}".encode())
        connection.close()
