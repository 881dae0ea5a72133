"""edgebnn doctor on machines that are folders: what each check says of a Pi in order, and of one that is not."""

from __future__ import annotations

import grp
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgebnn import doctor
from edgebnn.doctor import NOTE, OK, PROBLEM, Finding, Machine, examine
from edgebnn.errors import DelegateError

UNITS = ("edgebnn-face.service", "edgebnn-alarm.service", "edgebnn-alarm-guard.service", "edgebnn-alarm-guard.timer")
SYNCED = "NTP=yes\nNTPSynchronized=yes\n"
RUNS = "ActiveState=active\nUnitFileState=enabled\nResult=success\nExecMainStatus=0\nNRestarts=0\nStatusText=15 fps\n"
GROUP = grp.getgrgid(os.getgid()).gr_gid


class Pi:
    """A Raspberry Pi 4 with a camera on the ribbon cable and all services, as files in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock, self.units = SYNCED, dict.fromkeys(UNITS, RUNS)
        self.load: Callable[[], object] = lambda: None
        self.architecture = "aarch64"
        self.write("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n")
        self.write("proc/meminfo", "MemTotal:        1885204 kB\nMemAvailable:    1400000 kB\n")
        self.write("proc/self/mounts", "/dev/root / ext4 rw,noatime 0 0\n")
        self.write("proc/asound/cards", " 0 [Headphones     ]: bcm2835 - bcm2835 Headphones\n")
        self.write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "ondemand\n")
        self.write("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        self.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
        self.write("sys/class/thermal/thermal_zone0/temp", "48312\n")
        self.write("sys/class/video4linux/video0/name", "unicam-image\n")
        self.write("sys/class/video4linux/video10/name", "bcm2835-codec-decode\n")
        self.write("sys/class/video4linux/v4l-subdev0/name", "imx708 10-001a\n")
        self.write("sys/class/rtc/rtc0/name", "rtc-ds1307\n")
        self.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
        self.write("etc/passwd", "root:x:0:0::/root:/bin/bash\nedgebnn:x:996:996::/var/lib/edgebnn:/usr/sbin/nologin\n")
        # The devices of this folder belong to whoever runs the tests: that group is video here.
        self.write("etc/group", f"root:x:99999:\nvideo:x:{GROUP}:edgebnn\naudio:x:99998:pi,edgebnn\nedgebnn:x:996:\n")
        self.write("dev/video0").chmod(0o660)
        (root / "usr/lib/python3/dist-packages/picamera2").mkdir(parents=True)
        (root / "var/lib/edgebnn").mkdir(parents=True)
        for unit in UNITS:
            self.write(f"usr/local/lib/systemd/system/{unit}", "")

    def write(self, path: str, text: str = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def run(self, command: Sequence[str]) -> str | None:
        if command[0] == "timedatectl":
            return self.clock
        return self.units.get(command[-1])

    def findings(self, check: str) -> list[Finding]:
        machine = Machine(root=self.root, run=self.run, load=self.load, architecture=self.architecture)
        return [finding for finding in examine(machine) if finding.check == check]

    def only(self, check: str) -> Finding:
        (finding,) = self.findings(check)
        return finding


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_a_machine_in_order_has_no_problem(pi: Pi) -> None:
    findings = examine(Machine(root=pi.root, run=pi.run, load=pi.load, architecture=pi.architecture))
    assert [finding for finding in findings if finding.level != OK] == []
    assert {finding.check for finding in findings} == {
        "processor", "delegate", "governor", "throttling", "temperature", "memory", "disk", "clock", "camera", "sound",
        "permissions", "units",
    }  # fmt: skip


def test_every_problem_names_a_cure(pi: Pi) -> None:
    for file in ("etc/passwd", "proc/asound/cards"):
        pi.write(file, "")
    pi.write("sys/class/thermal/thermal_zone0/temp", "86000\n")
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    pi.write("proc/cpuinfo", "")
    pi.clock, pi.units = "NTP=no\nNTPSynchronized=no\n", {}
    findings = examine(Machine(root=pi.root, run=pi.run, load=pi.load, architecture=pi.architecture))
    problems = [finding for finding in findings if finding.level == PROBLEM]
    assert len(problems) >= 6
    assert all(finding.cure for finding in problems)


@pytest.mark.parametrize(
    ("architecture", "cpuinfo", "level", "text"),
    [
        ("aarch64", "Features\t: fp asimd asimddp\n", OK, "and the dot product"),
        ("x86_64", "flags\t\t: fpu avx2\n", OK, "AVX2"),
        ("x86_64", "flags\t\t: fpu sse4_2\n", NOTE, "portable kernels"),
        ("armv7l", "Features\t: neon\n", PROBLEM, "no wheel"),
    ],
)
def test_processor(pi: Pi, architecture: str, cpuinfo: str, level: str, text: str) -> None:
    pi.architecture = architecture
    pi.write("proc/cpuinfo", cpuinfo)
    finding = pi.only("processor")
    assert finding.level == level and text in finding.text


def test_delegate_that_does_not_load(pi: Pi) -> None:
    def fail() -> None:
        raise DelegateError("the delegate does not load: no GLIBC_2.28")

    pi.load = fail
    finding = pi.only("delegate")
    assert (finding.level, finding.text) == (PROBLEM, "the delegate does not load: no GLIBC_2.28")


def test_governor(pi: Pi) -> None:
    pi.write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n")
    assert "scaling_governor" in pi.only("governor").cure


@pytest.mark.parametrize(
    ("value", "level", "text"), [("0", OK, "none"), ("50000", NOTE, "since boot"), ("50005", PROBLEM, "under-voltage")]
)
def test_throttling(pi: Pi, value: str, level: str, text: str) -> None:
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", f"{value}\n")
    finding = pi.only("throttling")
    assert finding.level == level and text in finding.text


def test_memory(pi: Pi) -> None:
    pi.write("proc/meminfo", "MemTotal: 425984 kB\nMemAvailable: 61440 kB\n")
    pi.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    little, ceilings = pi.findings("memory")
    assert (little.level, little.text) == (PROBLEM, "60 of 416 MB available")
    assert ceilings.level == NOTE and "cgroup_enable=memory" in ceilings.cure


def test_disk_mounted_read_only(pi: Pi) -> None:
    pi.write("proc/self/mounts", "/dev/root / ext4 ro,noatime 0 0\n/dev/sda1 /var/lib ext4 rw 0 0\n")
    assert [finding.level for finding in pi.findings("disk")] == [OK]
    pi.write("proc/self/mounts", "/dev/root / ext4 rw 0 0\n/dev/sda1 /var/lib ext4 ro,relatime 0 0\n")
    problem = pi.findings("disk")[-1]
    assert problem.text == "/var/lib is mounted read-only" and "remount" in problem.cure


def test_disk_that_is_full(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_DISK", 1 << 60)
    assert pi.only("disk").level == PROBLEM


@pytest.mark.parametrize(
    ("said", "level", "cure"),
    [
        (SYNCED, OK, ""),
        ("NTP=yes\nNTPSynchronized=no\n", PROBLEM, "network"),
        ("NTP=no\nNTPSynchronized=no\n", PROBLEM, "set-ntp true"),
        ("", NOTE, ""),
    ],
)
def test_clock(pi: Pi, said: str, level: str, cure: str) -> None:
    pi.clock = said
    finding = pi.only("clock")
    assert finding.level == level and cure in finding.cure


def test_alarm_without_a_clock_chip(pi: Pi) -> None:
    (pi.root / "sys/class/rtc/rtc0/name").unlink()
    (pi.root / "sys/class/rtc/rtc0").rmdir()
    synchronised, chip = pi.findings("clock")
    assert synchronised.level == OK and chip.level == NOTE and "power cut" in chip.text


def test_camera_on_the_ribbon_cable(pi: Pi) -> None:
    assert pi.only("camera").text == "on the ribbon cable: imx708 10-001a (picamera:0)"
    (pi.root / "usr/lib/python3/dist-packages/picamera2").rmdir()
    assert pi.findings("camera")[-1].cure == "sudo apt install --no-install-recommends python3-picamera2"


def test_camera_port_without_a_camera(pi: Pi) -> None:
    pi.write("sys/class/video4linux/v4l-subdev0/name", "dw9714 10-000c\n")
    finding = pi.only("camera")
    assert finding.level == PROBLEM and finding.text.startswith("a camera port, but no camera on it")


def test_usb_camera(pi: Pi) -> None:
    pi.write("sys/class/video4linux/v4l-subdev0/name", "")
    pi.write("sys/class/video4linux/video1/name", "HD Pro Webcam C920\n")
    assert pi.only("camera").text == "HD Pro Webcam C920 at /dev/video1"


def test_no_camera_is_no_problem_where_no_service_wants_one(pi: Pi) -> None:
    for node in ("video0", "v4l-subdev0"):
        pi.write(f"sys/class/video4linux/{node}/name", "bcm2835-isp\n")
    (pi.root / "usr/local/lib/systemd/system/edgebnn-face.service").unlink()
    assert pi.only("camera").level == NOTE


def test_sound(pi: Pi) -> None:
    assert pi.only("sound").text == "bcm2835 - bcm2835 Headphones"
    pi.write("proc/asound/cards", "--- no soundcards ---\n")
    assert pi.only("sound").level == PROBLEM


def test_user_is_missing_or_in_too_few_groups(pi: Pi) -> None:
    pi.write("etc/group", f"video:x:{GROUP}:\naudio:x:99998:edgebnn\ngpio:x:99997:pi\n")
    assert [finding.cure.split(",")[0] for finding in pi.findings("permissions")] == [
        "sudo usermod -aG video edgebnn",
        "sudo usermod -aG gpio edgebnn",
    ]
    pi.write("etc/passwd", "root:x:0:0::/root:/bin/bash\n")
    assert "systemd-sysusers" in pi.only("permissions").cure


def test_device_of_another_group(pi: Pi) -> None:
    pi.write("dev/video0").chmod(0o600)
    finding = pi.only("permissions")
    assert finding.level == PROBLEM and finding.text == "/dev/video0 is of group video, mode -rw-------"
    pi.write("dev/video0").chmod(0o660)
    pi.write("dev/snd/pcmC0D0p").chmod(0o660)  # of this folder's group video, where audio is expected
    assert "GROUP='audio'" in pi.only("permissions").cure


@pytest.mark.parametrize(
    ("said", "level", "text"),
    [
        (RUNS, OK, "edgebnn-face.service runs: 15 fps"),
        (RUNS.replace("NRestarts=0", "NRestarts=7"), NOTE, "restarted 7 times"),
        (RUNS.replace("enabled", "disabled"), PROBLEM, "would not after a boot"),
        ("ActiveState=failed\nResult=exit-code\nExecMainStatus=78\n", PROBLEM, "waits for a good configuration"),
        ("ActiveState=failed\nResult=watchdog\nExecMainStatus=6\n", PROBLEM, "result watchdog"),
        ("", NOTE, "does not say"),
    ],
)
def test_units(pi: Pi, said: str, level: str, text: str) -> None:
    pi.units["edgebnn-face.service"] = said
    finding = next(finding for finding in pi.findings("units") if "edgebnn-face.service" in finding.text)
    assert finding.level == level and text in finding.text


def test_bad_configuration_names_the_log(pi: Pi) -> None:
    pi.units["edgebnn-alarm.service"] = "ActiveState=failed\nResult=exit-code\nExecMainStatus=78\n"
    (cure,) = [finding.cure for finding in pi.findings("units") if finding.level == PROBLEM]
    assert cure == "journalctl -u edgebnn-alarm -n 5 says what is wrong where; then sudo systemctl start edgebnn-alarm"


def test_nothing_installed(pi: Pi) -> None:
    for unit in UNITS:
        (pi.root / "usr/local/lib/systemd/system" / unit).unlink()
    assert pi.only("units").level == NOTE
    assert pi.findings("permissions") == []


@pytest.mark.parametrize("bad", [False, True])
def test_command_prints_lines_and_its_exit_code_says_whether_all_is_well(
    pi: Pi, bad: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if bad:
        pi.clock = "NTP=no\nNTPSynchronized=no\n"
    machine = Machine(root=pi.root, run=pi.run, load=pi.load, architecture=pi.architecture)
    monkeypatch.setattr(doctor, "this_machine", lambda: machine)
    assert doctor.doctor() == (1 if bad else 0)
    text = capsys.readouterr().out
    assert text.endswith("1 problem\n" if bad else "No problems\n")
    assert ("-> sudo timedatectl set-ntp true" in text) == bad
    assert doctor.doctor(as_json=True) == (1 if bad else 0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(line) == {"check", "level", "text", "cure"} for line in lines)


def test_hostile_files_are_survived(pi: Pi) -> None:
    for path in ("proc/self/mounts", "proc/asound/cards", "etc/group", "etc/passwd", "proc/meminfo", "proc/cpuinfo"):
        (pi.root / path).write_bytes(b"\xff\x00:::\n]:[\n" * 50)
    pi.clock = "nonsense\n=\n"
    examine(Machine(root=pi.root, run=lambda command: "\x00\n=\n==", load=pi.load, architecture="riscv64"))


def test_real_machine_is_examined() -> None:
    findings = examine(doctor.this_machine())
    assert {"processor", "delegate", "memory", "disk", "units"} <= {finding.check for finding in findings}
