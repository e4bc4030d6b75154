"""Logins of other programs, copied into a file for ``KIRO_AUTH_TOKEN``."""

import io
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from kiro2api.auth.sources import parse_auth_entries
from kiro2api.commands.importing import import_logins
from tests.unit.auth.sources.samples import (
    ALL_ROWS,
    IDC_FILE,
    REGISTRATION,
    ROTATED,
    SECRET,
    SOCIAL_FILE,
    write_json,
    write_store,
)

IDE_PLACE = ".aws/sso/cache/kiro-auth-token.json"
CLI_PLACE = ".local/share/kiro-cli/data.sqlite3"


class Outcome:
    """What an import said, and what it left."""

    def __init__(
        self,
        home: Path,
        *,
        path: Path | None = None,
        to: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.code = import_logins(path, to, environ={"HOME": str(home), **(environ or {})}, out=out, err=err)
        self.out, self.err = out.getvalue(), err.getvalue()
        assert SECRET not in self.out + self.err
        assert "arn:" not in self.out + self.err
        assert len(max((self.out + self.err).splitlines(), key=len)) <= 100 + 2 * len(str(home))


def _read_labels(place: Path) -> list[str]:
    return [credential.label for credential in parse_auth_entries(place.read_text()).credentials]


def test_it_copies_what_is_in_the_usual_places(tmp_path: Path) -> None:
    """Into a file that only its owner may read, and says how to use it."""
    ide = write_json(tmp_path / IDE_PLACE, {**SOCIAL_FILE, "refreshToken": ROTATED})
    store = write_store(tmp_path / CLI_PLACE, ALL_ROWS)
    place = tmp_path / ".config/kiro2api/credentials.json"

    outcome = Outcome(tmp_path)

    assert (outcome.code, outcome.err) == (0, "")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert _read_labels(place) == ["social-1", "social-2", "idc-1", "external-idp-1"]
    lines = outcome.out.splitlines()
    assert [line.split()[:4] for line in lines[2:6]] == [
        ["social-1", "social", "from", str(ide)],
        ["social-2", "social", "from", str(store)],
        ["idc-1", "idc", "from", str(store)],
        ["external-idp-1", "external-idp", "from", str(store)],
    ]
    assert f"  KIRO_AUTH_TOKEN={place}" in lines
    assert lines[-2:] == [f"  KIRO_TOKEN_FILE={ide}", f"  KIRO_CLI_STORE={store}"]


@pytest.mark.parametrize(
    ("environ", "below"),
    [({"XDG_CONFIG_HOME": "/{tmp}/conf"}, "conf/kiro2api"), ({"XDG_CONFIG_HOME": "conf"}, ".config/kiro2api")],
)
def test_the_file_is_where_configuration_belongs(tmp_path: Path, environ: Mapping[str, str], below: str) -> None:
    """A relative folder counts as none."""
    write_json(tmp_path / IDE_PLACE, SOCIAL_FILE)
    absolute = {name: value.replace("/{tmp}", str(tmp_path)) for name, value in environ.items()}

    Outcome(tmp_path, environ=absolute)

    assert _read_labels(tmp_path / below / "credentials.json") == ["social-1"]


@pytest.mark.parametrize("kind", ["token file", "store"])
def test_it_copies_from_a_path_to_a_path(tmp_path: Path, kind: str) -> None:
    """A client registration beside a token file comes along."""
    if kind == "store":
        path = write_store(tmp_path / "data", {key: ALL_ROWS[key] for key in ALL_ROWS if "odic" in key})
    else:
        path = write_json(tmp_path / "token", IDC_FILE)
        write_json(tmp_path / "abc123.json", REGISTRATION)

    outcome = Outcome(tmp_path, path=path, to=tmp_path / "a/b.json")

    [entry] = json.loads((tmp_path / "a/b.json").read_text())
    assert (outcome.code, outcome.err) == (0, "")
    assert (entry["auth"], entry["region"], entry["clientSecret"]) == ("IdC", "eu-west-1", "secret-HIDDEN")
    assert "label" not in entry


def test_what_the_file_has_stays(tmp_path: Path) -> None:
    """Once more the same adds nothing; another login is added behind, and the operator told to look."""
    place = write_json(tmp_path / "to.json", [{"refreshToken": "mine-HIDDEN", "label": "mine", "note": "kept"}])
    token_file = write_json(tmp_path / "token", SOCIAL_FILE)

    first = Outcome(tmp_path, path=token_file, to=place)
    written = place.read_text()
    second = Outcome(tmp_path, path=token_file, to=place)

    assert (_read_labels(place), json.loads(written)[0]["note"]) == (["mine", "social-1"], "kept")
    assert place.read_text() == written
    assert "(was there already)" not in first.out
    assert "(was there already)" in second.out
    assert "The file keeps the entries that it had (1)" in first.out


def test_a_disabled_entry_stays_disabled(tmp_path: Path) -> None:
    """And that is said: nothing else would tell why it is not used."""
    entry = {"refreshToken": SOCIAL_FILE["refreshToken"], "disabled": True}
    place = write_json(tmp_path / "to.json", [entry, {"refreshToken": "mine-HIDDEN"}])

    outcome = Outcome(tmp_path, path=write_json(tmp_path / "token", SOCIAL_FILE), to=place)

    assert "(is there, and disabled)" in outcome.out
    assert len(json.loads(place.read_text())) == 2


def test_an_empty_list_is_filled(tmp_path: Path) -> None:
    """Somebody has begun to write it."""
    place = write_json(tmp_path / "to.json", [])

    outcome = Outcome(tmp_path, path=write_json(tmp_path / "token", SOCIAL_FILE), to=place)

    assert (outcome.code, _read_labels(place)) == (0, ["social-1"])


def test_a_broken_place_among_good_ones_is_left_out(tmp_path: Path) -> None:
    """And named, with what is wrong."""
    write_json(tmp_path / IDE_PLACE, SOCIAL_FILE)
    (tmp_path / CLI_PLACE).parent.mkdir(parents=True)
    (tmp_path / CLI_PLACE).write_text("nonsense")

    outcome = Outcome(tmp_path)

    assert outcome.code == 0
    assert f"{tmp_path / CLI_PLACE} is left out: " in " ".join(outcome.err.split("\n"))


def test_a_file_that_others_may_read_is_told_of(tmp_path: Path) -> None:
    """The copy is better kept than what it was made of."""
    path = write_json(tmp_path / "token", SOCIAL_FILE)
    path.chmod(0o644)

    assert "chmod 600" in Outcome(tmp_path, path=path).err


def test_a_path_with_a_blank_can_be_pasted(tmp_path: Path) -> None:
    """In the quotation marks that a shell and ``.env`` understand."""
    place = tmp_path / "my files" / "c.json"

    outcome = Outcome(tmp_path, path=write_json(tmp_path / "token", SOCIAL_FILE), to=place)

    assert f"  KIRO_AUTH_TOKEN='{place}'\n" in outcome.out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "there is no such file", id="missing"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("{", "not a JSON object", id="cut off"),
        pytest.param('{"accessToken": "a"}', '"refreshToken" is missing', id="without a login"),
        pytest.param("SQLite format 3\0", "cannot be read as the store of kiro-cli", id="broken store"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    """By its name and with the reason; nothing is written."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)

    outcome = Outcome(tmp_path, path=path)

    assert (outcome.code, outcome.out) == (78, "")
    assert f"{path}: " in outcome.err
    assert reason in outcome.err
    assert not (tmp_path / ".config").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("[", "not valid JSON", id="broken"),
        pytest.param('[{"auth": "Social"}]', '"refreshToken" is missing', id="unusable entry"),
        pytest.param(json.dumps(SOCIAL_FILE), "is a file of the Kiro IDE", id="the IDE's own"),
    ],
)
def test_a_target_that_is_something_else_is_left_alone(tmp_path: Path, content: str, reason: str) -> None:
    """It may be dear to somebody."""
    place = tmp_path / "to.json"
    place.write_text(content)
    place.chmod(0o600)

    outcome = Outcome(tmp_path, path=write_json(tmp_path / "token", SOCIAL_FILE), to=place)

    assert (outcome.code, outcome.out, place.read_text()) == (78, "", content)
    assert f"{place}: " in outcome.err
    assert reason in outcome.err


@pytest.mark.parametrize(
    ("environ", "broken", "reason"),
    [
        ({}, False, "no login of the Kiro IDE"),
        ({}, True, "cannot be read as the store"),
        ({"HOME": ""}, False, "neither HOME nor XDG_CONFIG_HOME"),
    ],
    ids=["nothing found", "nothing usable", "nowhere to put it"],
)
def test_nothing_to_copy_is_a_clear_message(
    tmp_path: Path,
    environ: Mapping[str, str],
    broken: bool,  # noqa: FBT001 - a parameter
    reason: str,
) -> None:
    """With the exit code of a configuration that cannot be used."""
    if broken:
        (tmp_path / CLI_PLACE).parent.mkdir(parents=True)
        (tmp_path / CLI_PLACE).write_text("nonsense")

    outcome = Outcome(tmp_path, environ=environ)

    assert (outcome.code, outcome.out) == (78, "")
    assert reason in outcome.err
