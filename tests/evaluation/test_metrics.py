"""Every metric of the registry: loads without a network, and says what is missing; and what each one measures."""

import importlib.util
import socket
from functools import cache
from pathlib import Path

import evaluate
import numpy as np
import pyarrow.parquet
import pytest
import torch

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig, decode_audio, log_mel
from evaluation import metrics
from evaluation.metrics import METRICS, load_metric
from inference.vocoders.registry import load_vocoder

FOLDER = Path(metrics.__file__).parent
HELDOUT = FOLDER.parent / "assets" / "demo_corpus" / "heldout.parquet"
RATE_HZ = 22_050
TEXTS = {"predictions": ["a b"], "references": ["a c"]}
SECONDS = {"predictions": [1.0, 1.0], "references": [1.0, 3.0]}


def loaded(name: str):
    """The metric, where the extra `eval` is installed."""
    for package in METRICS[name]:
        pytest.importorskip(package, reason='needs the extra: pip install -e ".[eval]"')
    return load_metric(name)


def tone(f0_hz: float, seconds: float = 1.0) -> np.ndarray:
    """A buzz like a voice's: ten harmonics of f0, falling by 1/n."""
    time_N = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (sum(np.sin(2 * np.pi * f0_hz * n * time_N) / n for n in range(1, 11)) / 4).astype(np.float32)


@cache
def recordings(language: str) -> list[np.ndarray]:
    """Three held-out recordings of 2 to 4 s, at RATE_HZ; those of one language are of one speaker."""
    rows = pyarrow.parquet.read_table(HELDOUT, filters=[("language", "=", language)]).to_pylist()
    speaker = rows[0]["speaker"]
    chosen = [row for row in rows if 2 < row["duration_s"] < 4 and row["speaker"] == speaker][:3]
    return [decode_audio(row["audio"]["bytes"], RATE_HZ) for row in chosen]


INPUTS = {
    "cer": lambda: (TEXTS, {"cer": 1 / 3, "standard_error": 0.0}),
    "wer": lambda: (TEXTS, {"wer": 1 / 2}),
    "speaker_similarity": lambda: (same_twice(), {"speaker_similarity": 1.0, "each": [1.0]}),
    "mcd": lambda: (same_twice(), {"mcd_db": 0.0}),
    "f0": lambda: (same_twice(), {"f0_rmse_cents": 0.0, "voicing_error": 0.0}),
    "distillmos": lambda: ({"predictions": recordings("en")[:1], "sample_rate_hz": RATE_HZ}, None),
    "dnsmos": lambda: ({"predictions": recordings("en")[:1], "sample_rate_hz": RATE_HZ}, None),
    "duration_ratio": lambda: (SECONDS, {"duration_ratio": 0.5}),
    "stop_errors": lambda: (
        SECONDS | {"ran_into_limit": [False, False]},
        {"ended_early": 0.5, "ended_late": 0.0, "never": 0.0},
    ),
}


def same_twice() -> dict:
    wave = recordings("en")[0]
    return {"predictions": [wave], "references": [wave], "sample_rate_hz": RATE_HZ}


def test_every_folder_is_registered_and_every_metric_tested():
    assert {path.parent.name for path in FOLDER.glob("*/*.py") if path.stem == path.parent.name} == set(METRICS)
    assert set(INPUTS) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_works_without_a_network(name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the metric asked for the network")

    loaded(name)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    inputs, expected = INPUTS[name]()
    found = evaluate.load(str(FOLDER / name)).compute(**inputs)
    if expected is not None:
        assert found.keys() == expected.keys()
        assert all(found[key] == pytest.approx(value, abs=1e-6) for key, value in expected.items())


@pytest.mark.parametrize("name", [name for name, packages in METRICS.items() if packages])
def test_a_missing_extra_names_the_command(name, monkeypatch):
    installed = importlib.util.find_spec
    monkeypatch.setattr(
        metrics.importlib.util, "find_spec", lambda one: None if one == METRICS[name][0] else installed(one)
    )
    load_metric.cache_clear()
    with pytest.raises(UserError, match=rf'{name}.*{METRICS[name][0]}.*pip install -e "\.\[eval\]"'):
        load_metric(name)


def test_an_unknown_metric_lists_the_known():
    with pytest.raises(UserError, match="unknown metric 'mos': expected one of cer, wer"):
        load_metric("mos")


OPINIONS = ("distillmos", "dnsmos")  # need no reference


@pytest.mark.parametrize("name", ["mcd", "f0", "speaker_similarity", *OPINIONS])
def test_silence_is_refused_by_its_place(name):
    metric = loaded(name)
    waves = [tone(200), np.zeros(9000, dtype=np.float32)]
    inputs = {"predictions": waves} | ({} if name in OPINIONS else {"references": [tone(200)] * 2})
    with pytest.raises(ValueError, match="place 1 is empty or silent"):
        metric.compute(**inputs, sample_rate_hz=RATE_HZ)


# Each against a known value or an independent implementation


def test_speaker_similarity_tells_voices_apart():
    metric = loaded("speaker_similarity")
    english, french = recordings("en"), recordings("fr")

    def score(one: list, other: list) -> list[float]:
        return metric.compute(predictions=one, references=other, sample_rate_hz=RATE_HZ)["each"]

    same = score(english[:2] + french[:1], english[1:] + french[1:2])
    other = score(english, french)
    assert min(same) > 0.75 > max(other)


@pytest.mark.slow
def test_dnsmos_hears_noise():
    metric = loaded("dnsmos")
    wave = recordings("en")[0]
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(wave)).astype(np.float32)
    clean, noisy = (metric.compute(predictions=[one], sample_rate_hz=RATE_HZ) for one in (wave, wave + noise))
    assert clean.keys() == {"overall", "speech", "background", "p808"}
    assert all(1 <= score <= 5 for score in [*clean.values(), *noisy.values()])
    assert clean["background"] > 3.5 and noisy["background"] < clean["background"] - 1
    assert noisy["overall"] < clean["overall"] - 0.5


