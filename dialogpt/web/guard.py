"""What stands between the network and Gradio: an ASGI middleware that knows neither.

Gradio's server can do much more than a chat needs: uploads, a proxy, an API, pages of its own. Here
only the addresses that the page uses get through, requests have a largest size, the page may load
nothing from other hosts, and another site cannot speak to it through a visitor's browser.
"""

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1 << 20
"""Largest request. A message of 100,000 characters has at most 600,000 bytes as JSON, and is
answered with a message of ours; more than this is refused before it is read."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_READ = frozenset({"GET", "HEAD"})
_OPEN_PATHS = {
    "/": _READ,
    "/config": _READ,
    "/theme.css": _READ,
    "/favicon.ico": _READ,
    "/manifest.json": _READ,
    "/gradio_api/startup-events": _READ,
    "/gradio_api/queue/data": _READ,
    "/gradio_api/queue/join": frozenset({"POST"}),
    "/gradio_api/cancel": frozenset({"POST"}),
    "/gradio_api/reset": frozenset({"POST"}),
}
_OPEN_PREFIXES = ("/assets/", "/static/", "/gradio_api/heartbeat/")

_POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'self'; "
    "form-action 'none'; frame-ancestors 'none'; script-src 'self' 'unsafe-eval'"
)
# 'unsafe-eval': Gradio's HTML component compiles its template in the browser. The template is
# constant, and what is put into it is never compiled. Inline scripts and handlers run only if they
# stood in the page when it left here (their hashes are added), so nothing that comes later runs.
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}
_INLINE_SCRIPT = re.compile(rb"<script\b(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


class Guard:
    """Lets through what the page needs.

    Args:
        app: the application behind.
        allowed_hosts: names by which the server may be called, in lower case and without port; None
            allows any. On loopback, this keeps out other sites that let their name lead here.
        trusts_forwarding: whether X-Forwarded-* headers come from a proxy of ours; they are taken
            away otherwise.
    """

    def __init__(
        self,
        app: App,
        *,
        allowed_hosts: frozenset[str] | None = None,
        trusts_forwarding: bool = False,
    ) -> None:
        self._app = app
        self._allowed_hosts = allowed_hosts
        self._trusts_forwarding = trusts_forwarding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets
            return
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        kept = [pair for pair in scope["headers"] if self._may_pass(pair[0], path=scope["path"])]
        sender = _PageSender(send) if scope["path"] == "/" else _HeaderSender(send)
        await self._app({**scope, "headers": kept}, _bounded(receive), sender)

    def _refusal(self, scope: Scope, headers: dict[str, bytes]) -> tuple[int, str] | None:
        """Status and reason if the request must not pass."""
        host = headers.get("host", b"").decode("latin-1")
        if self._allowed_hosts is not None and _host_name(host) not in self._allowed_hosts:
            return 421, "This server is not called by that name."
        path, method = scope["path"], scope["method"]
        is_open = method in _OPEN_PATHS.get(path, ()) or (
            method in _READ and path.startswith(_OPEN_PREFIXES)
        )
        if not is_open:
            return 404, "There is nothing here."
        # scheme://name:port, or "null".
        origin = headers.get("origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return 403, "Another site may not use this page."
        try:
            too_large = int(headers.get("content-length", b"0")) > MAX_BODY_BYTES
        except ValueError:
            return 400, "Content-Length must be a number."
        return (413, "This message is too long.") if too_large else None

    def _may_pass(self, name: bytes, *, path: str) -> bool:
        lower = name.lower()
        if lower.startswith(b"x-forwarded-") or lower == b"forwarded":
            return self._trusts_forwarding
        # The page is read here on its way out, so it must not be compressed.
        return not (path == "/" and lower == b"accept-encoding")


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _bounded(receive: Receive) -> Receive:
    """A body without a stated length ends where it becomes too long, as if the client had gone."""
    num_bytes = 0

    async def bounded() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        return {"type": "http.disconnect"} if num_bytes > MAX_BODY_BYTES else message

    return bounded


async def _answer(send: Send, status: int, words: str) -> None:
    # In the form in which Gradio's page reads the words and shows them.
    body = json.dumps({"detail": words}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        # The rest of a body that is not read must not be taken for the next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _HeaderSender:
    """Adds the headers to a response that passes by."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = with_security_headers(message, policy=_POLICY)
        await self._send(message)


class _PageSender:
    """Holds a page back until it is whole, then sends it with its scripts' hashes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        policy = " ".join([_POLICY, *script_hashes(self._body)])
        await self._send(with_security_headers(self._start, policy=policy))
        await self._send({"type": "http.response.body", "body": self._body})


def script_hashes(page: bytes) -> list[str]:
    """CSP sources of the inline scripts that stand in a page."""
    digests = [hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page)]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def with_security_headers(message: Message, *, policy: str) -> Message:
    """The start of a response with our headers in place of the application's of the same names."""
    ours = {**_HEADERS, "content-security-policy": policy}
    names = {name.encode() for name in ours}
    kept = [(name, value) for name, value in message["headers"] if name.lower() not in names]
    added = [(name.encode(), value.encode()) for name, value in ours.items()]
    return {**message, "headers": [*kept, *added]}
