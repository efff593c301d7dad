"""Read and write mappings as YAML: every scalar is text, no aliases, no tags, bounded size."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from ipt_evidence.errors import Problem, SchemaError

MAX_BYTES = 262_144
TEXT_NAME = "mapping (YAML text)"
TITLE = "the mapping cannot be read"


class _TextLoader(yaml.BaseLoader):
    """Loader that leaves every scalar a text (NO and 1 stay as written) and refuses aliases and repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases, with which a small file can describe a huge mapping."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is there twice, of which YAML would keep the last in silence."""
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                message = "a key must be a text"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            if key_node.value in seen:
                message = f"the key {key_node.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=True)


def load_yaml(source: str | PathLike[str]) -> tuple[Any, str]:
    """Return the contents of a YAML file or text, and a name for messages.

    Raises
    ------
    SchemaError
        The file is missing, too large, not UTF-8 or not YAML; the line is named.
    """
    if isinstance(source, str) and ("\n" in source or ": " in source):
        return _parse(source, TEXT_NAME), TEXT_NAME
    path = Path(source)
    try:
        size = path.stat().st_size
        content = b"" if size > MAX_BYTES or path.is_dir() else path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = Problem(f"cannot be opened ({reason}); expected a YAML file with a mapping", file=str(path))
        raise SchemaError([problem], title=TITLE) from None
    if size > MAX_BYTES:
        message = f"has {size} bytes; expected a mapping of at most {MAX_BYTES} bytes"
        raise SchemaError([Problem(message, file=path.name)], title=TITLE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = Problem("is not a text in UTF-8; expected a YAML file", file=path.name)
        raise SchemaError([problem], title=TITLE) from None
    return _parse(text, path.name), path.name


def dump_yaml(content: dict[str, Any]) -> str:
    """Return contents as YAML, in the order given."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100_000)


def _parse(text: str, name: str) -> Any:
    """Return the contents of a YAML text."""
    try:
        return yaml.load(text, Loader=_TextLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        row = mark.line + 1 if mark is not None else None
        problem = Problem(f"is not YAML that can be used: {why}; expected lines such as 'Mean IPT: mean_1'", name, row)
        raise SchemaError([problem], title=TITLE) from None
    except RecursionError:
        raise SchemaError([Problem("is nested too deeply; expected two levels", file=name)], title=TITLE) from None
