# Debian packages without installing them, for the scripts beside it. To be sourced by bash; the script sets
# apt_root to a folder that it removes itself.

readonly attempts=4

# The base addresses that apt itself uses for Debian's suites, Debian's own archive first: another
# vendor's repository may carry a suite of the same name.
mirrors() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
  LC_ALL=C apt-get -o Debug::NoLocking=1 update --print-uris 2>/dev/null |
    sed -nE "s#^'(.*[^/])/+dists/($codename|stable|testing|sid|bookworm|trixie|forky)/InRelease' .*#\1#p" |
    awk '{ kind = ($0 ~ /\/debian$/) ? 0 : 1; if (!seen[$0]++) print kind, $0 }' | sort -s -n -k1,1 | cut -d' ' -f2-
}

# apt with lists, state and cache of its own; the machine's proxy settings still apply.
private_apt() {
  local suite=$1 home=$apt_root/$1
  shift
  LC_ALL=C apt-get -qq \
    -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State="$home/state" -o Dir::State::Lists="$home/lists" -o Dir::State::status="$home/status" \
    -o Dir::Cache="$home/cache" -o Dir::Cache::Archives="$home/archives" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    "$@"
}

# Leaves the files of the named packages, without what they depend on, in $apt_root/<suite>/debs.
download_from() {
  local suite=$1 mirror=$2 home=$apt_root/$1 options=""
  shift 2
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [[ ! -r $keyring ]] || options="[signed-by=$keyring] "
  rm -rf "$home"
  mkdir -p "$home"/{state,lists/partial,cache,archives/partial,debs}
  : >"$home/status"
  echo "deb $options$mirror $suite main" >"$home/sources.list"
  private_apt "$suite" -o APT::Update::Error-Mode=any update &&
    (cd "$home/debs" && private_apt "$suite" download "$@")
}

# The same from whichever mirror answers, several times; what apt said goes into LOG.
#   download SUITE LOG PACKAGE...
download() {
  local suite=$1 log=$2 attempt mirror
  shift 2
  mapfile -t mirror_list < <(mirrors)
  : >"$log"
  ((${#mirror_list[@]} > 0)) ||
    echo "E: no Debian mirror is in apt's sources; add one to /etc/apt/sources.list.d" >>"$log"
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    for mirror in "${mirror_list[@]}"; do
      ! download_from "$suite" "$mirror" "$@" >>"$log" 2>&1 || return 0
    done
    ((attempt == attempts || ${#mirror_list[@]} == 0)) || sleep $((attempt * 3))
  done
  return 1
}

# What went wrong, in one line.
apt_error() { grep -m1 '^E:' "$1" || tail -n1 "$1"; }
