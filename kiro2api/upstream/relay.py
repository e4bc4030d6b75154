"""The loop around the attempts of one request: lease, call, judge, and perhaps once more.

What may follow on which failure stands in :mod:`kiro2api.upstream.policy`, which host is asked in
:mod:`kiro2api.upstream.hosts`; here it is performed. All waiting happens in
the task of the request, without a lease: a client that leaves ends it, and holds up nobody.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, assert_never

import httpx
import trio

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.credentials import Lease, Outcome, Want
from kiro2api.auth.errors import NoCredentialError, RefreshError, RefreshFailedError
from kiro2api.auth.hosts import list_inference_urls
from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import FaultClass, UpstreamFaultError
from kiro2api.upstream.budget import RetryBudget, Spending
from kiro2api.upstream.calls import OPERATION, Silence, UpstreamCall, Watch
from kiro2api.upstream.hosts import HostBook
from kiro2api.upstream.policy import CREDENTIAL_FAILURES, Attempts, Pauses, Step, classify_failure, is_host_out, judge
from kiro2api.upstream.sinks import Sink

DAY_SECONDS = 86_400.0
RENEWAL_PATIENCE_SECONDS = 2.0
"""For a refused access token to be renewed, while another credential could serve: most refreshes take one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One request with all that belongs to it."""

    exchange: Exchange
    want: Want
    sink: Sink
    attempts: Attempts
    silence: Silence
    backstop: float
    spending: Spending


class Upstream:
    """Kiro, as the routes see it.

    Args:
        client: Owned by the caller, who closes it.
        broker: Where credentials come from.
        base_urls: Schemes, hosts and ports of the inference API, the best first; none for the hosts that the lease's
            region has.
        budget: Of retries, for all requests together.
        pauses: How long to wait between attempts.
        now: Epoch seconds, for answers that name a date.
        draw: From 0 to 1, for backoffs.

    Attributes:
        pauses: As given; those of attempts that fail from now on.
    """

    def __init__(  # noqa: PLR0913 - the seams of the shell: client, clock, chance
        self,
        *,
        client: httpx.AsyncClient,
        broker: CredentialBroker,
        base_urls: Sequence[str] = (),
        budget: RetryBudget | None = None,
        pauses: Pauses | None = None,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.pauses = pauses or Pauses()
        self._client = client
        self._broker = broker
        self._base_urls = tuple(url.rstrip("/") for url in base_urls)
        self._hosts = HostBook()
        self._budget = budget or RetryBudget()
        self._now = now
        self._draw = draw

    async def relay(self, exchange: Exchange, sink: Sink, *, want: Want, silence: Silence, attempts: Attempts) -> None:
        """Gets the answer to ``exchange`` and hands its bytes to ``sink``, in as many attempts as the rules allow.

        Every lease is back and every upstream connection closed or pooled when this returns, raises or is cancelled.

        Raises:
            Kiro2ApiError: No attempt succeeded. When ``exchange.has_output``, the client has the beginning of an answer
                and has to be told inside it.
        """
        backstop = trio.current_time() + silence.total
        with self._budget.open() as spending:
            job = _Job(
                exchange=exchange,
                want=want,
                sink=sink,
                attempts=attempts,
                silence=silence,
                backstop=backstop,
                spending=spending,
            )
            try:
                await self._attempt(job)
            except UpstreamFaultError as fault:
                explained = exchange.explain(fault)
                if explained is fault:
                    raise
                raise explained from fault

    async def _attempt(self, job: _Job) -> None:
        """Attempts until one succeeds, or what the last one failed of is raised."""
        lease = await self._broker.lease(want=job.want)
        while (failure := await self._try(job, lease)) is not None:
            if job.exchange.has_output:
                raise failure
            lease = await self._lease_next(job, lease, failure)

    async def _try(self, job: _Job, lease: Lease) -> Kiro2ApiError | None:
        """How one attempt failed, if it did; the lease is back."""
        url = self._hosts.select(self._list_urls(lease), trio.current_time(), failed=job.attempts.failed_urls)
        job.exchange.begin_attempt(credential_id=lease.credential_id)
        is_second_hand = lease.access_token.is_second_hand
        job.attempts.begin_call(lease.label, url=url, choice=lease.choice, is_second_hand=is_second_hand)

        def note_answer() -> None:
            job.spending.release()
            self._hosts.record_answer(url)

        call = UpstreamCall(
            client=self._client,
            url=url + OPERATION,
            lease=lease,
            exchange=job.exchange,
            sink=job.sink,
            attempts=job.attempts,
            watch=Watch(job.silence, job.backstop),
            note_answer=note_answer,
            now=self._now,
        )
        outcome, retry_after = Outcome.NEUTRAL, None
        try:
            await call.run()
        except Kiro2ApiError as error:
            renewed = job.attempts.has_renewed(lease.credential_id)
            outcome = judge(error, renewed=renewed, has_output=job.exchange.has_output)
            if isinstance(error, UpstreamFaultError) and error.fault_class is FaultClass.DAILY_QUOTA:
                error.retry_after = DAY_SECONDS - self._now() % DAY_SECONDS  # lifted at 00:00 UTC
            retry_after = error.retry_after
            self._judge_host(url, error)
            return error
        else:
            outcome = Outcome.SUCCESS
            return None
        finally:
            self._broker.release(lease, outcome, retry_after=retry_after, model=job.want.model)

    def _list_urls(self, lease: Lease) -> Sequence[str]:
        return self._base_urls or list_inference_urls(lease.region)

    def _judge_host(self, url: str, error: Kiro2ApiError) -> None:
        if is_host_out(error):
            self._hosts.record_out(url, trio.current_time())
        elif isinstance(error, UpstreamFaultError):
            self._hosts.record_answer(url)

    async def _lease_next(self, job: _Job, lease: Lease, failure: Kiro2ApiError) -> Lease:
        """The lease for the next attempt; raises what the client is to be told when there is to be none."""
        attempts = job.attempts
        plan = attempts.receive_failure(
            failure,
            lease.credential_id,
            pauses=self.pauses,
            draw=self._draw(),
            has_other_host=self._hosts.has_other(
                self._list_urls(lease), trio.current_time(), than=attempts.url, failed=attempts.failed_urls
            ),
            is_repaired=job.exchange.repair_for(failure),
        )
        if plan.is_budgeted and not job.spending.acquire():
            raise failure
        if plan.pause:
            await trio.sleep(plan.pause)
        match plan.step:
            case Step.GIVE_UP:
                raise failure
            case Step.AGAIN:
                return await self._lease_any(job, lease, failure)
            case Step.ELSEWHERE_FIRST:
                try:
                    return await self._broker.lease(exclude=attempts.tried | {lease.credential_id}, want=job.want)
                except NoCredentialError:
                    return await self._lease_any(job, lease, failure)
            case Step.RENEW:
                try:
                    return await self._renew(lease)
                except (RefreshError, NoCredentialError):  # another credential may do
                    attempts.tried.add(lease.credential_id)
                    return await self._lease_any(job, lease, failure)
            case Step.ELSEWHERE:
                return await self._lease_any(job, lease, failure)
            case _:
                assert_never(plan.step)

    async def _renew(self, lease: Lease) -> Lease:
        """The lease with a fresh access token; a refresh that takes long is left to others if another one is ready."""
        with trio.move_on_after(RENEWAL_PATIENCE_SECONDS):
            return await self._broker.renew(lease)
        if self._broker.has_usable():
            raise RefreshFailedError("the refresh takes long, and another credential is ready")
        return await self._broker.renew(lease)

    async def _lease_any(self, job: _Job, lease: Lease, failure: Kiro2ApiError) -> Lease:
        """The lease of a credential that is not out for this request, after a short wait if that brings one."""
        attempts = job.attempts
        try:
            return await self._broker.lease(exclude=attempts.tried, want=job.want)
        except NoCredentialError as none_left:
            free_in = none_left.retry_after if none_left.kind is ErrorKind.RATE_LIMITED else None
            wait = attempts.select_wait(failure, lease.credential_id, free_in=free_in, pauses=self.pauses)
            if wait is None or not job.spending.acquire():
                self._refuse(failure, none_left)
        await trio.sleep(wait)
        try:
            return await self._broker.lease(exclude=attempts.tried, want=job.want)
        except NoCredentialError as none_left:
            self._refuse(failure, none_left)

    def _refuse(self, failure: Kiro2ApiError, none_left: NoCredentialError) -> NoReturn:
        """Raises what the client is told when no credential is left after ``failure``.

        The last credential's failure says more than that there is no other; but it speaks for itself alone, and not
        for one before it that is only throttled for a moment.
        """
        is_own = classify_failure(failure) in CREDENTIAL_FAILURES
        if is_own and none_left.kind is not failure.kind and not self._broker.has_usable():
            raise none_left from failure
        known = [seconds for seconds in (failure.retry_after, none_left.retry_after) if seconds is not None]
        failure.retry_after = min(known, default=None)
        raise failure from none_left
