"""Models and vocoders of strangers: read, and where that goes well, spoken with."""

import json
import random
import shutil
from pathlib import Path

from benchmarks.reliability.fuzzing.drawn import Ill, field_changed, file_changed, file_replaced, value, word
from inference.pretrained import load
from inference.synthesizer import Line, Synthesizer
from inference.vocoders.registry import load_vocoder
from inference.voices import known_voices, voice_for
from inference.web.listening import Voices
from training.config.arguments import parse

DESCRIPTIONS = ("config.json", "processor_config.json", "vocabulary.json", "tokenizer_config.json")
INDEX = "model.safetensors.index.json"


def model(draw: random.Random, work: Path, kit) -> None:
    theirs = shutil.copytree(kit.model, work / "theirs")
    for _ in range(draw.randint(1, 3)):
        draw.choice([_field, _field, _file, file_replaced, _index])(draw, draw.choice(sorted(theirs.iterdir())))
    if draw.random() < 0.2:
        parse(["--device", "cpu", "--init-from", str(theirs)], kit.hardware)
        return
    if draw.random() < 0.2:
        Voices(str(theirs)).known(theirs.name)
    loaded, processor = load(str(theirs))
    if draw.random() < 0.7:
        return
    voices = known_voices(loaded.config.voices)
    name = draw.choice([None, *voices])
    line = Line("a", "en", voice_for(loaded, name or None, "en"))
    [spoken] = Synthesizer(loaded, processor).each([line])
    if not spoken.speech.mel_TC.isfinite().all():
        raise Ill("no numbers", "a model that was read speaks what is no number")


def _field(draw: random.Random, path: Path) -> None:
    field_changed(draw, path.with_name(draw.choice(DESCRIPTIONS)))


def _file(draw: random.Random, path: Path) -> None:
    file_changed(draw, path)


def _index(draw: random.Random, path: Path) -> None:
    """Of weights, beside what is there."""
    names = {word(draw): draw.choice([word(draw), "../x.safetensors", "pytorch_model.bin", value(draw)]) for _ in "abc"}
    path.unlink() if path.is_file() and not path.is_symlink() else None
    index = path.with_name(INDEX)
    if index.exists() or index.is_symlink():
        return
    index.write_text(json.dumps({"weight_map": names}), encoding="utf-8", errors="surrogatepass")


def vocoder(draw: random.Random, work: Path, kit) -> None:
    theirs = shutil.copytree(kit.vocoder, work / "theirs")
    for _ in range(draw.randint(1, 2)):
        path = draw.choice(sorted(theirs.iterdir()))
        if draw.random() < 0.7:
            field_changed(draw, theirs / "config.json")
        else:
            draw.choice([file_changed, file_replaced])(draw, path)
    made = load_vocoder(str(theirs), kit.audio)
    wave = made(kit.mel)
    if len(wave) != len(kit.mel) * kit.audio.hop:
        raise Ill("another length", f"{len(kit.mel)} frames became {len(wave)} samples")
