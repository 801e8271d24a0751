"""What pyspf and spftrace say of worlds of SPF: JSON in, JSON out, no network.

Each world has names with records, and a sender. Both are given the same answers: names in lower case, a
name `*.x` standing for all below `x` that have no own records, aliases followed, exchanges in their order.

What pyspf is known to do otherwise than RFC 7208 says can be mended here, one thing at a time, so that a
difference is explained by what takes it away.
"""

import asyncio
import contextlib
import json
import re
import sys

import spf
import spftrace

ALIASES = 10


class Silence(Exception):
    """The name does not answer."""


class World:
    def __init__(self, names):
        self.names = names

    def records(self, name):
        if name in self.names:
            return self.names[name]
        labels = name.split(".")
        for at in range(1, len(labels)):
            wild = "*." + ".".join(labels[at:])
            if wild in self.names:
                return self.names[wild]
        return None

    def ask(self, name, kind):
        """Whether the name is there, and its data of that type."""
        for _ in range(ALIASES):
            name = name.lower().rstrip(".")
            records = self.records(name)
            if records is None:
                return False, []
            if any(own == "TIMEOUT" for own, _ in records):
                raise Silence(name)
            found = [data for own, data in records if own == kind]
            alias = [data for own, data in records if own == "CNAME"]
            if found or not alias:
                if kind == "MX":
                    found.sort(key=lambda data: (int(data[0]), data[1]))
                return True, found
            name = alias[0][0]
        return True, []


class Macros:
    """Finds what is wrong in a string with macros."""

    def search(self, text):
        return not re.fullmatch(r"(?:[^%]|%%|%_|%-|%\{[^}]*\})*", text)


expand_one = spf.expand_one


def strict_expand_one(expansion, transformers, joiner):
    """Section 7.1: what may stand behind the letter of a macro."""
    if not re.fullmatch(r"(?:0*[1-9][0-9]*)?[rR]?[-.+,/_=]*", transformers):
        raise spf.PermError("transformers", transformers)
    return expand_one(expansion, transformers, joiner)


PLAIN = {
    "RE_INVALID_MACRO": spf.RE_INVALID_MACRO,
    "RE_ARGS": spf.RE_ARGS,
    "JOINERS": spf.JOINERS,
    "expand_one": expand_one,
}
# What is put in the place of parts of pyspf; other mends are in `Query`.
PARTS = {
    "escapes": {"RE_INVALID_MACRO": Macros()},
    "capital R": {"RE_ARGS": re.compile(r"([0-9]*)([rR]?)([^0-9a-zA-Z]*)")},
    "joined otherwise": {"JOINERS": dict.fromkeys("slodiphcrtv", ".")},
    "transformers unread": {"expand_one": strict_expand_one},
}
MENDS = [
    *PARTS,
    "voids of hosts",
    "trivial recursion",
    "unknown twice",
    "no local part",
    "first at sign",
    "cases of names",
    "names of the address unanswered",
]


