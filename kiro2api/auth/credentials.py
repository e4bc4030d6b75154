"""Credentials, the access tokens they buy, and the leases under which those are used.

Values only. Secrets are left out of every ``repr``.
"""

import enum
import hashlib
from dataclasses import dataclass, field

FINGERPRINT_LENGTH = 16
"""Hexadecimal digits of a fingerprint: 64 bits tell any number of secrets apart and give nothing away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialLogin:
    """A Google or GitHub login of the Kiro desktop service."""

    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdcLogin:
    """A login of AWS SSO OIDC: a Builder ID, or somebody's IAM Identity Center."""

    refresh_token: str = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    region: str
    """Of the OIDC service that issued the registration; need not be the API's."""
    is_builder_id: bool = False
    """Known only where the source says so; a Builder ID need not have a profile of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIdpLogin:
    """A login of an enterprise's own identity provider, as a public OAuth client."""

    refresh_token: str = field(repr=False)
    client_id: str = field(repr=False)
    token_endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A Kiro API key (``ksk_…``): the bearer itself, never refreshed."""

    key: str = field(repr=False)


type RefreshableLogin = SocialLogin | IdcLogin | ExternalIdpLogin
type Login = RefreshableLogin | ApiKey


class SharedFileKind(enum.Enum):
    """Files that another program writes too."""

    IDE_TOKEN = "ide_token"  # noqa: S105 - a word for a kind of file, no secret
    """The Kiro IDE's JSON file."""
    CLI_STORE = "cli_store"
    """The SQLite store of kiro-cli, or of the Amazon Q CLI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """Where a credential is kept by a program that refreshes it as well."""

    kind: SharedFileKind
    path: str
    key: str = ""
    """Which entry of a store; empty for a file that holds one credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAccess:
    """An access token that stood beside the login where that was read."""

    value: str = field(repr=False)
    expires_at: float
    """Epoch seconds."""


class TokenType(enum.Enum):
    """What the upstream has to be told about the bearer."""

    BEARER = "bearer"
    """Nothing."""
    EXTERNAL_IDP = "EXTERNAL_IDP"
    API_KEY = "API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A lasting login and what belongs to it, as it was read."""

    credential_id: str
    """The same for ever: a fingerprint of the secret as the operator configured it, or of the place of a file that
    another program keeps (whose secret changes under us)."""
    origin: str
    """Fingerprint of the secret as it was read now: what is stored under ``credential_id`` descends from it, or is
    older than it."""
    label: str
    """What people call it: the operator's own word, or like ``social-1``."""
    source: str
    """Where it was read, for people: the name of a variable, or the path of a file."""
    login: Login
    profile_arn: str | None = None
    """As configured; it has precedence over what a refresh or a list of profiles brings."""
    api_region: str | None = None
    """As configured; ``None`` leaves it to the profile and the login."""
    access: FoundAccess | None = None
    shared_file: SharedFile | None = None
    """Set if another program refreshes this login too."""

    @property
    def kind(self) -> str:
        """``social``, ``idc``, ``external-idp`` or ``api-key``."""
        match self.login:
            case SocialLogin():
                return "social"
            case IdcLogin():
                return "idc"
            case ExternalIdpLogin():
                return "external-idp"
            case ApiKey():
                return "api-key"

    @property
    def token_type(self) -> TokenType:
        match self.login:
            case ExternalIdpLogin():
                return TokenType.EXTERNAL_IDP
            case ApiKey():
                return TokenType.API_KEY
            case _:
                return TokenType.BEARER


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A short-lived bearer."""

    value: str = field(repr=False)
    expires_at: float
    """On the clock that is given to whoever made it, in seconds; infinity for an API key."""
    generation: int
    """1 for the first of a credential, one more with each refresh, by whichever process."""
    profile_arn: str | None
    is_second_hand: bool = False
    """Whether another process, or another program, has had it refreshed: nobody here knows how good it still is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lease:
    """The right to use one access token for one exchange; compared by identity, since each is returned once."""

    credential_id: str
    label: str
    access_token: AccessToken
    leased_at: float
    region: str
    """Of the API that the access token is good for."""
    token_type: TokenType = TokenType.BEARER
    choice: str = ""
    """Why this credential and no other, for the log."""


class Outcome(enum.Enum):
    """What an exchange taught about the credential it was made with."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    """Nothing: the client's fault, the network's, the model's, or cancelled."""
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a word for an outcome, no secret
    """The upstream refused an access token that was fresh."""
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    SUSPENDED = "suspended"
    FORBIDDEN = "forbidden"
    MODEL_REFUSED = "model_refused"
    """The credential may not use the model that was asked for."""
    UPSTREAM_FAILED = "upstream_failed"
    """A 5xx or an answer that broke: says little once, and much when it repeats on one credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What a request asks of the credential that is to carry it."""

    session: str | None = None
    """Names the conversation, the same for all of its requests: it stays with its credential while that is well."""
    model: str | None = None
    """The upstream's id of the model."""


def build_fingerprint(secret: str) -> str:
    """A short name for ``secret``, or for a place, from which nobody can tell it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:FINGERPRINT_LENGTH]
