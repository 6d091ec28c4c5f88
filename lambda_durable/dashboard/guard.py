"""Who is let in: the page that this server itself sent to the person who started it.

On a shared machine every local user can connect to loopback, and every web page that the person visits can make their
browser do so. So a request needs the token of this start, which only the address that was printed has (in its
fragment, which no browser sends to a server, and no cookie, which a browser would send to every port of this host);
it must name this server as its host (else a foreign name was made to resolve to loopback); and it must not come from
another site, nor from another port.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Of every answer. What is shown is the business of who runs the functions: no disk keeps it."""


class RefusedError(Exception):
    """A request that is not answered, with the status and type that it gets instead."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets in who has `token`, at `port` of this machine."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def hosts(self) -> Sequence[str]:
        """What a browser calls this server; at port 80, by its name alone."""
        names = ("127.0.0.1", "localhost")
        return tuple(f"{name}:{self.port}" for name in names) + (names if self.port == 80 else ())

    def check(self, headers: Message, *, api: bool) -> None:
        """Raises RefusedError unless it may be answered. The pages themselves hold nothing that is secret; with
        `api`, it is about what does."""
        host = headers.get_all("Host", [])
        if len(host) != 1 or host[0].lower() not in self.hosts:
            raise RefusedError(403, "ForeignHost", f"this is {self.hosts[0]}, and that is what to ask for")
        origin = headers.get("Origin")
        if origin is not None and origin not in [f"http://{name}" for name in self.hosts]:
            raise RefusedError(403, "ForeignOrigin", "another site's page may not use the dashboard")
        site = headers.get("Sec-Fetch-Site", "same-origin")
        visit = not api and headers.get("Sec-Fetch-Dest") == "document"
        if site not in ("same-origin", "none") and not visit:
            raise RefusedError(403, "ForeignOrigin", "another site's page may not use the dashboard")
        if api and not hmac.compare_digest(_bearer(headers), self.token.encode()):
            raise RefusedError(
                401, "NoToken", "open the address that `lambda-durable` printed when it started the dashboard"
            )


def _bearer(headers: Message) -> bytes:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.encode() if scheme.lower() == "bearer" else b""
