"""The page to listen, of gradio components: what is asked for on the left, what is heard on the right."""

import html
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI

from data_pipeline import plugins
from data_pipeline.errors import UserError, redact
from data_pipeline.languages import LANGUAGES
from inference.options import AUTO
from inference.vocoders.registry import VOCODERS
from inference.web.guard import MOST_UPLOAD_BYTES, Guard
from inference.web.listening import Heard, Voices, Wish, checked_options

TEXT = "Thank you for calling. Please hold the line."
NONE = ""  # the value of a choice that chooses nothing; gradio takes None for no choice at all
NOTHING = ("nothing", NONE)
VOCODER_NAMES = {AUTO: "Automatic", "hifigan": "HiFi-GAN", "griffin_lim": "Griffin-Lim (needs no training)"}
SPEEDS = (0.5, 2.0)
CLIP_LABEL = "Or the voice of a clip"
CLIP_TEXT_LABEL, CLIP_TEXT_INFO = "What the clip says", "May stay empty. With it the speech is more like the clip."
WELCOME = "Type a text and press Speak. Nothing that you type or record leaves this computer."
HINT = "What is said appears here, with a picture of how."
PICTURE_INCHES = {"alone": 9.0, "compared": 4.6}  # a hundred pixels each
PROGRESS = gr.Progress()

# Fonts that every computer has, so that none is fetched.
THEME = gr.themes.Default(
    primary_hue="blue",
    neutral_hue="slate",
    font=("system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
).set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_text_color="white",
)
WAVEFORM = gr.WaveformOptions(waveform_progress_color="#1d4ed8")  # the theme's blue
CSS = """
.gradio-container {width: 100%; max-width: 1500px !important; margin: 0 auto}
#heading {gap: 0}
#heading h1 {font-size: 1.4rem; margin: 0.5rem 0 0}
#heading p, .note p {color: var(--body-text-color-subdued); margin: 0}
#clip [data-testid=upload-icon] {display: none}
#clip [data-testid=upload-text] {flex-direction: row; gap: 0.4em; min-height: 6rem; padding-top: 1.5rem}
#clip [data-testid=upload-text] {font-size: 0.9rem}
/* On a phone what was said comes before what can be asked for, so that it is seen without scrolling. */
@media (max-width: 760px) {#heard {order: -1}}
/* Persian from the right, English from the left. */
textarea {unicode-bidi: plaintext; text-align: start}
"""


class Result:
    """Where one checkpoint is heard and seen."""

    def __init__(self, label: str, first: bool):
        with gr.Column(visible=first, min_width=320) as self.column:
            self.wave = gr.Audio(
                label=label, interactive=False, buttons=["download"], autoplay=first, waveform_options=WAVEFORM
            )
            self.note = gr.Markdown(HINT, elem_classes="note")
            self.picture = gr.Image(
                show_label=False,
                alt_text="Mel and alignment",
                interactive=False,
                buttons=["fullscreen", "download"],
                visible=False,  # until there is one
            )

    @property
    def outputs(self) -> list:
        return [self.wave, self.note, self.picture]


