"""The command line: ``kiro2api``, ``kiro2api demo``, ``--version``, ``--help``."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import trio
from pydantic import SecretStr

from kiro2api import __version__
from kiro2api.auth.credentials import Credential
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.config import EXIT_CONFIG, ConfigurationError, Fault, Settings, list_proxies, load_settings
from kiro2api.logs import Logs, configure_logging
from kiro2api.serve import run
from kiro2api.simulator.server import Simulator

EXIT_FAILURE = 1
DEMO_REFRESH_TOKEN = "demo-refresh-token"  # noqa: S105  the simulated Kiro takes any
DEMO_DELAY = 0.03
"""Seconds between the pieces of the simulated Kiro's answers: about the pace of a real one."""

_DESCRIPTION = "Anthropic Messages and OpenAI Chat Completions in front of AWS CodeWhisperer / Kiro."
_EPILOG = "Settings come from the environment and from .env; .env.example lists them all."


def run_command(arguments: Sequence[str]) -> int:
    """Does what ``arguments`` say; the exit code is 0, 1 for a failure, or 78 for settings that cannot be used."""
    parser = argparse.ArgumentParser(prog="kiro2api", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"kiro2api {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.add_parser("serve", help="serve the real Kiro (the default)")
    commands.add_parser("demo", help="serve a simulated Kiro on this machine: no account, no network")
    is_demo = parser.parse_args(arguments).command == "demo"
    try:
        settings = load_settings(require_credentials=not is_demo)
        credentials = _read_credentials(settings) if not is_demo else parse_refresh_tokens(DEMO_REFRESH_TOKEN)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CONFIG
    logs = configure_logging(
        level=settings.log_level,
        log_format=settings.log_format,
        file=settings.log_file,
        console=settings.log_console,
    )
    try:
        return _serve(settings, credentials, logs, is_demo=is_demo)
    finally:
        logs.close()


def _read_credentials(settings: Settings) -> tuple[Credential, ...]:
    tokens = settings.aws_refreshtoken or SecretStr("")
    try:
        return parse_refresh_tokens(tokens.get_secret_value())
    except CredentialSourceError as error:
        fault = Fault("AWS_REFRESHTOKEN", error.message, "Set it to one refresh token, or several with commas")
        raise ConfigurationError((fault,)) from None


def _serve(settings: Settings, credentials: tuple[Credential, ...], logs: Logs, *, is_demo: bool) -> int:
    for warning in settings.warnings:
        logs.logger.warning("insecure_setting", detail=warning)
    for variable, proxy in list_proxies().items():
        logs.logger.info("upstream_by_proxy", variable=variable, proxy=proxy)
    problem = ""
    try:
        trio.run(partial(_serve_demo if is_demo else _serve_kiro, settings, credentials, logs))
    except* OSError as group:
        problem = f"Cannot listen on {settings.host}:{settings.port} (HOST, PORT): {group.exceptions[0]}\n"
    sys.stderr.write(problem)
    return EXIT_FAILURE if problem else 0


async def _serve_kiro(settings: Settings, credentials: tuple[Credential, ...], logs: Logs) -> None:
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(partial(run, settings, credentials, log=logs.logger))
        count = f"{len(credentials)} credential{'' if len(credentials) == 1 else 's'}"
        _say(f"kiro2api {__version__} listens on {serving.url} with {count}. Ctrl+C stops it.")


async def _serve_demo(settings: Settings, credentials: tuple[Credential, ...], logs: Logs) -> None:
    simulator = Simulator(demo_delay=DEMO_DELAY)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        demo = settings.model_copy(
            update={"kiro_upstream_url": simulator.base_url, "kiro_refresh_url": simulator.refresh_url}
        )
        async with trio.open_nursery() as proxy:
            serving = await proxy.start(partial(run, demo, credentials, log=logs.logger))
            _say(_describe_demo(serving.url, settings.kiro_client_token.get_secret_value()))
        nursery.cancel_scope.cancel("the proxy has stopped")


def _describe_demo(url: str, key: str) -> str:
    shown = key if key == "123456" else "$KIRO_CLIENT_TOKEN"
    json_headers = f"-H 'content-type: application/json' -H 'x-api-key: {shown}'"
    message = '{"model":"claude-sonnet-4-5","max_tokens":500,"messages":[{"role":"user","content":"Hello, Kiro!"}]}'
    return f"""kiro2api {__version__} listens on {url} in front of a simulated Kiro. Ctrl+C stops it.

Paste one of these into another shell:

  curl -s {url}/v1/messages {json_headers} \\
    -d '{message}'

  curl -sN {url}/v1/chat/completions -H 'authorization: Bearer {shown}' -H 'content-type: application/json' \\
    -d '{message[:-1]},"stream":true}}'

  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={shown} claude -p 'Hello, Kiro!'
"""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
