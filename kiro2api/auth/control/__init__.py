"""The control plane's questions and answers about limits, models and profiles, as values: nothing is sent here.

All of it is advice. An answer that cannot be read, or none, changes nothing about a credential.
"""

from kiro2api.auth.control.answers import (
    MAX_ANSWER_BYTES,
    MAX_PAGES,
    ControlAnswerError,
    ListedModel,
    ModelsPage,
    ProfilesPage,
    UsageLimits,
    join_models,
    parse_models,
    parse_profiles,
    parse_usage,
)
from kiro2api.auth.control.questions import (
    BUILDER_ID_PROFILE_ARN,
    ControlRequest,
    build_auth_headers,
    build_models_request,
    build_profiles_request,
    build_usage_request,
)
from kiro2api.auth.control.verdicts import Verdict, judge_models, judge_profiles, judge_usage

__all__ = [
    "BUILDER_ID_PROFILE_ARN",
    "MAX_ANSWER_BYTES",
    "MAX_PAGES",
    "ControlAnswerError",
    "ControlRequest",
    "ListedModel",
    "ModelsPage",
    "ProfilesPage",
    "UsageLimits",
    "Verdict",
    "build_auth_headers",
    "build_models_request",
    "build_profiles_request",
    "build_usage_request",
    "join_models",
    "judge_models",
    "judge_profiles",
    "judge_usage",
    "parse_models",
    "parse_profiles",
    "parse_usage",
]
