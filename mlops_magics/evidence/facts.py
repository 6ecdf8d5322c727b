"""What a piece of code does to names: the result of reading it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_magics.evidence.references import Call, Link


@dataclass
class Facts:
    """What a piece of code (a cell, a function, a class) does to names.

    Attributes
    ----------
    reads : set of str
        Names read before they are surely bound here.
    words : set of str
        Words of magics, and names that a verb looks up: reads if the notebook has such a name.
    loads : mapping
        Each name that the code itself reads, and whether it had been bound here before → all
        names that had been.
    binds, maybe, deletes : set of str
        Names bound for sure at the end, bound on some path, and deleted.
    mutates : set of str
        Names whose object is surely changed in place (``x[0] = …``, ``x.a = …``).
    mutates_given : set of str
        Those of them whose object is perhaps not one that this cell had bound to the name.
    deep : set of str
        Those of them where a part of the object is changed (``x.a[0] = …``).
    calls : list of Call
        Calls that may change an object in place.
    refits : set of str
        Names of which the first use here is that they are fitted.
    links : mapping
        Name bound here → the names whose objects it may share.
    forked : set of str
        Names bound here on some path only, that may share an object with others.
    unsettled : set of str
        Names bound here more than once to objects that were perhaps changed in between.
    later : mapping
        Name bound here → names that code which it holds (a lambda) reads when it is used.
    made : mapping
        Name bound here → the plain functions and classes that were called for it.
    code : mapping
        Function or class defined here → what it does when it is used.
    past : list of (frozenset of str, Facts)
        Functions defined here that were used before their name was bound anew, and what had been
        bound then.
    imports : mapping
        Name bound by an import → what: ``numpy.random``, ``sklearn.svm:SVC``.
    stars : list of str
        Modules imported with ``*``.
    effects : set of str
        What the code does to the whole process: seeds, options, working directory, variables.
    draws : bool
        Whether random numbers are drawn from a global generator.
    opaque : list of str
        What makes that not all can be told, as it stands in a sentence.
    notes : list of str
        What the code does outside Python.
    """

    reads: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    loads: dict[tuple[str, bool], frozenset[str]] = field(default_factory=dict)
    binds: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    mutates_given: set[str] = field(default_factory=set)
    deep: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    refits: set[str] = field(default_factory=set)
    links: dict[str, set[Link]] = field(default_factory=dict)
    forked: set[str] = field(default_factory=set)
    unsettled: set[str] = field(default_factory=set)
    later: dict[str, set[str]] = field(default_factory=dict)
    made: dict[str, set[str]] = field(default_factory=dict)
    code: dict[str, Facts] = field(default_factory=dict)
    past: list[tuple[frozenset[str], Facts]] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    strings: dict[str, str] = field(default_factory=dict)
    files_read: set[str] = field(default_factory=set)
    files_written: set[str] = field(default_factory=set)
    effects: set[str] = field(default_factory=set)
    draws: bool = False
    opaque: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    # Of functions and classes only:
    parameters: tuple[str, ...] = ()
    escapes: set[str] = field(default_factory=set)
    is_class: bool = False

    @property
    def writes(self) -> set[str]:
        """Names that are bound, perhaps, or whose object is surely changed."""
        return self.binds | self.maybe | self.mutates
