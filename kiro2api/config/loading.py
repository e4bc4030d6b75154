"""From the environment and a ``.env`` file to the settings, or every fault in one error.

The environment wins over the file. A value that is empty or blank counts as unset. No fault repeats a value.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource

from kiro2api.config.faults import ConfigurationError, Fault
from kiro2api.config.secret_texts import FILE_SUFFIX, SECRET_VARIABLES, SecretFileError, read_secret_file
from kiro2api.config.settings import OLD_NAMES, Settings
from kiro2api.config.values import Allowed

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CREDENTIAL_VARIABLES = ("AWS_REFRESHTOKEN", "KIRO_AUTH_TOKEN", "KIRO_TOKEN_FILE", "KIRO_CLI_STORE", "KIRO_API_KEY")
"""One of them is enough to serve."""

_NO_CREDENTIAL = Fault(
    "AWS_REFRESHTOKEN",
    f"there is no credential: neither it nor one of {', '.join(CREDENTIAL_VARIABLES[1:])} is set",
    "Set KIRO_AUTH_TOKEN to auto for the logins that Kiro's programs keep on this machine, or this to a refresh token",
)
_NAMES = tuple(name.upper() for name, field in Settings.model_fields.items() if field.description)
_FILE_NAMES = tuple(f"{name}{FILE_SUFFIX}" for name in SECRET_VARIABLES)


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    dotenv: Path | None = Path(".env"),
    require_credentials: bool,
) -> Settings:
    """The settings of this process.

    Args:
        environ: Variables, by default the process's; they win over the file's.
        dotenv: File of further variables, which may be missing; ``None`` reads none.
        require_credentials: Whether an upstream credential has to be there.

    Raises:
        ConfigurationError: With all faults of all variables.
    """
    try:
        written = _read_dotenv(dotenv)
    except (OSError, UnicodeDecodeError):
        fault = Fault(str(dotenv), "the file cannot be read", "Make it a readable UTF-8 text file")
        raise ConfigurationError((fault,)) from None
    variables = _collect(written) | _collect(os.environ if environ is None else environ)
    faults = [] if not require_credentials or _has_credential(variables) else [_NO_CREDENTIAL]
    files, texts, file_faults = _read_files(variables)
    known = {name: variables[name] for name in _NAMES if name in variables} | texts
    try:
        settings = Settings(
            **known,  # type: ignore[arg-type]  # the values are text, which validation turns into types
            secret_files=files,
            old_names=tuple(name for name in OLD_NAMES if name in variables),
        )
    except ValidationError as exc:
        # A variable whose file cannot be used is not also one that is missing.
        in_files = {fault.name.removesuffix(FILE_SUFFIX) for fault in file_faults}
        found = [fault for fault in _parse_faults(exc) if fault.name not in in_files]
        raise _build_error([*faults, *file_faults, *found]) from None
    if faults or file_faults:
        raise _build_error([*faults, *file_faults])
    return settings


def _read_dotenv(path: Path | None) -> Mapping[str, str | None]:
    if path is None:
        return {}
    return DotEnvSettingsSource(Settings, env_file=path, case_sensitive=True).env_vars


def _collect(variables: Mapping[str, str | None]) -> dict[str, str]:
    found = {name: (variables.get(name) or "").strip() for name in (*_NAMES, *_FILE_NAMES, *OLD_NAMES)}
    return {name: value for name, value in found.items() if value}


def _has_credential(variables: Mapping[str, str]) -> bool:
    return any(
        variables.get(name, "").strip(" ,") or (name in SECRET_VARIABLES and f"{name}{FILE_SUFFIX}" in variables)
        for name in CREDENTIAL_VARIABLES
    )


def _read_files(variables: Mapping[str, str]) -> tuple[dict[str, Path], dict[str, str], list[Fault]]:
    """The path and the text of each variable that a file holds, and what is wrong with the others."""
    files: dict[str, Path] = {}
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    for name, file_name in zip(SECRET_VARIABLES, _FILE_NAMES, strict=True):
        if file_name in variables and name in variables:
            faults.append(Fault(file_name, f"{name} is set as well", "Take one of the two away"))
        elif file_name in variables:
            path = Path(variables[file_name])
            try:
                texts[name] = read_secret_file(path)
            except SecretFileError as exc:
                faults.append(Fault(file_name, exc.message, f"Set it to a file with the value of {name}"))
            files[name] = path
    return files, texts, faults


def _build_error(faults: list[Fault]) -> ConfigurationError:
    def place(fault: Fault) -> int:
        name = fault.name
        return _NAMES.index(name if name in _NAMES else name.removesuffix(FILE_SUFFIX))

    return ConfigurationError(tuple(sorted(faults, key=place)))


def _parse_faults(error: ValidationError) -> list[Fault]:
    """A fault for each variable; one whose default hangs on another faulty variable has none of its own."""
    faults: dict[str, Fault] = {}
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] != "default_factory_not_called":
            name = str(detail["loc"][0]).upper()
            faults.setdefault(name, Fault(name, _describe(detail), f"Set it to {_allowed(name)}"))
    return list(faults.values())


def _describe(detail: ErrorDetails) -> str:
    own = detail.get("ctx", {}).get("error")
    return str(own) if own is not None else detail["msg"].replace("Input should", "it should")


def _allowed(name: str) -> str:
    annotations = Settings.model_fields[name.lower()].metadata
    return next(item.values for item in annotations if isinstance(item, Allowed))


def list_proxies(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variable and ``host:port`` of each outgoing proxy that the environment names, without its user and password.

    httpx obeys these variables; the start of the log says so, lest access tokens take a detour unnoticed.
    """
    variables = os.environ if environ is None else environ
    found = {}
    for name in PROXY_VARIABLES:
        # httpx reads both spellings, and the lower one wins.
        url = variables.get(name.lower()) or variables.get(name)
        if url:
            found[name] = url.rpartition("://")[2].rpartition("@")[2].partition("/")[0]
    return found
