"""What the admin surface tells of a client, in words: for the command line and for the dashboard.

Pure. Text from data is handed on as it is: whoever prints it cleans it.
"""

from __future__ import annotations

from typing import Any


def subscription_words(one: dict[str, Any]) -> str:
    """Return a subscription in a few words."""
    if "fn" in one:
        args = "" if one["args"] == "{}" else one["args"]
        return f"{one['id']}: the value of {one['fn']}({args})"
    where = "" if one["where"] in ("{}", "", None) else f" where {one['where']}"
    return f"{one['id']}: {one['entity']}{where}{'' if one['done'] else ', not yet complete'}"


def network_words(network: dict[str, Any] | None) -> str:
    """Return how a client's network behaves."""
    if network is None:
        return "as it is"
    words = []
    if network["mode"] != "open":
        lasts = network.get("minutes")
        end = "" if lasts is None else f" for {lasts:.3g} min"
        words.append(str(network["mode"]).replace("_", "-") + end)
    if network["latency_ms"] or network["jitter_ms"]:
        words.append(f"{network['latency_ms']:g} to "
                     f"{network['latency_ms'] + network['jitter_ms']:g} ms late")  # fmt: skip
    for name, verb in (("loss", "lost"), ("duplicate", "doubled")):
        if network[name]:
            words.append(f"{network[name] * 100:.3g} % {verb}")
    if network["bandwidth"]:
        words.append(f"{network['bandwidth']:g} bytes/s")
    return ", ".join(words) or "as it is"


def unseen_words(unseen: dict[str, Any]) -> str:
    """Return how much a client has not seen."""
    if "resync" in unseen:
        return f"it starts over: {unseen['resync']}"
    count = len(unseen["changes"])
    more = " or more" if unseen["more"] else ""
    if not count and not more:
        return "nothing"
    return f"{count}{more} change{'' if count == 1 else 's'} through {_seq(unseen['through'])}"


def next_words(following: dict[str, Any] | None) -> str:
    """Return what a client's connection gets next."""
    if following is None:
        return "what it has not seen, when it comes"
    match following["kind"]:
        case "changes" if "resync" in following:
            return f"an order to start over: {following['resync']}"
        case "changes" if not following["changes"] and not following["more"]:
            return "a newer cursor: nothing in it is for this client"
        case "changes":
            return f"changes: {unseen_words(following)}"
        case "page":
            after = f" after {following['after']}" if following["after"] else ""
            return f"a page of {following['subscription']}{after}"
        case "window":
            return f"the list of {following['subscription']} anew"
        case "welcome":
            return "a welcome"
        case _:
            return "nothing until somebody writes"


def _seq(cursor: str) -> str:
    return cursor.rpartition(":")[2]
