"""Leases of access tokens.

Who decides and who acts: :mod:`kiro2api.auth.pool` says which credential may be used, :mod:`kiro2api.auth.actor` when a
refresh is due and :mod:`kiro2api.auth.renewal` how it is made; here they are put to work and waited for. The store of
states is never asked on the way of a request whose credential has its access token at hand.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import trio

from kiro2api.auth.actor import ActorTools, Flight, News, TokenActor
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.control import ListedModel
from kiro2api.auth.credentials import AccessToken, ApiKey, Credential, IdcLogin, Lease, Outcome, SocialLogin, Want
from kiro2api.auth.errors import NoCredentialError, RefreshRejectedError
from kiro2api.auth.files import SharedFiles
from kiro2api.auth.hosts import select_api_region
from kiro2api.auth.pool import (
    ChoiceRule,
    Chosen,
    Cooling,
    CredentialPool,
    CredentialState,
    Ranking,
    Standing,
    Unusable,
)
from kiro2api.auth.renewal import RenewalTools
from kiro2api.auth.reports import CredentialReport, build_report
from kiro2api.auth.roster import Roster
from kiro2api.auth.sharing import NotesExchange
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.store import StateStore
from kiro2api.auth.survey import Findings, Surveyor
from kiro2api.auth.wire import Wire
from kiro2api.errors import ErrorKind
from kiro2api.supervision import Health, Log

OWN_PATIENCE_SECONDS = 2.0
"""How long a conversation waits for its own credential's refresh before it moves to another: most take one."""

