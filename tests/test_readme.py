"""README's commands, programs and tables against the script."""

import re
import shlex

import pytest
from helpers import DATA, DIGITS, LENET, ROOT, SCRIPT, run, run_python, tables, values

README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(heading):
    """Returns the text below `heading`, up to the next one of its level."""
    level = heading.partition(" ")[0]
    pattern = rf"^{re.escape(heading)}$(.*?)(?=^#{{2,{len(level)}}} |\Z)"
    return re.search(pattern, README, flags=re.M | re.S)[1]


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def example_commands():
    [examples] = blocks("sh", section("## Options and examples"))
    return [line for line in examples.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("command", example_commands())
def test_each_example_runs(command, monkeypatch, tmp_path):
    python, script, *args = shlex.split(command)
    assert (python, script) == ("python", SCRIPT.name)
    args = [arg.replace("model_cache", str(tmp_path)) for arg in args]
    monkeypatch.chdir(ROOT)
    done = run(*args)
    assert (done.returncode, done.stderr) == (0, "")
    assert tables(done.stdout)


def test_the_table_of_the_quick_start_is_what_the_first_command_prints(monkeypatch):
    monkeypatch.chdir(ROOT)
    quick_start = section("## Quick start")
    [command, _] = blocks("sh", quick_start)
    args = shlex.split(command.partition(f"{SCRIPT.name} ")[2])
    [shown] = blocks("text", quick_start)
    printed = run(*args, "--infer_precision", "f32").stdout
    for line in shown.splitlines()[:-1]:  # the last one is an ellipsis
        words = line.split()
        if words[3].isdecimal():  # a class: its last digits depend on the processor
            line, printed = (re.sub(r"(\.\d{3})\d+", r"\1", text) for text in (line, printed))
        assert line in printed


def test_the_program_prints_what_stands_below_it(tmp_path):
    text = section("## Use it in your own program")
    [program], [shown] = blocks("python", text), blocks("text", text)
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    done = run_python(path, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == shown.splitlines()


def changed_model(number, folder, monkeypatch):
    """Runs a program of "Change a model" in `folder`; returns the path of the model it saves."""
    program = blocks("python", section("## Change a model"))[number]
    monkeypatch.chdir(folder)
    exec(program.replace("data/", f"{DATA.as_posix()}/"), {})
    [path] = folder.glob("*.xml")
    return path


@pytest.mark.parametrize("number", range(3))
def test_a_changed_model_reads_the_same_digits(number, tmp_path, monkeypatch):
    path = changed_model(number, tmp_path, monkeypatch)
    expected = values("-m", LENET, "-i", DIGITS)
    for rows, expected_rows in zip(values("-m", path, "-i", DIGITS), expected):
        assert rows == pytest.approx(expected_rows, abs=1e-5)


def test_every_option_is_explained_once():
    explained = re.findall(r"^\| `(--?\w+)", section("### Preprocessing options"), flags=re.M)
    explained += re.findall(r"^\| `(--?\w+)", section("## Options and examples"), flags=re.M)
    usage = run("-h").stdout.partition("Options:")[0]
    short = set(re.findall(r"(?<=[\[ ])(--?\w+)", usage)) - {"-h", "--no"}
    assert sorted(explained) == sorted(short)


def test_every_function_to_copy_is_in_the_table():
    functions = re.search("# Functions to copy(.*)# Options", SCRIPT.read_text("utf-8"), flags=re.S)
    table = section("## Use it in your own program")
    for name in re.findall(r"^(?:def|class) (\w+)", functions[1], flags=re.M):
        assert f"`{name}`" in table


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", README, flags=re.M)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', README):
        [link] = filter(None, target)
        assert link[1:] in anchors if link.startswith("#") else (ROOT / link).exists(), link
    for name in re.findall(r"\]\[(\w+)\]", README):
        assert f"\n[{name}]: https://" in README


def test_the_section_that_messages_name_is_there():
    for name in re.findall(r"see '(.+?)' in README", SCRIPT.read_text("utf-8").replace('"\n', "")):
        assert re.search(rf"^##+ {re.escape(name)}$", README, flags=re.M), name
