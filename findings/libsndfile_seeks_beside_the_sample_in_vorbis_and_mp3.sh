#!/usr/bin/env bash
# soundfile 0.14.0 with its libsndfile 1.2.2: after a seek, Vorbis in its last page and MP3 of a low rate give other samples
# than a read from the beginning, without a word.
#
# Vorbis: libsndfile counts the place of a page's samples back from the position of its end. The last page's is that of
# the last sample, packets go on behind it, and every sample asked for in that page comes from as many places later.
# MP3: a frame borrows up to 511 bytes (255 below 32 kHz) from earlier ones, more frames than libmpg123 decodes before a
# seek's target at the lowest rates. soundfile seeks behind each read, so that reading block by block shows it too.
#
# Seen, a tone of amplitude 0.4: differences of 0.28 and 0.4; seeking before the last page, and 24 frames earlier, gives 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.3.5
cat > "$folder/seek.py" <<'PYTHON'
import sys

import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)


def difference(path, start, earlier=0):
    """Between 1000 samples behind a seek, begun earlier, and the same in the whole file."""
    whole = soundfile.read(path)[0]
    with soundfile.SoundFile(path) as file:
        file.seek(start - earlier)
        found = file.read(earlier + 1000)[earlier:]
    return np.abs(found - whole[start : start + 1000]).max()


def write(name, rate, kind):
    time = np.arange(5 * rate) / rate
    tone = 0.4 * np.sin(2 * np.pi * (300 * time + 150 * time**2))
    path = f"{sys.argv[1]}/{name}"
    soundfile.write(path, tone, rate, format=kind)
    return path


vorbis, mp3 = write("a.ogg", 44100, "OGG"), write("a.mp3", 24000, "MP3")
found = difference(vorbis, 200_000), difference(mp3, 100_000)
right = difference(vorbis, 200_000, earlier=150_000), difference(mp3, 100_000, earlier=24 * 576)
print("behind a seek:", *(f"{each:.2g}" for each in found), "begun earlier:", *(f"{each:.2g}" for each in right))
assert min(found) > 0.1
assert max(right) < 1e-5
PYTHON
"$folder/venv/bin/python" "$folder/seek.py" "$folder" 2> "$folder/messages"
sort "$folder/messages" | cut -c1-70 | uniq -c | head -n 3
