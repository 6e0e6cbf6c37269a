"""Apps tormented in one process: real server, real clients, virtual time, bad weather, one seed.

`script` says what happens, `play` does it, `oracle` knows what should be true, `safety` and
`liveness` compare. See docs/testing.md and docs/reliability-sync.md.
"""
