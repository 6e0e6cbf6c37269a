"""Work of which the newest is what counts: what was begun in its group before is given up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode
from textual.worker import Worker


def begin(
    node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], *, name: str, group: str
) -> Worker[None]:  # fmt: skip
    """Run work, and give up what runs in that group.

    It is a function and no coroutine: one that is given up before it ran would be complained of on
    the terminal, once the screens have given that back.
    """
    worker: Worker[None] = node.run_worker(work, name=name, group=group, exclusive=True)
    return worker
