"""The sign-in page and the elements, as people use them: by keyboard, by ear, in light and dark."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright, expect

from pylon.server.auth.totp import totp_code
from pylon.testing.served import Caller, ServedProject
from tests.browser.conftest import APP, FLAGS, PAGE, chromium, signed_in, stored
from tests.conftest import ROOT
from tests.integration.oidc_provider import OidcProvider

pytestmark = [
    pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

ADA = "ada@example.com"
PAT, TOM, OWEN = "pat@example.com", "tom@example.com", "owen@example.com"
PASSWORD = "correct horse battery"
SCREENSHOTS = ROOT / "build" / "screenshots"
ALL = '[auth]\nmethods = ["magic", "link", "password", "guest", "oauth"]\n'
#: What the keyboard is at, through shadow roots, by its name.
FOCUSED = """() => {
  let one = document.activeElement;
  while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  return one?.labels?.[0]?.querySelector("span")?.textContent
    ?? one?.getAttribute("aria-label") ?? one?.textContent ?? "";
}"""
OUTLINE = FOCUSED.replace(
    "return one?.labels", "return getComputedStyle(one).outlineStyle; one?.labels"
)
OWN_PAGE = PAGE.replace(
    '<ul id="list">', '<pylon-user></pylon-user><pylon-sign-in></pylon-sign-in><ul id="list">'
).replace("<script", '<script type="module" src="/_pylon/elements.js"></script><script', 1)


class Visitor:
    """A page, and what its console says."""

    def __init__(self, page: Page, served: ServedProject) -> None:
        self.page = page
        self.served = served
        self.said: list[str] = []
        page.set_default_timeout(8_000)
        page.on("console", lambda one: self.said.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda one: self.said.append(f"pageerror: {one}"))

    async def go(self, path: str) -> Visitor:
        """Open a page of the app."""
        await self.page.goto(self.served.url + path)
        return self

    async def at(self, name: str) -> None:
        """Wait until the keyboard is there."""
        for _ in range(1_500):
            if await self.page.evaluate(FOCUSED) == name:
                return
            await asyncio.sleep(0.02)
        assert await self.page.evaluate(FOCUSED) == name

    async def tab_to(self, name: str) -> None:
        """Press Tab until the keyboard is there; what is not there yet is waited for."""
        for _ in range(400):
            if await self.page.evaluate(FOCUSED) == name:
                return
            await self.page.keyboard.press("Tab")
            await asyncio.sleep(0.005)
        raise AssertionError(f"no Tab leads to {name!r}")

    async def type(self, text: str, *, over: bool = False) -> None:
        """Type, and press Enter."""
        if over:
            await self.page.keyboard.press("Control+a")
        await self.page.keyboard.insert_text(text)
        await self.page.keyboard.press("Enter")

    async def press(self, name: str) -> None:
        """Press the button of this name, by Tab and Enter."""
        await self.tab_to(name)
        await self.page.keyboard.press("Enter")

    async def heading(self, text: str) -> None:
        """Wait for a step."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    async def alert(self, text: str) -> None:
        """Wait for what went wrong."""
        await expect(self.page.get_by_role("alert")).to_contain_text(text)

    async def code(self, email: str = ADA, pattern: str = r"Your code: ([A-Z0-9]+)") -> str:
        """Return what the last mail to an address says."""
        folder = self.served.project / ".pylon/outbox"
        for _ in range(1_500):
            mails = [
                message_from_bytes(one.read_bytes(), policy=policy.default)
                for one in sorted(folder.glob("*.eml"))
            ]
            texts = [
                f"{one['Subject']}\n{part.get_content()}"
                for one in mails
                if one["To"] == email and (part := one.get_body(("plain",))) is not None
            ]
            if texts:
                return str(re.findall(pattern, texts[-1])[-1])
            await asyncio.sleep(0.02)
        raise AssertionError("no mail came")

    async def shots(self, name: str) -> None:
        """Draw it in light and in dark."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await self.page.screenshot(
                path=SCREENSHOTS / f"auth-{name}-{scheme}.png", full_page=True
            )


async def _open(context: BrowserContext, served: ServedProject, path: str) -> Visitor:
    return await Visitor(await context.new_page(), served).go(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome() -> AsyncIterator[Browser]:
    """One Chromium for all: each test has contexts of its own."""
    async with async_playwright() as running:
        launched = await running.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield launched
        await launched.close()


@asynccontextmanager
async def _served(folder: Path, methods: str) -> AsyncIterator[ServedProject]:
    """Serve the tiny app with a page that has the elements."""
    project = folder / "app"
    web = project / "web"
    web.mkdir(parents=True)
    (project / "app.py").write_text(APP)
    (project / "pylon.toml").write_text(methods)
    (web / "index.html").write_text(OWN_PAGE)
    (web / "empty.html").write_text("<!doctype html><title>empty</title>")
    served = ServedProject(project, folder / "state")
    try:
        yield await served.start()
    finally:
        await served.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedProject]:
    """An app with every way in, a provider among them."""
    provider = OidcProvider()
    await provider.start()
    methods = ALL + provider.section("test", label="Example & Sons")
    async with _served(tmp_path_factory.mktemp("world"), methods) as served:
        yield served
    await provider.close()


async def test_a_code_by_keyboard_alone(chrome: Browser, tmp_path: Path) -> None:
    """Address, wrong code, right code with spaces; each step says which app, and where it is."""
    async with _served(tmp_path, '[auth]\nmethods = ["magic"]\n') as served:
        await _code_by_keyboard(chrome, served)


async def _code_by_keyboard(chrome: Browser, served: ServedProject) -> None:
    ada = await _open(await chrome.new_context(), served, "/auth/?next=/empty.html%3Fa%3D1")
    await ada.heading("Sign in to tiny")
    await ada.at("E-mail")
    assert ada.said == [], "a page for nobody says nothing red"
    names = await ada.page.get_by_role("button").all_text_contents()
    assert names == ["Send me a code"], "what is not turned on is not there"
    await ada.type("ada@")  # the browser's own check holds it back
    await ada.type(ADA, over=True)
    await ada.heading("Your code for tiny")
    await ada.at("Code")
    await expect(ada.page.get_by_role("status")).to_have_text(f"A code was asked for, for {ADA}.")
    resend = ada.page.get_by_role("button", name="Send another code")
    await expect(resend).to_have_attribute("aria-disabled", "true")
    await expect(resend).to_contain_text("s)")
    await ada.type("WRNG-WRNG")
    await ada.alert("This code is wrong, used up, or older than ten minutes.")
    await ada.at("Code")
    field = ada.page.get_by_role("textbox", name="Code")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_attribute("autocomplete", "one-time-code")
    await expect(field).to_have_accessible_description(re.compile("8 letters and digits"))
    await ada.shots("code")
    code = await ada.code()
    await ada.type(f" {code[:4].lower()} - {code[4:]} ", over=True)
    await ada.page.wait_for_url(f"{served.url}/empty.html?a=1")
    await ada.go("/auth/?next=//evil.example/")
    await ada.heading("Signed in to tiny")
    await expect(ada.page.get_by_role("link", name="Continue")).to_have_attribute("href", "/")
    await ada.press("Sign out")
    await ada.heading("Sign in to tiny")
    await expect(ada.page.get_by_role("status")).to_have_text("You are signed out.")
    await ada.press("Development: sign in as anybody")
    await ada.page.keyboard.press("Tab")
    await ada.at("E-mail")
    await ada.page.keyboard.insert_text("root@example.com")
    await ada.tab_to("Roles")
    await ada.type("admin, editor")
    await ada.page.wait_for_url(f"{served.url}/")
    await ada.page.wait_for_function("typeof db !== 'undefined'")
    assert await ada.page.evaluate("fetch('/api/auth/me').then((a) => a.json())") == {
        "user_id": await ada.page.evaluate("db.auth.me().then((me) => me.user_id)"),
        "email": "root@example.com", "roles": ["admin", "editor"],
    }  # fmt: skip


async def test_passwords_and_second_factors(chrome: Browser, world: ServedProject) -> None:
    """Register, be told what is wrong, enrol, sign in with both, forget the password."""
    ada = await _open(await chrome.new_context(), world, "/auth/?next=/auth/account")
    await ada.press("Use a password")
    await ada.press("Create an account")
    await ada.heading("Create an account for tiny")
    await ada.page.keyboard.insert_text(PAT)
    await ada.tab_to("New password")
    await ada.type("password123")
    await ada.alert("among the first that are guessed")
    await ada.at("New password")
    await ada.type(PASSWORD, over=True)
    await ada.page.wait_for_url(f"{world.url}/")  # no sign-in leads to a page of sign-in
    await ada.go("/auth/account")
    await ada.heading("Your account")
    await ada.press("Set up an authenticator app")
    await ada.tab_to("Your present password")
    await ada.type("wrong")
    await ada.alert("That did not prove that it is you")
    await ada.type(PASSWORD, over=True)
    await expect(ada.page.get_by_role("heading", name="Your authenticator app")).to_be_focused()
    secret = (await ada.page.locator(".secret").inner_text()).replace(" ", "")
    await ada.tab_to("Code that the app shows")
    now = int(time.time()) // 30
    await ada.type(totp_code(base64.b32decode(secret + "=" * (-len(secret) % 8)), now))
    await expect(ada.page.get_by_role("heading", name="Recovery codes")).to_be_focused()
    recovery = (
        await ada.page.get_by_role("region", name="Recovery codes").locator("li").all_inner_texts()
    )
    assert len(recovery) == 10
    await ada.shots("account")
    await ada.press("Sign out")
    await expect(ada.page.get_by_text("Nobody is signed in.")).to_be_visible()
    await ada.go("/auth/?next=/empty.html")
    await ada.press("Use a password")
    await ada.tab_to("E-mail")
    await ada.page.keyboard.insert_text(PAT)
    await ada.tab_to("Password")
    await ada.type(PASSWORD)
    await ada.heading("Second step for tiny")
    await ada.type("000000")
    await ada.alert("wrong or was used already")
    await ada.shots("factor")
    await ada.type(recovery[0].lower(), over=True)
    await ada.page.wait_for_url(f"{world.url}/empty.html")
    await ada.go("/auth/?next=/empty.html")
    await ada.press("Sign out")
    await ada.heading("Sign in to tiny")
    await ada.press("Use a password")
    await ada.press("Forgot your password?")
    await ada.heading("Choose a new password for tiny")
    await ada.type(PAT)
    await ada.at("Code")
    await ada.page.keyboard.insert_text(await ada.code(PAT))
    await ada.tab_to("New password")
    await ada.type(PASSWORD + "!")
    # The address is proven for the first time: what was planted before is gone, the factor too.
    await ada.page.wait_for_url(f"{world.url}/empty.html")


async def test_errors_say_what_to_do(chrome: Browser, world: ServedProject) -> None:
    """Too many tries count down on the button, a server that is away, each reason of a provider."""
    ada = await _open(await chrome.new_context(), world, "/auth/?error=cancelled&next=/")
    await ada.heading("Sign in to tiny")
    await ada.alert("You cancelled at the provider.")
    await ada.at("E-mail")
    for code, status, words in (
        ("RATE_LIMITED", 429, "Try again in 7 s"), ("UNAVAILABLE", 503, "Check your connection"),
    ):  # fmt: skip
        await ada.page.route("**/api/auth/magic/send", _failing(code, status))
        await ada.go("/auth/")
        await ada.at("E-mail")
        await ada.type(ADA)
        await ada.alert(words)
        await ada.at("E-mail")
        button = ada.page.get_by_role("button", name="Send me a code and a link")
        await expect(button).to_have_text(
            re.compile(r"\(in [67] s\)" if status == 429 else r"link$")
        )
    await ada.page.unroute("**/api/auth/magic/send")
    await ada.go("/auth/?step=totp&next=/")
    await ada.heading("Second step for tiny")
    await ada.at("Code of your authenticator app")
    await ada.type("123456")
    await ada.alert("This sign-in took too long: begin again.")
    await ada.heading("Sign in to tiny")


def _failing(code: str, status: int) -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        body = json.dumps({"error": {"code": code, "message": "no"}})
        headers = {"Retry-After": "7"} if status == 429 else {}
        await route.fulfill(
            status=status, headers=headers, content_type="application/json", body=body
        )

    return answer


async def test_providers_guests_and_links(chrome: Browser, world: ServedProject) -> None:
    """There and back at a provider; a guest who stays; a link in another browser."""
    context = await chrome.new_context()
    leader = await _open(context, world, "/")
    await expect(leader.page.get_by_role("link", name="Sign in")).to_be_visible()
    ada = await _open(context, world, "/auth/?next=/")
    await ada.press("Continue with Example & Sons")
    await ada.page.wait_for_url(f"{world.url}/")
    for visitor in (ada, leader):  # whose socket knew nobody
        await expect(visitor.page.locator("pylon-user")).to_contain_text(ADA)
    await ada.page.wait_for_function("typeof db !== 'undefined'")
    await ada.page.evaluate("db.insert('Note', { body: 'mine' }).then((row) => window.row = row)")
    await expect(leader.page.locator("#list li")).to_have_text(["mine"])
    await ada.page.evaluate("db.delete('Note', row.id)")
    await ada.go("/auth/account")
    providers = ada.page.get_by_role("region", name="Providers")
    await expect(providers).to_contain_text("Example & Sons: ada@example.com")
    await ada.press("Unlink Example & Sons")
    await expect(providers.get_by_role("link", name="Link Example & Sons")).to_be_visible()
    bob = await _open(await chrome.new_context(), world, "/auth/?next=/empty.html")
    await bob.press("Continue as a guest")
    await bob.page.wait_for_url(f"{world.url}/empty.html")
    await bob.go("/auth/?next=/empty.html")
    await expect(bob.page.get_by_text("You are here as a guest.")).to_be_visible()
    await bob.at("E-mail")
    await bob.type("bob@example.com")
    await bob.heading("Your code for tiny")
    link = await bob.code("bob@example.com", r"Or open \S+?(/auth/link#t=\S+)")
    eve = await _open(await chrome.new_context(), world, link)
    await eve.heading("Sign in to tiny")
    await eve.press("Sign in")
    await expect(eve.page.get_by_text("Another browser asked for this link.")).to_be_visible()
    await eve.at("E-mail")
    await eve.type("eve@example.com")
    await eve.alert("This link was used already, or is too old.")
    await eve.type("bob@example.com", over=True)
    await eve.page.wait_for_url(f"{world.url}/")
    await eve.go("/auth/account")
    await eve.press("Set a password")
    await eve.press("Send me a code")
    await expect(eve.page.get_by_role("status")).to_contain_text("A code is on its way")
    await eve.press("Delete the account")
    await eve.press("Sign out")
    await expect(eve.page.get_by_text("Nobody is signed in.")).to_be_visible()


async def test_tokens_sessions_and_leaving(chrome: Browser, world: ServedProject) -> None:
    """A token is shown once and works; another session ends here; the account goes for ever."""
    other = await world.login(TOM)
    context = await chrome.new_context()
    await signed_in(context, world, await world.login(TOM))
    ada = await _open(context, world, "/auth/account")
    await ada.heading("Your account")
    await ada.press("Make a token")
    await ada.tab_to("Name")
    await ada.type("importer")
    await expect(ada.page.get_by_role("heading", name="Your new token")).to_be_focused()
    token = await ada.page.locator(".secret").inner_text()
    program = Caller(world, token, None)
    assert (await program.get("/api/auth/me")).body["email"] == TOM
    revoke = ada.page.get_by_role("button", name=re.compile("Revoke the token importer"))
    await expect(revoke).to_have_count(1)
    name = await ada.page.get_by_role(
        "button", name=re.compile("^End the session of")
    ).get_attribute("aria-label")
    assert name is not None
    await ada.press(name)
    await expect(ada.page.get_by_role("status")).to_have_text("The session ended.")
    assert token not in await ada.page.content()
    assert (await other.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await program.get("/api/auth/me")).status == 200
    async with ada.page.expect_download() as started:
        await ada.press("Download everything that is yours")
    assert TOM in (await (await started.value).path()).read_text()
    await ada.press("Delete the account")
    await ada.tab_to("Send me a code")
    danger = ada.page.locator("details", has_text="Delete the account")
    await danger.get_by_role("button", name="Send me a code").press("Enter")
    await danger.get_by_role("textbox", name=f"Code, sent to {TOM}").focus()
    await ada.type(await ada.code(TOM))
    await expect(ada.page.get_by_text("Nobody is signed in.")).to_be_visible()
    assert (await program.get("/api/auth/me")).code == "UNAUTHENTICATED"


async def test_own_pages_and_other_tabs_follow(chrome: Browser, world: ServedProject) -> None:
    """THREATS 16: elements of one's own page; who signs out on /auth/ leaves nothing in any tab."""
    context = await chrome.new_context()
    one, two = [await _open(context, world, "/") for _ in range(2)]
    for visitor in (one, two):
        await expect(visitor.page.get_by_role("link", name="Sign in")).to_have_attribute(
            "href", "/auth/?next=%2F"
        )
    assert one.said == two.said == [], "a page for nobody says nothing red"
    await expect(one.page.get_by_role("heading", level=2)).to_have_text("Sign in to tiny")
    assert await one.page.evaluate(FOCUSED) != "E-mail", "an element does not take the keyboard"
    await one.press("Use a password")
    await one.press("Create an account")
    await one.page.keyboard.insert_text(OWEN)
    await one.tab_to("New password")
    await one.type(PASSWORD)
    for visitor in (one, two):
        await expect(visitor.page.locator("pylon-user")).to_contain_text(OWEN)
        await expect(visitor.page.get_by_role("heading", level=2)).to_have_text("Signed in to tiny")
    await one.page.wait_for_function("typeof db !== 'undefined'")
    await one.page.evaluate("db.insert('Note', { body: 'mine' })")
    for visitor in (one, two):
        await expect(visitor.page.locator("#list li")).to_have_text(["mine"])
    auth = await _open(context, world, "/auth/")
    await auth.press("Sign out")
    for visitor in (one, two):
        await expect(visitor.page.get_by_role("link", name="Sign in")).to_be_visible()
        await expect(visitor.page.locator("#list li")).to_have_count(0)
    assert (await stored(context, world))["rows"] == []
    await auth.page.get_by_role("textbox", name="E-mail").first.wait_for()
    await one.page.wait_for_function("typeof db !== 'undefined'")
    await one.page.evaluate("db.auth.enter('guest', {})")
    for visitor in (one, two):
        await expect(visitor.page.locator("pylon-user")).to_contain_text("Guest")