class Page:
    """`blocks` is what gradio serves. What is heard goes as files into the folder `out`, from where gradio copies."""

    def __init__(self, voices: Voices, out: Path):
        self.voices, self.out = voices, out
        name = Path(voices.where).resolve().name
        with gr.Blocks(title=f"Goya: {name}", analytics_enabled=False, fill_width=True) as self.blocks:
            gr.Markdown(f"# Goya: {html.escape(name)}\n{WELCOME}", elem_id="heading")
            with gr.Row():
                with gr.Column(scale=3, min_width=340):
                    self._lay_out_wish()
                with gr.Column(scale=7, min_width=340, elem_id="heard"):
                    with gr.Row():
                        self.first, self.second = Result("Speech", True), Result("Speech to compare", False)
            self._connect()

    def _lay_out_wish(self) -> None:
        names = self.voices.names()
        text = TEXT if "en" in self.voices.known(names[0])[0] else ""
        self.text = gr.Textbox(text, label="Text", lines=4, max_lines=12)
        self.button = gr.Button("Speak", variant="primary", size="lg")
        with gr.Row():
            self.language = gr.Dropdown(label="Language", min_width=120)
            self.speaker = gr.Dropdown(label="Voice", min_width=120)
        self.clip = gr.Audio(
            label=CLIP_LABEL, type="filepath", sources=["upload", "microphone"], buttons=["download"], elem_id="clip"
        )
        self.clip_text = gr.Textbox(label=CLIP_TEXT_LABEL, info=CLIP_TEXT_INFO, visible=False)
        self.look = gr.Button("Refresh", size="sm")
        with gr.Row():
            self.name = gr.Dropdown(choices(names), label="Checkpoint", min_width=120)
            self.other = gr.Dropdown(
                [NOTHING, *choices(names)], value=NONE, label="Compare", min_width=120, buttons=[self.look]
            )
        with gr.Row():
            vocoders = [
                (VOCODER_NAMES.get(name, name), name) for name in (AUTO, *plugins.names(plugins.VOCODERS, VOCODERS))
            ]
            self.vocoder = gr.Dropdown(vocoders, value=AUTO, label="Vocoder", min_width=120)
            self.seed = gr.Number(0, label="Seed", precision=0, min_width=120)
        self.speed = gr.Slider(*SPEEDS, value=1.0, step=0.05, label="Speed")

    def _connect(self) -> None:
        quiet = {"api_visibility": "private"}
        names, known = [self.name, self.other], [self.language, self.speaker]
        wish = [self.text, *known, self.clip, self.clip_text, self.speed, self.seed, self.vocoder]
        heard = [*self.first.outputs, *self.second.outputs]
        triggers = [self.button.click, self.text.submit]
        progress_on = [self.first.wave, self.second.wave]
        gr.on(triggers, self.speak, [*names, *wish], heard, concurrency_limit=1, show_progress_on=progress_on, **quiet)
        self.other.change(lambda other: gr.Column(visible=other != NONE), self.other, self.second.column, **quiet)
        self.clip.change(self.clip_or_speaker, self.clip, [self.speaker, self.clip_text], **quiet)
        # At a reload too, which builds nothing anew.
        opened = self.blocks.load(self.refresh, names, names, **quiet)
        looked = self.look.click(self.look_again, names, names, **quiet)
        for trigger in (opened.then, looked.then, self.name.input):
            trigger(self.known, [self.name, *known], known, **quiet)

    def refresh(self, name: str, other: str) -> list:
        """What is there to choose from now; the choices of before where they still are."""
        with told_on_page():
            names = self.voices.names()
        return [offer(choices(names), name), offer([NOTHING, *choices(names)], other)]

    def look_again(self, name: str, other: str) -> list:
        found = self.refresh(name, other)
        gr.Info(html.escape(f"Found: {', '.join(map(shown, self.voices.names()))}."), duration=5)
        return found

    def known(self, name: str, language: str | None, speaker: str | None) -> list:
        """The languages and the speakers of a checkpoint; the choices of before where it knows them."""
        with told_on_page():
            languages, speakers = self.voices.known(name)
        # English comes first where it is one of many.
        codes = sorted(languages, key=lambda code: code != "en")
        labels = [(speaker_label(one, heard_in), one) for one, heard_in in speakers.items()]
        return [
            offer([(LANGUAGES[code].capitalize(), code) for code in codes], language),
            offer([("automatic", NONE), *labels], speaker),
        ]

    def clip_or_speaker(self, clip: str | None) -> list:
        """A speaker cannot be chosen while there is a clip, and it says why; what a clip says is asked where one is."""
        return [
            gr.Dropdown(interactive=clip is None, label="Voice" if clip is None else "Voice: the clip's"),
            gr.Textbox("", visible=clip is not None),
        ]

    def speak(
        self,
        name: str,
        other: str,
        text: str,
        language: str,
        speaker: str,
        clip: str | None,
        clip_text: str,
        speed: float,
        seed: int | None,
        vocoder: str,
        progress=PROGRESS,
    ) -> Iterator[list]:
        """Yield what both columns hold: once the first checkpoint has spoken, and again once the second has."""
        said = clip_text.strip() if clip else ""
        more = {"language": language, "reference_text": said or None, "speed": speed, "vocoder": vocoder}
        with told_on_page():
            wish = Wish(text, checked_options(seed, clip, speaker or None, **more))
        for doubt in self._doubts(name, wish):
            gr.Warning(html.escape(doubt), duration=20)
        inches = PICTURE_INCHES["alone" if other == NONE else "compared"]
        first = self._hear(name, wish, inches, progress)
        yield [*first, None, "", None]
        if other != NONE:
            yield [*[gr.skip()] * len(first), *self._hear(other, wish, inches, progress)]

    def _doubts(self, name: str, wish: Wish) -> list[str]:
        with told_on_page():
            return self.voices.doubts(name, wish)

    def _hear(self, name: str, wish: Wish, inches: float, progress: gr.Progress) -> list:
        progress(0, desc=f"{shown(name)}: loading")
        started = time.perf_counter()

        def sentences_said(number: int, of: int) -> None:
            progress((number, of), desc=f"{shown(name)}: speaking", unit="sentences")

        with told_on_page():
            heard = self.voices.say(name, wish, self.out, sentences_said, inches)
        took_s = time.perf_counter() - started
        picture = gr.Image(heard.picture, visible=True)
        return [gr.Audio(heard.wav, label=shown(name)), note(heard, wish, took_s), picture]


