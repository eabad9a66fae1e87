"""The README: its examples run, its usage message is the script's, its table of API features is true."""

import ast
import re
import shlex

import pytest
from conftest import PHOTOS, ROOT, SCRIPT, as_before_python_3_13, run, tables

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.M | re.S)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
EXAMPLES = [line for line in COMMANDS if line.startswith("python classification_sample_async.py")]


def test_there_are_examples_and_all_on_files_here_are_run():
    assert len(EXAMPLES) >= 9
    elsewhere = [block for language, block in BLOCKS if language != "sh"]
    assert not [block for block in elsewhere if re.search(r"-m data/\S+ -i data/", block)]


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples(command):
    done = run(*shlex.split(command)[2:])
    assert (done.returncode, done.stderr) == (0, "")
    assert tables(done.stdout)


def test_the_first_command_classifies_the_photos_and_prints_what_is_shown():
    command = COMMANDS[0].partition("classification_sample_async.py ")[2]
    done = run(*shlex.split(command))
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.splitlines()
    shown = next(block for _, block in BLOCKS if "[ INFO ] Creating" in block)
    assert len(tables(shown)) == 2
    remaining = (figures_masked(line) for line in printed)
    for line in shown.splitlines():
        assert line == "..." or figures_masked(line) in remaining
    assert {row[1][0][0] for row in tables(shown)} <= {row[1][0][0] for row in tables(done.stdout)}
    assert len(tables(done.stdout)) == len(PHOTOS)


def figures_masked(line):
    """The row of a table without the probability's digits, which depend on the processor."""
    return re.sub(r"\d\.\d{7}", "0.0000000", line)


def test_usage_message():
    shown = next(block for _, block in BLOCKS if block.startswith("usage:"))
    printed = run("-h").stdout.partition("\nOpenVINO Runtime version")[0]
    assert as_before_python_3_13(printed).split() == shown.split()


def test_the_api_is_called_where_the_table_says():
    source = SCRIPT.read_text(encoding="utf-8")
    functions = {
        node.name: ast.get_source_segment(source, node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    rows = re.findall(r"^\| [A-Z][^|]+ \| (`.+?) \| (`.+?) \|$", README, flags=re.M)
    assert len(rows) >= 8
    for apis, places in rows:
        bodies = [functions[place] for place in re.findall(r"`(\w+)`", places)]
        names = [api.split(".")[-1] for api in re.findall(r"`([\w.]+)`", apis)]
        assert all(any(name in body for body in bodies) for name in names), (names, places)
        assert all(any(name in body for name in names) for body in bodies), (names, places)
