"""Bad weather: delays, cuts and partitions, drawn from the seed, each link from its own chance.

A link's chance depends on its client and its number alone, so that leaving a step out of a script
changes as little as possible of the rest.
"""

from __future__ import annotations

import random

from pylon.testing.network import Link, MemoryNetwork


class BadWeather:
    """What the network does to what is carried over it, until `clear_up`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chances: dict[tuple[str, int], random.Random] = {}
        self._held: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._places: dict[Link, tuple[str, int]] = {}
        self.is_fair = False

    def _chance(self, link: Link) -> random.Random:
        place = self._places.get(link)
        if place is None:
            number = self._numbers[link.client] = self._numbers.get(link.client, 0) + 1
            place = self._places[link] = (link.client, number)
        if place not in self._chances:
            self._chances[place] = random.Random(f"{self._seed} {place}")  # noqa: S311
        return self._chances[place]

    def open_delay(self, link: Link) -> float | None:
        """Take a moment; now and then refuse."""
        chance = self._chance(link)
        if self.is_fair:
            return 0.001
        if self.is_held(link):
            return None
        return None if chance.random() < 0.04 else chance.expovariate(1 / 0.01)

    def delay(self, link: Link, *, is_down: bool, size: int) -> float:
        """Take a few milliseconds, sometimes a second; now and then break the connection."""
        chance = self._chance(link)
        if self.is_fair:
            return 0.001
        drawn = chance.random()
        if drawn < 0.006:
            # What was on its way is lost, whichever way; the server may not hear of it.
            link.reset(is_noticed=chance.random() < 0.7)
            return 0.0
        if drawn < 0.05:
            return chance.uniform(0.2, 2.0)
        return chance.expovariate(1 / 0.005)

    def is_held(self, link: Link) -> bool:
        """Tell whether the link's client is cut off without knowing it."""
        return link.client.partition("#")[0] in self._held

    def hold(self, client: str) -> None:
        """Cut a client off: nothing arrives, nothing is reported."""
        self._held.add(client)

    def let_go(self, client: str, network: MemoryNetwork) -> None:
        """End it: what was on its way arrives late."""
        self._held.discard(client)
        for link in list(network.links):
            if not self.is_held(link):
                link.release()

    def clear_up(self, network: MemoryNetwork) -> None:
        """Be fair from now on."""
        self.is_fair = True
        for client in list(self._held):
            self.let_go(client, network)
