"""Bad networks to choose from, and one line of text that describes any other.

Pure. What the numbers do is decided by the runtime (`network` of the admin surface).
"""

from __future__ import annotations

from typing import Any, Final

#: Key, what it is called, and what the runtime is asked for.
PRESETS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("good", "as it is", {}),
    ("slow", "slow: 300 to 500 ms late, 20 kB/s",
     {"latency_ms": 300, "jitter_ms": 200, "bandwidth": 20_000}),
    ("train", "train: 100 to 1,100 ms late, 20 % lost, 5 % doubled",
     {"latency_ms": 100, "jitter_ms": 1_000, "loss": 0.2, "duplicate": 0.05}),
    ("lossy", "half of all batches lost, half of everything doubled",
     {"loss": 0.5, "duplicate": 0.5}),
    ("half_open", "half-open: nothing passes, nobody is told", {"mode": "half_open"}),
    ("offline", "offline, until you change it", {"mode": "offline"}),
    ("offline1", "offline for a minute", {"mode": "offline", "minutes": 1}),
    ("asleep1", "asleep for a minute", {"mode": "asleep", "minutes": 1}),
    ("asleep10", "asleep for ten minutes", {"mode": "asleep", "minutes": 10}),
)  # fmt: skip
CUSTOM: Final = ("custom", "another …")
#: What a line may say, and what the runtime calls it.
_NAMES: Final = {
    "latency": "latency_ms", "jitter": "jitter_ms", "loss": "loss", "duplicate": "duplicate",
    "bandwidth": "bandwidth", "mode": "mode", "minutes": "minutes",
}  # fmt: skip
EXAMPLE: Final = "latency=200 jitter=50 loss=10% bandwidth=50000 mode=asleep minutes=5"


def network_of(line: str) -> dict[str, Any]:
    """Return what the runtime is asked for; raises ValueError saying what is wrong.

    The runtime checks ranges: only it knows them.
    """
    found: dict[str, Any] = {}
    for word in line.split():
        name, equals, value = word.partition("=")
        member = _NAMES.get(name)
        if member is None or not equals:
            raise ValueError(f"{word}: one of {', '.join(_NAMES)}, then = and a value")
        found[member] = value.replace("-", "_") if member == "mode" else _number(word, value)
    return found


def line_of(shape: dict[str, Any]) -> str:
    """Return the line that describes a network; empty for one that is as it is."""
    words = {member: word for word, member in _NAMES.items()}
    return " ".join(
        f"{words[name]}={value if isinstance(value, str) else f'{value:.15g}'}"
        for name, value in shape.items()
    )


def objection(line: str) -> str:
    """Return what is wrong with a line, or nothing."""
    try:
        network_of(line)
    except ValueError as error:
        return str(error)
    return ""


def _number(word: str, text: str) -> float:
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise ValueError(f"{word}: a number is wanted") from None
    return number / 100 if text.endswith("%") else number
