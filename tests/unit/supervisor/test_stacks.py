"""Dumps of stacks, read: which function of the app holds the runtime."""

from __future__ import annotations

from pathlib import Path

from pylon.supervisor.stacks import held_by, loop_first

_WRITER = """Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
  File "/srv/.venv/lib/aiosqlite/core.py", line 107 in run
"""
_LOOP = """Current thread 0x00007f02 (most recent call first):
  File "/srv/chat/lib/images.py", line 12 in shrink
  File "/srv/chat/lib/images.py", line 40 in all_sizes
  File "/srv/chat/app.py", line 7 in resize
  File "/opt/pylon/server/functions/app_code.py", line 99 in whole
  File "/opt/pylon/server/__main__.py", line 3 in <module>
"""


def test_the_loop_stands_first() -> None:
    """Whatever the order of the threads was."""
    assert loop_first(_WRITER + "\n" + _LOOP).startswith("Current thread")


def test_the_function_is_the_outermost_and_the_place_the_innermost_of_the_projects_frames() -> None:
    """What it called of its own says where; frames of libraries say nothing."""
    project = Path("/srv/chat")
    assert held_by(_WRITER + "\n" + _LOOP, project) == "resize at lib/images.py:12 in shrink"
    alone = _LOOP.replace("/srv/chat/lib/", "/srv/chat/.venv/lib/")
    assert held_by(alone, project) == "resize at app.py:7"


def test_another_thread_may_be_the_one() -> None:
    """A long mutation in C holds the interpreter while the loop waits for it."""
    loop = _LOOP.replace("/srv/chat/", "/opt/")
    thread = _WRITER.replace("/usr/lib/python3.11/threading.py", "/srv/chat/app.py")
    assert held_by(loop + "\n" + thread, Path("/srv/chat")) == "wait at app.py:320"
    assert held_by(loop, Path("/srv/chat")) is None
    assert held_by("", Path("/srv/chat")) is None
