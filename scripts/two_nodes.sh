#!/usr/bin/env bash
# Two nodes on this machine: trains a prior and restores images on 2 nodes x 1 process, by torchrun over the
# loopback, and compares both with one process.
#   scripts/two_nodes.sh [FOLDER]     a folder that is not there yet; results/two_nodes if none is given
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-results/two_nodes}
python=${PYTHON:-python}
if [ -e "$folder" ]; then
    echo "$folder is there already: give another name." >&2
    exit 2
fi
mkdir -p "$folder"

training=(--data Digits --trainer.max_steps 20 --model.lr_scheduler.warmup 5 --trainer.val_check_interval 10
    --model.noise_levels 2 --samples.count 8 --samples.steps 5 --baseline.images 0 --trainer.log_every_n_steps 1
    --trainer.logger CSVLogger --trainer.logger.name "" --trainer.logger.version ""
    --trainer.accelerator cpu --trainer.enable_progress_bar false)
restoring=(--data Digits --data.limit 7 --data.batch_size 3 --model.samples 2 --model.solvers.reddiff.steps 20
    --model.solvers.plug_and_play.steps 20 --trainer.logger false
    --trainer.accelerator cpu --trainer.enable_progress_bar false)

one_process() {
    echo "one process: $1"
    "$python" "$here/$1" "${@:2}" >>"$folder/one.log" 2>&1 || { cat "$folder/one.log" >&2; exit 1; }
}

two_nodes() {
    echo "two nodes: $1"
    local port pids=() node
    port=$("$python" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
    for node in 1 0; do
        "$python" -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --node-rank "$node" \
            --master-addr 127.0.0.1 --master-port "$port" "$here/$1" "${@:2}" >>"$folder/node$node.log" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || { cat "$folder"/node*.log >&2; exit 1; }
    done
}

# A step sees 64 images: of one process, or 32 of each of two.
one_process train.py "${training[@]}" --data.batch_size 64 --folder "$folder/one/prior" \
    --trainer.logger.save_dir "$folder/one/prior"
two_nodes train.py "${training[@]}" --data.batch_size 32 --folder "$folder/two/prior" \
    --trainer.logger.save_dir "$folder/two/prior"
prior=$folder/one/prior/prior.safetensors
one_process infer.py "${restoring[@]}" --model.prior "$prior" --folder "$folder/one/results"
two_nodes infer.py "${restoring[@]}" --model.prior "$prior" --folder "$folder/two/results"
"$python" "$here/scripts/same_results.py" "$folder/one" "$folder/two"
