"""Measures the speed and the memory of the sample; prints a Markdown table. Not a test.

    python tests/benchmark.py                # all parts, 10 minutes and more
    python tests/benchmark.py one app        # only these parts
    python tests/benchmark.py --images 32 --repeats 1        # a trial

    runs       many photos: against the plain sample (plain_sample.py), against the machine's limit
               (decoding and inference alone, each on all cores), and against Model API
    one        one photo, start-up included: against the plain sample
    memory     peak memory: four times the photos against an eighth of them
    antialias  --antialias against the same run without
    app        the throughput that -ni prints against that of benchmark_app

Each ratio is the median of the ratios of two things that were run in turn. Leave the machine alone
meanwhile. Speed and throughput are better above 1, time and memory below.

Model API is not one of the sample's packages. Give it an environment of its own:

    python -m venv mapi && mapi/bin/pip install openvino==2026.4.1 openvino-model-api==0.4.7
    python tests/benchmark.py runs --model_api mapi/bin/python

--script PATH measures another version of the sample.
"""

import argparse
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import openvino as ov

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "data" / "efficientnet-lite0.xml"
PARTS = ["runs", "one", "memory", "antialias", "app"]
CORES = os.cpu_count()
PLAIN_SAMPLE = (sys.executable, Path(__file__).with_name("plain_sample.py"), "-m", MODEL, "-i")

# Decodes all photos, then infers them, each on all cores, none of which waits
LIMIT = """
import os, pathlib, sys
sys.modules["openvino.tools.ovc"] = None
from concurrent.futures import ThreadPoolExecutor
import cv2, numpy as np, openvino as ov

def decode(paths):
    pixels = None  # its memory is used again
    for path in paths:
        pixels = cv2.imread(str(path), dst=pixels, flags=cv2.IMREAD_COLOR)
        yield cv2.resize(pixels, (224, 224))

paths = list(pathlib.Path(sys.argv[2]).iterdir())
cores = os.cpu_count()
with ThreadPoolExecutor(cores) as pool:
    parts = pool.map(lambda core: list(decode(paths[core::cores])), range(cores))
    pixels = [image for part in parts for image in part]
ppp = ov.preprocess.PrePostProcessor(ov.Core().read_model(sys.argv[1]))
ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
ppp.input().model().set_layout(ov.Layout("NCHW"))
model = ppp.build()
ov.set_batch(model, 8)
compiled_model = ov.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
queue = ov.AsyncInferQueue(compiled_model)
for first in range(0, len(pixels), 8):
    batch = np.stack((pixels[first : first + 8] * 8)[:8])
    queue.start_async(ov.Tensor(batch))
queue.wait_all()
"""

MODEL_API = """
import os, pathlib, sys
import cv2
from model_api.models import ClassificationModel
from model_api.pipelines import AsyncPipeline

paths = sorted(pathlib.Path(sys.argv[2]).iterdir())
model = ClassificationModel.create_model(
    sys.argv[1], model_type="Classification", device="CPU", nstreams=str(os.cpu_count()),
    configuration={"topk": 10},
)
pipeline = AsyncPipeline(model)
printed = 0

def print_finished():
    global printed
    while printed < len(paths) and (found := pipeline.get_result(printed)):
        print(paths[printed], *found[0].top_labels, sep="\\n")
        printed += 1

for number, path in enumerate(paths):
    pipeline.await_any()
    pipeline.submit_data(cv2.imread(str(path)), number)
    print_finished()
pipeline.await_all()
print_finished()
assert printed == len(paths)
"""


def run(*command):
    """Runs a command; returns its seconds ("s"), its peak memory ("MiB") and its throughput."""
    command = list(map(str, command))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            raise SystemExit(f"This command failed: {' '.join(command)[:400]}")
        stdout.seek(0)
        fps = re.search(r"Throughput: +([\d.]+) FPS", stdout.read())
    return {"s": seconds, "MiB": usage.ru_maxrss / 1024, "FPS": float(fps[1]) if fps else 0}


