"""The Hub before a run starts, and what its errors mean. The token is huggingface_hub's own affair: it is asked whether
there is one, and never held, written or said."""

import logging

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from data_pipeline.errors import UserError, redact
from training.config.fields import HubConfig

# What a request can end in: a status (HfHubHTTPError), no answer or half of one (HTTPError, OSError), an answer that is
# no JSON or says no (ValueError) or lacks what it should have (KeyError), and what huggingface_hub makes of one when a
# large file is uploaded (RuntimeError).
ERRORS = (HTTPError, OSError, ValueError, KeyError, RuntimeError)
# Of a client's mistakes these pass: a timeout, another commit at the same moment, too early, too many requests.
PASSING = (408, 409, 425, 429)
LOG_IN = "Log in with hf auth login, or set HF_TOKEN to a token from huggingface.co/settings/tokens"


def quiet() -> None:
    """No bars, and no line for each try: its warnings hold the addresses of uploads, which are signed."""
    disable_progress_bars()
    logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)


def check_id(repo_id: str, key: str) -> None:
    """Raises UserError where it is no owner/name."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UserError(f"{key} is {repo_id!r}, which is no id of a repository: {error}") from error
    if repo_id.count("/") != 1:
        raise UserError(f"{key} is {repo_id!r}; expected owner/name, such as your user name and the voice's.")


def check_online(key: str) -> None:
    """Raises UserError where huggingface_hub was told not to use the network."""
    if constants.HF_HUB_OFFLINE:
        raise UserError(f"{key} needs the Hub, and HF_HUB_OFFLINE is set; unset it, or leave {key} out.")


def open_repository(hub: HubConfig) -> str:
    """Log in and make the repository that a run is pushed to, where it is not there yet; what to tell the user.

    A Hub that cannot be reached now is told, and no error: what is pushed later is tried again. Raises UserError where
    there is no token, or where the Hub refuses it or the id.
    """
    repo_id, key = hub.push_to_hub, "--push-to-hub"
    check_id(repo_id, key)
    check_online(key)
    if get_token() is None:
        raise UserError(f"{key} {repo_id} needs a login, and there is no token. {LOG_IN}.")
    api = HfApi()
    try:
        who = api.whoami()
        if who.get("auth", {}).get("accessToken", {}).get("role") == "read":
            raise UserError(f"The token of {who['name']} can only read; {key} needs one that can write. {LOG_IN}.")
        api.create_repo(repo_id, private=not hub.public, exist_ok=True)
        is_private = api.model_info(repo_id).private
    except UserError:
        raise
    except ERRORS as error:
        if is_lasting(error):
            raise UserError(
                f"The Hub refuses {key} {repo_id}: {reason(error)}. {LOG_IN}, and give an id whose owner is you or an "
                "organization of yours."
            ) from error
        return f"The Hub cannot be used now ({reason(error)}). Training starts, and pushing is tried again and again."
    seen_by = "private" if is_private else "public: everybody can read it"
    return f"The best model so far is pushed to {api.endpoint}/{repo_id} ({seen_by})."


def answered(error: BaseException) -> HfHubHTTPError | None:
    """The answer of the Hub that is behind an error; None where there was none."""
    while error is not None:
        if isinstance(error, HfHubHTTPError) and getattr(error, "response", None) is not None:
            return error
        error = error.__cause__
    return None


def status(error: BaseException) -> int | None:
    """The HTTP status behind an error; None where there was no answer."""
    found = answered(error)
    return None if found is None else found.response.status_code


def is_lasting(error: BaseException) -> bool:
    """Whether the same request would fail again: the client's mistake, as the Hub sees it."""
    code = status(error)
    return code is not None and 400 <= code < 500 and code not in PASSING


def retry_after_s(error: BaseException) -> float:
    """For how long the Hub asks to be left alone; 0 where it does not."""
    found = answered(error)
    told = "" if found is None else found.response.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 0.0


def reason(error: BaseException) -> str:
    """One line, without addresses: those of uploads are signed."""
    code = status(error)
    while error.__cause__ is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    told = getattr(error, "server_message", None)
    if code is None:
        return redact(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer'}")
    return redact(f"status {code}" + (f", {told.splitlines()[0]}" if told else ""))
