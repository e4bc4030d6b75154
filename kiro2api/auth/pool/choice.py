"""The pool: who may be used, in which order, and whom a conversation belongs to."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import takewhile
from operator import attrgetter
from typing import assert_never

from kiro2api.auth.credentials import Credential, Outcome, Want
from kiro2api.auth.pool.conversations import MAX_CONVERSATIONS, Conversations
from kiro2api.auth.pool.entry import Entry
from kiro2api.auth.pool.explanation import explain_refusal, render_obstacle, render_passed_over
from kiro2api.auth.pool.selection import (
    ChoiceRule,
    Chosen,
    CredentialState,
    Ranking,
    RefreshVerdict,
    Selection,
)

_ANYTHING = Want()
_REASONS = {
    ChoiceRule.ROUND_ROBIN: "next in turn",
    ChoiceRule.LEAST_USED: "least used",
    ChoiceRule.SEQUENTIAL: "first in order",
}


class CredentialPool:
    """The credentials of this process and what is known of each.

    Whatever names a credential that has left the pool does nothing.

    Args:
        credentials: In the configured order.
        jitter: Draws from 0 to 1; 0.5 leaves every cooldown as it stands in the table of outcomes.
        rule: Orders those that nothing else tells apart.
        max_conversations: That are remembered.
    """

    def __init__(
        self,
        credentials: Iterable[Credential],
        *,
        jitter: Callable[[], float],
        rule: ChoiceRule = ChoiceRule.ROUND_ROBIN,
        max_conversations: int = MAX_CONVERSATIONS,
    ) -> None:
        self._jitter = jitter
        self._rule = rule
        self._entries: dict[str, Entry] = {}
        self._leaving: dict[str, int] = {}
        """Leases in flight of credentials that are gone, should they come back."""
        self._conversations = Conversations(max_conversations)
        self._turn = 0
        self._least_load = 0
        """The least load of a usable credential at the latest lease."""
        self.replace(credentials)

    def replace(self, credentials: Iterable[Credential]) -> None:
        """Takes over another set; what is known of those that stay is kept.

        A login that is another than before (:attr:`Credential.origin`) is revoked no more, and its failed refreshes are
        forgotten.
        """
        former, self._entries = self._entries, {}
        for credential in credentials:
            entry = former.get(credential.credential_id) or self._build_entry(credential)
            entry.update(credential)
            self._entries[credential.credential_id] = entry
        for credential_id in former.keys() - self._entries.keys():
            if former[credential_id].in_flight:
                self._leaving[credential_id] = former[credential_id].in_flight
        self._conversations.retain(self._entries)

    def rank(self, now: float, *, exclude: Collection[str] = (), want: Want = _ANYTHING) -> Ranking:
        """All credentials that may be used at ``now``, best first; changes nothing.

        The conversation's own comes first, then those that still have quota, each in the order of the rule. One that is
        passed over for its failures is among them only when no other stands, one whose list lacks the model only when
        no other may have it, excluded or not: that an exchange has tried the good one is no reason to take a bad one.
        One that was refused the model is among them only when all of the pool were.
        """
        entries = self._select_standing(now, want)
        self._sort(entries)
        fresh = [entry for entry in entries if entry.spent_until <= now]
        if len(fresh) < len(entries):
            entries = fresh + [entry for entry in entries if entry.spent_until > now]
        candidates = [entry.credential_id for entry in entries]
        if exclude:
            candidates = [credential_id for credential_id in candidates if credential_id not in exclude]
        own = self._conversations.find(want.session)
        if own is None or own not in candidates:
            return Ranking(candidates=tuple(candidates), own=None)
        candidates.remove(own)
        return Ranking(candidates=(own, *candidates), own=own)

    def select(self, now: float, *, exclude: Collection[str] = (), want: Want = _ANYTHING) -> Selection:
        """The first of :meth:`rank`, or why there is none, which is told for all, the excluded ones included."""
        candidates = self.rank(now, exclude=exclude, want=want).candidates
        if candidates:
            return Chosen(credential_id=candidates[0])
        return explain_refusal(tuple(self._entries.values()), now, _fold_model(want))

    def explain(self, credential_id: str, now: float, *, exclude: Collection[str] = (), want: Want = _ANYTHING) -> str:
        """Why this credential and no other, for the log; to be asked before it is leased."""
        entry = self._entries.get(credential_id)
        if entry is None:
            return ""
        model = _fold_model(want)
        ranking = self.rank(now, exclude=exclude, want=want)
        ahead = set(takewhile(lambda candidate: candidate != credential_id, ranking.candidates))
        behind = set(ranking.candidates) - ahead
        passed = [other for other in self._entries.values() if other is not entry and other.credential_id not in behind]
        obstacles = (render_obstacle(other, now, exclude=exclude, model=model) for other in passed)
        reason = self._find_reason(credential_id, ranking)
        owner = self._conversations.find(want.session)
        if owner is not None and owner != credential_id:
            obstacle, *_ = render_obstacle(self._entries[owner], now, exclude=exclude, model=model).split()
            reason = f"{reason}, conversation moved from {self._entries[owner].label} ({obstacle})"
        return reason + render_passed_over(passed, obstacles)

    def lease(self, credential_id: str, now: float, *, want: Want = _ANYTHING) -> None:
        """Notes that the credential has its turn, and that the conversation belongs to it from now on."""
        entry = self._entries.get(credential_id)
        if entry is None:
            return
        self._turn += 1
        entry.turn = self._turn
        entry.uses += 1
        entry.in_flight += 1
        if self._rule is ChoiceRule.LEAST_USED:
            self._add_load(entry, now)
        if want.session is not None:
            self._conversations.assign(want.session, credential_id)

    def give_back(self, credential_id: str) -> None:
        """Notes the end of one lease, whatever its outcome."""
        entry = self._entries.get(credential_id)
        if entry is not None:
            entry.in_flight = max(0, entry.in_flight - 1)
        elif self._leaving.get(credential_id, 0) > 1:
            self._leaving[credential_id] -= 1
        else:
            self._leaving.pop(credential_id, None)

    def record(
        self,
        credential_id: str,
        outcome: Outcome,
        now: float,
        *,
        retry_after: float | None = None,
        model: str | None = None,
    ) -> None:
        """Notes how an exchange with the credential ended.

        Args:
            credential_id: Whose outcome it is.
            outcome: How it ended.
            now: When.
            retry_after: Seconds that the upstream asked to be left alone; counts for ``RATE_LIMITED`` only.
            model: The upstream's id of the model that was asked for; counts for ``MODEL_REFUSED`` only.
        """
        entry = self._entries.get(credential_id)
        if entry is not None:
            entry.record(outcome, now, retry_after=retry_after, model=model)

    def record_refresh_failure(
        self,
        credential_id: str,
        now: float,
        *,
        verdict: RefreshVerdict,
        retry_after: float | None = None,
        live: bool = False,
    ) -> float:
        """Notes that a refresh brought nothing; returns when the next may be tried, infinity for never.

        Args:
            credential_id: Whose refresh it was.
            now: When it failed.
            verdict: What it says about the login.
            retry_after: Seconds that the service asked to be left alone.
            live: An earlier access token still does: unless revoked, the credential stays usable.
        """
        entry = self._entries.get(credential_id)
        if entry is None:
            return math.inf
        return entry.record_refresh_failure(now, verdict=verdict, retry_after=retry_after, live=live)

    def record_refreshed(self, credential_id: str) -> None:
        """Notes that the credential has a new access token, from whichever process.

        Failed refreshes are forgotten, and it is revoked no more; other cooldowns run on.
        """
        entry = self._entries.get(credential_id)
        if entry is not None:
            entry.record_refreshed()

    def note_models(self, credential_id: str, models: frozenset[str] | None) -> None:
        """Notes the upstream's ids of the models that the service lists for the credential; ``None`` if unknown."""
        entry = self._entries.get(credential_id)
        if entry is not None:
            entry.note_models(models)

    def note_limits(self, credential_id: str, *, left: float | None, resets_at: float | None) -> None:
        """Notes what the service says of the quota: what is left, and when it begins anew; ``None`` if unknown.

        One with nothing left comes behind the others, and is never refused for it.
        """
        entry = self._entries.get(credential_id)
        if entry is not None:
            entry.note_limits(left, resets_at)

    def export_cooldowns(self, credential_id: str, now: float) -> dict[str, float]:
        """Until when the account is to be left alone, by the value of the :class:`Standing`, for other processes."""
        entry = self._entries.get(credential_id)
        return {} if entry is None else entry.cooldowns.export(now)

    def import_cooldowns(self, credential_id: str, cooldowns: Mapping[str, float], now: float) -> None:
        """Takes over what another process exported; shortens nothing, and leaves out what cannot be meant."""
        entry = self._entries.get(credential_id)
        if entry is not None:
            entry.cooldowns.take_over(cooldowns, now)

    def has_standing(self, now: float) -> bool:
        """Whether any credential may be used at ``now``, by a request that asks for nothing in particular."""
        return any(entry.cooldowns.until <= now for entry in self._entries.values())

    def statistics(self, now: float) -> tuple[CredentialState, ...]:
        """How each credential stands, in the configured order."""
        return tuple(entry.build_state(now) for entry in self._entries.values())

    def __repr__(self) -> str:
        states = [f"{entry.label} {entry.cooldowns}".strip() for entry in self._entries.values()]
        return f"<CredentialPool {', '.join(states)}>"

    def _build_entry(self, credential: Credential) -> Entry:
        entry = Entry(credential, self._jitter)
        entry.load = self._least_load
        entry.in_flight = self._leaving.pop(credential.credential_id, 0)
        return entry

    def _select_standing(self, now: float, want: Want) -> list[Entry]:
        entries = [entry for entry in self._entries.values() if entry.cooldowns.until <= now]
        if want.model is not None:
            entries = self._select_entitled(entries, want.model.lower(), now)
        return [entry for entry in entries if entry.ejected_until <= now] or entries

    def _select_entitled(self, entries: list[Entry], model: str, now: float) -> list[Entry]:
        good = [entry for entry in entries if entry.may_have(model, now)]
        if good:
            return good
        if any(entry.is_throttled(now) and entry.may_have(model, now) for entry in self._entries.values()):
            return []  # back within minutes: to be told so is better than that there is no such model
        unlisted = [entry for entry in entries if not entry.refuses(model, now)]
        if unlisted:
            return unlisted
        if any(not entry.is_revoked and not entry.refuses(model, now) for entry in self._entries.values()):
            return []
        return entries

    def _sort(self, entries: list[Entry]) -> None:
        match self._rule:
            case ChoiceRule.ROUND_ROBIN:
                entries.sort(key=attrgetter("turn"))
            case ChoiceRule.LEAST_USED:
                entries.sort(key=attrgetter("in_flight", "load", "turn"))
            case ChoiceRule.SEQUENTIAL:
                pass
            case _:
                assert_never(self._rule)

    def _add_load(self, entry: Entry, now: float) -> None:
        """Counts a use; those that are not well keep the pace, so that they are not flooded when they are."""
        entry.load += 1
        least = min((other.load for other in self._entries.values() if other.is_well(now)), default=0)
        if least > self._least_load:
            self._least_load = least
            for other in self._entries.values():
                other.load = max(other.load, least)

    def _find_reason(self, credential_id: str, ranking: Ranking) -> str:
        if ranking.own == credential_id:
            return "own conversation"
        if ranking.candidates == (credential_id,):
            return "only one usable"
        return _REASONS[self._rule]


def _fold_model(want: Want) -> str | None:
    return None if want.model is None else want.model.lower()
