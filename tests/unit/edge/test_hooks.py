"""A hypercorn that has changed is refused, in words that name it; what each hook does is tested beside its class."""

from importlib.metadata import version

import pytest

from kiro2api.edge.buffers import Backlog
from kiro2api.edge.connection import Connection, Tasks
from kiro2api.edge.hooks import HOOKS, Hook, HookError, check_hooks
from kiro2api.edge.http1 import Http1Protocol, Parser
from kiro2api.edge.http2 import Http2Protocol


class _Theirs:
    def renamed(self) -> None: ...

    def widened(self, data: bytes, more: int) -> None: ...

    def forgotten(self) -> None: ...

    def kept(self) -> None: ...


class _Ours(_Theirs):
    def kept(self) -> None: ...

    def gone(self) -> None: ...

    def widened(self, data: bytes) -> None: ...  # type: ignore[override]  # what is looked for

    def forgotten(self) -> None: ...


def _call(theirs: _Theirs) -> None:
    theirs.kept()
    theirs.widened(b"", 1)
    theirs.renamed()


def test_the_installed_hypercorn_fits() -> None:
    """All that is hooked is there, and is called."""
    check_hooks()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gone", "there is no _Theirs.gone"),
        ("widened", "_Theirs.widened takes other arguments"),
        ("forgotten", "_call does not use _Theirs.forgotten"),
    ],
)
def test_another_hypercorn_is_refused(name: str, problem: str) -> None:
    """For a method that is gone, that takes other arguments, or that nothing calls any more."""
    hook = Hook(ours=_Ours, theirs=_Theirs, name=name, caller=_call)

    with pytest.raises(HookError) as caught:
        check_hooks((hook,))

    assert str(caught.value).endswith(f": {problem}")
    assert f"hypercorn {version('hypercorn')} " in str(caught.value)


def test_what_fits_is_no_problem() -> None:
    """A method with the same arguments that is called."""
    assert Hook(ours=_Ours, theirs=_Theirs, name="kept", caller=_call).find_problems() == []


def test_a_missing_attribute_is_a_problem() -> None:
    """What hypercorn's constructors no longer set cannot be used."""
    with pytest.raises(HookError, match="_Theirs has no stream"):
        check_hooks((), attributes=((_Theirs, frozenset({"stream"})),))


@pytest.mark.parametrize("ours", [Connection, Tasks, Http1Protocol, Parser, Http2Protocol, Backlog])
def test_every_override_of_a_private_method_is_a_hook(ours: type) -> None:
    """Nothing is replaced that is not looked at."""
    base = ours.__mro__[1]
    replaced = {name for name in vars(ours) if name in vars(base) and callable(vars(base)[name])}
    covered = {hook.name for hook in HOOKS if hook.ours is ours}

    assert replaced - covered <= {"__init__", "initiate", "handle", "run"}
