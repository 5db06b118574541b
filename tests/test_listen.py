"""The page to listen, through its front door: python listen.py, and a browser."""

import importlib.util
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

import listen
import synthesize
from testing import small_runs

pytestmark = pytest.mark.slow

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# As root no sandbox starts; and a browser looks for updates and more by itself.
BROWSER_FLAGS = "--no-sandbox --disable-background-networking --disable-component-update --disable-sync".split()
TEXT = "Hola. ¿Qué tal?\n\nAdiós."
NEEDS_WEB = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason='needs the extra: pip install -e ".[web]"'
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run folder of this module alone: best, step 6, step 3, of a model that knows Spanish and French voices."""
    trained, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    return shutil.copytree(trained, tmp_path_factory.mktemp("runs") / "my_run")


@contextmanager
def served(model: Path, folder: Path):
    """python listen.py with `folder` for its files: (the process, the first line it says)."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    # Who asks the network asks this first.
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = "http://{}:{}".format(*proxy.getsockname())
        environment |= {name: address for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")}
        environment.pop("HF_HUB_OFFLINE", None)
        command = [sys.executable, small_runs.ROOT / "listen.py", model, "--port", str(free_port())]
        with (
            open(folder / "said", "w+") as said,
            subprocess.Popen(
                command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True
            ) as process,
        ):
            try:
                yield process, process.stdout.readline()
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def address(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with served(run, folder) as (_, line):
        assert line.startswith("Listen at http://127.0.0.1:"), (folder / "said").read_text()[-3000:]
        yield re.search(r"http://\S+", line)[0]
    # No traceback, of whatever was tried; torch's own word on torchao is of what only the tests install.
    lines = (folder / "said").read_text().splitlines()
    assert [line for line in lines if "torch/utils/_pytree.py" not in line] == []


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason='needs pip install -e ".[dev]"')
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """The page, as it opens; at the end, what it asked of others than its server."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_label("Language").wait_for()
    choose(page, "Language", "Spanish")
    yield page
    page.close()
    assert any(url.startswith(address) for url in asked)
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


def choose(page, label: str, option: str) -> None:
    box = page.get_by_label(label, exact=True)
    box.click()
    page.locator(f"#{box.get_attribute('aria-controls')}").get_by_role("option", name=option, exact=True).click()


def set_seed(page, seed: str) -> None:
    # Once a list opens the page is alive; a number typed in the moment before is lost.
    choose(page, "Vocoder", "Griffin-Lim (needs no training)")
    page.get_by_label("Seed").fill(seed)


def press(page, text: str) -> None:
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name="Speak").click()


def heard(page, columns: int = 1) -> list[np.ndarray]:
    """The waves of the page's players once so many are there."""
    links = page.locator('a[download$=".wav"]')
    links.nth(columns - 1).wait_for()
    assert links.count() == columns
    found = [page.request.get(link.get_attribute("href")).body() for link in links.all()]
    return [soundfile.read(io.BytesIO(body), dtype="int16")[0] for body in found]


def said(tmp_path: Path, model: Path, *arguments: str) -> np.ndarray:
    """What synthesize.py says in Spanish."""
    out = tmp_path / "said.wav"
    assert synthesize.main([str(model), "--language", "es", "--out", str(out), *arguments]) == 0
    return soundfile.read(out, dtype="int16")[0]


@NEEDS_WEB
def test_a_text_is_heard_as_synthesize_says_it_and_seen(page, run, tmp_path):
    choose(page, "Voice", "allison (English, Spanish)")
    set_seed(page, "3")
    page.get_by_label("number input for Speed").fill("1.5")
    press(page, TEXT)
    [wave] = heard(page)
    more = ["--text", TEXT, "--voice", "allison", "--seed", "3", "--speed", "1.5", "--vocoder", "griffin_lim"]
    assert np.array_equal(wave, said(tmp_path, run, *more))
    assert not np.array_equal(wave, said(tmp_path, run, *more, "--seed", "4"))
    picture = page.get_by_alt_text("Mel and alignment")
    picture.wait_for()
    assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") == 900
    page.get_by_text(re.compile(rf"{len(wave) / 22_050:.1f} s of speech in .* Picture: sentence 1 of 3")).wait_for()


@NEEDS_WEB
def test_on_a_phone_what_was_said_comes_first_and_the_vocoder_is_to_be_seen(page):
    page.set_viewport_size({"width": 390, "height": 844})
    press(page, TEXT)
    heard(page)
    page.get_by_alt_text("Mel and alignment").wait_for()
    places = [
        one.bounding_box()
        for one in (
            page.locator('a[download$=".wav"]'),
            page.get_by_alt_text("Mel and alignment"),
            page.get_by_label("Text"),
            page.get_by_role("button", name="Speak"),
            page.get_by_label("Vocoder"),
        )
    ]
    tops = [place["y"] for place in places]
    assert tops == sorted(tops) and tops[1] < 844  # the picture too without scrolling
    assert all(0 <= place["x"] and place["x"] + place["width"] <= 390 for place in places)


@NEEDS_WEB
def test_a_text_that_the_model_cannot_know_is_doubted(page):
    press(page, "你好 hola")
    page.get_by_text("another script: 你好").wait_for()
    heard(page)


@NEEDS_WEB
def test_two_checkpoints_are_compared(page, run, tmp_path):
    choose(page, "Checkpoint", "step 6")
    choose(page, "Compare", "step 3")
    press(page, TEXT)
    waves = heard(page, columns=2)
    expected = [said(tmp_path, run / "checkpoints" / f"step-0000000{step}", "--text", TEXT) for step in (6, 3)]
    assert all(map(np.array_equal, waves, expected)) and not np.array_equal(*waves)
    page.get_by_alt_text("Mel and alignment").nth(1).wait_for()


@NEEDS_WEB
def test_a_clip_takes_the_place_of_the_voice(page, run, tmp_path):
    clip = tmp_path / "clip.ogg"
    clip.write_bytes(small_runs.rows()[0]["audio"]["bytes"])
    choose(page, "Voice", "june (French)")
    page.get_by_label("File upload").set_input_files(clip)
    page.get_by_label("Voice: the clip's").wait_for()
    press(page, TEXT)
    page.get_by_text("The clip's voice.").wait_for()
    [wave] = heard(page)
    assert np.array_equal(wave, said(tmp_path, run, "--text", TEXT, "--reference", str(clip)))


@NEEDS_WEB
def test_speech_goes_on_from_a_clip_whose_words_are_given(page, run, tmp_path):
    clip, row = tmp_path / "clip.ogg", small_runs.rows()[0]
    clip.write_bytes(row["audio"]["bytes"])
    words = page.get_by_label("What the clip says")
    words.wait_for(state="hidden")
    page.get_by_label("File upload").set_input_files(clip)
    words.fill(row["text"])
    press(page, TEXT)
    page.get_by_text("The clip's voice.").wait_for()
    [wave] = heard(page)
    cloned = ["--text", TEXT, "--reference", str(clip)]
    assert np.array_equal(wave, said(tmp_path, run, *cloned, "--reference-text", row["text"]))
    assert not np.array_equal(wave, said(tmp_path, run, *cloned))
    assert not np.array_equal(wave, said(tmp_path, run, "--text", TEXT, "--voice", "june"))


@NEEDS_WEB
def test_a_checkpoint_written_since_is_found_and_one_that_went_is_told(page, run, tmp_path):
    folder = run / "checkpoints"
    shutil.copytree(folder / "step-00000003", folder / "step-00000012")
    page.get_by_role("button", name="Refresh").click()
    page.get_by_text("Found: best, step 12, step 6, step 3.").wait_for()
    choose(page, "Checkpoint", "step 12")
    press(page, TEXT)
    assert np.array_equal(heard(page)[0], said(tmp_path, folder / "step-00000003", "--text", TEXT))
    shutil.rmtree(folder / "step-00000012")
    press(page, TEXT)
    page.get_by_text("no longer holds step-00000012").wait_for()


@NEEDS_WEB
def test_best_is_read_anew_when_it_was_written_anew(page, run, tmp_path):
    kept = shutil.copytree(run / "best", tmp_path / "best")
    press(page, TEXT)
    [before] = heard(page)
    shutil.rmtree(run / "best")  # as training does it: the old files are not written into
    shutil.copytree(run / "checkpoints" / "step-00000003", run / "best")
    page.reload()
    choose(page, "Language", "Spanish")
    press(page, TEXT)
    [after] = heard(page)
    assert np.array_equal(after, said(tmp_path, run, "--text", TEXT)) and not np.array_equal(before, after)
    shutil.rmtree(run / "best")
    shutil.copytree(kept, run / "best")


def sharded(page, run: Path) -> None:
    """As `accelerate_configs/fsdp2.yaml` writes one."""
    folder = shutil.copytree(run / "checkpoints" / "step-00000006", run / "checkpoints" / "step-00000009")
    (folder / "model").mkdir()
    (folder / "model.safetensors").unlink()
    page.reload()
    choose(page, "Checkpoint", "step 9")


def broken_clip(page, run: Path) -> None:
    page.get_by_label("File upload").set_input_files(
        {"name": "notes.wav", "mimeType": "audio/wav", "buffer": b"not a sound"}
    )
    page.get_by_label("Voice: the clip's").wait_for()


def negative_seed(page, run: Path) -> None:
    set_seed(page, "-1")


MISTAKES = {
    "no text": (None, " ", "There is nothing to speak yet; type some words"),
    "no words": (None, "?!", "There is nothing to speak yet; type some words"),
    "too long": (None, "Hola. " * 1000, "The text has 6000 characters; expected 5000 at most"),
    "broken clip": (broken_clip, TEXT, "The reference clip cannot be used. Audio file notes.wav cannot be decoded"),
    "sharded": (sharded, TEXT, "holds its weights in shards. Make them whole: python -m training.export"),
    "negative seed": (negative_seed, TEXT, "The seed is empty or negative; expected a whole number, 0 or more."),
}


@NEEDS_WEB
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_on_the_page(name, page, run):
    prepare, text, message = MISTAKES[name]
    if prepare:
        prepare(page, run)
    press(page, text)
    page.get_by_text(message).wait_for()
    assert not page.locator('a[download$=".wav"]').count()
    shutil.rmtree(run / "checkpoints" / "step-00000009", ignore_errors=True)


@NEEDS_WEB
def test_ctrl_c_ends_it_and_leaves_nothing(run, tmp_path):
    with served(run, tmp_path) as (process, line):
        assert "Ctrl-C ends it" in line and list(tmp_path.glob("goya-listen-*"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not list(tmp_path.glob("goya-listen-*"))


EARLY_MISTAKES = {
    "no such folder": (["{tmp}/nowhere", "--port", "{free}"], "nowhere does not exist; expected a run folder"),
    "no model inside": (["{tmp}", "--port", "{free}"], "holds no model: neither config.json, nor best/"),
    "no such port": (["{tmp}", "--port", "70000"], "--port is 70000; expected 1 to 65535"),
    "taken port": (["{tmp}", "--port", "{taken}"], "cannot be had (Address already in use); give another one"),
    "no GPU": (["{tmp}", "--port", "{free}", "--device", "cuda"], "torch finds no GPU"),
    "no extra": (["{tmp}"], 'gradio, which is not installed: run pip install -e ".[web]"'),
}


@pytest.mark.parametrize("name", EARLY_MISTAKES)
def test_a_mistake_before_the_page_gets_one_message(name, tmp_path, capsys, monkeypatch):
    arguments, message = EARLY_MISTAKES[name]
    find, installed = importlib.util.find_spec, "yes" if name != "no extra" else None
    monkeypatch.setattr("importlib.util.find_spec", lambda sought: installed if sought == "gradio" else find(sought))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.environ", dict(os.environ))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        places = {"tmp": tmp_path, "taken": listener.getsockname()[1], "free": free_port()}
        assert listen.main([part.format(**places) for part in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
