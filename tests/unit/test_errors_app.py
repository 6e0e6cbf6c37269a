"""Mistakes of a project: said with their place, so that editors and people find it."""

from __future__ import annotations

from pylon.errors import LoadFailed, Mistake


def test_a_mistake_says_its_place_first_then_the_line_and_what_to_do() -> None:
    """`file:line:column: message`, source and caret, hint; nothing of what is absent."""
    whole = Mistake(
        "there is no field x", "app.py", 3, 9, hint="did you mean y?", excerpt="  x == 1\n  ^"
    )
    assert whole.render() == (
        "app.py:3:9: there is no field x\n  x == 1\n  ^\n  hint: did you mean y?"
    )
    assert Mistake("it is empty", "app.py").render() == "app.py: it is empty"
    assert Mistake("it is empty").render() == "it is empty"


def test_an_app_that_does_not_load_tells_all_its_mistakes_at_once() -> None:
    """One line for each, in their order, and the mistakes themselves for whoever shows them."""
    mistakes = (Mistake("first", "app.py", 1), Mistake("second", "app.py", 2))
    failed = LoadFailed(mistakes)
    assert failed.message == "app.py:1: first\napp.py:2: second"
    assert failed.mistakes == mistakes