class Query(spf.query):
    """Notes which lookups pyspf counts as void, and has some of its ways mended."""

    def __init__(self, case, mends):
        super().__init__(case["ip"], case["mail_from"], case["helo"], receiver=case["receiver"])
        self.mends = mends
        self.t = str(case["time"])
        self.void = []
        self.hosts = False
        if "first at sign" in mends and "@" in self.s:
            self.l, self.o = self.s.rsplit("@", 1)
            self.d = self.o
        if "no local part" in mends and (self.s.startswith("@") or "@" not in self.s):
            self.s = f"postmaster@{self.o}"

    @contextlib.contextmanager
    def looking_at_hosts(self):
        self.hosts = "voids of hosts" in self.mends
        try:
            yield
        finally:
            self.hosts = False

    def dns(self, name, kind, cnames=None, ignore_void=False):
        before = self.void_lookups
        hosts = self.hosts and kind in ("A", "AAAA")
        try:
            return super().dns(name, kind, cnames=cnames, ignore_void=ignore_void or hosts)
        finally:
            if self.void_lookups > before:
                self.void.append([str(name).lower().rstrip("."), kind])

    def dns_mx(self, name):
        with self.looking_at_hosts():
            return super().dns_mx(name)

    def dns_a(self, name, kind="A"):
        try:
            return super().dns_a(name, kind)
        except spf.TempError:
            if self.verifying:
                return []
            raise

    verifying = False

    def validated_ptrs(self):
        self.verifying = "names of the address unanswered" in self.mends
        try:
            with self.looking_at_hosts():
                return super().validated_ptrs()
        except spf.TempError:
            if self.verifying:
                return []
            raise
        finally:
            self.verifying = False

    def getp(self):
        if "cases of names" not in self.mends:
            return super().getp()
        names = self.validated_ptrs()
        own, below = self.d.lower(), "." + self.d.lower()
        best = [name for name in names if name.lower() == own]
        best += [name for name in names if name.lower().endswith(below)]
        self.p = (best + names + ["unknown"])[0]
        return self.p

    def validate_mechanism(self, term):
        try:
            return super().validate_mechanism(term)
        except spf.PermError as error:
            if error.msg != "include has trivial recursion" or "trivial recursion" not in self.mends:
                raise
            return term, "include", self.d, self.cidrmax, spf.RESULTS.get(term[0], "pass")

    def note_error(self, *words):
        ours = words[0].startswith(("exp=", "redirect="))
        if "unknown twice" in self.mends and "MUST appear at most once" in words[0] and not ours:
            return None
        return super().note_error(*words)


def by_pyspf(case, mends=()):
    world = World(case["zone"])

    def look_up(name, kind, strict=True, timeout=None):
        try:
            _, found = world.ask(name, kind)
        except Silence as silent:
            raise spf.TempError(f"DNS no answer for {silent}")
        for data in found:
            if kind == "TXT":
                yield (name, kind), tuple(part.encode() for part in data)
            elif kind == "MX":
                yield (name, kind), (int(data[0]), data[1])
            else:
                yield (name, kind), data[0]

    vars(spf).update(PLAIN)
    for mend in mends:
        vars(spf).update(PARTS.get(mend, {}))
    spf.DNSLookup = look_up
    query = Query(case, mends)
    try:
        result, _, words = query.check()
    except Exception as error:  # It is not sure of itself everywhere.
        result, words = "crash", repr(error)
    explained = words if result == "fail" and words != spf.EXPLANATIONS["fail"] else None
    return {"result": result, "why": words, "explanation": explained, "void": query.void}


def by_pyspf_and_mended(case):
    """As it is, and what a mend changes: each alone, then all together."""
    plain, whole = by_pyspf(case), by_pyspf(case, MENDS)
    said = lambda judged: [judged["result"], judged["explanation"]]
    mended = {mend: said(by_pyspf(case, [mend])) for mend in MENDS}
    changed = {mend: way for mend, way in mended.items() if way != said(plain)}
    return plain | {"mended": changed, "whole": whole}


class Resolver(spftrace.BaseResolver):
    def __init__(self, world):
        self.world = world

    async def _lookup(self, name, kind):
        try:
            there, found = self.world.ask(name, kind)
        except Silence:
            return "TIMEOUT", []
        data = {"TXT": "".join, "MX": lambda data: data[1]}.get(kind, lambda data: data[0])
        return "NOERROR" if there else "NXDOMAIN", [data(each) for each in found]


def by_spftrace(case):
    limits = spftrace.Limits(max_queries=None)
    judge = spftrace.Evaluator(Resolver(World(case["zone"])), limits, receiver=case["receiver"])
    told = asyncio.run(judge.evaluate(case["ip"], case["mail_from"], case["helo"]))
    ends = [event.data["reason"] for event in told.trace.events if event.kind == "exit"]
    return {
        "result": told.result,
        "why": " ".join(ends),
        "lookups": told.dns_terms_used,
        "void": [[query.name.lower().rstrip("."), query.rtype] for query in told.queries if query.void],
        "asked": [[query.name.lower().rstrip("."), query.rtype] for query in told.queries],
    }


cases = json.load(open(sys.argv[1]))
said = [{"pyspf": by_pyspf_and_mended(case), "spftrace": by_spftrace(case)} for case in cases]
json.dump(said, open(sys.argv[2], "w"))
