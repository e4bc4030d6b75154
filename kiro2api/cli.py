"""The command line: ``kiro2api``, its commands, ``--version``, ``--help``."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from kiro2api import __version__
from kiro2api.app import write_log
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.auth.state.directory import StateDirectoryError
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.store import StateError
from kiro2api.commands.credentials import Console, show_credentials, tell_trials
from kiro2api.commands.importing import import_logins
from kiro2api.config import (
    EXIT_CONFIG,
    ConfigurationError,
    Settings,
    list_proxies,
    list_secrets,
    load_settings,
    take_secrets,
)
from kiro2api.errors import Kiro2ApiError
from kiro2api.hardening import forbid_core_dumps
from kiro2api.logs import Logs, configure_logging
from kiro2api.provision import Supply, open_supply
from kiro2api.serve import run, wait_for_signal
from kiro2api.simulator.server import Simulator
from kiro2api.workers import WORKER_VARIABLE, WorkerSupervisor, reserve_port, wait_for_supervisor_to_end

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130
"""What shells say of a program that Ctrl+C has ended."""
DEMO_REFRESH_TOKEN = "demo-refresh-token"  # noqa: S105  the simulated Kiro takes any
DEMO_DELAY = 0.03
"""Seconds between the pieces of the simulated Kiro's answers: about the pace of a real one."""
DEMO_KEEP = 16
"""Requests that the simulated Kiro remembers: an agent's are some hundred kilobytes each, and nobody asks for them."""

_DESCRIPTION = "Anthropic Messages, OpenAI Chat Completions and Responses in front of AWS CodeWhisperer / Kiro."
_EPILOG = "Settings come from the environment and from .env; .env.example lists them all."


def run_command(arguments: Sequence[str]) -> int:
    """Does what ``arguments`` say; the exit code is 0, 1 for a failure, or 78 for settings that cannot be used."""
    options = build_parser().parse_args(arguments)
    if options.command == "import":
        forbid_core_dumps()
        return import_logins(options.path, options.to, environ=os.environ, out=sys.stdout, err=sys.stderr)
    is_demo, is_look = options.command == "demo", options.command == "credentials"
    worker = os.environ.get(WORKER_VARIABLE, "")
    try:
        settings = load_settings(require_credentials=not is_demo)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CONFIG
    secrets = take_secrets(os.environ)
    forbid_core_dumps()
    logs = _open_logs(settings, is_look=is_look)
    try:
        supply = (
            _build_demo_supply() if is_demo else open_supply(settings, os.environ, log=partial(write_log, logs.logger))
        )
    except (CredentialSourceError, StateDirectoryError, StateError) as error:
        sys.stderr.write(f"{_describe_supply_error(error)}\n")
        logs.close()
        return EXIT_CONFIG
    try:
        if is_look:
            return _look_at_credentials(settings, supply, logs, is_test=options.action == "test", as_json=options.json)
        if worker:
            return _serve(partial(_serve_worker, settings, supply, logs, worker), settings)
        _log_start(settings, supply, logs)
        if is_demo:
            return _serve(partial(_serve_demo, settings, supply, logs), settings)
        if settings.workers > 1:
            return _supervise(settings, logs, secrets, count=len(supply.loaded.credentials))
        return _serve(partial(_serve_kiro, settings, supply, logs), settings)
    finally:
        logs.close()


