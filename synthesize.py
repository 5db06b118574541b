"""Make a trained voice speak:  python synthesize.py runs/my_run --text "Hello." --out hello.wav"""

import argparse
import sys
import time
from pathlib import Path

from data_pipeline.errors import UserError, redact


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="synthesize.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("model", help="a run folder, a checkpoint's or model's folder, or a Hub id")
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", help="what to say")
    text.add_argument("--text-file", help="a UTF-8 file of what to say; - is standard input (the default)")
    parser.add_argument("--out", default="speech.wav", help="the wav to write (default: %(default)s)")
    parser.add_argument("--language", default="en", help="language of the text, such as en (default: %(default)s)")
    parser.add_argument("--reference", help="an audio clip whose voice to clone")
    parser.add_argument("--voice", help="a speaker of the training data, instead of a clip")
    parser.add_argument("--vocoder", default="griffin_lim", help="griffin_lim or hifigan (default: %(default)s)")
    parser.add_argument("--picture", help="also write mel and alignment as a PNG")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is about twice as fast (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0, or 2 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    try:
        return run(arguments)
    except UserError as error:
        print(f"error: {redact(str(error))}", file=sys.stderr)
        return 2


def run(arguments) -> int:
    if arguments.reference and arguments.voice:
        raise UserError("Both --reference and --voice were given; expected one of them.")
    if not 0.25 <= arguments.speed <= 4:
        raise UserError(f"--speed is {arguments.speed:g}; expected 0.25 to 4.")
    if not Path(arguments.out).absolute().parent.is_dir():
        raise UserError(f"--out is {arguments.out}, whose folder does not exist; make it first, or give another place.")
    text = read_text(arguments)

    import soundfile
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    from evaluation.pictures import mel_and_alignment_png
    from evaluation.speaking import speak, voice_for
    from modeling.synthesis import encode_voice
    from modeling.vocoder import load_vocoder

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device is cuda and torch finds no GPU; leave it out to speak on the CPU.")
    where = model_folder(arguments.model)
    model, processor = load(where, arguments.device)
    vocoder = load_vocoder(arguments.vocoder, processor.feature_extractor.audio_config, arguments.device)
    if arguments.reference:
        voice = encode_voice(model, processor.feature_extractor(arguments.reference)["reference_mel"][0])
    else:
        voice = voice_for(model, arguments.voice, arguments.language)

    started = time.perf_counter()
    [mel_only] = speak(
        model, processor, [text], [arguments.language], [voice], seed=arguments.seed, speed=arguments.speed
    )
    model_s = time.perf_counter() - started
    wave = vocoder(mel_only.speech.mel_TC)
    total_s = time.perf_counter() - started
    soundfile.write(arguments.out, wave.cpu().numpy(), vocoder.sample_rate_hz)
    if arguments.picture:
        mel_and_alignment_png(
            arguments.picture,
            mel_only.speech.mel_TC.cpu(),
            text=mel_only.tokens,
            frames_per_s=vocoder.audio_config.frames_per_s,
            durations_S=mel_only.speech.durations_S.cpu(),
            title=text,
        )
    seconds = len(wave) / vocoder.sample_rate_hz
    print(
        f"{arguments.out}: {seconds:.2f} s of speech in {total_s:.2f} s; real-time factor {total_s / seconds:.3f} "
        f"(model {model_s / seconds:.3f}, {vocoder.name} {(total_s - model_s) / seconds:.3f})"
    )
    return 0


def read_text(arguments) -> str:
    """The text of --text, --text-file or standard input. Raises UserError where there is none."""
    if arguments.text is not None:
        text = arguments.text
    elif arguments.text_file in (None, "-"):
        text = sys.stdin.read()
    elif Path(arguments.text_file).is_file():
        text = Path(arguments.text_file).read_text(encoding="utf-8")
    else:
        raise UserError(f"--text-file {arguments.text_file} does not exist.")
    if not any(character.isalnum() for character in text):
        raise UserError(f"The text {text!r} holds nothing to speak; expected words (--text, --text-file, or stdin).")
    return " ".join(text.split())


def load(where: str, device: str):
    """Model and processor of a folder or Hub id. Raises UserError where they cannot be had."""
    from modeling.model import GoyaForTextToSpeech
    from modeling.processor import GoyaProcessor

    if (Path(where) / "model").is_dir() and not (Path(where) / "model.safetensors").is_file():
        raise UserError(f"{where} holds its weights in shards. Make them whole: python -m training.export {where} OUT")
    try:
        # Never a pickle, which torch would find beside the safetensors, or in their place.
        model = GoyaForTextToSpeech.from_pretrained(where, use_safetensors=True)
        return model.to(device).eval(), GoyaProcessor.from_pretrained(where)
    except OSError as error:  # not on the Hub, no network, or files missing
        raise UserError(
            f"No model could be loaded from {where} ({str(error).splitlines()[0]}); expected a folder of "
            "this computer, or a Hub id that can be reached."
        ) from error


def model_folder(where: str) -> str:
    """A run folder's best model, else its newest checkpoint; a model's own folder or a Hub id as it is."""
    path = Path(where)
    if not path.exists():
        if where.count("/") == 1 and not where.startswith((".", "/")) and not where.startswith("runs/"):
            return where
        raise UserError(
            f"{where} does not exist; expected a run folder (as train_main.py printed it), a model folder, or "
            "a Hub id (owner/name)."
        )
    if (path / "config.json").is_file():
        return str(path)
    if (path / "best" / "config.json").is_file():
        return str(path / "best")
    checkpoints = sorted(path.glob("checkpoints/step-????????/config.json"))
    if not checkpoints:
        raise UserError(
            f"{where} holds no model: neither config.json, nor best/, nor checkpoints/. The first checkpoint "
            "may not be written yet."
        )
    return str(checkpoints[-1].parent)


if __name__ == "__main__":
    sys.exit(main())
