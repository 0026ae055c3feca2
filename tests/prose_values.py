"""The names and values in a lesson's code, and the values in its tables of parameters."""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prose import Table

_MOST = 64
_OPERATORS: dict[type, Callable] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Pow: lambda a, b: a**b,
}


def same(one: Any, other: Any) -> bool:
    """Compare as readers do: 12 is 12.0, and 3 stands for (3, 3); True isn't 1."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (list, tuple)) or isinstance(other, (list, tuple)):
        many, single = (one, other) if isinstance(one, (list, tuple)) else (other, one)
        return len(many) > 1 and all(same(item, single) for item in many)
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and one == other
    return abs(one - other) <= 1e-9 * max(1, abs(one))


class Code:
    """
    The values that each name takes in some source code, as far as they can be told without running it.

    Parameters
    ----------
    source : str
        Python.
    positional : callable, optional
        Gives the names of a function's parameters, in order, from its name as the source writes it.

    Attributes
    ----------
    stated : dict of str to list
        By assignment, keyword, key of a dictionary, comparison, default or position in a call.
    keyed : dict of str to list
        By keyword or key only: what is passed on.
    names : set of str
        All identifiers, attributes, keywords and keys.
    """

    def __init__(self, source: str, positional: Callable[[str], Iterable[str]] | None = None) -> None:
        self.stated: dict[str, list] = defaultdict(list)
        self.keyed: dict[str, list] = defaultdict(list)
        self.names: set[str] = set()
        self._bound: dict[str, list] = defaultdict(list)
        self._positional = positional or (lambda name: ())
        tree = ast.parse(source)
        for _ in range(3):  # a name may get its value from one that is bound further down, as in a loop
            for node in ast.walk(tree):
                self._bind(node)
        for node in ast.walk(tree):
            self._state(node)
        for name, values in self._bound.items():
            self._note(self.stated, name, values)

    def values(self, node: ast.AST) -> list:
        """List what an expression may be; empty when that can't be told."""
        if isinstance(node, ast.Constant):
            return [node.value]
        if isinstance(node, ast.Name):
            return list(self._bound.get(node.id, []))
        if isinstance(node, (ast.Tuple, ast.List)):
            if node.elts and len({ast.dump(item) for item in node.elts}) == 1:  # (g, g) is one value twice
                return [(value,) * len(node.elts) for value in self.values(node.elts[0])]
            return self._combined(tuple, [self.values(item) for item in node.elts])
        if isinstance(node, ast.IfExp):
            return self.values(node.body) + self.values(node.orelse)
        if isinstance(node, ast.BoolOp):  # `s.frame_rate or frame_rate`: whichever is known
            return [value for side in node.values for value in self.values(side)]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return [-value for value in self.values(node.operand) if isinstance(value, (int, float))]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            sides = [self.values(node.left), self.values(node.right)]
            return self._combined(lambda pair: _OPERATORS[type(node.op)](*pair), sides)
        return []

    def evaluate(self, text: str) -> list:
        """List what an expression in prose may be, with the values that its names have in the code."""
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError:
            return []
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in self._bound:
                self._bound[node.id] = [value for value in self.stated.get(node.id, []) if _scalar(value)]
        return self.values(tree)

    @staticmethod
    def _combined(make: Callable, parts: list[list]) -> list:
        found = []
        for chosen in itertools.islice(itertools.product(*parts), _MOST):
            try:
                found.append(make(chosen))
            except (TypeError, ValueError, ArithmeticError):
                continue
        return found

    @staticmethod
    def _note(where: dict[str, list], name: str, values: list) -> None:
        for value in values:
            if not any(type(value) is type(old) and same(value, old) for old in where[name]):
                where[name].append(value)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name):
            for item in self._items(node.iter):
                self._note(self._bound, node.target.id, self.values(item))

    def _assign(self, target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._note(self._bound, target.id, self.values(value))
        elif isinstance(target, ast.Attribute):
            self._note(self.stated, target.attr, self.values(value))
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(target.elts, value.elts):
                self._assign(one, other)

    def _items(self, node: ast.AST) -> list[ast.AST]:
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            return list(node.elts)
        if isinstance(node, ast.IfExp):
            return self._items(node.body) + self._items(node.orelse)
        listed = [value for value in self.values(node) if isinstance(value, tuple)]
        return [ast.Constant(item) for value in listed for item in value]

    def _state(self, node: ast.AST) -> None:
        self.names |= set(_identifiers(node))
        if isinstance(node, ast.keyword) and node.arg:
            self._pass_on(node.arg, node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self._pass_on(key.value, value)
        elif isinstance(node, (ast.Compare, ast.Call, ast.arguments)):
            for name, value in self._pairs(node):
                self._note(self.stated, name, self.values(value))

    def _pairs(self, node: ast.Compare | ast.Call | ast.arguments) -> list[tuple[str, ast.AST]]:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = [*zip(sides, sides[1:]), *zip(sides[1:], sides)]
            return [(_last(one), other) for one, other in pairs]
        if isinstance(node, ast.Call):
            return list(zip(self._positional(ast.unparse(node.func)), node.args))
        named = [*zip(reversed(node.args), reversed(node.defaults)), *zip(node.kwonlyargs, node.kw_defaults)]
        return [(argument.arg, value) for argument, value in named if value is not None]

    def _pass_on(self, name: str, value: ast.AST) -> None:
        self._note(self.keyed, name, self.values(value))
        self._note(self.stated, name, self.values(value))


def _scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else ""


def _identifiers(node: ast.AST) -> Iterator[str]:
    for name in ("id", "attr", "arg", "name", "asname"):
        value = getattr(node, name, None)
        if isinstance(value, str):
            yield from value.split(".")
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        yield node.value


def table_values(table: Table) -> Iterator[tuple[str, str, str]]:
    """Give place, name and value (as written) of each parameter in a table that has a column for values."""
    headings = [heading.lower() for heading in table.headings]
    if (
        not headings
        or headings[0] not in ("key", "keys", "parameter", "parameters")
        or "value" not in headings
    ):
        return
    column = headings.index("value")
    for line, row in table.rows:
        names, value = re.findall(r"`(\w+)`", row[0]), row[column].replace("`", "").strip()
        parts = [part.strip() for part in value.split(",")] if len(names) > 1 else [value]
        if len(parts) != len(names):
            parts = [value] * len(names)
        for name, part in zip(names, parts):
            yield f"{table.file}:{line}", name, part
