#!/bin/sh
# Makes an operator for the load driver: domain bench.test, users u000..u099 with the password "secret", a peer remote.test that is known by its certificate.
# setup.sh BINARY DIR CERTS PORTBASE    (CERTS: ca.pem, ca.crl, server.pem, server.key, client.pem as the driver's make-certs.sh makes them)
set -eu
binary=$1 dir=$2 certs=$3 base=$4
rm -rf "$dir"
"$binary" init --domain bench.test --dir "$dir" ${STORE_URL:+--store-url "$STORE_URL"} >/dev/null
cat > "$dir/vaguemestre.toml" <<TOML
[server]
hostname = "mx.bench.test"
[store]
url = "${STORE_URL:-sqlite:vaguemestre.db}"
[listeners.smtp]
bind = "127.0.0.1:$((base + 525))"
tls = "starttls"
[listeners.submission]
bind = "127.0.0.1:$((base + 587))"
tls = "starttls"
[listeners.imap]
bind = "127.0.0.1:$((base + 143))"
tls = "starttls"
[listeners.imaps]
bind = "127.0.0.1:$((base + 993))"
tls = "implicit"
[tls]
cert = "$certs/server.pem"
key = "$certs/server.key"
[trust]
anchors = ["$certs/ca.pem"]
crl_files = ["$certs/ca.crl"]
whitelist_file = "trust/whitelist.txt"
whitelist_format = "pairs"
[limits]
quota_default_bytes = 53687091200
TOML
echo 'remote.test;CN=client.bench.test' > "$dir/trust/whitelist.txt"
{ echo 'address,kind,password'; for i in $(seq -w 0 99); do echo "u0$i@bench.test,personal,secret"; done; } > "$dir/users.csv"
"$binary" --config "$dir/vaguemestre.toml" mailbox import "$dir/users.csv"
