"""The README: its examples run, its usage message is the script's, its tables are true."""

import ast
import csv
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from helpers import (
    DATA,
    EFFICIENTNET,
    FUNCTIONS,
    PHOTOS,
    README,
    ROOT,
    SOURCE,
    as_before_python_3_13,
    at_once,
    classify,
    functions_to_copy,
    names_in,
    paste,
    python_programs,
    readme_section,
    run_process,
    run_python,
    tables,
)

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.M | re.S)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
LINES = [line for line in COMMANDS if line.startswith("python classification_sample_async.py")]
[CSV_EXAMPLE] = [line for line in LINES if " | awk " in line]
EXAMPLES = [line for line in LINES if line != CSV_EXAMPLE]


def test_there_are_examples_and_all_on_files_here_are_run():
    assert len(EXAMPLES) >= 9
    elsewhere = [block for language, block in BLOCKS if language != "sh"]
    assert not [
        block
        for block in elsewhere
        if re.search(r"^python \S+ -m data/\S+ -i data/", block, flags=re.M)
    ]


@pytest.fixture(scope="module")
def done_examples():
    return dict(
        zip(EXAMPLES, at_once(lambda command: run_process(*shlex.split(command)[2:]), EXAMPLES))
    )


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples(done_examples, command):
    done = done_examples[command]
    assert (done.returncode, done.stderr) == (0, "")
    assert tables(done.stdout)


@pytest.mark.skipif(not shutil.which("awk"), reason="no awk")
def test_tables_as_csv():
    """Read by Python's own CSV module: ten rows for each photo, labels with commas in one piece."""
    options = " -nt 10 --infer_precision f32"
    command = CSV_EXAMPLE.replace("python ", f"{shlex.quote(sys.executable)} ", 1).replace(
        " | awk", f"{options} | awk"
    )
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = classify("-m", EFFICIENTNET, "-i", "data/images", *options.split(), cwd=ROOT)
    expected = [
        [path, str(class_id), f"{probability:.7f}", label]
        for path, rows in printed
        for class_id, probability, label in rows
    ]
    assert list(csv.reader(done.stdout.splitlines())) == expected
    assert len(expected) == 10 * len(PHOTOS) and any("," in row[3] for row in expected)


def test_the_first_command_classifies_the_photos_and_prints_what_is_shown():
    command = COMMANDS[0].partition("classification_sample_async.py ")[2]
    done = run_process(*shlex.split(command))
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
    printed = run_process("-h").stdout.partition("\nOpenVINO Runtime version")[0]
    assert as_before_python_3_13(printed).split() == shown.split()


COPYING = readme_section("## Copy from it")
ROWS = re.findall(r"^\| (`\w+`[^|]*) \|[^|]+\| (.*`.*) \|$", COPYING, flags=re.M)
PROGRAMS = python_programs(COPYING)


def names_and_attributes(*functions):
    """What the code of the functions uses, without what is in strings and comments."""
    nodes = [node for function in functions for node in ast.walk(FUNCTIONS[function])]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in nodes if isinstance(node, ast.Name)}


def test_the_functions_of_each_row_use_the_api_beside_them():
    assert len(ROWS) == 7
    for functions, apis in ROWS:
        shown = {api.split(".")[-1] for api in re.findall(r"`([\w.]+)`", apis)}
        assert shown, functions
        assert shown <= names_and_attributes(*re.findall(r"`(\w+)`", functions)), functions


DOCUMENTED = readme_section("## For readers of the official samples")
DOCUMENTS_API = [
    "AsyncInferQueue", "AsyncInferQueue.set_callback", "AsyncInferQueue.start_async",
    "AsyncInferQueue.wait_all", "InferRequest.results", "ov::InferRequest::start_async",
    "ov::InferRequest::set_callback", "ov::Output::get_shape", "ov::set_batch",
    "ov::InferRequest::get_input_tensor", "ov::shape_size", "ov::Tensor::data",
]  # fmt: skip


def test_the_apis_of_the_documents_stand_where_the_table_says():
    """What the documents' tables of 2022 name, each with what the function beside it uses."""
    rows = [
        row.split(" | ") for row in re.findall(r"^\| (.* \| .* \| .*) \|$", DOCUMENTED, flags=re.M)
    ]
    rows = [row for row in rows if len(row) == 3 and re.search(r"`\w+`(, step \d)?$", row[1])]
    assert set(DOCUMENTS_API) <= {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    for _, places, why in rows:
        assert why
        for place in places.split("; "):
            *apis, function = re.findall(r"`(\w+)`", place)
            assert set(apis) <= names_and_attributes(function), place
            if step := re.search(r", step (\d)$", place):
                assert all(api in code_of_step(int(step[1])) for api in apis), place


def code_of_step(number):
    """The lines of `classify_images` below the comment that names the step."""
    recipe = ast.get_source_segment(SOURCE, FUNCTIONS["classify_images"])
    steps = re.split(r"^ +# Step (\d)\. .*$", recipe, flags=re.M)
    assert steps[1::2] == list("12345678")
    return steps[2 * number]


def test_there_are_programs_to_copy():
    assert len(PROGRAMS) >= 3


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_below_the_pieces_that_they_name(tmp_path, program):
    (tmp_path / "data").symlink_to(DATA)
    pieces = [name for name in functions_to_copy() if name in names_in(ast.parse(program))]
    assert pieces
    done = run_python(paste(tmp_path / "program.py", pieces, program), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
