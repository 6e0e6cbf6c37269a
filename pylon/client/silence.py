"""Why a runtime does not answer, and what to do, in words: from the error that says so."""

from __future__ import annotations

import ssl

import aiohttp

Words = tuple[str, str]
_LOCAL_HINT = "is it running, and is that its address?"


def silence(error: BaseException, where: str) -> Words:
    """Return (what is wrong, what to do) for a request that had no answer.

    Args:
        error: what the request raised.
        where: whom it was asked of, such as `the runtime at https://chat.example`.
    """
    cause = getattr(error, "os_error", error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {where} is not to be trusted: {cause.verify_message}",
            "another host's or an expired one: mend it there. A private authority's:"
            " SSL_CERT_FILE=/path/ca.pem pylon attach … . It is never left unchecked",
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"{where} does not speak https: {cause.reason or cause}",
            "on this machine http:// will do; from elsewhere: pylon attach ssh://host/path",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"there is no host of that name: {error.host}", "is it spelled right?"
    if isinstance(error, TimeoutError):
        return (
            f"{where} does not answer: no answer in time",
            "a firewall, or a machine that is down or busy?",
        )
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return f"{where} does not answer: {reason.partition(' [')[0]}", _LOCAL_HINT


def refusal(status: int, base: str, location: str = "") -> Words:
    """Return (what is wrong, what to do) for an answer that no Pylon runtime gives."""
    if 300 <= status < 400:
        return (
            f"{base} sends its callers elsewhere: {location[:200] or 'it does not say where'}",
            "attach to that address, if it is yours",
        )
    if status in (502, 503, 504):
        return f"the proxy at {base} says {status}: its runtime is down", "start it there"
    return (
        f"what answers at {base} is no Pylon runtime (status {status})",
        "is that the app's own address, and does its proxy pass /api/admin/ on?",
    )
