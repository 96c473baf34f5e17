#!/usr/bin/env bash
# asvspoof-challenge/asvspoof5 at fe23d30: track 2 does not compute the a-DCF with the costs that its a_dcf.py has.
#
# evaluation-package/a_dcf.py, taken from the a-DCF's authors, has priors of .9, .05 and .05 for target, nontarget and
# spoof, and a cost of 20 for a spoof that is accepted. calculate_metrics.py, which evaluation.py calls for track 2, puts
# the t-DCF's in their place: .9405, .0095, .05 and 10. "min a-DCF" of one file is two numbers, and one that is computed
# by the paper or by the file's defaults does not compare with the challenge's results.
#
# Seen, ASV scores of Tool-score-fusion/dev_scores_label.csv: .379547 by the defaults, .333637 as the evaluation prints.
#
# Usage: asvspoof5_track_2_costs_are_not_those_of_its_a_dcf_file.sh CLONE
set -euo pipefail
clone=${1:?the folder of a clone of github.com/asvspoof-challenge/asvspoof5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.3.5 pandas==2.3.3
cat > "$folder/costs.py" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np

clone = Path(sys.argv[1])
sys.path.insert(0, str(clone / "evaluation-package"))
import a_dcf
from calculate_metrics import calculate_aDCF_tdcf_tEER

scores, _, kinds = np.genfromtxt(clone / "Tool-score-fusion/dev_scores_label.csv", delimiter=",", skip_header=1).T
labels = np.array(["spoof", "target", "nontarget"])[kinds.astype(int)]
by_kind = [scores[labels == label] for label in ("target", "nontarget", "spoof")]
defaults = a_dcf._calculate_a_dcf(*by_kind, printres=False)["min_a_dcf"]
printed = calculate_aDCF_tdcf_tEER(None, None, scores, None, labels, "", printout=False)
print(f"a_dcf.py by its defaults: {defaults:.6f}; track 2 as the evaluation computes it: {printed:.6f}")
assert round(defaults, 6) == 0.379547
assert round(printed, 6) == 0.333637
PYTHON
"$folder/venv/bin/python" "$folder/costs.py" "$clone"
