#!/bin/sh
# Create the users and groups of postrider.sysusers that are missing. Root's.
set -eu

file=$(cd "$(dirname "$0")" && pwd)/postrider.sysusers

if [ "$(id -u)" -ne 0 ]; then
	echo "users.sh: only root can create users" >&2
	exit 1
fi

all_there() {
	while read -r type name rest; do
		case $type in
		u)	getent passwd "$name" >/dev/null || return 1 ;;
		g)	getent group "$name" >/dev/null || return 1 ;;
		esac
	done <"$file"
}

create() {
	while read -r type name rest; do
		case $type in
		u)	getent group "$name" >/dev/null ||
			    groupadd --system "$name"
			getent passwd "$name" >/dev/null ||
			    useradd --system --gid "$name" --no-create-home \
				--home-dir / --shell /usr/sbin/nologin "$name" ;;
		g)	getent group "$name" >/dev/null ||
			    groupadd --system "$name" ;;
		esac
	done <"$file"
}

all_there && exit 0
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers "$file"
else
	create
fi
