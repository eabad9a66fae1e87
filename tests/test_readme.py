"""The README: its examples run, its usage message is the script's, its tables are true."""

import ast
import csv
import http.client
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from helpers import (
    DIGITS,
    EFFICIENTNET,
    FUNCTIONS,
    LENET,
    PHOTOS,
    README,
    ROOT,
    SOURCE,
    as_before_python_3_13,
    at_once,
    classify,
    python_programs,
    readme_section,
    run_process,
    run_python,
    tables,
)

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.M | re.S)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
EXAMPLES = [line for line in COMMANDS if line.startswith("python classification_sample_async.py")]


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


PICTURE_ROWS = re.findall(
    r'^\| <img src="(\S+)" alt="(\S+)".*> \| (.+) (0\.\d{3}) \| (.+) (0\.\d{3}) \|$',
    README,
    flags=re.M,
)


def test_the_table_of_pictures_has_the_first_classes_and_their_probabilities():
    assert [ROOT / row[0] for row in PICTURE_ROWS] == PHOTOS
    assert [row[1] for row in PICTURE_ROWS] == [photo.name for photo in PHOTOS]
    options = ([], re.search(r"^\| image \| .* \| `(.*)` \|$", README, flags=re.M)[1].split())
    assert options[1] == ["--center_crop", "0.875", "--antialias"]
    for column, chosen in zip((2, 4), options):
        results = classify("-m", EFFICIENTNET, "-i", *PHOTOS, "--infer_precision", "f32", *chosen)
        for row, (_, rows) in zip(PICTURE_ROWS, results):
            _, probability, label = rows[0]
            assert label.startswith(row[column])
            assert probability == pytest.approx(float(row[column + 1]), abs=0.0006)


def test_the_first_command_classifies_the_photos_and_prints_what_is_shown():
    command = COMMANDS[0].partition("classification_sample_async.py ")[2]
    done = run_process(*shlex.split(command))
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.splitlines()
    shown = next(block for _, block in BLOCKS if "[ INFO ] Image path" in block)
    assert len(tables(shown)) == 1
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
    assert len(ROWS) == 10
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


def run_program(folder, program, **replaced):
    """Runs a program of README's beside the script and the data, inferring in f32; its output."""
    for old, new in replaced.items():
        assert old in program
        program = program.replace(old, new)
    for name in ("data", "classification_sample_async.py"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "program.py").write_text(program, encoding="utf-8")
    done = run_python(folder / "program.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


IN_F32 = '"CPU", {"INFERENCE_PRECISION_HINT": "f32"})'


def best_three(*names_and_options):
    return {
        name: [class_id for class_id, _, _ in rows]
        for name, rows in classify(
            "-m", EFFICIENTNET, "-nt", "3", "--infer_precision", "f32", "-i", *names_and_options,
            cwd=ROOT,
        )
    }  # fmt: skip


def printed_classes(stdout):
    """{name: class ids} of lines such as "coffee.bmp [967 968 504]"."""
    lines = re.findall(r"^(\S+) \[([\d ]+)\]$", stdout, flags=re.M)
    return {name: [int(number) for number in numbers.split()] for name, numbers in lines}


def test_the_smallest_program_prints_the_classes_of_the_sample(tmp_path):
    [program] = python_programs(readme_section("## Run it"))
    printed = printed_classes(run_program(tmp_path, program, **{'"CPU")': IN_F32}))
    assert len(printed) == 2
    assert printed == best_three(*printed)


FRAMES, CSV, INSIDE, SERVER = PROGRAMS


def test_frames_get_the_classes_of_the_sample(tmp_path):
    config = {"throughput = {": 'throughput = {"INFERENCE_PRECISION_HINT": "f32", '}
    printed = printed_classes(run_program(tmp_path, FRAMES, **config))
    paths = [f"data/images/{name}" for name in printed]
    assert len(paths) == 2
    assert list(printed.values()) == list(best_three(*paths).values())


def test_the_table_as_csv_is_that_of_the_sample(tmp_path):
    rows = list(csv.reader(run_program(tmp_path, CSV, **{'"CPU")': IN_F32}).splitlines()))
    results = classify(
        "-m", EFFICIENTNET, "-i", "data/images", "--infer_precision", "f32", cwd=ROOT
    )
    expected = [(path, *row) for path, of_image in results for row in of_image]
    assert len(rows) == len(expected) == 10 * len(PHOTOS)
    for (path, class_id, probability, label), row in zip(rows, expected):
        assert (path, int(class_id), label) == (row[0], row[1], row[3])
        assert float(probability) == pytest.approx(row[2], abs=2e-6)
    assert any("," in label for _, _, _, label in rows)


def test_the_csv_program_goes_on_after_a_broken_file(tmp_path):
    (tmp_path / "images").mkdir()
    shutil.copy(PHOTOS[0], tmp_path / "images" / "b.jpg")
    (tmp_path / "images" / "a.png").write_text("no image")
    program = CSV.replace('"data/images"', '"images"')
    for name in ("data", "classification_sample_async.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = run_python(tmp_path / "program.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "images/a.png cannot be decoded as an image\n")
    assert {row[0] for row in csv.reader(done.stdout.splitlines())} == {"images/b.jpg"}


def test_a_model_with_its_preprocessing_inside_reads_the_digits(tmp_path):
    printed = run_program(tmp_path, INSIDE)
    labels = [top for _, [(top, _, _), *_] in classify("-m", LENET, "-i", DIGITS)]
    assert ast.literal_eval(printed) == labels == list(range(10))


def free_port():
    """One that no client gets from the system: with its server's port it connects to itself."""
    for port in range(20_000, 30_000):
        with suppress(OSError), socket.socket() as server_socket:
            server_socket.bind(("localhost", port))
            return port
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port of README's server."""
    folder = tmp_path_factory.mktemp("server")
    for name in ("data", "classification_sample_async.py"):
        (folder / name).symlink_to(ROOT / name)
    port = free_port()
    assert SERVER.count("8000") == 1
    (folder / "program.py").write_text(SERVER.replace("8000", str(port)), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, folder / "program.py"], cwd=folder, stderr=subprocess.PIPE
    )
    for _ in range(300):
        with suppress(OSError), socket.create_connection(("localhost", port)):
            break
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    yield port
    process.terminate()
    _, printed = process.communicate(timeout=10)
    assert b"Traceback" not in printed, printed


