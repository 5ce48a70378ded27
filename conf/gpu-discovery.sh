#!/bin/sh
# Tells Spark the GPUs of a machine: their numbers, as CUDA counts them in a process that sees what this one sees.
if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
  count=$(printf '%s' "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | grep -c .)
else
  count=$(nvidia-smi --query-gpu=index --format=csv,noheader | grep -c .)
fi
addresses=""
number=0
while [ "$number" -lt "$count" ]; do
  addresses="$addresses${addresses:+, }\"$number\""
  number=$((number + 1))
done
printf '{"name": "gpu", "addresses": [%s]}\n' "$addresses"
