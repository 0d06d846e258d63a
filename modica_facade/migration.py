"""What changes in your code with the move from REST v1 to v2: ``python -m modica_facade.migration PATH``.

Source text goes in, findings come out (`find`, pure); nothing is imported, run or rewritten. Exit codes: 0 nothing to
change, 1 findings, 2 nothing found, but not everything could be read or followed (or wrong usage), 3 both.

Whose ``.broadcast`` is that? Each file is read alone and names are followed through it: imports and their aliases,
assignments, ``with ... as``, ``for``, annotations, ``self.`` attributes, return values of functions, subclasses. What
nothing in the file explains counts as a client if its name says so: ``modica``, ``modica_client``, ``app.modica``.

Listed as not followed: clients that are put into a dict, list, tuple or set, and notebooks, which are not read.

Not seen, so search for these by hand: a client under another name that came from another file, or as an argument
without an annotation; arguments in ``**options``; names in strings (``getattr``, ``mock.patch``); ids kept in a column
of integers; environment variables and URLs set outside Python; templates.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import json
import os
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

_Kinds = set[str]

# A kind says what an expression is: "module" (of this package), the name of one of its classes for an instance,
# "type X" for such a class itself, "-> X" for something else that gives an X when called, "outcomes" for anything to be
# iterated that holds a BroadcastOutcome each, "int", or "other".
_V1 = {"Modica": "ModicaV2", "AsyncModica": "AsyncModicaV2"}
_CLIENTS = _V1.keys() | _V1.values()
_CLASSES_OF_V1 = {f"type {name}": name for name in _V1}
_WITH_ID = {"SubmittedMessage", "Message", "BroadcastOutcome", "DeliveryReceipt", "InboundMessage"}
_CLASSES_OF_CODES = {
    "InvalidJSONError": "catch RejectedError",
    "MissingAttributeError": "catch RejectedError",
    "InvalidAttributeError": "catch RejectedError",
    "InvalidScheduleError": "catch RejectedError",
    "BroadcastLimitError": "there are no broadcasts to limit: remove it",
    "SendFailedError": "catch GatewayError and ask it for may_have_been_sent",
}
_MODULES = ("callbacks", "client", "errors", "models")
_EXPORTS = {
    **dict.fromkeys(_MODULES, "module"),
    **{name: f"type {name}" for name in (*_CLIENTS, *_WITH_ID, *_CLASSES_OF_CODES, "BroadcastResult")},
    "parse_delivery_receipt": "-> DeliveryReceipt",
    "parse_inbound_message": "-> InboundMessage",
}
_METHODS = {
    "send": "-> SubmittedMessage",
    "get": "-> Message",
    "broadcast": "-> BroadcastResult",
    "broadcast_many": "-> outcomes",
    "send_many": "-> outcomes",
}
_OF_A_RESULT = {
    "ok": "ask all(each.ok for each in outcomes)",
    "submitted": "keep those that are .ok",
    "failed": "keep those that are not .ok",
}
_ALWAYS_NONE = {
    ("SubmittedMessage", "location"): "there is no Location: build on id",
    ("Message", "reply_to"): "a stored v2 message does not say what it answers",
    ("Message", "operator"): "take it from the reply callback",
    ("InboundMessage", "reply_to"): "match replies by source and time",
    ("InboundMessage", "reference"): "match replies by source and time",
}
_CODES = {"send_failed", "invalid_json", "missing_attrib", "invalid_attrib", "broadcast_limit", "400", "422"}
_SAME_ELEMENTS = {"list", "tuple", "sorted", "iter"}
_SAME_IN_AND_OUT = {"enter_context", "enter_async_context"}
_OPEN_ANNOTATIONS = {"Optional", "Union", "Annotated", "Final", "ClassVar"}
_ITERABLE_ANNOTATIONS = {
    *("list", "tuple", "Iterable", "Iterator", "Sequence", "Generator"),
    *("AsyncIterable", "AsyncIterator", "AsyncGenerator"),
}
_SAYS_IT_IS_A_CLIENT = re.compile("_*modica(_client|_v1)?")
_V1_URL = re.compile(r"https?://\S+/rest/gateway\b\S*")


class Finding(NamedTuple):
    """One place that changes.

    Attributes:
        line: counted from 1.
        column: in characters, counted from 1.
        rule: what kind of finding it is: ``v1-client``, ``broadcast``, ``expires``, ``int-id``, ``base-url``,
            ``lazy-result``, ``exception``, ``error-code``, ``lost-field`` or ``generated-v1``.
        what: what does not stay as it is.
        action: what to do about it.
    """

    line: int
    column: int
    rule: str
    what: str
    action: str


class Unfollowed(NamedTuple):
    """A place where a client goes out of sight.

    Attributes:
        line: counted from 1; 0 for a whole file.
        column: in characters, counted from 1; 0 for a whole file.
        reason: what is not followed.
    """

    line: int
    column: int
    reason: str


def find(source: str) -> list[Finding]:
    """The places of one file that change, in their order.

    Args:
        source: Python source, lines ended by line feeds.

    Raises:
        SyntaxError: this version of Python cannot parse it.
        RecursionError: it is nested more deeply than anybody writes.
    """
    return _examine(source)[0]


def _examine(source: str) -> tuple[list[Finding], list[Unfollowed]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of that code, not ours
        tree = ast.parse(source)
    file = _File(tree, source.split("\n"))
    return sorted(set(file.findings())), sorted(set(file.unfollowed()))


class _Variable:
    """All that a name or attribute is ever bound to, looked at only when somebody asks."""

    def __init__(self) -> None:
        self.values: list[Callable[[], _Kinds]] = []
        self._kinds: _Kinds | None = None

    def kinds(self) -> _Kinds:
        if self._kinds is None:
            self._kinds = set()  # also the answer to whoever asks while this is being worked out
            for value in self.values:
                self._kinds |= value()
        return self._kinds


class _Scope(defaultdict[str, _Variable]):
    """The names of a module, class or function; for a class also its ``self.`` attributes, for a function its value."""

    def __init__(self, node: ast.AST, outer: _Scope | None) -> None:
        super().__init__(_Variable)
        self.outer = outer
        self.bases = node.bases if isinstance(node, ast.ClassDef) else None
        self.attributes = defaultdict[str, _Variable](_Variable)
        self.value = _Variable()

    def bind(self, name: str, value: Callable[[], _Kinds]) -> None:
        self[name].values.append(value)

    @property
    def enclosing_class(self) -> _Scope | None:
        scope: _Scope | None = self
        while scope is not None and scope.bases is None:
            scope = scope.outer
        return scope


class _File:
    """One module: first every binding is noted, then every expression is judged."""

    def __init__(self, tree: ast.Module, lines: Sequence[str]) -> None:
        self._lines = lines
        self._module = _Scope(tree, None)
        self._attributes = defaultdict[str, _Variable](_Variable)
        self._imports_us = False
        self._nodes: list[tuple[ast.AST, _Scope]] = []
        pending: list[tuple[ast.AST, _Scope]] = [(tree, self._module)]
        while pending:  # not recursive: generated code nests deeply
            node, scope = pending.pop()
            self._nodes.append((node, scope))
            inner = self._bind(node, scope)
            pending.extend((child, inner) for child in ast.iter_child_nodes(node))
        for node, scope in self._nodes:
            if isinstance(node, ast.Global | ast.Nonlocal):
                elsewhere = self._module if isinstance(node, ast.Global) else scope.outer or self._module
                for name in node.names:
                    if name in scope:
                        elsewhere[name].values += scope.pop(name).values

    # What is bound to what

    def _bind(self, node: ast.AST, scope: _Scope) -> _Scope:
        """Note what a node binds, and return the scope of its children."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self._bind_import(node, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._bind_function(node, scope)
            case ast.ClassDef():
                return self._bind_class(node, scope)
            case ast.Return(value=value) | ast.Yield(value=value):
                scope.value.values.append(lambda: self._kinds(value, scope))
            case _:
                self._bind_targets(node, scope)
        return scope

    def _bind_targets(self, node: ast.AST, scope: _Scope) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind_target(target, scope, lambda: self._kinds(value, scope))
            case ast.AnnAssign(target=target, annotation=annotation, value=value):
                self._bind_target(target, scope, lambda: self._annotated(annotation, scope) | self._kinds(value, scope))
            case ast.NamedExpr(target=target, value=value):
                self._bind_target(target, scope, lambda: self._kinds(value, scope))
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._bind_target(target, scope, lambda: self._kinds(value, scope))
            case (
                ast.For(target=target, iter=value)
                | ast.AsyncFor(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ):
                self._bind_target(target, scope, lambda: _elements(self._kinds(value, scope)))
            case _:
                pass

    def _bind_target(self, target: ast.expr, scope: _Scope, value: Callable[[], _Kinds]) -> None:
        match target:
            case ast.Name(id=name):
                scope.bind(name, value)
                if scope.bases is not None:
                    self._attributes[name].values.append(value)
            case ast.Attribute(value=owner, attr=attribute):
                self._attributes[attribute].values.append(value)
                if _is_self(owner) and (mine := scope.enclosing_class) is not None:
                    mine.attributes[attribute].values.append(value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for each in targets:
                    self._bind_target(each, scope, set)
            case _:
                pass

    def _bind_import(self, node: ast.Import | ast.ImportFrom, scope: _Scope) -> None:
        for alias in node.names:
            ours = _comes_from(node, alias, "modica_facade")
            self._imports_us = self._imports_us or ours
            if isinstance(node, ast.Import):
                names = {alias.asname or alias.name.partition(".")[0]: "module"}
            elif alias.name == "*":
                names = _EXPORTS if ours else {}
            else:
                names = {alias.asname or alias.name: _EXPORTS.get(alias.name, "")}
            for name, kind in names.items():
                scope.bind(name, ({kind} - {""} if ours else set[str]()).copy)

    def _bind_class(self, node: ast.ClassDef, scope: _Scope) -> _Scope:
        # A subclass of a client makes a client, but is not the class to replace.
        scope.bind(node.name, lambda: {f"-> {kind}" for kind in self._bases(node.bases, scope)})
        return _Scope(node, scope)

    def _bases(self, bases: Sequence[ast.expr], scope: _Scope) -> _Kinds:
        return {kind for base in bases for kind in _given(self._kinds(base, scope))}

    def _bind_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> _Scope:
        inner = _Scope(node, scope)
        decorators = {_last_name(decorator) for decorator in node.decorator_list}

        def value() -> _Kinds:
            kinds = self._annotated(node.returns, scope) | inner.value.kinds()
            return kinds if decorators & {"property", "cached_property"} else {f"-> {kind}" for kind in kinds}

        self._bind_target(ast.Name(node.name), scope, value)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in arguments:
            inner.bind(argument.arg, partial(self._annotated, argument.annotation, scope))
        for gathered in (node.args.vararg, node.args.kwarg):
            if gathered is not None:
                inner.bind(gathered.arg, set)
        if (bases := scope.bases) is not None and arguments and "staticmethod" not in decorators:
            inner.bind(arguments[0].arg, lambda: self._bases(bases, scope.outer or scope))
        return inner

    # What an expression is

    def _kinds(self, node: ast.expr | None, scope: _Scope) -> _Kinds:
        match node:
            case ast.Name(id=name):
                return self._named(name, scope) or _called(name)
            case ast.Attribute(value=owner, attr=attribute):
                members = {member for kind in self._kinds(owner, scope) if (member := _member(kind, attribute))}
                return members or self._attribute(owner, attribute, scope) or _called(attribute)
            case ast.Call(func=function, args=arguments):
                return self._call_kinds(function, arguments, scope)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self._kinds(value, scope)
            case ast.Subscript(value=value, slice=ast.Slice()):
                return _collected(self._kinds(value, scope))
            case ast.Subscript(value=value):
                return _elements(self._kinds(value, scope))
            case ast.IfExp(body=first, orelse=second):
                return self._kinds(first, scope) | self._kinds(second, scope)
            case ast.BoolOp(values=values):
                return {kind for value in values for kind in self._kinds(value, scope)}
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return {"int"}
            case _:
                return set()

    def _call_kinds(self, function: ast.expr, arguments: Sequence[ast.expr], scope: _Scope) -> _Kinds:
        name = _last_name(function)
        if arguments and name in _SAME_IN_AND_OUT:
            return self._kinds(arguments[0], scope)
        if arguments and name in _SAME_ELEMENTS:
            return _collected(self._kinds(arguments[0], scope))
        if arguments and name == "cast":
            return self._annotated(arguments[0], scope)
        if _is_int(function):
            return {"int"}
        # What is named like a class makes something other than a client, whatever the result is called.
        unknown = {"other"} if name[:1].isupper() else set[str]()
        return _given(self._kinds(function, scope)) or unknown

    def _named(self, name: str, scope: _Scope) -> _Kinds:
        around: _Scope | None = scope
        while around is not None:
            if name in around and (around is scope or around.bases is None):  # methods do not see the names of a class
                return around[name].kinds()
            around = around.outer
        return set()

    def _attribute(self, owner: ast.expr, attribute: str, scope: _Scope) -> _Kinds:
        if _is_self(owner) and (mine := scope.enclosing_class) is not None:
            found = [names[attribute] for names in (mine, mine.attributes) if attribute in names]
            if found:
                return {kind for variable in found for kind in variable.kinds()}
        return self._attributes[attribute].kinds() if attribute in self._attributes else set()

    def _annotated(self, node: ast.expr | None, scope: _Scope) -> _Kinds:
        """What a variable with this annotation is."""
        match node:
            case ast.Name(id="int"):
                return {"int"}
            case ast.Constant(value=str(text)):
                try:
                    return self._annotated(ast.parse(text, mode="eval").body, scope)
                except SyntaxError:
                    return set()
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._annotated(left, scope) | self._annotated(right, scope)
            case ast.Subscript(value=generic, slice=argument):
                arguments = argument.elts if isinstance(argument, ast.Tuple) else [argument]
                kinds = {kind for each in arguments for kind in self._annotated(each, scope)}
                if _last_name(generic) in _OPEN_ANNOTATIONS:
                    return kinds
                if _last_name(generic) in _ITERABLE_ANNOTATIONS:
                    return (kinds & _CLIENTS) | ({"outcomes"} if "BroadcastOutcome" in kinds else set())
                return set()
            case None:
                return set()
            case _:
                return _given(self._kinds(node, scope)) or {"other"}

    def _v1_method(self, node: ast.expr, scope: _Scope) -> str:
        """The name of a method, if it is a v1 client's."""
        if isinstance(node, ast.Attribute) and not self._kinds(node.value, scope).isdisjoint(_V1):
            return node.attr
        return ""

    # What changes

    def findings(self) -> Iterator[Finding]:
        for node, scope in self._nodes:
            match node:
                case ast.Import() | ast.ImportFrom():
                    yield from self._check_import(node)
                case ast.Name(ctx=ast.Load()):
                    yield from self._check_class(node, scope)
                case ast.Attribute(ctx=ast.Load()):
                    yield from self._check_class(node, scope)
                    yield from self._check_attribute(node, scope)
                case ast.Call():
                    yield from self._check_call(node, scope)
                case ast.Subscript(ctx=ast.Load()):
                    yield from self._check_lazy(node, node.value, scope, "cannot be indexed")
                case ast.AnnAssign() | ast.arg() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield from self._check_quoted(node, scope)
                case ast.Compare() | ast.Match():
                    yield from self._check_comparison(node)
                case ast.Constant(value=str(text)):
                    yield from self._check_text(node, text)
                case ast.keyword(arg=str(name)):
                    yield from self._check_text(node, name)
                case _:
                    pass

    def unfollowed(self) -> Iterator[Unfollowed]:
        """Where a v1 client is put into a dict, list, tuple or set."""
        for node, scope in self._nodes:
            for element in _elements_put_together(node):
                if not self._kinds(element, scope).isdisjoint(_V1):
                    reason = "a client is put among others here; where it is used from there, search by hand"
                    yield Unfollowed(*self._position(element), reason)

    def _finding(self, node: ast.AST, rule: str, what: str, action: str) -> Finding:
        return Finding(*self._position(node), rule, what, action)

    def _position(self, node: ast.AST) -> tuple[int, int]:
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        if isinstance(node, ast.Attribute):  # its name: it may stand many lines below its object
            line, offset = node.end_lineno or line, (node.end_col_offset or offset) - len(node.attr.encode())
        before = self._lines[line - 1].encode()[:offset]  # the tree counts bytes
        return line, len(before.decode(errors="replace")) + 1

    def _check_import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
        if any(_comes_from(node, alias, "modica_gateway_v1") for alias in node.names):
            what = "modica_gateway_v1 speaks REST v1"
            yield self._finding(node, "generated-v1", what, "use ModicaV2, or the package modica_sms_v2")
        for alias in node.names:
            if _comes_from(node, alias, "modica_facade") and alias.name in _V1:
                yield self._client_finding(alias, alias.name)

    def _client_finding(self, node: ast.AST, name: str) -> Finding:
        return self._finding(
            node,
            "v1-client",
            f"{name} speaks REST v1",
            f"use {_V1[name]}, after registering a delivery receipt callback",
        )

    def _check_class(self, node: ast.expr, scope: _Scope) -> Iterator[Finding]:
        for kind in self._kinds(node, scope):
            name = kind.removeprefix("type ")
            if name == kind:
                continue
            if name in _V1:
                yield self._client_finding(node, name)
            elif name in _CLASSES_OF_CODES:
                yield self._finding(
                    node, "exception", f"v2's specification has no code for {name}", _CLASSES_OF_CODES[name]
                )

    def _check_quoted(
        self, node: ast.AnnAssign | ast.arg | ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope
    ) -> Iterator[Finding]:
        """Clients in annotations that are quoted, whole or in part."""
        annotation = node.returns if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else node.annotation
        for quoted in ast.walk(annotation or ast.Pass()):
            if isinstance(quoted, ast.Constant) and isinstance(quoted.value, str):
                for part in _parsed(quoted.value):
                    for kind in self._kinds(part, scope) & _CLASSES_OF_V1.keys():
                        yield self._quoted_finding(quoted, _CLASSES_OF_V1[kind])

    def _quoted_finding(self, quoted: ast.Constant, name: str) -> Finding:
        finding = self._client_finding(quoted, name)
        at = self._lines[finding.line - 1].find(name, finding.column - 1)
        return finding._replace(column=at + 1) if at >= 0 else finding

    def _check_lazy(
        self, node: ast.expr, value: ast.expr, scope: _Scope, cannot: str, instead: str = ""
    ) -> Iterator[Finding]:
        if "BroadcastResult" in self._kinds(value, scope):
            collect = "collect it first, outcomes = list(modica.send_many(...))"
            what = f"send_many gives an iterator, which {cannot}"
            yield self._finding(node, "lazy-result", what, f"{collect}{instead and f', and {instead}'}")

    def _check_attribute(self, node: ast.Attribute, scope: _Scope) -> Iterator[Finding]:
        if self._v1_method(node, scope) in ("broadcast", "broadcast_many"):
            yield self._finding(
                node,
                "broadcast",
                f"v2 has no {node.attr}",
                "use send_many: one request each, the same outcomes; it sends only while you iterate over them",
            )
        if instead := _OF_A_RESULT.get(node.attr):
            yield from self._check_lazy(node, node.value, scope, f"has no {node.attr}", instead)
        for kind in self._kinds(node.value, scope):
            if (kind, node.attr) in _ALWAYS_NONE:
                action = _ALWAYS_NONE[kind, node.attr]
                yield self._finding(node, "lost-field", f"{kind}.{node.attr} stays None on v2", action)

    def _check_call(self, node: ast.Call, scope: _Scope) -> Iterator[Finding]:
        method = self._v1_method(node.func, scope)
        # Also functools.partial(modica.send, ..., expires=...) and executor.submit(modica.send, ..., expires=...).
        handed_on = {self._v1_method(argument, scope) for argument in node.args[:2]}
        makes_a_client = not _given(self._kinds(node.func, scope)).isdisjoint(_V1)
        for keyword in node.keywords:
            if keyword.arg == "expires" and {method, *handed_on} & {"send", "broadcast", "broadcast_many"}:
                yield self._finding(
                    keyword, "expires", "v2 takes no expires", "leave it out: the platform decides how long it tries"
                )
            elif keyword.arg == "base_url" and makes_a_client and not isinstance(keyword.value, ast.Constant):
                yield self._finding(
                    keyword, "base-url", "a v1 base URL does not serve v2", "give the one that ends in /rest/sms/v2"
                )
        if method == "get":
            for argument in [*node.args[:1], *(k.value for k in node.keywords if k.arg == "message_id")]:
                if "int" in self._kinds(argument, scope):
                    yield self._finding(argument, "int-id", "v2 ids are UUIDs, not int", "keep and pass ids as str")
        if node.args and _last_name(node.func) == "len":
            yield from self._check_lazy(node, node.args[0], scope, "has no length")
        if _is_int(node.func) and node.args and isinstance(identity := node.args[0], ast.Attribute):
            kinds = self._kinds(identity.value, scope)
            if identity.attr in ("id", "message_id", "reply_to") and kinds & _WITH_ID:
                yield self._finding(
                    node, "int-id", "int() fails on v2 ids, which are UUIDs", "keep and pass ids as str"
                )

    def _check_comparison(self, node: ast.Compare | ast.Match) -> Iterator[Finding]:
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        else:
            patterns = [part for case in node.cases for part in ast.walk(case.pattern)]
            operands = [node.subject, *(each.value for each in patterns if isinstance(each, ast.MatchValue))]
        if not self._imports_us or not any(
            isinstance(each, ast.Attribute) and each.attr == "code" for each in operands
        ):
            return
        for operand in operands:
            for part in operand.elts if isinstance(operand, ast.Set | ast.Tuple | ast.List) else [operand]:
                if isinstance(part, ast.Constant) and part.value in _CODES:
                    yield self._finding(
                        part, "error-code", f"v2's specification has no error code {part.value}", "compare classes"
                    )

    def _check_text(self, node: ast.AST, text: str) -> Iterator[Finding]:
        if text == "MODICA_BASE_URL":
            yield self._finding(
                node, "base-url", "MODICA_BASE_URL is not read by the v2 clients", "set MODICA_V2_BASE_URL"
            )
        elif _V1_URL.fullmatch(text):
            yield self._finding(node, "base-url", "a v1 base URL", "v2's ends in /rest/sms/v2 instead of /rest/gateway")


def _elements_put_together(node: ast.AST) -> Sequence[ast.expr]:
    """What a node makes a part of something larger, or puts into it."""
    match node:
        case ast.List(elts=elements, ctx=ast.Load()) | ast.Tuple(elts=elements, ctx=ast.Load()):
            return elements
        case ast.Set(elts=elements) | ast.Dict(values=elements):
            return elements
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.DictComp(value=element):
            return [element]
        case ast.Assign(targets=[ast.Subscript()], value=element):
            return [element]
        case ast.Call(func=ast.Attribute(attr="append" | "add" | "insert" | "setdefault"), args=elements):
            return elements
        case _:
            return []


def _parsed(annotation: str) -> Iterator[ast.expr]:
    """The names in a quoted annotation."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in ast.walk(ast.parse(annotation, mode="eval")):
            if isinstance(node, ast.Name | ast.Attribute):
                yield node


def _comes_from(node: ast.Import | ast.ImportFrom, alias: ast.alias, package: str) -> bool:
    module = alias.name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")
    return module.partition(".")[0] == package


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _is_int(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "int"


def _last_name(node: ast.expr) -> str:
    """``modica`` of ``app.modica``."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _given(kinds: _Kinds) -> _Kinds:
    """What these give when they are called; ``app.modica()`` is as good a client as ``app.modica``."""
    return (kinds & _CLIENTS) | {kind.partition(" ")[2] for kind in kinds if kind.startswith(("type ", "-> "))}


def _called(name: str) -> _Kinds:
    return {"Modica"} if _SAYS_IT_IS_A_CLIENT.fullmatch(name) else set()


def _elements(kinds: _Kinds) -> _Kinds:
    """What comes out of these when they are iterated or indexed; a list of clients goes as a client."""
    return (kinds & _CLIENTS) | ({"BroadcastOutcome"} if kinds & {"BroadcastResult", "outcomes"} else set())


def _collected(kinds: _Kinds) -> _Kinds:
    """A list or a slice of these: of a result, it is one no longer."""
    return {"outcomes" if kind == "BroadcastResult" else kind for kind in kinds}


def _member(kind: str, name: str) -> str:
    if kind == "module":
        return _EXPORTS.get(name, "")
    if kind in _CLIENTS:
        return f"-> {kind}" if name == "with_options" else _METHODS.get(name, "")
    return "outcomes" if kind == "BroadcastResult" and name in ("submitted", "failed") else ""


# Files


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """These files, and modules and notebooks below these directories, except hidden ones and other people's."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not _is_foreign(Path(folder, name)))
            found = (Path(folder, name) for name in sorted(names) if name.endswith((".py", ".ipynb")))
            yield from (file for file in found if file.is_file())


def _is_foreign(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in ("__pycache__", "node_modules", "site-packages")
    return hidden or (folder / "pyvenv.cfg").exists()


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at files, print what changes, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m modica_facade.migration",
        description="List what changes in Python code that uses modica_facade with the move from REST v1 to v2.",
        epilog="Exit codes: 0 nothing found, 1 findings, 2 nothing found, but not everything was read or followed, "
        "or wrong usage, 3 findings, and not everything was read or followed. "
        "What it cannot see is said in help(modica_facade.migration).",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a Python file, or a directory of them")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args(arguments)
    for path in options.paths:
        if not path.exists():
            parser.error(f"{path} does not exist")

    found: list[tuple[Path, Finding]] = []
    unfollowed: list[tuple[Path, Unfollowed]] = []
    unreadable: list[tuple[Path, str]] = []
    files = list(_files(options.paths))
    for path in files:
        if path.suffix == ".ipynb":
            unfollowed.append((path, Unfollowed(0, 0, "notebooks are not read: search this one by hand")))
            continue
        try:
            findings, places = _examine(importlib.util.decode_source(path.read_bytes()))
            found += [(path, finding) for finding in findings]
            unfollowed += [(path, place) for place in places]
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            unreadable.append((path, f"{type(error).__name__}: {error}"))
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # file names need not be UTF-8, nor the terminal
    if options.json:
        rows = [{"path": str(path), **finding._asdict()} for path, finding in found]
        lost = [{"path": str(path), **place._asdict()} for path, place in unfollowed]
        broken = [{"path": str(path), "reason": reason} for path, reason in unreadable]
        report = {"files": len(files), "findings": rows, "not_followed": lost, "unreadable": broken}
        print(json.dumps(report, indent=2))
    else:
        for path, finding in found:
            print(f"{path}:{finding.line}:{finding.column}: {finding.what}; {finding.action}")
    for path, place in unfollowed:
        where = f"{path}:{place.line}:{place.column}" if place.line else str(path)
        print(f"{where}: not followed: {place.reason}", file=sys.stderr)
    for path, reason in unreadable:
        print(f"{path}: not read: {reason}", file=sys.stderr)
    print(
        f"{len(found)} findings in {len(files)} files; not followed: {len(unfollowed)}; not read: {len(unreadable)}",
        file=sys.stderr,
    )
    return (1 if found else 0) + (2 if unfollowed or unreadable else 0)


if __name__ == "__main__":
    raise SystemExit(main())
