"""Hear a trained voice in the browser:  python listen.py runs/my_run"""

import argparse
import importlib.util
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from data_pipeline.errors import UserError, tell
from inference.options import add_model

MOST_PORT = 65_535


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="listen.py",
        description="A page to type a text, hear checkpoints of a run speak it, and compare two of them.",
        epilog="The page is served to this computer alone, and asks nothing of the network. From another one: "
        "ssh -L 7860:127.0.0.1:7860 THIS_COMPUTER, and open http://127.0.0.1:7860 there.",
    )
    add_model(parser)
    parser.add_argument("--port", type=int, default=7860, help="(default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 after Ctrl-C or SIGTERM, 2 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    try:
        run(arguments)
    except UserError as error:
        tell(error)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def run(arguments) -> None:
    if importlib.util.find_spec("gradio") is None:
        raise UserError('The page is made of gradio, which is not installed: run pip install -e ".[web]"')
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it too is to leave no clip or speech behind
    with listening(arguments.port) as listener, tempfile.TemporaryDirectory(prefix="goya-listen-") as folder:
        spoken, served = Path(folder, "spoken"), Path(folder, "served")
        spoken.mkdir()
        served.mkdir()
        # Before gradio is imported: it reports nothing, and keeps what it serves, the clips too, in this folder.
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GRADIO_TEMP_DIR": str(served),
        }
        from transformers.utils import logging

        logging.disable_progress_bar()
        from inference.pretrained import device_to_use
        from inference.web.listening import Voices

        voices = Voices(arguments.model, device_to_use(arguments.device))
        from inference.web.page import Page, serve

        serve(Page(voices, spoken), listener, served)


def listening(port: int) -> socket.socket:
    """A socket that no other computer can reach. Raises UserError where the port cannot be had."""
    if not 0 < port <= MOST_PORT:
        raise UserError(f"--port is {port}; expected 1 to {MOST_PORT}.")
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UserError(
            f"--port {port} cannot be had ({os.strerror(error.errno)}); give another one, such as {port + 1}."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
