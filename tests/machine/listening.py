"""Prints the TCP addresses that this machine listens on, one a line, of /proc/net/tcp."""

import socket
from pathlib import Path

for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        address, port = line.split()[1].split(":")
        if line.split()[3] == "0A":  # listening
            words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
            print(f"{socket.inet_ntop(family, b''.join(words))}:{int(port, 16)}")
