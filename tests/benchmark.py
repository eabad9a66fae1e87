"""Measures speed and memory of the sample against what they must reach; README.md has a few rows.

    python tests/benchmark.py                  # all of it, about 25 minutes on two cores
    python tests/benchmark.py runs app         # only the parts named

The parts, each of which prints a table or a line:

    runs       whole runs over photos: against the plain sample and the limit of the machine,
               memory, the first table
    one        whole runs on one photo, without and with a model cache
    start      whole runs on one photo, with and without each line that makes the start faster
    buffer     whole runs over photos, with the decode buffer and with fresh memory for each
    antialias  whole runs over photos with --antialias, against the same without
    cores      the sample on 2 to 64 simulated cores
    app        the throughput of -ni, against benchmark_app's
    batches    whole runs by batch size, of two models
    long       60,000 images of known answer: each table must be the right one
    soak       hundreds of short runs over the devices that combine others, many at once

Every figure is a median over pairs of runs that were made in turn, so that a machine that is slow
for a while is slow for both sides; a ratio is the median of the pairs' ratios. Nothing here is a
test: timings belong to the machine.

The plain sample (plain_sample.py) is in the style of the official one: cv2.imread, cv2.resize, one
image per request, no hint, tables printed in the callback. The limit of the machine is the time if
no core ever waits: start-up (a run on one tiny image), and the processor's time to decode and to
infer, each measured alone, over the number of cores. The ideal of the simulated cores is start-up
and 1.5 s: decoding an image is a sleep of 20 ms there, and each core has 75.

Earlier figures, on two shared virtual cores with OpenVINO 2026.4.1 and OpenCV 5.0.0; both columns
are of earlier versions of the script, that of the Intel processor of the older one. The photos are
of 1280x960, 301 kB each; A is the plain sample, L the limit of the machine:

    what                                   against        target   AMD EPYC       Intel Xeon, AMX
    1000 photos                            A              >= 1.45  1.41           1.50
                                                                   4.35, 5.99 s   5.25, 7.72 s
    1000 photos                            L              >= 0.90  0.91           0.90
    1 photo                                A's time       <= 0.92  0.87           1.02
                                                                   0.358, 0.410 s
    1 photo, --cache_dir                   A's time                0.77
                                                                   0.317, 0.410 s
    peak memory, 1000 photos               100 photos     <= 1.05  1.00           1.00
                                                                   215 MiB        226 MiB
    time to the first table, 1000 photos   16 photos      <= 1.3   1.09           1.10
                                                                   0.39, 0.35 s   0.49, 0.45 s
    -ni 200, one batch of 16               benchmark_app  >= 0.97  0.99           0.97
                                                                   617, 635 FPS   570, 584 FPS
    16 simulated cores, 75 images each     ideal          >= 0.80  0.99
    64 simulated cores, 75 images each     ideal          >= 0.70  0.96

The first target is missed on the EPYC; in other runs on the same day it gave 1.44 for the first
line, 0.89 for the second, and 0.92 and 0.93 for the third: the margins are as small as the noise.
Without AMX inference takes a larger part of the time, so reading ahead gains less against the plain
sample; the limit of the machine is the fairer measure. The target of 1 photo is 0.80 since the
sample does without OpenVINO's converter.

On the Intel processor batches of 4 to 16 were equally fast for EfficientNet-Lite0 and ResNet-50,
others up to 17 % slower. --antialias took 1.09 of the time when it was tried, over 512 photos.

On 2026-11-25, on an AMD EPYC without bf16 instructions, where inference takes twice the processor's
time of decoding: 1000 photos 1.21 of the plain sample (12.81 s, 15.48 s) and 0.92 of the limit,
memory 1.00 (271 MiB), first table 1.17 (0.93 s, 0.79 s), 1 photo 0.85 (0.611 s, 0.708 s), with
--cache_dir 0.72, benchmark_app 1.01 (126, 126 FPS); --antialias 1.18 over 200 photos. The version
before it, in turn: 0.97 of its time for 200 photos, 0.98 for one.
"""

