#!/bin/sh
# Tells Spark which GPUs this machine has, as its resource discovery wants it: {"name": "gpu", "addresses": ["0", "1"]}.
# See conf/spark/gpu.conf. Needs nvidia-smi, which comes with NVIDIA's driver.
if ! command -v nvidia-smi >/dev/null 2>&1; then
    echo "gpu-discovery.sh: there is no nvidia-smi here: install NVIDIA's driver, or ask for no GPUs on this machine" >&2
    exit 1
fi
if ! found=$(nvidia-smi --query-gpu=index --format=csv,noheader,nounits); then
    echo "gpu-discovery.sh: nvidia-smi cannot list the GPUs: $found" >&2
    exit 1
fi
addresses=$(echo "$found" | sed -n 's/^ *\([0-9][0-9]*\) *$/"\1"/p' | paste -s -d , -)
if [ -z "$addresses" ]; then
    echo "gpu-discovery.sh: nvidia-smi lists no GPU: $found" >&2
    exit 1
fi
echo "{\"name\": \"gpu\", \"addresses\": [$addresses]}"
