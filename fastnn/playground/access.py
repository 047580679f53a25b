"""Who may use the page: those who have its address with the token, from the page itself.

Any program of this machine can connect to 127.0.0.1, and so can any page in the browser: by that address, or
by a name of its own that it lets stand for it (DNS rebinding). So every request must have the token in its
path and a ``Host`` that is the server's own, and where a browser says which page asks, that must be this one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

ADDRESS = "127.0.0.1"
_NAMES = (ADDRESS, "localhost")
_OWN, _NONE = (
    ("script-src", "style-src", "img-src", "connect-src"),
    ("base-uri", "form-action", "frame-ancestors"),
)
# Of every answer: nothing is loaded from elsewhere, shown in another page, kept, or told to others.
HEADERS = {
    "Content-Security-Policy": "; ".join(
        ["default-src 'none'", *(f"{name} 'self'" for name in _OWN), *(f"{name} 'none'" for name in _NONE)]
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def new_token() -> str:
    """256 bits that nobody can guess, as text for an address."""
    return secrets.token_urlsafe(32)


def same(given: str, secret: str) -> bool:
    """Whether a text is the secret, in a time that does not tell how much of it is right."""
    return secrets.compare_digest(given.encode(), secret.encode())


def fault(headers: Mapping[str, str], port: int, websocket: bool) -> str:
    """What is wrong with where a request comes from; empty if nothing is."""
    host, origin, site = (headers.get(name) for name in ("Host", "Origin", "Sec-Fetch-Site"))
    if host not in {f"{name}:{port}" for name in _NAMES}:
        return f"this server is {ADDRESS}:{port}, and answers to no other name"
    if origin != f"http://{host}" and (websocket or origin is not None):
        return "only the playground's own page may ask for this"
    if site not in (None, "same-origin", "none"):
        return "this address must be opened by itself, not from another page"
    return ""
