"""kiro2api: Anthropic and OpenAI clients on AWS CodeWhisperer / Kiro, with the user's own credentials."""

__version__ = "0.1.0"
