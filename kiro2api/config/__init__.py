"""The settings of a running proxy."""

from kiro2api.config.settings import (
    EXIT_CONFIG,
    ConfigurationError,
    Fault,
    Settings,
    Variable,
    list_proxies,
    list_variables,
    load_settings,
)
from kiro2api.config.values import DEFAULT_CLIENT_KEY, is_loopback

__all__ = [
    "DEFAULT_CLIENT_KEY",
    "EXIT_CONFIG",
    "ConfigurationError",
    "Fault",
    "Settings",
    "Variable",
    "is_loopback",
    "list_proxies",
    "list_variables",
    "load_settings",
]
