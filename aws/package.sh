#!/usr/bin/env bash
#
# Makes aws/importer.zip: what Lambda runs (Python 3.12, arm64), with the versions in aws/requirements.txt.
#
#   aws/package.sh [FILE…]    the files, such as a mapping or a transform, come along

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "${folder:?}"' EXIT

"$python" -m pip install --quiet --disable-pip-version-check --target "$folder" --implementation cp \
  --python-version 3.12 --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 --only-binary=:all: \
  -r "$root/aws/requirements.txt"
cp -r "$root/importer" "$folder/"
for file in "$@"; do cp -r "$file" "$folder/"; done

# Of Amazon's services, the importer speaks to three, and a role is had from the fourth. The rest is most of the package.
find "$folder/botocore/data" -mindepth 1 -maxdepth 1 -type d \
  ! -name s3 ! -name sqs ! -name secretsmanager ! -name sts -exec rm -rf {} +
rm -rf "${folder:?}/bin" "$folder/botocore/data/s3/2006-03-01/examples-1.json"
find "$folder" -name __pycache__ -type d -prune -exec rm -rf {} +

# Lambda cannot write compiled files beside these, and would compile them at every start.
if python3.12 --version >/dev/null 2>&1; then
  python3.12 -m compileall -q --invalidation-mode unchecked-hash "$folder"
else
  echo "Without python3.12 here, nothing is compiled beforehand: each cold start takes a second or so longer." >&2
fi

rm -f "$root/aws/importer.zip"
(cd "$folder" && "$python" -m zipfile -c "$root/aws/importer.zip" ./*)
echo "aws/importer.zip: $(du -h "$root/aws/importer.zip" | cut -f1), unpacked $(du -sh "$folder" | cut -f1)"
