"""What one cell does to names, read from its source alone.

`analyse` walks the syntax tree once and tells which names of the notebook the cell needs, binds and
may bind, which calls might change an object in place, and what the functions and classes that it
defines will read when they are used. What only the neighbouring cells can tell (is ``plt`` a
module? does ``clean`` change its argument?) is left to `evidence.slicing`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from mlops_magics.evidence import effects, references, scopes
from mlops_magics.evidence.binding import ClassNames, Transform
from mlops_magics.evidence.facts import Facts
from mlops_magics.evidence.paths import Paths
from mlops_magics.evidence.references import Call, Link

#: Escapes from static reading → how they are called in a sentence.
_DYNAMIC = {"exec", "eval", "globals", "locals", "vars"}

_FITTING = {"fit", "fit_transform", "fit_predict"}
#: Methods by which an object keeps what it is given.
_KEEPING = {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "set_params",
            "push", "put", "register", "__setitem__"}  # fmt: skip


def analyse(code: str, transform: Transform | None = None) -> Facts:
    """The facts of one cell.

    Parameters
    ----------
    code : str
        The cell's Python, after IPython has turned magics into calls.
    transform : callable, optional
        Does the same to the body of a magic such as ``%%time``.
    """
    return _analyse(code, transform)


@lru_cache(maxsize=2048)
def _analyse(code: str, transform: Transform | None) -> Facts:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError) as error:
        return Facts(error=f"{type(error).__name__}: {error}")
    reader = Reader(transform=transform)
    try:
        reader.module(tree)
    except RecursionError:
        return Facts(opaque=["nests too deeply to be read"])
    return reader.facts


class Reader(Paths, ast.NodeVisitor):
    """Walks one scope in the order in which it runs; a nested function gets a reader of its own."""

    # Scopes

    def module(self, tree: ast.Module) -> None:
        """Read a whole cell."""
        self.last = tree.body[-1] if tree.body else None
        self.run(tree.body)
        self.facts.binds = set(self.bound)
        self.facts.maybe -= self.facts.binds

    # Names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.load(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.store(node.id)
        else:
            self.load(node.id)
            self.bound.discard(node.id)
            self.facts.deletes.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.mutate(node)
            self._attribute_effect(node)
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            key = references.text(node.slice)
            if references.dotted(node.value) == "globals()" and key is not None:
                # globals()["x"] = … is x = …
                self.store(key) if isinstance(node.ctx, ast.Store) else self.facts.deletes.add(key)
                return
            self.mutate(node)
            self._attribute_effect(node)
        elif isinstance(node.value, ast.Call) and references.dotted(node.value) == "globals()":
            key = references.text(node.slice)
            if key is not None:
                self.load(key)
                return
        self.visit(node.value)
        self.visit(node.slice)

    def _attribute_effect(self, node: ast.AST) -> None:
        effect = effects.of_assignment(node)
        if effect:
            self.facts.effects.add(effect)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.facts.files_read.update(effects.files(node.value))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        kept, self.hidden = self.hidden, []  # binds in the scope around a comprehension
        self._assign([node.target], node.value)
        self.hidden = kept

    # Statements

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self._assign([node.target], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self.load(node.target.id)
            self.mutated(node.target.id)  # a list grows in place
            self.store(node.target.id)
        else:
            self.visit(node.target)

    def _assign(self, targets: Iterable[ast.expr], value: ast.expr) -> None:
        for target in targets:
            self._assign_one(target, value)

    def _assign_one(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            if len(parts) != len(target.elts):
                parts = [value] * len(target.elts)
            for item, part in zip(target.elts, parts, strict=True):
                self._assign_one(item, part)
            return
        if isinstance(target, ast.Starred):
            self._assign_one(target.value, value)
            return
        links = self.told(references.links(value))
        self.visit(target)
        if isinstance(target, ast.Name):
            name = target.id
            self.link(name, links)
            self.facts.made.setdefault(name, set()).update(references.made(value))
            if isinstance(value, ast.Lambda):
                self.facts.code[name] = self._nested(value.args, [value.body])
            elif isinstance(value, ast.Constant) and isinstance(value.value, str):
                self.facts.strings[name] = value.value
            self.facts.later.setdefault(name, set()).update(self._lambdas(value))
        elif (root := references.root(target)) is not None:
            self.link(root, (link._replace(how="holds") for link in links))
            self.facts.later.setdefault(root, set()).update(self._lambdas(value))

    def _lambdas(self, value: ast.expr) -> set[str]:
        """What the lambdas in an expression read, which may outlive the statement."""
        return {
            name
            for node in ast.walk(value)
            if isinstance(node, ast.Lambda)
            for name in self._nested(node.args, [node.body]).reads
        }

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            self._call(value, fate="shown" if node is self.last else "dropped")
        else:
            self.visit(value)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.visit(target)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._assign([item.optional_vars], item.context_expr)
        self.run(node.body)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self.store(name)
            self.facts.imports[name] = alias.name if alias.asname else name
            self.facts.files_read.update(effects.modules(alias.name))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self.facts.files_read.update(effects.modules(module))
        for alias in node.names:
            if alias.name == "*":
                self.facts.stars.append(module)
                continue
            name = alias.asname or alias.name
            self.store(name)
            self.facts.imports[name] = f"{module}:{alias.name}"

    # Code that runs later

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for now in (*node.decorator_list, *scopes.defaults(node.args), *scopes.annotated(node)):
            self.visit(now)
        self.store(node.name)
        facts = self._nested(node.args, node.body)
        self._define(node.name, facts, node.decorator_list)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for now in scopes.defaults(node.args):
            self.visit(now)
        # It may run at once (a sort key) or later; `_assign` sees to later.
        self._now(self._nested(node.args, [node.body]))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for now in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self.visit(now)
        before = self.facts.code
        self.facts.code = {}
        self.hidden.append(ClassNames())
        self.run(node.body)
        self.hidden.pop()
        methods, self.facts.code = self.facts.code, before
        self.store(node.name)
        whole = Facts(is_class=True)
        for method in methods.values():
            whole.reads |= method.reads
            whole.maybe |= method.maybe
            whole.escapes |= method.reads
        bases = {r for b in node.bases if (r := references.root(b)) is not None}
        whole.reads |= bases
        whole.escapes |= bases
        self._define(node.name, whole, node.decorator_list)

    def _define(self, name: str, facts: Facts, decorators: list[ast.expr]) -> None:
        self.facts.code[name] = facts
        decorating = {r for d in decorators if (r := references.root(d)) is not None}
        facts.reads |= {d for d in decorating if not self.is_local(d)}
        if self.own is not None:
            # A function in a function: what it reads, the outer one needs and may hand out.
            free = {r for r in facts.reads if r not in self.own}
            self.facts.escapes |= free
            self.facts.reads |= free
            self.shared |= facts.maybe

    def _nested(self, arguments: ast.arguments, body: Iterable[ast.AST]) -> Facts:
        body = list(body)
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        extra = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        parameters = tuple(a.arg for a in named)
        local, shared = scopes.local_names(body)
        own = frozenset({*parameters, *(a.arg for a in extra), *local})
        # A method does not see the names of its class; a lambda sees those of a comprehension.
        around = [names for names in self.hidden if not isinstance(names, ClassNames)]
        reader = Reader(
            own=own,
            outer=self.outer.union(self.own or (), *around),
            transform=self.transform,
        )
        for node in body:
            reader.visit(node)
            if isinstance(node, ast.expr):  # a lambda hands out what it evaluates to
                reader.returned(node)
        facts = reader.facts
        facts.parameters = parameters
        facts.reads = {
            n for n in (*(name for name, _ in facts.loads), *facts.reads) if n not in own
        }
        # Names declared global are the cell's; nothing else leaves a function.
        facts.maybe, facts.binds = shared | reader.shared, set()
        return facts

    def _now(self, facts: Facts) -> None:
        for name in facts.reads:
            self.load(name)
        self.facts.calls += facts.calls

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.visit(node.value)
            self.returned(node.value)

    def returned(self, value: ast.expr) -> None:
        """What a function hands out may hold code of the notebook."""
        names = {o.name for o in references.links(value)} | set(references.made(value))
        self.facts.escapes |= {n for n in names if n not in (self.own or ())} | self._lambdas(value)

    def visit_Global(self, node: ast.Global) -> None:
        """Which names are meant stands in `scopes.local_names`."""

    def _comprehension(self, node: ast.AST, generators: list[ast.comprehension]) -> None:
        """Read a comprehension, whose targets are its own."""
        self.hidden.append(set())
        for generator in generators:
            self.visit(generator.iter)
            self.loop_target(generator.target, generator.iter)
            for condition in generator.ifs:
                self.visit(condition)
        for name, child in ast.iter_fields(node):
            if name != "generators":
                self.visit(child)
        self.hidden.pop()

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.generators)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node, node.generators)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, node.generators)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.generators)

    # Calls

    def visit_Call(self, node: ast.Call) -> None:
        self._call(node, fate="used")

    def _call(self, node: ast.Call, fate: Literal["used", "shown", "dropped"]) -> None:
        from mlops_magics.evidence import escapes

        if escapes.read(self, node):
            return
        call = references.call(node, fate, self.bound)
        name = call.function
        if name in _DYNAMIC and name not in self.bound and not self._dynamic(node, name):
            self.hide(f"uses {name}()")
        self.facts.calls.append(call)
        self._note_fit(call)
        if call.root and call.direct and call.method in _KEEPING:
            self.link(call.root, self.told({Link(n, "holds") for n in call.arguments}))
        self.facts.effects.update(effects.of_call(node, name))
        self.facts.draws |= effects.draws(name)
        self.facts.files_written.update(effects.written(node, name))
        self.generic_visit(node)

    def _note_fit(self, call: Call) -> None:
        used = any((call.root, bound) in self.facts.loads for bound in (False, True))
        if call.method in _FITTING and call.direct and not (call.deep or used or self.forks):
            self.facts.refits.add(call.root)

    def _dynamic(self, node: ast.Call, name: str) -> bool:
        """Whether the code of ``exec("…")`` stands there as text and was read."""
        source = references.text(node.args[0]) if node.args else None
        if name not in ("exec", "eval") or source is None:
            return False
        self.include(source)
        return True

    def include(self, source: str, *, keep: bool = True) -> bool:
        """Read code that stands in a string as if it stood here; whether it is Python.

        Parameters
        ----------
        keep : bool
            Whether what it binds stays bound.
        """
        try:
            tree = ast.parse(self.transform(source) if self.transform else source)
        except (SyntaxError, ValueError):
            return False
        before = set(self.bound)
        self.run(tree.body)
        if not keep:
            self.bound = before
        return True
