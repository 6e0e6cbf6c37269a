"""Previews of mail templates: sample data, what is saved, and mistakes with their place."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pylon.errors import NotFound
from pylon.server.mail.preview import MailPreviews
from pylon.server.mail.templates import MailTemplates


@pytest.fixture
def previews(tmp_path: Path) -> MailPreviews:
    (tmp_path / "hi.txt").write_text("Subject: Hi {{ name }}\n\nDear {{ name }}")
    (tmp_path / "hi.sample.json").write_text('{"name": "Ada"}')
    tokens = (f"t{n}" for n in itertools.count())
    return MailPreviews(MailTemplates(tmp_path), lambda: next(tokens))


def test_all_templates_are_listed_with_what_they_have(
    previews: MailPreviews, tmp_path: Path
) -> None:
    """The project's and ours; a file of the project takes the place of ours."""
    (tmp_path / "code.html").write_text("<p>{{ code }}</p>")
    found = {one["name"]: one for one in previews.list()}
    assert found["hi"] == {
        "name": "hi", "from": "project", "has_html": False, "has_sample": True
    }  # fmt: skip
    assert found["code"] == {
        "name": "code", "from": "pylon", "has_html": True, "has_sample": True
    }  # fmt: skip


def test_ours_come_with_samples_that_fit(previews: MailPreviews) -> None:
    """Each of Pylon's own mails shows without any file of the project."""
    ours = [one["name"] for one in previews.list() if one["from"] == "pylon"]
    assert "code" in ours
    assert [previews.render(one, None)["error"] for one in ours] == [None] * len(ours)


def test_a_page_follows_what_is_saved(previews: MailPreviews, tmp_path: Path) -> None:
    """Template and sample are read anew each time; given data stays."""
    sample, given = previews.open("hi", None), previews.open("hi", {"name": "Bob"})
    assert previews.show(sample)["subject"] == "Hi Ada"
    (tmp_path / "hi.txt").write_text("Subject: Ho {{ name }}!\n\nDear {{ name }}")
    (tmp_path / "hi.sample.json").write_text('{"name": "Cid"}')
    assert previews.show(sample)["subject"] == "Ho Cid!"
    assert previews.show(given)["subject"] == "Ho Bob!"
    assert previews.open("hi", None) == sample


def test_mistakes_have_their_place_and_stop_nothing(previews: MailPreviews, tmp_path: Path) -> None:
    """Of the template, of the sample, and of a name that is none."""
    (tmp_path / "hi.txt").write_text("Subject: Hi\n\n{{ nobody }}")
    error = previews.render("hi", None)["error"]
    assert (error["file"], error["line"]) == ("mail/hi.txt", 3)
    (tmp_path / "hi.sample.json").write_text("{")
    assert previews.render("hi", None)["error"]["message"].startswith("mail/hi.sample.json: ")
    (tmp_path / "hi.sample.json").write_text("[]")
    assert "is a JSON object" in previews.render("hi", None)["error"]["message"]
    (tmp_path / "hi.sample.json").write_text('{"name": "' + "x" * 300_000 + '"}')
    assert "larger than a mail" in previews.render("hi", None)["error"]["message"]
    assert previews.render("../hi", None)["error"] is not None


def test_pages_are_few(previews: MailPreviews) -> None:
    """The oldest goes for a new one, and says so."""
    first = previews.open("hi", {"n": 0})
    for n in range(1, 51):
        _ = previews.open("hi", {"n": n})
    with pytest.raises(NotFound):
        previews.show(first)
