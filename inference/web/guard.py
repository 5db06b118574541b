"""What of a request to the page to listen gets through to gradio: nothing that another website or a forged one asks.

gradio checks none of this for an app that is mounted, as `launch` is what turns its checks on; a forged request could
have any file of this computer read as its clip.
"""

import json
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
MOST_UPLOAD_BYTES = 100 * 2**20  # 18 minutes of mono at 48 kHz, as a browser records
MOST_JSON_BYTES = 2**20
API = "/gradio_api/"
FILE = f"{API}file="
UPLOAD = f"{API}upload"
# What the page asks for; a name that ends in a slash stands for all below it. Not here: the schema of an interface for
# programs, the proxy to other servers, the conversion of videos.
PAGE = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/static/", "/assets/")
PAGE += ("/svelte/", "/pwa_icon", FILE)
PAGE += tuple(API + name for name in ("info", "app_id", "theme.css", "startup-events"))
PAGE += tuple(API + name for name in ("heartbeat/", "queue/data", "queue/status", "upload_progress"))
ACTIONS = tuple(API + name for name in ("queue/join", "upload", "cancel", "reset"))


class Refused(Exception):
    """A request that is not answered: (HTTP status, why)."""


class Guard:
    """An ASGI app around `app`, which sees only requests of the page itself.

    Args:
        uploads: the folder of what is uploaded and served; no other file can be named.
        names: of this server, as a browser may have been told to call it.
    """

    def __init__(self, app: ASGIApp, uploads: Path, names: tuple[str, ...] = LOCAL):
        self.app, self.uploads, self.names = app, uploads.resolve(), names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        try:
            if scope["type"] != "http":
                raise Refused(403, "The page speaks HTTP only.")
            headers = Headers(scope=scope)
            self._check_sender(headers)
            self._check_place(scope["method"], scope["path"])
            if scope["method"] == "POST":
                receive = await self._checked_body(scope["path"], headers, receive)
        except Refused as refused:
            status, why = refused.args
            return await PlainTextResponse(why, status)(scope, receive, send)
        await self.app(scope, receive, send)

    def _check_sender(self, headers: Headers) -> None:
        """A page of another site can make a browser ask; it cannot make it call itself ours."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if _split(f"//{host}").hostname not in self.names:
            raise Refused(403, f"This server is called {self.names[0]}; the request is for another one.")
        if origin is not None and _split(origin).netloc != host:
            raise Refused(403, "The request comes from another site's page.")

    def _check_place(self, method: str, path: str) -> None:
        allowed = {"GET": PAGE, "HEAD": PAGE, "POST": ACTIONS}.get(method, ())
        if not any(path == one or (one[-1] in "/=" and one != "/" and path.startswith(one)) for one in allowed):
            raise Refused(404, "The page has nothing here.")
        if path.startswith(FILE):
            self._check_file(path.removeprefix(FILE))

    def _check_file(self, path: object) -> None:
        """Links are followed before the folder is compared, and nothing but a regular file is named."""
        try:
            found = Path(path).resolve(strict=True)
            is_ours = found.is_relative_to(self.uploads) and found.is_file()
        except (OSError, TypeError, ValueError, RuntimeError):  # no such file; no path at all; NUL; a circle of links
            is_ours = False
        if not is_ours:
            raise Refused(403, "Only files that were uploaded or spoken here can be named.")

    async def _checked_body(self, path: str, headers: Headers, receive: Receive) -> Receive:
        """A `receive` for the app; of JSON, once every path that it names is one of an uploaded file."""
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refused(411, "The request does not say how long it is.")
        most = MOST_UPLOAD_BYTES if path == UPLOAD else MOST_JSON_BYTES
        if len(length) > 12 or int(length) > most:
            raise Refused(413, f"The request is too large; expected {most / 2**20:.0f} MB at most.")
        if path == UPLOAD:
            return receive  # uvicorn ends a body that is longer than it says
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        body = self._checked_json(body)
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def again():
            return messages.pop() if messages else await receive()

        return again

    def _checked_json(self, body: bytes) -> bytes:
        """With a ? for each half of a character, which a browser can send and gradio never answers."""

        def checked(pairs: list[tuple[str, object]]) -> dict:
            """Every pair, as a name that comes twice could hide the one that is used."""
            for name, value in pairs:
                if name == "path":
                    self._check_file(value)
            return dict(pairs)

        try:
            found = json.loads(body, object_pairs_hook=checked)
            return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
        except (ValueError, RecursionError) as error:
            raise Refused(400, "The request is no JSON.") from error


def _split(url: str):
    try:
        parts = urlsplit(url)
        _ = parts.port  # which may be no number
    except ValueError as error:
        raise Refused(400, "The request names no server.") from error
    return parts
