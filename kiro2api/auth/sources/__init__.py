"""Where credentials come from."""

from kiro2api.auth.sources.entries import export_credentials, parse_auth_entries
from kiro2api.auth.sources.files import write_secret_file
from kiro2api.auth.sources.loaded import Loaded
from kiro2api.auth.sources.loading import SourceSpec, SourceText, load_credentials
from kiro2api.auth.sources.local import describe_local_credentials, find_data_home, find_local_credentials
from kiro2api.auth.sources.shared import reread, write_back
from kiro2api.auth.sources.text import parse_api_keys, parse_refresh_tokens

__all__ = [
    "Loaded",
    "SourceSpec",
    "SourceText",
    "describe_local_credentials",
    "export_credentials",
    "find_data_home",
    "find_local_credentials",
    "load_credentials",
    "parse_api_keys",
    "parse_auth_entries",
    "parse_refresh_tokens",
    "reread",
    "write_back",
    "write_secret_file",
]
