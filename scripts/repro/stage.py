"""The builds and what came of each: the baseline, every variation, and the factor that makes a task differ."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.artefact import WORK
from scripts.repro import compare, explain
from scripts.repro.compare import DIST, Blame, Seen
from scripts.repro.variations import FACTORS, Factor, Variation, find_python, obstacle, variations
from scripts.repro.verdict import FAILED, PASSED, SKIPPED, Finding
from scripts.repro.workplace import BuildFailedError, Workplace, make_environment

MOST_BLAMED = 4  # tasks whose factor is looked for; each takes a small build for every factor


def say(state: str, name: str, words: str, since: float | None = None) -> None:
    """One line of progress."""
    took = f" ({time.monotonic() - since:.1f} s)" if since is not None else ""
    print(f"{state:8}{name}: {words}{took}", flush=True)


def build_baseline(place: Workplace) -> Seen:
    """Builds the sources with nothing varied; all other builds take what it fetched.

    Raises: KitError.
    """
    since = time.monotonic()
    place.stores = fetched(place.root)
    tree = place.lay()
    place.build(tree)
    tree = place.keep(tree)
    baseline = compare.look(tree)
    place.stores = fetched(tree)
    say("built", "baseline", f"rootHash {baseline.root_hash}", since)
    return baseline


def compared_with(place: Workplace, variation: Variation, baseline: Seen) -> Seen:
    """What a variation is compared with: the baseline, or one that goes without the same.

    Raises: BuildFailedError.
    """
    if not variation.without:
        return baseline
    key = tuple(sorted(variation.without.items()))
    if key not in place.baselines:
        tree = place.lay()
        place.build(tree, without=variation.without)
        place.baselines[key] = compare.look(place.keep(tree))
    return place.baselines[key]


def fetched(tree: Path) -> tuple[Path, ...]:
    """The folders of a tree that hold what its build fetched: wheels, and Debian packages."""
    return tuple(sorted([*(tree / DIST).glob("concelier-lnm-*/runner/wheelhouse*"), *(tree / WORK).glob("image/*/debs")]))


def examine(place: Workplace, baseline: Seen, wanted: Sequence[str]) -> tuple[list[Finding], list[str]]:
    """Every variation; returns what came of each and the complaints, each as the text that a person reads."""
    able, findings = [], []
    for factor in FACTORS:
        if factor.name in wanted:
            why = obstacle(factor) or unshuffled(factor, place)
            if why:
                findings.append(Finding(factor.name, SKIPPED, factor.words, why))
                say(SKIPPED, factor.name, why)
            else:
                able.append(factor)
    complaints: list[str] = []
    for variation in variations(able, wanted):
        since = time.monotonic()
        finding, complaint = judge(place, baseline, variation)
        findings.append(finding)
        complaints += complaint
        say(finding.state, finding.name, f"{finding.varied}: {finding.words}", since)
    return findings, complaints


def unshuffled(factor: Factor, place: Workplace) -> str:
    """Why the order of files cannot be varied here."""
    return "no folder here lists files in another order" if factor.name == "input-order" and place.shuffled is None else ""


def judge(place: Workplace, baseline: Seen, variation: Variation) -> tuple[Finding, list[str]]:
    """Builds one variation and compares it."""
    python = find_python(variation.python) if variation.python else sys.executable
    why = variation.obstacle() or ("" if python else f"no python{variation.python} on the PATH or below ~/.pyenv/versions")
    if why:
        return Finding(variation.name, SKIPPED, variation.words, why), []
    tree = place.lay(variation.factors)
    try:
        if variation.python:
            python = make_environment(tree, python, place.environment)
        place.build(tree, variation.factors, python, without=variation.without)
        tree = place.keep(tree)
        other, baseline = compare.look(tree), compared_with(place, variation, baseline)
        blames = compare.blamed(baseline, other, same_python=not variation.python)
        if not blames:
            return Finding(variation.name, PASSED, variation.words, agreement(baseline, other, variation)), []
        told = [(blamed, guilty(place, baseline, variation, blamed)) for blamed in blames[:MOST_BLAMED]]
        complaints = [complain(baseline, other, blamed, names) for blamed, names in told]
        complaints += [f"repro: {blamed.task} {blamed.how} {blamed.file} too" for blamed in blames[MOST_BLAMED:]]
    except BuildFailedError as err:
        tree = place.keep(tree) if tree.parent.name == "build" else tree
        complaints = [f"repro: the build failed when {breakers(place, variation)} was varied: {err}"]
    finally:
        place.remove(tree)
    return Finding(variation.name, FAILED, variation.words, complaints[0].splitlines()[0]), complaints


def agreement(baseline: Seen, other: Seen, variation: Variation) -> str:
    """What was found to be equal."""
    if variation.python:
        count = sum(map(compare.is_of_any_python, baseline.outputs))
        ran = next(iter(other.records.values()))["tools"]["python"]
        return f"{count} files under Python {ran} are equal: {compare.WHY_NOT_ALL}"
    return f"all {len(other.outputs)} files are equal, tarballs and signatures too"


def guilty(place: Workplace, baseline: Seen, variation: Variation, blamed: Blame) -> str:
    """Which factor makes the task differ: the task alone is made again with nothing varied, then with one factor at a time."""
    if len(variation.factors) <= 1:
        return f"{variation.name} was varied"
    if blamed.task not in baseline.records:
        return f"{variation.words} were varied"
    if differs_with(place, baseline, (), blamed):
        return "nothing was varied: it differs from one build to the next"
    names = {factor.name for factor in variation.factors if differs_with(place, baseline, (factor,), blamed)}
    names -= {factor.name for factor in variation.factors if names & set(factor.entails)}
    if not names:
        return f"{variation.words} were varied together: none of them does it alone"
    return f"{' or '.join(factor.name for factor in variation.factors if factor.name in names)} was varied"


def breakers(place: Workplace, variation: Variation) -> str:
    """Which factors make a build fail, each alone; the variation's name where none does."""
    if len(variation.factors) <= 1:
        return variation.name
    return " or ".join(factor.name for factor in variation.factors if fails_with(place, factor)) or variation.words


def fails_with(place: Workplace, factor: Factor) -> bool:
    """True where a whole build fails under this factor alone."""
    tree = place.lay((factor,))
    try:
        place.build(tree, (factor,))
    except BuildFailedError:
        return True
    finally:
        place.remove(tree)
    return False


def differs_with(place: Workplace, baseline: Seen, factors: tuple[Factor, ...], blamed: Blame) -> bool:
    """True where the one task is another one than the baseline's under these factors alone."""
    tree = place.lay(factors)
    try:
        place.build(tree, factors, target=blamed.task)
        other = compare.look(tree)
    except BuildFailedError:
        return True
    finally:
        place.remove(tree)
    one, two = baseline.records[blamed.task], other.records.get(blamed.task)
    if two is None or any(one[part] != two[part] for part in ("outputs", "settings", "code", "tools")):
        return True
    name = Path(blamed.file).relative_to(DIST).as_posix() if Path(blamed.file).is_relative_to(DIST) else ""
    return name in other.outputs and other.outputs[name] != baseline.outputs.get(name)


def complain(baseline: Seen, other: Seen, blamed: Blame, names: str) -> str:
    """The plain line, and the explanation below it."""
    told = explain.explain(baseline.tree / blamed.file, other.tree / blamed.file)
    return f"repro: {blamed.task} {blamed.how} {blamed.file} when {names}\n{told}"