import argparse
import hashlib
import itertools
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import cv2
import numpy as np
import openvino as ov
from numbered import save_numbered_images, wrong_answers
from openvino import opset13 as ops
from openvino.opset1 import max_pool

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "classification_sample_async.py"
EFFICIENTNET = ROOT / "data" / "efficientnet-lite0.xml"
LENET = ROOT / "data" / "lenet.onnx"
PHOTOS = sorted((ROOT / "data" / "images").iterdir())
PARTS = [
    "runs", "one", "start", "buffer", "antialias", "cores", "app", "batches", "long", "soak",
]  # fmt: skip
PLAIN_SAMPLE = (
    sys.executable,
    Path(__file__).with_name("plain_sample.py"),
    "-m",
    EFFICIENTNET,
    "-i",
)
PROGRAMS = Path(__file__).with_name("benchmark_programs.py")
CORES = len(os.sched_getaffinity(0))
USERS_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
# With it openvino_telemetry, which the plain sample imports, does nothing
USERS_ENVIRONMENT.pop("CI", None)
# Standard deviation, as of a small sensor in daylight: makes the JPEGs as large as a camera's
GRAIN = 4


@dataclass(frozen=True)
class Measured:
    seconds: float  # of the whole process
    cpu_seconds: float
    peak_kb: int


def measure(*command):
    """Runs `command` to its end and takes the operating system's account of it."""
    start = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=USERS_ENVIRONMENT,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {command[:8]}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def seconds_to_first_table(*command):
    start = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        next(line for line in process.stdout if b"Image path:" in line)
        seconds = time.perf_counter() - start
        process.kill()
    return seconds


def sample(model, *options):
    return (sys.executable, SCRIPT, "-m", model, *options)


def program(*arguments):
    """The command that runs a function of benchmark_programs.py."""
    return (sys.executable, PROGRAMS, *arguments)


def printed_number(*command):
    command = list(map(str, command))
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=USERS_ENVIRONMENT
    )
    return float(done.stdout)


