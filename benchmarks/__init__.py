"""`make bench`: Pylon beside PocketBase in one run, on loopback, bounded in count and time."""
