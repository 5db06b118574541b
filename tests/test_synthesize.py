"""The second front door: python synthesize.py, on what a run left behind."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import synthesize
from data_pipeline.errors import UserError
from inference.options import SpeechOptions
from inference.synthesizer import Synthesizer
from inference.vocoders.griffin_lim import GriffinLim
from inference.vocoders.hifigan import HIFIGAN_PACKAGE
from inference.wave_output import Output
from testing import small_runs
from testing.small_runs import launch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run() -> Path:
    folder, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def say(tmp_path):
    """synthesize.main in this process: (exit code, the wav's path)."""

    def call(model, *arguments: str, out: str = "a.wav") -> tuple[int, Path]:
        return synthesize.main([str(model), "--out", str(tmp_path / out), *arguments]), tmp_path / out

    return call


@pytest.mark.parametrize("text", ["\u0640 Hola.", "\u0640\u0640. Hola.", "Hola. \u0640. Adiós."])
def test_a_word_of_which_nothing_is_spoken_does_not_hinder_the_others(run, say, text):
    """U+0640 only stretches an Arabic word; between English ones it is nothing, and counts as a letter."""
    assert say(run, "--text", text, "--language", "es", "--vocoder", "griffin_lim")[0] == 0


def test_a_run_folder_speaks_from_the_shell(run, tmp_path):
    out = tmp_path / "hello.wav"
    done = launch(small_runs.ROOT / "synthesize.py", run, "--text", "Thank you.", "--out", out)
    assert done.returncode == 0, done.stderr[-3000:]
    wave, rate = soundfile.read(out)
    [said, total, whole, model, vocoder] = re.search(
        r": ([\d.]+) s of speech in ([\d.]+) s; real-time factor ([\d.]+) \(model ([\d.]+), hifigan ([\d.]+)\)",
        done.stdout,
    ).groups()
    assert rate == 22_050 and len(wave) % 256 == 0 and float(said) == pytest.approx(len(wave) / rate, abs=0.006)
    assert float(whole) == pytest.approx(float(total) / float(said), abs=0.02)
    assert float(whole) == pytest.approx(float(model) + float(vocoder), abs=0.002)
    assert abs(wave).max() > 0.001


def test_a_finished_run_has_a_post_filter_that_its_speech_goes_through(run, say, tmp_path):
    described = json.loads((run / "best" / "config.json").read_text(encoding="utf-8"))
    names = ("detail_gains", "time_detail_gains")
    assert all(len(described[name]) == 80 and min(described[name]) >= 1 for name in names)
    plain = tmp_path / "plain"
    shutil.copytree(run / "best", plain)
    (plain / "config.json").write_text(json.dumps(described | dict.fromkeys(names)), encoding="utf-8")
    one, other = (say(model, "--text", "one two three", out=f"{model.name}.wav")[1] for model in (run, plain))
    assert one.read_bytes() != other.read_bytes()


def test_the_same_seed_gives_the_same_bytes(run, say):
    def bytes_of(seed: str) -> bytes:
        code, out = say(run, "--text", "one two three", "--seed", seed)
        assert code == 0
        return out.read_bytes()

    assert bytes_of("1") == bytes_of("1") != bytes_of("2")


def test_text_comes_from_a_file_or_standard_input(run, say, tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("one two\nthree\n", encoding="utf-8")
    said = {}
    said["argument"] = say(run, "--text", "one two three")
    said["file"] = say(run, "--text-file", str(tmp_path / "text.txt"), out="b.wav")
    monkeypatch.setattr("sys.stdin", io.StringIO("one  two three\n"))
    said["stdin"] = say(run, "--text-file", "-", out="c.wav")
    monkeypatch.setattr("sys.stdin", io.StringIO("one two three"))
    said["nothing"] = say(run, out="d.wav")
    assert all(code == 0 for code, _ in said.values())
    assert len({out.read_bytes() for _, out in said.values()}) == 1


def test_any_folder_with_a_model_speaks(run, say, tmp_path):
    best = say(run, "--text", "hello", out="run.wav")[1].read_bytes()
    assert say(run / "best", "--text", "hello", out="best.wav")[1].read_bytes() == best
    assert say(run / "checkpoints" / "step-00000006", "--text", "hello")[0] == 0
    only = tmp_path / "only_checkpoints"
    shutil.copytree(run / "checkpoints", only / "checkpoints")
    newest = say(only, "--text", "hello", out="newest.wav")[1].read_bytes()
    assert newest == say(run / "checkpoints" / "step-00000006", "--text", "hello")[1].read_bytes()


def test_a_model_of_an_earlier_version_is_refused(run, say, tmp_path, capsys):
    """Its voices hold the posterior only; its decoder would not fit either."""
    shutil.copytree(run / "best", tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    config["voices"] = {name: voice[: config["voice_dim"]] for name, voice in config["voices"].items()}
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    assert say(tmp_path / "old", "--text", "hello")[0] == 2
    assert "earlier version of Goya: its voices hold 64 numbers, expected 144" in capsys.readouterr().err


def test_a_reference_clip_changes_the_voice(run, say, tmp_path):
    clips = []
    for number, row in enumerate(small_runs.rows()[:2]):
        clips.append(tmp_path / f"clip{number}.ogg")
        clips[-1].write_bytes(row["audio"]["bytes"])
    plain, first, again, second = (
        say(run, "--text", "hello there", *more)[1].read_bytes()
        for more in ((), *(("--reference", str(clip)) for clip in (clips[0], clips[0], clips[1])))
    )
    assert first == again and len({plain, first, second}) == 3


def test_speech_goes_on_from_a_clip_and_its_text(run, say, tmp_path):
    clip, row = tmp_path / "clip.ogg", small_runs.rows()[0]
    clip.write_bytes(row["audio"]["bytes"])
    cloned = ["--text", "hello there", "--reference", str(clip)]
    prompted = [*cloned, "--reference-text", row["text"]]
    plain, gone_on, streamed = (
        say(run, *words, out=f"{number}.wav")[1]
        for number, words in enumerate((cloned, prompted, [*prompted, "--stream"]))
    )
    one, other = soundfile.read(gone_on)[0], soundfile.read(streamed)[0]
    assert gone_on.read_bytes() != plain.read_bytes()
    assert difference(one, other) < 0.4
    synthesizer = Synthesizer.from_pretrained(str(run))
    wishes = {"reference": str(clip), "reference_text": row["text"]}
    assert difference(one, synthesizer.speak("hello there", SpeechOptions("en", **wishes)).numpy()) < 0.01
    # The same words read as Spanish ones would be: digits, here.
    numbers = [*cloned, "--reference-text", "1 2 3"]
    english, spanish = (
        say(run, *numbers, *more, out="n.wav")[1].read_bytes() for more in ([], ["--reference-language", "es"])
    )
    assert english != spanish


def test_a_voice_of_the_training_data_can_be_named(run, say):
    assert say(run, "--text", "hola", "--language", "es", "--voice", "allison")[0] == 0


def test_every_text_is_spoken(run, say):
    both, one = say(run, "--text", "one two", "--text", "three", out="b.wav"), say(run, "--text", "one two\n\nthree")
    assert both[0] == one[0] == 0
    assert both[1].read_bytes() == one[1].read_bytes()


def test_bytes_that_are_no_text_are_refused_wherever_they_come_from(run, say, tmp_path, monkeypatch, capsys):
    content = "gracias, señor.".encode("cp1252")
    (tmp_path / "cp1252.txt").write_bytes(content)
    assert say(run, "--text-file", str(tmp_path / "cp1252.txt"))[0] == 2
    # As LC_ALL=C reads it: what is no UTF-8 passes, as half characters.
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), errors="surrogateescape"))
    assert say(run)[0] == 2
    assert say(run, "--text", content.decode("utf-8", "surrogateescape"))[0] == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3 and all("is not UTF-8" in line and "iconv" in line for line in told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--language", "xx"], ["error:", "'xx' is no language", "English (en), Spanish (es), French (fr)"]),
        (["--language", "de"], ["warning:", "English (en), Spanish (es), French (fr), not on German (de)"]),
        (["--language", "es", "--text", "你好"], ["warning:", "another script: 你好"]),
        (["--language", "es"], []),
    ],
)
def test_what_the_model_never_learned_is_said(run, say, capsys, words, told):
    code, _ = say(run, *(words if "--text" in words else [*words, "--text", "hola"]))
    err = capsys.readouterr().err
    assert code == (2 if told and told[0] == "error:" else 0)
    assert all(part in err for part in told) and bool(err) == bool(told)