def choices(names: list[str]) -> list[tuple[str, str]]:
    """(what is shown, value) of checkpoints: step-00000500 as step 500."""
    return [(shown(name), name) for name in names]


def offer(options: list[tuple[str, str]], chosen: str | None):
    """New options for a dropdown; where `chosen` is none of them, the first is chosen.

    Else the value is left alone: the answer may come late, and would undo what was chosen meanwhile.
    """
    if chosen in [value for _, value in options]:
        return gr.Dropdown(options)
    return gr.Dropdown(options, value=options[0][1])


def shown(name: str) -> str:
    return re.sub(r"^step-0*(?=\d)", "step ", name)


def speaker_label(name: str, languages: list[str]) -> str:
    heard_in = ", ".join(LANGUAGES[code].capitalize() for code in languages)
    return f"{name} ({heard_in})" if heard_in else name


def note(heard: Heard, wish: Wish, took_s: float) -> str:
    """A line on what is heard."""
    voice = "The clip's voice. " if wish.options.clips else ""
    picture = f" Picture: sentence 1 of {heard.sentences}." if heard.sentences > 1 else ""
    return f"{voice}{heard.duration_s:.1f} s of speech in {took_s:.1f} s.{picture}"


@contextmanager
def told_on_page() -> Iterator[None]:
    """A user's mistake as a message on the page. Escaped: gradio takes it for HTML, and it can hold what was typed."""
    try:
        yield
    except UserError as error:
        told = html.escape(redact(str(error)))
        raise gr.Error(told, duration=30, print_exception=False) from error


def serve(page: Page, listener: socket.socket, uploads: Path) -> None:
    """Until a signal ends it. `uploads`: where gradio keeps what it is sent and what it serves (GRADIO_TEMP_DIR).

    `launch` would ask its own address, by way of a proxy where one is set, and give up on a slow computer.
    """
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page.blocks,
        path="/",
        theme=THEME,
        css=CSS,
        footer_links=[],
        run_history=False,
        pwa=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=MOST_UPLOAD_BYTES,
    )
    # An open page holds a connection that never ends by itself.
    config = uvicorn.Config(Guard(app, uploads), log_level="warning", timeout_graceful_shutdown=1)
    AnnouncedServer(config).run(sockets=[listener])


class AnnouncedServer(uvicorn.Server):
    """Says where it is once it has started: a Ctrl-C before that leaves gradio's threads waiting."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print("Listen at http://{}:{} (Ctrl-C ends it)".format(*sockets[0].getsockname()), flush=True)
