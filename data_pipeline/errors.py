"""The error for mistakes that a user can put right, and what no message may give away."""

import os
import re
import sys

SECRET_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
LONGEST_LINE = 2000  # characters of a message: a cell of a table can hold megabytes
REMEDY = 600  # of them, at the end of a line that is cut
MOST_LINES, LAST_LINES = 100, 30  # of a message: a name can hold thousands; and those at the end of one that is cut
# What a terminal would obey, what turns the text around it, and halves of characters, which no file takes.
ILLEGIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SHORTEST_SECRET = 8  # a shorter value of such a variable is no token, and would be found in innocent words
# user:password@, or a token alone before the @ (a path made of a URL has one slash); and what signs a URL of S3,
# Google, Azure and others.
LOGIN = re.compile(r"(:/{1,2})(?:([^/\s:@\"']*):)?[^/\s\"']+@")
PARAMETER = re.compile(
    r"([?&;](?:[\w-]*(?:token|key|signature|secret|password|credential)|sig|auth)=)[^&;\s#\"']+", re.IGNORECASE
)
HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")  # of huggingface.co, wherever it came from: a login lies in a file


class UserError(ValueError):
    """Says what was found and where, what was expected, and what to do; front ends print it and exit with 2.

    Names and values of strangers are in it: whatever they hold, it can be read, and goes to any screen, file or page.
    """

    def __init__(self, message: str):
        super().__init__(legible(str(message)))


def legible(text: str) -> str:
    """Without characters that are ILLEGIBLE, and of what is too long, a line or all, the beginning and the end."""
    escaped = ILLEGIBLE.sub(lambda found: ascii(found[0])[1:-1], text)
    lines = escaped.split("\n")
    if len(lines) > MOST_LINES:
        first = MOST_LINES - LAST_LINES - 1
        lines = [*lines[:first], f"... ({len(lines)} lines) ...", *lines[-LAST_LINES:]]
    return "\n".join(map(_shortened, lines))


def _shortened(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    left_out = f"... ({len(line)} characters) ..."
    return line[: LONGEST_LINE - REMEDY - len(left_out)] + left_out + line[-REMEDY:]


def shown(value, most: int = 200) -> str:
    """A value out of somebody's data for a message: of a long one the beginning, and how long it is."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def tell(error: Exception) -> None:
    """One message to standard error, its first word red where a person reads along (no-color.org)."""
    is_red = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    label = "\033[31merror:\033[0m" if is_red else "error:"
    print(f"{label} {legible(redact(str(error)))}", file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """A doubt, to standard error; what was asked for is done all the same."""
    print(f"warning: {legible(redact(message))}", file=sys.stderr, flush=True)


def redact(text: str) -> str:
    """The text with *** for passwords and tokens: of URLs, the Hub and SECRET_VARIABLES. For whatever leaves a run."""
    for secret in filter(None, map(os.environ.get, SECRET_VARIABLES)):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = HUB_TOKEN.sub("hf_***", text)
    text = LOGIN.sub(lambda found: f"{found[1]}{found[2]}:***@" if found[2] else f"{found[1]}***@", text)
    return PARAMETER.sub(r"\1***", text)


def redacted(value):
    """A value as JSON holds it, with every text in it redacted."""
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: redacted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [redacted(one) for one in value]
    return redact(value) if isinstance(value, str) else value
