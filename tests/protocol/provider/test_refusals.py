"""Whether a refusal is of what was said before: the provider's words, and what they mean."""

from __future__ import annotations

import pytest

from protocol.provider.refusals import blamed_message, blames_container, blames_thinking

MISMATCH = (
    "messages.9.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
    "different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)


@pytest.mark.parametrize(("path", "blamed"), [(0, 0), (3, 3), (4, None), (41, None)])
def test_a_path_before_the_turn_is_the_past(path: int, blamed: int | None) -> None:
    """The turn's own messages begin with number 4 here."""
    assert blamed_message(f"messages.{path}.content.0.text: cannot be so", 4) == blamed


def test_one_of_several_paths_is_enough() -> None:
    """A refusal may name several."""
    assert blamed_message("messages.7.content: no; messages.1.content.0: no", 4) == 1


@pytest.mark.parametrize(
    "explanation",
    [
        MISMATCH,
        "messages.9.content.0: Invalid `data` in `redacted_thinking` block",
        "messages.9.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
        "messages.9: thinking blocks in the latest assistant message cannot be modified.",
        "thinking.adaptive.block_binding: Extra inputs are not permitted",
        "messages.9: role 'system' is not supported on this model",
        'messages: Unexpected role "system". The Messages API accepts a top-level `system`.',
        "messages.9.role: Input should be 'user' or 'assistant'",
        "messages.9: a system message must immediately follow a user turn",
        "messages.9.content.0: `tool_addition` blocks require a value in the header.",
        "messages.9.content.0.tool_removal.tool: Input should be a reference to a tool",
        "tool_name_conflict: the tool `weather` is of another type",
        "Inline tools are not supported on this platform.",
        "Unexpected value(s) `inline-tools-2026-09-15` for the `anthropic-beta` header.",
    ],
)
def test_some_words_are_always_of_the_past(explanation: str) -> None:
    """Of thinking, of announcements in the conversation, and of features that are not known."""
    assert blames_thinking(explanation)


@pytest.mark.parametrize(
    "explanation",
    [
        "messages.4.content.1.image.source: Could not process image",
        "tools.0.custom.input_schema: JSON schema is invalid",
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
        "thinking: Input tag 'enabled' found using 'type' does not match the expected tags",
        "system.0.text: text content blocks must be non-empty",
        "This model does not support the effort parameter.",
        "Your credit balance is too low to access the API.",
        "status 400",
    ],
)
def test_what_the_turn_itself_asks_for_is_not_the_past(explanation: str) -> None:
    """A new epoch would change nothing."""
    assert not blames_thinking(explanation)
    assert blamed_message(explanation, 4) is None


@pytest.mark.parametrize(
    ("explanation", "is_blamed"),
    [
        ("container_011CPR5CNjB747bTd36fQLFk not found", True),
        ("Container not found: container_1", True),
        ("container: The container container_1 has expired.", True),
        ("container_id: no such thing", True),
        ("messages.0.content.0.container_upload.file_id: File not found", False),
        ("The file is no containerized one.", False),
    ],
)
def test_a_container_may_be_told_of_by_its_id_alone(explanation: str, is_blamed: bool) -> None:
    """A block that brings a file into one is another matter."""
    assert blames_container(explanation) is is_blamed
