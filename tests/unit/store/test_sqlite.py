"""Where SQLite may lie."""

from __future__ import annotations

import os

from piper.store.sqlite import NETWORK_FILE_SYSTEMS, file_system_of

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /home rw,nosuid master:2 shared:9 - nfs4 server:/export/home rw,vers=4.2
31 22 0:27 / /mnt/shared\\040folder rw - fuse.sshfs user@host:/ rw
"""


def test_the_kind_of_a_file_system_is_found_by_its_device() -> None:
    assert file_system_of(os.makedev(254, 0), MOUNTS) == "ext4"
    assert file_system_of(os.makedev(0, 26), MOUNTS) in NETWORK_FILE_SYSTEMS
    assert file_system_of(os.makedev(0, 27), MOUNTS) in NETWORK_FILE_SYSTEMS
    assert file_system_of(os.makedev(9, 9), MOUNTS) == ""
