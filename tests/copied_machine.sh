#!/bin/bash
# Installs Webmail Messenger as docs/install.md says, in a copy of this machine that is gone afterwards: an overlay over all
# files, own processes, and a network of loopback alone. Then runs the services as their units say (tests/confined.py), and
# the command given. Needs root. Usage: unshare -m -n -p -f copied_machine.sh FOLDER SOURCE PYTHON COMMAND...
set -e
copy=$1 source=$2 python=$3
shift 3

mount -t tmpfs copy "$copy"
mkdir "$copy/changed" "$copy/work" "$copy/root"
mount -t overlay copy -o "lowerdir=/,upperdir=$copy/changed,workdir=$copy/work" "$copy/root"
mount --rbind /dev "$copy/root/dev"
mount -t proc proc "$copy/root/proc"
ip link set lo up

cat > "$copy/root/inside" <<'END'
set -e
cd "$1"
python=$2
shift 2
# The interpreter may lie in a folder of root's.
folder=$(dirname "$(readlink -f "$python")")
while [ "$folder" != / ]; do chmod o+x "$folder"; folder=$(dirname "$folder"); done
ln -sfn "$(dirname "$(dirname "$python")")" /opt/webmail-messenger
export PATH=$PATH:/usr/sbin:/opt/webmail-messenger/bin HOME=/root

mkdir -p /var/spool/caught
chown nobody /var/spool/caught
cat > /etc/postfix/main.cf <<X
compatibility_level = 3.6
myhostname = mail.portal.test
mydestination =
maillog_file = /var/log/mail.log
smtpd_peername_lookup = no
alias_maps =
default_transport = virtual:
virtual_mailbox_base = /var/spool
virtual_mailbox_maps = static:caught/
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
X
cp /etc/postfix/master.cf.proto /etc/postfix/master.cf
grep -q '^postlog' /etc/postfix/master.cf || echo 'postlog unix-dgram n - n - 1 postlogd' >> /etc/postfix/master.cf

install -m 644 systemd/webmail-messenger.sysusers /usr/lib/sysusers.d/webmail-messenger.conf
install -m 644 systemd/webmail-messenger.tmpfiles /usr/lib/tmpfiles.d/webmail-messenger.conf
systemd-sysusers
systemd-tmpfiles --create webmail-messenger.conf
messenger setup --role both --non-interactive --portal-url https://webmail.example.com --own-domain example.com > /dev/null
[ "$(stat -c '%U %a' /etc/webmail-messenger/keys/*.key | sort -u)" = "root 600" ]  # the units hand them over
postfix start
messenger setup --non-interactive --apply > /dev/null
sed -i '/^\[metrics\]/,/^\[/s/^listen = .*/listen = "127.0.0.1:9025"/' /etc/webmail-messenger/messenger.toml
export WATCHDOG_USEC=3000000  # each then asks itself whether it works, though nobody is there to tell
pids=
for unit in milter gateway reader pdfotp; do
    unshare -m --propagation private "$python" tests/confined.py "systemd/messenger-$unit.service" > "/var/log/$unit.log" 2>&1 &
    pids="$pids $!"
done
for _ in $(seq 240); do
    sleep 0.25
    [ -S /var/spool/postfix/webmail-messenger/milter.sock ] && [ -S /var/spool/postfix/webmail-messenger-gateway/gateway.sock ] &&
        curl -s localhost:8025/healthz > /dev/null && grep -q "^making PDFs" /var/log/pdfotp.log && break
done
# Each reads its files again, shut in as it is, and goes on; each shows its numbers.
# shellcheck disable=SC2086
reloaded() {
    kill -HUP $pids
    for unit in milter gateway reader pdfotp; do
        for _ in $(seq 160); do
            grep -q '^reloaded: ' "/var/log/$unit.log" && continue 2
            sleep 0.25
        done
        echo "messenger-$unit was not reloaded" >&2
        return 1
    done
    for port in 9025 9026 9027 9028; do
        curl -sS "localhost:$port/metrics" | grep -q '^messenger_' || { echo "no metrics at $port" >&2; return 1; }
    done
    ! grep 'no answer to ourselves' /var/log/milter.log /var/log/gateway.log >&2
}
# What the timer starts, as its unit says: it finds both messages that the walk left, and takes them away.
clean_up() {
    sed -i 's/^retention_days = .*/retention_days = 30/' /etc/webmail-messenger/messenger.toml
    find /var/lib/webmail-messenger/mail -type f -path '*/cur/*' -exec touch -d '40 days ago' {} +
    unshare -m --propagation private "$python" tests/confined.py systemd/messenger-cleanup.service > /var/log/cleanup.log 2>&1 &&
        grep -q '^messages.*: 2 removed' /var/log/cleanup.log || { cat /var/log/cleanup.log >&2; false; }
}
{ reloaded && "$@" && clean_up; } || { status=$?; tail -n 30 /var/log/milter.log /var/log/gateway.log /var/log/reader.log /var/log/pdfotp.log /var/log/mail.log >&2; exit $status; }
END
exec chroot "$copy/root" /bin/bash /inside "$source" "$python" "$@"
