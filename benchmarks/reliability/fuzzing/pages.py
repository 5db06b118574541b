"""Requests to the page to listen, over a socket of this computer: forged, broken, and the page's own with odd wishes.

Ill: status 500, no answer, a file that was never uploaded in the answer, an end of a function that names no reason.
"""

import contextlib
import io
import json
import random
import socket
from pathlib import Path

from benchmarks.reliability.fuzzing.drawn import Ill, cut, digits, harmed, letters, number, value, word

METHODS = ("GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "")
API = "/gradio_api"
PATHS = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/static/", "/assets/",
         "/svelte/", "/pwa_icon", f"{API}/file=", f"{API}/info", f"{API}/app_id", f"{API}/startup-events",
         f"{API}/upload_progress", f"{API}/queue/status", f"{API}/queue/join", f"{API}/upload", f"{API}/cancel",
         f"{API}/reset", f"{API}/component_server", f"{API}/run/speak", "/login", "/docs")  # fmt: skip
PATIENCE_S, LONGEST_S = 1.5, 30  # before it is told that no more comes, and after
SESSION = "one"


def request(draw: random.Random, work: Path, kit) -> str:
    """How it ended."""
    page = kit.page
    with contextlib.redirect_stderr(io.StringIO()):  # gradio tells there of each choice that is none
        end = _wish(draw, page) if draw.random() < 0.5 else _asked(page, _forged(draw, page))[0]
    page.check_log()
    return end


def _forged(draw: random.Random, page) -> bytes:
    path = draw.choice(PATHS) + draw.choice(["", "", _tail(draw, page), _tail(draw, page)])
    path += draw.choice(["", "", f"?session_hash={word(draw)}", f"?upload_id={letters(draw)}", "?" + word(draw)])
    body = draw.choice([b"", b"{}", _body(draw, page), harmed(draw, _body(draw, page)), _upload(draw)])
    headers = {"Host": page.host, "Content-Type": "application/json", "Content-Length": str(len(body))}
    headers["Connection"] = "close"
    if body.startswith(b"--cut"):
        headers["Content-Type"] = draw.choice(["multipart/form-data; boundary=cut", "multipart/form-data", "x", ""])
    for _ in range(draw.choice([0, 0, 1, 2])):
        name = draw.choice([*headers, "Origin", "Range", "Cookie", "Transfer-Encoding", "Expect", "Upgrade", "Referer",
                            "X-Forwarded-Host", "If-Modified-Since", "Accept-Encoding", letters(draw)])  # fmt: skip
        odd = [
            word(draw),
            letters(draw),
            "chunked",
            "bytes=0-",
            "bytes=9-1",
            str(number(draw))[:40],
            f"http://{page.host}",
        ]
        headers[name] = draw.choice(odd)
    head = f"{draw.choice(METHODS)} {path} HTTP/1.1\r\n" + "".join(f"{a}: {b}\r\n" for a, b in headers.items())
    whole = head.encode("utf-8", "surrogateescape" if "\udc80" in head else "replace") + b"\r\n" + body
    return draw.choice([whole, whole, whole, whole, cut(draw, whole), harmed(draw, whole[:300]) + whole[300:]])


def _tail(draw: random.Random, page) -> str:
    return draw.choice(
        [str(page.secret), f"{page.uploads}/../{page.secret.name}", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "%00",
         f"{page.uploads}", f"http://{page.host}/", "../" * 9 + "etc/passwd", "x" * 9000, letters(draw), "/",
         "//etc/passwd", ".", "%ff", f"{page.secret}%00.wav", word(draw)]
    ).replace(" ", "%20").replace("\n", "%0a").replace("\0", "%00")  # fmt: skip


def _body(draw: random.Random, page) -> bytes:
    made = draw.choice(
        [{"fn_index": draw.choice([*range(8), value(draw)]), "data": value(draw), "session_hash": word(draw)},
         {"data": [{"path": draw.choice([str(page.secret), value(draw)]), "meta": {"_type": "gradio.FileData"}}]},
         {"event_id": word(draw), "session_hash": word(draw), "fn_index": value(draw)}, value(draw)]
    )  # fmt: skip
    return json.dumps(made).encode("utf-8", "surrogatepass")


