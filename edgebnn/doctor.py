"""`edgebnn doctor`: what of this machine keeps the services from working well, and the cure of each finding."""

from __future__ import annotations

import json
import platform
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebnn.errors import EdgebnnError
from edgebnn.service.board import Board, read_board

OK, NOTE, PROBLEM = "ok", "note", "problem"

USER = "edgebnn"
UNIT_FOLDERS = ("etc/systemd/system", "usr/local/lib/systemd/system")
STATE = "var/lib/edgebnn"
CAMERA_UNITS = {"edgebnn-face.service", "edgebnn-sleep.service"}
BAD_CONFIGURATION = "78"
LEAST_MEMORY, LEAST_DISK = 150 << 20, 200 << 20  # bytes
HOT_C = 80.0  # a Pi slows down from here on
# V4L2 nodes of a Pi's codecs and image processors, and the bridges that a CSI camera hangs on.
PI_PROCESSORS = ("bcm2835-codec", "bcm2835-isp", "pispbe", "rpi-hevc", "rpivid", "hevc", "unicam", "rp1-cfe")
PI_BRIDGES = ("unicam", "rp1-cfe")
DEVICES = {  # glob below /dev: the groups that a service may have for it
    "video[0-9]*": ("video",),
    "media[0-9]*": ("video",),
    "dma_heap/*": ("video",),
    "snd/pcm*": ("audio",),
    "gpiochip[0-9]*": ("gpio", "dialout"),
}


@dataclass(frozen=True)
class Finding:
    """What one check saw: level is ok, note or problem; a problem has a cure."""

    check: str
    level: str
    text: str
    cure: str = ""


@dataclass(frozen=True)
class Machine:
    """What the checks look at: files below `root`, what commands print, and whether the delegate loads.

    run: standard output of a command, None when it does not exist or fails. load: raises EdgebnnError.
    """

    root: Path
    run: Callable[[Sequence[str]], str | None]
    load: Callable[[], object]
    architecture: str

    def text(self, path: str) -> str:
        """Content of a file below root; empty when it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def units(self) -> list[str]:
        """edgebnn's units that are installed."""
        found = {file.name for folder in UNIT_FOLDERS for file in (self.root / folder).glob("edgebnn-*")}
        return sorted(name for name in found if name.endswith((".service", ".timer")))


def this_machine() -> Machine:
    """The machine that we run on."""
    from edgebnn.delegate.loader import load_delegate

    return Machine(root=Path("/"), run=_run, load=load_delegate, architecture=platform.machine())


