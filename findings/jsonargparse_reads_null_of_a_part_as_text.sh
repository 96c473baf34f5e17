#!/usr/bin/env bash
# jsonargparse 4.53.0 on CPython 3.11: null for an argument of a class within a class becomes the text "None" on a command
# line, where the file before it had text; of an argument that takes no text it is refused.
#
# A class Encoder(weights: str | None) is an argument of Network, which is one of Model. A file gives weights: x. The option
# --model.network.encoder.weights=null should take it back, as --model.name=null does of Model's own argument. A mapping
# one level up does: --model.network={init_args: {encoder: {init_args: {weights: null}}}}.
#
# Seen: "own None, nested 'None', mapping None".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "jsonargparse[signatures]==4.53.0"
cat > "$folder/parts.yaml" <<'YAML'
model:
  class_path: parts.Model
  init_args:
    name: x
    network:
      class_path: parts.Network
      init_args:
        encoder: {class_path: parts.Encoder, init_args: {weights: x}}
YAML
cat > "$folder/parts.py" <<'PYTHON'
from jsonargparse import ArgumentParser


class Encoder:
    def __init__(self, weights: str | None = None) -> None: ...


class Network:
    def __init__(self, encoder: Encoder) -> None: ...


class Model:
    def __init__(self, network: Network, name: str | None = None) -> None: ...


def found(*words: str):
    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(Model, "model")
    model = parser.parse_args(["--config=parts.yaml", *words]).model.init_args
    return model.name, model.network.init_args.encoder.init_args.weights


def main() -> None:
    own, _ = found("--model.name=null")
    _, nested = found("--model.network.encoder.weights=null")
    _, mapping = found("--model.network={init_args: {encoder: {init_args: {weights: null}}}}")
    print(f"own {own!r}, nested {nested!r}, mapping {mapping!r}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" --version
output=$("$folder/venv/bin/python" -c "import parts; parts.main()")
echo "$output"
[ "$output" = "own None, nested 'None', mapping None" ]
