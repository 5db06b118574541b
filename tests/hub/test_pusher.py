"""Pushing in the background, through huggingface_hub, to a server that fails in every way a Hub does."""

import threading

import pytest

from hub.client import quiet
from hub.pusher import Push, Pusher, push_command
from testing.hub_server import READ_TOKEN, HubServer, in_process

ID = "ann/voice"


@pytest.fixture
def server(monkeypatch, tmp_path):
    with HubServer() as server, in_process(server, monkeypatch, tmp_path / "home"):
        quiet()
        yield server


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Seconds that the pusher would have waited between tries."""
    waited: list[float] = []
    monkeypatch.setattr(Pusher, "pause", lambda self, seconds: waited.append(seconds))
    return waited


def push(tmp_path, name: str, branch: str = "main", **files: str) -> Push:
    folder = tmp_path / name
    (folder / "samples").mkdir(parents=True)
    for stem, content in ({"model": f"weights of {name}"} | files).items():
        (folder / f"{stem}.safetensors").write_text(content)
    (folder / "samples" / f"{name}.txt").write_text(name)
    (folder / "README.md").write_text(f"---\nlicense: unknown\n---\n{name}")
    return Push(folder, branch, f"The model {name}", ("samples/*",))


def pushed(*pushes: Push, patience_s: float = 60.0) -> list[Push]:
    """What did not get there."""
    pusher = Pusher(ID, False, patience_s)
    for one in pushes:
        pusher.offer(one)
    return pusher.finish()


FAULTS = {
    "503 to everything": {"pattern": ".", "times": 20, "status": 503},
    "500 for the large file": {"pattern": "PUT /lfs", "times": 9, "status": 500},
    "503 for the commit": {"pattern": "commit", "times": 1, "status": 503},
    "409: another commit": {"pattern": "commit", "times": 2, "status": 409},
    "409 that is no answer": {"pattern": "repos/create", "times": 1, "status": 409},
    "429": {"pattern": "commit", "times": 1, "status": 429, "headers": {"Retry-After": "77"}},
    "429 for the large file": {"pattern": "PUT /lfs", "times": 7, "status": 429, "headers": {"Retry-After": "77"}},
    "408": {"pattern": "tree", "times": 7, "status": 408},
    "no JSON": {"pattern": "validate-yaml", "times": 1, "status": 502},
    "an upload cut half way": {"pattern": "PUT /lfs", "times": 8, "cut": True},
    "a commit cut half way": {"pattern": "commit", "times": 1, "cut": True},
    "an answer cut half way": {"pattern": "GET .*tree", "times": 1, "cut": True},
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_passes_is_tried_until_it_has_passed(name, server, waits, tmp_path, capfd):
    fault = server.fail(**FAULTS[name])
    one = push(tmp_path, "first")
    assert pushed(one) == []
    assert server.content(ID, "model.safetensors") == b"weights of first"
    assert server.repositories[ID].private and not one.folder.exists()
    assert fault.times == 0
    if "PUT" not in fault.pattern and "tree" not in fault.pattern:  # those huggingface_hub tries again itself
        assert waits and waits == sorted(waits)
        assert capfd.readouterr().out.count("not on the Hub yet") == 1
    if name == "429":
        assert waits == [77.0]


def test_waits_grow_to_a_limit(server, waits, tmp_path):
    server.fail("repos/create", 9, status=503)
    assert pushed(push(tmp_path, "first")) == []
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422])
def test_what_is_refused_is_said_and_left_and_the_next_one_is_tried(status, server, waits, tmp_path, capfd):
    server.fail("commit", 1, status=status)
    pusher = Pusher(ID, False, 60.0)
    first, second = push(tmp_path, "first"), push(tmp_path, "second")
    pusher.offer(first)
    assert refused(pusher) == [first]
    assert first.folder.is_dir() and waits == []
    assert f"refuses The model first (status {status}" in capfd.readouterr().out
    pusher.offer(second)
    assert pusher.finish() == []
    assert server.content(ID, "model.safetensors") == b"weights of second"
    assert not first.folder.exists() and not second.folder.exists()


def refused(pusher: Pusher) -> list[Push]:
    with pusher.change:
        assert pusher.change.wait_for(lambda: pusher.refused, 30)
        return list(pusher.refused.values())


def test_a_branch_s_files_change_at_once_and_those_of_before_go(server, tmp_path):
    pusher = Pusher(ID, False, 60.0)
    pusher.offer(push(tmp_path, "first", extra="more"))
    wait_until_idle(pusher)
    server.repositories[ID].files()["notes.md"] = server.repositories[ID].files()["README.md"]
    pusher.offer(push(tmp_path, "second"))
    assert pusher.finish() == []
    before, now = ({*files} for files in server.repositories[ID].branches["main"][-2:])
    assert {"samples/first.txt"} == before - now and {"samples/second.txt"} == now - before
    assert {"notes.md", "extra.safetensors", ".gitattributes"} <= now  # somebody else's, and git's own


def wait_until_idle(pusher: Pusher) -> None:
    with pusher.change:
        assert pusher.change.wait_for(lambda: not pusher.waiting and pusher.at_work is None, 30)


def test_the_newest_takes_the_place_of_one_that_waits(server, tmp_path):
    held = server.fail("PUT /lfs", 1, hold=threading.Event())
    pusher = Pusher(ID, False, 60.0)
    first, second, third = (push(tmp_path, name) for name in ("first", "second", "third"))
    pusher.offer(first)
    server.wait_for("PUT /lfs")
    pusher.offer(second)
    pusher.offer(third)
    assert first.folder.is_dir() and not second.folder.exists() and third.folder.is_dir()
    held.hold.set()
    assert pusher.finish() == []
    weights = [commit.get("model.safetensors") for commit in server.repositories[ID].branches["main"]]
    assert [server.blobs[one].decode().split()[-1] for one in weights if one] == ["first", "third"]


def test_a_branch_is_made_where_it_is_not_there(server, tmp_path):
    assert pushed(push(tmp_path, "first", "run-1"), push(tmp_path, "second", "run-2")) == []
    assert server.content(ID, "model.safetensors", "run-1") == b"weights of first"
    assert server.content(ID, "model.safetensors", "run-2") == b"weights of second"
    assert set(server.repositories[ID].files("main")) == {".gitattributes"}


def test_the_end_waits_no_longer_than_it_may_and_says_what_to_do(server, tmp_path):
    held = server.fail("commit", 1, hold=threading.Event())
    first, state = push(tmp_path, "first"), push(tmp_path, "state", "training-state")
    pusher = Pusher(ID, False, 0.0)
    pusher.offer(first)
    server.wait_for("commit")
    pusher.offer(state)
    left = pusher.finish()
    assert left == [first, state]
    told = push_command(ID, False, left)
    assert f"hf upload {ID} {first.folder} . --revision main --private" in told
    assert f"hf upload {ID} {state.folder} . --revision training-state --private" in told
    held.hold.set()
    pusher.thread.join(30)
    assert first.folder.is_dir() and state.folder.is_dir()  # what the commands are about stays


def test_ctrl_c_ends_the_wait(server, tmp_path):
    server.fail("commit", 1, hold=threading.Event())
    pusher, first = Pusher(ID, False, 60.0), push(tmp_path, "first")
    pusher.offer(first)
    server.wait_for("commit")

    def interrupted(*_):
        del pusher.change.wait_for
        raise KeyboardInterrupt

    pusher.change.wait_for = interrupted
    assert pusher.finish() == [first]


def test_no_token_and_no_signed_address_is_said(server, waits, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    server.fail("PUT /lfs", 9, status=503)
    assert len(pushed(push(tmp_path, "first"))) == 1
    said = capfd.readouterr()
    assert "not on the Hub yet" in said.out and "refuses" in said.out
    assert READ_TOKEN not in said.out + said.err and "s1gned" not in said.out + said.err
