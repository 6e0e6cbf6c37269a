"""`python -m pylon`: the command line."""

from __future__ import annotations

from pylon.cli.main import main

if __name__ == "__main__":
    main()
