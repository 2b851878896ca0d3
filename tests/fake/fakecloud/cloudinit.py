# SPDX-License-Identifier: MIT
"""What cloud-init makes of a server's user-data, for the keys that stepbox's own uses: the host key, users and who may
log in, bootcmd, write_files, runcmd. Scripts are returned as text; boxes.py runs them inside the box."""
import base64
import binascii
import gzip
import io
import json
import re
import shlex

import yaml

UNPACKED_MAX = 1 << 20
KNOWN = {"ssh_keys", "ssh_deletekeys", "ssh_genkeytypes", "ssh_pwauth", "disable_root", "disable_root_opts", "users",
         "ssh_authorized_keys", "bootcmd", "runcmd", "write_files", "hostname", "fqdn", "preserve_hostname", "ssh",
         "package_update", "packages", "final_message", "locale", "timezone", "growpart", "resize_rootfs"}
REFUSE_ROOT = ('no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo \'Please login as the user '
               '\\"%s\\" rather than the user \\"root\\".\';echo;sleep 1;exit 142"')


def decode(user_data):
    """The bytes behind the API's base64, unzipped."""
    try:
        raw = base64.b64decode(user_data or "")
    except (binascii.Error, ValueError):
        return b""
    if raw[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as f:
            try:
                raw = f.read(UNPACKED_MAX)
            except (OSError, EOFError):
                return b""
    return raw


def commands(items):
    """bootcmd's and runcmd's items as lines of a shell script: lists are words, strings are shell."""
    lines = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, list):
            lines.append(" ".join(shlex.quote(str(w)) for w in item))
        elif isinstance(item, str):
            lines.append(item)
    return "\n".join(lines)


