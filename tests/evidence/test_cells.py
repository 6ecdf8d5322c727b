"""The slice: the cells that a cell depends on, only those; run alone they give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.evidence.notebook import Notebook

#: What is tried → the cells, and the numbers of those that the last one depends on.
PROGRAMS: dict[str, tuple[list[str], list[int]]] = {
    "unrelated cells are left out": (["a = 1", "b = 2", "c = 3", "out = a + c"], [1, 3, 4]),
    "the last binding counts": (["a = 1", "a = 2", "out = a"], [2, 3]),
    "a binding that reads itself": (["a = 1", "a = a + 1", "out = a"], [1, 2, 3]),
    "augmented assignment": (["a = 1", "b = 0", "a += 2", "out = a"], [1, 3, 4]),
    "a branch that was taken": (
        ["a = 1", "flag = True", "if flag:\n    a = 2", "out = a"],
        [2, 3, 4],
    ),
    "a branch that was not taken": (
        ["a = 1", "flag = False", "if flag:\n    a = 2", "out = a"],
        [1, 4],
    ),
    "both branches bind": (["a = 1", "if a:\n    b = 2\nelse:\n    b = 3", "out = b"], [1, 2, 3]),
    "attribute": (
        ["class C: pass", "c = C()", "d = C()", "c.a = 5", "d.a = 6", "out = c.a"],
        [1, 2, 4, 6],
    ),
    "item": (["d = {}", "d['a'] = 1", "e = {}", "e['a'] = 2", "out = d['a']"], [1, 2, 5]),
    "item deleted": (["d = {'a': 1, 'b': 2}", "del d['a']", "out = list(d)"], [1, 2, 3]),
    "append": (["x = []", "y = []", "x.append(1)", "y.append(2)", "out = list(x)"], [1, 3, 5]),
    "a method that looks only": (["x = [1]", "x.count(1)", "out = list(x)"], [1, 3]),
    "sorted is a copy": (["x = [2, 1]", "y = sorted(x)", "out = list(x)"], [1, 3]),
    "sort is in place": (["x = [2, 1]", "x.sort()", "out = list(x)"], [1, 2, 3]),
    "popped where the value is used": (["x = [1, 2]", "y = x.pop()", "out = list(x)"], [1, 2, 3]),
    "one object under two names": (
        ["x = []", "y = x", "y.append(1)", "out = list(x)"],
        [1, 2, 3, 4],
    ),
    "two names no more": (
        ["x = []", "y = x", "y = []", "y.append(1)", "out = list(x)"],
        [1, 5],
    ),
    "the first name is bound anew": (
        ["x = []", "y = x", "x = [9]", "y.append(1)", "out = list(y)"],
        [1, 2, 4, 5],
    ),
    "in a container": (
        ["x = []", "d = {'x': x}", "d['x'].append(1)", "out = list(x)"],
        [1, 2, 3, 4],
    ),
    "in a loop over names": (
        ["x = []", "y = []", "z = []", "for each in (x, y):\n    each.append(1)", "out = list(x)"],
        [1, 2, 4, 5],
    ),
    "a function reads a global when it is used": (
        ["def f(): return K", "K = 1", "K = 2", "out = f()"],
        [1, 3, 4],
    ),
    "a function reads what the cell binds before it uses it": (
        ["def f(): return K", "K = 1\nout = f()"],
        [1, 2],
    ),
    "a function reads what the cell binds only afterwards": (
        ["def f(): return K", "K = 1", "out = f()\nK = 2"],
        [1, 2, 3],
    ),
    "a function reads what the cell binds between two uses": (
        ["def f(): return K", "K = 1", "first = f()\nK = 2\nout = first + f()"],
        [1, 2, 3],
    ),
    "a function reads what the cell imports": (
        ["def f(x): return sqrt(x)", "sqrt = None", "from math import sqrt\nout = f(4)"],
        [1, 3],
    ),
    "and not when it is defined": (
        ["K = 1", "def f(): return K", "K = 2", "out = f()"],
        [2, 3, 4],
    ),
    "a default is read when it is defined": (
        ["K = 1", "def f(k=K): return k", "K = 2", "out = f()"],
        [1, 2, 4],
    ),
    "a decorator": (
        ["def twice(f):\n    return lambda x: f(f(x))", "@twice\ndef g(x): return x + K", "K = 3",
         "Z = 4", "out = g(1)"],
        [1, 2, 3, 5],
    ),
    "a function calls another": (
        ["def f(): return g()", "def g(): return K", "K = 1", "def h(): return 0", "out = f()"],
        [1, 2, 3, 5],
    ),
    "a function that is only defined": (
        ["K = 1", "def f(): return K", "out = 5"],
        [3],
    ),
    "recursion": (
        ["def f(n): return 1 if n < 2 else n * f(n - 1)", "n = 5", "out = f(n)"],
        [1, 2, 3],
    ),
    "functions that call each other": (
        ["def even(n): return n == 0 or odd(n - 1)", "def odd(n): return n != 0 and even(n - 1)",
         "out = even(10)"],
        [1, 2, 3],
    ),
    "a function changes its argument": (
        ["def add(d): d['k'] = 1", "d = {}", "e = {}", "add(d)", "add(e)", "out = dict(d)"],
        [1, 2, 4, 6],
    ),
    "a function changes its argument and its value is used": (
        ["def add(d):\n    d['k'] = 1\n    return d", "d = {}", "e = add(d)", "out = dict(d)"],
        [1, 2, 3, 4],
    ),
    "a function changes it through a local name": (
        ["def add(d):\n    e = d\n    e['k'] = 1", "d = {}", "r = add(d)", "out = dict(d)"],
        [1, 2, 3, 4],
    ),
    "a function changes it through another function": (
        ["def inner(x): x.append(1)", "def outer(y): inner(y)", "l = []", "r = outer(l)",
         "out = list(l)"],
        [1, 2, 3, 4, 5],
    ),
    "a function that looks only": (
        ["def show(d): return len(d)", "d = {}", "show(d)", "out = dict(d)"],
        [2, 4],
    ),
    "a function of one call changes a global": (
        ["log = []", "def note(x): log.append(x)", "note(1)", "out = list(log)"],
        [1, 2, 3, 4],
    ),
    "global": (
        ["n = 0", "def up():\n    global n\n    n += 1", "up()", "out = n"],
        [1, 2, 3, 4],
    ),
    "nonlocal stays inside": (
        ["n = 7", "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n"
         "    g()\n    return n", "f()", "out = n"],
        [1, 4],
    ),
    "a closure reads a global later": (
        ["def make(k):\n    def inner(x): return x * SCALE * k\n    return inner",
         "g = make(3)", "SCALE = 2", "OTHER = 1", "out = g(5)"],
        [1, 2, 3, 5],
    ),
    "a lambda": (["f = lambda x: x + K", "K = 1", "J = 2", "out = f(1)"], [1, 2, 4]),
    "a lambda in a container": (
        ["fs = [lambda x: x + K]", "K = 1", "J = 2", "out = fs[0](1)"],
        [1, 2, 4],
    ),
    "a function under another name": (
        ["def f(): return K", "g = f", "K = 1", "del f", "out = g()"],
        [1, 2, 3, 5],
    ),
    "partial": (
        ["import functools", "def f(x): return x + K", "g = functools.partial(f, 1)", "K = 5",
         "out = g()"],
        [1, 2, 3, 4, 5],
    ),
    "a class reads globals when it is used": (
        ["class M:\n    def fit(self):\n        self.c = K\n        return self",
         "m = M()", "K = 2", "L = 3", "out = m.fit().c"],
        [1, 2, 3, 5],
    ),
    "a class body reads when it is defined": (
        ["K = 1", "class M:\n    k = K", "K = 2", "out = M.k"],
        [1, 2, 4],
    ),
    "a subclass": (
        ["class A:\n    def f(self): return K", "class B(A): pass", "K = 4", "class C: pass",
         "out = B().f()"],
        [1, 2, 3, 5],
    ),
    "a method name is no global": (
        ["f = 1", "class A:\n    def f(self): return 2\n    def g(self): return self.f()",
         "out = A().g()"],
        [2, 3],
    ),
    "a method changes its object": (
        ["class C:\n    def __init__(self): self.n = 0\n    def bump(self): self.n += 1",
         "c = C()", "d = C()", "c.bump()", "d.bump()", "out = c.n"],
        [1, 2, 4, 6],
    ),
    "comprehension targets are its own": (
        ["x = 1", "y = [x for x in range(3)]", "out = x"],
        [1, 3],
    ),
    "a comprehension reads": (["k = 2", "j = 3", "out = [k * i for i in range(3)]"], [1, 3]),
    "a dictionary comprehension": (["k = 2", "out = {i: k for i in range(2)}"], [1, 2]),
    "walrus": (["out = (n := 3) + 1", "k = 2", "out = n + k"], [1, 2, 3]),
    "walrus in a comprehension": (
        ["last = 0", "r = [last := i for i in range(3)]", "out = last"],
        [2, 3],
    ),
    "match": (
        ["p = {'a': 5}", "match p:\n    case {'a': n}: pass", "out = n"],
        [1, 2, 3],
    ),
    "try": (
        ["k = 1", "try:\n    v = 1 / k\nexcept ZeroDivisionError:\n    v = 0", "out = v"],
        [1, 2, 3],
    ),
    "try with a fallback": (
        ["try:\n    import surely_not_there as lib\nexcept ImportError:\n    lib = None",
         "out = lib"],
        [1, 2],
    ),
    "with": (
        ["import io", "with io.StringIO('text') as f:\n    t = f.read()", "u = 1", "out = t"],
        [1, 2, 4],
    ),
    "unpacking": (["a, (b, *c) = 1, (2, 3, 4)", "d = 9", "out = (a, b, c)"], [1, 3]),
    "import under a name": (["import math as m", "import json", "out = m.pi"], [1, 3]),
    "from import": (["from math import pi, e", "out = pi"], [1, 2]),
    "dotted import": (["import os.path", "import sys", "out = os.path.basename('a/b')"], [1, 3]),
    "star import": (["from math import *", "x = 1", "out = floor(2.5) + x"], [1, 2, 3]),
    "a shadowed builtin": (["sum = lambda x: 42", "y = 1", "out = sum([1])"], [1, 3]),
    "a shadowed builtin, deleted": (["len = lambda x: 42", "del len", "out = len([1])"], [3]),
    "a builtin": (["x = 3", "out = len([1])"], [2]),
    "deleted and bound again": (["x = 1", "del x", "x = 2", "out = x"], [3, 4]),
    "main guard": (["k = 1", "if __name__ == '__main__':\n    r = k", "out = r"], [1, 2, 3]),
    "type checking": (
        ["from typing import TYPE_CHECKING", "if TYPE_CHECKING:\n    import nowhere\nk = 1",
         "out = k"],
        [1, 2, 3],
    ),
    "an f-string": (["a = 1", "b = 2", "out = f'{a}'"], [1, 3]),
    "annotations": (["T = int", "x: T = 5", "out = x"], [1, 2, 3]),
    "star expressions": (["a = [1]", "b = {'x': 1}", "out = dict(*[], **b)"], [2, 3]),
    "globals with a name": (["globals()['a'] = 5", "b = 1", "out = a"], [1, 3]),
    "globals read with a name": (["a = 5", "b = 1", "out = globals()['a']"], [1, 3]),
    "exec of a text": (["k = 2", "exec('a = k + 1')", "b = 1", "out = a"], [1, 2, 4]),
    "eval of a text": (["k = 2", "b = 1", "out = eval('k + 1')"], [1, 3]),
    "exec of what was computed": (
        ["name = 'a'", "exec(f'{name} = 5')", "b = 1", "out = a"],
        [1, 2, 4],
    ),
    "globals of what was computed": (
        ["for i in range(2):\n    globals()[f'v{i}'] = i", "b = 1", "out = v1"],
        [1, 3],
    ),
    "setattr": (
        ["class C: pass", "c = C()", "setattr(c, 'a', 1)", "print(c)", "out = c.a"],
        [1, 2, 3, 5],
    ),
    "a generator that was advanced": (
        ["g = iter([1, 2, 3])", "first = next(g)", "b = 1", "out = list(g)"],
        [1, 2, 4],
    ),
    "printing and looking": (
        ["d = [1]", "print(d)", "len(d)", "repr(d)", "out = list(d)"],
        [1, 5],
    ),
    "an unknown function whose value is thrown away": (
        ["from bisect import insort as put", "l = [1, 3]", "put(l, 2)", "out = list(l)"],
        [1, 2, 3, 4],
    ),
    "a seed": (
        ["import random", "random.seed(3)", "x = 1", "out = random.random()"],
        [1, 2, 4],
    ),
    "numbers drawn after a seed": (
        ["import random", "random.seed(3)", "x = random.random()", "y = 1",
         "out = random.random()"],
        [1, 2, 3, 5],
    ),
    "the last seed counts": (
        ["import random", "random.seed(1)", "x = random.random()", "random.seed(1)",
         "out = random.random()"],
        [1, 4, 5],
    ),
    "numpy's seed": (
        ["import numpy as np", "np.random.seed(0)", "x = 1", "out = float(np.random.rand())"],
        [1, 2, 4],
    ),
    "a generator of numpy": (
        ["import numpy as np", "rng = np.random.default_rng(0)", "x = rng.normal()", "y = 1",
         "out = float(rng.normal())"],
        [1, 2, 3, 5],
    ),
    "an option of the process": (
        ["import os", "os.environ['MLOPS_TRIED'] = 'a'", "os.environ['MLOPS_OTHER'] = 'b'", "x = 1",
         "out = os.environ.get('MLOPS_TRIED')"],
        [1, 2, 3, 5],
    ),
    "options of display are none": (
        ["import pandas as pd", "pd.set_option('display.max_rows', 50)", "out = 1"],
        [3],
    ),
    "a file": (
        ["import pathlib", "_ = pathlib.Path('x.txt').write_text('5')", "k = 1",
         "out = pathlib.Path('x.txt').read_text()"],
        [1, 2, 4],
    ),
    "a file that was opened": (
        ["with open('y.txt', 'w') as f:\n    n = f.write('7')", "k = 1",
         "with open('y.txt') as g:\n    out = g.read()"],
        [1, 3],
    ),
}  # fmt: skip

PANDAS: dict[str, tuple[list[str], list[int]]] = {
    "a new column": (
        ["df = data()", "df['b'] = df.a * 2", "df2 = data()", "df2['b'] = 0", "out = df.b.sum()"],
        [1, 2, 5],
    ),
    "looking at a frame": (
        ["df = data()", "df.head()", "df.describe()", "df.info()", "df.plot", "df.groupby('a')",
         "out = df.a.sum()"],
        [1, 7],
    ),
    "looking at a frame in the midst of a cell": (
        ["df = data()", "df.head()\nk = 1", "out = df.a.sum()"],
        [1, 3],
    ),
    "in place": (
        ["df = data()", "df.drop(columns='y', inplace=True)", "out = list(df.columns)"],
        [1, 2, 3],
    ),
    "what is taken out of a frame is a copy": (
        ["df = data()", "X = df[['a']]", "X['new'] = 1", "out = list(df.columns)"],
        [1, 4],
    ),
    "a frame under two names": (
        ["df = data()", "other = df", "other['n'] = 1", "out = list(df.columns)"],
        [1, 2, 3, 4],
    ),
    "frames in a loop": (
        ["a = data()", "b = data()", "for d in [a, b]:\n    d['n'] = 1", "out = list(a.columns)"],
        [1, 2, 3, 4],
    ),
    "frames in a dictionary": (
        ["a = data()", "all = {'a': a}", "all['a']['n'] = 1", "out = list(a.columns)"],
        [1, 2, 3, 4],
    ),
    "a container shows what becomes of its frames": (
        ["a = data()", "all = {'a': a}", "a['n'] = 1", "out = list(all['a'].columns)"],
        [1, 2, 3, 4],
    ),
    "loc": (
        ["df = data()", "df.loc[0, 'a'] = 100", "out = int(df.a.sum())"],
        [1, 2, 3],
    ),
    "a function that adds a column": (
        ["df = data()", "def add(d):\n    d['b'] = d.a * K\n    return d", "K = 2", "df = add(df)",
         "K = 5", "out = int(df.b.sum())"],
        [1, 2, 3, 4, 6],
    ),
    "a pipe of functions": (
        ["df = data()", "def one(d): return d.assign(b=d.a * K)", "K = 3", "Z = 1",
         "out = int(df.pipe(one).b.sum())"],
        [1, 2, 3, 5],
    ),
    "a view of an array": (
        ["x = array()", "v = x[:2]", "v[0] = 50", "out = float(x.sum())"],
        [1, 2, 3, 4],
    ),
    "a copy of an array": (
        ["x = array()", "v = x[:2].copy()", "v[0] = 50", "out = float(x.sum())"],
        [1, 4],
    ),
    "a result is no alias": (
        ["x = array()", "y = x * 2", "y[0] = 50", "out = float(x.sum())"],
        [1, 4],
    ),
}  # fmt: skip

SKLEARN: dict[str, tuple[list[str], list[int]]] = {
    "fitted in a cell of its own": (
        ["X, y = rows()", "m = LogisticRegression()", "m.fit(X, y)", "n = LogisticRegression()",
         "n.fit(X, y)", "out = m.predict(X).sum()"],
        [1, 2, 3, 6],
    ),
    "the data does not change when a model is fitted": (
        ["X, y = rows()", "m = LogisticRegression().fit(X, y)", "out = X.sum()"],
        [1, 3],
    ),
    "a pipeline holds its steps": (
        ["X, y = rows()", "s = StandardScaler()", "p = make_pipeline(s, LogisticRegression())",
         "p.fit(X, y)", "out = s.mean_.sum()"],
        [1, 2, 3, 4, 5],
    ),
    "two estimators": (
        ["X, y = rows()", "a = LogisticRegression(C=0.1)", "b = LogisticRegression(C=10)",
         "a.fit(X, y)", "b.fit(X, y)", "a.score(X, y)", "out = b.coef_.sum()"],
        [1, 3, 5, 7],
    ),
    "an estimator that is fitted again": (
        ["X, y = rows()", "m = LogisticRegression()", "m.fit(X, y)", "m.fit(X[:30], y[:30])",
         "m.fit(X[10:], y[10:])", "out = m.coef_.sum()"],
        [1, 2, 5, 6],
    ),
    "an estimator that goes on from where it was": (
        ["X, y = rows()", "m = LogisticRegression(warm_start=True, max_iter=1)",
         "m.fit(X, y)", "m.fit(X, y)", "out = m.coef_.sum()"],
        [1, 2, 3, 4, 5],
    ),
    "an estimator that is looked at before it is fitted again": (
        ["X, y = rows()", "m = LogisticRegression()", "m.fit(X[:30], y[:30])",
         "old = m.score(X, y)\nm.fit(X, y)", "out = old"],
        [1, 2, 3, 4, 5],
    ),
    "an estimator under two names": (
        ["X, y = rows()", "a = LogisticRegression()", "b = a", "b.fit(X, y)",
         "out = a.coef_.sum()"],
        [1, 2, 3, 4, 5],
    ),
    "a function in a transformer": (
        ["X, y = rows()", "def scale(v): return v * K", "t = FunctionTransformer(scale)", "K = 2",
         "J = 3", "out = t.fit_transform(X).sum()"],
        [1, 2, 3, 4, 6],
    ),
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    return bool(np.all(one == other))


def prepared(extra: str = "") -> Notebook:
    notebook = Notebook()
    if extra == "pandas":
        # The tables below count cells from the one after these.
        notebook.names.update(data=lambda: pd.DataFrame({"a": [1, 2, 3], "y": [0, 1, 0]}),
                              array=lambda: np.arange(4.0))  # fmt: skip
    if extra == "sklearn":
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, StandardScaler

        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 3))
        notebook.names.update(
            rows=lambda: (X.copy(), (X[:, 0] > 0).astype(int)),
            LogisticRegression=LogisticRegression, make_pipeline=make_pipeline,
            FunctionTransformer=FunctionTransformer, StandardScaler=StandardScaler,
        )  # fmt: skip
    return notebook


@pytest.mark.parametrize(
    ("extra", "cells", "needed"),
    [
        pytest.param(extra, *program, id=name)
        for extra, table in (("", PROGRAMS), ("pandas", PANDAS), ("sklearn", SKLEARN))
        for name, program in table.items()
    ],
)
def test_the_slice_is_those_cells_and_gives_the_same_alone(
    extra: str, cells: list[str], needed: list[int]
) -> None:
    notebook = prepared(extra)
    given = dict(notebook.names)
    notebook.run(*cells)

    assert notebook.needed() == needed
    assert same(notebook.alone(given)["out"], notebook.names["out"])