def in_another_process(function, *arguments):
    """Keeps this process small: a child's peak memory is never reported below its parent's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def median_ratio(numerators, denominators):
    return median(a / b for a, b in zip(numerators, denominators))


def report(what, against, value, target, detail=""):
    print(f"| {what} | {against} | {target} | {value:.2f} | {detail} |", flush=True)


def make_photos(folder, count):
    """JPEGs of 1280x960, quality 90: enlarged details of the photographs in data/, with grain."""
    sources = [cv2.imread(str(photo)) for photo in PHOTOS]

    def make(index):
        random = np.random.default_rng(index)
        source = sources[index % len(sources)]
        rows, columns = (int(size * random.uniform(0.6, 1)) for size in source.shape[:2])
        top, left = (
            random.integers(size - part + 1) for size, part in zip(source.shape, (rows, columns))
        )
        photo = cv2.resize(
            source[top : top + rows, left : left + columns],
            (1280, 960),
            interpolation=cv2.INTER_CUBIC,
        )
        grain = random.normal(0, GRAIN, (*photo.shape[:2], 1))
        photo = np.clip(photo + grain, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index:05}.jpg"), photo, [cv2.IMWRITE_JPEG_QUALITY, 90])

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(make, range(count)))
    return sorted(folder.iterdir())


def measure_runs(folder, pairs, count):
    photos = in_another_process(make_photos, folder, count)
    size = mean(photo.stat().st_size for photo in photos) / 1000
    tiny = folder.parent / "tiny.png"
    cv2.imwrite(str(tiny), np.zeros((8, 8, 3), np.uint8))
    whole, whole_plain, limits, hundred, first_of_all, first_of_16 = ([] for _ in range(6))
    for _ in range(pairs):
        whole_plain.append(measure(*PLAIN_SAMPLE, *photos))
        whole.append(measure(*sample(EFFICIENTNET, "-i", folder)))
        start_up = measure(*sample(EFFICIENTNET, "-i", tiny)).seconds
        decode = printed_number(*program("decode", folder))
        infer = printed_number(*program("infer", EFFICIENTNET, count))
        limits.append((start_up, decode, infer))
        hundred.append(measure(*sample(EFFICIENTNET, "-i", *photos[:100])))
        for _ in range(3):  # short runs: more of them
            first_of_all.append(seconds_to_first_table(*sample(EFFICIENTNET, "-i", folder)))
            first_of_16.append(seconds_to_first_table(*sample(EFFICIENTNET, "-i", *photos[:16])))

    seconds, seconds_plain = ([run.seconds for run in runs] for runs in (whole, whole_plain))
    limit = [start + (decode + infer) / CORES for start, decode, infer in limits]
    start, decode, infer = (median(column) for column in zip(*limits))
    report(
        f"whole run, {count} images", "plain sample",
        median_ratio(seconds_plain, seconds), "≥ 1.45",
        f"{median(seconds_plain):.2f} s / {median(seconds):.2f} s; {size:.0f} kB a photo",
    )  # fmt: skip
    report(
        f"whole run, {count} images", "limit of the machine",
        median_ratio(limit, seconds), "≥ 0.90",
        f"({start:.2f} s + ({decode:.2f} s + {infer:.2f} s) / {CORES}) / {median(seconds):.2f} s",
    )  # fmt: skip
    report(
        f"peak memory, {count} images", "100 images",
        median_ratio([run.peak_kb for run in whole], [run.peak_kb for run in hundred]), "≤ 1.05",
        f"{median(run.peak_kb for run in whole) // 1024} MiB",
    )  # fmt: skip
    report(
        f"time to the first table, {count} images", "16 images",
        median_ratio(first_of_all, first_of_16), "≤ 1.3",
        f"{median(first_of_all):.2f} s / {median(first_of_16):.2f} s",
    )  # fmt: skip


def measure_one_image(folder, pairs):
    """Whole runs on one photo: the plain sample, the sample, and the sample with a full cache."""
    [photo] = in_another_process(make_photos, folder, 1)
    ours = sample(EFFICIENTNET, "-i", photo)
    commands = [(*PLAIN_SAMPLE, photo), ours, (*ours, "--cache_dir", folder.parent / "cache")]
    for command in commands:
        measure(*command)
    plain, whole, cached = zip(
        *[[measure(*command).seconds for command in commands] for _ in range(pairs)]
    )
    for what, seconds, target in (
        ("1 image", whole, "≤ 0.80"),
        ("1 image, `--cache_dir`", cached, ""),
    ):
        detail = f"{median(seconds):.3f} s / {median(plain):.3f} s"
        report(
            f"whole run, {what}",
            "plain sample's time",
            median_ratio(seconds, plain),
            target,
            detail,
        )


def measure_start(folder, pairs):
    """Whole runs on one photo: the sample, and copies of it without a line of `prepare_process`."""
    [photo] = in_another_process(make_photos, folder, 1)
    lines = SCRIPT.read_text(encoding="utf-8").splitlines(keepends=True)
    scripts = {"": SCRIPT}
    for name in ("openvino.tools.ovc", "OPENBLAS_NUM_THREADS"):
        [index] = [number for number, line in enumerate(lines) if f'"{name}"' in line]
        scripts[name] = folder.parent / f"without-{name}.py"
        rest = [*lines[:index], *lines[index + 1 :]]
        scripts[name].write_text("".join(rest), encoding="utf-8")
    options = sample(EFFICIENTNET, "-i", photo)[2:]
    commands = [(sys.executable, path, *options) for path in scripts.values()]
    for command in commands:
        measure(*command)
    whole, *changed = zip(*[[measure(*command) for command in commands] for _ in range(pairs)])
    for name, runs in zip(list(scripts)[1:], changed):
        report_ratios(f"1 image, {name}", "without", whole, runs)


def report_ratios(what, against, runs, others):
    """Reports the time and the CPU time of `runs` as parts of those of `others`."""
    for kind, name in (("seconds", "time"), ("cpu_seconds", "CPU time")):
        mine, theirs = ([getattr(run, kind) for run in side] for side in (runs, others))
        detail = f"{median(mine):.3f} s / {median(theirs):.3f} s"
        report(f"{name}, {what}", against, median_ratio(mine, theirs), "", detail)


def measure_buffer(folder, pairs, count):
    """Whole runs over the same photos, whose pixels all have the same size."""
    in_another_process(make_photos, folder, count)
    commands = [
        program("buffer", memory, "-m", EFFICIENTNET, "-i", folder) for memory in ("again", "fresh")
    ]
    again, fresh = zip(*[[measure(*command) for command in commands] for _ in range(pairs)])
    report_ratios(f"{count} images, decode buffer", "fresh memory", again, fresh)


def measure_antialias(folder, pairs, count):
    """Whole runs over the same photos, which shrink to a quarter and less, by each filter in turn.

    1.10 was asked for. A photo costs 26 ms of CPU time on an Intel Xeon at 2.5 GHz, and Pillow's
    own filter would add 6 (bilinear) to 12 ms (bicubic).
    """
    in_another_process(make_photos, folder, count)
    ours = sample(EFFICIENTNET, "-i", folder)
    filters = ("bilinear", "bicubic")
    commands = [ours, *((*ours, "--antialias", name) for name in filters)]
    plain, *antialiased = zip(*[[measure(*command) for command in commands] for _ in range(pairs)])
    for name, runs in zip(filters, antialiased):
        seconds = median_ratio([run.seconds for run in runs], [run.seconds for run in plain])
        cpu = median_ratio([run.cpu_seconds for run in runs], [run.cpu_seconds for run in plain])
        what = f"whole run, {count} images, `--antialias {name}`"
        report(what, "without", seconds, "≤ 1.10", f"{cpu:.2f} of the CPU time")


def measure_simulated_cores(pairs):
    """Whole runs over 75 images a core: start-up and 1.5 s of decoding, if no core ever waits."""
    targets = {2: "", 8: "", 16: "≥ 0.80", 32: "", 64: "≥ 0.70"}
    with tempfile.NamedTemporaryFile(suffix=".png") as image:
        for cores, target in targets.items():
            command = program("cores", cores, "-m", LENET, "-i")
            runs = []
            for _ in range(pairs):
                start_up = measure(*command, image.name).seconds
                runs.append((start_up + 1.5, measure(*command, *[image.name] * 75 * cores).seconds))
            ideal, seconds = zip(*runs)
            detail = f"({median(ideal) - 1.5:.2f} s + 1.5 s) / {median(seconds):.2f} s"
            report(
                f"{cores} simulated cores, 75 images each",
                "ideal",
                median_ratio(ideal, seconds),
                target,
                detail,
            )


def measure_against_benchmark_app(folder, pairs):
    photos = in_another_process(make_photos, folder, 16)
    application = Path(sys.executable).with_name("benchmark_app")
    sample_fps, application_fps = [], []
    for _ in range(pairs):
        application_fps.append(throughput(
            application, "-m", EFFICIENTNET, "-d", "CPU", "-b", "16", "-nireq", CORES,
            "-hint", "throughput", "-ip", "u8", "-niter", "200",
        ))  # fmt: skip
        sample_fps.append(
            throughput(
                *sample(EFFICIENTNET, "-i", *photos, "-b", "16", "-nireq", CORES, "-ni", "200")
            )
        )
    report(
        "`-ni 200`, one batch of 16", "`benchmark_app`",
        median_ratio(sample_fps, application_fps), "≥ 0.97",
        f"{median(sample_fps):.0f} FPS / {median(application_fps):.0f} FPS",
    )  # fmt: skip


def throughput(*command):
    output = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True
    ).stdout
    return float(re.search(r"Throughput: +([\d.]+) FPS", output)[1])


def save_resnet50(path):
    """ResNet-50 v1 with random weights: what it computes is of no interest, what it costs is."""
    random = np.random.default_rng(0)

    def convolve(x, channels, kernel, stride, relu=True):
        inputs = x.get_output_partial_shape(0)[1].get_length()
        weights = random.normal(
            0, (inputs * kernel * kernel) ** -0.5, (channels, inputs, kernel, kernel)
        )
        pad = [kernel // 2] * 2
        x = ops.convolution(x, weights.astype(np.float32), [stride] * 2, pad, pad, [1, 1])
        return ops.relu(x) if relu else x

    image = ops.parameter([1, 3, 224, 224], np.float32, name="image")
    x = max_pool(convolve(image, 64, 7, 2), [2, 2], [1, 1], [1, 1], [3, 3])
    for stage, (channels, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = x if block else convolve(x, 4 * channels, 1, stride, relu=False)
            x = convolve(convolve(x, channels, 1, 1), channels, 3, stride)
            x = ops.relu(ops.add(convolve(x, 4 * channels, 1, 1, relu=False), shortcut))
    weights = random.normal(0, 0.02, (2048, 1000)).astype(np.float32)
    x = ops.softmax(ops.matmul(ops.reduce_mean(x, np.array([2, 3])), weights, False, False), 1)
    ov.save_model(ov.Model([x], [image], "resnet50"), path)
    return path


def measure_batches(folder, rounds, count):
    """Whole runs by batch size, of the shipped model and one with ten times its arithmetic."""
    in_another_process(make_photos, folder, count)
    resnet50 = in_another_process(save_resnet50, folder.parent / "resnet50.xml")
    batch_sizes = [1, 2, 4, 8, 16, 32, count]
    print(
        f"\n| model, {count} images | " + " | ".join(f"batch {size}" for size in batch_sizes) + " |"
    )
    print("|---|" + "---|" * len(batch_sizes))
    for model in (EFFICIENTNET, resnet50):
        runs = {size: [] for size in batch_sizes}
        for _ in range(rounds):
            for size in batch_sizes:
                runs[size].append(measure(*sample(model, "-i", folder, "-b", size)))
        cells = [
            f"{median(run.seconds for run in runs[size]):.2f} s, "
            f"{median(run.peak_kb for run in runs[size]) // 1024} MiB"
            for size in batch_sizes
        ]
        print(f"| {model.stem} | " + " | ".join(cells) + " |", flush=True)


def measure_long_run(folder, count):
    """60,000 images through 4 requests: each table must say which image it belongs to."""
    images, model = in_another_process(save_numbered_images, folder, count), folder / "numbers.xml"
    start = time.perf_counter()
    options = ("-nt", "2", "-b", "1", "-nireq", "4", "--infer_precision", "f32")
    command = list(map(str, sample(model, "-i", images, *options)))
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    wrong = wrong_answers(process.stdout, images, count)
    print(
        f"\n{count} images of known answer, `-b 1 -nireq 4`: "
        f"{wrong} wrong or out of order, {seconds:.1f} s"
    )
    if wrong:
        raise SystemExit(1)


def soak(folder, count):
    """Short runs over the devices that combine others: each must end, with the same tables."""
    images, model = in_another_process(save_numbered_images, folder, 50), folder / "numbers.xml"
    devices = ["CPU", "AUTO", "AUTO:CPU", "MULTI:CPU", "BATCH:CPU(4)", "BATCH:CPU", "HETERO:CPU"]
    options = [
        (),
        ("-b", "1", "-nireq", "4"),
        ("-b", "7", "-ni", "2"),
        ("-nireq", "1"),
        ("-b", "64"),
    ]

    def run(choice):
        device, extra = choice
        command = sample(
            model, "-i", images, "-nt", "2", "--infer_precision", "f32", "-d", device, *extra
        )
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120, check=True
        )
        tables = re.findall(r"Image path: .*\n.*\n.*\n.*\n.*\n.*\n", done.stdout)
        return hashlib.sha256("".join(tables).encode()).hexdigest(), wrong_answers(
            done.stdout, images, 50
        )

    choices = itertools.islice(itertools.cycle(itertools.product(devices, options)), count)
    start = time.perf_counter()
    # More than the cores: threads are to wait at odd moments
    with ThreadPoolExecutor(3 * CORES) as pool:
        results = set(pool.map(run, choices))
    seconds = time.perf_counter() - start
    print(
        f"\n{count} short runs over {len(devices)} devices: "
        f"{len(results)} different outputs, {seconds:.0f} s"
    )
    if len(results) > 1 or {wrong for _, wrong in results} != {0}:
        raise SystemExit(1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all"
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    args = parser.parse_args()
    args.parts = args.parts or PARTS
    with tempfile.TemporaryDirectory() as temporary:
        folders = {part: Path(temporary) / part / "photos" for part in args.parts}
        for folder in folders.values():
            folder.mkdir(parents=True)
        print(
            f"{CORES} cores, OpenVINO {ov.get_version()}, OpenCV {cv2.__version__}, "
            f"{args.pairs} pairs\n"
        )
        if set(PARTS[: PARTS.index("batches")]) & set(args.parts):
            print("| what | against | target | measured | |\n|---|---|---|---|---|")
        if "runs" in args.parts:
            measure_runs(folders["runs"], args.pairs, args.images)
        if "one" in args.parts:
            measure_one_image(folders["one"], 3 * args.pairs)
        if "start" in args.parts:
            measure_start(folders["start"], 3 * args.pairs)
        if "buffer" in args.parts:
            measure_buffer(folders["buffer"], args.pairs, 200)
        if "antialias" in args.parts:
            measure_antialias(folders["antialias"], args.pairs, 200)
        if "cores" in args.parts:
            measure_simulated_cores(args.pairs)
        if "app" in args.parts:
            measure_against_benchmark_app(folders["app"], args.pairs)
        if "batches" in args.parts:
            measure_batches(folders["batches"], 3, 256)
        if "long" in args.parts:
            measure_long_run(folders["long"], 60_000)
        if "soak" in args.parts:
            soak(folders["soak"], 300)


if __name__ == "__main__":
    main()
