#!/usr/bin/env bash
# dasheng 0.0.9, torch 2.11, torchaudio 2.11 on CPython 3.11: features of a clip depend on the clips beside it.
#
# Its front end ends in torchaudio's AmplitudeToDB(top_db=120), which cuts at 120 dB below the loudest value. Of spectrograms
# (batch, mel, frame) that is the loudest of the whole batch, as the module takes the first axis for channels. A quiet clip
# that ends in silence is cut elsewhere beside a loud one, so that a score is not one clip's alone.
#
# Seen: the largest difference of the features of a clip alone and beside one 1,000 times as loud is above 1 dB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dasheng==0.0.9" "torch==2.11.*" "torchaudio==2.11.0"
cat > "$folder/batch.py" <<'PYTHON'
import torch
from dasheng.train.models import AudioTransformerMAE_Encoder

torch.manual_seed(0)
network = AudioTransformerMAE_Encoder().eval()  # random weights: the front end has none
quiet = 1e-3 * torch.randn(1, 16000)
quiet[:, 8000:] = 0
loud = torch.randn(1, 16000)
with torch.no_grad():
    alone = network.front_end(quiet)
    beside = network.front_end(torch.cat([quiet, loud]))[:1]
print(f"difference {(alone - beside).abs().max():.1f} dB")
PYTHON
"$folder/venv/bin/python" --version
output=$("$folder/venv/bin/python" "$folder/batch.py" 2>/dev/null)
echo "$output"
"$folder/venv/bin/python" - "$output" <<'PYTHON'
import sys

assert float(sys.argv[1].split()[1]) > 1
PYTHON