def test_the_language_is_the_models_where_none_is_said(run, say, tmp_path):
    """Of a model of one language; numbers are read in it."""
    only = tmp_path / "spanish"
    shutil.copytree(run / "best", only)
    config = json.loads((only / "config.json").read_text())
    config["voices"] = {name: voice for name, voice in config["voices"].items() if name.endswith("-es")}
    (only / "config.json").write_text(json.dumps(config))
    said = [
        say(only, "--text", "7", *more)[1].read_bytes() for more in ([], ["--language", "es"], ["--language", "en"])
    ]
    assert said[0] == said[1] != said[2]


def test_the_factor_does_not_count_what_only_the_first_word_waits_for(run, say, monkeypatch, capsys):
    """The vocoder is slow once: the clock of the test goes on by an hour in its first call."""
    hours = []

    class SlowAtFirst(GriffinLim):
        def __call__(self, mel):
            hours[:] = hours or [1]
            return super().__call__(mel)

    clock = synthesize.time.perf_counter
    monkeypatch.setattr(synthesize.time, "perf_counter", lambda: clock() + 3600 * len(hours))
    monkeypatch.setattr("inference.synthesizer.load_vocoder", lambda name, audio, device: SlowAtFirst(audio, device))
    assert say(run, "--text", "hola")[0] == 0
    assert float(re.search(r"real-time factor ([\d.]+)", capsys.readouterr().out)[1]) < 1000