def _upload(draw: random.Random) -> bytes:
    name = draw.choice([letters(draw), "../../x", "x" * 3000, "a.wav", word(draw)]).encode("utf-8", "replace")
    head = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\n'
    return draw.choice([head, head, head[:20]]) + draw.randbytes(draw.choice([0, 10, 5000])) + b"\r\n--cut--\r\n"


def _wish(draw: random.Random, page) -> str:
    """A function of the page, with data of the right number but any kind, run to its end."""
    event = draw.choice(["speak", "speak", "speak", "known", "refresh", "look_again", "clip_or_speaker"])
    good = {"speak": [page.model, "", "yes", "en", "", None, "", 1.0, 0, "griffin_lim"],
            "known": [page.model, None, None],
            "refresh": [page.model, ""],
            "look_again": [page.model, ""],
            "clip_or_speaker": [None]}[event]  # fmt: skip
    data = list(good)
    for _ in range(draw.choice([0, 1, 1, 2])):
        place = draw.randrange(len(data))
        odd = [value(draw), word(draw), letters(draw), digits(draw), number(draw), None, {"path": str(page.secret)}]
        data[place] = draw.choice([odd[draw.randrange(len(odd))], letters(draw, 40), number(draw)])
    if draw.random() < 0.1:
        data = data[: draw.randrange(len(data))]
    return run(page, event, data)


def run(page, event: str, data: list) -> str:
    """A function of the page, in a session that has looked at the model, as the page does when it opens."""
    body = {"fn_index": page.functions[event], "data": data, "session_hash": SESSION}
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    end, _ = _asked(page, _plain("POST", f"{API}/queue/join", page, content))
    if end == "read":
        _, events = _asked(page, _plain("GET", f"{API}/queue/data?session_hash={SESSION}", page), LONGEST_S)
        return _end_of(events, data)
    return end


def _end_of(events: bytes, data: list) -> str:
    """An error without words is an exception that the page does not know."""
    told = [json.loads(line.partition(b"data: ")[2]) for line in events.split(b"\n") if line.startswith(b"data: ")]
    ends = [one for one in told if one["msg"] in ("process_completed", "unexpected_error")]
    if not ends:
        raise Ill("no end", f"{data!r:.500}: {events[-500:]!r}")
    failed = [one for one in ends if not one.get("success")]
    if any(not one.get("output", {}).get("error") for one in failed):
        raise Ill("no reason", f"{data!r:.500}: {failed!r:.500}")
    return "refused" if failed else "read"


def _plain(method: str, path: str, page, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {page.host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _asked(page, whole: bytes, patience_s: float = PATIENCE_S) -> tuple[str, bytes]:
    """(how it ended, all that is answered)."""
    answer = b""
    with socket.create_connection(page.address, timeout=LONGEST_S) as connection:
        try:
            connection.sendall(whole)
            answer = _until_its_end(connection, patience_s)
        except ConnectionError:  # it says no before it has heard all
            return "refused", answer
        except TimeoutError as error:
            raise Ill("no answer", f"{whole[:500]!r}") from error
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
    if status >= 500:
        raise Ill(f"status {status}", f"{whole[:500]!r}: {answer[:500]!r}")
    if page.secret_content in answer or b"root:x:" in answer:
        raise Ill("a file outside", f"{whole[:500]!r}: {answer[:500]!r}")
    return ("read" if 200 <= status < 400 else "refused"), answer.partition(b"\r\n\r\n")[2]


def _until_its_end(connection: socket.socket, patience_s: float) -> bytes:
    """Where nothing comes for a while, it may wait for more of the request, and is told that there is none."""
    answer, is_told = b"", False
    connection.settimeout(patience_s)
    while True:
        try:
            part = connection.recv(2**16)
        except TimeoutError:
            if is_told:
                raise
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(LONGEST_S)
            is_told = True
            continue
        if not part:
            return answer
        answer += part
