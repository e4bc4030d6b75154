"""Whatever comes and goes, places are counted right and shared out fairly."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.routes.admission import Client, FairQueue, Standing, Ticket

clients = st.builds(Client, address=st.sampled_from("abc"), session=st.sampled_from(["1", "2", None]))
moves = st.lists(clients | st.integers(0, 1000), max_size=60)
"""A client that comes, or the number of a ticket that goes, modulo those that are there."""


@dataclass
class Model:
    """What must hold, kept apart from the queue: who is inside and who waits, in the order of coming."""

    queue: FairQueue
    places: int
    room: int
    inside: list[Ticket] = field(default_factory=list)
    line: list[Ticket] = field(default_factory=list)

    def come(self, client: Client) -> None:
        ticket = Ticket(client)
        was_full = len(self.inside) == self.places
        refused = self.queue.enter(ticket)
        (self.line if was_full else self.inside).append(ticket)
        if refused is None:
            return
        assert len(self.line) > self.room
        load = self._count_addresses([*self.inside, *self.line])
        assert load[refused.client.address] == max(load[waiting.client.address] for waiting in self.line)
        assert refused is ticket or load[refused.client.address] > 1
        self.line.remove(refused)

    def go(self, ticket: Ticket) -> None:
        has_place = ticket in self.inside
        (self.inside if has_place else self.line).remove(ticket)
        chosen = self.queue.leave(ticket)
        if chosen is None:
            assert not (has_place and self.line)
            return
        held = self._count_addresses(self.inside)
        fewest = min(held[waiting.client.address] for waiting in self.line)
        assert held[chosen.client.address] == fewest
        if chosen.client.address == ticket.client.address:
            equals = [waiting for waiting in self.line if held[waiting.client.address] == fewest]
            assert {waiting.client.address for waiting in equals} == {ticket.client.address}
        assert chosen is next(waiting for waiting in self.line if waiting.client == chosen.client)
        self.line.remove(chosen)
        self.inside.append(chosen)

    def check(self) -> None:
        assert self.queue.in_use == len(self.inside) <= self.places
        assert self.queue.waiting == len(self.line) <= self.room
        assert not self.line or len(self.inside) == self.places
        assert {ticket.standing for ticket in self.inside} <= {Standing.ADMITTED}
        assert {ticket.standing for ticket in self.line} <= {Standing.WAITING}

    def _count_addresses(self, tickets: list[Ticket]) -> Counter[str]:
        return Counter(ticket.client.address for ticket in tickets)


def _play(script: list[Client | int], *, places: int, room: int) -> Model:
    model = Model(FairQueue(places=places, room=room), places, room)
    for move in script:
        there = model.inside + model.line
        if isinstance(move, Client):
            model.come(move)
        elif there:
            model.go(there[move % len(there)])
        model.check()
    return model


@given(script=moves, places=st.integers(1, 4), room=st.integers(0, 5))
def test_places_are_counted_right_and_go_to_those_with_the_fewest(
    script: list[Client | int], places: int, room: int
) -> None:
    """Never more than there are, none free while someone waits, in the order of coming within a client."""
    _play(script, places=places, room=room)


@given(script=moves, places=st.integers(1, 4), room=st.integers(0, 5))
def test_nobody_waits_for_ever(script: list[Client | int], places: int, room: int) -> None:
    """Once nobody comes any more, each place that comes free admits one, until nothing is left."""
    model = _play(script, places=places, room=room)
    waiting = len(model.line)
    for _ in range(waiting):
        model.go(model.inside[0])
        model.check()
    assert not model.line
    while model.inside:
        model.go(model.inside[0])
    assert (model.queue.in_use, model.queue._held) == (0, {})


@given(places=st.integers(2, 6), crowd=st.integers(1, 20), turns=st.integers(1, 30))
def test_a_crowd_does_not_keep_another_out(places: int, crowd: int, turns: int) -> None:
    """However many one client asks for, one that asks for a single place gets the next that comes free."""
    model = _play([Client(address="a")] * (places + crowd), places=places, room=20)
    for _ in range(turns):
        model.come(Client(address="b"))
        mine = model.line[-1]
        model.go(next(ticket for ticket in model.inside if ticket.client.address == "a"))
        assert mine.standing is Standing.ADMITTED
        model.go(mine)
        model.come(Client(address="a"))
        model.check()
