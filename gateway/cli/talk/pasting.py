"""Many lines that are pasted are one message.

Terminals mark what is pasted, where they know how, and while somebody asks for it. Else it comes
like keys, and each of its lines would be a message of its own, and be paid for
(prompt-toolkit/python-prompt-toolkit#816). But nobody types a key right after Enter: so an Enter
that is followed at once by another key breaks the line, and only another one sends.
"""

from __future__ import annotations

from typing import Final

from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.keys import Keys

TOGETHER_SECONDS: Final = 0.02
"""What comes within this time of an Enter was not typed."""


def send_unless_pasted(event: KeyPressEvent) -> None:
    """What Enter does in the editor."""
    keys, buffer, app = event.key_processor, event.current_buffer, event.app
    # What the terminal itself answers (where its cursor is) is no key.
    if any(press.key is not Keys.CPRResponse for press in keys.input_queue):
        buffer.insert_text("\n")
        return

    def break_line(_sender: object) -> None:
        keys.before_key_press.remove_handler(break_line)
        timer.cancel()
        buffer.insert_text("\n")

    def send() -> None:
        keys.before_key_press.remove_handler(break_line)
        if app.future is not None and not app.future.done():
            buffer.validate_and_handle()

    assert app.loop is not None
    timer = app.loop.call_later(TOGETHER_SECONDS, send)
    keys.before_key_press.add_handler(break_line)
