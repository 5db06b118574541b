"""Pushing while training goes on: a thread of its own, the newest of each branch, again and again until it is there."""

import shlex
import shutil
import threading
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from data_pipeline.errors import redact
from hub.client import ERRORS, is_lasting, reason, retry_after_s

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0  # between two tries; each is twice the last
GIT_S_OWN = ".gitattributes"  # which of a repository's files are large


@dataclass(frozen=True)
class Push:
    """What a branch is to hold.

    folder: its files, of this push alone: it goes once they are there. replaces: patterns of the branch's other files
    that go with this push.
    """

    folder: Path
    branch: str
    title: str
    replaces: tuple[str, ...]


class Pusher:
    """Pushes to one repository, in the order that was asked for; of two pushes to a branch the newer takes the place of
    one that waits. A branch's files change in one commit, so that nobody ever loads the half of a model.

    Errors that may pass are tried again with longer and longer waits. What the Hub refuses is said and left.

    Args:
        public: whether a repository that has to be made is one that everybody can read.
        patience_s: how long `finish` waits, at most.
    """

    def __init__(self, repo_id: str, public: bool, patience_s: float):
        self.repo_id, self.public, self.patience_s = repo_id, public, patience_s
        self.change = threading.Condition()
        self.waiting: dict[str, Push] = {}
        self.at_work: Push | None = None
        self.refused: dict[str, Push] = {}
        self.over = threading.Event()
        self.branches: set[str] = set()  # known to be there
        self.is_failing = False  # and that was said
        self.thread = threading.Thread(target=self._work, name="push-to-hub", daemon=True)
        self.thread.start()

    def offer(self, push: Push) -> None:
        """Returns at once."""
        with self.change:
            outdated = [self.waiting.pop(push.branch, None), self.refused.pop(push.branch, None)]
            self.waiting[push.branch] = push
            self.change.notify_all()
        for old in filter(None, outdated):
            shutil.rmtree(old.folder, ignore_errors=True)

    def finish(self) -> list[Push]:
        """Wait until all is there, for `patience_s` at most; the pushes that are not. Nothing is pushed later."""
        with self.change:
            if self.waiting or self.at_work:
                print(f"Waiting for the last push to the Hub, {self.patience_s:g} s at most.", flush=True)
            try:
                self.change.wait_for(lambda: not self.waiting and self.at_work is None, self.patience_s)
            except KeyboardInterrupt:  # enough waited; the run itself is saved
                pass
            self.over.set()
            left = [push for push in (self.at_work, *self.refused.values(), *self.waiting.values()) if push]
            self.waiting.clear()
            self.change.notify_all()
        return list({push.branch: push for push in left}.values())

    def _work(self) -> None:
        wait_s = FIRST_WAIT_S
        while (push := self._next()) is not None:
            try:
                self._push(push)
            except ERRORS as error:
                if is_lasting(error):
                    self._refuse(push, error)
                    continue
                self._put_back(push, error)
                self.pause(max(wait_s, retry_after_s(error)))
                wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
            else:
                wait_s = FIRST_WAIT_S
                self._done(push)

    def pause(self, seconds: float) -> None:
        """Until the next try, or the end of the run."""
        self.over.wait(seconds)

    def _next(self) -> Push | None:
        with self.change:
            self.change.wait_for(lambda: self.waiting or self.over.is_set())
            if self.over.is_set():
                return None
            self.at_work = self.waiting.pop(next(iter(self.waiting)))
            return self.at_work

    def _done(self, push: Push) -> None:
        if self.is_failing:
            print(f"The Hub answers again: {push.title} is there.", flush=True)
        self.is_failing = False
        with self.change:
            if not self.over.is_set():  # else whoever waited in vain was told of the folder
                shutil.rmtree(push.folder, ignore_errors=True)
            self.at_work = None
            self.change.notify_all()

    def _put_back(self, push: Push, error: BaseException) -> None:
        if not self.is_failing:
            print(f"{push.title} is not on the Hub yet ({reason(error)}); it is tried again and again.", flush=True)
        self.is_failing = True
        with self.change:
            self.at_work = None
            is_outdated = push.branch in self.waiting
            if not is_outdated and not self.over.is_set():
                self.waiting = {push.branch: push} | self.waiting
        if is_outdated:
            shutil.rmtree(push.folder, ignore_errors=True)

    def _refuse(self, push: Push, error: BaseException) -> None:
        print(f"The Hub refuses {push.title} ({reason(error)}). Training goes on; the next one is tried.", flush=True)
        with self.change:
            self.at_work = None
            self.refused[push.branch] = push
            self.change.notify_all()

    def _push(self, push: Push) -> None:
        api = HfApi()
        if not self.branches:
            api.create_repo(self.repo_id, private=not self.public, exist_ok=True)
            self.branches.add("main")
        if push.branch not in self.branches:
            api.create_branch(self.repo_id, branch=push.branch, exist_ok=True)
            self.branches.add(push.branch)
        files = {path.relative_to(push.folder).as_posix(): path for path in sorted(push.folder.rglob("*"))}
        adds = [CommitOperationAdd(name, path) for name, path in files.items() if path.is_file()]
        there = api.list_repo_files(self.repo_id, revision=push.branch)
        gone = [
            CommitOperationDelete(name)
            for name in there
            if name not in {*files, GIT_S_OWN} and any(fnmatch(name, pattern) for pattern in push.replaces)
        ]
        api.create_commit(self.repo_id, [*gone, *adds], commit_message=push.title, revision=push.branch)


def push_command(repo_id: str, public: bool, left: list[Push]) -> str:
    """How to push what did not get there."""
    option = [] if public else ["--private"]
    uploads = [["hf", "upload", repo_id, str(push.folder), ".", "--revision", push.branch, *option] for push in left]
    commands = [f"  {shlex.join(words)}" for words in uploads]
    return redact("\n".join(["This did not get to the Hub; to push it by hand:", *commands]))
