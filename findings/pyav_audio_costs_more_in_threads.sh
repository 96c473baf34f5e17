#!/usr/bin/env bash
# PyAV 18.1.0: a pool of threads that decode short MP3 files takes more processor time, and more by the clock, than one thread.
#
# Every call that decodes a packet gives up the interpreter's lock for some microseconds and has to get it back; an MP3
# packet is 26 ms of sound, and with several threads most of the time goes into handing the lock over. libsndfile, which
# decodes a whole read in one call, gains from threads instead.
#
# Seen on two cores, 300 files of 4 s: six threads take 2 to 3 times the processor time of one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.3.5
cat > "$folder/threads.py" <<'PYTHON'
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np

print("av", av.__version__, "cores", len(os.sched_getaffinity(0)))
assert len(os.sched_getaffinity(0)) > 1, "threads of one core do not compete"


def write(number):
    path = f"{sys.argv[1]}/{number}.mp3"
    seconds = np.arange(4 * 44100) / 44100
    sound = 0.3 * np.sin(2 * np.pi * (200 + number) * seconds).astype(np.float32)
    with av.open(path, "w") as container:
        stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def read(path):
    with av.open(path) as container:
        return sum(frame.samples for packet in container.demux(audio=0) for frame in packet.decode())


def cost(threads):
    begin, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        samples = list(pool.map(read, paths))
    return samples, time.process_time() - cpu, time.perf_counter() - begin


paths = [write(number) for number in range(300)]
cost(1)
rounds = [(cost(1), cost(6)) for _ in range(3)]
assert all(one[0] == six[0] for one, six in rounds)
cpu, wall = (sorted(six[clock] / one[clock] for one, six in rounds)[1] for clock in (1, 2))
print(f"six threads over one: processor time {cpu:.2f}, clock {wall:.2f}")
assert cpu > 1.3
PYTHON
"$folder/venv/bin/python" "$folder/threads.py" "$folder"
