import asyncio
import base64
import hashlib

import pytest

from dialogpt.web.guard import LOOPBACK_NAMES, MAX_BODY_BYTES, Guard, script_hashes

PAGE = b"<html><script>one()</script><script type='module' src='x'></script><script>two</script>"


class Recorder:
    """An application that answers with a page and remembers what reached it."""

    def __init__(self):
        self.headers, self.body, self.gone = [], b"", False

    async def __call__(self, scope, receive, send):
        self.headers.append(dict(scope["headers"]))
        while True:
            message = await receive()
            self.gone = message["type"] == "http.disconnect"
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        start = [(b"content-type", b"text/html"), (b"Content-Security-Policy", b"default-src *")]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[20:]})


def ask(method="GET", path="/", *, chunks=(b"",), kind="http", guard=None, **headers):
    """Status, headers and body of the guard's answer, and the application behind it."""
    app = Recorder()
    options = guard or {"allowed_hosts": LOOPBACK_NAMES}
    given = {"host": "127.0.0.1:7860", **headers}
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()]
    scope = {"type": kind, "method": method, "path": path, "headers": pairs}
    left, sent = list(chunks), []

    async def receive():
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(app, **options)(scope, receive, send))
    if not sent:
        return None, {}, b"", app
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body, app


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/upload_progress"),
        ("POST", "/gradio_api/upload"),
        ("GET", "/monitoring"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://example.com/"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/reply"),
        ("POST", "/"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/runs"),
        ("DELETE", "/assets/x.js"),
        ("GET", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/heartbeat/x"),
        ("GET", "//"),
    ],
)
def test_what_the_page_does_not_need_is_not_there(method, path):
    status, _, _, app = ask(method, path)
    assert (status, app.headers) == (404, [])


def test_a_page_may_load_nothing_from_elsewhere_and_run_only_its_own_scripts():
    status, headers, body, _ = ask()
    assert (status, body) == (200, PAGE)
    policy = headers[b"content-security-policy"].decode()
    assert b"Content-Security-Policy" not in headers  # the application's own is replaced
    for script in (b"one()", b"two"):
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    (scripts,) = [part for part in policy.split("; ") if part.startswith("script-src")]
    assert "'unsafe-inline'" not in scripts
    assert "http" not in policy
    assert "*" not in policy
    assert "default-src 'none'" in policy
    assert len(script_hashes(PAGE)) == 2


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", "", "[bad"])
def test_on_loopback_only_loopback_names_are_answered(host):
    assert ask(host=host)[0] == 421
    assert ask(host=host, guard={"allowed_hosts": None})[0] == 200


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:7860", "LOCALHOST"])
def test_all_names_of_loopback_are_answered(host):
    assert ask(host=host)[0] == 200


def test_another_site_cannot_speak_through_a_visitors_browser():
    join = ("POST", "/gradio_api/queue/join")
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "https://[bad"):
        status, _, _, app = ask(*join, origin=origin)
        assert (status, app.headers) == (403, [])
    assert ask(*join, origin="http://127.0.0.1:7860")[0] == 200
    assert ask(*join)[0] == 200


def test_a_large_body_is_refused_before_it_is_read():
    join = ("POST", "/gradio_api/queue/join")
    too_long = str(MAX_BODY_BYTES + 1)
    status, _, words, app = ask(*join, content_length=too_long)
    assert (status, app.headers) == (413, [])
    assert b"too long" in words
    assert ask(*join, content_length="x")[0] == 400
    assert ask(*join, content_length=str(MAX_BODY_BYTES), chunks=[b"{}"])[0] == 200


def test_a_body_that_does_not_say_its_length_ends_where_it_is_too_long():
    chunk = b"x" * (MAX_BODY_BYTES // 2)
    *_, app = ask("POST", "/gradio_api/queue/join", chunks=[chunk, chunk, b"y", chunk])
    assert app.gone
    assert len(app.body) == MAX_BODY_BYTES


def test_what_says_to_come_from_a_proxy_is_believed_only_of_a_trusted_one():
    given = {"x_forwarded_host": "evil.example", "x_forwarded_for": "1.2.3.4", "forwarded": "for=x"}
    *_, app = ask(**given, accept_encoding="br")
    assert app.headers == [{b"host": b"127.0.0.1:7860"}]  # uncompressed: it is read on its way
    *_, app = ask(**given, guard={"allowed_hosts": None, "trusts_forwarding": True})
    assert app.headers[0][b"x-forwarded-host"] == b"evil.example"


def test_websockets_are_not_answered():
    status, _, _, app = ask(kind="websocket")
    assert (status, app.headers) == (None, [])
