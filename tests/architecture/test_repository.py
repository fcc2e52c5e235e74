"""What no file of the repository may hold."""

from __future__ import annotations

import re

from tests.architecture.source import ROOT, committed_files

# Put together from pieces, since this file too is looked at.
REGISTRY_HOSTS = tuple(
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("gcr", "io"),
        ("conda", "anaconda", "org"),
        ("proxy", "golang", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
    )
)
REGISTRY = re.compile(
    rb'"resolved": *"http|--(extra-)?index'
    rb"-url|^ *(index|registry)(_url|-url)? *= *['\"]?http|"
    + "|".join(re.escape(host) for host in REGISTRY_HOSTS).encode(),
    re.MULTILINE,
)


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode(errors='replace')}"
        for path in committed_files()
        for match in [REGISTRY.search(path.read_bytes())]
        if match
    ]
    assert found == []


def test_a_registry_would_be_seen() -> None:
    for text in (
        '"resolved": ' + '"https://somewhere/x.tgz"',
        "pip install --index" + "-url https://mirror/simple x",
        "registry = " + "https://mirror",
        f"see https://{REGISTRY_HOSTS[0]}/project/x",
    ):
        assert REGISTRY.search(text.encode())
