"""What is told of which trouble, and how often."""

from __future__ import annotations

from pylon import jsonvalue, limits_keeping
from pylon.supervisor.alerts import AlertBook, troubles_of

NOW = 1_767_225_600_000
MINUTE, HOUR = 60_000, 3_600_000
BAD, FINE = {"disk": "The disk is filling: 1 MiB"}, {"disk": ""}


def _states(book: AlertBook, what: dict[str, str | None], now_ms: int) -> list[str]:
    return [one.state for one in book.step(what, now_ms)]


def test_a_trouble_is_told_once_and_when_it_is_over() -> None:
    """Over means: for a minute."""
    book = AlertBook("chat")
    assert _states(book, FINE, NOW) == []
    (alert,) = book.step(BAD, NOW)
    assert alert.subject == "chat: the disk is filling"
    for n in range(1, 100):
        assert _states(book, BAD, NOW + n * MINUTE) == []
    over = NOW + 99 * MINUTE
    assert _states(book, FINE, over + MINUTE - 1) == []
    assert _states(book, FINE, over + MINUTE) == ["recovered"]
    assert _states(book, FINE, over + 2 * MINUTE) == []


def test_it_is_told_again_each_day() -> None:
    """So that nobody takes silence for health."""
    book = AlertBook("chat")
    told = [n for n in range(60) if _states(book, BAD, NOW + n * HOUR)]
    assert told == [0, 24, 48]


def test_what_comes_and_goes_is_one_trouble() -> None:
    """A flapping backup is no flood; after ten quiet minutes it is a new one."""
    book = AlertBook("chat")
    now, states = NOW, []
    for _ in range(20):
        states += _states(book, BAD, now)
        states += _states(book, FINE, now + 2 * MINUTE)
        now += 4 * MINUTE
    assert states.count("firing") == 1
    assert _states(book, BAD, now + 11 * MINUTE) == ["firing"]


def test_there_are_at_most_so_many_in_an_hour() -> None:
    """Above that they are counted."""
    book = AlertBook("chat")
    most = limits_keeping.ALERTS_PER_HOUR_MAX
    told = sum(bool(_states(book, {str(n): "x"}, NOW + n)) for n in range(most + 5))
    assert (told, book.withheld) == (most, 5)
    assert _states(book, {"later": "x"}, NOW + HOUR + most) == ["firing"]


def test_what_nobody_knows_changes_nothing() -> None:
    """A runtime that does not answer has not mended its backups."""
    book = AlertBook("chat")
    book.step({"backup": "failed"}, NOW)
    assert _states(book, {"backup": None}, NOW + HOUR) == []
    assert _states(book, {"backup": ""}, NOW + HOUR) == ["recovered"]


def test_a_restart_of_who_tells_tells_nothing_twice() -> None:
    """A crash loop of the supervisor itself is one alert."""
    book = AlertBook("chat")
    book.step(BAD, NOW)
    for n in range(1, 10):
        again = AlertBook("chat")
        again.load(jsonvalue.parse(jsonvalue.encode(book.to_json())))
        assert _states(again, BAD, NOW + n * MINUTE) == []
        book = again


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    """What was told in the future is told now."""
    book = AlertBook("chat")
    book.step(BAD, NOW + 1_000 * HOUR)
    assert _states(book, BAD, NOW) == ["firing"]


def test_facts_become_troubles() -> None:
    """At the edge of each bound."""
    fine = {
        "crashes": 2, "crashes_told": 3, "failed": "", "backup": {"last_state": "proven"},
        "disk_free": 10, "disk_total": 100, "disk_percent": 10,
    }  # fmt: skip
    assert troubles_of(**fine) == {"restarts": "", "disk": "", "backup": ""}  # type: ignore[arg-type]
    bad = {**fine, "crashes": 3, "disk_free": 9, "backup": {"last_state": "failed", "why": "no"}}
    found = troubles_of(**bad)  # type: ignore[arg-type]
    assert all(found.values())
    assert found["backup"] == "The last backup failed: no"
    assert "is not started any more" in str(troubles_of(**{**fine, "failed": "x"})["restarts"])  # type: ignore[arg-type]
    assert troubles_of(**{**fine, "backup": None})["backup"] is None  # type: ignore[arg-type]
