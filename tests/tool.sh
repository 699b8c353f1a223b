# What the scripts in tools/ begin with. To be sourced by bash, with tool set to what the script leaves in a folder
# of that name.

fail() {
  echo "test tools: $tool: $*" >&2
  exit 1
}

# Sets folder to the tool's own below FOLDER, where no other run works meanwhile.
#   enter [FOLDER]      (default: target/test-tools)
enter() {
  folder=${1:-target/test-tools}/$tool
  mkdir -p "$folder" || fail "$folder cannot be created; make it writable or name another folder as the first argument"
  folder=$(realpath "$folder")
  exec 9>"$folder/.lock"
  flock 9
}
