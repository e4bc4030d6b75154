"""The command line: ``kiro2api``, ``kiro2api demo``, ``--version``, ``--help``."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio
from pydantic import SecretStr

from kiro2api import __version__
from kiro2api.auth.credentials import Credential
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.config import EXIT_CONFIG, ConfigurationError, Fault, Settings, list_proxies, load_settings
from kiro2api.logs import Logs, configure_logging
from kiro2api.serve import run, wait_for_signal
from kiro2api.simulator.server import Simulator
from kiro2api.workers import WORKER_VARIABLE, WorkerSupervisor, reserve_port, wait_for_supervisor_to_end

EXIT_FAILURE = 1
DEMO_REFRESH_TOKEN = "demo-refresh-token"  # noqa: S105  the simulated Kiro takes any
DEMO_DELAY = 0.03
"""Seconds between the pieces of the simulated Kiro's answers: about the pace of a real one."""
DEMO_KEEP = 16
"""Requests that the simulated Kiro remembers: an agent's are some hundred kilobytes each, and nobody asks for them."""

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
    worker = os.environ.get(WORKER_VARIABLE, "")
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
        if worker:
            return _serve(partial(_serve_worker, settings, credentials, logs, worker), settings)
        _log_start(settings, logs)
        if is_demo:
            return _serve(partial(_serve_demo, settings, credentials, logs), settings)
        if settings.workers > 1:
            return _supervise(settings, logs, count=len(credentials))
        return _serve(partial(_serve_kiro, settings, credentials, logs), settings)
    finally:
        logs.close()


def _read_credentials(settings: Settings) -> tuple[Credential, ...]:
    tokens = settings.aws_refreshtoken or SecretStr("")
    try:
        return parse_refresh_tokens(tokens.get_secret_value())
    except CredentialSourceError as error:
        fault = Fault("AWS_REFRESHTOKEN", error.message, "Set it to one refresh token, or several with commas")
        raise ConfigurationError((fault,)) from None


def _log_start(settings: Settings, logs: Logs) -> None:
    for warning in settings.warnings:
        logs.logger.warning("insecure_setting", detail=warning)
    for variable, proxy in list_proxies().items():
        logs.logger.info("upstream_by_proxy", variable=variable, proxy=proxy)
    if settings.workers > 1:
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


def _supervise(settings: Settings, logs: Logs, *, count: int) -> int:
    try:
        with reserve_port(settings.host, settings.port) as port:
            supervisor = WorkerSupervisor(
                [sys.executable, "-m", "kiro2api", "serve"],
                environment={**os.environ, "PORT": str(port)},
                count=settings.workers,
                fatal_code=EXIT_CONFIG,
                log=logs.logger,
            )
            _say(_describe_start(f"http://{settings.host}:{port}", count) + f" {settings.workers} workers.")
            return trio.run(supervisor.run)
    except OSError as error:
        sys.stderr.write(_describe_bind_error(settings, error))
        return EXIT_FAILURE


async def _serve_worker(settings: Settings, credentials: tuple[Credential, ...], logs: Logs, number: str) -> None:
    await run(settings, credentials, log=logs.logger.bind(worker=number), stop=_wait_for_end_of_worker)


async def _wait_for_end_of_worker() -> None:
    async with trio.open_nursery() as nursery:

        async def wait(function: Callable[[], Awaitable[None]]) -> None:
            await function()
            nursery.cancel_scope.cancel("the worker is to end")

        nursery.start_soon(wait, wait_for_signal)
        nursery.start_soon(wait, wait_for_supervisor_to_end)


async def _serve_kiro(settings: Settings, credentials: tuple[Credential, ...], logs: Logs) -> None:
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(partial(run, settings, credentials, log=logs.logger))
        _say(_describe_start(serving.url, len(credentials)) + " Ctrl+C stops it.")


def _describe_start(url: str, count: int) -> str:
    return f"kiro2api {__version__} listens on {url} with {count} credential{'' if count == 1 else 's'}."


async def _serve_demo(settings: Settings, credentials: tuple[Credential, ...], logs: Logs) -> None:
    simulator = Simulator(demo_delay=DEMO_DELAY, keep=DEMO_KEEP)
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
