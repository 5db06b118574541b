"""Make a trained voice speak:  python synthesize.py runs/my_run --text "Hello." --out hello.wav"""

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Iterator

from data_pipeline.errors import UserError, tell, warn
from data_pipeline.given_text import argument_text, file_text, standard_input_text
from data_pipeline.sentences import Sentence, split_sentences
from inference.wave_output import ENDINGS, STDOUT, Output, check_output

DEVICES = ("auto", "cuda", "mps", "cpu")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="synthesize.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("model", help="a run folder, a checkpoint's or model's folder, or a Hub id")
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
        default="auto",
        help="hifigan, griffin_lim, a folder or Hub id of a transformers vocoder, or auto: hifigan where it fits the "
        "model's mels, else griffin_lim (default: %(default)s)",
    )
    parser.add_argument("--picture", help="also write mel and alignment of the first sentence as a PNG")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--device", default="auto", choices=DEVICES, help="auto: a GPU where there is one (default: %(default)s)"
    )
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
    check(arguments)
    text = read_text(arguments)

    from transformers.utils import logging

    logging.disable_progress_bar()
    from inference.known_languages import doubts, language_to_speak
    from inference.pretrained import device_to_use, load
    from inference.prompt import spoken_prompt
    from inference.vocoders.registry import load_vocoder
    from inference.voices import voice_of

    device = device_to_use(arguments.device)
    model, processor = load(arguments.model, device)
    language = language_to_speak(arguments.language, model.config.voices, processor.tokenizer.vocabulary)
    for doubt in doubts(text, language, model.config.voices):
        warn(doubt)
    sentences = split_sentences(text, language)
    vocoder = load_vocoder(arguments.vocoder, processor.feature_extractor.audio_config, device)
    clips = arguments.reference or []
    voice = voice_of(model, processor, clips, arguments.voice, language)
    its_language = arguments.reference_language or language
    prompt = spoken_prompt(model, processor, clips, arguments.reference_text, its_language)
    settings = {"seed": arguments.seed, "speed": arguments.speed, "prompt": prompt}
    say = stream if arguments.stream else speak_whole
    warm_up(model, processor, vocoder, sentences[0], language, voice)
    waves = say(arguments, model, processor, vocoder, sentences, language, voice, settings)
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
    if arguments.out != STDOUT:
        check_output(arguments.out, "--out", ENDINGS)
    if arguments.picture:
        check_output(arguments.picture, "--picture")


def warm_up(model, processor, vocoder, sentence: Sentence, language: str, voice) -> None:
    """Say a word that nobody hears: what is loaded and compiled at the first is not to count as time of speaking."""
    from inference.synthesizer import speak

    word = re.search(r"[^\W_]{1,8}", sentence.text)[0]
    speak(model, processor, [word], [language], [voice], vocoder)


def speak_whole(
    arguments, model, processor, vocoder, sentences: list[Sentence], language: str, voice, settings
) -> Iterator[tuple]:
    """Yield (wave [N] of a sentence with its pause, seconds the model took for it), batch by batch."""
    from inference.plots import write_picture
    from inference.synthesizer import speak_sentences, wave_with_pause

    started, picture = time.perf_counter(), arguments.picture
    for sentence, spoken in speak_sentences(model, processor, sentences, language, voice, **settings):
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


def stream(
    arguments, model, processor, vocoder, sentences: list[Sentence], language: str, voice, settings
) -> Iterator[tuple]:
    """Yield (wave [N] of a part of a sentence, None: the model's share is not known)."""
    from inference.synthesizer import stream_sentences

    for wave in stream_sentences(model, processor, sentences, language, voice, vocoder, **settings):
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


def read_text(arguments) -> str:
    """The text of --text, --text-file or standard input, as it is. Raises UserError where there is none."""
    if arguments.text is not None:
        text = "\n\n".join(argument_text(text, "--text") for text in arguments.text)
    elif arguments.text_file in (None, STDOUT):
        text = standard_input_text(sys.stdin)
    else:
        text = file_text(arguments.text_file, "--text-file")
    if not any(character.isalnum() for character in text):
        raise UserError(
            f"The text {text[:100]!r} holds nothing to speak; expected words (--text, --text-file, or stdin)."
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
