"""What we have of one credential at a moment, put together from where it was configured and what was stored.

Pure. The rule of precedence: what descends from the login as it is configured now is newer than that login; what
descends from another one is older, since the operator, or the program that shares the file, has put a new login in its
place.
"""

from dataclasses import dataclass, field, replace

from kiro2api.auth.credentials import ApiKey, Credential, FoundAccess, RefreshableLogin
from kiro2api.auth.refresh import Refreshed
from kiro2api.auth.state.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The newest login of a credential, and the access token that belongs to it."""

    login: RefreshableLogin
    spares: tuple[str, ...] = field(default=(), repr=False)
    """Older refresh tokens, the newest first: worth a try when the service says that the one of ``login`` is dead."""
    generation: int = 0
    """Of the newest record; 0 if there is none."""
    access: FoundAccess | None = None
    is_recorded: bool = False
    """Whether ``access`` is the record's."""
    profile_arn: str | None = None
    refreshed_at: float | None = None
    is_rotating: bool = False


def settle(credential: Credential, record: Record | None) -> Holding:
    """What is held of ``credential``, whose login is one that is refreshed.

    Args:
        credential: As it is configured now.
        record: The newest that any process has stored.
    """
    login = credential.login
    if isinstance(login, ApiKey):
        raise TypeError("an API key is never refreshed")
    if record is None:
        return Holding(login=login, access=credential.access, profile_arn=credential.profile_arn)
    profile_arn = credential.profile_arn or record.profile_arn
    if record.refresh_token != login.refresh_token and record.origin != credential.origin:
        return Holding(
            login=login,
            spares=(record.refresh_token,),
            generation=record.generation,
            access=credential.access,
            profile_arn=credential.profile_arn,
        )
    older = dict.fromkeys((record.previous_refresh_token, login.refresh_token))
    recorded = FoundAccess(value=record.access_token, expires_at=record.expires_at)
    is_beaten = credential.access is not None and credential.access.expires_at > recorded.expires_at
    return Holding(
        login=replace(login, refresh_token=record.refresh_token),
        spares=tuple(token for token in older if token and token != record.refresh_token),
        generation=record.generation,
        access=credential.access if is_beaten else recorded,
        is_recorded=not is_beaten,
        profile_arn=profile_arn,
        refreshed_at=record.refreshed_at,
        is_rotating=record.is_rotating,
    )


def build_record(holding: Holding, refreshed: Refreshed, *, origin: str, generation: int, wall: float) -> Record:
    """What is to be stored after a refresh.

    Args:
        holding: As it was before, with the refresh token that was sent.
        refreshed: What the refresh brought.
        origin: Of the credential as it is configured now.
        generation: Above all that were ever used.
        wall: Epoch seconds by the wall clock.
    """
    traded = holding.login.refresh_token
    kept = refreshed.refresh_token or traded
    return Record(
        generation=generation,
        origin=origin,
        refresh_token=kept,
        previous_refresh_token=traded if kept != traded else None,
        access_token=refreshed.access_token,
        expires_at=wall + refreshed.expires_in,
        profile_arn=refreshed.profile_arn or holding.profile_arn,
        refreshed_at=wall,
        is_rotating=holding.is_rotating or kept != traded,
    )


def build_found_record(holding: Holding, access: FoundAccess, *, origin: str, generation: int, wall: float) -> Record:
    """What is to be stored when another program's refresh is taken over with its access token."""
    return Record(
        generation=generation,
        origin=origin,
        refresh_token=holding.login.refresh_token,
        access_token=access.value,
        expires_at=access.expires_at,
        profile_arn=holding.profile_arn,
        refreshed_at=wall,
        is_rotating=holding.is_rotating,
    )


def is_from(record: Record, credential: Credential) -> bool:
    """Whether ``record`` descends from the login as ``credential`` has it now."""
    login = credential.login
    if isinstance(login, ApiKey):
        return False
    return record.origin == credential.origin or record.refresh_token == login.refresh_token
