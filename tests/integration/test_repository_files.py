"""Files that other programs read: the workflow of CI, the hooks before a commit, how to cite."""

import ast
import re
import tomllib

import pytest

from fastnn import __version__
from tests.helpers.doc_blocks import ROOT, read

yaml = pytest.importorskip("yaml")

PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))


def pythons_of_nox():
    assignments = [node for node in ast.parse(read("noxfile.py")).body if isinstance(node, ast.Assign)]
    [found] = [node.value for node in assignments if ast.unparse(node.targets[0]) == "PYTHONS"]
    return ast.literal_eval(found)


def commands_of_workflow():
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def commands_of_hooks():
    [repo] = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    return [hook["entry"] for hook in repo["hooks"]]


def commands_of_contributors():
    return re.findall(r"^\| `(make [a-z-]+)`", read("CONTRIBUTING.md"), re.MULTILINE)


def test_workflow_calls_make_with_the_fewest_rights():
    workflow = yaml.safe_load(read(".github/workflows/test.yml"))
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == pythons_of_nox()
    assert {command.split()[1] for command in commands_of_workflow()} == {"test", "test-all"}


@pytest.mark.parametrize("commands", [commands_of_workflow, commands_of_hooks, commands_of_contributors])
def test_commands_are_targets_of_make(commands):
    found = [re.match(r"make ([a-z-]+)( PYTHON=python)?$", command) for command in commands()]
    assert found and all(found)
    assert {match[1] for match in found} <= TARGETS


def test_citation_names_this_version():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["message"] and PROJECT["name"].startswith(citation["title"])


def test_links_of_the_security_policy_lead_to_files():
    links = re.findall(r"\]\(([^)]+)\)", read("SECURITY.md"))
    assert links and all((ROOT / link).is_file() for link in links)


def test_versions_of_python_are_those_of_nox():
    prefix = "Programming Language :: Python :: 3."
    named = [f"3.{line.removeprefix(prefix)}" for line in PROJECT["classifiers"] if line.startswith(prefix)]
    assert named == pythons_of_nox()
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_nox_runs_tests_that_exist():
    files = re.findall(r"tests/[\w/]+\.py", read("noxfile.py"))
    assert files and all((ROOT / file).is_file() for file in files)


def test_every_folder_of_the_package_is_installed():
    project = tomllib.loads(read("pyproject.toml"))
    listed = set(project["tool"]["setuptools"]["packages"])
    roots = {"fastnn": ROOT / "fastnn", "fastnn.kernels": ROOT / "kernels"}
    found = {
        ".".join([name, *path.parent.relative_to(root).parts])
        for name, root in roots.items()
        for path in root.rglob("*.py")
        if "kernels" not in path.relative_to(root).parts[:1]
    }
    assert listed == found


def test_the_changelog_names_this_version():
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert __version__ in headings or (
        headings[0] == "Unreleased" and f"To become {__version__}" in read("CHANGELOG.md")
    )


def test_the_recipe_of_conda_asks_for_what_the_project_asks_for():
    recipe = yaml.safe_load(read("packaging/conda/recipe.yaml"))
    python = f"python{PROJECT['requires-python']}"
    needed = [requirement.replace(" ", "") for requirement in recipe["requirements"]["run"]]
    assert sorted(needed) == sorted([python, *PROJECT["dependencies"]])
    [builder] = tomllib.loads(read("pyproject.toml"))["build-system"]["requires"]
    assert {requirement.replace(" ", "") for requirement in recipe["requirements"]["host"]} == {
        python,
        "pip",
        builder,
    }
    assert recipe["context"]["version"] == __version__
    assert recipe["package"]["name"] == PROJECT["name"]
    assert recipe["about"]["license"] == PROJECT["license"]


def test_what_builds_a_release_is_pinned_by_digests():
    text = read("packaging/build-requirements.txt")
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+) \\\n {4}--hash=sha256:[0-9a-f]{64}\b", text, re.MULTILINE))
    assert len(pins) == text.count("==")
    backend = re.search(r"^_REQUIRED = (\[.*\])$", read("packaging/build_backend.py"), re.MULTILINE)[1]
    project = tomllib.loads(read("pyproject.toml"))
    needed = [
        "build",
        *project["build-system"]["requires"],
        *PROJECT["dependencies"],
        *ast.literal_eval(backend),
    ]
    for requirement in needed:
        name, _, least = requirement.partition(">=")
        assert numbers(pins[name]) >= numbers(least), requirement


def numbers(version):
    return [int(number) for number in version.split(".") if number]
