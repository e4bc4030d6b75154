"""What the control plane says of the credentials, asked in the background.

Advisory throughout: nobody waits for these answers, save for the profile without which some accounts are refused, and a
control plane that fails, hangs or says nonsense changes nothing about a credential.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from kiro2api.auth.actor import TokenActor
from kiro2api.auth.control import (
    BUILDER_ID_PROFILE_ARN,
    MAX_PAGES,
    ControlAnswerError,
    ListedModel,
    ModelsPage,
    UsageLimits,
    Verdict,
    build_models_request,
    build_profiles_request,
    build_usage_request,
    join_models,
    judge_models,
    judge_profiles,
    judge_usage,
    parse_models,
    parse_profiles,
    parse_usage,
)
from kiro2api.auth.credentials import AccessToken, ApiKey, Credential, SocialLogin, TokenType
from kiro2api.auth.hosts import PROFILE_REGIONS, get_control_url
from kiro2api.auth.pool import CredentialPool
from kiro2api.auth.wire import Wire

PROFILE_SECONDS = 8.0
"""For finding a profile in all regions: requests wait for it."""
JITTER = 0.2
"""Share by which the pause between two looks is made longer or shorter."""

type SelectRegion = Callable[[Credential, AccessToken | None], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the control plane has said of one credential."""

    limits: UsageLimits | None = None
    models: tuple[ListedModel, ...] | None = None
    """``None`` while no list is known; empty when the account may use none."""
    checked_at: float = 0.0
    """When the limits were read; epoch seconds."""


class Surveyor:
    """Asks the control plane.

    Args:
        wire: The way there.
        wall: Epoch seconds.
        control_url: One address for all regions; by default each region has its own.
        pause: Seconds between two looks at limits and models; 0 looks at profiles only.
        uses_builder_id_profile: Whether a Builder ID without a profile is given the one that all share.
        draw: From 0 to 1.
    """

    def __init__(  # noqa: PLR0913 - the seams of the shell, and the operator's choices
        self,
        wire: Wire,
        *,
        wall: Callable[[], float],
        control_url: str | None = None,
        pause: float,
        uses_builder_id_profile: bool = True,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._wire = wire
        self._wall = wall
        self._control_url = control_url
        self._pause = pause
        self._uses_builder_id_profile = uses_builder_id_profile
        self._draw = draw
        self._findings: dict[str, Findings] = {}

    @property
    def is_watchful(self) -> bool:
        """Whether there is anything to :meth:`watch` for."""
        return self._pause > 0

    def find(self, credential_id: str) -> Findings:
        """What is known of a credential."""
        return self._findings.get(credential_id, Findings())

    async def watch(self, actor: TokenActor, pool: CredentialPool, select_region: SelectRegion) -> None:
        """Looks at one credential again and again, whenever it has an access token."""
        while True:
            access_token = actor.get_access_token_nowait()
            if access_token is None:
                await actor.wait_for_news()
                continue
            region = select_region(actor.credential, access_token)
            await self._look(actor.credential, access_token, region, pool)
            await trio.sleep(self._pause * (1 + JITTER * (2 * self._draw() - 1)))

    async def find_profile(self, credential: Credential, access_token: str) -> str | None:
        """The ARN of the credential's profile, looked up in every region that has profiles, or ``None``.

        Social logins are told theirs with each refresh, and API keys have none.
        """
        login = credential.login
        if isinstance(login, SocialLogin | ApiKey):
            return None
        with trio.move_on_after(PROFILE_SECONDS):
            for region in PROFILE_REGIONS:
                status, body = await self._wire.ask(
                    build_profiles_request(
                        base_url=self._select_url(region),
                        access_token=access_token,
                        token_type=credential.token_type,
                    )
                )
                verdict = judge_profiles(status, body)
                if verdict is Verdict.BUILDER_ID:
                    return BUILDER_ID_PROFILE_ARN if self._uses_builder_id_profile else None
                if verdict is Verdict.READ and (arns := _read_arns(body)):
                    return arns[0]
                if verdict is Verdict.FAILED:
                    break
        return None

    async def _look(self, credential: Credential, access_token: AccessToken, region: str, pool: CredentialPool) -> None:
        credential_id, base_url = credential.credential_id, self._select_url(region)
        limits = await self._ask_limits(access_token, credential.token_type, base_url)
        if limits is not None:
            self._findings[credential_id] = replace(self.find(credential_id), limits=limits, checked_at=self._wall())
            pool.note_limits(credential_id, left=limits.left, resets_at=limits.resets_at)
        if isinstance(credential.login, ApiKey):
            return
        models = await self._ask_models(access_token, credential.token_type, base_url)
        if models is not None:
            self._findings[credential_id] = replace(self.find(credential_id), models=models)
            pool.note_models(credential_id, frozenset(model.model_id for model in models))

    async def _ask_limits(self, access_token: AccessToken, token_type: TokenType, base_url: str) -> UsageLimits | None:
        for profile_arn in dict.fromkeys((access_token.profile_arn, None)):
            status, body = await self._wire.ask(
                build_usage_request(
                    base_url=base_url, access_token=access_token.value, token_type=token_type, profile_arn=profile_arn
                )
            )
            verdict = judge_usage(status, body, with_profile=profile_arn is not None)
            if verdict is Verdict.READ:
                try:
                    return parse_usage(body)
                except ControlAnswerError:
                    return None
            if verdict is not Verdict.ASK_OTHERWISE:
                return None
        return None

    async def _ask_models(
        self, access_token: AccessToken, token_type: TokenType, base_url: str
    ) -> tuple[ListedModel, ...] | None:
        """The whole list, or ``None`` if any part of it is not to be had."""
        pages: list[ModelsPage] = []
        while len(pages) < MAX_PAGES:
            status, body = await self._wire.ask(
                build_models_request(
                    base_url=base_url,
                    access_token=access_token.value,
                    token_type=token_type,
                    profile_arn=access_token.profile_arn,
                    next_page=pages[-1].next_page if pages else None,
                )
            )
            if judge_models(status, body) is not Verdict.READ:
                return None
            try:
                pages.append(parse_models(body))
            except ControlAnswerError:
                return None
            if pages[-1].next_page is None:
                break
        return join_models(pages)

    def _select_url(self, region: str) -> str:
        return self._control_url or get_control_url(region)


def _read_arns(body: bytes) -> tuple[str, ...]:
    try:
        return parse_profiles(body).arns
    except ControlAnswerError:
        return ()
