"""docs/tour.md is done, step by step, in one project; its pictures show what was seen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pylon.tui.picture import svg_of, text_of
from pylon.tui.screenshot import draw
from tests.tour.script import DOCS, PICTURES, TOUR, Keys, Picture, Shell, TourWrong, Visit, read
from tests.tour.stage import Stage

#: The largest picture of a page.
_BYTES_MAX: Final = 60_000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder to begin in, and a state folder of its own."""
    for name in ("desk", "state"):
        (tmp_path / name).mkdir()
    made = Stage(tmp_path / "desk", tmp_path / "state")
    yield made
    made.close()


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_every_step_of_the_tour_goes_as_it_says(stage: Stage) -> None:
    """One runtime, its dashboard, two browsers, a shell: the whole page, in its order."""
    for step in read(TOUR.read_text(encoding="utf-8")):
        stage.do(step)
    differing = [
        line
        for name, grid in stage.pictures.items()
        for line in difflib.unified_diff(
            text_of((PICTURES / name).read_text(encoding="utf-8")),
            text_of(svg_of(grid, title="")), name, "now", lineterm="", n=0,
        )
    ]  # fmt: skip
    assert not differing, "\n".join(["pictures are old (make screens):", *differing])


async def test_the_picture_of_the_readme_is_what_the_dashboard_shows() -> None:
    """docs/dashboard.svg is drawn from the screens of now."""
    drawn = (DOCS / "dashboard.svg").read_text(encoding="utf-8")
    assert text_of(await draw()) == text_of(drawn), "docs/dashboard.svg is old: make screens"


def test_pictures_are_small_and_each_is_shown() -> None:
    """Nothing lies in docs/pictures that the tour does not draw, and nothing of it is large."""
    steps = read(TOUR.read_text(encoding="utf-8"))
    names = {step.file for step in steps if isinstance(step, Picture)}
    assert {one.name for one in PICTURES.iterdir()} == names
    pictures = [*PICTURES.iterdir(), DOCS / "dashboard.svg"]
    assert [one.name for one in pictures if one.stat().st_size > _BYTES_MAX] == []


def test_the_commands_that_its_sentences_name_are_done() -> None:
    """Words of a command between the blocks are those of a step."""
    text = TOUR.read_text(encoding="utf-8")
    done = [step.command for step in read(text) if isinstance(step, Shell)]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`(pylon [^`]+)`", prose)
    assert [one for one in named if one not in (*done, "pylon serve")] == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# Tour\n\n```bash\npylon new\n```\n", 3),
        ("```\n$ pylon new\n```\n", 1),
        ("words\n\n    pylon new\n", 3),
        ("~~~\n$ pylon new\n~~~\n", 1),
        ("```tour\n$ pylon new\n", 1),
        ("```tour\n```\n", 1),
        ("```tour\n$ pylon new\nada dances with \"bob\"\n```\n", 3),
        ("```tour\n2 → Log\n  is not printed\n```\n", 3),
        ("```tour\n→ Log\n```\n", 2),
        ("```tour\n2 →\n```\n", 2),
        ("```diff\n-a\n+b\n```\n", 2),
        ("```diff\n--- app.py\n+b\n```\n", 2),
        ("```python\na = 1\n```\n", 2),
        ("![a](elsewhere.svg)\n", 1),
        ("words ![a](pictures/tour-a.svg)\n", 1),
    ],
)  # fmt: skip
def test_what_nobody_would_execute_is_refused(text: str, line: int) -> None:
    """A block of another kind, a step in no language, a picture of nothing: by its line."""
    with pytest.raises(TourWrong, match=rf"docs/tour\.md:{line}: "):
        read(text)


def test_a_step_that_does_not_hold_names_its_line(stage: Stage) -> None:
    """What is not printed, a command that fails, and lines that the file does not have."""
    stage.do(Shell(1, "printf 'one\\ntwo\\n'", ((2, "one"), (3, "two"))))
    with pytest.raises(TourWrong, match=r"tour\.md:5: not printed"):
        stage.do(Shell(3, "printf 'one\\ntwo\\n'", ((4, "two"), (5, "one"))))
    with pytest.raises(TourWrong, match=r"tour\.md:6: .* failed"):
        stage.do(Shell(6, "false", ()))
    with pytest.raises(TourWrong, match=r"tour\.md:7: .*not opened"):
        stage.do(Keys(7, ("2",), ("Log",)))
    with pytest.raises(TourWrong, match=r"tour\.md:8: ada has no browser"):
        stage.do(Visit(8, "ada", "clicks", "Sign in"))
    (step,) = read("```diff\n--- app.py\n-a\n+b\n```\n")
    with pytest.raises(TourWrong, match=r"tour\.md:2: app\.py has those lines 0 times"):
        stage.do(step)
