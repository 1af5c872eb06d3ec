"""Lists in pages, as the API turns them."""

from gateway.simulator.errors import invalid
from gateway.simulator.reply import Json

DEFAULT = 20
MOST = 1000


def page(models: list[Json], query: dict[str, list[str]]) -> Json:
    """The page of `models` that `limit`, `after_id`, `before_id` and `lifecycle` select."""
    wanted = query.get("lifecycle", query.get("lifecycle[]", ["active", "deprecated"]))
    models = [model for model in models if model["lifecycle"] in wanted]
    limit = _limit(query)
    ids = [model["id"] for model in models]
    if "before_id" in query:
        end = _place(ids, query["before_id"][0], "before_id")
        start = max(0, end - limit)
        more = start > 0
    else:
        start = _place(ids, query["after_id"][0], "after_id") + 1 if "after_id" in query else 0
        end = min(len(ids), start + limit)
        more = end < len(ids)
    found = models[start:end]
    return {
        "data": found,
        "has_more": more,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
    }


def _limit(query: dict[str, list[str]]) -> int:
    text = query.get("limit", [str(DEFAULT)])[0]
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise invalid(f"limit: Input should be an integer from 1 to {MOST}")
    return int(text)


def _place(ids: list[str], wanted: str, name: str) -> int:
    if wanted not in ids:
        raise invalid(f"{name}: there is no model {wanted!r}")
    return ids.index(wanted)