def _run(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def doctor(*, as_json: bool = False) -> int:
    """Print what each check finds; 1 when one of them is a problem, else 0."""
    findings = examine(this_machine())
    for finding in findings:
        if as_json:
            print(json.dumps(asdict(finding), ensure_ascii=False))
            continue
        print(f"{finding.level:8}{finding.check:12}{finding.text}")
        if finding.cure:
            print(f"{'':20}-> {finding.cure}")
    problems = sum(finding.level == PROBLEM for finding in findings)
    if not as_json:
        print(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "No problems")
    return 1 if problems else 0


def examine(machine: Machine) -> list[Finding]:
    """All checks, in the order in which a cure of one may cure the next."""
    board = read_board(root=machine.root, disk=_state_folder(machine))
    return [
        finding
        for check in (
            _processor(machine),
            _delegate(machine),
            _governor(board),
            _throttling(board),
            _memory(machine, board),
            _disk(machine, board),
            _clock(machine),
            _camera(machine),
            _sound(machine),
            _permissions(machine),
            _units(machine),
        )
        for finding in check
    ]


# The board


def _processor(machine: Machine) -> Iterator[Finding]:
    words = {
        word
        for line in machine.text("proc/cpuinfo").splitlines()
        if line.startswith(("flags", "Features"))
        for word in line.partition(":")[2].split()
    }
    if machine.architecture == "aarch64":
        if "asimd" in words:
            extra = "and the dot product" if "asimddp" in words else "no dot product, as up to the Pi 4"
            yield Finding("processor", OK, f"aarch64 with NEON, {extra}")
        else:
            yield Finding("processor", PROBLEM, "aarch64 without NEON", "use a board with an ARMv8-A core")
    elif machine.architecture == "x86_64":
        if {"avx512f", "avx512bw", "avx512vl", "avx512_vpopcntdq"} <= words:
            yield Finding("processor", OK, "x86_64 with AVX-512 and VPOPCNTDQ")
        elif "avx2" in words:
            yield Finding("processor", OK, "x86_64 with AVX2")
        else:
            yield Finding("processor", NOTE, "x86_64 without AVX2: the portable kernels are many times slower")
    else:
        cure = "install 64-bit Raspberry Pi OS" if machine.architecture.startswith("arm") else "use aarch64 or x86_64"
        yield Finding("processor", PROBLEM, f"{machine.architecture} has no wheel of ai-edge-litert", cure)


def _delegate(machine: Machine) -> Iterator[Finding]:
    try:
        machine.load()
    except EdgebnnError as error:
        yield Finding("delegate", PROBLEM, str(error), "install edgebnn again: sudo deploy/install.sh")
    else:
        yield Finding("delegate", OK, "loads")


def _governor(board: Board) -> Iterator[Finding]:
    if board.governors is None:
        yield Finding("governor", NOTE, "this kernel does not scale the clock, or does not say")
    elif "powersave" in board.governors:
        cure = "echo ondemand | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
        yield Finding("governor", PROBLEM, "powersave holds the processor at its lowest clock", cure)
    else:
        yield Finding("governor", OK, ", ".join(board.governors))


def _throttling(board: Board) -> Iterator[Finding]:
    if board.throttled_now:
        cure = "use the board's own power supply and a short cable" if "under-voltage" in board.throttled_now else ""
        cure = cure or "cool the board: heat sink, fan, a case that lets air through"
        yield Finding("throttling", PROBLEM, f"now: {', '.join(board.throttled_now)}", cure)
    elif board.throttled:
        cure = "if it comes back: the board's own power supply, a short cable, a heat sink"
        yield Finding("throttling", NOTE, f"since boot: {', '.join(board.throttled)}", cure)
    elif board.throttled is not None:
        yield Finding("throttling", OK, "none since boot")
    if board.temperature_c is None:
        return
    text = f"{board.temperature_c:.0f} °C"
    if board.temperature_c >= HOT_C:
        yield Finding("temperature", PROBLEM, text, "cool the board: heat sink, fan, a case that lets air through")
    else:
        yield Finding("temperature", OK, text)


def _memory(machine: Machine, board: Board) -> Iterator[Finding]:
    if board.memory_total_bytes is not None and board.memory_available_bytes is not None:
        text = f"{board.memory_available_bytes >> 20} of {board.memory_total_bytes >> 20} MB available"
        if board.memory_available_bytes < LEAST_MEMORY:
            cure = f"stop what is not needed; a service wants {LEAST_MEMORY >> 20} MB"
            yield Finding("memory", PROBLEM, text, cure)
        else:
            yield Finding("memory", OK, text)
    controllers = machine.text("sys/fs/cgroup/cgroup.controllers").split()
    if controllers and "memory" not in controllers and machine.units():
        cure = "append cgroup_enable=memory to the line in /boot/firmware/cmdline.txt and reboot"
        yield Finding("memory", NOTE, "this kernel does not enforce the services' memory ceilings", cure)


def _state_folder(machine: Machine) -> Path:
    """Of the services, or the nearest folder above that exists."""
    folder = machine.root / STATE
    while not folder.exists() and folder != machine.root:
        folder = folder.parent
    return folder


def _disk(machine: Machine, board: Board) -> Iterator[Finding]:
    if board.disk_free_bytes is not None:
        text = f"{board.disk_free_bytes >> 20} MB free for /{STATE}"
        if board.disk_free_bytes < LEAST_DISK:
            yield Finding("disk", PROBLEM, text, "make room: sudo journalctl --vacuum-size=100M, sudo apt clean")
        else:
            yield Finding("disk", OK, text)
    mount, options = _mount_of(machine, f"/{STATE}")
    if "ro" in options:
        cure = f"sudo mount -o remount,rw {mount}; if it comes back, the card is failing: copy it and replace it"
        yield Finding("disk", PROBLEM, f"{mount} is mounted read-only", cure)


def _mount_of(machine: Machine, path: str) -> tuple[str, list[str]]:
    """The mount point that `path` lies on, and its options."""
    found: tuple[str, list[str]] = ("/", [])
    for line in machine.text("proc/self/mounts").splitlines():
        words = line.split()
        if len(words) > 3 and (path + "/").startswith(words[1].rstrip("/") + "/") and len(words[1]) >= len(found[0]):
            found = (words[1], words[3].split(","))
    return found


def _clock(machine: Machine) -> Iterator[Finding]:
    said = machine.run(["timedatectl", "show", "--property=NTPSynchronized", "--property=NTP"])
    values = dict(line.split("=", 1) for line in (said or "").splitlines() if "=" in line)
    has_chip = any((machine.root / "sys/class/rtc").glob("rtc[0-9]*"))
    chip = "a clock chip" if has_chip else "no clock chip"
    if values.get("NTPSynchronized") == "yes":
        yield Finding("clock", OK, f"synchronised, {chip}")
    elif not values:
        yield Finding("clock", NOTE, f"timedatectl does not say whether it is synchronised; {chip}")
    elif values.get("NTP") == "yes":
        cure = "give the board a network, or wait a minute: timedatectl timesync-status"
        yield Finding("clock", PROBLEM, f"not synchronised yet, {chip}", cure)
    else:
        yield Finding("clock", PROBLEM, f"not synchronised, {chip}", "sudo timedatectl set-ntp true")
    if not has_chip and "edgebnn-alarm.service" in machine.units():
        cure = "add one (Pi 5: a battery at J5; others: a DS3231 and dtoverlay=i2c-rtc,ds3231)"
        text = "after a power cut without network the alarm knows the time only from when it was last saved"
        yield Finding("clock", NOTE, text, cure)


# Devices


def _camera(machine: Machine) -> Iterator[Finding]:
    wanted = CAMERA_UNITS & set(machine.units())
    names = {
        node.name: machine.text(str((node / "name").relative_to(machine.root))).strip()
        for node in sorted((machine.root / "sys/class/video4linux").glob("*"))
    }
    sensors = [name for node, name in names.items() if node.startswith("v4l-subdev") and _is_sensor(name)]
    cameras = [
        f"{name} at /dev/{node}"
        for node, name in names.items()
        if node.startswith("video") and not name.startswith(PI_PROCESSORS)
    ]
    has_bridge = any(name.startswith(PI_BRIDGES) for name in names.values())
    if sensors:
        yield Finding("camera", OK, f"on the ribbon cable: {', '.join(sensors)} (picamera:0)")
        if not (machine.root / "usr/lib/python3/dist-packages/picamera2").is_dir():
            text = "the system has no picamera2, which cameras on the ribbon cable need"
            yield Finding("camera", PROBLEM, text, "sudo apt install --no-install-recommends python3-picamera2")
    if cameras:
        yield Finding("camera", OK, ", ".join(cameras))
    if not sensors and not cameras:
        cure = "plug one in; on the ribbon cable: power off, contacts towards the board's, dmesg | grep -i imx"
        seen = "a camera port, but no camera on it" if has_bridge else "none found"
        if not wanted:
            yield Finding("camera", NOTE, seen)
        else:
            yield Finding("camera", PROBLEM, f"{seen}; a stream (rtsp://) needs none", cure)


def _is_sensor(name: str) -> bool:
    """Sub-devices are named by the chip and its bus address, as "imx708 10-001a"; lens drivers are no sensors."""
    return name.partition(" ")[0].startswith(("imx", "ov", "arducam", "gc", "sc")) and " " in name


def _sound(machine: Machine) -> Iterator[Finding]:
    cards = [line.partition("]:")[2].strip() for line in machine.text("proc/asound/cards").splitlines() if "]:" in line]
    if cards:
        yield Finding("sound", OK, ", ".join(cards))
    elif "edgebnn-alarm.service" in machine.units():
        cure = "plug in a USB speaker; on a Pi with a jack: dtparam=audio=on in /boot/firmware/config.txt"
        yield Finding("sound", PROBLEM, "no sound card: the alarm has only its other outputs", cure)
    else:
        yield Finding("sound", NOTE, "no sound card")


def _groups(machine: Machine) -> dict[int, tuple[str, list[str]]]:
    """Name and members by number, of /etc/group."""
    found = {}
    for line in machine.text("etc/group").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit():
            found[int(fields[2])] = (fields[0], [name for name in fields[3].split(",") if name])
    return found


def _permissions(machine: Machine) -> Iterator[Finding]:
    if not machine.units():
        return
    users = [line.split(":")[0] for line in machine.text("etc/passwd").splitlines()]
    if USER not in users:
        cure = f"sudo systemd-sysusers /usr/local/lib/sysusers.d/{USER}.conf"
        yield Finding("permissions", PROBLEM, f"there is no user {USER}", cure)
        return
    groups = _groups(machine)
    wrong = False
    for name, members in groups.values():
        if name in ("video", "audio", "gpio") and USER not in members:
            wrong = True
            cure = f"sudo usermod -aG {name} {USER}, then restart the services"
            yield Finding("permissions", PROBLEM, f"the user {USER} is not in group {name}", cure)
    for pattern, allowed in DEVICES.items():
        for device in sorted((machine.root / "dev").glob(pattern)):
            status = device.stat()
            group = groups.get(status.st_gid, (str(status.st_gid), []))[0]
            everyone = status.st_mode & (stat.S_IROTH | stat.S_IWOTH) == stat.S_IROTH | stat.S_IWOTH
            ours = group in allowed and status.st_mode & (stat.S_IRGRP | stat.S_IWGRP) == stat.S_IRGRP | stat.S_IWGRP
            if not (everyone or ours):
                wrong = True
                path = f"/dev/{device.relative_to(machine.root / 'dev')}"
                text = f"{path} is of group {group}, mode {stat.filemode(status.st_mode)}"
                cure = f"a udev rule with GROUP={allowed[0]!r}, MODE='0660', then plug it in again"
                yield Finding("permissions", PROBLEM, text, cure)
    if not wrong:
        yield Finding("permissions", OK, f"the user {USER} may use cameras, sound and GPIO that are there")


# Services

UNIT_PROPERTIES = ("ActiveState", "UnitFileState", "Result", "ExecMainStatus", "NRestarts", "StatusText")


def _units(machine: Machine) -> Iterator[Finding]:
    units = [unit for unit in machine.units() if unit != "edgebnn-alarm-guard.service"]
    if not units:
        yield Finding("units", NOTE, "no service is installed", "sudo deploy/install.sh face, or sleep")
    for unit in units:
        said = machine.run(["systemctl", "show", *(f"--property={name}" for name in UNIT_PROPERTIES), unit])
        state = dict(line.split("=", 1) for line in (said or "").splitlines() if "=" in line)
        if not state:
            yield Finding("units", NOTE, f"systemctl does not say how {unit} is")
        elif state.get("ActiveState") != "active":
            yield _down(unit, state)
        elif state.get("UnitFileState") != "enabled":
            cure = f"sudo systemctl enable {unit}"
            yield Finding("units", PROBLEM, f"{unit} runs, but would not after a boot", cure)
        elif state.get("NRestarts", "0") not in ("", "0"):
            text = f"{unit} runs, restarted {state['NRestarts']} times since it was started"
            yield Finding("units", NOTE, text, f"why: journalctl -u {unit}")
        else:
            yield Finding("units", OK, f"{unit} runs" + (f": {state['StatusText']}" if state.get("StatusText") else ""))


def _down(unit: str, state: dict[str, str]) -> Finding:
    name = unit.partition(".")[0]
    if state.get("ExecMainStatus") == BAD_CONFIGURATION:
        text = f"{unit} waits for a good configuration"
        cure = f"journalctl -u {name} -n 5 says what is wrong where; then sudo systemctl start {name}"
        return Finding("units", PROBLEM, text, cure)
    text = f"{unit} is {state.get('ActiveState')}, result {state.get('Result') or 'unknown'}"
    return Finding("units", PROBLEM, text, f"journalctl -u {unit}; sudo systemctl enable --now {unit}")
