"""Refuse parameters that do not exist, before anything is installed.

``laf_utils.settings.parameters`` says the same later, and is the authority; it cannot be imported yet, because it needs PyTorch,
so its table is read as text here. Python's standard library only.
"""

import ast
import difflib
import sys
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "laf_utils" / "settings" / "parameters.py"


def known_names(table: Path = TABLE) -> list[str]:
    """The keys of ``PARAMETERS`` and the items of ``NOT_SETTINGS``."""
    found = {}
    for node in ast.parse(table.read_text(encoding="utf-8")).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        for target in targets:
            if isinstance(target, ast.Name) and target.id in ("PARAMETERS", "NOT_SETTINGS"):
                found[target.id] = list(ast.literal_eval(node.value))
    return found["PARAMETERS"] + found["NOT_SETTINGS"]


def complaint(arguments: list[str], known: list[str]) -> str | None:
    """What is wrong with the first ``NAME=VALUE`` that cannot be meant."""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            return f"unknown parameter {name!r}; {hint}"
        if not equals or not value.strip():
            return f"{name} has no value: write {name}=VALUE"
    return None


def main(arguments: list[str]) -> int:
    known = known_names()
    if arguments == ["--list"]:
        print("  " + " ".join(known))
        return 0
    problem = complaint(arguments, known)
    if problem:
        print(f"laf: error: {problem}", file=sys.stderr)
    return 2 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
