"""The settings of a running proxy."""

from kiro2api.config.addresses import is_loopback
from kiro2api.config.faults import EXIT_CONFIG, ConfigurationError, Fault
from kiro2api.config.keys import DEFAULT_CLIENT_KEY
from kiro2api.config.loading import list_proxies, load_settings
from kiro2api.config.secret_texts import SecretFileError, list_secrets, read_secret_file, take_secrets
from kiro2api.config.settings import Settings
from kiro2api.config.state import StatePlace, locate_state
from kiro2api.config.variables import Variable, list_variables

__all__ = [
    "DEFAULT_CLIENT_KEY",
    "EXIT_CONFIG",
    "ConfigurationError",
    "Fault",
    "SecretFileError",
    "Settings",
    "StatePlace",
    "Variable",
    "is_loopback",
    "list_proxies",
    "list_secrets",
    "list_variables",
    "load_settings",
    "locate_state",
    "read_secret_file",
    "take_secrets",
]
