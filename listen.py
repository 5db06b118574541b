"""Hear a trained voice in the browser:  python listen.py runs/my_run"""

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
from pathlib import Path

from data_pipeline.errors import UserError, redact

MOST_PORT = 65_535


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="listen.py",
        description="A page to type a text, hear checkpoints of a run speak it, and compare two of them.",
        epilog="The page is served to this computer alone, and asks nothing of the network. From another one: "
        "ssh -L 7860:127.0.0.1:7860 THIS_COMPUTER, and open http://127.0.0.1:7860 there.",
    )
    parser.add_argument("model", help="a run folder, a checkpoint's or model's folder, or a Hub id")
    parser.add_argument("--port", type=int, help="(default: 7860, or the first free one after it)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 after Ctrl-C or SIGTERM, 2 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it too leaves no clip or speech behind
    try:
        run(arguments)
    except UserError as error:
        print(f"error: {redact(str(error))}", file=sys.stderr)
        return 2
    return 0


def run(arguments) -> None:
    if importlib.util.find_spec("gradio") is None:
        raise UserError('The page is made of gradio, which is not installed: run pip install -e ".[web]"')
    if arguments.port is not None and not 0 < arguments.port <= MOST_PORT:
        raise UserError(f"--port is {arguments.port}; expected 1 to {MOST_PORT}.")
    with tempfile.TemporaryDirectory(prefix="goya-listen-") as folder:
        spoken, served = Path(folder, "spoken"), Path(folder, "served")
        spoken.mkdir()
        keep_to_this_computer(served)

        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        from evaluation.listening import Voices
        from evaluation.listening_page import Page, serve

        if arguments.device == "cuda" and not torch.cuda.is_available():
            raise UserError("--device is cuda and torch finds no GPU; leave it out to speak on the CPU.")
        serve(Page(Voices(arguments.model, arguments.device), spoken), arguments.port)


def keep_to_this_computer(folder: Path) -> None:
    """Before gradio is imported: it reports nothing, and leaves clips and speech in `folder` alone."""
    proxied = [os.environ.get(name) for name in ("no_proxy", "NO_PROXY")]
    # It asks its own server whether it is up, which a proxy would be asked for otherwise.
    unproxied = ",".join(filter(None, [*proxied, "127.0.0.1"]))
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_TEMP_DIR": str(folder),
        "no_proxy": unproxied,
        "NO_PROXY": unproxied,
    }


if __name__ == "__main__":
    sys.exit(main())