_ANY = Want()
_KINDS = {Standing.RATE_LIMITED: ErrorKind.RATE_LIMITED, Standing.QUOTA_EXHAUSTED: ErrorKind.QUOTA_EXHAUSTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatistics:
    """What health checks, metrics and tests may know."""

    in_flight: int
    """Leases that have not been returned."""
    credentials: tuple[CredentialState, ...]


class CredentialBroker:
    """Hands out leases; :meth:`run` has to run meanwhile.

    Args:
        credentials: With distinct ids.
        wire: The way to the services that know about credentials.
        log: Where the events go.
        store: Where states outlive the process; by default they do not. Stays the caller's to close.
        surveyor: Looks at limits, models and profiles; by default nobody does.
        health: Where the state of the background tasks is kept.
        clocks: Time and chance.
        rule: Which credential is next.
        api_region: The operator's own, for all credentials that have none.
        has_replicas: Whether processes on other machines trade the same refresh tokens.
        hold_patience: Seconds for another process that is refreshing: longer than a dead one's hold lasts in the store.
    """

    def __init__(  # noqa: PLR0913 - the seams of the shell, and the operator's choices
        self,
        credentials: Iterable[Credential],
        *,
        wire: Wire,
        log: Log,
        store: StateStore | None = None,
        surveyor: Surveyor | None = None,
        files: SharedFiles | None = None,
        health: Health | None = None,
        clocks: Clocks | None = None,
        rule: ChoiceRule = ChoiceRule.ROUND_ROBIN,
        api_region: str | None = None,
        has_replicas: bool = False,
        hold_patience: float = 45.0,
    ) -> None:
        clocks = clocks or Clocks()
        store = store or MemoryStore()
        files = files or SharedFiles()
        credentials = tuple(credentials)
        self._now = clocks.now
        self._api_region = api_region
        self._surveyor = surveyor
        self._pool = CredentialPool(credentials, jitter=clocks.jitter, rule=rule)
        self._news = News()
        renewal = RenewalTools(
            trade=wire.trade,
            reread=files.reread,
            write_back=files.write_back,
            store=store,
            wall=clocks.wall,
            log=log,
            has_replicas=has_replicas,
            hold_patience=hold_patience,
        )
        self._tools = self._build_tools(renewal, clocks)
        watch = self._watch if surveyor is not None and surveyor.is_watchful else None
        self._roster = Roster(credentials, self._tools, watch=watch, health=health or Health(), log=log)
        self._notes = NotesExchange(
            self._pool, store, actors=self._roster, find=self._find_findings, clocks=clocks, log=log
        )
        self._joined_lists: list[tuple[ListedModel, ...]] = []
        self._joined: tuple[ListedModel, ...] = ()
        self._leases: set[Lease] = set()
        self._is_closed = False

    def _build_tools(self, renewal: RenewalTools, clocks: Clocks) -> ActorTools:
        return ActorTools(
            renewal=renewal,
            find_profile=self._find_profile,
            pool=self._pool,
            now=clocks.now,
            jitter=clocks.jitter,
            news=self._news,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Refreshes the credentials, until it is cancelled.

        Reports itself started at once, whether the network is up or not. A defect in one credential's task ends that
        task alone, and it is started again after a pause. On the way out everybody who waits for an access token is
        woken with an error.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_in_the_end)
            await nursery.start(self._roster.run, [("credential notes", self._notes.run)])
            task_status.started()

    def replace(self, credentials: Iterable[Credential]) -> None:
        """Takes over another set of credentials; what is known of those that stay is kept, leases run on."""
        credentials = tuple(credentials)
        self._pool.replace(credentials)
        self._roster.replace(credentials)
        self._news.announce()

    async def lease(self, *, exclude: Collection[str] = (), want: Want = _ANY) -> Lease:
        """A lease of the credential whose turn it is, to be given back with :meth:`release`.

        A conversation stays with its own credential while that is well, also for the short time of a refresh. Else one
        whose access token is at hand comes before those that are being refreshed; while all are, the first to have one
        is taken, so that a refresh that hangs delays nobody whom another credential can serve.

        Args:
            exclude: Ids of credentials that this exchange has tried.
            want: What the exchange is for.

        Raises:
            NoCredentialError: None can be used now, or the broker is shutting down.
        """
        flights: list[Flight] = []
        while True:
            self._check_open()
            now = self._now()
            ranking = self._pool.rank(now, exclude=exclude, want=want)
            patience = self._find_patience(ranking)
            ids = ranking.candidates[:1] if patience else ranking.candidates
            for credential_id in ids:
                access_token = self._roster[credential_id].get_access_token_nowait()
                if access_token is not None:
                    return self._grant(credential_id, access_token, now, exclude, want)
            selection = self._pool.select(now, exclude=exclude, want=want)
            if not isinstance(selection, Chosen):
                cause = next((flight.error for flight in flights if flight.error), None)
                raise self._build_error(selection, now) from cause
            flights = [self._roster[credential_id].demand() for credential_id in ids]
            with trio.move_on_after(patience or math.inf):
                await self._news.wait()

    async def renew(self, lease: Lease) -> Lease:
        """The same lease with another access token, because the upstream has refused the one it has.

        However many leases have that access token, it is refreshed once; if that has happened already, nothing is sent.
        The new lease takes the place of the old, which remains to be released if this fails or is cancelled.

        Raises:
            RefreshRejectedError: The credential is revoked, or is no longer configured.
            RefreshFailedError: No other access token can be had now. The pool knows; release as ``NEUTRAL``.
            NoCredentialError: The broker is shutting down.
        """
        actor = self._find_actor(lease)
        actor.refuse(lease.access_token.generation)
        while (access_token := actor.get_access_token_nowait()) is None:
            flight = actor.demand()
            while not flight.is_done:
                self._check_open()
                await self._news.wait()
                actor = self._find_actor(lease)
            if flight.error is not None:
                # Each waiter raises an error of its own: a shared one would collect all their tracebacks.
                error = flight.error
                raise type(error)(error.detail, retry_after=error.retry_after) from error
        renewed = replace(lease, access_token=access_token)
        self._leases.discard(lease)
        self._leases.add(renewed)
        return renewed

    def release(
        self, lease: Lease, outcome: Outcome, *, retry_after: float | None = None, model: str | None = None
    ) -> None:
        """Takes a lease back; a second time, or after :meth:`renew` has replaced it, nothing happens.

        Args:
            lease: From :meth:`lease` or :meth:`renew`.
            outcome: What the exchange taught about the credential.
            retry_after: Seconds that the upstream asked to be left alone, with ``RATE_LIMITED``.
            model: The upstream's id of the model that was asked for, with ``MODEL_REFUSED``.
        """
        if lease not in self._leases:
            return
        self._leases.remove(lease)
        self._pool.give_back(lease.credential_id)
        actor = self._roster.get(lease.credential_id)
        if actor is not None and _casts_doubt(outcome, actor.credential):
            actor.refuse(lease.access_token.generation)
        self._pool.record(lease.credential_id, outcome, self._now(), retry_after=retry_after, model=model)

    def has_usable(self) -> bool:
        """Whether a lease could be had right now, without waiting for a refresh."""
        return not self._is_closed and any(
            self._roster[credential_id].get_access_token_nowait() is not None
            for credential_id in self._pool.rank(self._now()).candidates
        )

    def statistics(self) -> BrokerStatistics:
        return BrokerStatistics(in_flight=len(self._leases), credentials=self._pool.statistics(self._now()))

    def list_models(self) -> tuple[ListedModel, ...] | None:
        """The models that any credential may use; ``None`` while that is not known of each that can be used now."""
        lists: list[tuple[ListedModel, ...]] = []
        for actor in self._roster:
            models = self._find_findings(actor.credential.credential_id).models
            if models is not None:
                lists.append(models)
            elif actor.get_access_token_nowait() is not None:
                return None
        if [*map(id, lists)] != [*map(id, self._joined_lists)]:
            self._joined_lists = lists
            self._joined = tuple({model.model_id: model for models in lists for model in models}.values())
        return self._joined if lists else None

    def describe(self) -> tuple[CredentialReport, ...]:
        """How each credential is, in the order in which they are configured."""
        now = self._now()
        shift = self._tools.renewal.wall() - now
        return tuple(self._describe(state, shift) for state in self._pool.statistics(now))

    async def _close_in_the_end(self) -> None:
        """Wakes those who wait as soon as the end begins: a refresh that is seen through may take some seconds more."""
        try:
            await trio.sleep_forever()
        finally:
            self._is_closed = True
            self._news.announce()

    def _describe(self, state: CredentialState, shift: float) -> CredentialReport:
        actor = self._roster[state.credential_id]
        return build_report(
            state,
            actor,
            self._find_findings(state.credential_id),
            uses=self._notes.count_uses(state.credential_id),
            region=self._select_region(actor.credential, actor.access_token),
            shift=shift,
        )

    async def _watch(self, actor: TokenActor) -> None:
        if self._surveyor is not None:
            await self._surveyor.watch(actor, self._pool, self._select_region)

    def _find_patience(self, ranking: Ranking) -> float:
        """Seconds for which a conversation waits for its own credential and no other, 0 if it has none or no more."""
        if ranking.own is None:
            return 0.0
        actor = self._roster[ranking.own]
        if actor.get_access_token_nowait() is not None:
            return OWN_PATIENCE_SECONDS
        return max(0.0, actor.demand().began_at + OWN_PATIENCE_SECONDS - trio.current_time())

    def _grant(
        self, credential_id: str, access_token: AccessToken, now: float, exclude: Collection[str], want: Want
    ) -> Lease:
        credential = self._roster[credential_id].credential
        choice = self._pool.explain(credential_id, now, exclude=exclude, want=want)
        self._pool.lease(credential_id, now, want=want)
        lease = Lease(
            credential_id=credential_id,
            label=credential.label,
            access_token=access_token,
            leased_at=now,
            region=self._select_region(credential, access_token),
            token_type=credential.token_type,
            choice=choice,
        )
        self._leases.add(lease)
        return lease

    def _select_region(self, credential: Credential, access_token: AccessToken | None) -> str:
        return select_api_region(
            configured=credential.api_region or self._api_region,
            profile_arn=access_token.profile_arn if access_token else credential.profile_arn,
            sso_region=credential.login.region if isinstance(credential.login, IdcLogin) else None,
        )

    async def _find_profile(self, credential: Credential, access_token: str) -> str | None:
        if self._surveyor is None:
            return None
        return await self._surveyor.find_profile(credential, access_token)

    def _find_findings(self, credential_id: str) -> Findings:
        return self._surveyor.find(credential_id) if self._surveyor is not None else Findings()

    def _find_actor(self, lease: Lease) -> TokenActor:
        actor = self._roster.get(lease.credential_id)
        if actor is None:
            raise RefreshRejectedError("no longer configured")
        return actor

    def _check_open(self) -> None:
        if self._is_closed:
            raise NoCredentialError(ErrorKind.OVERLOADED)

    def _build_error(self, selection: Cooling | Unusable, now: float) -> NoCredentialError:
        states = self._pool.statistics(now)
        detail = ", ".join(f"{state.label} {state.standing.value}" for state in states)
        kind, retry_after = ErrorKind.NO_CREDENTIAL, None
        if isinstance(selection, Cooling):
            kind = _KINDS.get(selection.reason, kind)
            retry_after = None if kind is ErrorKind.QUOTA_EXHAUSTED else selection.until - now
        return NoCredentialError(kind, retry_after=retry_after, detail=detail)


def _casts_doubt(outcome: Outcome, credential: Credential) -> bool:
    """Whether the access token, or the profile that was looked up for it, should be had anew before the next use."""
    if outcome is Outcome.FORBIDDEN:
        return credential.profile_arn is None and not isinstance(credential.login, SocialLogin | ApiKey)
    return outcome is Outcome.TOKEN_REFUSED
