"""Opening a page in the user's browser, from beside a terminal that is in use."""

from __future__ import annotations

import asyncio
import os
import webbrowser


async def open_page(url: str) -> bool:
    """Open a page; False where there is no browser with a window of its own.

    A text browser would take the terminal, unless the user names one in BROWSER.
    """
    return await asyncio.to_thread(_open, url)


def _open(url: str) -> bool:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    takes_terminal = type(browser) is webbrowser.GenericBrowser
    if takes_terminal and not os.environ.get("BROWSER"):
        return False
    return browser.open(url)
