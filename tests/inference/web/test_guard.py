"""What the guard of the page hands on."""

import asyncio
import importlib.util
import json

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("starlette") is None, reason='needs the extra: pip install -e ".[web]"'
)


def handed_on(body: bytes, folder) -> bytes:
    """The body of a request to the queue as gradio would see it."""
    from inference.web.guard import API, Guard

    seen = []

    async def app(scope, receive, send) -> None:
        seen.append((await receive())["body"])

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        seen.append(message)

    headers = [(b"host", b"localhost:7860"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": f"{API}queue/join", "headers": headers}
    asyncio.run(Guard(app, folder)(scope, receive, send))
    [one] = seen
    return one


def test_half_a_character_never_reaches_gradio(tmp_path):
    """Its answer that names one never came, nor any answer after it."""
    body = b'{"data": ["Hola \\ud800.", {"\\udfff": "\\ud83d\\ude00 \\u00e9"}], "fn_index": 1}'
    found = json.loads(handed_on(body, tmp_path))
    assert found == {"data": ["Hola ?.", {"?": "\U0001f600 \u00e9"}], "fn_index": 1}