async def test_it_is_read_in_every_light_and_size(chrome: Browser, world: ServedProject) -> None:
    """Light, dark, 320 pixels, text of 200 %, a theme; a tree that screen readers read well."""
    context = await chrome.new_context(viewport={"width": 800, "height": 800})
    ada = await _open(context, world, "/auth/")
    await ada.at("E-mail")
    await expect(ada.page.locator("body")).to_match_aria_snapshot("""
      - main:
        - status
        - heading "Sign in to tiny" [level=1]
        - text: E-mail
        - textbox "E-mail"
        - button "Send me a code and a link"
        - button "Use a password"
        - paragraph: or
        - link "Continue with Example & Sons":
          - /url: /api/auth/oauth/test/start?next=%2F
        - button "Continue as a guest"
        - group: "Development: sign in as anybody"
        - alert
    """)
    await ada.shots("start")
    papers = set()
    for scheme in ("light", "dark"):
        await ada.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        papers.add(await ada.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers == {"rgb(251, 250, 248)", "rgb(23, 24, 28)"}
    for width in (320, 640):
        await ada.page.set_viewport_size({"width": width, "height": 640})
        if width == 640:  # zoomed to 200 % by text alone
            await ada.page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert await ada.page.evaluate("document.documentElement.scrollWidth") <= width
        await ada.shots(f"{width}")
    outline = await ada.page.evaluate(OUTLINE)
    assert outline == "solid", "the focus is seen"
    await ada.page.emulate_media(reduced_motion="reduce", forced_colors="active")
    web = world.project / "web"
    (web / "auth.css").write_text(
        ":root { --pylon-accent: #5b2a86; --pylon-radius: 0 }\n"
        "pylon-sign-in::part(heading) { text-transform: uppercase }\n"
    )
    (web / "auth-logo.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 20"><circle r="9"/></svg>'
    )
    await ada.page.emulate_media(color_scheme="light", forced_colors="none")
    await ada.page.set_viewport_size({"width": 800, "height": 800})
    await ada.go("/auth/")
    await ada.at("E-mail")
    primary = ada.page.get_by_role("button", name="Send me a code and a link")
    await expect(primary).to_have_css("background-color", "rgb(91, 42, 134)")
    await expect(ada.page.get_by_role("heading")).to_have_css("text-transform", "uppercase")
    await expect(ada.page.get_by_role("img", name="tiny")).to_be_visible()
    await ada.shots("theme")
    assert ada.said == [], "no policy is broken by a theme"


async def test_without_javascript_it_says_so(chrome: Browser, world: ServedProject) -> None:
    """The page is not empty for whoever has turned it off."""
    context = await chrome.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{world.url}/auth/")
    await expect(page.get_by_role("heading")).to_have_text("JavaScript is needed")
