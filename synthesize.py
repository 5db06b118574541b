"""Make a trained voice speak:  python synthesize.py runs/my_run --text "Hello." --out hello.wav"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from data_pipeline.errors import UserError, tell
from data_pipeline.sentences import Sentence, split_sentences

STDOUT = "-"
MOST_CHARS = 10_000_000  # a dozen long novels


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="synthesize.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("model", help="a run folder, a checkpoint's or model's folder, or a Hub id")
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", help="what to say")
    text.add_argument(
        "--text-file",
        help="a UTF-8 file of what to say, paragraphs between empty lines; - is standard input (the default)",
    )
    parser.add_argument(
        "--out",
        default="speech.wav",
        help="the wav to write; - is standard output, as raw 16-bit mono samples (default: %(default)s)",
    )
    parser.add_argument("--stream", action="store_true", help="write as it is spoken: hear the first word at once")
    parser.add_argument("--language", default="en", help="language of the text, such as en (default: %(default)s)")
    parser.add_argument("--reference", action="append", help="an audio clip whose voice to clone; again for more of it")
    parser.add_argument("--reference-text", help="what the clip says: speech that goes on from it is more like it")
    parser.add_argument("--reference-language", help="language of --reference-text (default: that of the text)")
    parser.add_argument("--voice", help="a speaker of the training data, instead of a clip")
    parser.add_argument(
        "--vocoder",
        default="auto",
        help="hifigan, griffin_lim, a folder or Hub id of a transformers vocoder, or auto: hifigan where it fits the "
        "model's mels, else griffin_lim (default: %(default)s)",
    )
    parser.add_argument("--picture", help="also write mel and alignment of the first sentence as a PNG")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is about twice as fast (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0; 1 where who was listening to standard output left; 2 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    try:
        return run(arguments)
    except UserError as error:
        tell(error)
        return 2
    except BrokenPipeError:
        # What python would write when it ends has nobody to read it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def run(arguments) -> int:
    check(arguments)
    sentences = split_sentences(read_text(arguments), arguments.language)

    from transformers.utils import logging

    logging.disable_progress_bar()
    from modeling.pretrained import check_device, load
    from modeling.prompt import spoken_prompt
    from modeling.vocoder import load_vocoder
    from modeling.voices import voice_of

    check_device(arguments.device)
    model, processor = load(arguments.model, arguments.device)
    vocoder = load_vocoder(arguments.vocoder, processor.feature_extractor.audio_config, arguments.device)
    clips, language = arguments.reference or [], arguments.language
    voice = voice_of(model, processor, clips, arguments.voice, language)
    its_language = arguments.reference_language or language
    prompt = spoken_prompt(model, processor, clips, arguments.reference_text, its_language)
    settings = {"seed": arguments.seed, "speed": arguments.speed, "prompt": prompt}
    say = stream if arguments.stream else speak_whole
    waves = say(arguments, model, processor, vocoder, sentences, voice, settings)
    clock = Clock()
    with Output(arguments.out, vocoder.sample_rate_hz) as output:
        for wave, model_s in waves:
            output.write(wave.cpu().numpy())
            clock.heard(len(wave) / vocoder.sample_rate_hz, model_s)
    # Standard output may hold the samples.
    print(f"{arguments.out}: {clock.told(vocoder.name)}", file=sys.stderr if arguments.out == STDOUT else sys.stdout)
    return 0


def check(arguments) -> None:
    """Raises UserError for what can be told before anything is loaded."""
    if arguments.reference and arguments.voice:
        raise UserError("Both --reference and --voice were given; expected one of them.")
    if arguments.reference_text is not None and len(arguments.reference or []) != 1:
        raise UserError(
            f"--reference-text says what one clip says, and there are {len(arguments.reference or [])}; give one "
            "--reference with it."
        )
    if not 0.25 <= arguments.speed <= 4:
        raise UserError(f"--speed is {arguments.speed:g}; expected 0.25 to 4.")
    if arguments.seed < 0:
        raise UserError(f"--seed is {arguments.seed}; expected 0 or more.")
    if arguments.stream and arguments.picture:
        raise UserError("Both --stream and --picture were given; a picture needs the speech as a whole.")
    out = Path(arguments.out)
    if arguments.out != STDOUT and not out.absolute().parent.is_dir():
        raise UserError(f"--out is {out}, whose folder does not exist; make it first, or give another place.")
    endings = soundfile.available_formats().keys() - {"RAW"}  # which has no header to tell what it holds
    if arguments.out != STDOUT and out.suffix[1:].upper() not in endings:
        raise UserError(f"--out is {out}; expected a file that ends in .wav (or .flac, .ogg, .mp3), or -.")


def speak_whole(arguments, model, processor, vocoder, sentences: list[Sentence], voice, settings) -> Iterator[tuple]:
    """Yield (wave [N] of a sentence with its pause, seconds the model took for it), batch by batch."""
    from evaluation.speaking import speak_sentences, wave_with_pause, write_picture

    started, picture = time.perf_counter(), arguments.picture
    for sentence, spoken in speak_sentences(model, processor, sentences, arguments.language, voice, **settings):
        model_s = time.perf_counter() - started
        if picture:
            try:
                write_picture(picture, spoken, vocoder.audio_config.frames_per_s)
            except (OSError, ValueError) as error:  # ValueError: matplotlib's for an ending that it does not know
                raise UserError(
                    f"--picture {picture} cannot be written ({error}); expected a file, such as mel.png."
                ) from error
            picture = None
        yield wave_with_pause(sentence, spoken, vocoder, arguments.speed), model_s
        started = time.perf_counter()


def stream(arguments, model, processor, vocoder, sentences: list[Sentence], voice, settings) -> Iterator[tuple]:
    """Yield (wave [N] of a part of a sentence, None: the model's share is not known)."""
    from evaluation.speaking import stream_sentences

    for wave in stream_sentences(model, processor, sentences, arguments.language, voice, vocoder, **settings):
        yield wave, None


class Clock:
    """Seconds of speech, and of the work for it; starts when it is made."""

    def __init__(self):
        self.started, self.first_s = time.perf_counter(), None
        self.speech_s = self.model_s = 0.0

    def heard(self, speech_s: float, model_s: float | None) -> None:
        """A wave was written."""
        if self.first_s is None:
            self.first_s = time.perf_counter() - self.started
        self.speech_s += speech_s
        self.model_s = None if model_s is None else self.model_s + model_s

    def told(self, vocoder: str) -> str:
        total_s = time.perf_counter() - self.started
        if self.model_s is None:
            more = f"first chunk after {1000 * self.first_s:.0f} ms"
        else:
            rest_s = total_s - self.model_s
            more = f"model {self.model_s / self.speech_s:.3f}, {vocoder} {rest_s / self.speech_s:.3f}"
        factor = total_s / self.speech_s
        return f"{self.speech_s:.2f} s of speech in {total_s:.2f} s; real-time factor {factor:.3f} ({more})"


class Output:
    """Where waves [N] go as they come: a file, or standard output as raw 16-bit little-endian mono samples."""

    def __init__(self, path: str, sample_rate_hz: int):
        self.path, self.file = path, None
        if path != STDOUT:
            with self._told():
                self.file = soundfile.SoundFile(path, "w", sample_rate_hz, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file is not None:
            self.file.close()

    def write(self, wave: np.ndarray) -> None:
        if self.file is None:
            sys.stdout.buffer.write((wave * 32767).round().astype("<i2").tobytes())
            sys.stdout.buffer.flush()
        else:
            with self._told():
                self.file.write(wave)
                self.file.flush()  # so that what is there can be heard, also where the rest never comes

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A folder, a format that cannot hold such samples, no permission, a full disk: UserError."""
        try:
            yield
        except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
            raise UserError(
                f"--out {self.path} cannot be written ({str(error).strip(' .')}); give another place, as speech.wav."
            ) from error


def read_text(arguments) -> str:
    """The text of --text, --text-file or standard input, as it is. Raises UserError where there is none."""
    if arguments.text is not None:
        text = arguments.text
    else:
        where = arguments.text_file or STDOUT
        name = "standard input" if where == STDOUT else f"--text-file {where}"
        try:
            if where == STDOUT:
                text = sys.stdin.read(MOST_CHARS + 1)
            else:
                with open(where, encoding="utf-8") as file:
                    text = file.read(MOST_CHARS + 1)
        except FileNotFoundError as error:
            raise UserError(f"{name} does not exist.") from error
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name} is not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x}); write it anew: "
                "iconv -f LATIN1 -t UTF-8 OLD > NEW, or the encoding that it has."
            ) from error
        except (OSError, ValueError) as error:  # a folder, no permission; NUL in the name
            raise UserError(f"{name} cannot be read ({error}); expected a text file in UTF-8.") from error
        if len(text) > MOST_CHARS:
            raise UserError(f"{name} has more than {MOST_CHARS:,} characters; give it in parts.")
    if not any(character.isalnum() for character in text):
        raise UserError(
            f"The text {text[:100]!r} holds nothing to speak; expected words (--text, --text-file, or stdin)."
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
