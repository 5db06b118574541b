"""What can be asked of the page to listen without the page: only what it asks itself."""

import http.client
import importlib.util
import io
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

import synthesize
from testing import small_runs
from tests.test_listen import served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason='needs the extra: pip install -e ".[web]"'),
]
TEXT, API = "Hola.", "/gradio_api"


class Asker:
    """Requests to the server at `address`, as a program would send them."""

    def __init__(self, address: str, folder: Path):
        self.host, self.folder = urlsplit(address).netloc, folder

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """(status, answer); headers: with _ for -."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        given = {"Content-Type": "application/json"} | {name.replace("_", "-"): one for name, one in headers.items()}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def join(self, event: str, data: list, **more) -> int:
        """Ask the page's function of that name to run; the status."""
        _, config = self("GET", "/config")
        [number] = [one["id"] for one in json.loads(config)["dependencies"] if one["api_name"] == event]
        return self("POST", f"{API}/queue/join", json.dumps({"fn_index": number, "data": data, **more}).encode())[0]

    def run(self, event: str, data: list) -> list[dict]:
        """What the server says of a function of the page that runs, to the end, in the session "one"."""
        assert self.join(event, data, session_hash="one") == 200
        _, events = self("GET", f"{API}/queue/data?session_hash=one")
        told = [json.loads(line.removeprefix(b"data: ")) for line in events.split(b"\n\n") if line]
        assert told.pop()["msg"] == "close_stream" and told[-1]["success"], told[-1]
        return told

    def upload(self, name: str, content: bytes) -> tuple[int, bytes]:
        head = f'--cut\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + b"\r\n--cut--\r\n"
        return self("POST", f"{API}/upload", body, Content_Type="multipart/form-data; boundary=cut")


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    folder = tmp_path_factory.mktemp("served")
    with served(run, folder) as (_, line):
        assert line.startswith("Listen at http://127.0.0.1:"), (folder / "said").read_text()[-3000:]
        yield Asker(line.split()[2], folder)
    assert "Traceback" not in (folder / "said").read_text()


def clip(path: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def wish(said_by: dict | None) -> list:
    """As the page sends it: checkpoint, other, text, language, speaker, clip, its text, speed, seed, vocoder."""
    return ["best", "", TEXT, "es", "", said_by, "", 1.0, 0, "griffin_lim"]


def test_a_text_is_spoken_in_the_voice_of_an_uploaded_clip(ask, tmp_path):
    recording = small_runs.rows()[0]["audio"]["bytes"]
    status, answer = ask.upload("clip.ogg", recording)
    assert status == 200
    [path] = json.loads(answer)
    ask.run("known", ["best", None, None])  # as the page does when it opens
    told = ask.run("speak", wish(clip(path)))
    [url] = {one["output"]["data"][0]["value"]["url"] for one in told if one["msg"] == "process_generating"}
    status, spoken = ask("GET", urlsplit(url).path)
    out = tmp_path / "said.wav"
    (tmp_path / "clip.ogg").write_bytes(recording)
    run, _ = small_runs.trained_run()
    flags = ["--language", "es", "--text", TEXT, "--vocoder", "griffin_lim", "--out", str(out)]
    flags += ["--reference", str(tmp_path / "clip.ogg")]
    assert status == 200 and synthesize.main([str(run), *flags]) == 0
    assert np.array_equal(soundfile.read(io.BytesIO(spoken))[0], soundfile.read(out)[0])


def hidden(ask, tmp_path: Path) -> Path:
    """A recording of somebody that was never uploaded."""
    path = tmp_path / "diary.ogg"
    path.write_bytes(small_runs.rows()[0]["audio"]["bytes"])
    return path


def test_no_file_of_the_computer_is_read_as_a_clip(ask, tmp_path):
    [folder] = ask.folder.glob("goya-listen-*/served")
    link = folder / "link.ogg"
    link.symlink_to(hidden(ask, tmp_path))
    _, answer = ask.upload("clip.ogg", b"something")
    [uploaded] = json.loads(answer)
    climbing = f"{Path(uploaded).parent}/../../../diary.ogg"
    shutil.copy(hidden(ask, tmp_path), ask.folder / "diary.ogg")
    address = "http://127.0.0.1:9/clip.ogg"
    for path in (str(hidden(ask, tmp_path)), "/dev/zero", str(link), climbing, address, str(folder), "a\0b", None):
        assert ask.join("speak", wish(clip(path)), session_hash="two") == 403, path
    both = json.dumps({"data": [clip(uploaded)]}).replace('"path"', f'"path": "{link}", "path"').encode()
    assert ask("POST", f"{API}/queue/join", both)[0] == 403
    for path in (hidden(ask, tmp_path), link, climbing, address):
        assert ask("GET", f"{API}/file={path}")[0] == 403, path


FOREIGN = {
    "another host": ({"Host": "evil.example"}, 403),
    "no host": ({"Host": ""}, 403),
    "a host that is none": ({"Host": "[::1"}, 400),
    "a port that is none": ({"Host": "localhost:80a"}, 400),
    "another site": ({"Origin": "https://evil.example"}, 403),
    "another program of this computer": ({"Origin": "http://127.0.0.1:1"}, 403),
    "a page without a site": ({"Origin": "null"}, 403),
    "a tunnel's end": ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 200),
    "a tunnel of IPv6": ({"Host": "[::1]:9000", "Origin": "http://[::1]:9000"}, 200),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_only_its_own_page_may_ask(ask, name):
    headers, status = FOREIGN[name]
    assert ask("GET", "/config", **headers)[0] == status


@pytest.mark.parametrize("path", ["openapi.json", "proxy=http://127.0.0.1/", "vibe-code", "runs", "call/v2/speak"])
def test_there_is_no_interface_for_programs(ask, path):
    for prefix in ("", f"{API}"):
        assert ask("GET", f"{prefix}/{path}")[0] == 404
    for place in ("/docs", "/redoc", "/monitoring"):
        assert ask("GET", place)[0] == 404
    for place in ("process_recording", "run/speak", "api/speak", "call/speak"):
        assert ask("POST", f"{API}/{place}", b"{}")[0] == 404
    assert ask("DELETE", "/config")[0] == 404


def test_uploads_are_bounded(ask):
    connection = http.client.HTTPConnection(ask.host, timeout=60)
    connection.putrequest("POST", f"{API}/upload")
    connection.putheader("Content-Length", str(2**40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    assert ask("POST", f"{API}/upload", iter([b"so long"]))[0] == 411  # in chunks, of a length that nobody says
    assert ask("POST", f"{API}/queue/join", b" " * 2**21)[0] == 413
    for body in (b"not json", b"[" * 100_000):
        assert ask("POST", f"{API}/queue/join", body)[0] == 400
