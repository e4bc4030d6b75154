"""Where secrets come from, and where they must not be found: files to read, variables to empty, texts to mask.

A container's secrets are files: for each variable that holds a secret, ``NAME_FILE`` may hold the path of a file with
the value instead. What :func:`take_secrets` takes away is gone for this program and what it starts; the kernel goes on
showing the variables that a process was started with to its own user, and a container's engine shows them too. Files do
not have that weakness.
"""

from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kiro2api.config.keys import PUBLISHED_CLIENT_KEYS
from kiro2api.config.settings import OLD_NAMES, Settings
from kiro2api.errors import Kiro2ApiError

FILE_SUFFIX = "_FILE"
SECRET_VARIABLES = (
    "AWS_REFRESHTOKEN",
    "KIRO_AUTH_TOKEN",
    "KIRO_API_KEY",
    "KIRO_CLIENT_TOKEN",
    "KIRO_ADMIN_TOKEN",
    "STATE_URL",
    "STATE_KEY",
)
"""Each of them may come from a file."""
MAX_SECRET_BYTES = 1024 * 1024
"""Of a file; a hundred credentials as JSON have a quarter of it."""


class SecretFileError(Kiro2ApiError):
    """A file with a secret cannot be used; the message says why, and neither its path nor what is in it."""


def read_secret_file(path: Path) -> str:
    """The file's text, without white space at its ends.

    Raises:
        SecretFileError: It cannot be read, is empty, or is no text of ``MAX_SECRET_BYTES`` at most.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SECRET_BYTES + 1)
    except OSError as exc:
        raise SecretFileError(f"the file cannot be read ({exc.strerror})") from None
    except ValueError:
        raise SecretFileError("it is no path") from None
    if len(data) > MAX_SECRET_BYTES:
        raise SecretFileError("the file is larger than 1 MiB")
    try:
        # Some editors begin a file with a mark.
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise SecretFileError("the file is no UTF-8 text") from None
    if not text:
        raise SecretFileError("the file is empty")
    return text


def take_secrets(environ: MutableMapping[str, str]) -> dict[str, str]:
    """Takes the variables that hold secrets out of ``environ``, the original's older ones too, and returns them."""
    names = (*SECRET_VARIABLES, *OLD_NAMES)
    return {name: environ.pop(name) for name in names if name in environ}


def list_secrets(settings: Settings) -> tuple[str, ...]:
    """What must not be found in any log line; of the credentials, those that are lists of secrets and nothing else."""
    keys = (settings.kiro_client_token, settings.kiro_admin_token, settings.state_key)
    lists = (settings.aws_refreshtoken, settings.kiro_api_key)
    found = [key.get_secret_value() for key in keys if key is not None]
    found += [item.strip() for secret in lists if secret is not None for item in secret.get_secret_value().split(",")]
    if settings.state_url is not None:
        password = urlsplit(settings.state_url.get_secret_value()).password or ""
        found += [password, unquote(password)]
    return tuple(dict.fromkeys(text for text in found if text and text not in PUBLISHED_CLIENT_KEYS))
