"""The lines of the README's section on Python, as they stand there."""

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import soundfile

from lightning_modules import load_model

PAGE = Path(__file__).parents[2] / "README.md"
CHECKPOINT = PAGE.parent / "tests/fixtures/before_the_house/ssd/last.ckpt"


def test_the_lines_score_a_file(tmp_path, monkeypatch):
    (code,) = re.findall(r"## From Python\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    *statements, last = ast.parse(code).body
    assert len([*statements, last]) == 3
    assert isinstance(last, ast.Expr)
    monkeypatch.chdir(tmp_path)
    (path,) = re.findall(r'load_model\("(.*?)"\)', code)
    Path(path).parent.mkdir(parents=True)
    shutil.copy(CHECKPOINT, path)
    soundfile.write("call.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 8000), 16000)
    names = {}
    exec(compile(ast.Module(statements, []), "README.md", "exec"), names)
    score = eval(compile(ast.Expression(last.value), "README.md", "eval"), names)
    assert score == load_model(CHECKPOINT).score("call.wav")
