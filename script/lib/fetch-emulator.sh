#!/usr/bin/env bash
# fetch_emulator: Bochs 3.0 and a small Linux kernel, unpacked into a private folder; nothing is
# installed. Sets EMULATOR_ROOT. Everything comes through apt from a mirror this machine already
# knows, and is checked against Debian's archive keyring. Needs no root.
#
# Bochs 3.0 is in Debian from trixie on; bookworm has 2.7 and Ubuntu to 26.04 has 2.8, so the
# packages are always trixie's, or those of the Debian release the machine runs when it is newer.

# Raise it when what is unpacked changes: an older cache is then fetched again.
kEmulatorLayout=1
kDebianKeyring=/usr/share/keyrings/debian-archive-keyring.gpg

emulator_fails() {
  echo "emulate-avx512: $*" >&2
  exit 125
}

# The base URI of a Debian mirror that holds $1, the machine's own release, else fails.
# apt itself says what it would fetch, so every format of source list is understood.
own_debian_mirror() {
  local lists uri
  lists=$(mktemp -d)
  uri=$(apt-get update --print-uris -o Dir::State::Lists="$lists" 2>/dev/null |
    sed -n "s|^'\(.*\)/dists/$1/InRelease'.*|\1|p" | head -n 1)
  rm -rf "$lists"
  [[ -n $uri ]] && echo "$uri"
}

# python-apt-common carries the name of Debian's mirror on every Ubuntu.
foreign_debian_mirror() {
  sed -n 's|^BaseURI: *\(.*[^/]\)/*$|\1|p' /usr/share/python-apt/templates/Debian.info 2>/dev/null |
    grep -v -i security | head -n 1 | grep .
}

# Prints "<mirror> <release>".
emulator_source() (
  . /etc/os-release
  if [[ -n ${DSA_DEBIAN_MIRROR:-} ]]; then
    echo "$DSA_DEBIAN_MIRROR trixie"
  elif [[ ${ID:-} == debian ]]; then
    local release=$VERSION_CODENAME mirror
    mirror=$(own_debian_mirror "$release") || return 1
    [[ $release == bookworm ]] && release=trixie
    echo "$mirror $release"
  else
    local mirror
    mirror=$(foreign_debian_mirror) || return 1
    echo "$mirror trixie"
  fi
)

# Fetches and unpacks into $1, from mirror $2, release $3.
unpack_emulator() {
  local into=$1 mirror=$2 release=$3 apt_dir=$1/apt kernel package
  mkdir -p "$apt_dir"/{lists,cache/archives}/partial "$into/root"
  : >"$apt_dir/status"
  echo "deb [arch=amd64 signed-by=$kDebianKeyring] $mirror $release main" >"$apt_dir/sources.list"
  local options=(
    -o "Dir::Etc::sourcelist=$apt_dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State=$apt_dir"
    -o "Dir::State::Lists=$apt_dir/lists" -o "Dir::State::status=$apt_dir/status"
    -o "Dir::Cache=$apt_dir/cache" -o APT::Install-Recommends=false
    -o APT::Sandbox::User= -o APT::Architecture=amd64 -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3
    # The unpacked packages are never configured: what the machine does after an update or an
    # installation of its own has no business here.
    -o APT::Update::Post-Invoke-Success::=true
  )
  apt-get "${options[@]}" -o APT::Update::Error-Mode=any update || return 1

  # The newest cloud kernel, whatever its number is today.
  kernel=$(apt-cache "${options[@]}" depends linux-image-cloud-amd64 |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
  [[ -n $kernel ]] || return 1
  (cd "$apt_dir/cache/archives" && apt-get "${options[@]}" download "$kernel") || return 1
  dpkg-deb --fsys-tarfile "$apt_dir"/cache/archives/linux-image-*.deb |
    tar -x -C "$into" --wildcards --strip-components=2 './boot/vmlinuz-*' || return 1
  mv "$into"/vmlinuz-* "$into/vmlinuz"
  rm "$apt_dir"/cache/archives/linux-image-*.deb

  apt-get "${options[@]}" -y --download-only install bochs bochs-term bochsbios vgabios || return 1
  for package in "$apt_dir"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$into/root" || return 1
  done
  echo "$kernel"
  dpkg-deb -f "$apt_dir"/cache/archives/bochs_*.deb Package Version
}

fetch_emulator() {
  local home=${XDG_CACHE_HOME:-$HOME/.cache}/libdsa/emulator
  EMULATOR_ROOT=$home/$kEmulatorLayout
  [[ -e $EMULATOR_ROOT/complete ]] && return 0
  [[ $(uname -m) == x86_64 ]] || emulator_fails "Bochs is fetched for x86-64 only"

  mkdir -p "$home"
  local lock scratch source mirror release
  exec {lock}>"$home/lock"
  flock "$lock"
  if [[ ! -e $EMULATOR_ROOT/complete ]]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
      emulator_fails "the emulator is fetched by apt, which this system does not have"
    [[ -r $kDebianKeyring ]] ||
      emulator_fails "no $kDebianKeyring; install debian-archive-keyring"
    source=$(emulator_source) ||
      emulator_fails "no Debian mirror among this machine's apt sources" \
        "(on Ubuntu install python-apt-common, or set DSA_DEBIAN_MIRROR to a mirror's address)"
    read -r mirror release <<<"$source"
    scratch=$(mktemp -d "$home/fetch.XXXXXX")
    echo "emulate-avx512: fetching Bochs 3.0 and a kernel from Debian $release, once" >&2
    if ! unpack_emulator "$scratch" "$mirror" "$release" >"$home/fetch.log" 2>&1; then
      tail -n 20 "$home/fetch.log" >&2
      rm -rf "$scratch"
      grep -q NO_PUBKEY "$home/fetch.log" &&
        echo "The keyring of this machine is older than Debian $release:" \
          "update debian-archive-keyring." >&2
      emulator_fails "Bochs could not be fetched from $mirror; the log is $home/fetch.log"
    fi
    rm -rf "$scratch/apt" "$EMULATOR_ROOT"
    touch "$scratch/complete"
    mv "$scratch" "$EMULATOR_ROOT"
  fi
  exec {lock}>&-
}
