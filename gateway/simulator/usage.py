"""The bill of one answer, in the API's shapes."""

from collections.abc import Sequence

import msgspec

from gateway.simulator.cache import Charge
from gateway.simulator.reply import Json


class ReplyUsage(msgspec.Struct, frozen=True):
    """What an answer costs: tokens, searches, fetches.

    `later`: the prompt once more for each of the provider's own tools that ran, and what it brought
    on top. `overrides` replace single figures, `late` only at the stream's end.
    """

    prompt: Charge
    output: int
    thinking: int = 0
    later: tuple[Charge, ...] = ()
    searches: int = 0
    fetches: int = 0
    overrides: Json = {}
    late: Json = {}

    def at_start(self) -> Json:
        """The usage in `message_start`: the prompt, once, and next to no output."""
        return {
            **_prompt(self.prompt),
            "cache_creation": _written(self.prompt),
            "output_tokens": 1,
            "service_tier": "standard",
            "inference_geo": "not_available",
            **self.overrides,
        }

    def in_delta(self) -> Json:
        """The usage in `message_delta`: cumulative, final."""
        return {**_prompt(self._all), **self._output(), **self.overrides, **self.late}

    def in_message(self) -> Json:
        """The usage of a whole message."""
        whole = {**_prompt(self._all), "cache_creation": _written(self._all), **self._output()}
        return {**self.at_start(), **whole, **self.overrides}

    def after(self, output: int, thinking: int, served: Sequence[str]) -> "ReplyUsage":
        """The bill of an answer that broke off after this much output.

        `served` are the types of the results that had come until then.
        """
        return msgspec.structs.replace(
            self,
            output=output,
            thinking=thinking,
            later=self.later[: len(served)],
            searches=min(self.searches, served.count("web_search_tool_result")),
            fetches=min(self.fetches, served.count("web_fetch_tool_result")),
        )

    @property
    def _all(self) -> Charge:
        """Every pass over the prompt, together."""
        return sum(self.later, self.prompt)

    def _output(self) -> Json:
        output: Json = {
            "output_tokens": self.output,
            "output_tokens_details": {"thinking_tokens": self.thinking},
        }
        if self.searches or self.fetches:
            output["server_tool_use"] = {
                "web_search_requests": self.searches,
                "web_fetch_requests": self.fetches,
            }
        return output


def _prompt(charge: Charge) -> Json:
    return {
        "input_tokens": charge.uncached,
        "cache_creation_input_tokens": charge.written_5m + charge.written_1h,
        "cache_read_input_tokens": charge.read,
    }


def _written(charge: Charge) -> Json:
    return {
        "ephemeral_5m_input_tokens": charge.written_5m,
        "ephemeral_1h_input_tokens": charge.written_1h,
    }
