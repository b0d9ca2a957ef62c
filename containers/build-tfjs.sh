#!/bin/sh
# Builds TensorFlow for Node.js into a folder, for `HOOKLINE_TFJS=<folder>`: the binding that @tensorflow/tfjs-node-gpu ships as
# source, compiled against the C library and headers inside TensorFlow's Python wheel. Nothing of Python is left in it.
#   build-tfjs.sh cpu <folder>    for machines without a GPU
#   build-tfjs.sh gpu <folder>    for CUDA 12 with cuDNN 9, which the machine itself must have
# Needs node, npm, a C++17 compiler, unzip, and pip for the one download.
set -eu

usage='usage: build-tfjs.sh cpu|gpu <folder>'
variant=${1:?$usage}
folder=${2:?$usage}
version=2.18.1
case $variant in
  cpu)
    wheel=tensorflow-cpu
    digest=810c75d7149d2da0cb2092187817b0dcabb80728ca9f9cf3a61f3f42fadd1298
    ;;
  gpu)
    wheel=tensorflow
    digest=c9f87e5d2a680a4595f5dc30daf6bbaec9d4129b46d7ef1b2af63c46ac7d2828
    ;;
  *)
    echo "$usage" >&2
    exit 64
    ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# The lock file pins every package by its digest. The package's own install script would download a library: it is not run.
cp "$here/tfjs/package.json" "$here/tfjs/package-lock.json" "$folder/"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund)
find "$folder/node_modules" -name '*.map' -delete
package=$folder/node_modules/@tensorflow/tfjs-node-gpu

# Any Python 3 may run pip; the wheel is the one for 3.11, whose library does not depend on Python.
echo "$wheel==$version --hash=sha256:$digest" > "$scratch/requirements.txt"
python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --python-version 3.11 \
  --platform manylinux_2_17_x86_64 --dest "$scratch" --requirement "$scratch/requirements.txt"
unzip -q "$scratch"/*.whl 'tensorflow/libtensorflow_*.so.2' 'tensorflow/include/*' -d "$scratch"

# Two libraries beside the binding, found by its own run path.
mkdir -p "$package/deps/lib" "$package/lib/napi-v8"
mv "$scratch"/tensorflow/libtensorflow_*.so.2 "$package/deps/lib/"
"${CXX:-c++}" -std=c++17 -O2 -fPIC -shared -w -DNAPI_VERSION=8 -DNODE_GYP_MODULE_NAME=tfjs_binding \
  -I"$folder/node_modules/node-api-headers/include" -I"$scratch/tensorflow/include" "$package"/binding/*.cc \
  "$package/deps/lib/libtensorflow_cc.so.2" "$package/deps/lib/libtensorflow_framework.so.2" \
  "-Wl,-rpath,\$ORIGIN/../../deps/lib" -o "$package/lib/napi-v8/tfjs_binding.node"

# It is good if it loads and factors a matrix.
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=2 node -e '
  const tf = require("@tensorflow/tfjs-node-gpu");
  const backend = tf.backend();
  const type = [{ name: "T", type: backend.binding.TF_ATTR_TYPE, value: backend.binding.TF_FLOAT }];
  const factor = backend.executeSingleOutput("Cholesky", type, [tf.tensor2d([[4, 2], [2, 10]])]);
  const values = Array.from(factor.dataSync()).join(" ");
  if (values !== "2 0 1 3") throw new Error(`Cholesky factor of [4 2; 2 10]: 2 0 1 3, got ${values}`);
  console.log(`TensorFlow ${backend.binding.TF_Version} loads in Node.js ${process.version}, GPU: ${backend.isUsingGpuDevice}`);'