class CloudInit:
    """The decisions, from raw user-data, the image's default user and the keys of nova's metadata."""

    def __init__(self, raw, default_user, metadata_keys):
        self.notes, self.host_key, self.config = [], None, {}
        self.user_script = ""
        if raw.startswith(b"#cloud-config"):
            self.config = self.parse(raw)
        elif raw.startswith(b"#!"):
            self.user_script = raw.decode(errors="replace")
        elif raw:
            self.notes.append("Unhandled non-multipart (text/x-not-multipart) userdata")
        for key in sorted(set(self.config) - KNOWN):
            self.notes.append(f"fake cloud-init: key {key} is not carried out")
        private = (self.config.get("ssh_keys") or {}).get("ed25519_private")
        if isinstance(private, str):
            self.host_key = private
        self.users(default_user, metadata_keys)

    def parse(self, raw):
        try:
            config = yaml.safe_load(raw.decode())
        except (yaml.YAMLError, UnicodeDecodeError) as e:
            self.notes.append(f"Failed loading yaml blob. {str(e)[:200]}")
            return {}
        if not isinstance(config, dict):
            self.notes.append("Failed loading yaml blob. top level is no mapping")
            return {}
        return config

    def users(self, default_user, metadata_keys):
        """keys: who may log in with what; accounts: who is made, with sudo's words."""
        general = [k for k in self.config.get("ssh_authorized_keys") or [] if isinstance(k, str)] + metadata_keys
        self.keys, self.accounts = {}, {}
        listed = self.config.get("users", ["default"])
        names = []
        for user in listed if isinstance(listed, list) else []:
            entry = {"name": default_user, "sudo": "ALL=(ALL) NOPASSWD:ALL", "default": True} \
                if user == "default" else user if isinstance(user, dict) else {}
            name = entry.get("name")
            if not isinstance(name, str) or not re.fullmatch("[a-z_][a-z0-9_-]{0,31}", name):
                self.notes.append(f"user {name!r} is skipped")
                continue
            names.append(name)
            own = [k for k in entry.get("ssh_authorized_keys") or [] if isinstance(k, str)]
            self.keys.setdefault(name, []).extend(own + (general if entry.get("default") else []))
            if name != "root":
                sudo = entry.get("sudo") or []
                self.accounts[name] = {"sudo": [sudo] if isinstance(sudo, str) else sudo,
                                       "shell": entry.get("shell") or "/bin/sh"}
        # The general keys also go to root, who with disable_root only learns whom to ask for.
        disabled = self.config.get("disable_root", True) not in (False, "false", "False", "no", 0)
        if "root" not in names:
            who = default_user if "default" in (listed or []) else "NONE"
            prefix = REFUSE_ROOT % who + " " if disabled else ""
            self.keys["root"] = [prefix + k for k in general]

    def first_root_key(self):
        return next(iter(self.keys.get("root") or []), None)

    def plain_root(self):
        """Is there nothing to set up but one key of root's?"""
        return not self.accounts and len(self.keys.get("root") or []) == 1

    def setup_script(self):
        """Users, their keys and sudo; sshd then looks for keys where an image's sshd does."""
        lines = ["set -eu"]
        for name, account in self.accounts.items():
            lines.append(f"id {name} >/dev/null 2>&1 || useradd -m -s {shlex.quote(account['shell'])} {name}")
            # A locked password keeps sshd from letting keys in where it does without PAM, as here.
            lines.append(f"usermod -p '*' {name}")
            for rule in account["sudo"]:
                lines.append(f"printf '%s\\n' {shlex.quote(f'{name} {rule}')} >>/etc/sudoers.d/90-cloud-init-users")
        lines.append("[ ! -e /etc/sudoers.d/90-cloud-init-users ] || chmod 440 /etc/sudoers.d/90-cloud-init-users")
        for name, keys in self.keys.items():
            home = "/root" if name == "root" else f"/home/{name}"
            lines.append(f"mkdir -p {home}/.ssh")
            lines.append(f"printf '%s\\n' {' '.join(map(shlex.quote, keys))} >{home}/.ssh/authorized_keys"
                         if keys else f": >{home}/.ssh/authorized_keys")
            lines.append(f"chown -R {name}: {home}/.ssh; chmod 700 {home}/.ssh; chmod 600 {home}/.ssh/authorized_keys")
        lines.append("sed -i 's|^AuthorizedKeysFile .*|AuthorizedKeysFile .ssh/authorized_keys|' /run/box/sshd_config")
        # The oldest sshd is the one that listens; it starts itself anew.
        lines.append('kill -HUP "$(pgrep -o -x sshd)"')
        return "\n".join(lines)

    def boot_script(self):
        """Before sshd: what any image has, files, bootcmd."""
        # In a box that has no init of its own, its sshd's end is the box's.
        off = '#!/bin/sh\nkill "$(pgrep -o -x sshd)"\n'
        lines = ["mkdir -p /var/lib/cloud/instance/scripts",
                 f"printf %s {shlex.quote(off)} >/usr/sbin/poweroff; chmod 755 /usr/sbin/poweroff"]
        for f in self.config.get("write_files") or []:
            if isinstance(f, dict) and isinstance(f.get("path"), str):
                path = shlex.quote(f["path"])
                lines.append(f'mkdir -p "$(dirname {path})"; printf %s {shlex.quote(str(f.get("content", "")))} '
                             f">{path}; chmod {shlex.quote(str(f.get('permissions', '0644')))} {path}")
        lines.append(commands(self.config.get("bootcmd")))
        return "\n".join(lines)

    def final_script(self):
        script = self.user_script or "#!/bin/sh\n" + commands(self.config.get("runcmd"))
        path = "/var/lib/cloud/instance/scripts/part-001"
        return f"printf %s {shlex.quote(script)} >{path}; chmod 700 {path}; {path}"

    def summary(self):
        """For /fake/state: no keys, only who may log in."""
        return json.loads(json.dumps({"users": {u: len(k) for u, k in self.keys.items()}, "notes": self.notes,
                                      "host_key": bool(self.host_key)}))
