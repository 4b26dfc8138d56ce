#!/bin/sh
# Installs the Debian packages that building and testing need, if they are missing. packages.sh build|test|all
set -eu
build="clang mold"
test="$build ca-certificates curl swaks libnet-ssleay-perl libio-socket-ssl-perl isync msmtp mutt tmux python3 python3-venv openssl procps faketime xmlsec1"
# Any installed server does; Debian 12's is the one that results are stated for.
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || test="$test postgresql-15"
# Node may come from elsewhere than Debian, whose npm would drive it out.
command -v node >/dev/null 2>&1 || test="$test nodejs"
command -v npm >/dev/null 2>&1 || test="$test npm"
all="$test postfix dovecot-imapd offlineimap3 fetchmail neomutt alpine thunderbird libnss3-tools"
case "${1:-test}" in
  build) wanted=$build ;;
  all) wanted=$all ;;
  *) wanted=$test ;;
esac
missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "missing Debian packages:$missing" >&2
  echo "install them: sudo apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
case $missing in
  *postgresql*)
    # The tests start a server of their own: no cluster of the system's is wanted, nor started.
    [ -e /etc/postgresql-common/createcluster.conf ] || {
      mkdir -p /etc/postgresql-common
      echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    }
    ;;
esac
case $missing in
  # The tests bring a configuration of their own; the system's Postfix is neither configured nor started.
  *postfix*) echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections ;;
esac
apt-get update -qq >/dev/null
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