def make_photos(folder, count):
    """Makes JPEGs of 1280x960, 300 kB each: details of the photographs in data/, with grain."""
    sources = [cv2.imread(str(photo)) for photo in sorted((ROOT / "data" / "images").iterdir())]

    def make(index):
        random = np.random.default_rng(index)
        source = sources[index % len(sources)]
        height, width = (int(size * random.uniform(0.6, 1)) for size in source.shape[:2])
        top = random.integers(source.shape[0] - height + 1)
        left = random.integers(source.shape[1] - width + 1)
        detail = source[top : top + height, left : left + width]
        photo = cv2.resize(detail, (1280, 960), interpolation=cv2.INTER_CUBIC)
        photo = np.clip(photo + random.normal(0, 4, (960, 1280, 1)), 0, 255).astype(np.uint8)
        cv2.imwrite(f"{folder}/{index:05}.jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 90])
        return folder / f"{index:05}.jpg"

    folder.mkdir()
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(make, range(count)))


def compare(what, unit, repeats, this, that, images=0):
    """Runs two commands in turn; prints a row with the medians of both and of their ratio."""
    run(*this), run(*that)  # from here on what they read is in memory
    pairs = [(run(*this)[unit], run(*that)[unit]) for _ in range(repeats)]
    cells = []
    for column in zip(*pairs):
        value = median(column)
        speed = f", {images / value:.0f} images/s" if images else ""
        cells.append(f"{value:.{3 if value < 100 else 4}g} {unit}{speed}")
    ratio = median(second / first if "speed" in what else first / second for first, second in pairs)
    print(f"| {what} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--script", type=Path, default=ROOT / "classification_sample_async.py")
    parser.add_argument("--model_api", default="", metavar="PYTHON", help="with Model API")
    args = parser.parse_args()
    parts, count, repeats = args.parts or PARTS, args.images, args.repeats
    sample = (sys.executable, args.script.resolve(), "-m", MODEL, "-i")

    cpuinfo = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    names = re.findall(r"^model name\s*: (.+)", cpuinfo, flags=re.M) or [platform.processor()]
    print(f"{names[0]}, {CORES} cores; OpenVINO {ov.get_version()}; {repeats} repeats\n")
    print("| what | the sample | what it is compared with | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            # Elsewhere, because a command's peak memory is never reported below its parent's
            photos = pool.apply(make_photos, (folder, count))
        if "runs" in parts:
            others = {
                "plain sample": (*PLAIN_SAMPLE, *photos),
                "machine's limit": (sys.executable, "-c", LIMIT, MODEL, folder),
                "Model API": (args.model_api, "-c", MODEL_API, MODEL, folder),
            }
            for name, other in others.items():
                if shutil.which(other[0]):
                    what = f"{count} photos: speed, against {name}"
                    compare(what, "s", repeats, (*sample, folder), other, count)
                else:
                    print(f"| {name}: left out, --model_api names no python | | | |")
        if "one" in parts:
            commands = (*sample, photos[0]), (*PLAIN_SAMPLE, photos[0])
            compare("1 photo: speed, against plain sample", "s", 3 * repeats, *commands)
        if "memory" in parts:
            few = photos[: max(1, count // 8)]
            what = f"{4 * count} photos: memory, against {len(few)}"
            compare(what, "MiB", min(3, repeats), (*sample, *[folder] * 4), (*sample, *few))
        if "antialias" in parts:
            for name in ("bilinear", "bicubic"):
                what = f"{count} photos, --antialias {name}: time, against without"
                resized = (*sample, folder, "--antialias", name)
                compare(what, "s", repeats, resized, (*sample, folder), count)
        if "app" in parts:
            options = ("-b", "16", "-nireq", CORES)
            hints = ("-d", "CPU", "-hint", "throughput", "-ip", "u8", "-niter", "200")
            application = (Path(sys.executable).with_name("benchmark_app"), "-m", MODEL, *options)
            iterations = (*sample, *photos[:16], *options, "-ni", "200")
            compare(
                "-ni 200: throughput, against benchmark_app",
                "FPS",
                repeats,
                iterations,
                (*application, *hints),
            )


if __name__ == "__main__":
    main()
