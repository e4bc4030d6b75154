"""Answers in JSON: the form that a client asks for, and whether a text has it."""

from kiro2api.protocol.answerformat.check import AnswerFormatError, FormattedAnswer, check_answer
from kiro2api.protocol.answerformat.schema import read_answer_format

__all__ = ["AnswerFormatError", "FormattedAnswer", "check_answer", "read_answer_format"]
