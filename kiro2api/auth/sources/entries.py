"""Credentials from the JSON of ``KIRO_AUTH_TOKEN``, and back into it.

Unknown members are ignored when reading and kept when writing. Every fault names the entry's position and the member,
never a value.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

import msgspec

from kiro2api.auth.credentials import ApiKey, Credential, ExternalIdpLogin, IdcLogin, Login, SocialLogin
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources.loaded import Loaded, build_credential, get_secret, merge_loaded
from kiro2api.auth.sources.members import Fields, decode_json
from kiro2api.auth.sources.text import check_api_key

DEFAULT_SSO_REGION = "us-east-1"
"""Of Builder ID; an Identity Center may be anywhere."""
BUILDER_ID = "BuilderId"
"""What Kiro calls the provider of Builder ID logins."""


class Method(enum.Enum):
    """How a login is refreshed; the value is how this program writes it."""

    SOCIAL = "Social"
    IDC = "IdC"
    EXTERNAL_IDP = "external_idp"
    API_KEY = "api_key"


_METHODS = {
    "social": Method.SOCIAL,
    "google": Method.SOCIAL,
    "github": Method.SOCIAL,
    "idc": Method.IDC,
    "iam": Method.IDC,
    "builderid": Method.IDC,
    "externalidp": Method.EXTERNAL_IDP,
    "apikey": Method.API_KEY,
}
"""The words of several programs, in lower case and without hyphens."""


def parse_auth_entries(text: str, *, source: str = "KIRO_AUTH_TOKEN") -> Loaded:
    """The credentials of a JSON array of entries, or of a single entry; notes about those that are left out.

    Raises:
        CredentialSourceError: It is no such JSON, holds no entry, or one that cannot be used.
    """
    return merge_loaded([split_auth_entries(text, source=source)])


def split_auth_entries(text: str, *, source: str) -> Loaded:
    """As :func:`parse_auth_entries`, with repetitions, and with labels only where the operator gave them."""
    entries = _decode_entries(text, source=source)
    if not entries:
        raise CredentialSourceError("the list holds no entry", source=source)
    credentials: list[Credential] = []
    notes: list[str] = []
    for fields in entries:
        if fields.find_flag("disabled"):
            notes.append(f"{source} entry {fields.position} is disabled and left out.")
        else:
            credentials.append(_parse_entry(fields))
    return Loaded(credentials=tuple(credentials), notes=tuple(notes))


def find_method(fields: Fields, key: str) -> Method | None:
    """The method that the member names, ``None`` if it is absent."""
    word = fields.find_text(key)
    if word is None:
        return None
    method = _METHODS.get(word.lower().replace("-", "").replace("_", ""))
    if method is None:
        raise fields.fault(key, "has to be Social, IdC, builder-id, external_idp or api_key")
    return method


def is_builder_id(fields: Fields) -> bool:
    """Whether one of the members says so by which programs tell a Builder ID."""
    words = {str(fields.members.get(key)).lower().replace("-", "") for key in ("auth", "authMethod", "provider")}
    return BUILDER_ID.lower() in words or is_builder_start_url(fields.members.get("startUrl"))


def is_builder_start_url(value: object) -> bool:
    """Whether this is the page where logins with a Builder ID begin; every Identity Center has one of its own."""
    return isinstance(value, str) and value.rstrip("/#").lower() == "https://view.awsapps.com/start"


def parse_login(fields: Fields, method: Method) -> Login:
    """The login of an entry that has all of it."""
    match method:
        case Method.SOCIAL:
            return SocialLogin(refresh_token=fields.get_secret("refreshToken"))
        case Method.IDC:
            return IdcLogin(
                refresh_token=fields.get_secret("refreshToken"),
                client_id=fields.get_secret("clientId"),
                client_secret=fields.get_secret("clientSecret"),
                region=fields.find_region("region") or DEFAULT_SSO_REGION,
                is_builder_id=is_builder_id(fields),
            )
        case Method.EXTERNAL_IDP:
            return ExternalIdpLogin(
                refresh_token=fields.get_secret("refreshToken"),
                client_id=fields.get_secret("clientId"),
                token_endpoint=fields.get_endpoint("tokenEndpoint"),
            )
        case Method.API_KEY:
            key = fields.get_secret("kiroApiKey")
            check_api_key(key, '"kiroApiKey"', source=fields.source, position=fields.position)
            return ApiKey(key=key)
        case _:
            assert_never(method)


def export_credentials(credentials: Iterable[Credential], existing_text: str | None = None) -> str:
    """JSON for ``KIRO_AUTH_TOKEN``: the entries of ``existing_text`` as they are, then those that it lacks.

    Raises:
        CredentialSourceError: The existing text is no such JSON, or has an entry that cannot be used.
    """
    existing = _decode_entries(existing_text, source="") if existing_text and existing_text.strip() else []
    entries: list[Mapping[str, object]] = [fields.members for fields in existing]
    known = {get_secret(_parse_entry(fields).login) for fields in existing}
    for credential in credentials:
        secret = get_secret(credential.login)
        if secret not in known:
            known.add(secret)
            entries.append(_build_entry(credential))
    return msgspec.json.format(msgspec.json.encode(entries), indent=2).decode() + "\n"


def _decode_entries(text: str, *, source: str) -> list[Fields]:
    value = decode_json(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").strip(), source=source)
    items = value if isinstance(value, list) else [value]
    entries: list[Fields] = []
    for position, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise CredentialSourceError("is no JSON object, which is like {…}", position=position, source=source)
        entries.append(Fields(members=item, source=source, position=position))
    return entries


def _parse_entry(fields: Fields) -> Credential:
    method = find_method(fields, "auth") or find_method(fields, "authMethod")
    if method is None:
        method = Method.API_KEY if fields.find_text("kiroApiKey") else Method.SOCIAL
    credential = build_credential(
        parse_login(fields, method), source=fields.source, label=fields.find_label("label") or ""
    )
    return replace(credential, profile_arn=fields.find_arn("profileArn"), api_region=fields.find_region("apiRegion"))


def _build_entry(credential: Credential) -> dict[str, str]:
    entry = _build_login(credential.login)
    if credential.api_region:
        entry["apiRegion"] = credential.api_region
    if credential.profile_arn:
        entry["profileArn"] = credential.profile_arn
    if credential.label:
        entry["label"] = credential.label
    return entry


def _build_login(login: Login) -> dict[str, str]:
    match login:
        case SocialLogin():
            return {"auth": Method.SOCIAL.value, "refreshToken": login.refresh_token}
        case IdcLogin():
            provider = {"provider": BUILDER_ID} if login.is_builder_id else {}
            return {
                "auth": Method.IDC.value,
                "refreshToken": login.refresh_token,
                "clientId": login.client_id,
                "clientSecret": login.client_secret,
                "region": login.region,
                **provider,
            }
        case ExternalIdpLogin():
            return {
                "auth": Method.EXTERNAL_IDP.value,
                "refreshToken": login.refresh_token,
                "clientId": login.client_id,
                "tokenEndpoint": login.token_endpoint,
            }
        case ApiKey():
            return {"auth": Method.API_KEY.value, "kiroApiKey": login.key}
        case _:
            assert_never(login)
