"""A Hub on 127.0.0.1 that speaks as much of its protocol as huggingface_hub uses for models, with faults on demand."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN, READ_TOKEN = "hf_MadeUpWriteToken0123456789abcdefghij", "hf_MadeUpReadToken0123456789abcdefghijk"
OWNER = "ann"
LARGE = (".safetensors", ".wav", ".png")  # go the way of large files


@dataclass
class Fault:
    """What happens to a request whose "METHOD path" holds `pattern`, `times` times.

    status: the answer. hold: wait for it before answering as usual. cut: break the connection off half way.
    """

    pattern: str
    times: int
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    cut: bool = False


@dataclass
class Repository:
    private: bool
    branches: dict[str, list[dict[str, str]]]  # branch -> commits, each path -> sha256 of its content

    def files(self, branch: str = "main") -> dict[str, str]:
        return self.branches[branch][-1]


class HubServer:
    """`with HubServer() as server`: repositories as they are, and every request that came."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.lock = threading.RLock()
        self.arrived = threading.Condition()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        for fault in self.faults:
            if fault.hold:
                fault.hold.set()
        self.server.shutdown()
        self.server.server_close()

    def fail(self, pattern: str, times: int = 1, **how) -> Fault:
        self.faults.append(Fault(pattern, times, **how))
        return self.faults[-1]

    def content(self, repo_id: str, path: str, branch: str = "main") -> bytes:
        return self.blobs[self.repositories[repo_id].files(branch)[path]]

    def environment(self, home) -> dict[str, str]:
        """For a process that is to use this Hub."""
        off = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0"}
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HOME": str(home), **off}

    def wait_for(self, pattern: str, number: int = 1) -> None:
        """Until so many such requests have come."""
        with self.arrived:
            came = self.arrived.wait_for(
                lambda: len(re.findall(pattern, "\n".join(self.requests))) >= number, timeout=60
            )
            assert came, self.requests

    def take_fault(self, request: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet: else the client's delayed acknowledgement makes each wait 40 ms

    def log_message(self, *_):
        pass

    def answer(self) -> None:
        request = f"{self.command} {unquote(urlsplit(self.path).path)}"
        fault = self.hub.take_fault(request)
        with self.hub.arrived:
            self.hub.requests.append(request)
            self.hub.arrived.notify_all()
        if fault and fault.cut and self.command != "GET":
            self.rfile.read(int(self.headers.get("Content-Length", 2)) // 2)
            self.close_connection = True
            return
        self.is_cut = bool(fault and fault.cut)
        body = self.read_body()
        if fault and fault.hold:
            fault.hold.wait(60)
        if fault and fault.status:
            self.send(fault.status, {"error": "made to fail"}, fault.headers)
            return
        for pattern, handle in ROUTES.items():
            if found := re.fullmatch(pattern, request):
                if self.is_let_in(request):
                    with self.hub.lock:
                        handle(self, body, *found.groups())
                return
        self.send(404, {"error": f"no such thing: {request}"})

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def is_let_in(self, request: str) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in (TOKEN, READ_TOKEN) or request.startswith("PUT /lfs/"):
            return True
        self.send(401, {"error": "Invalid username or password."})
        return False

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def send(self, status: int, document=None, headers=None, content: bytes | None = None) -> None:
        content = json.dumps(document).encode() if content is None else content
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if self.is_cut else content)
        self.close_connection = self.close_connection or self.is_cut

    # What is asked

    def who(self, body) -> None:
        role = "read" if READ_TOKEN in self.headers["Authorization"] else "write"
        self.send(200, {"name": OWNER, "type": "user", "orgs": [], "auth": {"accessToken": {"role": role}}})

    def create(self, body) -> None:
        asked = json.loads(body)
        repo_id = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != OWNER:
            self.send(403, {"error": "You don't have the rights to create a model under this namespace"})
            return
        status = 409 if repo_id in self.hub.repositories else 200
        first = {".gitattributes": self.keep(b"*.safetensors lfs\n")}
        self.hub.repositories.setdefault(repo_id, Repository(asked["visibility"] == "private", {"main": [first]}))
        self.send(status, {"url": f"{self.hub.url}/{repo_id}", "error": "You already created this model repo"})

    def keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.hub.blobs[sha256] = content
        return sha256

    def found(self, repo_id: str, branch: str | None) -> tuple[dict[str, str], str] | None:
        """(files, commit) of a branch or commit; None, answered, where there is none."""
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            self.send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        by_commit = {oid(files): files for commits in repository.branches.values() for files in commits}
        by_name = {name: commits[-1] for name, commits in repository.branches.items()}
        files = (by_commit | by_name).get(branch or "main")
        if files is None:
            self.send(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
            return None
        return files, oid(files)

    def info(self, body, repo_id, branch=None) -> None:
        if found := self.found(repo_id, branch):
            private = self.hub.repositories[repo_id].private
            siblings = [{"rfilename": path} for path in found[0]]
            self.send(200, {"id": repo_id, "private": private, "sha": found[1], "siblings": siblings})

    def tree(self, body, repo_id, branch) -> None:
        if found := self.found(repo_id, branch):
            sizes = {path: len(self.hub.blobs[sha256]) for path, sha256 in found[0].items()}
            self.send(200, [{"type": "file", "path": p, "size": size, "oid": found[0][p]} for p, size in sizes.items()])

    def branch(self, body, repo_id, branch) -> None:
        branches = self.hub.repositories[repo_id].branches
        self.send(409 if branch in branches else 200, {"error": "Reference already exists"})
        branches.setdefault(branch, list(branches["main"]))

    def preupload(self, body, repo_id, branch) -> None:
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(body)["files"]
        ]
        self.send(200, {"files": files})

    def batch(self, body, repo_id) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            upload = {"href": f"{self.hub.url}/lfs/{one['oid']}?X-Amz-Signature=s1gned"}
            new = {} if one["oid"] in self.hub.blobs else {"actions": {"upload": upload}}
            objects.append({"oid": one["oid"], "size": one["size"], **new})
        self.send(200, {"transfer": "basic", "objects": objects})

    def put(self, body, sha256) -> None:
        self.send(200 if self.keep(body) == sha256 else 400, {})

    def commit(self, body, repo_id, branch) -> None:
        if READ_TOKEN in self.headers["Authorization"]:
            self.send(403, {"error": "Forbidden"})
            return
        if not self.found(repo_id, branch):
            return
        commits = self.hub.repositories[repo_id].branches[branch]
        files = dict(commits[-1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.keep(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                assert value["oid"] in self.hub.blobs
                files[value["path"]] = value["oid"]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        commits.append(files)
        self.send(200, {"success": True, "commitOid": oid(files), "commitUrl": f"{self.hub.url}/{repo_id}/commit/x"})

    def resolve(self, body, repo_id, branch, path) -> None:
        found = self.found(repo_id, branch)
        if found is None:
            return
        files, commit = found
        if path not in files:
            self.send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        headers = {"ETag": f'"{files[path]}"', "X-Repo-Commit": commit}
        self.send(200, headers=headers, content=self.hub.blobs[files[path]])


def oid(files: dict[str, str]) -> str:
    return hashlib.sha1(json.dumps(files, sort_keys=True).encode()).hexdigest()


ID = r"([\w.-]+/[\w.-]+)"
REVISION = r"([\w.-]+)"
ROUTES = {
    r"GET /api/whoami-v2": Handler.who,
    r"POST /api/repos/create": Handler.create,
    r"POST /api/validate-yaml": lambda self, body: self.send(200, {"errors": [], "warnings": []}),
    rf"GET /api/models/{ID}": Handler.info,
    rf"GET /api/models/{ID}/revision/{REVISION}": Handler.info,
    rf"GET /api/models/{ID}/tree/{REVISION}": Handler.tree,
    rf"POST /api/models/{ID}/branch/{REVISION}": Handler.branch,
    rf"POST /api/models/{ID}/preupload/{REVISION}": Handler.preupload,
    rf"POST /{ID}.git/info/lfs/objects/batch": Handler.batch,
    r"PUT /lfs/(\w+)": Handler.put,
    rf"POST /api/models/{ID}/commit/{REVISION}": Handler.commit,
    rf"(?:GET|HEAD) /{ID}/resolve/{REVISION}/(.+)": Handler.resolve,
}


@contextmanager
def in_process(server: HubServer, monkeypatch, home) -> Iterator[None]:
    """huggingface_hub of this process uses the server, and its own waits between tries take no time."""
    from types import SimpleNamespace

    import huggingface_hub.utils._http as http
    from huggingface_hub import constants

    with monkeypatch.context() as patch:
        for name, value in server.environment(home).items():
            patch.setenv(name, value)
        patch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        patch.setattr(http, "time", SimpleNamespace(sleep=lambda seconds: None))
        yield
