import re
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]


def requested() -> list[Requirement]:
    groups = [
        PYPROJECT["build-system"]["requires"],
        PROJECT["dependencies"],
        *PROJECT["optional-dependencies"].values(),
    ]
    requirements = map(Requirement, chain.from_iterable(groups))
    return [requirement for requirement in requirements if requirement.name != PROJECT["name"]]


def pins(file: str = "constraints.txt") -> list[Requirement]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def applies(requirement: Requirement, python: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


def pinned_versions(python: str) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for pin in pins():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", f"constraints.txt does not pin {pin.name}"
        if applies(pin, python):
            versions.setdefault(canonicalize_name(pin.name), []).append(specifier.version)
    return versions


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_constraints_pin_every_requirement_once(python: str) -> None:
    versions = pinned_versions(python)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
    for requirement in requested():
        if applies(requirement, python):
            found = versions.get(canonicalize_name(requirement.name))
            assert found, f"constraints.txt lacks {requirement.name} for Python {python}"
            assert requirement.specifier.contains(found[0]), f"{found[0]} is not {requirement}"


def test_the_oldest_releases_are_those_asked_for() -> None:
    lowest = {pin.name: pin for pin in pins("constraints-lowest.txt")}
    asked = {line.name: line for line in map(Requirement, PROJECT["dependencies"])}
    assert lowest.keys() == asked.keys()
    assert str(lowest.pop("torch").specifier) == "==2.13.0"
    for name, pin in lowest.items():
        (bound,), (pinned,) = asked[name].specifier, pin.specifier
        assert (bound.operator, pinned.operator) == (">=", "==")
        assert Version(bound.version) == Version(pinned.version), name


def test_torch_is_pinned_to_one_release() -> None:
    assert [str(pin) for pin in pins() if pin.name == "torch"] == ["torch==2.13.0"]


def test_every_package_folder_is_installed() -> None:
    tops = {init.parent for init in ROOT.glob("*/__init__.py")} - {ROOT / "tests"}
    folders = {module.parent for top in tops for module in top.rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert names == set(PYPROJECT["tool"]["setuptools"]["packages"])


def test_citation_carries_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [PROJECT["version"]]


def test_changelog_starts_unreleased_and_its_newest_release_is_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest, *releases = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert newest == "[Unreleased]"
    for release in releases:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", release)
    if releases:
        assert releases[0].startswith(f"[{PROJECT['version']}]")
