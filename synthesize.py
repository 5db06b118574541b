"""Make a trained voice speak:  python synthesize.py runs/my_run --text "Hello." --out hello.wav

Without a model the one that ships speaks.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

from data_pipeline.errors import UserError, tell, warn
from data_pipeline.text.given_text import argument_text, file_text, standard_input_text
from data_pipeline.text.sentences import split_sentences
from data_pipeline.text.tokens import is_heard
from inference.options import AUTO, SpeechOptions, add_model
from inference.wave_output import ENDINGS, STDOUT, Output, check_output

WARM_UP_TOKENS = 10  # the tag of the language, <bos>, and a word


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="synthesize.py", description=__doc__.split(":")[0] + ".")
    add_model(parser)
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", action="append", help="what to say; again for more of it, each a paragraph")
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
    parser.add_argument(
        "--language", help="language of the text, such as en (default: the model's; en where it has several or none)"
    )
    parser.add_argument("--reference", action="append", help="an audio clip whose voice to clone; again for more of it")
    parser.add_argument("--reference-text", help="what the clip says: speech that goes on from it is more like it")
    parser.add_argument("--reference-language", help="language of --reference-text (default: that of the text)")
    parser.add_argument("--voice", help="a speaker of the training data, instead of a clip")
    parser.add_argument(
        "--vocoder",
        default=AUTO,
        help="hifigan, griffin_lim, one that a package adds, a folder or Hub id of a transformers vocoder, or "
        "auto: hifigan where it fits the model's mels, else griffin_lim (default: %(default)s)",
    )
    parser.add_argument("--picture", help="also write mel and alignment of the first sentence as a PNG")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0; 1 where nobody reads standard output any more; 2 after a user's mistake; 130 after Ctrl-C."""
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
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 128 + signal.SIGINT


def run(arguments) -> int:
    options = checked_options(arguments)
    text = read_text(arguments)

    from transformers.utils import logging

    logging.disable_progress_bar()
    from inference.synthesizer import Synthesizer

    synthesizer = Synthesizer.from_pretrained(arguments.model, arguments.device)
    options = replace(options, language=synthesizer.language_to_speak(options.language))
    for doubt in synthesizer.doubts(text, options.language):
        warn(doubt)
    warm_up(synthesizer, text, options)
    vocoder = synthesizer.vocoder(options.vocoder)
    if arguments.stream:
        waves = ((wave, None) for wave in synthesizer.stream(text, options))  # the model's share is not known
    else:
        waves = whole_sentences(synthesizer.sentences(text, options), arguments.picture)
    clock = Clock()
    with Output(arguments.out, vocoder.sample_rate_hz) as output:
        for wave, model_s in waves:
            output.write(wave.cpu().numpy())
            clock.heard(len(wave) / vocoder.sample_rate_hz, model_s)
    # Standard output may hold the samples.
    print(f"{arguments.out}: {clock.told(vocoder.name)}", file=sys.stderr if arguments.out == STDOUT else sys.stdout)
    return 0


def checked_options(arguments) -> SpeechOptions:
    """How to speak. Raises UserError for what can be told before anything is loaded."""
    options = SpeechOptions(**{field.name: getattr(arguments, field.name) for field in fields(SpeechOptions)})
    if arguments.stream and arguments.picture:
        raise UserError("Both --stream and --picture were given; a picture needs the speech as a whole.")
    if arguments.out != STDOUT:
        check_output(arguments.out, "--out", ENDINGS)
    if arguments.picture:
        check_output(arguments.picture, "--picture")
    return options


def warm_up(synthesizer, text: str, options: SpeechOptions) -> None:
    """Say a beginning that nobody hears: what is loaded and compiled at the first is not to count as time of speaking.

    Of tokens, as a word of the text alone may be none that can be spoken.
    """
    import torch

    from inference.generation import evaluating, synthesize

    model, beginning = synthesizer.model, split_sentences(text, options.language)[0].text
    inputs = synthesizer.processor(text=beginning, language=options.language).to(model.device)
    ids_BS = inputs["input_ids"][:, :WARM_UP_TOKENS]
    with evaluating(model):
        voice_BV = torch.zeros((1, model.config.voice_size), device=model.device)
        [speech] = synthesize(model, ids_BS, torch.tensor([ids_BS.shape[1]], device=model.device), voice_BV)
    synthesizer.vocoder(options.vocoder)(speech.mel_TC)


def whole_sentences(sentences: Iterable, picture: str | None) -> Iterator[tuple]:
    """Yield (wave [N] of a sentence with its pause, seconds the model took for it); the first also as a picture."""
    from inference.plots import write_picture

    started = time.perf_counter()
    for sentence in sentences:
        model_s = time.perf_counter() - started
        if picture:
            try:
                write_picture(picture, sentence.spoken, sentence.vocoder.audio_config.frames_per_s)
            except (OSError, ValueError) as error:  # ValueError: matplotlib's for an ending that it does not know
                raise UserError(
                    f"--picture {picture} cannot be written ({error}); expected a file, such as mel.png."
                ) from error
            picture = None
        yield sentence.wave(), model_s
        started = time.perf_counter()


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


def read_text(arguments) -> str:
    """The text of --text, --text-file or standard input, as it is. Raises UserError where there is none."""
    if arguments.text is not None:
        text = "\n\n".join(argument_text(text, "--text") for text in arguments.text)
    elif arguments.text_file in (None, STDOUT):
        text = standard_input_text(sys.stdin)
    else:
        text = file_text(arguments.text_file, "--text-file")
    if not is_heard(text):
        raise UserError(
            f"The text {text[:100]!r} holds nothing to speak; expected words (--text, --text-file, or stdin)."
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
