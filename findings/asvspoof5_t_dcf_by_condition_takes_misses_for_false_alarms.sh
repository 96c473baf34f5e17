#!/usr/bin/env bash
# asvspoof-challenge/asvspoof5 at fe23d30: where scores of verification are given, t-DCF is weighed by the wrong rate.
#
# obtain_asv_error_rates returns four rates: false alarms of nontargets, misses of targets, and of spoofs first the misses
# and then the false alarms. calculate_aDCF_tdcf_tEER takes the third for the false alarms. evaluation_full.py, which
# prints track 2 by attack and codec, goes this way; evaluation.py has rates built in and does not. A verification system
# that no spoof deceives then makes every spoof count, and one that all deceive none.
#
# Seen, a verification system that accepts 9 of 10 spoofs: min t-DCF .411765 where the fourth rate gives .314472.
#
# Usage: asvspoof5_t_dcf_by_condition_takes_misses_for_false_alarms.sh CLONE
set -euo pipefail
clone=${1:?the folder of a clone of github.com/asvspoof-challenge/asvspoof5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.3.5 pandas==2.3.3
cat > "$folder/rates.py" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(sys.argv[1]) / "evaluation-package"))
import calculate_metrics as official

labels = np.repeat(["target", "nontarget", "spoof"], 10)
classes = np.where(labels == "spoof", "spoof", "bonafide")
asv = np.concatenate([2 + np.arange(10.0), -2 - np.arange(10.0), [-5.0], 3 + np.arange(9.0)])
cm = np.concatenate([np.arange(20.0), [-3.0, -2.0, -1.0, 2.5, 3.5, 4.5, -4.0, -5.0, -6.0, -7.0]])


def min_tdcf():
    return official.calculate_aDCF_tdcf_tEER(cm, asv, cm, classes, labels, "", False, asv, labels)[1]


target, nontarget, spoof = (asv[labels == label] for label in ("target", "nontarget", "spoof"))
threshold = official.compute_eer(target, nontarget)[-1]
rates = official.obtain_asv_error_rates(target, nontarget, spoof, threshold)
found = min_tdcf()
computed = official.obtain_asv_error_rates
official.obtain_asv_error_rates = lambda *trials: tuple(np.array(computed(*trials))[[0, 1, 3]])
right = min_tdcf()
print("false alarms, misses, misses of spoofs, false alarms of spoofs:", *map(float, rates))
print(f"min t-DCF with the third rate: {found:.6f}; with the fourth: {right:.6f}")
assert rates[2] == 0.1 and rates[3] == 0.9
assert (round(found, 6), round(right, 6)) == (0.411765, 0.314472)
PYTHON
"$folder/venv/bin/python" "$folder/rates.py" "$clone"