def test_ctrl_c_leaves_no_traceback(run, say, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("inference.synthesizer.load", interrupted)
    assert say(run, "--text", "a")[0] == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_disk_that_is_full_is_one_message(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    (tmp_path / "a.wav").symlink_to("/dev/full")
    with pytest.raises(UserError, match="cannot be written"), Output(str(tmp_path / "a.wav"), 22_050) as output:
        output.write(np.zeros(10**6, dtype=np.float32))


def test_a_picture_is_written(run, say, tmp_path):
    assert say(run, "--text", "hello", "--picture", str(tmp_path / "a.png"))[0] == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_speed_shortens_the_speech(run, say):
    lengths = [
        len(soundfile.read(say(run, "--text", "one two three four", "--speed", speed)[1])[0])
        for speed in ("0.5", "1", "2")
    ]
    assert lengths[0] > lengths[1] > lengths[2]


PARAGRAPHS = "One two. Three four,\nfive. Is it?\n\nSix.\n"


def test_a_long_text_is_its_sentences_with_pauses_between(run, say, tmp_path):
    (tmp_path / "text.txt").write_text(PARAGRAPHS, encoding="utf-8")
    code, out = say(run, "--text-file", str(tmp_path / "text.txt"), "--speed", "2")
    assert code == 0
    wave, rate = soundfile.read(out)
    silent = "".join("0" if sample == 0 else "1" for sample in wave)
    pauses = [len(zeros) / rate for zeros in re.findall("0{1500,}", silent)]
    # At twice the speed.
    assert pauses == pytest.approx([0.1, 0.1, 0.3], abs=0.002)


# Griffin-Lim's 60 iterations make a sample's difference of the mel's last digits, which a batch may round otherwise:
# by 0.15 of the wave here. Other speech differs by more than its own size.
@pytest.mark.parametrize(("vocoder", "largest"), [("griffin_lim", 0.4), ("hifigan", 1e-2)])
def test_streamed_samples_are_the_plain_ones(run, say, vocoder, largest, capfd):
    words = ["--text", PARAGRAPHS, "--vocoder", vocoder, "--seed", "3"]
    plain, streamed = say(run, *words), say(run, *words, "--stream", out="b.wav")
    assert plain[0] == streamed[0] == 0
    assert re.search(r"b\.wav: .* real-time factor [\d.]+ \(first chunk after \d+ ms\)", capfd.readouterr().out)
    one, other = (soundfile.read(out)[0] for _, out in (plain, streamed))
    assert difference(one, other) < largest


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Of two waves of equal length: the root of the energy of their difference over that of the first."""
    assert len(one) == len(other)
    return float(np.linalg.norm(one.astype(float) - other) / np.linalg.norm(one.astype(float)))


@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_standard_output_gets_raw_samples_and_nothing_else(run, tmp_path, flags):
    script, words = small_runs.ROOT / "synthesize.py", [run, "--text", PARAGRAPHS]
    assert launch(script, *words, "--out", tmp_path / "a.wav").returncode == 0
    with open(tmp_path / "raw", "wb") as raw:
        command = [sys.executable, script, *words, "--out", "-", *flags]
        done = subprocess.run(command, stdout=raw, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0 and "s of speech in" in done.stderr
    samples = np.frombuffer((tmp_path / "raw").read_bytes(), "<i2")
    assert difference(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], samples) < 0.01


def test_a_listener_who_leaves_gets_no_traceback(run, tmp_path):
    command = [sys.executable, str(small_runs.ROOT / "synthesize.py"), str(run), "--text", PARAGRAPHS, "--out", "-"]
    with subprocess.Popen([*command, "--stream"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as said:
        said.stdout.close()
        # torch's own word on torchao, which only the tests' installation has, is nobody's traceback.
        lines = [line for line in said.stderr.read().splitlines() if b"torch/utils/_pytree.py" not in line]
        assert lines == [] and said.wait(60) == 1


def test_several_clips_give_another_voice_than_each(run, say, tmp_path):
    clips = [tmp_path / "a.opus", tmp_path / "b.opus"]
    for clip, row in zip(clips, small_runs.rows(), strict=False):
        clip.write_bytes(row["audio"]["bytes"])
    first, second = ["--reference", str(clips[0])], ["--reference", str(clips[1])]
    said = [say(run, "--text", "hello", *voice)[1].read_bytes() for voice in (first, second, first + second)]
    assert len(set(said)) == 3


MISTAKES = {
    "negative seed": (["{run}", "--text", "a", "--seed", "-1"], "--seed is -1; expected 0 or more"),
    "no kind of audio": (["{run}", "--text", "a", "--out", "{tmp}/a.text"], "expected a file that ends in .wav"),
    "picture of a stream": (["{run}", "--text", "a", "--stream", "--picture", "{tmp}/a.png"], "--stream and --picture"),
    "no such folder": (["{tmp}/nowhere", "--text", "a"], "nowhere does not exist; expected a run folder"),
    "no model inside": (["{tmp}", "--text", "a"], "holds no model: neither config.json, nor best/"),
    "no text": (["{run}", "--text", " "], "holds nothing to speak"),
    "no words": (["{run}", "--text", "?!"], "'?!' holds nothing to speak"),
    "no text file": (["{run}", "--text-file", "{tmp}/no.txt"], "no.txt does not exist"),
    "unknown voice": (["{run}", "--text", "a", "--voice", "nobody"], "knows no voice 'nobody'; it knows: allison-e"),
    "unknown vocoder": (["{run}", "--text", "a", "--vocoder", "gl"], "unknown vocoder 'gl': expected one of"),
    "vocoder not installed": (["{run}", "--text", "a", "--vocoder", "hifigan"], "pip install"),
    "no such clip": (["{run}", "--text", "a", "--reference", "{tmp}/no.wav"], "no.wav does not exist"),
    "clip and voice": (["{run}", "--text", "a", "--reference", "x", "--voice", "y"], "Both --reference and --voice"),
    "text of no clip": (["{run}", "--text", "a", "--reference-text", "b"], "what one clip says, and there are 0"),
    "speed": (["{run}", "--text", "a", "--speed", "9"], "--speed is 9; expected 0.25 to 4"),
    "no GPU": (["{run}", "--text", "a", "--device", "cuda"], "torch finds no GPU"),
    "unknown device": (["{run}", "--text", "a", "--device", "tpu9"], "tpu9"),
    "a folder for the wav": (["{run}", "--text", "a", "--out", "{tmp}/folder.wav"], "it is a folder"),
    "a folder for the picture": (["{run}", "--text", "a", "--picture", "{tmp}/folder.wav"], "it is a folder"),
    "no header": (["{run}", "--text", "a", "--out", "{tmp}/a.raw"], "expected a file that ends in .wav"),
    "nowhere to write": (["{run}", "--text", "a", "--out", "/sys/x.wav"], "cannot be written"),
    "no place to write": (["{run}", "--text", "a", "--out", "{tmp}/no/such/a.wav"], "no/such"),
    "not on the Hub": (["nobody/nothing-at-all", "--text", "a"], "nobody/nothing-at-all"),
    "no number": (["{run}", "--text", "a", "--seed", "x"], "seed"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_message(name, run, tmp_path, capsys, monkeypatch):
    arguments, message = MISTAKES[name]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "folder.wav").mkdir()
    if name == "vocoder not installed":
        monkeypatch.setattr("inference.vocoders.hifigan.HIFIGAN_PACKAGE", f"no_{HIFIGAN_PACKAGE}")
    try:
        code = synthesize.main([part.format(tmp=tmp_path, run=run) for part in arguments])
    except SystemExit as end:  # argparse
        code = end.code
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err and "error: " in captured.err
    assert not (tmp_path / "a.wav").exists()


FILES = {
    "a text in Latin-1": (["--text-file", "{tmp}/latin.txt"], "is not UTF-8 (byte 4 is 0xe7); write it anew: iconv"),
    "a text that is a folder": (["--text-file", "{tmp}"], "cannot be read"),
    "a text that is missing": (["--text-file", "{tmp}/no.txt"], "no.txt does not exist"),
    "a text with NUL in its name": (["--text-file", "a\0b"], "cannot be read"),
    "speech without a header": (["--text", "Hola.", "--out", "{tmp}/a.raw"], "expected a file that ends in .wav"),
    "speech into a folder": (["--text", "Hola.", "--out", "{tmp}/folder.wav"], "folder.wav cannot be written"),
    "a picture that is a folder": (["--text", "Hola.", "--picture", "{tmp}"], "--picture"),
    "a clip of no protocol": (["--text", "Hola.", "--reference", "foo://x"], "Audio file foo://x cannot be opened"),
    "a clip that is a folder": (["--text", "Hola.", "--reference", "{tmp}"], "does not exist"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used_is_one_message(run, tmp_path, capsys, name):
    arguments, message = FILES[name]
    (tmp_path / "latin.txt").write_bytes("Fran\xe7ais.".encode("latin-1"))
    (tmp_path / "folder.wav").mkdir()
    given = [one.format(tmp=tmp_path) for one in arguments]
    out = [] if "--out" in given else ["--out", str(tmp_path / "a.wav")]
    assert synthesize.main([str(run), "--language", "es", *given, *out]) == 2
    error = capsys.readouterr().err
    told = error[error.index("error: ") :]
    assert message in told and told.count("error: ") == 1


def test_standard_input_that_is_no_text_is_one_message(run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Fran\xe7ais"), encoding="utf-8"))
    assert synthesize.main([str(run), "--out", str(tmp_path / "a.wav")]) == 2
    assert "standard input is not UTF-8" in capsys.readouterr().err