def test_distillmos_hears_the_vocoder_that_dnsmos_does_not(capsys):
    metric = loaded("distillmos")
    waves = [wave[: 2 * RATE_HZ] for wave in recordings("en")]
    vocoder = load_vocoder("griffin_lim", AudioConfig())
    copies = [vocoder(log_mel(torch.from_numpy(wave), AudioConfig())).numpy() for wave in waves]
    real, copied = (metric.compute(predictions=one, sample_rate_hz=RATE_HZ) for one in (waves, copies))
    assert real["distillmos"] == pytest.approx(np.mean(real["each"])) and len(real["each"]) == 3
    assert 3.5 < real["distillmos"] <= 5 and copied["distillmos"] < real["distillmos"] - 0.3
    assert "weights loaded" not in capsys.readouterr().out  # as the package itself says, with its path


def brute_force_path(distances: np.ndarray) -> list[tuple[int, int]]:
    """The cheapest path through a table of distances, by looking at every one of them."""
    rows, columns = distances.shape

    def cheapest(row: int, column: int) -> tuple[float, list]:
        if (row, column) == (0, 0):
            return distances[0, 0], [(0, 0)]
        before = [(row - 1, column - 1), (row - 1, column), (row, column - 1)]
        cost, path = min(cheapest(*place) for place in before if min(place) >= 0)
        return cost + distances[row, column], [*path, (row, column)]

    return cheapest(rows - 1, columns - 1)[1]


def test_mcd_is_the_formula_along_the_brute_force_path():
    metric = loaded("mcd")
    from scipy.fft import dct

    waves = [recordings("en")[0][4000:6000], recordings("fr")[0][5000:6600]]  # 7 and 6 frames
    # An orthonormal DCT-II: its coefficients over the root of C / 2 are those of the cosine series.
    cepstra = [
        dct(log_mel(torch.from_numpy(wave), AudioConfig()).numpy(), norm="ortho")[:, 1:14] / np.sqrt(80 / 2)
        for wave in waves
    ]
    distances = np.sqrt(np.square(cepstra[0][:, None] - cepstra[1][None]).sum(-1))
    pairs = brute_force_path(distances)
    expected = np.mean([10 / np.log(10) * np.sqrt(2) * distances[pair] for pair in pairs])
    found = metric.compute(predictions=waves[:1], references=waves[1:], sample_rate_hz=RATE_HZ)["mcd_db"]
    assert found == pytest.approx(expected, rel=1e-4) and found > 1


def test_mcd_ignores_level_and_hears_another_sentence():
    metric = loaded("mcd")
    one, other, _ = recordings("en")
    quiet = metric.compute(predictions=[0.5 * one], references=[one], sample_rate_hz=RATE_HZ)["mcd_db"]
    different = metric.compute(predictions=[other], references=[one], sample_rate_hz=RATE_HZ)["mcd_db"]
    assert quiet < 0.5 and different > 3


def test_f0_of_tones_is_known_and_noise_is_unvoiced():
    metric = loaded("f0")
    cents = metric.compute(predictions=[tone(220)], references=[tone(200)], sample_rate_hz=RATE_HZ)
    assert cents["f0_rmse_cents"] == pytest.approx(1200 * np.log2(220 / 200), abs=10)
    assert cents["voicing_error"] < 0.05
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    found = metric.compute(predictions=[noise], references=[tone(200)], sample_rate_hz=RATE_HZ)
    assert found["voicing_error"] > 0.8


def test_endings_leave_their_bounds_and_count_the_limit_once():
    spoken, limited = [0.69, 0.71, 1.39, 1.41, 9.0, 0.1], [False, False, False, False, True, True]
    found = loaded("stop_errors").compute(predictions=spoken, references=[1.0] * 6, ran_into_limit=limited)
    assert found == {"ended_early": 1 / 6, "ended_late": 1 / 6, "never": 2 / 6}


def test_duration_ratio_is_of_sums():
    metric = loaded("duration_ratio")
    assert metric.compute(predictions=[1, 4], references=[2, 2])["duration_ratio"] == 5 / 4
    with pytest.raises(ValueError, match="nothing to divide"):
        metric.compute(predictions=[1.0], references=[0.0])


def test_the_standard_error_of_cer_is_what_other_choices_of_texts_change():
    draw = np.random.default_rng(0)
    said = ["a" * length for length in draw.integers(5, 60, 40)]
    heard = ["b" * draw.binomial(len(text), draw.uniform(0, 0.4)) + text for text in said]
    found = loaded("cer").compute(predictions=heard, references=said)
    edits = np.array([len(h) - len(s) for h, s in zip(heard, said, strict=True)])
    chosen = draw.integers(0, 40, (4000, 40))
    rates = edits[chosen].sum(1) / np.array([len(text) for text in said])[chosen].sum(1)
    assert found["standard_error"] == pytest.approx(rates.std(), rel=0.1)
