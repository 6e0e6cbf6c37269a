"""Mail templates: what they make, what they can't reach, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.server.mail.templates import MailTemplates, TemplateMistake

CODE = {"app": "Chat", "code": "ABC123", "minutes": 10, "link": None}


def _templates(folder: Path, **files: str) -> MailTemplates:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return MailTemplates(folder)


def test_a_template_makes_subject_text_and_html(tmp_path: Path) -> None:
    """HTML is escaped by itself, text is not."""
    made = _templates(
        tmp_path, hi_txt="Subject: Hi {{ name }}\n\nDear {{ name }},\n", hi_html="<p>{{ name }}</p>"
    ).render("hi", {"name": "<Bob>"})
    assert (made.subject, made.text) == ("Hi <Bob>", "Dear <Bob>,\n")
    assert made.html == "<p>&lt;Bob&gt;</p>"


def test_a_value_cannot_leave_the_subject(tmp_path: Path) -> None:
    """A line break in a value stays in the subject, where it is refused."""
    made = _templates(tmp_path, hi_txt="Subject: {{ name }}\n\nbody").render(
        "hi", {"name": "a\nBcc: x@y.example\n\nother"}
    )
    assert made.text == "body"
    assert "\n" in made.subject


def test_the_projects_own_template_takes_the_place_of_ours(tmp_path: Path) -> None:
    """Text from the project, and ours where it has none or on request."""
    templates = MailTemplates(tmp_path)
    assert templates.render("code", CODE).subject == "Your code: ABC123"
    (tmp_path / "code.txt").write_text("Subject: {{ code }} for {{ app }}\n\nhello")
    assert templates.render("code", CODE).subject == "ABC123 for Chat"
    assert templates.render_ours("code", CODE).subject == "Your code: ABC123"


def test_a_saved_template_counts_from_the_next_mail_on(tmp_path: Path) -> None:
    """Also one that others include."""
    templates = _templates(
        tmp_path, hi_txt="Subject: a\n\n{% include 'foot.txt' %}", foot_txt="one"
    )
    assert templates.render("hi", {}).text == "one"
    (tmp_path / "foot.txt").write_text("two!")
    assert templates.render("hi", {}).text == "two!"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ self._TemplateReference__context }}",
        "{{ cycler.__init__.__globals__ }}", "{{ name.__init__ }}", "{{ rows.append(1) }}",
        "{% include '../secret.txt' %}", "{% include '/etc/passwd' %}", "{{ missing }}",
        "{{ 1 / 0 }}", "{{ name.nothing.more }}", "{% if %}", "{{ range(10 ** 9) }}",
    ],
)  # fmt: skip
def test_a_template_reaches_nothing_of_the_runtime(tmp_path: Path, text: str) -> None:
    """What is not a plain value is a mistake that names the template."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    templates = _templates(tmp_path / "mail", hi_txt=f"Subject: s\n\n{text}")
    with pytest.raises(TemplateMistake, match="mail/"):
        templates.render("hi", {"name": "Bob", "rows": [1]})


def test_what_a_template_lacks_is_told(tmp_path: Path) -> None:
    """A missing file, a missing subject, a name that is a path."""
    templates = _templates(tmp_path, bare_txt="no subject here\n")
    for name, words in (("none", "no mail/none.txt"), ("bare", "begins with"), ("../x", "name")):
        with pytest.raises(TemplateMistake, match=words):
            templates.render(name, {})


@pytest.mark.parametrize(
    ("text", "html", "place"),
    [
        ("Subject: s\n\nDear\n{{ missing }}", None, "mail/hi.txt:4"),
        ("Subject: s\n\n\n\nDear\n{% if %}", None, "mail/hi.txt:6"),
        ("no subject", None, "mail/hi.txt:1"),
        ("Subject: {{ missing }}\n\nx", None, "mail/hi.txt:1"),
        ("Subject: s\n\nx", "<p>\n<b>{{ 1 / 0 }}</b>", "mail/hi.html:2"),
        ("Subject: s\n\nx\n{% include 'foot.txt' %}", None, "mail/foot.txt:2"),
    ],
)
def test_mistakes_name_their_file_and_line(
    tmp_path: Path, text: str, html: str | None, place: str
) -> None:
    """Of text, subject, HTML, and of what is included."""
    more = {} if html is None else {"hi_html": html}
    templates = _templates(tmp_path, hi_txt=text, foot_txt="\n{{ nobody }}", **more)
    with pytest.raises(TemplateMistake, match=f"^{place}: ") as caught:
        templates.render("hi", {})
    file, _, line = place.partition(":")
    assert caught.value.details == {"file": file, "line": int(line)}