def build_parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    parser = argparse.ArgumentParser(prog="kiro2api", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"kiro2api {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.add_parser("serve", help="serve the real Kiro (the default)")
    commands.add_parser("demo", help="serve a simulated Kiro on this machine: no account, no network")
    look = commands.add_parser("credentials", help="show how the credentials are, or test them")
    look.add_argument("action", nargs="?", choices=["test"], help="refresh each of them once, and say what came of it")
    look.add_argument("--json", action="store_true", help="print JSON for programs")
    copy = commands.add_parser("import", help="copy logins of the Kiro IDE, kiro-cli or the Amazon Q CLI into a file")
    copy.add_argument("path", nargs="?", type=Path, metavar="PATH", help="token file or store; else all usual places")
    copy.add_argument("--to", type=Path, metavar="FILE", help="where to; else kiro2api/credentials.json in ~/.config")
    return parser


def _open_logs(settings: Settings, *, is_look: bool) -> Logs:
    """The outputs of the log; a look at the credentials shows what goes wrong, and leaves the proxy's file alone."""
    return configure_logging(
        level="warning" if is_look else settings.log_level,
        log_format=settings.log_format,
        file=None if is_look else settings.log_file,
        console=is_look or settings.log_console,
        secrets=list_secrets(settings),
    )


def _look_at_credentials(settings: Settings, supply: Supply, logs: Logs, *, is_test: bool, as_json: bool) -> int:
    for warning in supply.warnings:
        logs.logger.warning("state_not_kept", detail=warning)
    console = Console(out=sys.stdout, err=sys.stderr, as_json=as_json)
    if is_test:
        look = partial(tell_trials, settings, supply, console, log=partial(write_log, logs.logger))
    else:
        look = partial(show_credentials, settings, supply, console, environ=os.environ)
    with suppress(KeyboardInterrupt):
        return trio.run(look)
    return EXIT_INTERRUPTED


def _build_demo_supply() -> Supply:
    return Supply.of(parse_refresh_tokens(DEMO_REFRESH_TOKEN))


def _describe_supply_error(error: Kiro2ApiError) -> str:
    source = f"{error.source}: " if isinstance(error, CredentialSourceError) and error.source else ""
    reason = f" ({error.detail})" if error.detail else ""
    return f"{source}{error.message}{reason}"


def _log_start(settings: Settings, supply: Supply, logs: Logs) -> None:
    for warning in settings.warnings:
        logs.logger.warning("insecure_setting", detail=warning)
    for variable, proxy in list_proxies().items():
        logs.logger.info("upstream_by_proxy", variable=variable, proxy=proxy)
    for note in supply.loaded.notes:
        logs.logger.info("credentials_note", note=note)
    for warning in supply.warnings:
        logs.logger.warning("state_not_kept", detail=warning)
    if settings.workers > 1 and isinstance(supply.store, MemoryStore):
        logs.logger.warning("workers_share_nothing", detail="a rotated refresh token is known to one worker alone")


def _serve(main: Callable[[], Awaitable[None]], settings: Settings) -> int:
    problem = ""
    try:
        trio.run(main)
    except* OSError as group:
        problem = _describe_bind_error(settings, group.exceptions[0])
    sys.stderr.write(problem)
    return EXIT_FAILURE if problem else 0


def _describe_bind_error(settings: Settings, cause: BaseException) -> str:
    return f"Cannot listen on {settings.host}:{settings.port} (HOST, PORT): {cause}\n"


def _supervise(settings: Settings, logs: Logs, secrets: Mapping[str, str], *, count: int) -> int:
    try:
        with reserve_port(settings.host, settings.port) as port:
            supervisor = WorkerSupervisor(
                [sys.executable, "-m", "kiro2api", "serve"],
                environment={**os.environ, **secrets, "PORT": str(port)},
                count=settings.workers,
                fatal_code=EXIT_CONFIG,
                log=logs.logger,
            )
            _say(_describe_start(f"http://{settings.host}:{port}", count) + f" {settings.workers} workers.")
            return trio.run(supervisor.run)
    except OSError as error:
        sys.stderr.write(_describe_bind_error(settings, error))
        return EXIT_FAILURE


async def _serve_worker(settings: Settings, supply: Supply, logs: Logs, number: str) -> None:
    await run(settings, supply, log=logs.logger.bind(worker=number), stop=_wait_for_end_of_worker)


async def _wait_for_end_of_worker() -> None:
    async with trio.open_nursery() as nursery:

        async def wait(function: Callable[[], Awaitable[None]]) -> None:
            await function()
            nursery.cancel_scope.cancel("the worker is to end")

        nursery.start_soon(wait, wait_for_signal)
        nursery.start_soon(wait, wait_for_supervisor_to_end)


async def _serve_kiro(settings: Settings, supply: Supply, logs: Logs) -> None:
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(partial(run, settings, supply, log=logs.logger))
        _say(_describe_start(serving.url, len(supply.loaded.credentials)) + " Ctrl+C stops it.")


def _describe_start(url: str, count: int) -> str:
    return f"kiro2api {__version__} listens on {url} with {count} credential{'' if count == 1 else 's'}."


async def _serve_demo(settings: Settings, supply: Supply, logs: Logs) -> None:
    simulator = Simulator(demo_delay=DEMO_DELAY, keep=DEMO_KEEP)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        demo = settings.model_copy(
            update={
                "kiro_upstream_url": (simulator.base_url,),
                "kiro_refresh_url": simulator.refresh_url,
                "kiro_control_url": simulator.control_url,
            }
        )
        async with trio.open_nursery() as proxy:
            serving = await proxy.start(partial(run, demo, supply, log=logs.logger))
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