def post(port, body):
    """The status and the answer to one request."""
    connection = http.client.HTTPConnection("localhost", port, timeout=20)
    connection.request("POST", "/", body)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, text


def test_eight_clients_of_the_server_get_the_answers_to_their_own_images(server):
    expected = {path: ids[0] for path, ids in best_three(*PHOTOS, "--antialias").items()}
    images = [photo for photo in PHOTOS if photo.name != "astronaut.jpg"]  # its two best are close

    def client(number):
        photo = images[number % len(images)]
        answers = [post(server, photo.read_bytes()) for _ in range(10)]
        return photo, {(status, next(iter(json.loads(text)))) for status, text in answers}

    with ThreadPoolExecutor(8) as pool:
        for photo, answers in pool.map(client, range(8)):
            assert answers == {(200, str(expected[str(photo)]))}


def test_the_server_refuses_what_is_no_image_and_answers_the_next(server):
    for body, status in ((b"no image", 400), (b"", 413), (b"\x89PNG\r\n\x1a\n", 400)):
        assert post(server, body)[0] == status
    assert post(server, PHOTOS[2].read_bytes())[0] == 200


def test_a_client_that_sends_nothing_delays_no_other(server):
    with socket.create_connection(("localhost", server)):
        status, text = post(server, PHOTOS[3].read_bytes())  # a lone request
    assert status == 200
    assert sum(json.loads(text).values()) == pytest.approx(0.94, abs=0.05)


def test_the_program_for_pytorch(tmp_path):
    """With random weights, as nothing is downloaded."""
    pytest.importorskip("torchvision", reason="no torchvision")
    [program] = python_programs(
        README.partition("### What a model wants")[0].partition("## Your own model")[2]
    )
    (tmp_path / "program.py").write_text(program.replace("weights=weights)", "weights=None)"))
    done = run_python(tmp_path / "program.py", cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr
    command = next(block for _, block in BLOCKS if "resnet50.xml" in block)
    options = shlex.split(command.replace("\\\n", " "))[2:]
    options[options.index("resnet50.xml")] = tmp_path / "resnet50.xml"
    assert len(classify(*options, cwd=ROOT)) == len(PHOTOS)
